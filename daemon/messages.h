#pragma once
/*
 * The journal's message ids, one per kind of event: `journalctl MESSAGE_ID=...`, and the catalog
 * text in units/latencyd.catalog. An id is never reused for another meaning.
 */
#define MESSAGE_VERIFIED_ID	  "4f0c8d5d2c7e4d1fa3b85c2f6b1d9e01"
#define MESSAGE_DRIFTED_ID	  "8a6b1f27d94e4c0bb0c1e6a5387f2c02"
#define MESSAGE_PENDING_REBOOT_ID "c3d2791e5ab84f6c9e07d4f1b2a86e03"
#define MESSAGE_DEGRADED_ID	  "e91f4ab0637d4b5f8d2c0f93a7c51b04"

#pragma once
/*
 * The journal's message ids, one per kind of event: `journalctl MESSAGE_ID=...`, and the catalog
 * text in units/latencyd.catalog. An id is never reused for another meaning.
 */

/* The machine's verdict is another one. */
#define MESSAGE_VERIFIED_ID	  "4f0c8d5d2c7e4d1fa3b85c2f6b1d9e01"
#define MESSAGE_DRIFTED_ID	  "8a6b1f27d94e4c0bb0c1e6a5387f2c02"
#define MESSAGE_PENDING_REBOOT_ID "c3d2791e5ab84f6c9e07d4f1b2a86e03"
#define MESSAGE_DEGRADED_ID	  "e91f4ab0637d4b5f8d2c0f93a7c51b04"

/* The verdict of one setting, of the machine or of a guest, is another one. These have
 * LATENCYD_ALERT. */
#define MESSAGE_SETTING_DRIFTED_ID	  "26f599fbeadc4e0188ba9a8b963c9f94"
#define MESSAGE_SETTING_RESTORED_ID	  "af3a0194c5a742ebb9a45580c32fc725"
#define MESSAGE_SETTING_CONTESTED_ID	  "d967e1144a7445d0a4f2a3fac9d2a9e8"
#define MESSAGE_SETTING_FAILED_ID	  "1815564b32e845728f7c30abbdb98aba"
#define MESSAGE_SETTING_UNFIXABLE_ID	  "4834f798e28a48b78f48b42252153172"
#define MESSAGE_SETTING_UNKNOWN_ID	  "59b5e66808574c14a4115372afb75bd1"
#define MESSAGE_SETTING_PENDING_REBOOT_ID "85301bb238b94c398eda503f2dd8acdf"

/* What latencyd can do is less than all of it, or all of it again. */
#define MESSAGE_PERSISTENCE_ID	    "2720204b3fa84e60b48c2542f4b3e4de"
#define MESSAGE_PERSISTENCE_BACK_ID "21c59be6cc6844188afadc01126b083b"
#define MESSAGE_WATCHING_ID	    "db844be599bf4f0b8d024c5eb2b5cf5b"
#define MESSAGE_WATCHING_BACK_ID    "6e7f105db63e4591b5dd197bf307846b"

/* The document on disk against the one in force. */
#define MESSAGE_DOCUMENT_INVALID_ID  "cea7d373fb844f20adf4f087b89bebb6"
#define MESSAGE_DOCUMENT_CHANGED_ID  "486fdef50aef49ef8f501c2acd465138"
#define MESSAGE_DOCUMENT_IN_FORCE_ID "4d90ca03c4fc43de8b9855856640328b"

/* What a person did, and what a person should do. */
#define MESSAGE_PAUSED_ID    "a3ed253592f44ea5ba74d943b6162d4d"
#define MESSAGE_RESUMED_ID   "705461993ab24ccdb4bda6562387bf5d"
#define MESSAGE_REQUALIFY_ID "c0eb1519b7ce409cb40469c956617f94"

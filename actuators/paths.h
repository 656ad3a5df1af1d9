#pragma once
/* The files of our own, below the root. */
#define STATE_FOLDER   "/var/lib/latencyd"
#define RUN_FOLDER     "/run/latencyd"
#define ORIGINALS_FILE STATE_FOLDER "/originals.json"
#define REBOOTS_FILE   STATE_FOLDER "/reboots.json"
#define REFUSALS_FILE  RUN_FOLDER "/refusals.json"
#define BOOT_ID_FILE   "/proc/sys/kernel/random/boot_id"

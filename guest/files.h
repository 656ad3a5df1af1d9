#pragma once
/* The run folder of a launched guest: made, emptied, its log read. */
#include "state/error.h"

#define GUEST_LOG "qemu.log"
#define GUEST_QMP "qmp.sock"

/* Makes the folder (0700) and removes what a QEMU that no longer runs left in it. */
int guest_folder_make(const char *name, struct error *e);
/* Removes what was in the folder, and the folder where nothing else is in it. */
void guest_folder_clear(const char *name);
/* The new, empty log for QEMU's standard output, or negative errno. */
int guest_log_open(const char *name);
/*
 * That rules of ours were set since the boot, so that they are found when no guest wants one any
 * more. Without the mark nothing asks the kernel about its firewall: the mere question loads modules.
 */
int forwards_mark(bool set);
bool forwards_marked(void);
/* The end of what QEMU printed in one line of printable characters, malloc()ed; NULL: nothing. */
char *guest_log_words(const char *name);

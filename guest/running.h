#pragma once
/* Does the QEMU of a guest run now? Asked anew each time: nothing is remembered. */
#include "state/guest.h"

/*
 * Its pid; 0: it does not run; -EEXIST: a launched guest's name is that of a QEMU which latencyd
 * did not start; other negative errno: it cannot be told.
 */
int guest_running(const struct desired_guest *g, struct error *e);
/* The same for the launched guest @name by its pid file alone: other QEMUs of that name are not
 * looked for. */
int guest_launched(const char *name, struct error *e);
/* The command line of the process @pid as /proc has it: each argument ends with a NUL. malloc()ed.
 */
int guest_command_line(int pid, char **ret, size_t *ret_size);

#pragma once
/*
 * Running another program: an argument array, a clean environment, a timeout, and the end of what
 * it printed. The program is looked for below the root (actuators/root.h).
 */
#include "state/error.h"

/*
 * Runs argv[0] (an absolute path) to its end. @environment (NULL ended, may be NULL) is added to
 * PATH and LANG=C. Returns its exit code (0 is success, 128 + the signal that killed it), or
 * -ETIMEDOUT, -ENOENT and other errnos with *e when it could not be run. *ret_output (may be NULL)
 * is what it printed, malloc()ed, at most the last 64 KiB; set with every return value >= 0.
 */
int run_program(const char *const argv[], const char *const environment[], unsigned timeout_s,
		char **ret_output, struct error *e);

/* The last line of @output that is not empty (inside of it, for an error's text), or "". */
const char *run_last_line(char *output);

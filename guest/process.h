#pragma once
/*
 * Finding the QEMU of a guest. Paths below /proc and /run go through the root.
 */
#include "probes/sysroot.h"
#include "state/guest.h"

/*
 * The pid: of a launched guest by its pid file (and its command line, for pids are used again), of
 * an adopted one by its pid file or QEMU's `-name`. *ret in @a is known (text: the pid), absent, or
 * says what went wrong: two QEMUs of that name are unreadable (EEXIST).
 */
int guest_find_process(const struct sysroot *root, const struct desired_guest *g, struct arena *a,
		       struct fact *ret);

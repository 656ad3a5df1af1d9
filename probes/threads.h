#pragma once
/* One task as the kernel shows it, for whoever looks at threads of other processes. */
#include "probes/sysroot.h"

/*
 * The task whose files are in @folder ("/proc/PID" or "/proc/PID/task/TID"); texts in @a.
 * *ret_kernel: it is a kernel thread. -ENOENT and -ESRCH: it is gone; -EBADMSG: garbage.
 */
int probe_task(const struct sysroot *root, struct arena *a, const char *folder, unsigned tid,
	       struct observed_thread *ret, bool *ret_kernel);

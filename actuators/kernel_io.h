#pragma once
/*
 * The calls by which this folder changes a running kernel, as a table: a test replaces it to see
 * every errno that a kernel can answer with, and to act on a fake tree. All return 0 (or the bytes
 * written) or a negative errno.
 */
#include <sys/types.h>

#include "state/cpuset.h"

struct kernel_io {
	ssize_t (*write)(int fd, const char *path, const void *data, size_t size);
	int (*set_scheduler)(int pid, int policy, int priority);
	int (*set_affinity)(int pid, const struct cpuset *cpus);
	int (*mount_hugetlbfs)(const char *target, const char *options);
	int (*unmount)(const char *target);
};

extern const struct kernel_io kernel_io_live;
/* &kernel_io_live, except in tests. */
extern const struct kernel_io *kernel_io;

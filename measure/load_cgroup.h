#pragma once
/* A control group for a load, to know the CPU time of everything it started. cgroup v2. */
#include <stdint.h>

#include "probes/sysroot.h"

struct load_cgroup {
	char *path;  /* "/sys/fs/cgroup/latencyd-load-PID-N", or NULL: none could be made */
	char *procs; /* its cgroup.procs */
};
void load_cgroup_make(const struct sysroot *root, struct load_cgroup *ret);
/* CPU time used in it so far; -1 when it cannot be read. */
int64_t load_cgroup_usage_us(const struct sysroot *root, const struct load_cgroup *c);
void load_cgroup_remove(struct load_cgroup *c);

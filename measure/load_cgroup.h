#pragma once
/* A control group for a load, to know the CPU time and the place of everything it started.
 * cgroup v2. */
#include <stdint.h>
#include <sys/types.h>

#include "probes/sysroot.h"
#include "state/cpuset.h"

struct load_cgroup {
	char *path;  /* "/sys/fs/cgroup/latencyd-load-PID-N", or NULL: none could be made */
	char *procs; /* its cgroup.procs */
};
void load_cgroup_make(const struct sysroot *root, struct load_cgroup *ret);
/* CPU time used in it so far; -1 when it cannot be read. */
int64_t load_cgroup_usage_us(const struct sysroot *root, const struct load_cgroup *c);
/* Is there a thread in it that may run on other CPUs than @cpus? 1: its id in *ret_tid; 0: none, or
 * there is no group; -errno: that cannot be told. */
int load_cgroup_stray(const struct sysroot *root, const struct load_cgroup *c,
		      const struct cpuset *cpus, pid_t *ret_tid);
/* The same for one thread; one that has ended is nowhere. */
int thread_strays(pid_t tid, const struct cpuset *cpus);
void load_cgroup_remove(struct load_cgroup *c);

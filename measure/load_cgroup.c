/*
 * The one place of this room that changes the kernel's state beside files of its own: a cgroup of
 * the second version, made for one load and removed with it. It needs no controller: cpu.stat's
 * usage_usec is in every group. Without such a hierarchy, or without the right to it, there is none
 * and the caller counts by the processes' own times.
 */
#include "measure/load_cgroup.h"

#include <errno.h>
#include <sched.h>
#include <sys/stat.h>
#include <time.h>

#define CGROUPS "/sys/fs/cgroup"

void load_cgroup_make(const struct sysroot *root, struct load_cgroup *ret)
{
	static unsigned count;
	_cleanup_free_ char *controllers = NULL, *path = NULL, *procs = NULL;
	size_t size;

	*ret = (struct load_cgroup){ 0 };
	if (sysroot_read(root, CGROUPS "/cgroup.controllers", &controllers, &size) < 0)
		return;
	if (asprintf(&path, CGROUPS "/latencyd-load-%d-%u", (int)getpid(), count++) < 0) {
		path = NULL;
		return;
	}
	if (asprintf(&procs, "%s/cgroup.procs", path) < 0) {
		procs = NULL;
		return;
	}
	if (mkdir(path, 0755) < 0)
		return;
	ret->path = take_ptr(path);
	ret->procs = take_ptr(procs);
}

int64_t load_cgroup_usage_us(const struct sysroot *root, const struct load_cgroup *c)
{
	_cleanup_free_ char *path = NULL, *text = NULL;
	const char *value;
	size_t size;

	if (!c->path || asprintf(&path, "%s/cpu.stat", c->path) < 0) {
		path = NULL;
		return -1;
	}
	if (sysroot_read(root, path, &text, &size) < 0)
		return -1;
	value = strstr(text, "usage_usec ");
	return value ? strtoll(value + strlen("usage_usec "), NULL, 10) : -1;
}

int thread_strays(pid_t tid, const struct cpuset *cpus)
{
	cpu_set_t *set = CPU_ALLOC(CPUSET_MAX + 1);
	size_t size = CPU_ALLOC_SIZE(CPUSET_MAX + 1);
	int r = set ? 0 : -ENOMEM;

	if (r == 0) {
		CPU_ZERO_S(size, set);
		if (sched_getaffinity(tid, size, set) < 0) {
			r = errno == ESRCH ? 0 : -errno;
			CPU_ZERO_S(size, set);
		}
	}
	for (unsigned cpu = 0; r == 0 && cpu <= CPUSET_MAX; cpu++)
		r = CPU_ISSET_S(cpu, size, set) && !cpuset_has(cpus, cpu);
	CPU_FREE(set);
	return r;
}

/* A line of text a thread, each an id as this pid namespace knows it. */
int load_cgroup_stray(const struct sysroot *root, const struct load_cgroup *c,
		      const struct cpuset *cpus, pid_t *ret_tid)
{
	_cleanup_free_ char *path = NULL, *text = NULL;
	char *rest, *line;
	size_t size;
	int r;

	if (!c->path)
		return 0;
	if (asprintf(&path, "%s/cgroup.threads", c->path) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	r = sysroot_read(root, path, &text, &size);
	if (r < 0)
		return r;
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		pid_t tid = (pid_t)strtol(line, NULL, 10);

		r = tid > 0 ? thread_strays(tid, cpus) : -EBADMSG;
		if (r > 0)
			*ret_tid = tid;
		if (r != 0)
			return r;
	}
	return 0;
}

/* Processes that were just killed may still be in it. */
void load_cgroup_remove(struct load_cgroup *c)
{
	const struct timespec pause = { .tv_nsec = 20 * 1000 * 1000 };

	for (int i = 0; c->path && i < 50 && rmdir(c->path) < 0 && errno == EBUSY; i++)
		nanosleep(&pause, NULL);
	free(c->path);
	free(c->procs);
	*c = (struct load_cgroup){ 0 };
}

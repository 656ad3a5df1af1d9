/*
 * The live kernel's side of kernel_io.h. Everything but write() acts on the running machine
 * whatever the root is, so a root that is not "/" is refused here.
 */
#include "actuators/kernel_io.h"

#include <errno.h>
#include <sched.h>
#include <sys/mount.h>

#include "actuators/root.h"

static ssize_t live_write(int fd, const char *path, const void *data, size_t size)
{
	ssize_t n = write(fd, data, size);

	(void)path;
	return n < 0 ? -errno : n;
}

static int live_set_scheduler(int pid, int policy, int priority)
{
	struct sched_param param = { .sched_priority = priority };

	if (!root_is_live())
		return -EOPNOTSUPP;
	return sched_setscheduler(pid, policy, &param) < 0 ? -errno : 0;
}

static int live_set_affinity(int pid, const struct cpuset *cpus)
{
	long last = cpuset_last(cpus);
	size_t n_cpus = last < 0 ? 1 : (size_t)last + 1, size = CPU_ALLOC_SIZE(n_cpus);
	cpu_set_t *mask;
	int r;

	if (!root_is_live())
		return -EOPNOTSUPP;
	mask = CPU_ALLOC(n_cpus);
	if (!mask)
		return -ENOMEM;
	CPU_ZERO_S(size, mask);
	cpuset_for_each (cpu, cpus)
		CPU_SET_S((size_t)cpu, size, mask);
	r = sched_setaffinity(pid, size, mask) < 0 ? -errno : 0;
	CPU_FREE(mask);
	return r;
}

static int live_mount_hugetlbfs(const char *target, const char *options)
{
	if (!root_is_live())
		return -EOPNOTSUPP;
	return mount("hugetlbfs", target, "hugetlbfs", 0, options) < 0 ? -errno : 0;
}

static int live_unmount(const char *target)
{
	if (!root_is_live())
		return -EOPNOTSUPP;
	return umount2(target, UMOUNT_NOFOLLOW) < 0 ? -errno : 0;
}

const struct kernel_io kernel_io_live = {
	.write = live_write,
	.set_scheduler = live_set_scheduler,
	.set_affinity = live_set_affinity,
	.mount_hugetlbfs = live_mount_hugetlbfs,
	.unmount = live_unmount,
};
const struct kernel_io *kernel_io = &kernel_io_live;

/*
 * sched_setaffinity(2) with a mask as large as the machine needs: cpu_set_t stops at 1,024 CPUs.
 * The kernel may silently narrow what it is given (a cpuset), so the result is read back and must
 * be not empty and inside of what was asked for.
 */
#include "daemon/pin.h"

#include <errno.h>
#include <sched.h>

static cpu_set_t *to_mask(const struct cpuset *cpus, size_t *ret_size)
{
	unsigned n = (unsigned)cpuset_last(cpus) + 1;
	cpu_set_t *mask = CPU_ALLOC(n);

	if (!mask)
		return NULL;
	*ret_size = CPU_ALLOC_SIZE(n);
	CPU_ZERO_S(*ret_size, mask);
	cpuset_for_each (cpu, cpus)
		CPU_SET_S((size_t)cpu, *ret_size, mask);
	return mask;
}

/* The kernel refuses a mask smaller than its own with EINVAL: grow until it fits. */
static cpu_set_t *read_mask(unsigned *ret_n, int *ret_error)
{
	for (unsigned n = 1024; n <= CPUSET_MAX + 1; n *= 2) {
		cpu_set_t *mask = CPU_ALLOC(n);

		*ret_n = n;
		*ret_error = mask ? 0 : -ENOMEM;
		if (!mask || sched_getaffinity(0, CPU_ALLOC_SIZE(n), mask) == 0)
			return mask;
		*ret_error = -errno;
		CPU_FREE(mask);
		if (*ret_error != -EINVAL)
			break;
	}
	return NULL;
}

int pinned_to(struct cpuset *ret)
{
	_cleanup_cpuset_ struct cpuset cpus = { 0 };
	unsigned n = 0;
	int r = 0;
	cpu_set_t *mask = read_mask(&n, &r);

	if (!mask)
		return r;
	for (unsigned cpu = 0; cpu < n && r == 0; cpu++)
		if (CPU_ISSET_S(cpu, CPU_ALLOC_SIZE(n), mask))
			r = cpuset_add(&cpus, cpu);
	CPU_FREE(mask);
	if (r < 0)
		return r;
	*ret = cpus;
	cpus = (struct cpuset){ 0 };
	return 0;
}

int pin_to(const struct cpuset *cpus, struct error *e)
{
	_cleanup_cpuset_ struct cpuset now = { 0 };
	_cleanup_free_ char *list = cpuset_format_list(cpus);
	cpu_set_t *mask;
	size_t size;
	int r;

	if (cpuset_empty(cpus))
		return error_set(e, -EINVAL, "there is no housekeeping CPU online to run on");
	mask = to_mask(cpus, &size);
	if (!mask || !list) {
		CPU_FREE(mask);
		return error_set(e, -ENOMEM, "out of memory");
	}
	r = sched_setaffinity(0, size, mask) < 0 ? -errno : 0;
	CPU_FREE(mask);
	if (r == 0)
		r = pinned_to(&now);
	if (r < 0)
		return error_set(e, r, "cannot move to the housekeeping CPUs %s: %s", list,
				 strerror(-r));
	if (cpuset_empty(&now) || !cpuset_subset(&now, cpus))
		return error_set(e, -EBUSY,
				 "the kernel did not keep this process on the "
				 "housekeeping CPUs %s",
				 list);
	return 0;
}

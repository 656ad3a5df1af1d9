/*
 * One pass: first what everybody needs, then the files the rows name, then the groups that cost a
 * walk. Nothing is cached between passes: the kernel is the only truth.
 */
#include "probes/observe.h"

#include <errno.h>
#include <fcntl.h>

#include "probes/probe.h"
#include "state/settings.h"

#define ALL_GROUPS                                                               \
	(FACTS_IRQS | FACTS_THREADS | FACTS_NODES | FACTS_IOMMU | FACTS_MOUNTS | \
	 FACTS_IRQBALANCE | FACTS_PACKAGE)
#define CPUINFO		  "/proc/cpuinfo"
#define CPUINFO_BLOCK_MAX 65536

/* The first processor's block alone: the file of a large machine is megabytes of the same. */
static int read_cpuinfo_block(const struct sysroot *root, char *block, size_t room)
{
	_cleanup_close_ int fd = sysroot_openat(root, CPUINFO, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	size_t size = 0;
	ssize_t n;
	char *end;

	if (fd < 0)
		return fd;
	do {
		n = read(fd, block + size, room - 1 - size);
		if (n < 0)
			return -errno;
		size += (size_t)n;
		block[size] = '\0';
		end = strstr(block, "\n\n");
	} while (n > 0 && !end && size < room - 1);
	if (size == 0)
		return -EBADMSG;
	if (!end)
		end = block + size - (block[size - 1] == '\n');
	*end = '\0';
	return 0;
}

static int probe_cpuinfo(const struct sysroot *root, struct observed *o)
{
	_cleanup_free_ char *block = malloc(CPUINFO_BLOCK_MAX);
	int r;

	if (!block)
		return -ENOMEM;
	r = read_cpuinfo_block(root, block, CPUINFO_BLOCK_MAX);
	if (r >= 0)
		sysroot_saw_file(root, CPUINFO, block, strlen(block));
	o->cpuinfo = sysroot_outcome(&o->arena, CPUINFO, r, block);
	return fact_check(&o->cpuinfo);
}

static int probe_machine(const struct sysroot *root, struct observed *o)
{
	const struct {
		struct fact *fact;
		const char *path;
	} files[] = {
		{ &o->kernel_release, "/proc/sys/kernel/osrelease" },
		{ &o->kernel_version, "/proc/sys/kernel/version" },
		{ &o->cmdline, "/proc/cmdline" },
		{ &o->boot_id, "/proc/sys/kernel/random/boot_id" },
		{ &o->cpu_possible, "/sys/devices/system/cpu/possible" },
		{ &o->cpu_present, "/sys/devices/system/cpu/present" },
		{ &o->cpu_online, "/sys/devices/system/cpu/online" },
		{ &o->cpu_isolated, "/sys/devices/system/cpu/isolated" },
		{ &o->meminfo, "/proc/meminfo" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		*files[i].fact = sysroot_fact(root, &o->arena, files[i].path);
		if (fact_check(files[i].fact) < 0)
			return -ENOMEM;
	}
	return probe_cpuinfo(root, o);
}

/* Sets stay empty where the kernel did not say: the facts tell why. */
static int parse_cpus(struct observed *o)
{
	struct cpuset *const sets[] = { &o->possible, &o->present, &o->online };
	const struct fact *const facts[] = { &o->cpu_possible, &o->cpu_present, &o->cpu_online };
	long last = 0;

	for (size_t i = 0; i < ARRAY_SIZE(sets); i++) {
		if (fact_list(facts[i], 0, sets[i]) == -ENOMEM)
			return -ENOMEM;
		if (cpuset_last(sets[i]) > last)
			last = cpuset_last(sets[i]);
	}
	o->n_cpus = (unsigned)last + 1;
	return 0;
}

static int probe_groups(const struct sysroot *root, const struct desired *d, struct observed *o)
{
	const unsigned processes = FACTS_THREADS | FACTS_IRQBALANCE;
	int irqbalance = 0, r = 0;

	if (o->groups & FACTS_IRQS)
		r = probe_irqs(root, d ? &d->isolated : NULL, o);
	if (r >= 0 && o->groups & processes)
		r = probe_processes(root, o->groups, o, &irqbalance);
	if (r >= 0 && o->groups & FACTS_IRQBALANCE)
		r = probe_irqbalance(root, irqbalance, o);
	if (r >= 0 && o->groups & FACTS_NODES)
		r = probe_nodes(root, o);
	if (r >= 0 && o->groups & FACTS_IOMMU)
		r = probe_iommu(root, o);
	if (r >= 0 && o->groups & FACTS_MOUNTS)
		r = probe_mounts(root, o);
	if (r >= 0 && o->groups & FACTS_PACKAGE)
		r = probe_package(root, d ? desired_package(d) : NULL, o);
	return r;
}

int observe(const struct sysroot *root, const struct desired *d, struct observed *ret)
{
	struct observed o = { .groups = d ? settings_facts(d) : ALL_GROUPS };
	int r;

	r = probe_machine(root, &o);
	if (r >= 0)
		r = parse_cpus(&o);
	if (r >= 0)
		r = probe_files(root, d, &o);
	if (r >= 0)
		r = probe_boot(root, &o);
	if (r >= 0)
		r = probe_refusals(root, &o);
	if (r >= 0)
		r = probe_groups(root, d, &o);
	if (r < 0) {
		observed_done(&o);
		return r;
	}
	*ret = o;
	return 0;
}

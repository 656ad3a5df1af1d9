/*
 * /sys/devices/system/cpu and node, /proc/cpuinfo, /proc/meminfo.
 */
#include <errno.h>

#include "tests/trees/tree_internal.h"

#define CPU  "sys/devices/system/cpu"
#define NODE "sys/devices/system/node"

static void write_siblings(struct tree *t, unsigned cpu)
{
	_cleanup_cpuset_ struct cpuset siblings = { 0 };
	unsigned half = (unsigned)cpuset_count(&t->cpus.possible) / 2;
	unsigned other = cpu < half ? cpu + half : cpu - half;
	char path[128];

	if (cpuset_add(&siblings, cpu) < 0)
		t->result = -ENOMEM;
	if (t->spec->smt && cpuset_has(&t->cpus.online, other) && cpuset_add(&siblings, other) < 0)
		t->result = -ENOMEM;
	snprintf(path, sizeof(path), CPU "/cpu%u/topology/thread_siblings_list", cpu);
	tree_list(t, path, &siblings);
	snprintf(path, sizeof(path), CPU "/cpu%u/topology/core_id", cpu);
	tree_file(t, path, "%u\n", t->spec->smt ? cpu % half : cpu);
}

static void write_cstates(struct tree *t, unsigned cpu)
{
	static const char *const names[] = { "POLL", "C1", "C2" };
	bool limited = tree_applied(t->spec) && cpuset_has(&t->cpus.isolated, cpu);
	char path[128];

	for (unsigned i = 0; t->spec->cpuidle && i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), CPU "/cpu%u/cpuidle/state%u/name", cpu, i);
		tree_file(t, path, "%s\n", names[i]);
		snprintf(path, sizeof(path), CPU "/cpu%u/cpuidle/state%u/disable", cpu, i);
		tree_file(t, path, "%u\n", limited && i > 1);
	}
}

/* An offline CPU keeps its folder, without topology/ (drivers/base/topology.c). */
static void write_cpu(struct tree *t, unsigned cpu)
{
	bool online = cpuset_has(&t->cpus.online, cpu);
	char path[128];

	tree_folder(t, CPU "/cpu%u", cpu);
	snprintf(path, sizeof(path), CPU "/cpu%u/online", cpu);
	if (cpu != 0 || !online)
		tree_file(t, path, "%d\n", online);
	if (!online)
		return;
	write_siblings(t, cpu);
	write_cstates(t, cpu);
	if (tree_booted(t->spec))
		return; /* mce=off takes them away */
	snprintf(path, sizeof(path), "sys/devices/system/machinecheck/machinecheck%u/ignore_ce",
		 cpu);
	tree_file(t, path, "0\n");
}

static void write_cpuinfo(struct tree *t)
{
	struct tree_stream s;
	FILE *f = tree_stream(t, &s);

	if (!f)
		return;
	cpuset_for_each (cpu, &t->cpus.online)
		fprintf(f,
			"processor\t: %ld\nvendor_id\t: GenuineIntel\ncpu family\t: 6\n"
			"model\t\t: 106\nmodel name\t: Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz\n"
			"stepping\t: 6\nmicrocode\t: 0xd0003d1\ncpu MHz\t\t: 2000.000\n"
			"flags\t\t: fpu vme de pse tsc msr pae mce cx8 apic constant_tsc "
			"arch_perfmon rep_good nopl nonstop_tsc cpuid tsc_known_freq pdpe1gb "
			"tsc_deadline_timer x2apic\nbogomips\t: 4000.00\n\n",
			cpu);
	tree_stream_end(t, &s, "proc/cpuinfo");
}

void tree_write_cpus(struct tree *t)
{
	_cleanup_cpuset_ struct cpuset offline = { 0 }, none = { 0 };
	bool tuned = tree_booted(t->spec);

	if (cpuset_copy(&offline, &t->cpus.possible) < 0)
		t->result = -ENOMEM;
	cpuset_andnot(&offline, &t->cpus.online);
	tree_list(t, CPU "/possible", &t->cpus.possible);
	tree_list(t, CPU "/present", &t->cpus.present);
	tree_list(t, CPU "/online", &t->cpus.online);
	tree_list(t, CPU "/offline", &offline);
	tree_list(t, CPU "/isolated", tuned ? &t->cpus.isolated : &none);
	if (tuned)
		tree_list(t, CPU "/nohz_full", &t->cpus.isolated);
	else
		tree_file(t, CPU "/nohz_full",
			  "  (null)\n"); /* drivers/base/cpu.c, %*pbl of NULL */
	cpuset_for_each (cpu, &t->cpus.present)
		write_cpu(t, (unsigned)cpu);
	write_cpuinfo(t);
}

static void write_pool(struct tree *t, const struct tree_node *node, unsigned size_kib,
		       unsigned pages)
{
	static const char *const files[] = { "nr_hugepages", "free_hugepages" };
	char path[128];

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), NODE "/node%u/hugepages/hugepages-%ukB/%s", node->id,
			 size_kib, files[i]);
		tree_file(t, path, "%u\n", pages);
	}
}

/* The tuned machine has the one 1 GiB page that its document asks of the last node. */
static void write_node(struct tree *t, const struct tree_node *node, bool last)
{
	bool tuned = tree_applied(t->spec);
	char path[128];

	snprintf(path, sizeof(path), NODE "/node%u/cpulist", node->id);
	tree_file(t, path, "%s\n", node->cpus);
	snprintf(path, sizeof(path), NODE "/node%u/meminfo", node->id);
	tree_file(t, path, "Node %u MemTotal:       %8lu kB\nNode %u MemFree:        %8lu kB\n",
		  node->id, (unsigned long)node->memory_kib, node->id,
		  (unsigned long)node->memory_kib / 2);
	if (!node->memory_kib)
		return;
	write_pool(t, node, 2048, 0);
	write_pool(t, node, 1048576, tuned && last);
}

void tree_write_nodes(struct tree *t)
{
	_cleanup_cpuset_ struct cpuset ids = { 0 };
	unsigned long total = 0;

	for (size_t i = 0; i < t->spec->n_nodes; i++) {
		const struct tree_node *node = &t->spec->nodes[i];

		total += node->memory_kib;
		if (cpuset_add(&ids, node->id) < 0)
			t->result = -ENOMEM;
		write_node(t, node, i + 1 == t->spec->n_nodes);
	}
	if (t->spec->n_nodes) {
		tree_list(t, NODE "/online", &ids);
		tree_list(t, NODE "/possible", &ids);
	}
	tree_file(t, "proc/meminfo",
		  "MemTotal:       %8lu kB\nMemFree:        %8lu kB\nHugePages_Total:   %5d\n"
		  "Hugepagesize:    %7d kB\n",
		  total, total / 2, tree_booted(t->spec), tree_booted(t->spec) ? 1048576 : 2048);
}

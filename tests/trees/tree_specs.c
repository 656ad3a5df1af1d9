/*
 * The named machines, each for what is unusual about it.
 */
#include "tests/trees/tree.h"

#define GIB ((uint64_t)1 << 20) /* in KiB */

#define NODES(...)                                          \
	.nodes = (const struct tree_node[]){ __VA_ARGS__ }, \
	.n_nodes = ARRAY_SIZE(((const struct tree_node[]){ __VA_ARGS__ }))

const struct tree_spec tree_specs[] = {
	{
		.name = "small",
		.about = "one CPU, one node",
		.possible = "0",
		NODES({ 0, "0", 1 * GIB }),
		.n_irqs = 8,
	},
	{
		.name = "vm",
		.about = "the lab's machine, untuned: 4 CPUs, 2 nodes, 64 IRQs",
		.possible = "0-3",
		.isolated = "2-3",
		NODES({ 0, "0-1", 2 * GIB }, { 1, "2-3", 2 * GIB }),
		.n_irqs = 64,
		.irqbalance = true,
	},
	{
		.name = "vm-pending",
		.about = "the same, waiting for its reboot",
		.possible = "0-3",
		.isolated = "2-3",
		NODES({ 0, "0-1", 2 * GIB }, { 1, "2-3", 2 * GIB }),
		.n_irqs = 64,
		.irqbalance = true,
		.stage = TREE_PENDING,
	},
	{
		.name = "vm-tuned",
		.about = "the same, converged",
		.possible = "0-3",
		.isolated = "2-3",
		NODES({ 0, "0-1", 2 * GIB }, { 1, "2-3", 2 * GIB }),
		.n_irqs = 64,
		.irqbalance = true,
		.stage = TREE_TUNED,
	},
	{
		.name = "smt",
		.about = "16 threads of 8 cores",
		.possible = "0-15",
		.isolated = "2-7,10-15",
		.smt = true,
		NODES({ 0, "0-15", 64 * GIB }),
		.n_irqs = 80,
		.cpuidle = true,
	},
	{
		.name = "holes",
		.about = "holes in the CPU and node numbers, more possible than present",
		.possible = "0-15",
		.present = "0-3,8-11",
		.isolated = "2-3,10-11",
		NODES({ 0, "0-3", 8 * GIB }, { 4, "8-11", 8 * GIB }),
		.n_irqs = 32,
	},
	{
		.name = "offline",
		.about = "CPUs 3 and 7 offline",
		.possible = "0-7",
		.online = "0-2,4-6",
		.isolated = "4-7",
		NODES({ 0, "0-2", 8 * GIB }, { 1, "4-6", 8 * GIB }),
		.n_irqs = 32,
		.cpuidle = true,
	},
	{
		.name = "cpu0-offline",
		.about = "CPU 0 offline",
		.possible = "0-3",
		.online = "1-3",
		.isolated = "2-3",
		NODES({ 0, "1-3", 4 * GIB }),
		.n_irqs = 16,
	},
	{
		.name = "interleaved",
		.about = "even CPUs on one node, odd ones on the other",
		.possible = "0-7",
		.isolated = "4-7",
		NODES({ 0, "0,2,4,6", 8 * GIB }, { 1, "1,3,5,7", 8 * GIB }),
		.n_irqs = 32,
		.stage = TREE_TUNED,
	},
	{
		.name = "memory-only-node",
		.about = "a node without CPUs and one without memory",
		.possible = "0-3",
		.isolated = "2-3",
		NODES({ 0, "0-1", 4 * GIB }, { 1, "2-3", 0 }, { 2, "", 16 * GIB }),
		.n_irqs = 16,
	},
	{
		.name = "overlapping-nodes",
		.about = "CPUs that two nodes name",
		.possible = "0-7",
		.isolated = "6-7",
		NODES({ 0, "0-5", 8 * GIB }, { 1, "2-7", 8 * GIB }),
		.n_irqs = 16,
	},
	{
		.name = "irqs-2000",
		.about = "72 CPUs and 2,000 IRQs, tuned as the large telecom hosts are",
		.possible = "0-71",
		.isolated = "22-35,58-71",
		.smt = true,
		NODES({ 0, "0-17,36-53", 96 * GIB }, { 1, "18-35,54-71", 96 * GIB }),
		.n_irqs = 2000,
		.irqbalance = true,
		.stage = TREE_TUNED,
	},
	{
		.name = "large",
		.about = "1,024 CPUs and 16,384 IRQs: for figures (180 MB of /proc/interrupts)",
		.possible = "0-1023",
		.isolated = "64-1023",
		.smt = true,
		NODES({ 0, "0-127,512-639", 512 * GIB }, { 1, "128-255,640-767", 512 * GIB },
		      { 2, "256-383,768-895", 512 * GIB }, { 3, "384-511,896-1023", 512 * GIB }),
		.n_irqs = 16384,
		.stage = TREE_TUNED,
	},
	{
		.name = "bare",
		.about = "nearly every file is absent",
		.possible = "0",
		.bare = true,
	},
};
const size_t n_tree_specs = ARRAY_SIZE(tree_specs);

const struct tree_spec *tree_spec_by_name(const char *name)
{
	for (size_t i = 0; i < n_tree_specs; i++)
		if (streq(tree_specs[i].name, name))
			return &tree_specs[i];
	return NULL;
}

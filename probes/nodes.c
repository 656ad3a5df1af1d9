/*
 * NUMA nodes as /sys/devices/system/node shows them: numbers may have holes, a node may have no
 * CPU (its cpulist is then known and empty) or no memory. Pools are read per node, because only
 * there do they say where the pages are.
 */
#include "probes/probe.h"

#include <errno.h>

#define NODES "/sys/devices/system/node"

/* "Node 0 MemTotal:        2015120 kB"; 0 when it does not say so. */
static uint64_t parse_memory(const char *text)
{
	const char *p = strstr(text, "MemTotal:");
	char *end;
	unsigned long long kib;

	if (!p)
		return 0;
	p += strlen("MemTotal:");
	kib = strtoull(p, &end, 10);
	return end != p && after_prefix(end, " kB") ? kib : 0;
}

static int probe_pool(const struct sysroot *root, struct observed *o, const char *folder,
		      unsigned size_kib, struct observed_pool *pool)
{
	char path[160];

	pool->size_kib = size_kib;
	snprintf(path, sizeof(path), "%s/hugepages-%ukB/nr_hugepages", folder, size_kib);
	pool->total = sysroot_fact(root, &o->arena, path);
	snprintf(path, sizeof(path), "%s/hugepages-%ukB/free_hugepages", folder, size_kib);
	pool->free = sysroot_fact(root, &o->arena, path);
	return fact_check(&pool->total) < 0 ? -ENOMEM : fact_check(&pool->free);
}

/* A node without the folder has no pools: the kernel has no hugetlbfs, or the node no memory. */
static int probe_pools(const struct sysroot *root, struct observed *o, struct observed_node *node)
{
	_cleanup_free_ unsigned *sizes = NULL;
	struct observed_pool *pool;
	char folder[96];
	size_t n;
	int r;

	snprintf(folder, sizeof(folder), NODES "/node%u/hugepages", node->id);
	r = sysroot_numbers(root, folder, "hugepages-", "kB", &sizes, &n);
	if (r == -ENOMEM)
		return r;
	if (r < 0 && r != -ENOENT) {
		o->nodes_fact = sysroot_outcome(&o->arena, folder, r, NULL);
		return fact_check(&o->nodes_fact);
	}
	for (size_t i = 0; r >= 0 && i < n; i++) {
		pool = arena_grow(&o->arena, &node->pools, &node->n_pools, sizeof(*pool));
		if (!pool || probe_pool(root, o, folder, sizes[i], pool) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int probe_node(const struct sysroot *root, struct observed *o, unsigned id)
{
	struct observed_node *node;
	struct fact memory;
	char path[96];

	node = arena_grow(&o->arena, &o->nodes, &o->n_nodes, sizeof(*node));
	if (!node)
		return -ENOMEM;
	node->id = id;
	snprintf(path, sizeof(path), NODES "/node%u/cpulist", id);
	node->cpus = sysroot_fact(root, &o->arena, path);
	snprintf(path, sizeof(path), NODES "/node%u/meminfo", id);
	memory = sysroot_fact(root, &o->arena, path);
	if (fact_check(&node->cpus) < 0 || fact_check(&memory) < 0)
		return -ENOMEM;
	if (fact_known(&memory))
		node->memory_kib = parse_memory(memory.text);
	return probe_pools(root, o, node);
}

int probe_nodes(const struct sysroot *root, struct observed *o)
{
	_cleanup_free_ unsigned *ids = NULL;
	size_t n = 0;
	int r;

	r = sysroot_numbers(root, NODES, "node", "", &ids, &n);
	o->nodes_fact = sysroot_outcome(&o->arena, NODES, r, "");
	r = fact_check(&o->nodes_fact);
	for (size_t i = 0; r >= 0 && i < n; i++)
		r = probe_node(root, o, ids[i]);
	return r;
}

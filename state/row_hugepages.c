/*
 * hugepages: a list of pools {size, count, node}. The boot arguments reserve them (a gigantic page
 * can rarely be found later), the per-node counts are what is true, and each size has a hugetlbfs
 * mount. The first pool's size is the default size.
 *
 * A wrong default size can only be mended by a boot, which also makes the reservation: until then
 * no run-time allocation is tried.
 */
#include <errno.h>
#include <inttypes.h>

#include "state/row.h"
#include "state/rows.h"

#define ANY_NODE     (-1)
#define MOUNT_PREFIX "/dev/hugepages-"
/* What the rest of the machine keeps at the very least. */
#define ROOM_KIB (512 * 1024)

struct pool {
	uint64_t size_kib;
	uint64_t count;
	int64_t node; /* or ANY_NODE */
	struct mark at;
};

struct hugepages_value {
	const char *source;
	struct pool *pools;
	size_t n_pools;
};

static int parse_pool_size(struct doc *doc, const struct yaml_node *node, void *target)
{
	return doc_size_kib(doc, node, &((struct pool *)target)->size_kib);
}

static int parse_pool_count(struct doc *doc, const struct yaml_node *node, void *target)
{
	return doc_unsigned(doc, node, 1, 1U << 24, &((struct pool *)target)->count);
}

static int parse_pool_node(struct doc *doc, const struct yaml_node *node, void *target)
{
	uint64_t id;
	int r = doc_unsigned(doc, node, 0, 1023, &id);

	if (!r)
		((struct pool *)target)->node = (int64_t)id;
	return r;
}

/* Pools of one size all name a node, or there is one pool of that size for the whole machine. */
static int refuse_clash(struct doc *doc, const struct yaml_node *node,
			const struct hugepages_value *v, const struct pool *pool)
{
	for (const struct pool *p = v->pools; p < pool; p++) {
		if (p->size_kib != pool->size_kib)
			continue;
		if (p->node == pool->node)
			return doc_error(doc, node, "this size and node are listed twice");
		if (p->node == ANY_NODE || pool->node == ANY_NODE)
			return doc_error(doc, node, "pools of one size must all name their node");
	}
	return 0;
}

static int hugepages_parse(struct doc *doc, const struct yaml_node *node, const struct setting *s,
			   const void **ret)
{
	static const struct doc_key keys[] = {
		{ .name = "size", .parse = parse_pool_size, .required = true },
		{ .name = "count", .parse = parse_pool_count, .required = true },
		{ .name = "node", .parse = parse_pool_node },
	};
	struct hugepages_value *v = arena_alloc(doc->arena, sizeof(*v));

	(void)s;
	if (!v)
		return -ENOMEM;
	v->source = doc->source;
	if (node->kind != YAML_SEQUENCE || !node->n_items)
		return doc_error(doc, node,
				 "expected a list of pools, e.g. [{size: 1G, count: 4, node: 0}]");
	for (size_t i = 0; i < node->n_items; i++) {
		struct pool *pool =
			arena_grow(doc->arena, &v->pools, &v->n_pools, sizeof(*v->pools));
		int r;

		if (!pool)
			return -ENOMEM;
		pool->node = ANY_NODE;
		pool->at = node->items[i]->at;
		r = doc_mapping(doc, node->items[i], keys, ARRAY_SIZE(keys), pool);
		if (!r)
			r = refuse_clash(doc, node->items[i], v, pool);
		if (r < 0)
			return r;
	}
	*ret = v;
	return 0;
}

static const struct observed_node *find_node(const struct observed *o, int64_t id)
{
	for (size_t i = 0; i < o->n_nodes; i++)
		if (o->nodes[i].id == id)
			return &o->nodes[i];
	return NULL;
}

static int refuse(const struct hugepages_value *v, const struct pool *pool, struct error *e,
		  const char *what, uint64_t have_kib)
{
	error_set(e, -EINVAL, "%s:%u:%u: %s (%" PRIu64 " MiB)", v->source, pool->at.line,
		  pool->at.column, what, have_kib / 1024);
	return error_todo(e, "ask for fewer pages; at least %d MiB must be left for the rest",
			  ROOM_KIB / 1024);
}

static int hugepages_check(const struct setting *s, const void *value, const struct desired *d,
			   const struct observed *o, struct error *e)
{
	const struct hugepages_value *v = value;
	uint64_t total_kib = 0, wanted_kib = 0;

	(void)s, (void)d;
	for (size_t i = 0; i < o->n_nodes; i++)
		total_kib += o->nodes[i].memory_kib;
	for (size_t i = 0; i < v->n_pools; i++) {
		const struct pool *pool = &v->pools[i];
		const struct observed_node *node = find_node(o, pool->node);
		uint64_t on_node = 0;

		wanted_kib += pool->count * pool->size_kib;
		for (size_t j = 0; j <= i; j++)
			if (v->pools[j].node == pool->node)
				on_node += v->pools[j].count * v->pools[j].size_kib;
		if (pool->node != ANY_NODE && fact_known(&o->nodes_fact) && !node)
			return error_set(e, -EINVAL, "%s:%u:%u: this machine has no NUMA node %d",
					 v->source, pool->at.line, pool->at.column,
					 (int)pool->node);
		if (node && node->memory_kib && on_node > node->memory_kib)
			return refuse(v, pool, e, "more huge pages than the node has memory",
				      node->memory_kib);
		if (total_kib && wanted_kib + ROOM_KIB > total_kib)
			return refuse(v, pool, e, "the huge pages leave no room in memory",
				      total_kib);
	}
	return 0;
}

/* "0:4,1:2", or "4" when no node is named or the kernel (before 5.16) cannot take nodes. */
static const char *boot_count(const struct hugepages_value *v, uint64_t size_kib, bool by_node,
			      struct arena *a)
{
	const char *text = "";
	uint64_t total = 0;

	for (size_t i = 0; i < v->n_pools; i++) {
		const struct pool *p = &v->pools[i];

		if (p->size_kib != size_kib)
			continue;
		total += p->count;
		if (p->node == ANY_NODE)
			by_node = false;
		text = arena_printf(a, "%s%s%d:%" PRIu64, text, *text ? "," : "", (int)p->node,
				    p->count);
		if (!text)
			return NULL;
	}
	return by_node ? text : arena_printf(a, "%" PRIu64, total);
}

static bool size_seen_before(const struct hugepages_value *v, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (v->pools[j].size_kib == v->pools[i].size_kib)
			return true;
	return false;
}

static int hugepages_intent(const struct setting *s, const void *value, const struct desired *d,
			    const struct observed *o, struct arena *a, struct boot_intent *b)
{
	const struct hugepages_value *v = value;
	bool by_node = version_at_least(next_kernel_version(o), 5, 16);
	char *size = format_size_kib(a, v->pools[0].size_kib);
	int r = size ? boot_intent_add(a, b, s, "default_hugepagesz", size) : -ENOMEM;

	(void)d;
	for (size_t i = 0; r >= 0 && i < v->n_pools; i++) {
		const char *count;

		if (size_seen_before(v, i))
			continue;
		size = format_size_kib(a, v->pools[i].size_kib);
		count = boot_count(v, v->pools[i].size_kib, by_node, a);
		if (!size || !count)
			return -ENOMEM;
		r = boot_intent_add(a, b, s, "hugepagesz", size);
		if (r >= 0)
			r = boot_intent_add(a, b, s, "hugepages", count);
	}
	return r;
}

/* The number after "Hugepagesize:" in /proc/meminfo, KiB. */
static int default_size_kib(const struct observed *o, uint64_t *ret)
{
	const char *line =
		fact_known(&o->meminfo) ? strstr(o->meminfo.text, "Hugepagesize:") : NULL;
	char *end;

	if (!line)
		return -ENODATA;
	line += strlen("Hugepagesize:");
	*ret = strtoull(line, &end, 10);
	return end == line ? -EBADMSG : 0;
}

static const struct observed_pool *find_pool(const struct observed_node *node, uint64_t size_kib)
{
	for (size_t i = 0; node && i < node->n_pools; i++)
		if (node->pools[i].size_kib == size_kib)
			return &node->pools[i];
	return NULL;
}

/* Pages of the pool now: on its node, or on all. -ENODATA with *ret_bad the fact in the way. */
static int pool_total(const struct pool *pool, const struct observed *o, uint64_t *ret,
		      const struct fact **ret_bad)
{
	uint64_t total = 0;
	bool found = false;

	*ret_bad = &o->nodes_fact;
	if (!fact_known(&o->nodes_fact))
		return -ENODATA;
	for (size_t i = 0; i < o->n_nodes; i++) {
		const struct observed_pool *p;
		int64_t pages;

		if (pool->node != ANY_NODE && pool->node != o->nodes[i].id)
			continue;
		p = find_pool(&o->nodes[i], pool->size_kib);
		if (!p)
			continue;
		*ret_bad = &p->total;
		if (fact_number(&p->total, &pages) < 0 || pages < 0)
			return -ENODATA;
		total += (uint64_t)pages;
		found = true;
	}
	if (!found)
		return -ENOENT;
	*ret = total;
	return 0;
}

static bool is_mounted(const struct observed *o, uint64_t size_kib)
{
	uint64_t default_kib = 0;

	(void)default_size_kib(o, &default_kib);
	for (size_t i = 0; i < o->n_mounts; i++) {
		uint64_t kib = o->mounts[i].page_size_kib;

		if ((kib ? kib : default_kib) == size_kib)
			return true;
	}
	return false;
}

static int judge_pool(const struct pool *pool, const struct observed *o, struct report *r,
		      struct setting_verdict *v)
{
	struct verdict_item *item = verdict_item_add(r, v);
	const struct fact *bad;
	uint64_t total;
	int k;

	if (!item)
		return -ENOMEM;
	item->name = format_size_kib(&r->arena, pool->size_kib);
	item->id = pool->node == ANY_NODE ? "all nodes"
					  : arena_printf(&r->arena, "node%d", (int)pool->node);
	item->want = arena_printf(&r->arena, "%" PRIu64, pool->count);
	if (!item->name || !item->id || !item->want)
		return -ENOMEM;
	k = pool_total(pool, o, &total, &bad);
	if (k == -ENOENT) {
		item->live = "absent";
		item->verdict = VERDICT_UNFIXABLE;
		return verdict_worsen(r, v, VERDICT_UNFIXABLE,
				      "this machine has no huge pages of %s on %s", item->name,
				      item->id);
	}
	if (k < 0) {
		item->live = fact_show(&r->arena, bad);
		item->verdict = VERDICT_UNKNOWN;
		return verdict_unknown(r, v, bad);
	}
	item->live = arena_printf(&r->arena, "%" PRIu64, total);
	if (!item->live)
		return -ENOMEM;
	if (total == pool->count)
		return 0;
	item->verdict = VERDICT_DRIFTED;
	return verdict_worsen(r, v, VERDICT_DRIFTED, "%s has %s huge pages of %s, not %s", item->id,
			      item->live, item->name, item->want);
}

static int judge_pools(const struct hugepages_value *want, const struct observed *o,
		       struct report *r, struct setting_verdict *v)
{
	v->want = v->live = "";
	for (size_t i = 0; i < want->n_pools; i++) {
		const struct verdict_item *item;
		int k = judge_pool(&want->pools[i], o, r, v);

		if (k < 0)
			return k;
		item = &v->items[v->n_items - 1];
		v->want = arena_printf(&r->arena, "%s%s%s %s on %s", v->want, i ? ", " : "",
				       item->want, item->name, item->id);
		v->live = arena_printf(&r->arena, "%s%s%s %s on %s", v->live, i ? ", " : "",
				       item->live, item->name, item->id);
		if (!v->want || !v->live)
			return -ENOMEM;
	}
	return 0;
}

static int judge_mounts(const struct hugepages_value *want, const struct observed *o,
			struct report *r, struct setting_verdict *v)
{
	if (!fact_known(&o->mounts_fact))
		return verdict_unknown(r, v, &o->mounts_fact);
	for (size_t i = 0; i < want->n_pools; i++) {
		const char *size;
		int k;

		if (is_mounted(o, want->pools[i].size_kib))
			continue;
		size = format_size_kib(&r->arena, want->pools[i].size_kib);
		k = verdict_worsen(r, v, VERDICT_DRIFTED,
				   "no hugetlbfs is mounted with pagesize=%s", size ? size : "?");
		if (k < 0)
			return k;
	}
	return 0;
}

static int hugepages_judge(const struct setting *s, const void *value, const struct desired *d,
			   const struct observed *o, struct report *r, struct setting_verdict *v)
{
	const struct hugepages_value *want = value;
	struct fact size_fact = o->meminfo;
	uint64_t size_kib;
	int k;

	(void)s, (void)d;
	k = judge_pools(want, o, r, v);
	if (k >= 0)
		k = judge_mounts(want, o, r, v);
	if (k < 0)
		return k;
	if (default_size_kib(o, &size_kib) < 0)
		return verdict_unknown(r, v, &o->meminfo);
	size_fact.text = format_size_kib(&r->arena, size_kib);
	if (!size_fact.text || verdict_evidence(r, v, &size_fact) < 0)
		return -ENOMEM;
	if (size_kib == want->pools[0].size_kib)
		return 0;
	return verdict_worsen(r, v, VERDICT_PENDING_REBOOT,
			      "the default huge page size is %s, not %s", size_fact.text,
			      format_size_kib(&r->arena, want->pools[0].size_kib));
}

static int plan_pool(const struct setting *s, const struct pool *pool, const struct observed *o,
		     struct plan *p)
{
	const struct fact *bad;
	uint64_t total;
	const char *path, *want;

	if (pool_total(pool, o, &total, &bad) < 0 || total == pool->count)
		return 0;
	/* Without a node the machine-wide file spreads the pages over the nodes. */
	if (pool->node == ANY_NODE)
		path = arena_printf(&p->arena,
				    "/sys/kernel/mm/hugepages/hugepages-%" PRIu64 "kB/nr_hugepages",
				    pool->size_kib);
	else
		path = find_pool(find_node(o, pool->node), pool->size_kib)->total.path;
	want = arena_printf(&p->arena, "%" PRIu64, pool->count);
	if (!path || !want)
		return -ENOMEM;
	return plan_step(p, s, STEP_HUGEPAGES, path, arena_printf(&p->arena, "%" PRIu64, total),
			 want)
		       ? 0
		       : -ENOMEM;
}

static int hugepages_plan(const struct setting *s, const void *value, const struct desired *d,
			  const struct observed *o, struct plan *p)
{
	const struct hugepages_value *want = value;
	uint64_t size_kib;

	(void)d;
	if (default_size_kib(o, &size_kib) < 0 || size_kib != want->pools[0].size_kib)
		return 0;
	for (size_t i = 0; i < want->n_pools; i++) {
		const char *size = format_size_kib(&p->arena, want->pools[i].size_kib);
		const char *target = size ? arena_printf(&p->arena, MOUNT_PREFIX "%s", size) : NULL;
		struct step *step;
		int r = plan_pool(s, &want->pools[i], o, p);

		if (r < 0 || !target)
			return -ENOMEM;
		if (!fact_known(&o->mounts_fact) || size_seen_before(want, i) ||
		    is_mounted(o, want->pools[i].size_kib))
			continue;
		step = plan_step(p, s, STEP_MOUNT, target, NULL, size);
		if (!step)
			return -ENOMEM;
		step->size_kib = want->pools[i].size_kib;
	}
	return 0;
}

const struct setting setting_hugepages = {
	.name = "hugepages",
	.summary = "Huge pages are reserved on their NUMA nodes and a hugetlbfs of that size is "
		   "mounted",
	.doc = "Documentation/admin-guide/mm/hugetlbpage.rst",
	.values = "[{size: 1G, count: N, node: N}, ...]",
	.scope = SCOPE_BOTH,
	.disruption = DISRUPTION_REBOOT,
	.severity = SEVERITY_REQUIRED,
	.facts = FACTS_NODES | FACTS_MOUNTS,
	.parse = hugepages_parse,
	.intent = hugepages_intent,
	.judge = hugepages_judge,
	.plan = hugepages_plan,
	.check = hugepages_check,
};

int desired_hugepages(const struct desired *d, size_t i, uint64_t *ret_size_kib,
		      uint64_t *ret_count, int *ret_node)
{
	const struct hugepages_value *v = d->values[setting_index(&setting_hugepages)];

	if (!v || i >= v->n_pools)
		return -ENOENT;
	*ret_size_kib = v->pools[i].size_kib;
	*ret_count = v->pools[i].count;
	*ret_node = (int)v->pools[i].node;
	return 0;
}

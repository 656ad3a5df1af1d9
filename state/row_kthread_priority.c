/*
 * kthread_priority: the per-CPU kernel threads that a real-time task on an isolated CPU may have to
 * wait for run SCHED_FIFO at the asked priority: ksoftirqd, ktimers and rcuc of every isolated CPU
 * (the last one included) and rcub of every RCU node. Which of them exist depends on the kernel;
 * ksoftirqd always does, so a missing one is a failed reading.
 */
#include <errno.h>
#include <inttypes.h>
#include <sched.h>

#include "state/row.h"
#include "state/rows.h"

enum { KSOFTIRQD, KTIMERS, RCUC, RCUB, N_FAMILIES };

static const struct family {
	const char *prefix;
	bool per_cpu;
	unsigned realtime; /* the priority that `realtime` means */
} families[N_FAMILIES] = {
	[KSOFTIRQD] = { .prefix = "ksoftirqd/", .per_cpu = true, .realtime = 2 },
	[KTIMERS] = { .prefix = "ktimers/", .per_cpu = true, .realtime = 2 },
	[RCUC] = { .prefix = "rcuc/", .per_cpu = true, .realtime = 4 },
	[RCUB] = { .prefix = "rcub/", .per_cpu = false, .realtime = 4 },
};

struct priority_value {
	unsigned priority[N_FAMILIES]; /* 0: leave alone */
};

static int parse_priority(struct doc *doc, const struct yaml_node *node, unsigned *ret)
{
	uint64_t n;
	int r = doc_unsigned(doc, node, 1, 99, &n);

	if (!r)
		*ret = (unsigned)n;
	return r;
}

static int parse_ksoftirqd(struct doc *doc, const struct yaml_node *node, void *target)
{
	return parse_priority(doc, node, &((struct priority_value *)target)->priority[KSOFTIRQD]);
}

static int parse_ktimers(struct doc *doc, const struct yaml_node *node, void *target)
{
	return parse_priority(doc, node, &((struct priority_value *)target)->priority[KTIMERS]);
}

static int parse_rcuc(struct doc *doc, const struct yaml_node *node, void *target)
{
	return parse_priority(doc, node, &((struct priority_value *)target)->priority[RCUC]);
}

static int parse_rcub(struct doc *doc, const struct yaml_node *node, void *target)
{
	return parse_priority(doc, node, &((struct priority_value *)target)->priority[RCUB]);
}

static int priority_parse(struct doc *doc, const struct yaml_node *node, const struct setting *s,
			  const void **ret)
{
	static const struct doc_key keys[] = {
		{ .name = "ksoftirqd", .parse = parse_ksoftirqd },
		{ .name = "ktimers", .parse = parse_ktimers },
		{ .name = "rcuc", .parse = parse_rcuc },
		{ .name = "rcub", .parse = parse_rcub },
	};
	static const char *const names[] = { "realtime", NULL };
	struct priority_value *value = arena_alloc(doc->arena, sizeof(*value));
	int choice, r;

	(void)s;
	if (!value)
		return -ENOMEM;
	if (node->kind == YAML_MAPPING) {
		r = doc_mapping(doc, node, keys, ARRAY_SIZE(keys), value);
	} else {
		r = doc_choice(doc, node, names, &choice);
		for (size_t i = 0; i < N_FAMILIES; i++)
			value->priority[i] = families[i].realtime;
	}
	if (r < 0)
		return r;
	*ret = value;
	return 0;
}

/* The priority that this thread shall have; 0 when it is none of ours. */
static unsigned wanted_priority(const struct priority_value *value, const struct desired *d,
				const struct observed_thread *t)
{
	for (size_t i = 0; i < N_FAMILIES; i++) {
		const char *rest = after_prefix(t->comm, families[i].prefix);

		if (!rest)
			continue;
		if (families[i].per_cpu &&
		    !cpuset_has(&d->isolated, (unsigned)strtoul(rest, NULL, 10)))
			return 0;
		return value->priority[i];
	}
	return 0;
}

static bool has_priority(const struct observed_thread *t, unsigned priority)
{
	return t->policy == SCHED_FIFO && t->priority == (int)priority;
}

static const char *policy_text(struct arena *a, int policy, int priority)
{
	switch (policy) {
	case SCHED_OTHER:
		return "SCHED_OTHER";
	case SCHED_FIFO:
		return arena_printf(a, "SCHED_FIFO %d", priority);
	case SCHED_RR:
		return arena_printf(a, "SCHED_RR %d", priority);
	default:
		return arena_printf(a, "policy %d priority %d", policy, priority);
	}
}

static int judge_thread(const struct observed_thread *t, unsigned priority, struct report *r,
			struct setting_verdict *v)
{
	struct verdict_item *item = verdict_item_add(r, v);

	if (!item)
		return -ENOMEM;
	item->id = arena_printf(&r->arena, "%d", t->pid);
	item->name = t->comm;
	item->live = policy_text(&r->arena, t->policy, t->priority);
	item->want = policy_text(&r->arena, SCHED_FIFO, (int)priority);
	if (!item->id || !item->live || !item->want)
		return -ENOMEM;
	if (has_priority(t, priority))
		return 0;
	item->verdict = VERDICT_DRIFTED;
	if (!v->n_evidence) { /* one is enough: every thread is an item */
		const struct fact stat = {
			.state = FACT_KNOWN,
			.path = arena_printf(&r->arena, "/proc/%d/stat", t->pid),
			.text = item->live,
		};

		if (!stat.path || verdict_evidence(r, v, &stat) < 0)
			return -ENOMEM;
	}
	return verdict_worsen(r, v, VERDICT_DRIFTED, "%s runs %s, not %s", t->comm, item->live,
			      item->want);
}

/* Every isolated CPU that is online has a ksoftirqd, or the threads were not all seen. */
static int judge_all_seen(const struct desired *d, const struct observed *o, struct report *r,
			  struct setting_verdict *v)
{
	_cleanup_cpuset_ struct cpuset missing = { 0 };

	if (cpuset_copy(&missing, &d->isolated) < 0)
		return -ENOMEM;
	cpuset_and(&missing, &o->online);
	for (size_t i = 0; i < o->n_threads; i++) {
		const char *cpu = after_prefix(o->threads[i].comm, families[KSOFTIRQD].prefix);

		if (cpu)
			cpuset_remove(&missing, (unsigned)strtoul(cpu, NULL, 10));
	}
	if (cpuset_empty(&missing))
		return 0;
	return verdict_worsen(r, v, VERDICT_UNKNOWN, "cannot tell: no ksoftirqd seen for CPU %s",
			      list_text(&r->arena, &missing));
}

static int priority_judge(const struct setting *s, const void *value, const struct desired *d,
			  const struct observed *o, struct report *r, struct setting_verdict *v)
{
	size_t wrong = 0;
	int k;

	(void)s;
	if (!fact_known(&o->threads_fact))
		return verdict_unknown(r, v, &o->threads_fact);
	for (size_t i = 0; i < o->n_threads; i++) {
		unsigned priority = wanted_priority(value, d, &o->threads[i]);

		if (!priority)
			continue;
		k = judge_thread(&o->threads[i], priority, r, v);
		if (k < 0)
			return k;
		wrong += v->items[v->n_items - 1].verdict != VERDICT_CONVERGED;
	}
	v->want = "SCHED_FIFO as asked";
	v->live = arena_printf(&r->arena, "%zu of %zu threads otherwise", wrong, v->n_items);
	if (!v->live)
		return -ENOMEM;
	return judge_all_seen(d, o, r, v);
}

static int priority_plan(const struct setting *s, const void *value, const struct desired *d,
			 const struct observed *o, struct plan *p)
{
	for (size_t i = 0; i < o->n_threads; i++) {
		const struct observed_thread *t = &o->threads[i];
		unsigned priority = wanted_priority(value, d, t);
		struct step *step;

		if (!priority || has_priority(t, priority))
			continue;
		step = plan_step(p, s, STEP_THREAD, t->comm,
				 policy_text(&p->arena, t->policy, t->priority),
				 policy_text(&p->arena, SCHED_FIFO, (int)priority));
		if (!step)
			return -ENOMEM;
		step->number = (unsigned)t->pid;
		step->name = step->target;
		step->policy = SCHED_FIFO;
		step->priority = (int)priority;
	}
	return 0;
}

const struct setting setting_kthread_priority = {
	.name = "kthread_priority",
	.summary = "ksoftirqd, ktimers, rcuc and rcub of isolated CPUs run SCHED_FIFO",
	.doc = "Documentation/admin-guide/kernel-per-CPU-kthreads.rst",
	.values = "realtime, or {ksoftirqd: N, ktimers: N, rcuc: N, rcub: N}",
	.scope = SCOPE_RUNTIME,
	.disruption = DISRUPTION_NONE,
	.severity = SEVERITY_REQUIRED,
	.facts = FACTS_THREADS,
	.parse = priority_parse,
	.judge = priority_judge,
	.plan = priority_plan,
};

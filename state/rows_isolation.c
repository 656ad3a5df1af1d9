/*
 * cpu_isolation, tick_offload, rcu_offload: the three boot arguments that carry the isolated set.
 * Each is judged by what the kernel made of it (cpu/isolated, cpu/nohz_full, the rcuo threads), not
 * by the argument alone.
 */
#include <errno.h>

#include "state/row.h"
#include "state/rows.h"

struct isolation_value {
	unsigned flags;	     /* enum isolcpus_flag */
	const char *ordered; /* "managed_irq,domain," as it goes before the list */
};

static const struct {
	const char *name;
	unsigned flag;
} isolation_flags[] = {
	{ .name = "managed_irq", .flag = ISOLCPUS_MANAGED_IRQ },
	{ .name = "domain", .flag = ISOLCPUS_DOMAIN },
	{ .name = "nohz", .flag = ISOLCPUS_NOHZ },
};

static int isolation_parse(struct doc *doc, const struct yaml_node *node, const struct setting *s,
			   const void **ret)
{
	static const char *const names[] = { "managed_irq", "domain", "nohz", NULL };
	struct isolation_value *value = arena_alloc(doc->arena, sizeof(*value));

	(void)s;
	if (!value)
		return -ENOMEM;
	if (node->kind != YAML_SEQUENCE || !node->n_items)
		return doc_error(doc, node,
				 "expected a list of isolcpus flags, e.g. "
				 "[domain, managed_irq]");
	for (size_t i = 0; i < node->n_items; i++) {
		int choice, r = doc_choice(doc, node->items[i], names, &choice);

		if (r < 0)
			return r;
		if (value->flags & isolation_flags[choice].flag)
			return doc_error(doc, node->items[i], "\"%s\" is said twice",
					 names[choice]);
		value->flags |= isolation_flags[choice].flag;
	}
	value->ordered = "";
	for (size_t i = 0; i < ARRAY_SIZE(isolation_flags); i++) {
		if (value->flags & isolation_flags[i].flag)
			value->ordered = arena_printf(doc->arena, "%s%s,", value->ordered,
						      isolation_flags[i].name);
		if (!value->ordered)
			return -ENOMEM;
	}
	*ret = value;
	return 0;
}

static int isolation_intent(const struct setting *s, const void *value, const struct desired *d,
			    const struct observed *o, struct arena *a, struct boot_intent *b)
{
	const struct isolation_value *want = value;
	const char *list = list_text(a, &d->isolated);
	const char *text = list ? arena_printf(a, "%s%s", want->ordered, list) : NULL;

	(void)o;
	return text ? boot_intent_add(a, b, s, "isolcpus", text) : -ENOMEM;
}

/* The live set of a cpulist file against @want; v->live is its text. */
static int judge_set(const struct fact *f, const struct desired *d, const struct observed *o,
		     const struct cpuset *want, struct report *r, struct setting_verdict *v)
{
	_cleanup_cpuset_ struct cpuset live = { 0 };
	const char *wanted = list_text(&r->arena, &d->isolated);
	int k = f ? verdict_evidence(r, v, f) : 0;

	if (k < 0 || !wanted)
		return -ENOMEM;
	k = f ? fact_list(f, o->n_cpus, &live) : -ENODATA;
	if (k == -ENOMEM)
		return k;
	if (k < 0)
		return verdict_unknown(r, v, f);
	v->live = list_text(&r->arena, &live);
	if (!v->live)
		return -ENOMEM;
	if (cpuset_equal(&live, want))
		return 0;
	return verdict_worsen(r, v, VERDICT_PENDING_REBOOT, "%s is %s, not %s", f->path, v->live,
			      wanted);
}

static int isolation_judge(const struct setting *s, const void *value, const struct desired *d,
			   const struct observed *o, struct report *r, struct setting_verdict *v)
{
	const struct isolation_value *want = value;
	const struct cpuset none = { 0 };
	const char *list = list_text(&r->arena, &d->isolated);
	int k;

	(void)s;
	v->want = list ? arena_printf(&r->arena, "%s%s", want->ordered, list) : NULL;
	if (!v->want)
		return -ENOMEM;
	k = judge_set(&o->cpu_isolated, d, o, want->flags & ISOLCPUS_DOMAIN ? &d->isolated : &none,
		      r, v);
	if (k < 0)
		return k;
	/* cpu/isolated shows the domain flag only; managed_irq and nohz show nowhere but here. */
	return judge_cmdline(o, r, v, "isolcpus", v->want);
}

const struct setting setting_cpu_isolation = {
	.name = "cpu_isolation",
	.needs_isolated = true,
	.summary = "The isolated CPUs are out of the scheduler's domains and of managed IRQs",
	.doc = "Documentation/admin-guide/kernel-parameters.txt (isolcpus=)",
	.values = "a list of domain, managed_irq, nohz",
	.scope = SCOPE_BOOT,
	.disruption = DISRUPTION_REBOOT,
	.severity = SEVERITY_REQUIRED,
	.parse = isolation_parse,
	.intent = isolation_intent,
	.judge = isolation_judge,
};

static const char *const isolated_names[] = { "isolated", NULL };

static int isolated_parse(struct doc *doc, const struct yaml_node *node, const struct setting *s,
			  const void **ret)
{
	(void)s;
	return parse_choice(doc, node, isolated_names, ret);
}

#define NOHZ_FULL "/sys/devices/system/cpu/nohz_full"

static const char *const tick_files[] = { NOHZ_FULL, NULL };

static int tick_intent(const struct setting *s, const void *value, const struct desired *d,
		       const struct observed *o, struct arena *a, struct boot_intent *b)
{
	const char *list = list_text(a, &d->isolated);

	(void)value, (void)o;
	return list ? boot_intent_add(a, b, s, "nohz_full", list) : -ENOMEM;
}

/* Without the file the running kernel lacks CONFIG_NO_HZ_FULL; the next one may have it. */
static int judge_no_nohz_full(const struct observed *o, struct report *r, struct setting_verdict *v)
{
	const char *version = next_kernel_version(o);

	v->live = "absent";
	if (fact_known(&o->kernel_release) && version && !streq(version, o->kernel_release.text) &&
	    kernel_config(kernel_by_version(o, version), "CONFIG_NO_HZ_FULL") == 1)
		return verdict_worsen(r, v, VERDICT_PENDING_REBOOT,
				      "the running kernel lacks CONFIG_NO_HZ_FULL, %s has it",
				      version);
	return verdict_worsen(r, v, VERDICT_UNFIXABLE,
			      "this kernel lacks CONFIG_NO_HZ_FULL: install one that has it");
}

static int tick_judge(const struct setting *s, const void *value, const struct desired *d,
		      const struct observed *o, struct report *r, struct setting_verdict *v)
{
	const struct fact *f = observed_file(o, NOHZ_FULL);

	(void)s, (void)value;
	v->want = list_text(&r->arena, &d->isolated);
	if (!v->want)
		return -ENOMEM;
	if (f && f->state == FACT_ABSENT && fact_known(&o->cpu_possible))
		return judge_no_nohz_full(o, r, v);
	return judge_set(f, d, o, &d->isolated, r, v);
}

const struct setting setting_tick_offload = {
	.name = "tick_offload",
	.needs_isolated = true,
	.summary = "The timer tick stops on an isolated CPU that runs one task",
	.doc = "Documentation/timers/no_hz.rst",
	.values = "isolated",
	.scope = SCOPE_BOOT,
	.disruption = DISRUPTION_REBOOT,
	.severity = SEVERITY_REQUIRED,
	.files = tick_files,
	.parse = isolated_parse,
	.intent = tick_intent,
	.judge = tick_judge,
};

static int rcu_intent(const struct setting *s, const void *value, const struct desired *d,
		      const struct observed *o, struct arena *a, struct boot_intent *b)
{
	const char *list = list_text(a, &d->isolated);
	int r;

	(void)value, (void)o;
	if (!list)
		return -ENOMEM;
	r = boot_intent_add(a, b, s, "rcu_nocbs", list);
	/* Otherwise an isolated CPU has to wake its rcuo thread for every callback. */
	return r < 0 ? r : boot_intent_add(a, b, s, "rcu_nocb_poll", NULL);
}

/* "rcuop/3" or "rcuos/3": the CPU whose callbacks it runs; -1 for any other thread. */
static long rcuo_cpu(const char *comm)
{
	const char *rest = after_prefix(comm, "rcuo");

	if (!rest || (*rest != 'p' && *rest != 's' && *rest != 'b') || rest[1] != '/')
		return -1;
	return strtol(rest + 2, NULL, 10);
}

static int judge_rcuo_thread(const struct observed_thread *t, const struct desired *d,
			     const struct observed *o, struct report *r, struct setting_verdict *v)
{
	_cleanup_cpuset_ struct cpuset allowed = { 0 };
	struct verdict_item *item = verdict_item_add(r, v);
	int k = fact_list(&t->allowed, o->n_cpus, &allowed);

	if (!item || k == -ENOMEM)
		return -ENOMEM;
	item->id = t->comm;
	item->name = t->comm;
	item->live = fact_show(&r->arena, &t->allowed);
	item->want = list_text(&r->arena, &d->housekeeping);
	if (!item->live || !item->want)
		return -ENOMEM;
	if (k < 0) {
		item->verdict = VERDICT_UNKNOWN;
		return verdict_unknown(r, v, &t->allowed);
	}
	if (!cpuset_intersects(&allowed, &d->isolated))
		return 0;
	item->verdict = VERDICT_DRIFTED;
	return verdict_worsen(r, v, VERDICT_DRIFTED, "%s may run on CPUs %s, which are isolated",
			      t->comm, item->live);
}

static int judge_rcuo_threads(const struct desired *d, const struct observed *o, struct report *r,
			      struct setting_verdict *v)
{
	_cleanup_cpuset_ struct cpuset missing = { 0 };
	int k;

	if (!fact_known(&o->threads_fact))
		return verdict_unknown(r, v, &o->threads_fact);
	if (cpuset_copy(&missing, &d->isolated) < 0)
		return -ENOMEM;
	cpuset_and(&missing, &o->online); /* an offline CPU's thread comes with the CPU */
	for (size_t i = 0; i < o->n_threads; i++) {
		const struct observed_thread *t = &o->threads[i];
		long cpu = rcuo_cpu(t->comm);

		if (!after_prefix(t->comm, "rcuo"))
			continue;
		if (cpu >= 0)
			cpuset_remove(&missing, (unsigned)cpu);
		k = judge_rcuo_thread(t, d, o, r, v);
		if (k < 0)
			return k;
	}
	if (cpuset_empty(&missing))
		return 0;
	return verdict_worsen(r, v, VERDICT_PENDING_REBOOT,
			      "no rcuo thread takes the callbacks of CPU %s",
			      list_text(&r->arena, &missing));
}

static int rcu_judge(const struct setting *s, const void *value, const struct desired *d,
		     const struct observed *o, struct report *r, struct setting_verdict *v)
{
	int k;

	(void)s, (void)value;
	v->want = list_text(&r->arena, &d->isolated);
	if (!v->want)
		return -ENOMEM;
	k = judge_cmdline(o, r, v, "rcu_nocbs", v->want);
	if (k < 0)
		return k;
	k = judge_cmdline(o, r, v, "rcu_nocb_poll", NULL);
	if (k < 0)
		return k;
	k = judge_rcuo_threads(d, o, r, v);
	v->live = v->verdict == VERDICT_CONVERGED ? v->want : "not offloaded as wanted";
	return k;
}

/* Threads that cannot be read, or that the kernel has bound, are the judge's business. */
static int rcu_plan(const struct setting *s, const void *value, const struct desired *d,
		    const struct observed *o, struct plan *p)
{
	(void)value;
	for (size_t i = 0; i < o->n_threads; i++) {
		const struct observed_thread *t = &o->threads[i];
		_cleanup_cpuset_ struct cpuset allowed = { 0 };
		struct step *step;

		if (!after_prefix(t->comm, "rcuo") || fact_list(&t->allowed, o->n_cpus, &allowed) ||
		    !cpuset_intersects(&allowed, &d->isolated))
			continue;
		step = plan_step(p, s, STEP_THREAD, t->comm, t->allowed.text,
				 list_text(&p->arena, &d->housekeeping));
		if (!step)
			return -ENOMEM;
		step->number = (unsigned)t->pid;
		step->name = step->target;
		step->set_affinity = true;
	}
	return 0;
}

const struct setting setting_rcu_offload = {
	.name = "rcu_offload",
	.needs_isolated = true,
	.summary = "RCU callbacks of the isolated CPUs run in rcuo threads on housekeeping CPUs",
	.doc = "Documentation/admin-guide/kernel-parameters.txt (rcu_nocbs=, rcu_nocb_poll)",
	.values = "isolated",
	.scope = SCOPE_BOTH,
	.disruption = DISRUPTION_REBOOT,
	.severity = SEVERITY_REQUIRED,
	.facts = FACTS_THREADS,
	.parse = isolated_parse,
	.intent = rcu_intent,
	.judge = rcu_judge,
	.plan = rcu_plan,
};

/*
 * irq_affinity: housekeeping. True when no interrupt's *effective* CPU is an isolated one, new
 * interrupts start on housekeeping CPUs, and irqbalance leaves the isolated CPUs alone (or does not
 * run, where the document says so). smp_affinity is what somebody asked for, not where it goes: an
 * interrupt that cannot be moved outside of its handler goes there when it next fires (kernel/irq/
 * migration.c; without interrupt remapping that is most of them), and is as good as there.
 *
 * An interrupt whose CPUs its driver manages cannot be moved; no file says which those are, only
 * the kernel's refusal of a write does. Such a refusal, recorded in this boot for that number and
 * name, makes the interrupt named but not drift.
 */
#include <errno.h>
#include <inttypes.h>

#include "state/row.h"
#include "state/rows.h"

#define DEFAULT_AFFINITY "/proc/irq/default_smp_affinity"
#define IRQBALANCE_UNIT	 "irqbalance.service"

enum irqbalance_mode { IRQBALANCE_TOLD, IRQBALANCE_STOPPED };

struct irq_value {
	int cpus;
	int irqbalance; /* enum irqbalance_mode */
};

static const char *const cpus_names[] = { "housekeeping", NULL };
static const char *const irqbalance_names[] = { "told", "stopped", NULL };
static const char *const irq_files[] = { DEFAULT_AFFINITY, NULL };

static int parse_cpus(struct doc *doc, const struct yaml_node *node, void *target)
{
	return doc_choice(doc, node, cpus_names, &((struct irq_value *)target)->cpus);
}

static int parse_irqbalance(struct doc *doc, const struct yaml_node *node, void *target)
{
	return doc_choice(doc, node, irqbalance_names, &((struct irq_value *)target)->irqbalance);
}

static int irq_parse(struct doc *doc, const struct yaml_node *node, const struct setting *s,
		     const void **ret)
{
	static const struct doc_key keys[] = {
		{ .name = "cpus", .parse = parse_cpus, .required = true },
		{ .name = "irqbalance", .parse = parse_irqbalance },
	};

	(void)s;
	return parse_keys(doc, node, keys, ARRAY_SIZE(keys), sizeof(struct irq_value), ret);
}

static int irq_intent(const struct setting *s, const void *value, const struct desired *d,
		      const struct observed *o, struct arena *a, struct boot_intent *b)
{
	const char *list = list_text(a, &d->housekeeping);

	(void)value, (void)o;
	return list ? boot_intent_add(a, b, s, "irqaffinity", list) : -ENOMEM;
}

static const struct observed_refusal *irq_refusal(const struct observed *o,
						  const struct observed_irq *irq)
{
	for (size_t i = 0; i < o->n_refusals; i++) {
		const struct observed_refusal *f = &o->refusals[i];

		if (f->error != EIO && f->error != EPERM)
			continue;
		if (streq(f->target, irq->requested.path) && streq(f->name, irq->name))
			return f;
	}
	return NULL;
}

/* Where an IRQ stands. -ENOMEM, or one of: */
enum irq_place { IRQ_FINE, IRQ_OUTSIDE, IRQ_LEAVING, IRQ_UNREADABLE };

static int irq_place(const struct observed_irq *irq, const struct desired *d,
		     const struct observed *o)
{
	_cleanup_cpuset_ struct cpuset effective = { 0 }, requested = { 0 };
	int k;

	/* It vanished between the listing and the reading. */
	if (irq->effective.state == FACT_ABSENT || irq->requested.state == FACT_ABSENT)
		return IRQ_FINE;
	k = fact_list(&irq->effective, o->n_cpus, &effective);
	if (k < 0)
		return k == -ENOMEM ? k : IRQ_UNREADABLE;
	if (cpuset_intersects(&effective, &d->isolated))
		return IRQ_OUTSIDE;
	/* An empty set (IRQ 2, the cascade) reaches no CPU. */
	if (cpuset_empty(&effective))
		return IRQ_FINE;
	k = fact_list(&irq->requested, o->n_cpus, &requested);
	if (k < 0)
		return k == -ENOMEM ? k : IRQ_UNREADABLE;
	if (cpuset_intersects(&effective, &requested))
		return IRQ_FINE;
	return cpuset_intersects(&requested, &d->isolated) ? IRQ_LEAVING : IRQ_FINE;
}

static const char *irq_live(struct arena *a, const struct observed_irq *irq, enum irq_place place)
{
	const char *now = fact_show(a, &irq->effective);

	return place == IRQ_LEAVING && now
		       ? arena_printf(a, "%s, then %s", now, irq->requested.text)
		       : now;
}

static int judge_irq(const struct observed_irq *irq, enum irq_place place, const struct desired *d,
		     const struct observed *o, struct report *r, struct setting_verdict *v)
{
	const struct observed_refusal *refusal = irq_refusal(o, irq);
	struct verdict_item *item = verdict_item_add(r, v);

	if (!item)
		return -ENOMEM;
	item->id = arena_printf(&r->arena, "%u", irq->number);
	item->name = irq->name;
	item->live = irq_live(&r->arena, irq, place);
	item->want = list_text(&r->arena, &d->housekeeping);
	if (!item->id || !item->live || !item->want)
		return -ENOMEM;
	if (place == IRQ_UNREADABLE) {
		item->verdict = VERDICT_UNKNOWN;
		return verdict_unknown(
			r, v, fact_known(&irq->effective) ? &irq->requested : &irq->effective);
	}
	if (refusal) {
		item->verdict = VERDICT_NOT_APPLICABLE;
		item->reason =
			arena_printf(&r->arena, "%s; it fired %" PRIu64 " times on isolated CPUs",
				     refusal->message, irq->fired_isolated);
		return item->reason ? 0 : -ENOMEM;
	}
	item->verdict = VERDICT_DRIFTED;
	if (verdict_evidence(r, v, place == IRQ_LEAVING ? &irq->requested : &irq->effective) < 0)
		return -ENOMEM;
	if (place == IRQ_LEAVING)
		return verdict_worsen(r, v, VERDICT_DRIFTED,
				      "IRQ %u (%s) goes to CPU %s when it next fires, not to %s",
				      irq->number, irq->name, irq->requested.text, item->want);
	return verdict_worsen(r, v, VERDICT_DRIFTED, "IRQ %u (%s) goes to CPU %s, not to %s",
			      irq->number, irq->name, item->live, item->want);
}

static int judge_irqs(const struct desired *d, const struct observed *o, struct report *r,
		      struct setting_verdict *v)
{
	size_t outside = 0;

	if (!fact_known(&o->irqs_fact))
		return verdict_unknown(r, v, &o->irqs_fact);
	for (size_t i = 0; i < o->n_irqs; i++) {
		int place = irq_place(&o->irqs[i], d, o);
		int k;

		if (place < 0)
			return place;
		if (place == IRQ_FINE)
			continue;
		k = judge_irq(&o->irqs[i], place, d, o, r, v);
		if (k < 0)
			return k;
		outside += v->items[v->n_items - 1].verdict == VERDICT_DRIFTED;
	}
	v->live = arena_printf(&r->arena, "%zu of %zu outside %s", outside, o->n_irqs, v->want);
	return v->live ? 0 : -ENOMEM;
}

/* 1 when new interrupts start inside of housekeeping, 0 when not, or -ENODATA, -ENOMEM. */
static int default_is_fine(const struct desired *d, const struct observed *o)
{
	_cleanup_cpuset_ struct cpuset mask = { 0 };
	const struct fact *f = observed_file(o, DEFAULT_AFFINITY);
	int k = f ? fact_mask(f, &mask) : -ENODATA;

	if (k < 0)
		return k == -ENOMEM ? k : -ENODATA;
	cpuset_and(&mask, &o->possible);
	return !cpuset_empty(&mask) && cpuset_subset(&mask, &d->housekeeping);
}

static int judge_default(const struct desired *d, const struct observed *o, struct report *r,
			 struct setting_verdict *v)
{
	const struct fact *f = observed_file(o, DEFAULT_AFFINITY);
	int fine = default_is_fine(d, o);

	if (fine == -ENOMEM)
		return fine;
	if (fine < 0)
		return verdict_unknown(r, v, f);
	if (verdict_evidence(r, v, f) < 0)
		return -ENOMEM;
	if (fine)
		return 0;
	return verdict_worsen(r, v, VERDICT_DRIFTED,
			      "new interrupts may start on isolated CPUs (%s is %s)", f->path,
			      f->text);
}

/* 1 when irqbalance leaves the isolated CPUs alone (or is not there), 0, -ENODATA or -ENOMEM. */
static int irqbalance_is_told(const struct desired *d, const struct observed *o)
{
	_cleanup_cpuset_ struct cpuset banned = { 0 };
	int k;

	if (o->irqbalance_pid.state == FACT_ABSENT)
		return 1;
	k = fact_known(&o->irqbalance_pid) ? fact_list(&o->irqbalance_banned, o->n_cpus, &banned)
					   : -ENODATA;
	if (k < 0)
		return k == -ENOMEM ? k : -ENODATA;
	return cpuset_subset(&d->isolated, &banned);
}

static int judge_irqbalance_stopped(const struct observed *o, struct report *r,
				    struct setting_verdict *v)
{
	if (fact_known(&o->irqbalance_pid))
		return verdict_worsen(r, v, VERDICT_DRIFTED, "irqbalance runs (pid %s)",
				      o->irqbalance_pid.text);
	if (o->irqbalance_pid.state != FACT_ABSENT)
		return verdict_unknown(r, v, &o->irqbalance_pid);
	if (fact_known(&o->irqbalance_enabled))
		return verdict_worsen(r, v, VERDICT_DRIFTED,
				      "irqbalance starts again at the next boot");
	if (o->irqbalance_enabled.state != FACT_ABSENT)
		return verdict_unknown(r, v, &o->irqbalance_enabled);
	return 0;
}

static int judge_irqbalance(const struct irq_value *value, const struct desired *d,
			    const struct observed *o, struct report *r, struct setting_verdict *v)
{
	int told;

	if (value->irqbalance == IRQBALANCE_STOPPED)
		return judge_irqbalance_stopped(o, r, v);
	told = irqbalance_is_told(d, o);
	if (told == -ENOMEM || told == 1)
		return told < 0 ? told : 0;
	if (told < 0)
		return verdict_unknown(r, v,
				       fact_known(&o->irqbalance_pid) ? &o->irqbalance_banned
								      : &o->irqbalance_pid);
	return verdict_worsen(r, v, VERDICT_DRIFTED,
			      "irqbalance (pid %s) may move interrupts to isolated CPUs: it leaves "
			      "alone only CPUs %s",
			      o->irqbalance_pid.text,
			      *o->irqbalance_banned.text ? o->irqbalance_banned.text : "none");
}

static int irq_judge(const struct setting *s, const void *value, const struct desired *d,
		     const struct observed *o, struct report *r, struct setting_verdict *v)
{
	int k;

	(void)s;
	v->want = list_text(&r->arena, &d->housekeeping);
	if (!v->want)
		return -ENOMEM;
	k = judge_irqs(d, o, r, v);
	if (k >= 0)
		k = judge_default(d, o, r, v);
	return k < 0 ? k : judge_irqbalance(value, d, o, r, v);
}

/* First hold irqbalance, so that it does not undo what follows. */
static int plan_irqbalance(const struct setting *s, const struct irq_value *value,
			   const struct desired *d, const struct observed *o, struct plan *p)
{
	int told = irqbalance_is_told(d, o);
	struct step *step;

	if (told == -ENOMEM)
		return told;
	if (value->irqbalance == IRQBALANCE_STOPPED) {
		if (!fact_known(&o->irqbalance_pid) && !fact_known(&o->irqbalance_enabled))
			return 0;
		return plan_step(p, s, STEP_SERVICE, IRQBALANCE_UNIT,
				 fact_known(&o->irqbalance_pid) ? "running" : "enabled", "stopped")
			       ? 0
			       : -ENOMEM;
	}
	if (told != 0)
		return 0;
	step = plan_step(p, s, STEP_IRQBALANCE, "irqbalance", o->irqbalance_banned.text,
			 list_text(&p->arena, &d->isolated));
	if (!step)
		return -ENOMEM;
	step->number = (unsigned)strtoul(o->irqbalance_pid.text, NULL, 10);
	return 0;
}

/* What of its present CPUs is allowed; all of housekeeping when nothing of it is. */
static const char *irq_target(struct arena *a, const struct observed_irq *irq,
			      const struct desired *d, const struct observed *o)
{
	_cleanup_cpuset_ struct cpuset set = { 0 };
	int k = fact_list(&irq->requested, o->n_cpus, &set);

	if (k == -ENOMEM)
		return NULL;
	cpuset_and(&set, &d->housekeeping);
	cpuset_and(&set, &o->online);
	if (cpuset_empty(&set)) {
		if (cpuset_or(&set, &d->housekeeping) < 0)
			return NULL;
		cpuset_and(&set, &o->online);
	}
	return list_text(a, &set);
}

static int plan_default(const struct setting *s, const struct desired *d, const struct observed *o,
			struct plan *p)
{
	const struct fact *f = observed_file(o, DEFAULT_AFFINITY);
	_cleanup_cpuset_ struct cpuset online = { 0 };
	_cleanup_free_ char *mask = NULL;
	struct step *step;
	int fine = default_is_fine(d, o);

	if (fine != 0)
		return fine == -ENOMEM ? fine : 0;
	if (cpuset_copy(&online, &d->housekeeping) < 0)
		return -ENOMEM;
	cpuset_and(&online, &o->online);
	mask = cpuset_format_mask(&online, o->n_cpus);
	step = mask ? plan_step(p, s, STEP_KERNEL_FILE, f->path, f->text, mask) : NULL;
	if (!step)
		return -ENOMEM;
	step->value_kind = VALUE_MASK;
	return 0;
}

static int irq_plan(const struct setting *s, const void *value, const struct desired *d,
		    const struct observed *o, struct plan *p)
{
	int r = plan_irqbalance(s, value, d, o, p);

	if (r >= 0)
		r = plan_default(s, d, o, p);
	for (size_t i = 0; r >= 0 && fact_known(&o->irqs_fact) && i < o->n_irqs; i++) {
		const struct observed_irq *irq = &o->irqs[i];
		const char *live, *target;
		struct step *step;

		r = irq_place(irq, d, o);
		if (r < 0)
			return r;
		if ((r != IRQ_OUTSIDE && r != IRQ_LEAVING) || irq_refusal(o, irq))
			continue;
		live = irq_live(&p->arena, irq, r);
		target = irq_target(&p->arena, irq, d, o);
		step = live && target ? plan_step(p, s, STEP_IRQ, irq->requested.path, live, target)
				      : NULL;
		if (!step)
			return -ENOMEM;
		step->number = irq->number;
		step->name = arena_strdup(&p->arena, irq->name);
		if (!step->name)
			return -ENOMEM;
	}
	return r < 0 ? r : 0;
}

const struct setting setting_irq_affinity = {
	.name = "irq_affinity",
	.summary = "Every interrupt goes to housekeeping CPUs, and irqbalance keeps it so",
	.doc = "Documentation/core-api/irq/irq-affinity.rst",
	.values = "housekeeping, or {cpus: housekeeping, irqbalance: told|stopped}",
	.scope = SCOPE_BOTH,
	.disruption = DISRUPTION_IRQ_RESHUFFLE,
	.severity = SEVERITY_REQUIRED,
	.facts = FACTS_IRQS | FACTS_IRQBALANCE,
	.files = irq_files,
	.parse = irq_parse,
	.intent = irq_intent,
	.judge = irq_judge,
	.plan = irq_plan,
};

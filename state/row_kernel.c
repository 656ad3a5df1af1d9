/*
 * kernel: a PREEMPT_RT kernel runs, and the next boot's default entry runs one. The default entry
 * is pinned by its GRUB id to the newest real-time kernel that has an entry: left to the version
 * sort, the next ordinary kernel update would quietly take its place.
 */
#include <errno.h>

#include "state/row.h"
#include "state/rows.h"

struct kernel_value {
	const char *package; /* NULL: whichever RT kernel is there */
	int preemption;
};

static int parse_preemption(struct doc *doc, const struct yaml_node *node, void *target)
{
	static const char *const names[] = { "rt", NULL };
	struct kernel_value *value = target;

	return doc_choice(doc, node, names, &value->preemption);
}

static int parse_package(struct doc *doc, const struct yaml_node *node, void *target)
{
	struct kernel_value *value = target;
	int r = doc_string(doc, node, &value->package);

	if (r < 0)
		return r;
	/* Debian policy 5.6.1; it becomes an argument of apt-get, so a leading `-` must not pass.
	 */
	if (value->package[0] == '-' || value->package[0] == '+' ||
	    strspn(value->package, "abcdefghijklmnopqrstuvwxyz0123456789+-.") !=
		    strlen(value->package))
		return doc_error(doc, node, "\"%s\" is not a package name", value->package);
	return 0;
}

static int kernel_parse(struct doc *doc, const struct yaml_node *node, const struct setting *s,
			const void **ret)
{
	static const struct doc_key keys[] = {
		{ .name = "preemption", .parse = parse_preemption, .required = true },
		{ .name = "package", .parse = parse_package },
	};
	struct kernel_value *value = arena_alloc(doc->arena, sizeof(*value));
	int r;

	(void)s;
	if (!value)
		return -ENOMEM;
	r = doc_mapping(doc, node, keys, ARRAY_SIZE(keys), value);
	if (r < 0)
		return r;
	*ret = value;
	return 0;
}

const char *kernel_value_package(const void *value)
{
	return ((const struct kernel_value *)value)->package;
}

/* The newest kernel with an entry whose configuration says PREEMPT_RT, or NULL. */
static const struct observed_kernel *newest_rt_kernel(const struct observed *o)
{
	const struct observed_kernel *best = NULL;

	for (size_t i = 0; i < o->boot.n_kernels; i++) {
		const struct observed_kernel *k = &o->boot.kernels[i];

		/* the id goes between single quotes in the drop-in */
		if (!k->entry_id || strchr(k->entry_id, '\'') ||
		    kernel_config(k, "CONFIG_PREEMPT_RT") != 1)
			continue;
		if (!best || strverscmp(k->version, best->version) > 0)
			best = k;
	}
	return best;
}

static int kernel_intent(const struct setting *s, const void *value, const struct desired *d,
			 const struct observed *o, struct arena *a, struct boot_intent *b)
{
	const struct observed_kernel *best = newest_rt_kernel(o);

	(void)s, (void)value, (void)d, (void)a;
	if (best)
		b->default_entry = best->entry_id;
	return 0;
}

static int judge_next_kernel(const struct kernel_value *want, const struct observed *o,
			     struct report *r, struct setting_verdict *v)
{
	const struct observed_kernel *best = newest_rt_kernel(o);
	const struct observed_kernel *next;
	int k, rt;

	if (!fact_known(&o->boot.next_kernel))
		return verdict_unknown(r, v, &o->boot.next_kernel);
	v->next_boot = o->boot.next_kernel.text;
	k = verdict_evidence(r, v, &o->boot.next_kernel);
	if (k < 0)
		return k;
	next = kernel_by_version(o, v->next_boot);
	rt = kernel_config(next, "CONFIG_PREEMPT_RT");
	if (!best && rt == 1)
		return 0; /* it has no entry of its own to name */
	if (best && best == next) {
		if (o->boot.next_entry_id && streq(o->boot.next_entry_id, best->entry_id))
			return 0;
		return verdict_set(r, v, VERDICT_DRIFTED,
				   "the next boot runs %s only until another kernel is installed: "
				   "its entry is not the default by name",
				   next->version);
	}
	if (best && rt == 1)
		return verdict_set(r, v, VERDICT_DRIFTED,
				   "the next boot runs %s, but %s is the newest real-time kernel",
				   next->version, best->version);
	if (best || (want->package && o->package.state == FACT_ABSENT))
		return verdict_set(r, v, VERDICT_DRIFTED,
				   "the next boot runs %s, which is not real-time", v->next_boot);
	if (rt < 0)
		return verdict_unknown(r, v, next ? &next->config : NULL);
	return verdict_set(
		r, v, VERDICT_UNFIXABLE,
		"no real-time kernel with a GRUB entry is installed: install one, or name "
		"its package in the document");
}

static int kernel_judge(const struct setting *s, const void *value, const struct desired *d,
			const struct observed *o, struct report *r, struct setting_verdict *v)
{
	const struct kernel_value *want = value;
	int k, rt = kernel_is_rt(o);

	(void)s;
	v->want = want->package ? arena_printf(&r->arena, "PREEMPT_RT (%s)", want->package)
				: "PREEMPT_RT";
	v->live = fact_show(&r->arena, &o->kernel_release);
	if (!v->want || !v->live)
		return -ENOMEM;
	k = verdict_evidence(r, v, &o->kernel_version);
	if (k < 0)
		return k;
	if (rt < 0)
		return verdict_unknown(r, v, &o->kernel_version);
	if (d->boot_by_host)
		return rt ? 0
			  : verdict_set(r, v, VERDICT_UNFIXABLE,
					"the running kernel is not PREEMPT_RT, and its host gives "
					"this guest its kernel: name a real-time one there");
	/* A reboot into the same ordinary kernel would mend nothing. */
	v->needs_boot = !rt && fact_known(&o->boot.next_kernel) && newest_rt_kernel(o);
	if (!rt) {
		k = verdict_set(r, v, VERDICT_PENDING_REBOOT,
				"the running kernel is not PREEMPT_RT");
		if (k < 0)
			return k;
	}
	k = judge_next_kernel(want, o, r, v);
	if (k < 0 || !want->package)
		return k;
	if (o->package.state == FACT_ABSENT)
		return verdict_set(r, v, VERDICT_DRIFTED, "package %s is not installed",
				   want->package);
	if (!fact_known(&o->package))
		return verdict_unknown(r, v, &o->package);
	return 0;
}

static int kernel_plan(const struct setting *s, const void *value, const struct desired *d,
		       const struct observed *o, struct plan *p)
{
	const struct kernel_value *want = value;

	if (d->boot_by_host || !want->package || o->package.state != FACT_ABSENT)
		return 0;
	return plan_step(p, s, STEP_PACKAGE, want->package, NULL, "installed") ? 0 : -ENOMEM;
}

const struct setting setting_kernel = {
	.name = "kernel",
	.summary = "A real-time (PREEMPT_RT) kernel runs, and is what the next boot takes",
	.doc = "Documentation/core-api/real-time/ (PREEMPT_RT)",
	.values = "{preemption: rt, package: NAME}",
	.scope = SCOPE_BOOT,
	.disruption = DISRUPTION_REBOOT,
	.severity = SEVERITY_REQUIRED,
	.facts = FACTS_PACKAGE,
	.parse = kernel_parse,
	.intent = kernel_intent,
	.judge = kernel_judge,
	.plan = kernel_plan,
};

/*
 * idle: poll, or a C-state limit. `poll` is a boot argument and nothing else (it keeps every CPU
 * busy and hot, so a host has to say so). `{max_cstate: N}` limits both idle drivers at boot, and
 * at run time disables the deeper states of the isolated CPUs in cpuidle.
 */
#include <errno.h>
#include <inttypes.h>

#include "state/row.h"
#include "state/rows.h"

#define CSTATES "/sys/devices/system/cpu/cpu*/cpuidle/state*/disable"

struct idle_value {
	bool poll;
	unsigned max_cstate;
};

static const char *const poll_names[] = { "poll", NULL };
static const char *const idle_files[] = { CSTATES, NULL };

static int parse_max_cstate(struct doc *doc, const struct yaml_node *node, void *target)
{
	uint64_t n;
	int r = doc_unsigned(doc, node, 0, 9, &n);

	if (!r)
		((struct idle_value *)target)->max_cstate = (unsigned)n;
	return r;
}

static int idle_parse(struct doc *doc, const struct yaml_node *node, const struct setting *s,
		      const void **ret)
{
	static const struct doc_key keys[] = {
		{ .name = "max_cstate", .parse = parse_max_cstate, .required = true },
	};
	struct idle_value *value = arena_alloc(doc->arena, sizeof(*value));
	int choice, r;

	(void)s;
	if (!value)
		return -ENOMEM;
	value->poll = node->kind != YAML_MAPPING;
	if (value->poll)
		r = doc_choice(doc, node, poll_names, &choice);
	else
		r = doc_mapping(doc, node, keys, ARRAY_SIZE(keys), value);
	if (r < 0)
		return r;
	*ret = value;
	return 0;
}

static int idle_intent(const struct setting *s, const void *value, const struct desired *d,
		       const struct observed *o, struct arena *a, struct boot_intent *b)
{
	const struct idle_value *want = value;
	const char *n;
	int r;

	(void)d, (void)o;
	if (want->poll)
		return boot_intent_add(a, b, s, "idle", "poll");
	n = arena_printf(a, "%u", want->max_cstate);
	if (!n)
		return -ENOMEM;
	/* Each driver reads its own; one that is not used ignores it. */
	r = boot_intent_add(a, b, s, "processor.max_cstate", n);
	return r < 0 ? r : boot_intent_add(a, b, s, "intel_idle.max_cstate", n);
}

/* cpuN and stateN of a path that matches CSTATES. */
static void cstate_of(const char *path, unsigned *ret_cpu, unsigned *ret_state)
{
	const char *cpu = path + strlen("/sys/devices/system/cpu/cpu");
	const char *state = strstr(path, "/state") + strlen("/state");

	*ret_cpu = (unsigned)strtoul(cpu, NULL, 10);
	*ret_state = (unsigned)strtoul(state, NULL, 10);
}

/* A listing that failed: "cpu3/cpuidle/state*", or of all CPUs. */
static bool is_listing(const struct fact *f)
{
	return strchr(f->path, '*') != NULL;
}

/* A state of an isolated CPU that is deeper than wanted. State 0 is POLL, state N is C-state N as
 * far as the driver numbers them so; deeper always has the higher number. */
static const struct fact *next_deeper(const struct observed *o, const struct desired *d,
				      const struct idle_value *want, size_t *iter)
{
	const struct fact *f;

	while ((f = observed_files_next(o, CSTATES, iter))) {
		unsigned cpu, state;

		if (is_listing(f) && f->state == FACT_ABSENT)
			continue; /* no cpuidle driver */
		if (is_listing(f))
			return f;
		cstate_of(f->path, &cpu, &state);
		if (state > want->max_cstate && cpuset_has(&d->isolated, cpu))
			return f;
	}
	return NULL;
}

static int judge_cstates(const struct idle_value *want, const struct desired *d,
			 const struct observed *o, struct report *r, struct setting_verdict *v)
{
	const struct fact *f;
	size_t iter = 0;

	while ((f = next_deeper(o, d, want, &iter))) {
		int k = 0;

		if (f->state == FACT_ABSENT) /* its CPU went offline */
			continue;
		if (!fact_known(f))
			k = verdict_unknown(r, v, f);
		else if (!knob_equal(f, VALUE_NUMBER, "1"))
			k = verdict_worsen(r, v, VERDICT_DRIFTED, "%s is %s: the state is allowed",
					   f->path, f->text);
		if (k < 0 || verdict_evidence(r, v, f) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int idle_judge(const struct setting *s, const void *value, const struct desired *d,
		      const struct observed *o, struct report *r, struct setting_verdict *v)
{
	const struct idle_value *want = value;
	int k;

	(void)s;
	if (want->poll) {
		v->want = "poll";
		k = judge_cmdline(o, r, v, "idle", "poll");
	} else {
		v->want = arena_printf(&r->arena, "C-state %u at most", want->max_cstate);
		if (!v->want)
			return -ENOMEM;
		if (!fact_known(&o->cpu_possible)) /* sysfs itself: absent states mean something */
			return verdict_unknown(r, v, &o->cpu_possible);
		k = judge_cstates(want, d, o, r, v);
	}
	v->live = v->verdict == VERDICT_CONVERGED ? v->want : "deeper states allowed";
	return k;
}

static int idle_plan(const struct setting *s, const void *value, const struct desired *d,
		     const struct observed *o, struct plan *p)
{
	const struct idle_value *want = value;
	const struct fact *f;
	size_t iter = 0;

	while (!want->poll && (f = next_deeper(o, d, want, &iter))) {
		if (!fact_known(f) || knob_equal(f, VALUE_NUMBER, "1"))
			continue;
		if (!plan_step(p, s, STEP_KERNEL_FILE, f->path, f->text, "1"))
			return -ENOMEM;
	}
	return 0;
}

const struct setting setting_idle = {
	.name = "idle",
	.summary = "Idle CPUs poll, or isolated ones stay out of deep C-states",
	.doc = "Documentation/admin-guide/pm/cpuidle.rst",
	.values = "poll, or {max_cstate: N}",
	.scope = SCOPE_BOTH,
	.disruption = DISRUPTION_REBOOT,
	.severity = SEVERITY_REQUIRED,
	.files = idle_files,
	.parse = idle_parse,
	.intent = idle_intent,
	.judge = idle_judge,
	.plan = idle_plan,
};

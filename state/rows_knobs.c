/*
 * The rows that are kernel files with one value: watchdogs, rt_throttling, timer_migration, and
 * machine_check in its softer form. They share judge_knobs() and plan_knobs().
 */
#include <errno.h>

#include "state/row.h"
#include "state/rows.h"

static const char *const off_names[] = { "off", NULL };

static int off_parse(struct doc *doc, const struct yaml_node *node, const struct setting *s,
		     const void **ret)
{
	(void)s;
	return parse_choice(doc, node, off_names, ret);
}

/* Absent means that this kernel was built without that watchdog. `watchdog` switches both others,
 * so it stands last: a value written to one of them must not be undone by it. */
static const struct knob watchdog_knobs[] = {
	{ .path = "/proc/sys/kernel/nmi_watchdog", .kind = VALUE_NUMBER, .optional = true },
	{ .path = "/proc/sys/kernel/soft_watchdog", .kind = VALUE_NUMBER, .optional = true },
	{ .path = "/proc/sys/kernel/watchdog", .kind = VALUE_NUMBER, .optional = true },
	{ 0 },
};

static int watchdogs_intent(const struct setting *s, const void *value, const struct desired *d,
			    const struct observed *o, struct arena *a, struct boot_intent *b)
{
	int r = boot_intent_add(a, b, s, "nmi_watchdog", "0");

	(void)value, (void)d, (void)o;
	return r < 0 ? r : boot_intent_add(a, b, s, "nosoftlockup", NULL);
}

static int watchdogs_judge(const struct setting *s, const void *value, const struct desired *d,
			   const struct observed *o, struct report *r, struct setting_verdict *v)
{
	(void)value, (void)d;
	v->want = "0";
	return judge_knobs(o, s->knobs, NULL, "0", r, v);
}

static int watchdogs_plan(const struct setting *s, const void *value, const struct desired *d,
			  const struct observed *o, struct plan *p)
{
	(void)value, (void)d;
	return plan_knobs(s, o, s->knobs, NULL, "0", p);
}

const struct setting setting_watchdogs = {
	.name = "watchdogs",
	.summary = "The soft and hard lockup detectors are off",
	.doc = "Documentation/admin-guide/lockup-watchdogs.rst",
	.values = "off",
	.scope = SCOPE_BOTH,
	.disruption = DISRUPTION_REBOOT,
	.severity = SEVERITY_REQUIRED,
	.knobs = watchdog_knobs,
	.parse = off_parse,
	.intent = watchdogs_intent,
	.judge = watchdogs_judge,
	.plan = watchdogs_plan,
};

/* sched_rt_period_us is never touched: -1 there is invalid and was once accepted as 71 minutes. */
static const struct knob throttling_knobs[] = {
	{ .path = "/proc/sys/kernel/sched_rt_runtime_us", .kind = VALUE_NUMBER },
	{ 0 },
};

#define FAIR_SERVER "/sys/kernel/debug/sched/fair_server/cpu*/runtime"
#define SCHED_DEBUG "/sys/kernel/debug/sched/"

static const struct knob fair_server_knobs[] = {
	{ .path = FAIR_SERVER, .kind = VALUE_NUMBER, .optional = true },
	{ 0 },
};

/* Where a real-time task may run for ever. Ordinary tasks elsewhere keep what protects them. */
static const struct cpuset *polled_cpus(const struct desired *d)
{
	return cpuset_empty(&d->isolated) ? NULL : &d->isolated;
}

static const char *const throttling_files[] = { FAIR_SERVER, SCHED_DEBUG, NULL };

static int throttling_judge(const struct setting *s, const void *value, const struct desired *d,
			    const struct observed *o, struct report *r, struct setting_verdict *v)
{
	const struct fact *debug = observed_file(o, SCHED_DEBUG);
	int k;

	(void)value;
	v->want = "-1";
	k = judge_knobs(o, s->knobs, NULL, "-1", r, v);
	if (k < 0)
		return k;
	/* Since 6.12 a deadline server gives 50 ms a second to ordinary tasks, whatever the sysctl
	 * says; it is only to be seen in debugfs. */
	if (fact_known(&o->kernel_release) && version_at_least(o->kernel_release.text, 6, 12) &&
	    !fact_known(debug))
		return verdict_unknown(r, v, debug);
	return judge_knobs(o, fair_server_knobs, polled_cpus(d), "0", r, v);
}

static int throttling_plan(const struct setting *s, const void *value, const struct desired *d,
			   const struct observed *o, struct plan *p)
{
	int r = plan_knobs(s, o, s->knobs, NULL, "-1", p);

	(void)value;
	return r < 0 ? r : plan_knobs(s, o, fair_server_knobs, polled_cpus(d), "0", p);
}

const struct setting setting_rt_throttling = {
	.name = "rt_throttling",
	.summary = "Real-time tasks are never throttled for ordinary ones",
	.doc = "Documentation/scheduler/sched-rt-group.rst (sched_rt_runtime_us)",
	.values = "off",
	.scope = SCOPE_RUNTIME,
	.disruption = DISRUPTION_NONE,
	.severity = SEVERITY_REQUIRED,
	.files = throttling_files,
	.knobs = throttling_knobs,
	.parse = off_parse,
	.judge = throttling_judge,
	.plan = throttling_plan,
};

static const struct knob migration_knobs[] = {
	{ .path = "/proc/sys/kernel/timer_migration", .kind = VALUE_NUMBER },
	{ 0 },
};

static const char *const migration_names[] = { "off", "on", NULL };

static int migration_parse(struct doc *doc, const struct yaml_node *node, const struct setting *s,
			   const void **ret)
{
	(void)s;
	return parse_choice(doc, node, migration_names, ret);
}

static const char *migration_want(const void *value)
{
	return ((const struct choice_value *)value)->choice ? "1" : "0";
}

static int migration_judge(const struct setting *s, const void *value, const struct desired *d,
			   const struct observed *o, struct report *r, struct setting_verdict *v)
{
	(void)d;
	v->want = migration_want(value);
	return judge_knobs(o, s->knobs, NULL, v->want, r, v);
}

static int migration_plan(const struct setting *s, const void *value, const struct desired *d,
			  const struct observed *o, struct plan *p)
{
	(void)d;
	return plan_knobs(s, o, s->knobs, NULL, migration_want(value), p);
}

const struct setting setting_timer_migration = {
	.name = "timer_migration",
	.summary = "Whether timers armed on an idle CPU may move to a busy one",
	.doc = "Documentation/admin-guide/sysctl/kernel.rst, kernel/time/timer.c",
	.values = "off or on",
	.scope = SCOPE_RUNTIME,
	.disruption = DISRUPTION_NONE,
	.severity = SEVERITY_REQUIRED,
	.knobs = migration_knobs,
	.parse = migration_parse,
	.judge = migration_judge,
	.plan = migration_plan,
};

#define MACHINECHECK "/sys/devices/system/machinecheck/"

enum { MACHINE_CHECK_OFF, MACHINE_CHECK_IGNORE_CE };

static const char *const machine_check_names[] = { "off", "ignore_ce", NULL };

static const struct knob ignore_ce_knobs[] = {
	{ .path = MACHINECHECK "machinecheck*/ignore_ce", .kind = VALUE_NUMBER, .optional = true },
	{ 0 },
};

static const char *const machine_check_files[] = { MACHINECHECK, NULL };

static int machine_check_parse(struct doc *doc, const struct yaml_node *node,
			       const struct setting *s, const void **ret)
{
	(void)s;
	return parse_choice(doc, node, machine_check_names, ret);
}

static int machine_check_choice(const void *value)
{
	return ((const struct choice_value *)value)->choice;
}

static int machine_check_intent(const struct setting *s, const void *value, const struct desired *d,
				const struct observed *o, struct arena *a, struct boot_intent *b)
{
	(void)d, (void)o;
	return boot_intent_add(a, b, s, "mce", machine_check_names[machine_check_choice(value)]);
}

static int machine_check_judge(const struct setting *s, const void *value, const struct desired *d,
			       const struct observed *o, struct report *r,
			       struct setting_verdict *v)
{
	const struct fact *folder = observed_file(o, MACHINECHECK);
	int k = folder ? verdict_evidence(r, v, folder) : 0;

	(void)d;
	if (k < 0)
		return k;
	v->want = machine_check_names[machine_check_choice(value)];
	/* The folder's absence means "off" only where sysfs itself could be read. */
	if (!fact_known(&o->cpu_possible))
		return verdict_unknown(r, v, &o->cpu_possible);
	if (!folder || (folder->state != FACT_ABSENT && !fact_known(folder)))
		return verdict_unknown(r, v, folder);
	if (folder->state == FACT_ABSENT) {
		v->live = "off"; /* nothing polls, nothing to ignore: the softer wish is met too */
		return 0;
	}
	if (machine_check_choice(value) == MACHINE_CHECK_IGNORE_CE) {
		size_t iter = 0;

		if (!observed_files_next(o, s->knobs[0].path, &iter))
			return verdict_unknown(r, v, NULL);
		return judge_knobs(o, s->knobs, NULL, "1", r, v);
	}
	v->live = "on";
	return verdict_worsen(r, v, VERDICT_PENDING_REBOOT, "%s exists: machine check is on",
			      folder->path);
}

static int machine_check_plan(const struct setting *s, const void *value, const struct desired *d,
			      const struct observed *o, struct plan *p)
{
	(void)d;
	if (machine_check_choice(value) != MACHINE_CHECK_IGNORE_CE)
		return 0;
	return plan_knobs(s, o, s->knobs, NULL, "1", p);
}

const struct setting setting_machine_check = {
	.name = "machine_check",
	.summary = "Machine-check polling does not run (or ignores corrected errors)",
	.doc = "Documentation/arch/x86/x86_64/boot-options.rst (mce=)",
	.values = "off, or ignore_ce (softer: errors are still seen)",
	.scope = SCOPE_BOTH,
	.disruption = DISRUPTION_REBOOT,
	.severity = SEVERITY_REQUIRED,
	.files = machine_check_files,
	.knobs = ignore_ce_knobs,
	.parse = machine_check_parse,
	.intent = machine_check_intent,
	.judge = machine_check_judge,
	.plan = machine_check_plan,
};

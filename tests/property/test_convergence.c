/*
 * The properties of judge and plan, on random machines with random documents:
 *
 *  1. convergence: at most three plans, a reboot when one is asked for, at most three plans again,
 *     and no setting is drifted or waits for a reboot but where the machine makes it impossible;
 *  2. idempotence: planning on the result gives no step;
 *  3. a setting is never converged while a fact that it rests on is not known;
 *  4. a plan is empty exactly if nothing is wrong that a step can mend;
 *  5. no plan isolates every online CPU, nor CPU 0 unasked;
 *  6. the drop-in reads back as it was written, and no key stands twice in the next boot's entry.
 *
 * PROPERTY_RUNS (default 10,000) pairs from PROPERTY_SEED (default: the time) on. Every pair has
 * its own seed, the first one plus its number: PROPERTY_SEED=N PROPERTY_RUNS=1 repeats one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "state/boot.h"
#include "state/settings.h"
#include "tests/property/gen.h"

enum property {
	CONVERGENCE,
	IDEMPOTENCE,
	KNOWN_FACTS,
	PLAN_WHEN_DRIFTED,
	GUARDRAILS,
	ROUND_TRIP,
	_N_PROPERTIES
};

static const char *const property_names[_N_PROPERTIES] = {
	"convergence",	     "idempotence", "known facts",
	"plan when drifted", "guardrails",  "round trip",
};

/* Shared by the two processes that run the pairs. */
static struct counts {
	_Atomic unsigned violations[_N_PROPERTIES];
	_Atomic unsigned refused, clean, rebooted;
} * counts;

struct run {
	uint64_t seed;
	struct sim sim;
	const char *document;
	struct desired desired;
};

struct look {
	struct observed o;
	struct report r;
	struct plan p;
};

static void look_done(struct look *l)
{
	plan_done(&l->p);
	report_done(&l->r);
	observed_done(&l->o);
}

printf_like(3, 4) static void violated(const struct run *run, enum property p, const char *fmt, ...)
{
	va_list ap;

	if (counts->violations[p]++ > 4)
		return;
	fprintf(stderr,
		"# %s violated: PROPERTY_SEED=%" PRIu64 " PROPERTY_RUNS=1: ", property_names[p],
		run->seed);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n");
	if (!getenv("PROPERTY_SHOW"))
		return;
	for (size_t i = 0; i < run->sim.n_faults; i++)
		fprintf(stderr, "fault: %s\n", run->sim.faults[i].path);
	if (run->sim.next_cmdline)
		fprintf(stderr, "%s\nadmin: %s\nnext: %s\nrunning: %s\n", run->document,
			run->sim.admin_text, run->sim.next_cmdline, run->sim.cmdline);
}

/* Which facts a setting rests on. Without @must, another fact or the document may make up for it.
 */
static const struct {
	const char *setting; /* NULL: every one with boot arguments */
	const char *path;    /* a prefix when it ends in `*` */
	bool must;
} needs[] = {
	{ NULL, "/boot/grub/grub.cfg", true },
	{ NULL, "/etc/default/*", false },
	{ NULL, "/proc/sys/kernel/osrelease", false },
	{ NULL, "/proc/cmdline", false },
	{ "kernel", "/boot/grub/grub.cfg", true },
	{ "kernel", "/proc/sys/kernel/version", true },
	{ "kernel", "/boot/config-*", false },
	{ "kernel", "/var/lib/dpkg/status", false },
	{ "kernel", "/etc/default/*", false },
	{ "cpu_isolation", "/sys/devices/system/cpu/isolated", true },
	{ "cpu_isolation", "/proc/cmdline", true },
	{ "tick_offload", "/sys/devices/system/cpu/nohz_full", true },
	{ "tick_offload", "/boot/config-*", false },
	{ "tick_offload", "/proc/*", false },
	{ "rcu_offload", "/proc/cmdline", true },
	{ "rcu_offload", "/proc", true },
	{ "rcu_offload", "/proc/*", false },
	{ "iommu", "/sys/class/iommu", true },
	{ "iommu", "/sys/kernel/iommu_groups", true },
	{ "iommu", "/sys/kernel/iommu_groups/*", false },
	{ "iommu", "/sys/firmware/*", false },
	{ "hugepages", "/proc/meminfo", true },
	{ "hugepages", "/proc/self/mounts", true },
	{ "hugepages", "/sys/devices/system/node", true },
	{ "hugepages", "/sys/devices/system/node/*", false },
	{ "hugepages", "/proc/*", false },
	{ "machine_check", "/sys/devices/system/machinecheck/", true },
	{ "machine_check", "/sys/devices/system/machinecheck/*", false },
	{ "machine_check", "/proc/sys/kernel/osrelease", false },
	{ "tsc", "/proc/cmdline", true },
	{ "tsc", "/sys/devices/system/clocksource/clocksource0/current_clocksource", true },
	{ "tsc", "/sys/devices/system/clocksource/*", false },
	{ "tsc", "/proc/*", false },
	{ "watchdogs", "/proc/sys/kernel/osrelease", true },
	{ "watchdogs", "/proc/sys/kernel/nmi_watchdog", true },
	{ "watchdogs", "/proc/sys/kernel/soft_watchdog", true },
	{ "watchdogs", "/proc/sys/kernel/watchdog", true },
	{ "rt_throttling", "/proc/sys/kernel/osrelease", true },
	{ "rt_throttling", "/proc/sys/kernel/sched_rt_runtime_us", true },
	{ "rt_throttling", "/sys/kernel/debug/*", false },
	{ "irq_affinity", "/proc/interrupts", true },
	{ "irq_affinity", "/proc/irq/default_smp_affinity", true },
	{ "irq_affinity", "/proc/irq/*", false },
	{ "irq_affinity", "/proc/irqbalance", true },
	{ "irq_affinity", "/run/*", false },
	{ "irq_affinity", "/etc/*", false },
	{ "idle", "/proc/cmdline", false },
	{ "idle", "/sys/devices/system/cpu/cpu*", false },
	{ "kthread_priority", "/proc", true },
	{ "timer_migration", "/proc/sys/kernel/osrelease", true },
	{ "timer_migration", "/proc/sys/kernel/timer_migration", true },
};

static bool path_matches(const char *pattern, const char *path)
{
	size_t n = strlen(pattern);

	return pattern[n - 1] == '*' ? !strncmp(pattern, path, n - 1) : streq(pattern, path);
}

/* Does a fault of the machine touch this setting (@must: such that it cannot be converged)? */
static bool touched(const struct sim *s, const struct setting *setting, bool must)
{
	for (size_t i = 0; i < s->n_faults; i++) {
		for (size_t j = 0; j < ARRAY_SIZE(needs); j++) {
			bool about = needs[j].setting ? streq(needs[j].setting, setting->name)
						      : setting->intent != NULL;

			if (about && (needs[j].must || !must) &&
			    path_matches(needs[j].path, s->faults[i].path))
				return true;
		}
	}
	return false;
}

static void get_intent(const struct run *run, const struct observed *o, const struct setting *s,
		       struct arena *a, struct boot_intent *ret)
{
	if (s->intent)
		assert_int_equal(s->intent(s, run->desired.values[setting_index(s)], &run->desired,
					   o, a, ret),
				 0);
}

/* The administrator's own arguments have one of the setting's keys, but otherwise. */
static bool conflicts(const struct run *run, const struct observed *o, const struct setting *s)
{
	_cleanup_cmdline_ struct cmdline admin = { 0 };
	struct boot_intent b = { 0 };
	struct arena scratch = { 0 };
	bool found = false;

	assert_int_equal(cmdline_parse(run->sim.admin_args, &admin), 0);
	get_intent(run, o, s, &scratch, &b);
	for (size_t i = 0; i < b.n_args; i++) {
		const struct cmdline_arg *arg = cmdline_get(&admin, b.args[i].key);

		found |= arg &&
			 (cmdline_count(&admin, b.args[i].key) > 1 || !boot_first_of_key(&b, i) ||
			  !cmdline_value_equal(arg->key, arg->value, b.args[i].value,
					       run->sim.n_cpus));
	}
	arena_free(&scratch);
	return found;
}

/* The administrator's own arguments have one of the setting's keys, with whatever value: where
 * update-grub fails, an entry that has it twice stays as it is. */
static bool shares_key(const struct run *run, const struct observed *o, const struct setting *s)
{
	_cleanup_cmdline_ struct cmdline admin = { 0 };
	struct boot_intent b = { 0 };
	struct arena scratch = { 0 };
	bool found = false;

	assert_int_equal(cmdline_parse(run->sim.admin_args, &admin), 0);
	get_intent(run, o, s, &scratch, &b);
	for (size_t i = 0; i < b.n_args; i++)
		found |= cmdline_count(&admin, b.args[i].key) > 0;
	arena_free(&scratch);
	return found;
}

static bool knob_broken(const struct sim *s, const char *word, bool read_only)
{
	for (size_t i = 0; i < s->n_knobs; i++)
		if (strstr(s->knobs[i].path, word) &&
		    (read_only ? s->knobs[i].read_only : s->knobs[i].absent))
			return true;
	return false;
}

static bool has_visible_rt(const struct sim *s)
{
	for (size_t i = 0; i < s->n_kernels; i++)
		if (s->kernels[i].rt && !s->kernels[i].config_hidden)
			return true;
	return false;
}

static bool hides_config(const struct sim *s)
{
	bool hidden = s->package_kernel.config_hidden;

	for (size_t i = 0; i < s->n_kernels; i++)
		hidden |= s->kernels[i].config_hidden;
	return hidden;
}

static bool lacks_pools(const struct sim *s)
{
	bool lacks = !s->has_1g;

	for (size_t i = 0; i < s->n_nodes; i++)
		lacks |= !s->nodes[i].has_pools;
	return lacks;
}

/* Where the machine cannot: the reasons of VERDICT_UNFIXABLE. */
static bool cannot(const struct sim *s, const char *name)
{
	const struct sim_kernel *k = &s->kernels[s->running];

	if (streq(name, "kernel"))
		return !has_visible_rt(s);
	if (streq(name, "tick_offload"))
		return !k->nohz_full;
	if (streq(name, "rcu_offload"))
		return !k->nocb;
	if (streq(name, "iommu"))
		return !s->iommu_table || s->iommu_stubborn || !s->n_iommu_groups;
	if (streq(name, "hugepages"))
		return lacks_pools(s);
	if (streq(name, "tsc"))
		return !s->tsc_offered || !s->tsc_invariant;
	if (streq(name, "timer_migration") || streq(name, "rt_throttling"))
		return knob_broken(s, streq(name, "rt_throttling") ? "rt_runtime" : name, false);
	return false;
}

/* Where the kernel refuses: the reasons of VERDICT_FAILED. */
static bool refuses(const struct sim *s, const struct setting *setting)
{
	const char *name = setting->name;

	if (s->grub_breaks && (setting->intent || streq(name, "kernel")))
		return true;
	if (streq(name, "kernel"))
		return !s->package_installed;
	if (streq(name, "watchdogs"))
		return knob_broken(s, "watchdog", true);
	if (streq(name, "rt_throttling"))
		return knob_broken(s, "rt_runtime", true);
	if (streq(name, "timer_migration"))
		return knob_broken(s, name, true);
	if (streq(name, "irq_affinity"))
		for (size_t i = 0; i < s->n_irqs; i++)
			if (s->irqs[i].no_vectors)
				return true;
	return streq(name, "hugepages"); /* memory is what it is */
}

static bool may_stay(const struct run *run, const struct observed *o,
		     const struct setting_verdict *v)
{
	const struct sim *s = &run->sim;

	if (touched(s, v->setting, false))
		return true;
	switch (v->verdict) {
	case VERDICT_CONVERGED:
	case VERDICT_UNMANAGED:
	case VERDICT_NOT_APPLICABLE:
		return true;
	case VERDICT_DRIFTED:
		return conflicts(run, o, v->setting) ||
		       (s->grub_breaks && shares_key(run, o, v->setting));
	case VERDICT_UNFIXABLE:
		return cannot(s, v->setting->name) || conflicts(run, o, v->setting);
	case VERDICT_FAILED:
		return refuses(s, v->setting);
	case VERDICT_UNKNOWN:
		if (streq(v->setting->name, "rt_throttling"))
			return s->debugfs_denied || s->debugfs_absent;
		return streq(v->setting->name, "kernel") && hides_config(s);
	default:
		return false;
	}
}

static void check_known_facts(const struct run *run, const struct look *l)
{
	for (size_t i = 0; i < l->r.n_settings; i++) {
		const struct setting_verdict *v = &l->r.settings[i];

		if (v->verdict == VERDICT_CONVERGED && touched(&run->sim, v->setting, true))
			violated(run, KNOWN_FACTS, "%s is converged with %s not known",
				 v->setting->name, run->sim.faults[0].path);
		if (v->verdict != VERDICT_CONVERGED && v->verdict != VERDICT_UNMANAGED &&
		    v->verdict != VERDICT_NOT_APPLICABLE && !v->reason)
			violated(run, KNOWN_FACTS, "%s is %s without a reason", v->setting->name,
				 verdict_name(v->verdict));
	}
}

static void check_plan_fits(const struct run *run, const struct look *l)
{
	bool wrong = false, pending = false;

	for (size_t i = 0; i < l->r.n_settings; i++) {
		const struct setting_verdict *v = &l->r.settings[i];

		wrong |= v->verdict != VERDICT_CONVERGED && v->verdict != VERDICT_UNMANAGED;
		pending |= v->verdict == VERDICT_PENDING_REBOOT;
		if (v->verdict == VERDICT_DRIFTED && !l->p.n_steps && !may_stay(run, &l->o, v))
			violated(run, PLAN_WHEN_DRIFTED, "%s has drifted (%s), and no step",
				 v->setting->name, v->reason);
	}
	for (size_t i = 0; i < l->p.n_steps; i++) {
		const struct step *step = &l->p.steps[i];
		const struct setting_verdict *v =
			step->setting ? &l->r.settings[setting_index(step->setting)] : NULL;

		if (i && step->kind < l->p.steps[i - 1].kind)
			violated(run, PLAN_WHEN_DRIFTED, "the steps are out of order");
		if (v && v->verdict == VERDICT_CONVERGED)
			violated(run, PLAN_WHEN_DRIFTED, "%s is converged, but has a step: %s %s",
				 step->setting->name, step_kind_name(step->kind), step->target);
		wrong |= !v;
	}
	if (l->p.n_steps && !wrong)
		violated(run, PLAN_WHEN_DRIFTED, "steps on a converged machine");
	if (pending && !l->p.needs_reboot)
		violated(run, PLAN_WHEN_DRIFTED,
			 "a setting waits for a reboot that is not planned");
}

static void check_guardrails(const struct run *run, const struct look *l)
{
	for (size_t i = 0; i < l->p.boot.n_args; i++) {
		_cleanup_cpuset_ struct cpuset set = { 0 };
		const struct cmdline_arg *arg = &l->p.boot.args[i];
		unsigned flags;

		if (!streq(arg->key, "isolcpus"))
			continue;
		if (cmdline_parse_isolcpus(arg->value, run->sim.n_cpus, &flags, &set) < 0) {
			violated(run, GUARDRAILS, "isolcpus=%s does not parse", arg->value);
			continue;
		}
		if (cpuset_subset(&run->sim.online, &set))
			violated(run, GUARDRAILS, "isolcpus=%s leaves no CPU", arg->value);
		if (cpuset_has(&set, 0) && !strstr(run->document, "allow_cpu0"))
			violated(run, GUARDRAILS, "isolcpus=%s has CPU 0", arg->value);
	}
}

static void check_round_trip(const struct run *run, const struct look *l)
{
	_cleanup_cmdline_ struct cmdline back = { 0 };
	const struct boot_intent *b = &l->p.boot;
	const char *entry = NULL, *text;
	struct arena scratch = { 0 };
	bool same;

	text = boot_drop_in_render(&scratch, b);
	assert_int_equal(boot_drop_in_parse(text ? text : "", &back, &scratch, &entry), 0);
	same = back.n_args == b->n_args && !entry == !b->default_entry &&
	       (!entry || streq(entry, b->default_entry));
	for (size_t i = 0; same && i < b->n_args; i++)
		same = streq(back.args[i].key, b->args[i].key) &&
		       !back.args[i].value == !b->args[i].value &&
		       (!b->args[i].value || streq(back.args[i].value, b->args[i].value));
	if (!same)
		violated(run, ROUND_TRIP, "the drop-in reads back otherwise:\n%s", text);
	arena_free(&scratch);
}

/* Our keys stand once in the next boot's entry, pool keys as often as the document has pools. */
static void check_not_doubled(const struct run *run, const struct look *l)
{
	_cleanup_cmdline_ struct cmdline next = { 0 }, admin = { 0 };

	assert_int_equal(cmdline_parse(run->sim.next_cmdline, &next), 0);
	assert_int_equal(cmdline_parse(run->sim.admin_args, &admin), 0);
	for (size_t i = 0; i < l->p.boot.n_args; i++) {
		const char *key = l->p.boot.args[i].key;
		size_t n = 0;

		for (size_t j = 0; j < l->p.boot.n_args; j++)
			n += cmdline_key_equal(l->p.boot.args[j].key, key);
		if (cmdline_count(&admin, key))
			violated(run, ROUND_TRIP, "%s is the administrator's and ours", key);
		else if (cmdline_count(&next, key) != n)
			violated(run, ROUND_TRIP, "%s stands %zu times in the next entry", key,
				 cmdline_count(&next, key));
	}
}

static void look_take(struct run *run, struct look *l)
{
	*l = (struct look){ 0 };
	sim_observe(&run->sim, &l->o);
	assert_int_equal(judge(&run->desired, &l->o, &l->r), 0);
	assert_int_equal(plan_make(&run->desired, &l->o, &l->p), 0);
	check_known_facts(run, l);
	check_plan_fits(run, l);
	check_guardrails(run, l);
	check_round_trip(run, l);
}

/* At most three plans; true when a reboot is asked for. */
static bool apply(struct run *run)
{
	bool reboot = false;

	for (int i = 0; i < 4; i++) {
		_cleanup_(look_done) struct look l;

		look_take(run, &l);
		reboot = l.p.needs_reboot;
		if (l.p.n_steps == reboot || i == 3)
			break;
		sim_execute(&run->sim, &l.p);
	}
	return reboot;
}

static bool was_refused(const struct sim *s, const struct step *step)
{
	for (size_t i = 0; step->setting && i < s->n_refusals; i++)
		if (streq(s->refusals[i].setting, step->setting->name) &&
		    streq(s->refusals[i].target, step->target))
			return true;
	return false;
}

static void check_result(struct run *run)
{
	_cleanup_(look_done) struct look l;
	bool clean = true;

	look_take(run, &l);
	for (size_t i = 0; i < l.r.n_settings; i++) {
		const struct setting_verdict *v = &l.r.settings[i];

		clean &= v->verdict == VERDICT_CONVERGED || v->verdict == VERDICT_UNMANAGED;
		if (!may_stay(run, &l.o, v))
			violated(run, CONVERGENCE, "%s stays %s: %s", v->setting->name,
				 verdict_name(v->verdict), v->reason);
	}
	counts->clean += clean;
	for (size_t i = 0; i < l.p.n_steps; i++) {
		const struct step *step = &l.p.steps[i];
		bool boot = step->kind == STEP_BOOT_ARG || step->kind == STEP_BOOT_DEFAULT ||
			    step->kind == STEP_REBOOT;

		if (was_refused(&run->sim, step))
			continue; /* tried again each time */
		if (!(boot && run->sim.grub_breaks))
			violated(run, IDEMPOTENCE, "a step is left: %s %s (%s): %s -> %s",
				 step_kind_name(step->kind), step->target,
				 step->setting ? step->setting->name : "-",
				 step->now ? step->now : "-", step->want ? step->want : "-");
	}
	if (!run->sim.grub_breaks && !run->sim.n_faults)
		check_not_doubled(run, &l);
}

static void run_pair(uint64_t seed)
{
	struct run run = { .seed = seed };
	_cleanup_observed_ struct observed o = { 0 };
	_cleanup_error_ struct error e = { 0 };
	int r;

	gen_machine(&run.sim, seed);
	run.document = gen_document(&run.sim);
	sim_observe(&run.sim, &o);
	r = document_parse("random.yaml", run.document, strlen(run.document), &run.desired, &e);
	if (r >= 0)
		r = desired_resolve(&run.desired, &o, &e);
	if (r < 0) {
		if (!e.what || (r != -EINVAL && r != -ENODATA))
			violated(&run, GUARDRAILS, "refused with %d and no words", r);
		counts->refused++;
	} else {
		if (apply(&run)) {
			counts->rebooted++;
			sim_reboot(&run.sim);
			apply(&run);
		}
		check_result(&run);
	}
	desired_done(&run.desired);
	sim_done(&run.sim);
}

static uint64_t from_env(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Every other pair, from @first on. */
static void run_half(uint64_t seed, uint64_t first, uint64_t runs)
{
	for (uint64_t i = first; i < runs; i += 2)
		run_pair(seed + i);
}

/* The odd pairs run in a child; its end counts as a violation when it is not a good one. */
static int run_both_halves(uint64_t seed, uint64_t runs)
{
	pid_t child = fork();
	int status;

	if (child < 0)
		return -1;
	if (child == 0) {
		run_half(seed, 1, runs);
		exit(0); /* LeakSanitizer has its say there */
	}
	run_half(seed, 0, runs);
	return waitpid(child, &status, 0) == child && status == 0 ? 0 : -1;
}

static int run_pairs(void **state)
{
	uint64_t runs = from_env("PROPERTY_RUNS", 10000);
	uint64_t seed = from_env("PROPERTY_SEED", (uint64_t)time(NULL) << 20);
	double start = now_s();

	(void)state;
	counts = mmap(NULL, sizeof(*counts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (counts == MAP_FAILED)
		return -1;
	fprintf(stderr, "# PROPERTY_SEED=%" PRIu64 " PROPERTY_RUNS=%" PRIu64 "\n", seed, runs);
	if (run_both_halves(seed, runs) < 0)
		return -1;
	fprintf(stderr,
		"# %" PRIu64 " pairs: %u refused documents, %u rebooted, %u wholly converged; "
		"%.0f a second\n",
		runs, counts->refused, counts->rebooted, counts->clean,
		(double)runs / (now_s() - start));
	/* A generator that makes nothing but nonsense would prove nothing. */
	return runs >= 1000 && (counts->refused > runs / 3 || counts->clean < runs / 20) ? -1 : 0;
}

/* The backtraces of millions of small allocations take a third of the time. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "malloc_context_size=2";
}

#define PROPERTY_TEST(name, property)                              \
	static void name(void **state)                             \
	{                                                          \
		(void)state;                                       \
		assert_int_equal(counts->violations[property], 0); \
	}

PROPERTY_TEST(every_machine_converges_as_far_as_it_can, CONVERGENCE)
PROPERTY_TEST(planning_on_the_result_gives_no_step, IDEMPOTENCE)
PROPERTY_TEST(nothing_is_converged_on_a_fact_that_is_not_known, KNOWN_FACTS)
PROPERTY_TEST(a_plan_is_empty_exactly_if_no_step_can_mend_anything, PLAN_WHEN_DRIFTED)
PROPERTY_TEST(no_plan_isolates_all_cpus_or_cpu0_unasked, GUARDRAILS)
PROPERTY_TEST(the_drop_in_reads_back_and_no_key_is_doubled, ROUND_TRIP)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_machine_converges_as_far_as_it_can),
		cmocka_unit_test(planning_on_the_result_gives_no_step),
		cmocka_unit_test(nothing_is_converged_on_a_fact_that_is_not_known),
		cmocka_unit_test(a_plan_is_empty_exactly_if_no_step_can_mend_anything),
		cmocka_unit_test(no_plan_isolates_all_cpus_or_cpu0_unasked),
		cmocka_unit_test(the_drop_in_reads_back_and_no_key_is_doubled),
	};

	return cmocka_run_group_tests_name("convergence", tests, run_pairs, NULL);
}

/*
 * The table of settings as a whole: what every row must have, and that no row calls itself
 * converged on a fact that is not known. The latter is tried on a simulated machine that is wholly
 * converged: every fact that a row reads is broken in every way.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "state/row.h"
#include "tests/unit/sim_fixture.h"

struct fixture {
	struct sim sim;
	struct desired desired;
};

static void converge_with(struct fixture *f, const char *document)
{
	_cleanup_observed_ struct observed o = { 0 };
	_cleanup_report_ struct report r = { 0 };

	sim_read_document(&f->sim, &f->desired, document);
	sim_converge(&f->sim, &f->desired);
	sim_observe(&f->sim, &o);
	assert_int_equal(judge(&f->desired, &o, &r), 0);
	for (size_t i = 0; i < r.n_settings; i++)
		if (r.settings[i].verdict != VERDICT_CONVERGED &&
		    r.settings[i].verdict != VERDICT_UNMANAGED)
			fail_msg("%s is %s: %s", r.settings[i].setting->name,
				 verdict_name(r.settings[i].verdict), r.settings[i].reason);
	assert_int_equal(r.verdict, MACHINE_VERIFIED);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	gen_full_machine(&f->sim, 4);
	converge_with(f, gen_full_document);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	desired_done(&f->desired);
	sim_done(&f->sim);
	free(f);
	return 0;
}

static void names_are_unique_words(void **state)
{
	(void)state;
	assert_true(n_settings <= SETTINGS_MAX);
	for (size_t i = 0; i < n_settings; i++) {
		const char *name = settings[i]->name;

		assert_true(*name >= 'a' && *name <= 'z');
		assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz_"), strlen(name));
		assert_ptr_equal(setting_by_name(name), settings[i]);
		assert_int_equal(setting_index(settings[i]), i);
	}
	assert_null(setting_by_name("no_such_setting"));
	assert_null(setting_by_name(""));
}

static void every_seed_row_is_there(void **state)
{
	static const char *const seed[] = {
		"kernel",
		"cpu_isolation",
		"tick_offload",
		"rcu_offload",
		"iommu",
		"hugepages",
		"machine_check",
		"tsc",
		"watchdogs",
		"rt_throttling",
		"irq_affinity",
		"idle",
		"kthread_priority",
		"timer_migration",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(seed); i++)
		assert_non_null(setting_by_name(seed[i]));
}

static void every_row_has_words_parse_and_judge(void **state)
{
	(void)state;
	for (size_t i = 0; i < n_settings; i++) {
		const struct setting *s = settings[i];

		assert_true(s->summary && *s->summary && s->doc && *s->doc && s->values &&
			    *s->values);
		assert_null(strchr(s->summary, '\n'));
		assert_non_null(s->parse);
		assert_non_null(s->judge);
	}
}

static void rows_act_where_their_scope_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < n_settings; i++) {
		const struct setting *s = settings[i];

		if ((s->scope == SCOPE_RUNTIME) != !s->intent ||
		    (s->scope != SCOPE_BOOT && !s->plan))
			fail_msg("%s: scope, intent() and plan() do not fit", s->name);
		if (s->intent)
			assert_int_equal(s->disruption == DISRUPTION_NONE, 0);
	}
}

static void facts_of_the_document_are_those_of_its_rows(void **state)
{
	struct desired d = { 0 };
	const struct setting *s = setting_by_name("irq_affinity");

	(void)state;
	assert_int_equal(settings_facts(&d), 0);
	d.values[setting_index(s)] = "";
	assert_int_equal(settings_facts(&d), s->facts);
	assert_int_equal(settings_facts(NULL) & s->facts, s->facts);
	assert_null(desired_package(&d));
}

/* What each row reads on the full machine; @fine: states that may leave it converged, with why. */
enum { ABSENT_IS_FINE = 1 << FACT_ABSENT };
static const struct {
	const char *setting, *path; /* a prefix when it ends in `*` */
	unsigned fine;
} reads[] = {
	{ "kernel", "/proc/sys/kernel/version", 0 },
	{ "kernel", "/boot/grub/grub.cfg", 0 },
	{ "kernel", "/boot/config-6.12.9-rt-amd64", 0 },
	{ "kernel", "/var/lib/dpkg/status", 0 },
	{ "cpu_isolation", "/sys/devices/system/cpu/isolated", 0 },
	{ "cpu_isolation", "/proc/cmdline", 0 },
	{ "cpu_isolation", "/boot/grub/grub.cfg", 0 },
	{ "tick_offload", "/sys/devices/system/cpu/nohz_full", 0 },
	{ "tick_offload", "/boot/grub/grub.cfg", 0 },
	{ "rcu_offload", "/proc/cmdline", 0 },
	{ "rcu_offload", "/proc", 0 },
	{ "rcu_offload", "/boot/grub/grub.cfg", 0 },
	{ "iommu", "/sys/class/iommu", 0 },
	{ "iommu", "/sys/kernel/iommu_groups", ABSENT_IS_FINE }, /* with groups seen all the same */
	{ "iommu", "/sys/kernel/iommu_groups/*", 0 },
	{ "iommu", "/boot/grub/grub.cfg", 0 },
	{ "hugepages", "/proc/meminfo", 0 },
	{ "hugepages", "/proc/self/mounts", 0 },
	{ "hugepages", "/sys/devices/system/node", 0 },
	{ "hugepages", "/sys/devices/system/node/node0/hugepages/hugepages-1048576kB/nr_hugepages",
	  0 },
	{ "hugepages", "/boot/grub/grub.cfg", 0 },
	/* machine check is off altogether: nothing is left to ignore */
	{ "machine_check", "/sys/devices/system/machinecheck/", ABSENT_IS_FINE },
	/* a CPU that went offline took its folder with it */
	{ "machine_check", "/sys/devices/system/machinecheck/machinecheck*", ABSENT_IS_FINE },
	{ "machine_check", "/sys/devices/system/cpu/possible", 0 },
	{ "machine_check", "/boot/grub/grub.cfg", 0 },
	{ "tsc", "/proc/cmdline", 0 },
	{ "tsc", "/sys/devices/system/clocksource/clocksource0/current_clocksource", 0 },
	{ "tsc", "/proc/cpuinfo", 0 },
	{ "tsc", "/boot/grub/grub.cfg", 0 },
	/* kernels are built with or without each lockup detector */
	{ "watchdogs", "/proc/sys/kernel/nmi_watchdog", ABSENT_IS_FINE },
	{ "watchdogs", "/proc/sys/kernel/soft_watchdog", ABSENT_IS_FINE },
	{ "watchdogs", "/proc/sys/kernel/watchdog", ABSENT_IS_FINE },
	{ "watchdogs", "/proc/sys/kernel/osrelease", 0 },
	{ "watchdogs", "/boot/grub/grub.cfg", 0 },
	{ "rt_throttling", "/proc/sys/kernel/sched_rt_runtime_us", 0 },
	{ "rt_throttling", "/proc/sys/kernel/osrelease", 0 },
	{ "rt_throttling", "/sys/kernel/debug/sched/", 0 },
	/* built without the server */
	{ "rt_throttling", "/sys/kernel/debug/sched/fair_server/*", ABSENT_IS_FINE },
	{ "irq_affinity", "/proc/interrupts", 0 },
	{ "irq_affinity", "/proc/irq/default_smp_affinity", 0 },
	/* irqbalance does not run */
	{ "irq_affinity", "/proc/irqbalance", ABSENT_IS_FINE },
	{ "irq_affinity", "/run/irqbalance/irqbalance.sock", 0 },
	{ "irq_affinity", "/boot/grub/grub.cfg", 0 },
	/* its CPU went offline */
	{ "idle", "/sys/devices/system/cpu/cpu2/cpuidle/state2/disable", ABSENT_IS_FINE },
	{ "idle", "/sys/devices/system/cpu/possible", 0 },
	{ "idle", "/boot/grub/grub.cfg", 0 },
	{ "kthread_priority", "/proc", 0 },
	{ "timer_migration", "/proc/sys/kernel/timer_migration", 0 },
	{ "timer_migration", "/proc/sys/kernel/osrelease", 0 },
};

static bool path_matches(const char *pattern, const char *path)
{
	size_t n = strlen(pattern);

	return pattern[n - 1] == '*' ? !strncmp(pattern, path, n - 1) : streq(pattern, path);
}

/* Breaks everything at that path; returns how many facts that were. */
static size_t break_all(struct observed *o, const char *pattern, enum fact_state state)
{
	struct fact *f;
	size_t n = 0;

	for (size_t i = 0; (f = sim_fact(o, i)); i++) {
		if (!f->path || !path_matches(pattern, f->path))
			continue;
		sim_break_fact(o, f, state, state == FACT_UNREADABLE ? EIO : 0);
		n++;
	}
	return n;
}

/* A file nobody looked at is not in the list at all. */
static void drop_files(struct observed *o, const char *pattern)
{
	size_t kept = 0;

	for (size_t i = 0; i < o->n_files; i++)
		if (!path_matches(pattern, o->files[i].path))
			o->files[kept++] = o->files[i];
	o->n_files = kept;
}

static enum verdict verdict_of(const struct fixture *f, const struct observed *o, const char *name)
{
	_cleanup_report_ struct report r = { 0 };

	assert_int_equal(judge(&f->desired, o, &r), 0);
	return r.settings[setting_index(setting_by_name(name))].verdict;
}

static void no_row_is_converged_on_a_fact_that_is_not_known(void **state)
{
	static const enum fact_state states[] = { FACT_UNPROBED, FACT_ABSENT, FACT_DENIED,
						  FACT_UNREADABLE };
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(reads); i++) {
		for (size_t j = 0; j < ARRAY_SIZE(states); j++) {
			_cleanup_observed_ struct observed o = { 0 };

			sim_observe(&f->sim, &o);
			if (!break_all(&o, reads[i].path, states[j]))
				fail_msg("the machine has no %s", reads[i].path);
			if (reads[i].fine & (1U << states[j]))
				continue;
			if (verdict_of(f, &o, reads[i].setting) == VERDICT_CONVERGED)
				fail_msg("%s is converged with %s %s", reads[i].setting,
					 reads[i].path, fact_state_name(states[j]));
		}
	}
}

static void a_file_that_was_not_looked_at_is_not_fine(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(reads); i++) {
		_cleanup_observed_ struct observed o = { 0 };
		size_t n;

		/* Patterns may match nothing: only their folder tells, and it is in the list. */
		if (strchr(reads[i].path, '*') || strstr(reads[i].path, "cpuidle"))
			continue;
		sim_observe(&f->sim, &o);
		n = o.n_files;
		drop_files(&o, reads[i].path);
		if (o.n_files != n && verdict_of(f, &o, reads[i].setting) == VERDICT_CONVERGED)
			fail_msg("%s is converged, but nobody looked at %s", reads[i].setting,
				 reads[i].path);
	}
}

/* Every IRQ counts: breaking any one effective set makes the setting unknown. */
static void every_irq_that_cannot_be_read_is_unknown(void **state)
{
	struct fixture *f = *state;
	size_t n = 0;

	for (size_t i = 0;; i++) {
		_cleanup_observed_ struct observed o = { 0 };

		sim_observe(&f->sim, &o);
		if (i == o.n_irqs)
			break;
		sim_break_fact(&o, &o.irqs[i].effective, FACT_UNREADABLE, EIO);
		assert_int_equal(verdict_of(f, &o, "irq_affinity"), VERDICT_UNKNOWN);
		n++;
	}
	assert_true(n > 0);
}

static void a_listing_that_was_denied_is_unknown(void **state)
{
	static const struct {
		const char *setting, *files, *listing;
	} cases[] = {
		{ "idle", "/sys/devices/system/cpu/cpu*",
		  "/sys/devices/system/cpu/cpu*/cpuidle/state*/disable" },
		{ "idle", "/sys/devices/system/cpu/cpu2/*",
		  "/sys/devices/system/cpu/cpu2/cpuidle/state*/disable" },
		{ "machine_check", "/sys/devices/system/machinecheck/machinecheck*",
		  "/sys/devices/system/machinecheck/machinecheck*/ignore_ce" },
		{ "rt_throttling", "/sys/kernel/debug/sched/fair_server/*",
		  "/sys/kernel/debug/sched/fair_server/cpu*/runtime" },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_observed_ struct observed o = { 0 };
		size_t at;

		sim_observe(&f->sim, &o);
		drop_files(&o, cases[i].files);
		/* where it sorts in: after everything that is before it */
		for (at = 0; at < o.n_files && strcmp(o.files[at].path, cases[i].listing) < 0; at++)
			;
		memmove(&o.files[at + 1], &o.files[at], (o.n_files++ - at) * sizeof(*o.files));
		o.files[at] = (struct fact){ .state = FACT_DENIED,
					     .error = EACCES,
					     .path = cases[i].listing };
		if (verdict_of(f, &o, cases[i].setting) != VERDICT_UNKNOWN)
			fail_msg("%s is not unknown with %s denied", cases[i].setting,
				 cases[i].listing);
	}
}

static void softer_and_harder_values_converge_too(void **state)
{
	struct fixture *f = *state;
	char *document = strdup(gen_full_document);
	char *at = strstr(document, "ignore_ce");

	memcpy(at, "off      ", strlen("ignore_ce"));
	at = strstr(document, "{max_cstate: 1}");
	memcpy(at, "poll           ", strlen("{max_cstate: 1}"));
	converge_with(f, document);
	free(document);
	assert_false(f->sim.mce_on);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_unique_words),
		cmocka_unit_test(every_seed_row_is_there),
		cmocka_unit_test(every_row_has_words_parse_and_judge),
		cmocka_unit_test(rows_act_where_their_scope_says),
		cmocka_unit_test(facts_of_the_document_are_those_of_its_rows),
		T(no_row_is_converged_on_a_fact_that_is_not_known),
		T(a_file_that_was_not_looked_at_is_not_fine),
		T(every_irq_that_cannot_be_read_is_unknown),
		T(a_listing_that_was_denied_is_unknown),
		T(softer_and_harder_values_converge_too),
	};

	return cmocka_run_group_tests_name("settings", tests, NULL, NULL);
}

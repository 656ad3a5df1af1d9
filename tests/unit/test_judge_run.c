/* What a run proves: every trap that must not PASS, FAIL as a one-sided verdict, and the bounds. */
#include "cyclictest_fixture.h"

#include <signal.h>

#include "measure/judge_run.h"

#define EXITED(status) ((status) << 8) /* as waitpid() gives it */

/* A run of profile standard on CPUs 2-3, limit 40 us, of which nothing is wrong. */
struct setup {
	struct desired_measure measure;
	struct cpuset asked;
	struct cyclictest_result result;
	struct segment_input seg;
	struct run_input in;
	struct error error;
	struct run_judgement j;
};

static void setup(struct setup *s, const char *name, const char *asked, unsigned duration_s,
		  unsigned interval_us)
{
	_cleanup_free_ char *text = NULL;
	size_t size;

	*s = (struct setup){
		.measure = { .declared = true,
			     .profile = "standard",
			     .duration_s = duration_s,
			     .interval_us = interval_us,
			     .action = SLA_ASSERT },
		.seg = { .duration_s = duration_s,
			 .output = "",
			 .elapsed_ms = (uint64_t)duration_s * 1000 + 300 },
		.in = { .duration_s = duration_s, .histogram_us = 1000, .n_segments = 1 },
	};
	for (size_t i = 0; i < _SLA_KEY_MAX; i++)
		s->measure.limits[i] = -1;
	s->measure.limits[SLA_MAX] = 40;
	assert_int_equal(cpuset_parse_list(asked, 0, &s->asked), 0);
	s->in.measure = &s->measure;
	s->in.asked = &s->asked;
	s->in.segments = &s->seg;
	if (!name)
		return;
	if (streq(name, "sigint.json") || streq(name, "break.json"))
		s->in.histogram_us = 100; /* they were recorded with -h 100 */
	text = fixture(name, &size);
	if (cyclictest_parse(text, size, &s->result, &s->error) == 0)
		s->seg.result = &s->result;
	else
		s->seg.result_error = s->error.what;
}

static void judge(struct setup *s)
{
	run_judgement_done(&s->j);
	assert_int_equal(judge_run(&s->in, &s->j), 0);
	assert_non_null(s->j.sentence);
}

static void teardown(struct setup *s)
{
	run_judgement_done(&s->j);
	cyclictest_result_done(&s->result);
	cpuset_done(&s->asked);
	error_clear(&s->error);
}

static void assert_verdict(struct setup *s, enum run_verdict verdict, enum run_reason reason)
{
	judge(s);
	if (s->j.verdict != verdict)
		fail_msg("not %s: %s", run_verdict_name(verdict), s->j.sentence);
	if (reason != _REASON_MAX && !s->j.reasons[reason])
		fail_msg("no %s: %s", run_reason_name(reason), s->j.sentence);
	if (reason != _REASON_MAX && !strstr(s->j.sentence, run_reason_name(reason)))
		fail_msg("%s is not in: %s", run_reason_name(reason), s->j.sentence);
}

static void clean_hour_passes_with_the_bound_it_proves(void **state)
{
	struct setup s;

	(void)state;
	setup(&s, "clean.json", "2-3", 3600, 1000);
	assert_verdict(&s, RUN_PASS, _REASON_MAX);
	assert_string_equal(s.j.sentence,
			    "0 of 7200000 wake-ups on CPUs 2-3 above 40 us in 3600 s (worst "
			    "23 us, CPU 3): at most 3 per hour at 95 %");
	for (int i = 0; i < _REASON_MAX; i++)
		assert_null(s.j.reasons[i]);
	assert_int_equal(s.j.exceedances, 0);
	assert_true(s.j.bound_per_hour > 2.999 && s.j.bound_per_hour < 3.001);
	assert_int_equal(s.j.threads[0].expected_cycles, 3600000);
	assert_int_equal(s.j.threads[0].missed_cycles, 0);
	teardown(&s);
}

static void every_trap_is_never_a_pass(void **state)
{
	static const struct {
		const char *file, *asked;
		unsigned duration_s, interval_us;
		enum run_reason reason;
	} traps[] = {
		{ "zero_samples.json", "0-1", 10, 3000000, REASON_ZERO_SAMPLES },
		{ "sigint.json", "0-1", 10, 200, REASON_TRUNCATED },
		{ "sigint.json", "0-1", 10, 200, REASON_MISSED_PERIODS },
		{ "break.json", "0", 5, 200, REASON_TRUNCATED },
		{ "unescaped_quote.json", "0-1", 1, 1000, REASON_BAD_JSON },
		{ "cut_off.json", "2-3", 3600, 1000, REASON_BAD_JSON },
		{ "empty.json", "2-3", 3600, 1000, REASON_BAD_JSON },
		{ "nanoseconds.json", "0-1", 1, 1000, REASON_BAD_JSON },
		{ "more_samples_than_cycles.json", "2-3", 3600, 1000, REASON_BAD_JSON },
		{ "hidden_overflow.json", "2-3", 3600, 1000, REASON_BAD_JSON },
		{ "no_histogram.json", "0-1", 1, 1000, REASON_BAD_JSON },
		{ "overflow.json", "0-1", 2, 1000, REASON_OVERFLOW },
		{ "complete.json", "2-3", 2, 1000, REASON_WRONG_CPUS },
		{ "complete.json", "0-2", 2, 1000, REASON_WRONG_CPUS },
		{ "complete.json", "0", 2, 1000, REASON_WRONG_CPUS },
		{ "missed_periods.json", "2-3", 5, 200, REASON_MISSED_PERIODS },
		{ "complete.json", "0-1", 2, 1000, REASON_SHORT },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(traps); i++) {
		struct setup s;

		setup(&s, traps[i].file, traps[i].asked, traps[i].duration_s, traps[i].interval_us);
		/* a limit that nothing exceeds: only the trap itself may prevent the PASS */
		s.measure.limits[SLA_MAX] = 1000000;
		s.measure.profile = traps[i].reason == REASON_SHORT ? "smoke" : "standard";
		assert_verdict(&s, RUN_INCONCLUSIVE, traps[i].reason);
		assert_true(s.j.bound_per_hour < 0 || traps[i].reason == REASON_SHORT);
		teardown(&s);
	}
}

static void tcg_run_of_4224_of_25000_periods_says_what_was_missed(void **state)
{
	struct setup s;

	(void)state;
	setup(&s, "missed_periods.json", "2-3", 5, 200);
	assert_verdict(&s, RUN_INCONCLUSIVE, REASON_MISSED_PERIODS);
	assert_non_null(strstr(s.j.sentence, "CPU 2 ran 4224 of 25000 periods (83.1 % missed)"));
	assert_int_equal(s.j.threads[1].missed_cycles, 20776);
	teardown(&s);
}

static void usage_with_exit_status_0_is_an_error(void **state)
{
	_cleanup_free_ char *usage = fixture("usage.out", NULL);
	struct setup s;

	(void)state;
	setup(&s, NULL, "2-3", 3600, 1000);
	s.seg.output = usage;
	s.seg.wait_status = EXITED(0);
	assert_verdict(&s, RUN_ERROR, REASON_TOOL_ERROR);
	assert_non_null(strstr(s.j.sentence, "usage"));
	teardown(&s);
}

static void no_result_is_an_error_unless_a_signal_lost_it(void **state)
{
	struct setup s;

	(void)state;
	setup(&s, NULL, "2-3", 3600, 1000);
	assert_verdict(&s, RUN_ERROR, REASON_TOOL_ERROR);
	s.seg.wait_status = EXITED(1);
	s.seg.output = "# started\nFATAL: could not set the affinity\n\n";
	assert_verdict(&s, RUN_ERROR, REASON_TOOL_ERROR);
	assert_non_null(strstr(s.j.sentence, "exit status 1: FATAL: could not set the affinity. "));
	s.seg.output = "";
	s.seg.wait_status = SIGKILL;
	assert_verdict(&s, RUN_INCONCLUSIVE, REASON_TOOL_ERROR);
	assert_non_null(strstr(s.j.sentence, "signal 9"));
	s.seg.timed_out = true;
	assert_verdict(&s, RUN_INCONCLUSIVE, REASON_TOOL_ERROR);
	s.seg.not_started = "cyclictest is not installed";
	assert_verdict(&s, RUN_ERROR, REASON_TOOL_ERROR);
	assert_non_null(strstr(s.j.sentence, "is not installed"));
	teardown(&s);
}

static void bad_exit_with_a_good_result_does_not_pass(void **state)
{
	struct setup s;

	(void)state;
	setup(&s, "clean.json", "2-3", 3600, 1000);
	s.seg.wait_status = EXITED(1);
	assert_verdict(&s, RUN_INCONCLUSIVE, REASON_TOOL_ERROR);
	s.seg.wait_status = SIGTERM;
	assert_verdict(&s, RUN_INCONCLUSIVE, REASON_TOOL_ERROR);
	s.seg.wait_status = 0;
	s.result.return_code = 1;
	assert_verdict(&s, RUN_INCONCLUSIVE, REASON_TOOL_ERROR);
	teardown(&s);
}

static void break_text_does_not_pass(void **state)
{
	_cleanup_free_ char *brk = fixture("break.out", NULL);
	struct setup s;

	(void)state;
	setup(&s, "clean.json", "2-3", 3600, 1000);
	s.seg.output = brk;
	assert_verdict(&s, RUN_INCONCLUSIVE, REASON_BREAK_HIT);
	teardown(&s);
}

static void drift_and_a_changed_machine_void_even_an_exceedance(void **state)
{
	struct setup s;

	(void)state;
	setup(&s, "exceeded_on_last_cpu.json", "2-3", 3600, 1000);
	assert_verdict(&s, RUN_FAIL, REASON_SLA_EXCEEDED);
	s.in.drift = "irq_affinity is drifted, seen at 2026-11-22T10:00:07Z";
	assert_verdict(&s, RUN_INCONCLUSIVE, REASON_DRIFT);
	assert_non_null(
		strstr(s.j.sentence, "irq_affinity is drifted, seen at 2026-11-22T10:00:07Z"));
	s.in.drift = NULL;
	s.in.fingerprint_changed = true;
	assert_verdict(&s, RUN_INCONCLUSIVE, REASON_FINGERPRINT_CHANGED);
	s.in.fingerprint_changed = false;
	s.in.rebooted = true;
	assert_verdict(&s, RUN_INCONCLUSIVE, REASON_REBOOTED);
	s.in.rebooted = false;
	s.in.clock_changed = true;
	assert_verdict(&s, RUN_INCONCLUSIVE, REASON_CLOCK_CHANGED);
	teardown(&s);
}

static void rt_throttling_prevents_a_pass_but_excuses_nothing(void **state)
{
	struct setup s;

	(void)state;
	setup(&s, "clean.json", "2-3", 3600, 1000);
	s.in.rt_throttled = true;
	assert_verdict(&s, RUN_INCONCLUSIVE, REASON_THROTTLED_RT);
	s.measure.limits[SLA_MAX] = 20;
	assert_verdict(&s, RUN_FAIL, REASON_THROTTLED_RT);
	teardown(&s);
}

static void nothing_declared_is_no_verdict(void **state)
{
	struct setup s;

	(void)state;
	setup(&s, "clean.json", "2-3", 3600, 1000);
	s.measure.limits[SLA_MAX] = -1;
	assert_verdict(&s, RUN_INCONCLUSIVE, REASON_NO_SLA);
	teardown(&s);
}

static void every_thread_is_judged_and_the_worst_cpu_named(void **state)
{
	struct setup s;

	(void)state;
	setup(&s, "exceeded_on_last_cpu.json", "2-3", 3600, 1000);
	assert_verdict(&s, RUN_FAIL, REASON_SLA_EXCEEDED);
	assert_int_equal(s.j.sla[SLA_MAX].worst_cpu, 3);
	assert_true(s.j.sla[SLA_MAX].exceeded);
	assert_false(cpuset_has(&s.j.sla[SLA_MAX].exceeded_on, 2));
	assert_true(cpuset_has(&s.j.sla[SLA_MAX].exceeded_on, 3));
	assert_int_equal(s.j.exceedances, 1);
	assert_non_null(strstr(s.j.sentence, "largest latency is 57 us on CPU 3, above the limit "
					     "of 40 us"));
	assert_non_null(strstr(s.j.sentence, "1 of 7200000 wake-ups"));
	teardown(&s);
}

static void value_equal_to_the_limit_is_within_it(void **state)
{
	struct setup s;

	(void)state;
	setup(&s, "clean.json", "2-3", 3600, 1000);
	s.measure.limits[SLA_MAX] = 23;
	assert_verdict(&s, RUN_PASS, _REASON_MAX);
	s.measure.limits[SLA_MAX] = 22;
	assert_verdict(&s, RUN_FAIL, REASON_SLA_EXCEEDED);
	s.measure.limits[SLA_MAX] = 0;
	assert_verdict(&s, RUN_FAIL, REASON_SLA_EXCEEDED);
	teardown(&s);
}

static void exceedance_in_a_truncated_run_still_fails(void **state)
{
	struct setup s;

	(void)state;
	setup(&s, "sigint.json", "0-1", 10, 200);
	assert_verdict(&s, RUN_FAIL, REASON_TRUNCATED);
	s.measure.profile = "smoke";
	assert_verdict(&s, RUN_FAIL, REASON_SHORT);
	teardown(&s);
}

static void average_and_minimum_fail_only_over_a_whole_run(void **state)
{
	struct setup s;

	(void)state;
	setup(&s, "clean.json", "2-3", 3600, 1000);
	s.measure.limits[SLA_AVG] = 3;
	assert_verdict(&s, RUN_FAIL, REASON_SLA_EXCEEDED);
	assert_non_null(strstr(s.j.sentence, "average latency is 3.17 us"));
	s.seg.elapsed_ms = 1000000;
	assert_verdict(&s, RUN_INCONCLUSIVE, REASON_TRUNCATED);
	s.measure.limits[SLA_AVG] = -1;
	s.measure.limits[SLA_MIN] = 1;
	assert_verdict(&s, RUN_INCONCLUSIVE, REASON_TRUNCATED);
	s.seg.elapsed_ms = 3600000;
	assert_verdict(&s, RUN_FAIL, REASON_SLA_EXCEEDED);
	teardown(&s);
}

static void monitored_limits_warn_instead_of_failing(void **state)
{
	struct setup s;

	(void)state;
	setup(&s, "exceeded_on_last_cpu.json", "2-3", 3600, 1000);
	s.measure.action = SLA_MONITOR;
	assert_verdict(&s, RUN_WARN, REASON_SLA_EXCEEDED);
	s.measure.limits[SLA_MAX] = 100;
	assert_verdict(&s, RUN_PASS, _REASON_MAX);
	teardown(&s);
}

static void profiles_limit_what_a_run_can_say(void **state)
{
	struct setup s;

	(void)state;
	setup(&s, "clean.json", "2-3", 3600, 1000);
	s.measure.profile = "quick";
	assert_verdict(&s, RUN_WARN, REASON_PROVISIONAL);
	s.measure.profile = "acceptance";
	assert_verdict(&s, RUN_INCONCLUSIVE, REASON_SHORT);
	s.measure.profile = "smoke";
	assert_verdict(&s, RUN_INCONCLUSIVE, REASON_SHORT);
	s.measure.profile = "unheard-of";
	assert_verdict(&s, RUN_INCONCLUSIVE, REASON_SHORT);
	teardown(&s);
}

static void two_threads_on_one_cpu_are_wrong_cpus(void **state)
{
	struct setup s;

	(void)state;
	setup(&s, "clean.json", "2-3", 3600, 1000);
	s.result.threads[1].cpu = 2;
	assert_verdict(&s, RUN_INCONCLUSIVE, REASON_WRONG_CPUS);
	s.result.threads[1].cpu = -1;
	assert_verdict(&s, RUN_INCONCLUSIVE, REASON_WRONG_CPUS);
	teardown(&s);
}

static void more_cycles_than_fit_are_another_run(void **state)
{
	struct setup s;

	(void)state;
	setup(&s, "clean.json", "2-3", 3600, 1000);
	s.measure.interval_us = 2000;
	assert_verdict(&s, RUN_INCONCLUSIVE, REASON_TOOL_ERROR);
	assert_non_null(strstr(s.j.sentence, "another run"));
	teardown(&s);
}

static void one_missed_period_in_a_thousand_is_accepted(void **state)
{
	struct setup s;

	(void)state;
	setup(&s, "clean.json", "2-3", 3600, 1000);
	for (int i = 0; i < 2; i++) { /* 3600 fewer in the fullest bucket */
		s.result.threads[i].cycles -= 3600;
		s.result.threads[i].buckets[1].count -= 3600;
	}
	assert_verdict(&s, RUN_PASS, _REASON_MAX);
	assert_int_equal(s.j.threads[0].missed_cycles, 3600);
	s.result.threads[1].cycles--;
	s.result.threads[1].buckets[1].count--;
	assert_verdict(&s, RUN_INCONCLUSIVE, REASON_MISSED_PERIODS);
	teardown(&s);
}

static void percentiles_need_ten_samples_beyond_them(void **state)
{
	struct setup s;

	(void)state;
	setup(&s, "clean.json", "2-3", 3600, 1000);
	judge(&s);
	assert_int_equal(s.j.threads[1].percentile_us[0], 3);
	assert_int_equal(s.j.threads[1].percentile_us[1], 4);
	assert_int_equal(s.j.threads[1].percentile_us[2], 7);
	assert_int_equal(s.j.threads[1].percentile_us[3], 7);
	assert_int_equal(s.j.threads[1].percentile_us[4], 7);
	assert_int_equal(s.j.threads[1].percentile_us[5], -1); /* needs 10,000,000 */
	teardown(&s);
	setup(&s, "break.json", "0", 5, 200);
	judge(&s);
	assert_int_equal(s.j.threads[0].percentile_us[0], -1);
	teardown(&s);
}

static void segments_are_judged_as_one(void **state)
{
	struct setup s;
	struct segment_input two[2];

	(void)state;
	setup(&s, "clean.json", "2-3", 3600, 1000);
	two[0] = two[1] = s.seg;
	s.in.segments = two;
	s.in.n_segments = 2;
	s.in.duration_s = 7200;
	assert_verdict(&s, RUN_PASS, _REASON_MAX);
	assert_int_equal(s.j.n_threads, 2);
	assert_int_equal(s.j.threads[1].expected_cycles, 7200000);
	assert_int_equal(s.j.threads[1].merged.cycles, 7200000);
	assert_int_equal(s.j.threads[1].merged.max_us, 23);
	assert_int_equal(s.j.threads[1].merged.n_buckets, s.result.threads[1].n_buckets);
	assert_true(s.j.threads[1].merged.avg_us > 3 && s.j.threads[1].merged.avg_us < 4);
	assert_true(s.j.bound_per_hour > 1.499 && s.j.bound_per_hour < 1.501);
	s.in.duration_s = 10800; /* a third one was not begun */
	assert_verdict(&s, RUN_INCONCLUSIVE, REASON_TRUNCATED);
	two[1] = (struct segment_input){ .duration_s = 3600,
					 .unreachable = "silence",
					 .output = "" };
	s.in.duration_s = 7200;
	assert_verdict(&s, RUN_INCONCLUSIVE, REASON_GUEST_UNREACHABLE);
	s.measure.limits[SLA_MAX] = 10; /* seen is seen */
	assert_verdict(&s, RUN_FAIL, REASON_GUEST_UNREACHABLE);
	s.in.n_segments = 0;
	assert_verdict(&s, RUN_INCONCLUSIVE, REASON_TRUNCATED);
	teardown(&s);
}

static void load_that_died_prevents_a_pass_but_excuses_nothing(void **state)
{
	struct setup s;

	(void)state;
	setup(&s, "clean.json", "2-3", 3600, 1000);
	s.seg.load_trouble = "stress-ng died after 3 s";
	assert_verdict(&s, RUN_INCONCLUSIVE, REASON_LOAD_DIED);
	assert_non_null(strstr(s.j.sentence, "died after 3 s"));
	s.measure.limits[SLA_MAX] = 20;
	assert_verdict(&s, RUN_FAIL, REASON_LOAD_DIED);
	teardown(&s);
}

static void declared_overflow_missed_ratio_and_percentiles_are_limits(void **state)
{
	struct setup s;

	(void)state;
	setup(&s, "overflow.json", "0-1", 2, 1000);
	s.measure.limits[SLA_MAX] = 1000000;
	s.measure.limits[SLA_OVERFLOW] = 1000000;
	judge(&s);
	assert_null(s.j.reasons[REASON_OVERFLOW]);
	s.measure.limits[SLA_OVERFLOW] = 0;
	assert_verdict(&s, RUN_FAIL, REASON_SLA_EXCEEDED);
	teardown(&s);
	setup(&s, "clean.json", "2-3", 3600, 1000);
	s.measure.limits[SLA_P99] = 3;
	assert_verdict(&s, RUN_FAIL, REASON_SLA_EXCEEDED);
	assert_non_null(strstr(s.j.sentence, "latency at p99 is 4 us on CPU"));
	s.measure.limits[SLA_P99] = 4;
	assert_verdict(&s, RUN_PASS, _REASON_MAX);
	s.measure.limits[SLA_P999999] = 1000; /* needs 10,000,000 samples */
	assert_verdict(&s, RUN_INCONCLUSIVE, REASON_TOO_FEW_SAMPLES);
	teardown(&s);
	setup(&s, "missed_periods.json", "2-3", 5, 200);
	s.measure.limits[SLA_MAX] = 1000000;
	s.measure.limits[SLA_MISSED_RATIO] = 900000;
	judge(&s);
	assert_null(s.j.reasons[REASON_MISSED_PERIODS]);
	teardown(&s);
}

static void late_wakeups_stand_for_those_they_hid(void **state)
{
	struct latency_bucket buckets[] = { { 5, 900 }, { 1000, 100 } };
	struct cyclictest_thread thread = { .cpu = 2,
					    .cycles = 1000,
					    .min_us = 5,
					    .max_us = 1000,
					    .avg_us = 104.5,
					    .has_histogram = true,
					    .buckets = buckets,
					    .n_buckets = 2 };
	struct cyclictest_result result = { .threads = &thread, .n_threads = 1 };
	struct setup s;

	(void)state;
	setup(&s, NULL, "2", 1, 200);
	s.in.histogram_us = 2000;
	s.seg.result = &result;
	judge(&s);
	/* 100 of 1000 are late; with the 4 that each hid (800, 600, 400, 200 us), 500 of 1400 */
	assert_int_equal(s.j.threads[0].percentile_us[0], 5);
	assert_int_equal(s.j.threads[0].corrected_us[0], 5);
	assert_int_equal(s.j.threads[0].percentile_us[1], 1000);
	assert_int_equal(s.j.threads[0].corrected_us[1], 1000);
	buckets[0].count = 500;
	thread.cycles = 600;
	judge(&s);
	assert_int_equal(s.j.threads[0].percentile_us[0], 5);
	assert_int_equal(s.j.threads[0].corrected_us[0], 5);
	buckets[0].count = 300;
	thread.cycles = 400;
	judge(&s); /* 300 of 800 are in time */
	assert_int_equal(s.j.threads[0].percentile_us[0], 5);
	assert_int_equal(s.j.threads[0].corrected_us[0], 200);
	teardown(&s);
}

static void exit_codes_are_those_of_the_contract(void **state)
{
	(void)state;
	assert_int_equal(run_verdict_exit_code(RUN_PASS), 0);
	assert_int_equal(run_verdict_exit_code(RUN_FAIL), 1);
	assert_int_equal(run_verdict_exit_code(RUN_ERROR), 2);
	assert_int_equal(run_verdict_exit_code(RUN_INCONCLUSIVE), 3);
	assert_int_equal(run_verdict_exit_code(RUN_WARN), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clean_hour_passes_with_the_bound_it_proves),
		cmocka_unit_test(every_trap_is_never_a_pass),
		cmocka_unit_test(tcg_run_of_4224_of_25000_periods_says_what_was_missed),
		cmocka_unit_test(usage_with_exit_status_0_is_an_error),
		cmocka_unit_test(no_result_is_an_error_unless_a_signal_lost_it),
		cmocka_unit_test(bad_exit_with_a_good_result_does_not_pass),
		cmocka_unit_test(break_text_does_not_pass),
		cmocka_unit_test(drift_and_a_changed_machine_void_even_an_exceedance),
		cmocka_unit_test(rt_throttling_prevents_a_pass_but_excuses_nothing),
		cmocka_unit_test(nothing_declared_is_no_verdict),
		cmocka_unit_test(every_thread_is_judged_and_the_worst_cpu_named),
		cmocka_unit_test(value_equal_to_the_limit_is_within_it),
		cmocka_unit_test(exceedance_in_a_truncated_run_still_fails),
		cmocka_unit_test(average_and_minimum_fail_only_over_a_whole_run),
		cmocka_unit_test(monitored_limits_warn_instead_of_failing),
		cmocka_unit_test(profiles_limit_what_a_run_can_say),
		cmocka_unit_test(two_threads_on_one_cpu_are_wrong_cpus),
		cmocka_unit_test(more_cycles_than_fit_are_another_run),
		cmocka_unit_test(one_missed_period_in_a_thousand_is_accepted),
		cmocka_unit_test(percentiles_need_ten_samples_beyond_them),
		cmocka_unit_test(segments_are_judged_as_one),
		cmocka_unit_test(load_that_died_prevents_a_pass_but_excuses_nothing),
		cmocka_unit_test(declared_overflow_missed_ratio_and_percentiles_are_limits),
		cmocka_unit_test(late_wakeups_stand_for_those_they_hid),
		cmocka_unit_test(exit_codes_are_those_of_the_contract),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

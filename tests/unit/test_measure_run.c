/* One measurement from the first look to the result, with a cyclictest of our own: what the machine
 * does meanwhile, and the loads. */
#include "tests/unit/measure_run_fixture.h"

static void complete_run_is_judged_and_kept(void **state)
{
	struct bench *b = *state;
	_cleanup_free_ char *json = NULL, *result = NULL;
	const json_t *thread, *argv;
	json_t *read_back;

	bench_install_tool(b, "sleep 2.1; result 2 3 10000 23 2");
	assert_int_equal(bench_go(b, 2), 0);
	bench_assert_run(b, RUN_INCONCLUSIVE, REASON_SHORT);
	assert_int_equal(json_array_size(json_object_get(b->run.result, "reasons")), 1);
	assert_non_null(strstr(b->run.sentence, "0 of 20000 wake-ups on CPUs 2-3 above 40 us"));
	assert_true(b->progress_calls >= 1);
	assert_true(bench_machine.looks >= 3); /* before, during, after */
	thread = json_array_get(json_object_get(bench_cell(b, 0), "threads"), 1);
	assert_int_equal(json_integer_value(json_object_get(thread, "cpu")), 3);
	assert_int_equal(json_integer_value(json_object_get(thread, "max_us")), 23);
	assert_int_equal(json_integer_value(json_object_get(thread, "missed_cycles")), 0);
	argv = json_object_get(json_object_get(b->run.result, "tool"), "argv");
	assert_string_equal(json_string_value(json_array_get(argv, 7)), "2-3");
	json = bench_kept(b, "cells/idle_idle/segment-0001.json");
	result = bench_kept(b, "result.json");
	assert_non_null(json);
	assert_non_null(strstr(json, "measuring"));
	read_back = json_loads(result, 0, NULL);
	assert_true(json_equal(read_back, b->run.result));
	json_decref(read_back);
	assert_int_equal(bench_count_kept(b), 1);
}

static void result_has_everything_the_contract_names(void **state)
{
	static const char *const keys[] = {
		"version", "id",    "on",      "profile",     "latencyd_version",
		"started", "ended", "verdict", "reasons",     "sentence",
		"request", "cells", "state",   "fingerprint", "fingerprint_after",
		"resumed", "tool"
	};
	static const char *const cell_keys[] = {
		"name",		  "host_load",	 "guest_load",	   "verdict",
		"reasons",	  "sentence",	 "duration_s",	   "measured_s",
		"not_measured_s", "exceedances", "bound_per_hour", "detection",
		"threads",	  "sla",	 "segments",	   "load"
	};
	struct bench *b = *state;
	const json_t *sla;

	bench_install_tool(b, "sleep 1; result 2 3 5000 57 1");
	assert_int_equal(bench_go(b, 1), 0);
	bench_assert_run(b, RUN_FAIL, REASON_SLA_EXCEEDED);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (!json_object_get(b->run.result, keys[i]))
			fail_msg("no \"%s\"", keys[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(cell_keys); i++)
		if (!json_object_get(bench_cell(b, 0), cell_keys[i]))
			fail_msg("no \"%s\" in the cell", cell_keys[i]);
	sla = json_array_get(json_object_get(bench_cell(b, 0), "sla"), 0);
	assert_string_equal(json_string_value(json_object_get(sla, "key")), "max_max_latency_us");
	assert_int_equal(json_integer_value(json_object_get(sla, "limit")), 40);
	assert_string_equal(json_string_value(json_object_get(sla, "verdict")), "exceeded");
	assert_true(
		json_is_null(json_object_get(json_object_get(b->run.result, "state"), "drift")));
}

static void unverified_machine_is_refused_and_nothing_is_written(void **state)
{
	struct bench *b = *state;

	bench_install_tool(b, "touch ran; result 2 3 5000 23 1");
	bench_machine.drifts_at = 1;
	assert_int_equal(bench_go(b, 1), -EPERM);
	assert_non_null(strstr(b->error.what, "irq_affinity is drifted (IRQ 24 is on CPU 3)"));
	assert_null(strstr(b->error.what, "idle")); /* advisory */
	assert_null(strstr(b->error.what, "watchdogs"));
	assert_non_null(strstr(b->error.todo, "latencyctl apply"));
	assert_int_equal(access(b->runs, F_OK), -1);
	assert_null(b->run.id);
}

static int cannot_be_seen(const struct sysroot *root, const struct desired *d, struct report *r)
{
	(void)root;
	(void)d;
	for (size_t i = 0; i < r->n_settings; i++) {
		r->settings[i].verdict = VERDICT_UNKNOWN;
		r->settings[i].reason = "it does not answer";
	}
	r->verdict = MACHINE_DEGRADED;
	return 0;
}

static void settings_that_say_the_same_are_told_together(void **state)
{
	struct bench *b = *state;

	bench_install_tool(b, "result 2 3 5000 23 1");
	b->options.overlay = cannot_be_seen;
	assert_int_equal(bench_go(b, 1), -EPERM);
	assert_non_null(
		strstr(b->error.what, "irq_affinity, watchdogs are unknown (it does not answer)"));
}

/* From the bench's look of this number on a setting is contested, though it is right. */
static int contested_from;

static int contest(const struct sysroot *root, const struct desired *d, struct report *r)
{
	(void)root;
	(void)d;
	if (bench_machine.looks < contested_from)
		return 0;
	r->settings[0].verdict = VERDICT_CONTESTED;
	r->settings[0].reason = "sh keeps changing it";
	r->verdict = MACHINE_DEGRADED;
	return 0;
}

static void what_is_right_and_contested_is_not_measured(void **state)
{
	struct bench *b = *state;

	bench_install_tool(b, "touch ran; result 2 3 5000 23 1");
	b->options.overlay = contest;
	contested_from = 1;
	assert_int_equal(bench_go(b, 1), -EPERM);
	assert_non_null(strstr(b->error.what, "irq_affinity is contested (sh keeps changing it)"));
}

static void what_is_contested_after_the_run_makes_it_inconclusive(void **state)
{
	struct bench *b = *state;

	bench_install_tool(b, "result 2 3 5000 23 1");
	b->options.overlay = contest;
	contested_from = 2;
	assert_int_equal(bench_go(b, 1), 0);
	bench_assert_run(b, RUN_INCONCLUSIVE, REASON_DRIFT);
}

static void captured_tree_and_empty_isolation_are_refused(void **state)
{
	struct bench *b = *state;

	b->root.live = false;
	assert_int_equal(bench_go(b, 1), -EOPNOTSUPP);
	b->root.live = true;
	cpuset_remove(&b->d.isolated, 2);
	cpuset_remove(&b->d.isolated, 3);
	assert_int_equal(bench_go(b, 1), -EINVAL);
	assert_non_null(strstr(b->error.todo, "isolated"));
}

static void drift_while_it_runs_ends_it_with_setting_and_time(void **state)
{
	struct bench *b = *state;
	const json_t *drift;
	time_t start = time(NULL);

	bench_install_tool(b, "trap 'result 2 3 5000 23 1; exit 0' INT; sleep 20 & wait");
	bench_machine.drifts_at = 2;
	assert_int_equal(bench_go(b, 20), 0);
	assert_true(time(NULL) - start < 10);
	bench_assert_run(b, RUN_INCONCLUSIVE, REASON_DRIFT);
	assert_true(bench_has_reason(b, REASON_TRUNCATED));
	drift = json_object_get(json_object_get(b->run.result, "state"), "drift");
	assert_string_equal(json_string_value(json_object_get(drift, "phase")), "during");
	assert_non_null(
		strstr(json_string_value(json_object_get(drift, "reason")), "irq_affinity"));
	assert_int_equal(strlen(json_string_value(json_object_get(drift, "at"))), 20);
	assert_non_null(strstr(b->run.sentence,
			       "irq_affinity is drifted (IRQ 24 is on CPU 3), seen "
			       "at 20"));
}

static void drift_after_the_run_makes_it_inconclusive(void **state)
{
	struct bench *b = *state;
	const json_t *drift;

	/* shorter than the first tick: the second look is the last one */
	bench_install_tool(b, "sleep 0.2; result 2 3 5000 57 1");
	bench_machine.drifts_at = 2;
	assert_int_equal(bench_go(b, 1), 0);
	bench_assert_run(b, RUN_INCONCLUSIVE, REASON_DRIFT);
	drift = json_object_get(json_object_get(b->run.result, "state"), "drift");
	assert_string_equal(json_string_value(json_object_get(drift, "phase")), "after");
}

static void another_boot_makes_it_inconclusive(void **state)
{
	struct bench *b = *state;

	bench_install_tool(b, "result 2 3 5000 23 1");
	bench_machine.boots_at = 2;
	assert_int_equal(bench_go(b, 1), 0);
	bench_assert_run(b, RUN_INCONCLUSIVE, REASON_REBOOTED);
}

static void rt_throttling_changed_meanwhile_changes_the_fingerprint(void **state)
{
	_cleanup_free_ char *script = NULL;
	struct bench *b = *state;

	assert_true(asprintf(&script,
			     "echo 950000 >%s/proc/sys/kernel/sched_rt_runtime_us\n"
			     "result 2 3 5000 23 1",
			     b->folder) > 0);
	bench_install_tool(b, script);
	assert_int_equal(bench_go(b, 1), 0);
	bench_assert_run(b, RUN_INCONCLUSIVE, REASON_FINGERPRINT_CHANGED);
	assert_true(json_is_object(json_object_get(b->run.result, "fingerprint_after")));
}

static void undeclared_measurement_is_a_smoke_run_without_a_verdict(void **state)
{
	struct bench *b = *state;

	b->d.measure = (struct desired_measure){ .declared = false };
	bench_install_tool(b, "sleep 1; result 2 3 5000 23 1");
	assert_int_equal(bench_go(b, 1), 0);
	bench_assert_run(b, RUN_INCONCLUSIVE, REASON_NO_SLA);
	assert_string_equal(json_string_value(json_object_get(b->run.result, "profile")), "smoke");
	assert_non_null(strstr(b->run.id, "-smoke"));
}

/* ---- cells, segments, guests ---- */

static void each_load_is_a_cell_and_the_worst_counts(void **state)
{
	static const struct measure_cell cells[] = { { "idle_idle", "idle", "idle" },
						     { "cpustress_idle", "cpustress", "idle" } };
	struct bench *b = *state;
	_cleanup_free_ char *stress = NULL;

	tmp_put(b->folder, "/stress", "#!/bin/sh\nsleep 0.1\n");
	assert_true(asprintf(&stress, "%s/stress", b->folder) > 0);
	assert_int_equal(chmod(stress, 0755), 0);
	b->tools.stress = stress;
	b->d.measure.cells = cells;
	b->d.measure.n_cells = 2;
	bench_install_tool(b, "sleep 1; result 2 3 5000 23 1");
	assert_int_equal(bench_go(b, 1), 0);
	bench_assert_run(b, RUN_INCONCLUSIVE, REASON_LOAD_DIED);
	assert_int_equal(json_array_size(json_object_get(b->run.result, "cells")), 2);
	assert_true(
		json_is_null(json_object_get(json_object_get(bench_cell(b, 0), "load"), "host")));
	assert_true(
		json_is_object(json_object_get(json_object_get(bench_cell(b, 1), "load"), "host")));
	assert_non_null(strstr(b->run.sentence, "idle_idle INCONCLUSIVE, cpustress_idle "));
	bench_install_tool(b, "sleep 1; result 2 3 5000 57 1");
	assert_int_equal(bench_go(b, 1), 0);
	bench_assert_run(b, RUN_FAIL, REASON_LOAD_DIED);
}

static void load_of_a_guest_needs_a_guest(void **state)
{
	static const struct measure_cell cells[] = { { "idle_cpustress", "idle", "cpustress" } };
	struct bench *b = *state;

	b->d.measure.cells = cells;
	assert_int_equal(bench_go(b, 1), -EINVAL);
	assert_non_null(strstr(b->error.what, "idle_cpustress"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(complete_run_is_judged_and_kept),
		TEST(result_has_everything_the_contract_names),
		TEST(unverified_machine_is_refused_and_nothing_is_written),
		TEST(settings_that_say_the_same_are_told_together),
		TEST(what_is_right_and_contested_is_not_measured),
		TEST(what_is_contested_after_the_run_makes_it_inconclusive),
		TEST(captured_tree_and_empty_isolation_are_refused),
		TEST(drift_while_it_runs_ends_it_with_setting_and_time),
		TEST(drift_after_the_run_makes_it_inconclusive),
		TEST(another_boot_makes_it_inconclusive),
		TEST(rt_throttling_changed_meanwhile_changes_the_fingerprint),
		TEST(undeclared_measurement_is_a_smoke_run_without_a_verdict),
		TEST(each_load_is_a_cell_and_the_worst_counts),
		TEST(load_of_a_guest_needs_a_guest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

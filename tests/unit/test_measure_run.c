/*
 * A whole run against a tool that is a shell script: refusal, drift, keeping of results, and every
 * way in which the tool can fail. The machine is whatever the test's judge says it is.
 */
#include "cyclictest_fixture.h"
#include "measure_tmp.h"

#include <fcntl.h>
#include <sys/file.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "measure/run.h"
#include "state/settings.h"

static const struct setting first = { .name = "irq_affinity", .severity = SEVERITY_REQUIRED };
static const struct setting second = { .name = "idle", .severity = SEVERITY_ADVISORY };
static const struct setting third = { .name = "watchdogs", .severity = SEVERITY_REQUIRED };

/* The machine as the hooks show it; reset by setup(). */
static struct {
	int looks, drifts_at; /* number of the look that sees a drift; 0: none */
	int boots_at;	      /* number of the look that sees another boot_id */
} machine;

static int fake_observe(const struct sysroot *root, const struct desired *d, struct observed *ret)
{
	(void)root;
	(void)d;
	machine.looks++;
	*ret = (struct observed){
		.boot_id = { .state = FACT_KNOWN,
			     .text = machine.boots_at && machine.looks >= machine.boots_at ? "b"
											   : "a" },
		.n_cpus = 4,
	};
	return 0;
}

static int fake_judge(const struct desired *d, const struct observed *o, struct report *ret)
{
	bool drifted = machine.drifts_at && machine.looks >= machine.drifts_at;
	struct report r = { .verdict = drifted ? MACHINE_DRIFTED : MACHINE_VERIFIED,
			    .n_settings = 3 };

	(void)d;
	(void)o;
	r.settings = arena_alloc(&r.arena, 3 * sizeof(*r.settings));
	r.settings[0] = (struct setting_verdict){ .setting = &first };
	r.settings[1] = (struct setting_verdict){ .setting = &second, .verdict = VERDICT_DRIFTED };
	r.settings[2] =
		(struct setting_verdict){ .setting = &third, .verdict = VERDICT_NOT_APPLICABLE };
	if (drifted) {
		r.settings[0].verdict = VERDICT_DRIFTED;
		r.settings[0].reason = "IRQ 24 is on CPU 3";
	}
	*ret = r;
	return 0;
}

struct bench {
	char *folder, *tool, *runs;
	struct sysroot root;
	struct desired d;
	struct measure_hooks hooks;
	struct run run;
	struct error error;
	unsigned progress_calls, last_elapsed_s;
};

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	machine.looks = machine.drifts_at = machine.boots_at = 0;
	b->folder = tmp_make();
	tmp_put(b->folder, "/proc/sys/kernel/sched_rt_runtime_us", "-1\n");
	assert_true(asprintf(&b->tool, "%s/cyclictest", b->folder) > 0);
	assert_true(asprintf(&b->runs, "%s" RUNS_DIRECTORY, b->folder) > 0);
	assert_int_equal(sysroot_open(b->folder, &b->root, NULL), 0);
	b->root.live = true;
	assert_int_equal(cpuset_parse_list("2-3", 4, &b->d.isolated), 0);
	assert_int_equal(cpuset_parse_list("0-1", 4, &b->d.housekeeping), 0);
	b->d.measure = (struct desired_measure){ .declared = true,
						 .profile = "quick",
						 .duration_s = 300,
						 .interval_us = 200,
						 .max_min_latency_us = -1,
						 .max_avg_latency_us = -1,
						 .max_max_latency_us = 40,
						 .action = SLA_ASSERT };
	b->hooks = (struct measure_hooks){ .tool = b->tool,
					   .runs_directory = b->runs,
					   .grace_s = 30,
					   .observe = fake_observe,
					   .judge = fake_judge };
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	run_done(&b->run);
	error_clear(&b->error);
	sysroot_close(&b->root);
	cpuset_done(&b->d.isolated);
	cpuset_done(&b->d.housekeeping);
	tmp_remove(b->folder);
	free(b->tool);
	free(b->runs);
	free(b);
	return 0;
}

/*
 * Installs a tool that prints cyclictest's help when asked to, and else runs @measures, a piece of
 * shell with $json set and `result CPUS CYCLES MAX SECONDS` to write a result.
 */
static void install_tool(struct bench *b, const char *measures)
{
	_cleanup_free_ char *help = fixture("usage.out", NULL), *script = NULL;

	assert_true(
		asprintf(&script,
			 "#!/bin/sh\n"
			 "usage() { cat <<'END'\n%s\nEND\n}\n"
			 "for a; do case $a in --help) usage; exit 0;; --json=*) "
			 "json=${a#--json=};; "
			 "esac; done\n"
			 "thread() { echo \"$1\\\"$2\\\": {\\\"histogram\\\": {\\\"5\\\": "
			 "$(($4 - 1)), \\\"$5\\\": 1}, \\\"cycles\\\": $4, \\\"min\\\": 5, "
			 "\\\"max\\\": $5, \\\"avg\\\": 5.0, \\\"cpu\\\": $3, \\\"node\\\": 0}\"; "
			 "}\n"
			 "result() { { echo '{\"file_version\": 1, \"cmdline:\": \"x\", "
			 "\"rt_test_version:\": \"2.40\", \"return_code\": 0,'\n"
			 "echo '\"start_time\": \"Sun, 22 Nov 2026 10:00:00 +0000\",'\n"
			 "echo \"\\\"end_time\\\": \\\"Sun, 22 Nov 2026 10:00:0$5 +0000\\\",\"\n"
			 "echo '\"num_threads\": 2, \"resolution_in_ns\": 0, \"thread\": {'\n"
			 "thread '' 0 $1 $3 $4; thread , 1 $2 $3 $4; echo '}}'; } >\"$json\"; }\n"
			 "echo measuring\n%s\n",
			 help, measures) > 0);
	tmp_put(b->folder, "/cyclictest", script);
	assert_int_equal(chmod(b->tool, 0755), 0);
}

static void progress(unsigned elapsed_s, unsigned duration_s, void *userdata)
{
	struct bench *b = userdata;

	assert_true(elapsed_s <= duration_s);
	b->progress_calls++;
	b->last_elapsed_s = elapsed_s;
}

static int go(struct bench *b, unsigned duration_s)
{
	run_done(&b->run);
	error_clear(&b->error);
	return measure_run_with(&b->hooks, &b->root, &b->d, duration_s, progress, b, &b->run,
				&b->error);
}

static bool has_reason(const struct bench *b, enum run_reason reason)
{
	const json_t *reasons = json_object_get(b->run.result, "reasons"), *v;
	size_t i;

	json_array_foreach(reasons, i, v)
	{
		if (streq(json_string_value(v), run_reason_name(reason)))
			return true;
	}
	return false;
}

static void assert_run(struct bench *b, enum run_verdict verdict, enum run_reason reason)
{
	if (b->run.verdict != verdict || !has_reason(b, reason))
		fail_msg("not %s (%s): %s", run_verdict_name(verdict), run_reason_name(reason),
			 b->run.sentence);
}

static char *kept(const struct bench *b, const char *name)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_fclose_ FILE *f = NULL;
	char *text = calloc(1, 1 << 16);

	assert_true(asprintf(&path, "%s/%s", b->run.directory, name) > 0);
	f = fopen(path, "r");
	if (!f || !text) {
		free(text);
		return NULL;
	}
	(void)!fread(text, 1, (1 << 16) - 1, f);
	return text;
}

static size_t count_kept(const struct bench *b)
{
	json_t *list = NULL;
	size_t n;

	assert_int_equal(runs_list(&b->root, &list, NULL), 0);
	n = json_array_size(list);
	json_decref(list);
	return n;
}

static void complete_run_is_judged_and_kept(void **state)
{
	struct bench *b = *state;
	_cleanup_free_ char *json = NULL, *out = NULL, *result = NULL;
	const json_t *thread, *argv;
	json_t *read_back;

	install_tool(b, "sleep 2.1; result 2 3 10000 23 2");
	assert_int_equal(go(b, 2), 0);
	assert_run(b, RUN_INCONCLUSIVE, REASON_SHORT);
	assert_int_equal(json_array_size(json_object_get(b->run.result, "reasons")), 1);
	assert_non_null(strstr(b->run.sentence, "0 of 20000 wake-ups on CPUs 2-3 above 40 us"));
	assert_true(b->progress_calls >= 1);
	assert_true(machine.looks >= 3); /* before, during, after */
	thread = json_array_get(json_object_get(b->run.result, "threads"), 1);
	assert_int_equal(json_integer_value(json_object_get(thread, "cpu")), 3);
	assert_int_equal(json_integer_value(json_object_get(thread, "max_us")), 23);
	assert_int_equal(json_integer_value(json_object_get(thread, "missed_cycles")), 0);
	argv = json_object_get(json_object_get(b->run.result, "tool"), "argv");
	assert_string_equal(json_string_value(json_array_get(argv, 7)), "2-3");
	json = kept(b, "cyclictest.json");
	out = kept(b, "cyclictest.out");
	result = kept(b, "result.json");
	assert_non_null(json);
	assert_string_equal(out, "measuring\n");
	read_back = json_loads(result, 0, NULL);
	assert_true(json_equal(read_back, b->run.result));
	json_decref(read_back);
	assert_int_equal(count_kept(b), 1);
}

static void result_has_everything_the_contract_names(void **state)
{
	static const char *const keys[] = { "version",	  "id",		"machine",     "profile",
					    "verdict",	  "reasons",	"sentence",    "started",
					    "ended",	  "duration_s", "interval_us", "cpus",
					    "threads",	  "sla",	"tool",	       "state",
					    "fingerprint" };
	struct bench *b = *state;
	const json_t *sla;

	install_tool(b, "sleep 1; result 2 3 5000 57 1");
	assert_int_equal(go(b, 1), 0);
	assert_run(b, RUN_FAIL, REASON_SLA_EXCEEDED);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (!json_object_get(b->run.result, keys[i]))
			fail_msg("no \"%s\"", keys[i]);
	}
	sla = json_object_get(b->run.result, "sla");
	assert_int_equal(json_integer_value(json_object_get(sla, "max_max_latency_us")), 40);
	assert_true(json_is_null(json_object_get(sla, "max_avg_latency_us")));
	sla = json_array_get(json_object_get(sla, "results"), 0);
	assert_string_equal(json_string_value(json_object_get(sla, "verdict")), "exceeded");
	assert_string_equal(json_string_value(json_object_get(sla, "exceeded_on")), "2-3");
	assert_true(
		json_is_null(json_object_get(json_object_get(b->run.result, "state"), "drift")));
}

static void unverified_machine_is_refused_and_nothing_is_written(void **state)
{
	struct bench *b = *state;

	install_tool(b, "touch ran; result 2 3 5000 23 1");
	machine.drifts_at = 1;
	assert_int_equal(go(b, 1), -EPERM);
	assert_non_null(strstr(b->error.what, "irq_affinity is drifted (IRQ 24 is on CPU 3)"));
	assert_null(strstr(b->error.what, "idle")); /* advisory */
	assert_null(strstr(b->error.what, "watchdogs"));
	assert_non_null(strstr(b->error.todo, "latencyctl apply"));
	assert_int_equal(access(b->runs, F_OK), -1);
	assert_null(b->run.id);
}

static void captured_tree_and_empty_isolation_are_refused(void **state)
{
	struct bench *b = *state;

	b->root.live = false;
	assert_int_equal(go(b, 1), -EOPNOTSUPP);
	b->root.live = true;
	cpuset_remove(&b->d.isolated, 2);
	cpuset_remove(&b->d.isolated, 3);
	assert_int_equal(go(b, 1), -EINVAL);
	assert_non_null(strstr(b->error.todo, "isolated"));
}

static void drift_while_it_runs_ends_it_with_setting_and_time(void **state)
{
	struct bench *b = *state;
	const json_t *drift;
	time_t start = time(NULL);

	install_tool(b, "trap 'result 2 3 5000 23 1; exit 0' INT; sleep 20 & wait");
	machine.drifts_at = 2;
	assert_int_equal(go(b, 20), 0);
	assert_true(time(NULL) - start < 10);
	assert_run(b, RUN_INCONCLUSIVE, REASON_DRIFT);
	assert_true(has_reason(b, REASON_TRUNCATED));
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
	install_tool(b, "sleep 0.2; result 2 3 5000 57 1");
	machine.drifts_at = 2;
	assert_int_equal(go(b, 1), 0);
	assert_run(b, RUN_INCONCLUSIVE, REASON_DRIFT);
	drift = json_object_get(json_object_get(b->run.result, "state"), "drift");
	assert_string_equal(json_string_value(json_object_get(drift, "phase")), "after");
}

static void another_boot_makes_it_inconclusive(void **state)
{
	struct bench *b = *state;

	install_tool(b, "result 2 3 5000 23 1");
	machine.boots_at = 2;
	assert_int_equal(go(b, 1), 0);
	assert_run(b, RUN_INCONCLUSIVE, REASON_REBOOTED);
}

static void rt_throttling_changed_meanwhile_changes_the_fingerprint(void **state)
{
	_cleanup_free_ char *script = NULL;
	struct bench *b = *state;

	assert_true(asprintf(&script,
			     "echo 950000 >%s/proc/sys/kernel/sched_rt_runtime_us\n"
			     "result 2 3 5000 23 1",
			     b->folder) > 0);
	install_tool(b, script);
	assert_int_equal(go(b, 1), 0);
	assert_run(b, RUN_INCONCLUSIVE, REASON_FINGERPRINT_CHANGED);
	assert_true(json_is_object(json_object_get(b->run.result, "fingerprint_after")));
}

static void usage_with_exit_status_0_is_an_error(void **state)
{
	struct bench *b = *state;

	install_tool(b, "usage; exit 0");
	assert_int_equal(go(b, 1), 0);
	assert_run(b, RUN_ERROR, REASON_TOOL_ERROR);
	assert_non_null(strstr(b->run.sentence, "usage"));
	assert_int_equal(count_kept(b), 1);
}

static void missing_tool_is_an_error_that_says_so(void **state)
{
	struct bench *b = *state;

	assert_int_equal(go(b, 1), 0);
	assert_run(b, RUN_ERROR, REASON_TOOL_ERROR);
	assert_non_null(strstr(b->run.sentence, "No such file"));
}

static void tool_without_a_needed_option_is_an_error_that_names_it(void **state)
{
	struct bench *b = *state;

	tmp_put(b->folder, "/cyclictest", "#!/bin/sh\necho 'cyclictest V 1.00'\n");
	assert_int_equal(chmod(b->tool, 0755), 0);
	assert_int_equal(go(b, 1), 0);
	assert_run(b, RUN_ERROR, REASON_TOOL_ERROR);
	assert_non_null(strstr(b->run.sentence, "no option --affinity: install rt-tests"));
}

static void killed_tool_leaves_a_result_that_says_so(void **state)
{
	struct bench *b = *state;

	install_tool(b, "kill -KILL $$");
	assert_int_equal(go(b, 1), 0);
	assert_run(b, RUN_INCONCLUSIVE, REASON_TOOL_ERROR);
	assert_non_null(strstr(b->run.sentence, "signal 9"));
	assert_int_equal(json_integer_value(
				 json_object_get(json_object_get(b->run.result, "tool"), "signal")),
			 9);
}

/* Dead, whether or not somebody has waited for it yet. */
static bool is_gone(pid_t pid)
{
	char path[32], line[256] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "r");
	if (!f)
		return true;
	(void)!fgets(line, sizeof(line), f);
	fclose(f);
	return strstr(line, ") Z") != NULL;
}

static void tool_that_hangs_is_killed_with_its_children(void **state)
{
	_cleanup_free_ char *script = NULL, *pid = NULL;
	struct bench *b = *state;

	assert_true(asprintf(&script, "sleep 100 & echo $! >%s/pid; wait", b->folder) > 0);
	install_tool(b, script);
	b->hooks.grace_s = 1;
	assert_int_equal(go(b, 1), 0);
	assert_run(b, RUN_INCONCLUSIVE, REASON_TOOL_ERROR);
	assert_true(
		json_is_true(json_object_get(json_object_get(b->run.result, "tool"), "timed_out")));
	b->run.directory[strlen(b->folder)] = 0; /* kept() of a file beside the tool */
	pid = kept(b, "pid");
	assert_non_null(pid);
	assert_true(is_gone((pid_t)strtol(pid, NULL, 10)));
}

static void broken_json_is_inconclusive(void **state)
{
	struct bench *b = *state;

	install_tool(b, "sleep 1; echo '{\"x\": ' >\"$json\"");
	assert_int_equal(go(b, 1), 0);
	assert_run(b, RUN_INCONCLUSIVE, REASON_BAD_JSON);
	unlink(b->tool);
	install_tool(b, "mkfifo \"$json\"");
	assert_int_equal(go(b, 1), 0);
	assert_run(b, RUN_INCONCLUSIVE, REASON_BAD_JSON);
}

static void missed_periods_and_wrong_cpus_reach_the_verdict(void **state)
{
	struct bench *b = *state;

	install_tool(b, "sleep 1; result 2 3 845 23 1");
	assert_int_equal(go(b, 1), 0);
	assert_run(b, RUN_INCONCLUSIVE, REASON_MISSED_PERIODS);
	install_tool(b, "sleep 1; result 0 1 5000 23 1");
	assert_int_equal(go(b, 1), 0);
	assert_run(b, RUN_INCONCLUSIVE, REASON_WRONG_CPUS);
}

static void runs_of_one_second_have_ids_of_their_own(void **state)
{
	struct bench *b = *state;
	_cleanup_free_ char *previous = NULL;

	install_tool(b, "result 2 3 5000 23 1");
	for (int i = 0; i < 4; i++) {
		assert_int_equal(go(b, 1), 0);
		if (previous)
			assert_true(strverscmp(previous, b->run.id) < 0);
		free(previous);
		previous = strdup(b->run.id);
	}
	assert_int_equal(count_kept(b), 4);
}

static void undeclared_measurement_is_a_smoke_run_without_a_verdict(void **state)
{
	struct bench *b = *state;

	b->d.measure = (struct desired_measure){ .declared = false };
	install_tool(b, "sleep 1; result 2 3 5000 23 1");
	assert_int_equal(go(b, 1), 0);
	assert_run(b, RUN_INCONCLUSIVE, REASON_NO_SLA);
	assert_string_equal(json_string_value(json_object_get(b->run.result, "profile")), "smoke");
	assert_non_null(strstr(b->run.id, "-smoke"));
}

static void second_measurement_at_a_time_is_refused(void **state)
{
	_cleanup_free_ char *lock = NULL;
	struct bench *b = *state;
	int fd;

	install_tool(b, "result 2 3 5000 23 1");
	assert_int_equal(go(b, 1), 0);
	assert_true(asprintf(&lock, "%s/.lock", b->runs) > 0);
	fd = open(lock, O_RDWR);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(go(b, 1), -EBUSY);
	close(fd);
	assert_int_equal(go(b, 1), 0);
}

static void leftovers_of_a_crash_are_neither_listed_nor_kept(void **state)
{
	_cleanup_free_ char *leftover = NULL;
	struct bench *b = *state;

	tmp_put(b->folder, RUNS_DIRECTORY "/.20260101T000000Z-smoke.partial/cyclictest.json", "{");
	assert_int_equal(count_kept(b), 0);
	install_tool(b, "result 2 3 5000 23 1");
	assert_int_equal(go(b, 1), 0);
	assert_true(asprintf(&leftover, "%s/.20260101T000000Z-smoke.partial", b->runs) > 0);
	assert_int_equal(access(leftover, F_OK), -1);
	assert_int_equal(count_kept(b), 1);
}

static void unreadable_result_is_listed_as_what_it_is(void **state)
{
	struct bench *b = *state;
	json_t *list = NULL;

	tmp_put(b->folder, RUNS_DIRECTORY "/20260101T000000Z-smoke/result.json", "{\"x\"");
	tmp_put(b->folder, RUNS_DIRECTORY "/20260101T000000Z-smoke-10/result.json",
		"{\"verdict\": \"PASS\"}");
	tmp_put(b->folder, RUNS_DIRECTORY "/20260101T000000Z-smoke-2/other", "");
	assert_int_equal(runs_list(&b->root, &list, NULL), 0);
	assert_int_equal(json_array_size(list), 3);
	assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "verdict")),
			    "ERROR");
	assert_string_equal(json_string_value(json_object_get(json_array_get(list, 1), "id")),
			    "20260101T000000Z-smoke-2");
	assert_string_equal(json_string_value(json_object_get(json_array_get(list, 2), "verdict")),
			    "PASS");
	json_decref(list);
}

static void no_runs_is_an_empty_list(void **state)
{
	assert_int_equal(count_kept(*state), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(complete_run_is_judged_and_kept),
		TEST(result_has_everything_the_contract_names),
		TEST(unverified_machine_is_refused_and_nothing_is_written),
		TEST(captured_tree_and_empty_isolation_are_refused),
		TEST(drift_while_it_runs_ends_it_with_setting_and_time),
		TEST(drift_after_the_run_makes_it_inconclusive),
		TEST(another_boot_makes_it_inconclusive),
		TEST(rt_throttling_changed_meanwhile_changes_the_fingerprint),
		TEST(usage_with_exit_status_0_is_an_error),
		TEST(missing_tool_is_an_error_that_says_so),
		TEST(tool_without_a_needed_option_is_an_error_that_names_it),
		TEST(killed_tool_leaves_a_result_that_says_so),
		TEST(tool_that_hangs_is_killed_with_its_children),
		TEST(broken_json_is_inconclusive),
		TEST(missed_periods_and_wrong_cpus_reach_the_verdict),
		TEST(runs_of_one_second_have_ids_of_their_own),
		TEST(undeclared_measurement_is_a_smoke_run_without_a_verdict),
		TEST(second_measurement_at_a_time_is_refused),
		TEST(leftovers_of_a_crash_are_neither_listed_nor_kept),
		TEST(unreadable_result_is_listed_as_what_it_is),
		TEST(no_runs_is_an_empty_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

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

#include "measure/keep.h"
#include "measure/run.h"
#include "measure/target.h"
#include "state/guest.h"
#include "state/settings.h"

static const struct setting first = { .name = "irq_affinity", .severity = SEVERITY_REQUIRED };
static const struct setting second = { .name = "idle", .severity = SEVERITY_ADVISORY };
static const struct setting third = { .name = "watchdogs", .severity = SEVERITY_REQUIRED };

/* The machine as the hooks show it; reset by setup(). */
static struct {
	int looks, drifts_at; /* number of the look that sees a drift; 0: none */
	int boots_at;	      /* number of the look that sees another boot_id */
	int guest_boots_at, guest_silent_at;
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
	r.guests = arena_alloc(&r.arena, sizeof(*r.guests));
	r.n_guests = 1;
	r.guests[0] = (struct guest_report){
		.name = "vnf0",
		.boot_id = machine.guest_boots_at && machine.looks >= machine.guest_boots_at ? "b"
											     : "a",
		.verdict = machine.guest_silent_at && machine.looks >= machine.guest_silent_at
				   ? MACHINE_UNKNOWN
				   : MACHINE_VERIFIED,
	};
	*ret = r;
	return 0;
}

struct bench {
	char *folder, *tool, *runs;
	struct sysroot root;
	struct desired d;
	struct measure_hooks hooks;
	struct segment_tools tools;
	struct target target;
	struct measure_options options;
	struct run run;
	struct error error;
	unsigned progress_calls, last_elapsed_s;
};

/* The host's way, with the bench's tools. */
static int run_on_bench(struct target *t, const struct segment_request *rq, const char *workdir,
			tool_tick_fn tick, void *userdata, struct segment_outcome *ret,
			struct error *e)
{
	struct bench *b = t->userdata;

	return segment_run_with(&b->tools, rq, workdir, tick, userdata, ret, e);
}

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	memset(&machine, 0, sizeof(machine));
	b->folder = tmp_make();
	tmp_put(b->folder, "/proc/sys/kernel/sched_rt_runtime_us", "-1\n");
	assert_true(asprintf(&b->tool, "%s/cyclictest", b->folder) > 0);
	assert_true(asprintf(&b->runs, "%s" RUNS_DIRECTORY, b->folder) > 0);
	assert_int_equal(sysroot_open(b->folder, &b->root, NULL), 0);
	b->root.live = true;
	assert_int_equal(cpuset_parse_list("2-3", 4, &b->d.isolated), 0);
	assert_int_equal(cpuset_parse_list("0-1", 4, &b->d.housekeeping), 0);
	b->d.measure = (struct desired_measure){ .declared = true, .action = SLA_ASSERT };
	for (size_t i = 0; i < _SLA_KEY_MAX; i++)
		b->d.measure.limits[i] = -1;
	b->d.measure.limits[SLA_MAX] = 40;
	measure_set_profile(&b->d.measure, measure_profile("quick"));
	b->tools = (struct segment_tools){ .cyclictest = b->tool, .grace_s = 30 };
	b->target = (struct target){ .name = "host", .run_segment = run_on_bench, .userdata = b };
	b->options = (struct measure_options){ .target = &b->target, .observe = fake_observe };
	b->hooks = (struct measure_hooks){ .runs_directory = b->runs, .judge = fake_judge };
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
	b->options.duration_s = duration_s;
	return measure_run_with(&b->hooks, &b->root, &b->d, &b->options, progress, b, &b->run,
				&b->error);
}

static bool has_reason(const struct bench *b, enum run_reason reason)
{
	const json_t *reasons = json_object_get(b->run.result, "reasons"), *v;
	size_t i;

	json_array_foreach(reasons, i, v)
	{
		if (streq(json_string_value(json_object_get(v, "code")), run_reason_name(reason)))
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

static const json_t *cell(const struct bench *b, size_t i)
{
	return json_array_get(json_object_get(b->run.result, "cells"), i);
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
	_cleanup_free_ char *json = NULL, *result = NULL;
	const json_t *thread, *argv;
	json_t *read_back;

	install_tool(b, "sleep 2.1; result 2 3 10000 23 2");
	assert_int_equal(go(b, 2), 0);
	assert_run(b, RUN_INCONCLUSIVE, REASON_SHORT);
	assert_int_equal(json_array_size(json_object_get(b->run.result, "reasons")), 1);
	assert_non_null(strstr(b->run.sentence, "0 of 20000 wake-ups on CPUs 2-3 above 40 us"));
	assert_true(b->progress_calls >= 1);
	assert_true(machine.looks >= 3); /* before, during, after */
	thread = json_array_get(json_object_get(cell(b, 0), "threads"), 1);
	assert_int_equal(json_integer_value(json_object_get(thread, "cpu")), 3);
	assert_int_equal(json_integer_value(json_object_get(thread, "max_us")), 23);
	assert_int_equal(json_integer_value(json_object_get(thread, "missed_cycles")), 0);
	argv = json_object_get(json_object_get(b->run.result, "tool"), "argv");
	assert_string_equal(json_string_value(json_array_get(argv, 7)), "2-3");
	json = kept(b, "cells/idle_idle/segment-0001.json");
	result = kept(b, "result.json");
	assert_non_null(json);
	assert_non_null(strstr(json, "measuring"));
	read_back = json_loads(result, 0, NULL);
	assert_true(json_equal(read_back, b->run.result));
	json_decref(read_back);
	assert_int_equal(count_kept(b), 1);
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

	install_tool(b, "sleep 1; result 2 3 5000 57 1");
	assert_int_equal(go(b, 1), 0);
	assert_run(b, RUN_FAIL, REASON_SLA_EXCEEDED);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (!json_object_get(b->run.result, keys[i]))
			fail_msg("no \"%s\"", keys[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(cell_keys); i++)
		if (!json_object_get(cell(b, 0), cell_keys[i]))
			fail_msg("no \"%s\" in the cell", cell_keys[i]);
	sla = json_array_get(json_object_get(cell(b, 0), "sla"), 0);
	assert_string_equal(json_string_value(json_object_get(sla, "key")), "max_max_latency_us");
	assert_int_equal(json_integer_value(json_object_get(sla, "limit")), 40);
	assert_string_equal(json_string_value(json_object_get(sla, "verdict")), "exceeded");
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
	b->tools.grace_s = 1;
	assert_int_equal(go(b, 1), 0);
	assert_run(b, RUN_INCONCLUSIVE, REASON_TOOL_ERROR);
	assert_non_null(strstr(b->run.sentence, "did not end by itself"));
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
	install_tool(b, "sleep 1; result 2 3 5000 23 1");
	assert_int_equal(go(b, 1), 0);
	assert_run(b, RUN_INCONCLUSIVE, REASON_LOAD_DIED);
	assert_int_equal(json_array_size(json_object_get(b->run.result, "cells")), 2);
	assert_true(json_is_null(json_object_get(json_object_get(cell(b, 0), "load"), "host")));
	assert_true(json_is_object(json_object_get(json_object_get(cell(b, 1), "load"), "host")));
	assert_non_null(strstr(b->run.sentence, "idle_idle INCONCLUSIVE, cpustress_idle "));
	install_tool(b, "sleep 1; result 2 3 5000 57 1");
	assert_int_equal(go(b, 1), 0);
	assert_run(b, RUN_FAIL, REASON_LOAD_DIED);
}

static void load_of_a_guest_needs_a_guest(void **state)
{
	static const struct measure_cell cells[] = { { "idle_cpustress", "idle", "cpustress" } };
	struct bench *b = *state;

	b->d.measure.cells = cells;
	assert_int_equal(go(b, 1), -EINVAL);
	assert_non_null(strstr(b->error.what, "idle_cpustress"));
}

static void use_guest(struct bench *b, struct desired_guest *g, struct desired *inside)
{
	*inside = (struct desired){ .role = ROLE_GUEST, .isolated = b->d.isolated };
	*g = (struct desired_guest){ .name = "vnf0", .state = inside };
	b->d.guests = g;
	b->d.n_guests = 1;
	b->target.name = "guest/vnf0";
	b->target.guest = "vnf0";
}

static void guest_is_measured_and_says_what_it_is(void **state)
{
	struct bench *b = *state;
	struct desired_guest g;
	struct desired inside;

	use_guest(b, &g, &inside);
	install_tool(b, "sleep 1; result 2 3 5000 57 1");
	assert_int_equal(go(b, 1), 0);
	assert_run(b, RUN_FAIL, REASON_SLA_EXCEEDED);
	assert_string_equal(json_string_value(json_object_get(b->run.result, "on")), "guest/vnf0");
	assert_true(json_is_object(
		json_object_get(json_object_get(b->run.result, "fingerprint"), "guest")));
}

static void guest_that_is_not_verified_is_not_measured(void **state)
{
	struct bench *b = *state;
	struct desired_guest g;
	struct desired inside;

	use_guest(b, &g, &inside);
	machine.guest_silent_at = 1;
	assert_int_equal(go(b, 1), -EPERM);
	assert_non_null(strstr(b->error.what, "guest vnf0: the machine is unknown"));
	b->target.guest = NULL; /* the host alone does not ask for it */
	b->target.name = "host";
	install_tool(b, "sleep 1; result 2 3 5000 23 1");
	assert_int_equal(go(b, 1), 0);
}

static void guest_booted_again_half_way_is_never_a_pass(void **state)
{
	struct bench *b = *state;
	struct desired_guest g;
	struct desired inside;

	use_guest(b, &g, &inside);
	machine.guest_boots_at = 2;
	install_tool(b, "trap 'result 2 3 5000 57 1; exit 0' INT; sleep 20 & wait");
	assert_int_equal(go(b, 20), 0);
	assert_run(b, RUN_INCONCLUSIVE, REASON_REBOOTED);
	assert_true(has_reason(b, REASON_TRUNCATED));
}

static int run_nowhere(struct target *t, const struct segment_request *rq, const char *workdir,
		       tool_tick_fn tick, void *userdata, struct segment_outcome *ret,
		       struct error *e)
{
	(void)t;
	(void)rq;
	(void)workdir;
	(void)tick;
	(void)userdata;
	(void)ret;
	return error_set(e, -EHOSTDOWN, "no answer for 30 s");
}

static void guest_that_no_longer_answers_is_inconclusive(void **state)
{
	struct bench *b = *state;
	struct desired_guest g;
	struct desired inside;

	use_guest(b, &g, &inside);
	b->target.run_segment = run_nowhere;
	assert_int_equal(go(b, 1), 0);
	assert_run(b, RUN_INCONCLUSIVE, REASON_GUEST_UNREACHABLE);
	assert_non_null(strstr(b->run.sentence, "no answer for 30 s"));
}

/* Measures in a child that is killed in its third segment. */
static void interrupt(struct bench *b)
{
	_cleanup_free_ char *third = NULL;
	pid_t pid;

	assert_true(asprintf(&third, "%s/ran-3", b->folder) > 0);
	pid = fork();
	if (pid == 0) {
		(void)go(b, 4);
		_exit(0);
	}
	assert_true(pid > 0);
	for (int i = 0; i < 300 && access(third, F_OK) < 0; i++)
		usleep(50000);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(access(third, F_OK), 0);
}

static void install_counting_tool(struct bench *b)
{
	_cleanup_free_ char *script = NULL;

	assert_true(asprintf(&script,
			     "i=1; while [ -e %s/ran-$i ]; do i=$((i + 1)); done; : >%s/ran-$i\n"
			     "sleep 1; result 2 3 5000 23 1",
			     b->folder, b->folder) > 0);
	install_tool(b, script);
	b->d.measure.segment_s = 1;
}

static void killed_run_resumes_behind_its_last_whole_segment(void **state)
{
	_cleanup_free_ char *id = NULL, *fifth = NULL, *sixth = NULL;
	struct bench *b = *state;
	const json_t *segments;

	install_counting_tool(b);
	interrupt(b);
	assert_int_equal(count_kept(b), 0);
	id = keep_interrupted(b->runs);
	assert_non_null(id);
	b->options.resume = "latest";
	assert_int_equal(go(b, 0), 0);
	assert_string_equal(b->run.id, id);
	assert_int_equal(json_integer_value(json_object_get(b->run.result, "resumed")), 1);
	segments = json_object_get(cell(b, 0), "segments");
	assert_int_equal(json_array_size(segments), 4);
	/* one was lost and done again: five runs of the tool for four segments */
	assert_true(asprintf(&fifth, "%s/ran-5", b->folder) > 0);
	assert_true(asprintf(&sixth, "%s/ran-6", b->folder) > 0);
	assert_int_equal(access(fifth, F_OK), 0);
	assert_int_equal(access(sixth, F_OK), -1);
	assert_run(b, RUN_INCONCLUSIVE, REASON_SHORT);
	assert_int_equal(json_array_size(json_object_get(b->run.result, "reasons")), 1);
	assert_true(json_number_value(json_object_get(cell(b, 0), "measured_s")) == 4);
	assert_true(json_number_value(json_object_get(cell(b, 0), "not_measured_s")) > 0);
	assert_int_equal(go(b, 0), -ENOENT);
}

static void another_document_does_not_resume_a_run(void **state)
{
	_cleanup_free_ char *id = NULL;
	struct bench *b = *state;

	install_counting_tool(b);
	interrupt(b);
	b->options.resume = "latest";
	b->d.measure.limits[SLA_MAX] = 1000;
	assert_int_equal(go(b, 0), -EINVAL);
	assert_non_null(strstr(b->error.what, "another document"));
	id = keep_interrupted(b->runs);
	assert_non_null(id); /* still there */
	b->options.resume = NULL;
	b->d.measure.segment_s = 10;
	assert_int_equal(go(b, 1), 0);
	free(id);
	id = keep_interrupted(b->runs);
	assert_null(id); /* a later run is complete */
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
		TEST(each_load_is_a_cell_and_the_worst_counts),
		TEST(load_of_a_guest_needs_a_guest),
		TEST(guest_is_measured_and_says_what_it_is),
		TEST(guest_that_is_not_verified_is_not_measured),
		TEST(guest_booted_again_half_way_is_never_a_pass),
		TEST(guest_that_no_longer_answers_is_inconclusive),
		TEST(killed_run_resumes_behind_its_last_whole_segment),
		TEST(another_document_does_not_resume_a_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

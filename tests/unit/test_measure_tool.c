/* A measurement whose tool does not do what it was run for. */
#include "tests/unit/measure_run_fixture.h"

static void usage_with_exit_status_0_is_an_error(void **state)
{
	struct bench *b = *state;

	bench_install_tool(b, "usage; exit 0");
	assert_int_equal(bench_go(b, 1), 0);
	bench_assert_run(b, RUN_ERROR, REASON_TOOL_ERROR);
	assert_non_null(strstr(b->run.sentence, "usage"));
	assert_int_equal(bench_count_kept(b), 1);
}

static void missing_tool_is_an_error_that_says_so(void **state)
{
	struct bench *b = *state;

	assert_int_equal(bench_go(b, 1), 0);
	bench_assert_run(b, RUN_ERROR, REASON_TOOL_ERROR);
	assert_non_null(strstr(b->run.sentence, "No such file"));
}

static void tool_without_a_needed_option_is_an_error_that_names_it(void **state)
{
	struct bench *b = *state;

	tmp_put(b->folder, "/cyclictest", "#!/bin/sh\necho 'cyclictest V 1.00'\n");
	assert_int_equal(chmod(b->tool, 0755), 0);
	assert_int_equal(bench_go(b, 1), 0);
	bench_assert_run(b, RUN_ERROR, REASON_TOOL_ERROR);
	assert_non_null(strstr(b->run.sentence, "no option --affinity: install rt-tests"));
}

static void killed_tool_leaves_a_result_that_says_so(void **state)
{
	struct bench *b = *state;

	bench_install_tool(b, "kill -KILL $$");
	assert_int_equal(bench_go(b, 1), 0);
	bench_assert_run(b, RUN_INCONCLUSIVE, REASON_TOOL_ERROR);
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
	bench_install_tool(b, script);
	b->tools.grace_s = 1;
	assert_int_equal(bench_go(b, 1), 0);
	bench_assert_run(b, RUN_INCONCLUSIVE, REASON_TOOL_ERROR);
	assert_non_null(strstr(b->run.sentence, "did not end by itself"));
	b->run.directory[strlen(b->folder)] = 0; /* bench_kept() of a file beside the tool */
	pid = bench_kept(b, "pid");
	assert_non_null(pid);
	assert_true(is_gone((pid_t)strtol(pid, NULL, 10)));
}

static void broken_json_is_inconclusive(void **state)
{
	struct bench *b = *state;

	bench_install_tool(b, "sleep 1; echo '{\"x\": ' >\"$json\"");
	assert_int_equal(bench_go(b, 1), 0);
	bench_assert_run(b, RUN_INCONCLUSIVE, REASON_BAD_JSON);
	unlink(b->tool);
	bench_install_tool(b, "mkfifo \"$json\"");
	assert_int_equal(bench_go(b, 1), 0);
	bench_assert_run(b, RUN_INCONCLUSIVE, REASON_BAD_JSON);
}

static void missed_periods_and_wrong_cpus_reach_the_verdict(void **state)
{
	struct bench *b = *state;

	bench_install_tool(b, "sleep 1; result 2 3 845 23 1");
	assert_int_equal(bench_go(b, 1), 0);
	bench_assert_run(b, RUN_INCONCLUSIVE, REASON_MISSED_PERIODS);
	bench_install_tool(b, "sleep 1; result 0 1 5000 23 1");
	assert_int_equal(bench_go(b, 1), 0);
	bench_assert_run(b, RUN_INCONCLUSIVE, REASON_WRONG_CPUS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(usage_with_exit_status_0_is_an_error),
		TEST(missing_tool_is_an_error_that_says_so),
		TEST(tool_without_a_needed_option_is_an_error_that_names_it),
		TEST(killed_tool_leaves_a_result_that_says_so),
		TEST(tool_that_hangs_is_killed_with_its_children),
		TEST(broken_json_is_inconclusive),
		TEST(missed_periods_and_wrong_cpus_reach_the_verdict),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

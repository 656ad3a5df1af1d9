/* What is kept of measurements: one at a time, what a crash leaves, and taking up a run that was
 * interrupted. */
#include "tests/unit/measure_run_fixture.h"

static void runs_of_one_second_have_ids_of_their_own(void **state)
{
	struct bench *b = *state;
	_cleanup_free_ char *previous = NULL;

	bench_install_tool(b, "result 2 3 5000 23 1");
	for (int i = 0; i < 4; i++) {
		assert_int_equal(bench_go(b, 1), 0);
		if (previous)
			assert_true(strverscmp(previous, b->run.id) < 0);
		free(previous);
		previous = strdup(b->run.id);
	}
	assert_int_equal(bench_count_kept(b), 4);
}

static void second_measurement_at_a_time_is_refused(void **state)
{
	_cleanup_free_ char *lock = NULL;
	struct bench *b = *state;
	int fd;

	bench_install_tool(b, "result 2 3 5000 23 1");
	assert_int_equal(bench_go(b, 1), 0);
	assert_true(asprintf(&lock, "%s/.lock", b->runs) > 0);
	fd = open(lock, O_RDWR);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(bench_go(b, 1), -EBUSY);
	close(fd);
	assert_int_equal(bench_go(b, 1), 0);
}

static void leftovers_of_a_crash_are_neither_listed_nor_kept(void **state)
{
	_cleanup_free_ char *leftover = NULL;
	struct bench *b = *state;

	tmp_put(b->folder, RUNS_DIRECTORY "/.20260101T000000Z-smoke.partial/cyclictest.json", "{");
	assert_int_equal(bench_count_kept(b), 0);
	bench_install_tool(b, "result 2 3 5000 23 1");
	assert_int_equal(bench_go(b, 1), 0);
	assert_true(asprintf(&leftover, "%s/.20260101T000000Z-smoke.partial", b->runs) > 0);
	assert_int_equal(access(leftover, F_OK), -1);
	assert_int_equal(bench_count_kept(b), 1);
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
	assert_int_equal(bench_count_kept(*state), 0);
}

/* Measures in a child that is killed in its third segment. */
static void interrupt(struct bench *b)
{
	_cleanup_free_ char *third = NULL;
	pid_t pid;

	assert_true(asprintf(&third, "%s/ran-3", b->folder) > 0);
	pid = fork();
	if (pid == 0) {
		(void)bench_go(b, 4);
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
	bench_install_tool(b, script);
	b->d.measure.segment_s = 1;
}

static void killed_run_resumes_behind_its_last_whole_segment(void **state)
{
	_cleanup_free_ char *id = NULL, *fifth = NULL, *sixth = NULL;
	struct bench *b = *state;
	const json_t *segments;

	install_counting_tool(b);
	interrupt(b);
	assert_int_equal(bench_count_kept(b), 0);
	id = keep_interrupted(b->runs);
	assert_non_null(id);
	b->options.resume = "latest";
	assert_int_equal(bench_go(b, 0), 0);
	assert_string_equal(b->run.id, id);
	assert_int_equal(json_integer_value(json_object_get(b->run.result, "resumed")), 1);
	segments = json_object_get(bench_cell(b, 0), "segments");
	assert_int_equal(json_array_size(segments), 4);
	/* one was lost and done again: five runs of the tool for four segments */
	assert_true(asprintf(&fifth, "%s/ran-5", b->folder) > 0);
	assert_true(asprintf(&sixth, "%s/ran-6", b->folder) > 0);
	assert_int_equal(access(fifth, F_OK), 0);
	assert_int_equal(access(sixth, F_OK), -1);
	bench_assert_run(b, RUN_INCONCLUSIVE, REASON_SHORT);
	assert_int_equal(json_array_size(json_object_get(b->run.result, "reasons")), 1);
	assert_true(json_number_value(json_object_get(bench_cell(b, 0), "measured_s")) == 4);
	assert_true(json_number_value(json_object_get(bench_cell(b, 0), "not_measured_s")) > 0);
	assert_int_equal(bench_go(b, 0), -ENOENT);
}

static void another_document_does_not_resume_a_run(void **state)
{
	_cleanup_free_ char *id = NULL;
	struct bench *b = *state;

	install_counting_tool(b);
	interrupt(b);
	b->options.resume = "latest";
	b->d.measure.limits[SLA_MAX] = 1000;
	assert_int_equal(bench_go(b, 0), -EINVAL);
	assert_non_null(strstr(b->error.what, "another document"));
	id = keep_interrupted(b->runs);
	assert_non_null(id); /* still there */
	b->options.resume = NULL;
	b->d.measure.segment_s = 10;
	assert_int_equal(bench_go(b, 1), 0);
	free(id);
	id = keep_interrupted(b->runs);
	assert_null(id); /* a later run is complete */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(runs_of_one_second_have_ids_of_their_own),
		TEST(second_measurement_at_a_time_is_refused),
		TEST(leftovers_of_a_crash_are_neither_listed_nor_kept),
		TEST(unreadable_result_is_listed_as_what_it_is),
		TEST(no_runs_is_an_empty_list),
		TEST(killed_run_resumes_behind_its_last_whole_segment),
		TEST(another_document_does_not_resume_a_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

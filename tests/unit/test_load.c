/* A load beside a measurement: real stress-ng on one CPU, and everything that makes it count for
 * nothing. */
#include "measure_tmp.h"

#include <sched.h>
#include <time.h>

#include "measure/load.h"
#include "measure/tool.h"

struct bench {
	char *folder;
	struct cpuset cpus;
	struct load *load;
	json_t *evidence;
	char *trouble;
};

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	cpu_set_t set;
	int cpu = 0;

	assert_non_null(b);
	b->folder = tmp_make();
	assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
	while (!CPU_ISSET(cpu, &set))
		cpu++;
	assert_int_equal(cpuset_add(&b->cpus, (unsigned)cpu), 0);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	json_decref(b->evidence);
	free(b->trouble);
	cpuset_done(&b->cpus);
	tmp_remove(b->folder);
	free(b);
	return 0;
}

static void run(struct bench *b, const char *kind, const char *tool, double seconds)
{
	const struct timespec part = { .tv_nsec = 100 * 1000 * 1000 };
	const struct load_request rq = {
		.kind = kind, .cpus = &b->cpus, .tool = tool, .workdir = b->folder, .duration_s = 5
	};

	assert_int_equal(load_start(&rq, &b->load, NULL), 0);
	for (double t = 0; t < seconds; t += 0.1) {
		nanosleep(&part, NULL);
		load_check(b->load);
	}
	assert_int_equal(load_end(b->load, &b->evidence, &b->trouble), 0);
}

static char *script(struct bench *b, const char *text)
{
	char *path;

	tmp_put(b->folder, "/stress", text);
	assert_true(asprintf(&path, "%s/stress", b->folder) > 0);
	assert_int_equal(chmod(path, 0755), 0);
	return path;
}

static void need_stress(void)
{
	_cleanup_free_ char *tool = NULL;

	if (tool_find("stress-ng", &tool) < 0) {
		print_message("SKIP: stress-ng is not installed\n");
		skip();
	}
}

static void idle_is_no_load(void **state)
{
	struct bench *b = *state;

	run(b, "idle", NULL, 0);
	assert_null(b->evidence);
	assert_null(b->trouble);
}

static void unknown_load_is_refused(void **state)
{
	struct bench *b = *state;
	_cleanup_error_ struct error e = { 0 };
	const struct load_request rq = {
		.kind = "netstress", .cpus = &b->cpus, .workdir = b->folder, .duration_s = 1
	};

	assert_int_equal(load_start(&rq, &b->load, &e), -EINVAL);
	assert_non_null(strstr(e.what, "netstress"));
}

static void cpustress_says_what_cpu_time_it_used(void **state)
{
	struct bench *b = *state;

	need_stress();
	run(b, "cpustress", NULL, 2);
	assert_non_null(b->evidence);
	/* a busy machine may give it less than half: then it has to say so */
	if (b->trouble)
		assert_non_null(strstr(b->trouble, "CPU time"));
	assert_true(json_integer_value(json_object_get(b->evidence, "cpu_time_us")) > 0);
	assert_true(json_integer_value(json_object_get(b->evidence, "cpu_time_asked_us")) >
		    1000000);
}

static void iostress_leaves_nothing_behind(void **state)
{
	_cleanup_free_ char *left = NULL;
	struct bench *b = *state;

	need_stress();
	run(b, "iostress", NULL, 1);
	assert_true(asprintf(&left, "%s/load", b->folder) > 0);
	assert_int_equal(access(left, F_OK), -1);
}

static void load_that_dies_is_told(void **state)
{
	struct bench *b = *state;
	_cleanup_free_ char *tool = script(b, "#!/bin/sh\nexit 0\n");

	run(b, "cpustress", tool, 0.3);
	assert_non_null(b->trouble);
	assert_non_null(strstr(b->trouble, "died after 0 s"));
}

static void load_that_only_sleeps_is_none(void **state)
{
	struct bench *b = *state;
	_cleanup_free_ char *tool = script(b, "#!/bin/sh\nexec sleep 20\n");

	run(b, "cpustress", tool, 0.5);
	assert_non_null(b->trouble);
	assert_non_null(strstr(b->trouble, "of CPU time, at least"));
}

static void missing_program_names_its_place(void **state)
{
	struct bench *b = *state;

	run(b, "cpustress", "/nonexistent/stress-ng", 0);
	assert_non_null(b->trouble);
	assert_non_null(strstr(b->trouble, "could not be started"));
}

static void without_housekeeping_cpu_there_is_no_load(void **state)
{
	struct bench *b = *state;

	cpuset_done(&b->cpus);
	b->cpus = (struct cpuset){ 0 };
	run(b, "memorystress", NULL, 0);
	assert_non_null(strstr(b->trouble, "no housekeeping CPU"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(idle_is_no_load),
		TEST(unknown_load_is_refused),
		TEST(cpustress_says_what_cpu_time_it_used),
		TEST(iostress_leaves_nothing_behind),
		TEST(load_that_dies_is_told),
		TEST(load_that_only_sleeps_is_none),
		TEST(missing_program_names_its_place),
		TEST(without_housekeeping_cpu_there_is_no_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

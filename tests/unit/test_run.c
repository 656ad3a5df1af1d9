/* Running programs: exit codes, output, environment, time limit. */
#include "fake_machine.h"

#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>

#include "actuators/run.h"

static void script(const char *body)
{
	_cleanup_free_ char *path = NULL, *text = NULL;

	assert_true(asprintf(&path, "%s/bin/job", fake_root()) > 0);
	assert_true(asprintf(&text, "#!/bin/sh\n%s\n", body) > 0);
	fake_write("/bin/job", text);
	assert_int_equal(chmod(path, 0755), 0);
}

static const char *const job[] = { "/bin/job", "one", "two words", NULL };

static void exit_code_and_output_come_back(void **state)
{
	_cleanup_free_ char *output = NULL;

	(void)state;
	script("echo \"$1|$2\"; echo to stderr >&2; exit 7");
	assert_int_equal(run_program(job, NULL, 10, &output, NULL), 7);
	assert_string_equal(output, "one|two words\nto stderr\n");
	assert_string_equal(run_last_line(output), "to stderr");
}

static void environment_is_clean_but_for_what_is_asked(void **state)
{
	static const char *const extra[] = { "DEBIAN_FRONTEND=noninteractive", NULL };
	_cleanup_free_ char *output = NULL;

	(void)state;
	setenv("LATENCYD_TEST_LEAK", "1", 1);
	script("env");
	assert_int_equal(run_program(job, extra, 10, &output, NULL), 0);
	assert_null(strstr(output, "LATENCYD_TEST_LEAK"));
	assert_non_null(strstr(output, "LANG=C\n"));
	assert_non_null(strstr(output, "DEBIAN_FRONTEND=noninteractive\n"));
}

static void signal_death_is_128_and_more(void **state)
{
	(void)state;
	script("kill -9 $$");
	assert_int_equal(run_program(job, NULL, 10, NULL, NULL), 128 + SIGKILL);
}

static void time_limit_ends_the_whole_session(void **state)
{
	_cleanup_error_ struct error e = { 0 };
	struct timespec before, after;

	(void)state;
	script("sleep 60 & sleep 60");
	clock_gettime(CLOCK_MONOTONIC, &before);
	assert_int_equal(run_program(job, NULL, 1, NULL, &e), -ETIMEDOUT);
	clock_gettime(CLOCK_MONOTONIC, &after);
	assert_true(after.tv_sec - before.tv_sec < 5);
	assert_string_equal(e.what, "/bin/job did not end within 1 s and was stopped");
}

static void missing_program_says_so(void **state)
{
	static const char *const none[] = { "/bin/no-such", NULL };
	_cleanup_error_ struct error e = { 0 };

	(void)state;
	assert_int_equal(run_program(none, NULL, 1, NULL, &e), -ENOENT);
	assert_string_equal(e.what, "cannot run /bin/no-such: No such file or directory");
}

static void long_output_keeps_its_tail(void **state)
{
	_cleanup_free_ char *output = NULL;

	(void)state;
	script("i=0; while [ $i -lt 2000 ]; do "
	       "echo 0123456789012345678901234567890123456789012345678901234567890123456789; "
	       "i=$((i+1)); done; echo the end");
	assert_int_equal(run_program(job, NULL, 20, &output, NULL), 0);
	assert_int_equal(strlen(output), 65536);
	assert_string_equal(run_last_line(output), "the end");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(exit_code_and_output_come_back, fake_setup,
						fake_teardown),
		cmocka_unit_test_setup_teardown(environment_is_clean_but_for_what_is_asked,
						fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(signal_death_is_128_and_more, fake_setup,
						fake_teardown),
		cmocka_unit_test_setup_teardown(time_limit_ends_the_whole_session, fake_setup,
						fake_teardown),
		cmocka_unit_test_setup_teardown(missing_program_says_so, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(long_output_keeps_its_tail, fake_setup,
						fake_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

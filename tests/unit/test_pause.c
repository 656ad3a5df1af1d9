/* Pausing: what holds, until when, and that nothing but its end or a clear time ends it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "actuators/root.h"
#include "daemon/pause.h"
#include "tests/trees/scratch.h"

#define TEST(fn)   cmocka_unit_test_setup_teardown(fn, setup, teardown)
#define PAUSE_FILE "run/latencyd/paused"
#define NOW	   1795341600

static struct scratch scratch;

static int setup(void **state)
{
	(void)state;
	scratch_make(&scratch);
	return actuators_set_root(scratch.path);
}

static int teardown(void **state)
{
	(void)state;
	scratch_remove(&scratch);
	return actuators_set_root("/");
}

static void expect_pause(int64_t now_s, int64_t until_s)
{
	int64_t until = -1;

	assert_true(pause_holds(now_s, &until));
	assert_int_equal(until, until_s);
}

static void expect_none(int64_t now_s)
{
	int64_t until = -1;

	assert_false(pause_holds(now_s, &until));
	assert_int_equal(until, -1);
}

static void without_a_file_nothing_is_paused(void **state)
{
	(void)state;
	expect_none(NOW);
	assert_int_equal(pause_end(NULL), 0);
}

static void a_pause_with_an_end_holds_until_then(void **state)
{
	(void)state;
	assert_int_equal(pause_set(NOW + 60, NULL), 0);
	expect_pause(NOW, NOW + 60);
	expect_pause(NOW + 59, NOW + 60);
	expect_none(NOW + 60);
}

static void a_pause_without_an_end_holds_until_it_is_ended(void **state)
{
	(void)state;
	assert_int_equal(pause_set(0, NULL), 0);
	expect_pause(INT64_MAX, 0);
	assert_int_equal(pause_end(NULL), 0);
	expect_none(NOW);
}

static void the_last_pause_counts(void **state)
{
	(void)state;
	assert_int_equal(pause_set(0, NULL), 0);
	assert_int_equal(pause_set(NOW + 5, NULL), 0);
	expect_pause(NOW, NOW + 5);
	expect_none(NOW + 5);
}

static void what_cannot_be_understood_holds(void **state)
{
	static const char *const texts[] = { "",      "soon\n", "-5\n",
					     "12x\n", "0\n",	"99999999999999999999999\n" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		scratch_write(&scratch, PAUSE_FILE, texts[i]);
		expect_pause(NOW, 0);
	}
}

static void what_cannot_be_read_holds(void **state)
{
	(void)state;
	scratch_folder(&scratch, PAUSE_FILE);
	expect_pause(NOW, 0);
}

static void what_cannot_be_written_is_an_error(void **state)
{
	_cleanup_error_ struct error e = { 0 };

	(void)state;
	scratch_write(&scratch, "run/latencyd", "a file in the folder's place");
	assert_true(pause_set(0, &e) < 0);
	assert_non_null(strstr(e.what, "/run/latencyd"));
	assert_int_equal(pause_set(-1, NULL), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(without_a_file_nothing_is_paused),
		TEST(a_pause_with_an_end_holds_until_then),
		TEST(a_pause_without_an_end_holds_until_it_is_ended),
		TEST(the_last_pause_counts),
		TEST(what_cannot_be_understood_holds),
		TEST(what_cannot_be_read_holds),
		TEST(what_cannot_be_written_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

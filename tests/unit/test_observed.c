/* Facts as typed values: what is not known never yields a value. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "state/observed.h"

static struct fact known(const char *text)
{
	return (struct fact){ .state = FACT_KNOWN, .path = "/f", .text = text };
}

static const enum fact_state not_known[] = { FACT_UNPROBED, FACT_ABSENT, FACT_DENIED,
					     FACT_UNREADABLE };

static void a_fact_that_is_not_known_has_no_value(void **state)
{
	struct cpuset set = { 0 };
	int64_t number = 7;

	(void)state;
	assert_false(fact_known(NULL));
	for (size_t i = 0; i < ARRAY_SIZE(not_known); i++) {
		struct fact f = { .state = not_known[i], .text = "1" };

		assert_false(fact_known(&f));
		assert_int_equal(fact_number(&f, &number), -ENODATA);
		assert_int_equal(fact_list(&f, 0, &set), -ENODATA);
		assert_int_equal(fact_mask(&f, &set), -ENODATA);
	}
	assert_int_equal(number, 7);
	assert_null(set.words);
}

static void numbers_are_decimal_with_sign_and_trailing_blanks(void **state)
{
	struct fact good = known("-1\n"), garbage[] = { known(""), known("x"), known("1 2"),
							known("99999999999999999999") };
	int64_t number;

	(void)state;
	assert_int_equal(fact_number(&good, &number), 0);
	assert_int_equal(number, -1);
	for (size_t i = 0; i < ARRAY_SIZE(garbage); i++)
		assert_int_equal(fact_number(&garbage[i], &number), -EBADMSG);
}

static void lists_and_masks_are_sets_or_garbage(void **state)
{
	struct fact list = known("0-1,3"), mask = known("b"), null = known(" (null)"),
		    bad = known("1-x");
	_cleanup_cpuset_ struct cpuset a = { 0 }, b = { 0 }, c = { 0 };

	(void)state;
	assert_int_equal(fact_list(&list, 4, &a), 0);
	assert_int_equal(fact_mask(&mask, &b), 0);
	assert_true(cpuset_equal(&a, &b));
	assert_int_equal(fact_list(&null, 4, &c), 0);
	assert_true(cpuset_empty(&c));
	assert_int_equal(fact_list(&bad, 4, &c), -EBADMSG);
	assert_int_equal(fact_mask(&bad, &c), -EBADMSG);
}

static void a_fact_is_shown_as_text_or_state(void **state)
{
	_cleanup_(arena_free) struct arena a = { 0 };
	struct fact f = known("x"), denied = { .state = FACT_DENIED, .error = EACCES },
		    gone = { .state = FACT_ABSENT };

	(void)state;
	assert_string_equal(fact_show(&a, &f), "x");
	assert_string_equal(fact_show(&a, &denied), "denied: Permission denied");
	assert_string_equal(fact_show(&a, &gone), "absent");
	assert_string_equal(fact_show(&a, NULL), "not probed");
	assert_string_equal(fact_state_name((enum fact_state)99), "?");
}

static void star_stands_for_digits_only(void **state)
{
	(void)state;
	assert_true(file_pattern_match("/a/cpu*/b", "/a/cpu12/b"));
	assert_true(file_pattern_match("/a/cpu*/s*/b", "/a/cpu0/s10/b"));
	assert_true(file_pattern_match("/a", "/a"));
	assert_false(file_pattern_match("/a/cpu*/b", "/a/cpu/b"));
	assert_false(file_pattern_match("/a/cpu*/b", "/a/cpuidle/b"));
	assert_false(file_pattern_match("/a/cpu*/b", "/a/cpu1/bc"));
	assert_false(file_pattern_match("/a/cpu*/b", "/a/cpu1"));
	assert_false(file_pattern_match("/a", "/ab"));
}

static void a_failed_listing_is_a_fact_of_its_pattern(void **state)
{
	(void)state;
	assert_true(file_pattern_match("/a/cpu*/s*/b", "/a/cpu*/s*/b"));
	assert_true(file_pattern_match("/a/cpu*/s*/b", "/a/cpu3/s*/b"));
}

static void the_next_file_is_found_in_a_sorted_list(void **state)
{
	struct fact files[] = {
		{ .path = "/a/cpu*/x" },  { .path = "/a/cpu0/x" }, { .path = "/a/cpu0/y" },
		{ .path = "/a/cpu10/x" }, { .path = "/a/cpu2/x" }, { .path = "/b" },
	};
	static const char *const want[] = { "/a/cpu*/x", "/a/cpu0/x", "/a/cpu10/x", "/a/cpu2/x" };
	struct observed o = { .files = files, .n_files = ARRAY_SIZE(files) };
	const struct fact *f;
	size_t iter = 0, n = 0;

	(void)state;
	while ((f = observed_files_next(&o, "/a/cpu*/x", &iter)))
		assert_string_equal(f->path, want[n++]);
	assert_int_equal(n, ARRAY_SIZE(want));
	assert_null(observed_files_next(&o, "/a/cpu*/x", &iter));
	iter = 0;
	assert_null(observed_files_next(&o, "/0", &iter));
	assert_null(observed_files_next(&o, "/0", &iter));
	iter = 0;
	assert_ptr_equal(observed_files_next(&o, "/b", &iter), &files[5]);
	assert_null(observed_files_next(&o, "/b", &iter));
}

static void a_file_is_found_by_its_path(void **state)
{
	struct fact files[] = { { .path = "/a" }, { .path = "/b" } };
	struct observed o = { .files = files, .n_files = 2 }, none = { 0 };

	(void)state;
	assert_ptr_equal(observed_file(&o, "/b"), &files[1]);
	assert_null(observed_file(&o, "/c"));
	assert_null(observed_file(&none, "/a"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_fact_that_is_not_known_has_no_value),
		cmocka_unit_test(numbers_are_decimal_with_sign_and_trailing_blanks),
		cmocka_unit_test(lists_and_masks_are_sets_or_garbage),
		cmocka_unit_test(a_fact_is_shown_as_text_or_state),
		cmocka_unit_test(star_stands_for_digits_only),
		cmocka_unit_test(a_failed_listing_is_a_fact_of_its_pattern),
		cmocka_unit_test(the_next_file_is_found_in_a_sorted_list),
		cmocka_unit_test(a_file_is_found_by_its_path),
	};

	return cmocka_run_group_tests_name("observed", tests, NULL, NULL);
}

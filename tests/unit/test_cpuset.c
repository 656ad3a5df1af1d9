/* CPU sets: the kernel's list grammar, its masks, and set arithmetic at word borders. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "state/cpuset.h"

static struct cpuset list(const char *text, unsigned n_cpus)
{
	struct cpuset s = { 0 };

	assert_int_equal(cpuset_parse_list(text, n_cpus, &s), 0);
	return s;
}

static void assert_list(const char *text, unsigned n_cpus, const char *want)
{
	_cleanup_cpuset_ struct cpuset s = list(text, n_cpus);
	_cleanup_free_ char *got = cpuset_format_list(&s);

	assert_string_equal(got, want);
}

static void assert_list_error(const char *text, unsigned n_cpus, int code)
{
	struct cpuset s = { .n_words = 77 };

	assert_int_equal(cpuset_parse_list(text, n_cpus, &s), code);
	assert_int_equal(s.n_words, 77); /* written on success only */
}

static void assert_mask(const char *text, const char *want)
{
	_cleanup_cpuset_ struct cpuset s = { 0 };
	_cleanup_free_ char *got = NULL;

	assert_int_equal(cpuset_parse_mask(text, &s), 0);
	got = cpuset_format_list(&s);
	assert_string_equal(got, want);
}

static void assert_mask_error(const char *text, int code)
{
	struct cpuset s = { 0 };

	assert_int_equal(cpuset_parse_mask(text, &s), code);
}

static void list_of_numbers_and_ranges(void **state)
{
	(void)state;
	assert_list("0", 0, "0");
	assert_list("0-3,8", 0, "0-3,8");
	assert_list("8,0-3", 0, "0-3,8");
	assert_list("22-43,66-87\n", 88, "22-43,66-87");
	assert_list("0,1,2,3", 0, "0-3");
	assert_list("5-5", 0, "5");
	assert_list("007", 0, "7");
	assert_list("0-3,2-5", 0, "0-5");
}

static void list_beyond_64_and_1024_cpus(void **state)
{
	_cleanup_cpuset_ struct cpuset s = list("63-64,127,128,8191,65535", 0);

	(void)state;
	assert_int_equal(cpuset_count(&s), 6);
	assert_true(cpuset_has(&s, 64));
	assert_true(cpuset_has(&s, 8191));
	assert_false(cpuset_has(&s, 8190));
	assert_int_equal(cpuset_last(&s), 65535);
	assert_list("1000-4095", 0, "1000-4095");
	assert_list("0-65535", 0, "0-65535");
}

static void list_with_stride_and_group(void **state)
{
	(void)state;
	assert_list("0-31:2/8", 0, "0-1,8-9,16-17,24-25");
	assert_list("0-7:1/2", 0, "0,2,4,6");
	assert_list("1-7:1/2", 0, "1,3,5,7");
	assert_list("0-10:3/4", 0, "0-2,4-6,8-10"); /* the last group is cut */
	assert_list("0-9:3/4", 0, "0-2,4-6,8-9");
	assert_list("0-3:4/4", 0, "0-3");
	assert_list("0-3:1/100", 0, "0");
	assert_list("0-3:0/2", 0, "");
	assert_list("0-3:1/2,8", 0, "0,2,8");
}

static void list_with_the_last_cpu_and_all(void **state)
{
	(void)state;
	assert_list("N", 8, "7");
	assert_list("4-N", 8, "4-7");
	assert_list("N-N", 8, "7");
	assert_list("0-N:1/2", 8, "0,2,4,6");
	assert_list("all", 8, "0-7");
	assert_list("ALL", 8, "0-7");
	assert_list("all:1/2", 8, "0,2,4,6");
	assert_list("all,9", 8, "0-7,9");
	assert_list("N", 1, "0");
	assert_list_error("N", 0, -EINVAL);
	assert_list_error("all", 0, -EINVAL);
	assert_list_error("n", 8, -EINVAL);
	assert_list_error("N-1", 8, -EINVAL); /* a range from 7 to 1, not a subtraction */
	assert_list_error("all", CPUSET_MAX + 2, -ERANGE);
}

static void list_that_is_blank_or_null_is_empty(void **state)
{
	(void)state;
	assert_list("", 0, "");
	assert_list("\n", 0, "");
	assert_list("  \n", 0, "");
	assert_list("(null)", 0, "");
	assert_list("  (null)\n", 0, "");
	assert_list(",", 0, "");
}

static void list_with_white_space_between(void **state)
{
	(void)state;
	assert_list(" 0-3 \n", 0, "0-3");
	assert_list("0-3, 8", 0, "0-3,8");
	assert_list("0-3 8", 0, "0-3,8");
	assert_list("0,,2", 0, "0,2");
}

static void list_errors(void **state)
{
	static const char *const bad[] = {
		"a",	   "0-",      "-3",	  "3-1",      "0-3:", "0-3:1", "0-3:1/",
		"0-3:2/1", "0-3:1/0", "0-3:0/0",  "0:1/2",    "0-3x", "0x3",   "0--3",
		"0 - 3",   "(null)x", "(null),1", "0-3:1/2N", "+1",   "\xff",  "0;1"
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_list_error(bad[i], 8, -EINVAL);
	assert_list_error("65536", 0, -ERANGE);
	assert_list_error("0-65536", 0, -ERANGE);
	assert_list_error("4294967296", 0, -ERANGE);
	assert_list_error("99999999999999999999999999", 0, -ERANGE);
	assert_list_error("0-3:1/99999999999", 0, -ERANGE);
}

static void mask_as_the_kernel_prints_it(void **state)
{
	(void)state;
	assert_mask("1\n", "0");
	assert_mask("ff", "0-7");
	assert_mask("000000ff", "0-7");
	assert_mask("0xff", "0-7");
	assert_mask("FF", "0-7");
	assert_mask("00000000,0000000f", "0-3");
	assert_mask("1,00000000", "32");
	assert_mask("1,1", "0,32");
	assert_mask("80000000,00000000", "63");
	assert_mask("1,00000000,00000000", "64");
	assert_mask("0", "");
	assert_mask("ffffffffff", "0-39"); /* without commas, as taskset has it */
}

static void mask_errors(void **state)
{
	static const char *const bad[] = {
		"",   " ",    "0x",	     "g",	    ",",   "1,",
		",1", "1,,1", "123456789,1", "1,123456789", "1 1", "-1"
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_mask_error(bad[i], -EINVAL);
}

static void mask_of_4096_bits_and_beyond_the_limit(void **state)
{
	char text[(CPUSET_MAX + 1) / 32 * 9 + 16] = "";
	_cleanup_cpuset_ struct cpuset s = { 0 };
	size_t n = 0;

	(void)state;
	for (int i = 0; i < 4096 / 32; i++)
		n += (size_t)sprintf(text + n, "%s%s", i ? "," : "", i ? "00000000" : "80000000");
	assert_mask(text, "4095");

	n = 0;
	for (unsigned i = 0; i < (CPUSET_MAX + 1) / 32; i++)
		n += (size_t)sprintf(text + n, "%s%s", i ? "," : "", i ? "00000000" : "80000000");
	assert_mask(text, "65535");
	memmove(text + 2, text, n + 1);
	memcpy(text, "0,", 2);
	assert_mask(text, "65535"); /* leading zeros are no CPU */
	text[0] = '1';
	assert_mask_error(text, -ERANGE);
}

static void assert_format_mask(const char *cpus, unsigned n_cpus, const char *want)
{
	_cleanup_cpuset_ struct cpuset s = list(cpus, 0);
	_cleanup_free_ char *got = cpuset_format_mask(&s, n_cpus);

	assert_string_equal(got, want);
}

static void mask_is_formatted_as_wide_as_the_machine(void **state)
{
	(void)state;
	assert_format_mask("0-1", 8, "03");
	assert_format_mask("0-1", 4, "3");
	assert_format_mask("0-1", 32, "00000003");
	assert_format_mask("0-1", 33, "0,00000003");
	assert_format_mask("0,40", 44, "100,00000001");
	assert_format_mask("0-87", 88, "ffffff,ffffffff,ffffffff");
	assert_format_mask("64", 4, "1,00000000,00000000"); /* never too narrow for the set */
	assert_format_mask("", 0, "0");
	assert_format_mask("", 64, "00000000,00000000");
}

static void set_operations_across_different_lengths(void **state)
{
	_cleanup_cpuset_ struct cpuset a = list("0-70", 0), b = list("64-200", 0);
	_cleanup_cpuset_ struct cpuset both = { 0 }, only_a = { 0 }, only_b = { 0 }, any = { 0 };
	_cleanup_cpuset_ struct cpuset empty = { 0 };

	(void)state;
	assert_int_equal(cpuset_copy(&both, &a), 0);
	cpuset_and(&both, &b);
	assert_int_equal(cpuset_copy(&only_a, &a), 0);
	cpuset_andnot(&only_a, &b);
	assert_int_equal(cpuset_copy(&only_b, &b), 0);
	cpuset_andnot(&only_b, &a);
	assert_int_equal(cpuset_copy(&any, &a), 0);
	assert_int_equal(cpuset_or(&any, &b), 0);

	assert_int_equal(cpuset_count(&both), 7);
	assert_int_equal(cpuset_next(&both, 0), 64);
	assert_int_equal(cpuset_last(&both), 70);
	assert_int_equal(cpuset_count(&only_a), 64);
	assert_int_equal(cpuset_next(&only_b, 0), 71);
	assert_int_equal(cpuset_count(&any), 201);
	assert_true(cpuset_subset(&a, &any));
	assert_true(cpuset_subset(&b, &any));
	assert_false(cpuset_subset(&any, &a));
	assert_false(cpuset_subset(&b, &a));
	assert_true(cpuset_subset(&empty, &a));
	assert_false(cpuset_subset(&a, &empty));
	assert_true(cpuset_intersects(&a, &b));
	assert_false(cpuset_intersects(&only_a, &b));
	assert_false(cpuset_intersects(&empty, &b));
}

static void equality_ignores_trailing_words(void **state)
{
	_cleanup_cpuset_ struct cpuset a = list("0-3", 0), b = list("0-3,500", 0);
	_cleanup_cpuset_ struct cpuset empty = { 0 };

	(void)state;
	assert_false(cpuset_equal(&a, &b));
	assert_false(cpuset_equal(&b, &a));
	cpuset_remove(&b, 500);
	assert_true(cpuset_equal(&a, &b));
	assert_true(cpuset_equal(&b, &a));
	assert_true(cpuset_subset(&b, &a));
	cpuset_andnot(&b, &a);
	assert_true(cpuset_empty(&b));
	assert_true(cpuset_equal(&b, &empty));
	assert_true(cpuset_equal(&empty, &b));
	assert_int_equal(cpuset_last(&b), -1);
	cpuset_remove(&b, 100000); /* outside: nothing happens */
}

static void adding_guards_the_limit(void **state)
{
	_cleanup_cpuset_ struct cpuset s = { 0 };

	(void)state;
	assert_int_equal(cpuset_add(&s, CPUSET_MAX), 0);
	assert_int_equal(cpuset_add(&s, CPUSET_MAX + 1), -ERANGE);
	assert_int_equal(cpuset_add_range(&s, 3, 2), -ERANGE);
	assert_int_equal(cpuset_count(&s), 1);
}

static void iteration_visits_each_member_once(void **state)
{
	static const long want[] = { 0, 63, 64, 127, 128, 1000 };
	_cleanup_cpuset_ struct cpuset s = list("0,63-64,127-128,1000", 0);
	size_t n = 0;

	(void)state;
	cpuset_for_each (cpu, &s) {
		assert_true(n < ARRAY_SIZE(want));
		assert_int_equal(cpu, want[n++]);
	}
	assert_int_equal(n, ARRAY_SIZE(want));
	assert_int_equal(cpuset_next(&s, 1001), -1);
	assert_int_equal(cpuset_next(&s, 1000000), -1);
}

static void formatting_runs_at_word_borders(void **state)
{
	(void)state;
	assert_list("0-63", 0, "0-63");
	assert_list("63,64", 0, "63-64");
	assert_list("0-127,129", 0, "0-127,129");
	assert_list("all:1/2", 130,
		    "0,2,4,6,8,10,12,14,16,18,20,22,24,26,28,30,32,34,36,38,40,42,44,46,48,50,52,"
		    "54,56,58,60,62,64,66,68,70,72,74,76,78,80,82,84,86,88,90,92,94,96,98,100,102,"
		    "104,106,108,110,112,114,116,118,120,122,124,126,128");
}

static void freeing_nothing_is_fine(void **state)
{
	struct cpuset s = { 0 };

	(void)state;
	cpuset_done(NULL);
	cpuset_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(list_of_numbers_and_ranges),
		cmocka_unit_test(list_beyond_64_and_1024_cpus),
		cmocka_unit_test(list_with_stride_and_group),
		cmocka_unit_test(list_with_the_last_cpu_and_all),
		cmocka_unit_test(list_that_is_blank_or_null_is_empty),
		cmocka_unit_test(list_with_white_space_between),
		cmocka_unit_test(list_errors),
		cmocka_unit_test(mask_as_the_kernel_prints_it),
		cmocka_unit_test(mask_errors),
		cmocka_unit_test(mask_of_4096_bits_and_beyond_the_limit),
		cmocka_unit_test(mask_is_formatted_as_wide_as_the_machine),
		cmocka_unit_test(set_operations_across_different_lengths),
		cmocka_unit_test(equality_ignores_trailing_words),
		cmocka_unit_test(adding_guards_the_limit),
		cmocka_unit_test(iteration_visits_each_member_once),
		cmocka_unit_test(formatting_runs_at_word_borders),
		cmocka_unit_test(freeing_nothing_is_fine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Two runs compared: the tests' figures against known ones, and what may be said of which pair. */
#include "result_fixture.h"

#include <math.h>

#include "measure/compare.h"

static json_t *compare(json_t *a, json_t *b)
{
	_cleanup_error_ struct error e = { 0 };
	json_t *c = NULL;

	if (compare_runs(a, b, &c, &e) < 0)
		fail_msg("%s", e.what);
	json_decref(a);
	json_decref(b);
	return c;
}

static const char *text(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

static void assert_verdict(json_t *c, const char *verdict, const char *why_part)
{
	assert_string_equal(text(c, "verdict"), verdict);
	if (why_part && !strstr(text(c, "why"), why_part))
		fail_msg("\"%s\" does not say \"%s\"", text(c, "why"), why_part);
	json_decref(c);
}

/* The figures are those of scipy.stats.binomtest-like sums done by hand: 2 * P(X >= 8 | 10, 1/2).
 */
static void the_rate_test_is_exact(void **state)
{
	(void)state;
	assert_true(fabs(rate_ratio_p(8, 1000, 2, 1000) - 2 * 56.0 / 1024) < 1e-9);
	assert_true(fabs(rate_ratio_p(2, 1000, 8, 1000) - 2 * 56.0 / 1024) < 1e-9);
	assert_true(fabs(rate_ratio_p(10, 1, 0, 1) - 2.0 / 1024) < 1e-9);
	/* P(X >= 3 | 3, 1/4) = 1/64 */
	assert_true(fabs(rate_ratio_p(3, 100, 0, 300) - 2.0 / 64) < 1e-9);
	assert_true(rate_ratio_p(0, 10, 0, 10) == 1);
	assert_true(rate_ratio_p(5, 10, 5, 10) == 1);
}

static void the_rate_test_bears_large_counts(void **state)
{
	double p;

	(void)state;
	p = rate_ratio_p(500000, 1e9, 502500, 1e9); /* 2.5 standard deviations */
	assert_true(p > 0.01 && p < 0.02);
	assert_true(rate_ratio_p(1e6, 1e9, 2e6, 1e9) < 1e-12);
}

static void mann_whitney_sees_a_shift_and_its_direction(void **state)
{
	const int64_t low[] = { 1, 2, 3, 4, 5, 6, 7, 8 },
		      high[] = { 9, 10, 11, 12, 13, 14, 15, 16 };
	const int64_t flat[] = { 5, 5, 5, 5, 5, 5, 5, 5 };
	double shift, p;

	(void)state;
	p = mann_whitney_p(low, 8, high, 8, &shift);
	assert_true(p > 0.0007 && p < 0.0011 && shift > 0); /* 0.00094 by the approximation */
	p = mann_whitney_p(high, 8, low, 8, &shift);
	assert_true(p < 0.0011 && shift < 0);
	assert_true(mann_whitney_p(flat, 8, flat, 8, &shift) == 1);
}

static void a_run_is_the_same_as_itself(void **state)
{
	json_t *c;

	(void)state;
	c = compare(result_fixture("pass.json"), result_fixture("pass.json"));
	assert_int_equal(json_array_size(json_object_get(c, "fingerprint")), 0);
	assert_true(json_integer_value(json_object_get(c, "tests")) > 0);
	assert_verdict(c, "same", NULL);
}

static void a_shifted_cpu_is_worse_and_named(void **state)
{
	json_t *c;

	(void)state;
	c = compare(result_fixture("pass.json"), result_fixture("worse.json"));
	assert_string_equal(text(RESULT_AT(c, "cells", "0", "cpus", "0"), "verdict"), "worse");
	assert_string_equal(text(RESULT_AT(c, "cells", "0", "cpus", "1"), "verdict"), "same");
	assert_string_equal(text(RESULT_AT(c, "cells", "1"), "verdict"), "same");
	assert_int_equal(json_array_size(json_object_get(c, "fingerprint")), 2);
	assert_string_equal(text(RESULT_AT(c, "fingerprint", "0"), "key"), "host.kernel.release");
	assert_verdict(c, "worse", NULL);
}

static void the_other_way_round_it_is_better(void **state)
{
	(void)state;
	assert_verdict(compare(result_fixture("worse.json"), result_fixture("pass.json")), "better",
		       NULL);
}

static void exceedances_are_counted_above_the_common_limit(void **state)
{
	json_t *a = result_fixture("pass.json"), *b = result_fixture("fail-overflow.json"), *c,
	       *cpu;

	(void)state;
	c = compare(a, b);
	cpu = RESULT_AT(c, "cells", "0", "cpus", "0");
	assert_int_equal(json_integer_value(RESULT_AT(cpu, "a", "exceedances")), 0);
	assert_int_equal(json_integer_value(RESULT_AT(cpu, "b", "exceedances")), 1319);
	assert_true(json_real_value(json_object_get(cpu, "p_exceedances")) < 1e-9);
	assert_string_equal(text(cpu, "verdict"), "worse");
	assert_verdict(c, "worse", NULL);
}

static void a_shift_of_one_microsecond_is_rounding(void **state)
{
	json_t *a = result_fixture("pass.json"), *b = result_fixture("pass.json"), *c, *bar;

	(void)state;
	/* the whole tail of a CPU moves by 1 us */
	for (int i = 1; i < 14; i++) {
		bar = json_array_get(RESULT_AT(b, "cells", "0", "threads", "0", "histogram"),
				     (size_t)i);
		json_array_set_new(bar, 0,
				   json_integer(json_integer_value(json_array_get(bar, 0)) + 1));
	}
	c = compare(a, b);
	assert_verdict(c, "same", NULL);
}

static void an_inconclusive_run_cannot_be_compared(void **state)
{
	(void)state;
	assert_verdict(
		compare(result_fixture("pass.json"), result_fixture("inconclusive-drift.json")),
		"cannot_tell", "second run is INCONCLUSIVE");
	assert_verdict(compare(result_fixture("error.json"), result_fixture("pass.json")),
		       "cannot_tell", "first run is INCONCLUSIVE or ERROR");
}

static void other_hardware_cannot_be_compared(void **state)
{
	json_t *b = result_fixture("worse.json");

	(void)state;
	json_object_set_new(RESULT_AT(b, "fingerprint", "guest"), "comparable", json_string("bb"));
	assert_verdict(compare(result_fixture("pass.json"), b), "cannot_tell", "guests");
	b = result_fixture("worse.json");
	json_object_set_new(RESULT_AT(b, "fingerprint", "host"), "comparable", json_null());
	assert_verdict(compare(result_fixture("pass.json"), b), "cannot_tell", "hosts");
}

static void another_interval_or_duration_cannot_be_compared(void **state)
{
	json_t *b = result_fixture("pass.json"), *c;

	(void)state;
	json_object_set_new(json_object_get(b, "request"), "interval_us", json_integer(1000));
	assert_verdict(compare(result_fixture("pass.json"), b), "cannot_tell", "intervals");
	b = result_fixture("pass.json");
	json_object_set_new(RESULT_AT(b, "cells", "0"), "duration_s", json_integer(60));
	c = compare(result_fixture("pass.json"), b);
	assert_non_null(strstr(text(RESULT_AT(c, "cells", "0"), "why"), "durations"));
	assert_string_equal(text(RESULT_AT(c, "cells", "1"), "verdict"), "same");
	assert_verdict(c, "cannot_tell", NULL);
}

static void a_cell_or_cpu_of_one_run_only_cannot_be_told(void **state)
{
	json_t *b = result_fixture("pass.json"), *c;

	(void)state;
	json_array_remove(json_object_get(b, "cells"), 1);
	json_array_remove(RESULT_AT(b, "cells", "0", "threads"), 0);
	c = compare(result_fixture("pass.json"), b);
	assert_int_equal(json_array_size(json_object_get(c, "cells")), 2);
	assert_string_equal(text(RESULT_AT(c, "cells", "1"), "verdict"), "cannot_tell");
	assert_string_equal(text(RESULT_AT(c, "cells", "0", "cpus", "0"), "verdict"),
			    "cannot_tell");
	assert_true(json_is_null(json_object_get(RESULT_AT(c, "cells", "0", "cpus", "0"), "b")));
	assert_verdict(c, "cannot_tell", NULL);
}

static void too_little_data_is_not_same(void **state)
{
	json_t *pair[2], *thread;

	(void)state;
	for (int i = 0; i < 2; i++) {
		pair[i] = result_fixture("pass.json");
		json_array_remove(json_object_get(pair[i], "cells"), 1);
		json_array_remove(RESULT_AT(pair[i], "cells", "0", "threads"), 1);
		json_array_clear(RESULT_AT(pair[i], "cells", "0", "sla"));
		json_array_clear(RESULT_AT(pair[i], "cells", "0", "segments"));
		thread = RESULT_AT(pair[i], "cells", "0", "threads", "0");
		json_object_set_new(json_object_get(thread, "percentiles_us"), "p999", json_null());
	}
	assert_verdict(compare(pair[0], pair[1]), "cannot_tell", NULL);
}

static void a_malformed_result_is_an_error(void **state)
{
	_cleanup_error_ struct error e = { 0 };
	json_t *a = result_fixture("pass.json"), *b = json_pack("{s:i}", "version", 1), *c = NULL;

	(void)state;
	assert_int_equal(compare_runs(a, b, &c, &e), -EBADMSG);
	assert_non_null(strstr(e.what, "second run"));
	assert_null(c);
	json_decref(a);
	json_decref(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_rate_test_is_exact),
		cmocka_unit_test(the_rate_test_bears_large_counts),
		cmocka_unit_test(mann_whitney_sees_a_shift_and_its_direction),
		cmocka_unit_test(a_run_is_the_same_as_itself),
		cmocka_unit_test(a_shifted_cpu_is_worse_and_named),
		cmocka_unit_test(the_other_way_round_it_is_better),
		cmocka_unit_test(exceedances_are_counted_above_the_common_limit),
		cmocka_unit_test(a_shift_of_one_microsecond_is_rounding),
		cmocka_unit_test(an_inconclusive_run_cannot_be_compared),
		cmocka_unit_test(other_hardware_cannot_be_compared),
		cmocka_unit_test(another_interval_or_duration_cannot_be_compared),
		cmocka_unit_test(a_cell_or_cpu_of_one_run_only_cannot_be_told),
		cmocka_unit_test(too_little_data_is_not_same),
		cmocka_unit_test(a_malformed_result_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

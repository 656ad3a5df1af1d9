/*
 * Spans and points of time as people type them.
 */
#include "ctl/ctl.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#define NOW 1800000000

static void spans_have_units(void **state)
{
	static const struct {
		const char *text;
		unsigned seconds;
	} cases[] = {
		{ "90", 90 },
		{ "90s", 90 },
		{ "90sec", 90 },
		{ "10min", 600 },
		{ "2h", 7200 },
		{ "1h30min", 5400 },
		{ "1d2h3min4s", 93784 },
		{ "366d", 366U * 86400 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		unsigned seconds = 0;

		assert_int_equal(parse_span(cases[i].text, &seconds), 0);
		assert_int_equal(seconds, cases[i].seconds);
	}
}

static void what_is_no_span_is_refused(void **state)
{
	static const char *const texts[] = { "",
					     "s",
					     "0",
					     "0s",
					     "-1s",
					     "1.5h",
					     "10m",
					     "1h30",
					     "10 h",
					     "99999999h",
					     "367d",
					     "1h\n",
					     "18446744073709551616",
					     "2hours" };
	unsigned seconds = 7;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_int_equal(parse_span(texts[i], &seconds), -EINVAL);
	assert_int_equal(seconds, 7);
}

static void a_span_is_so_long_ago(void **state)
{
	int64_t t;

	(void)state;
	assert_int_equal(parse_time("2h", NOW, &t), 0);
	assert_int_equal(t, NOW - 7200);
}

static void dates_are_local_unless_they_say_utc(void **state)
{
	int64_t local, utc, short_form, day;

	(void)state;
	setenv("TZ", "XXX-3", 1); /* three hours before UTC */
	tzset();
	assert_int_equal(parse_time("2026-11-22T10:00:00Z", NOW, &utc), 0);
	assert_int_equal(utc, 1795341600);
	assert_int_equal(parse_time("2026-11-22 10:00:00", NOW, &local), 0);
	assert_int_equal(local, utc - 3 * 3600);
	assert_int_equal(parse_time("2026-11-22 10:00", NOW, &short_form), 0);
	assert_int_equal(short_form, local);
	assert_int_equal(parse_time("2026-11-22", NOW, &day), 0);
	assert_int_equal(day, local - 10 * 3600);
}

static void what_is_no_time_is_refused(void **state)
{
	static const char *const texts[] = {
		"",	 "yesterday",		"2026-02-31", "2026-13-01", "2026-11-22 10:00 pm",
		"10:00", "2026-11-22T25:00:00Z"
	};
	int64_t t = 7;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_int_equal(parse_time(texts[i], NOW, &t), -EINVAL);
	assert_int_equal(t, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spans_have_units),
		cmocka_unit_test(what_is_no_span_is_refused),
		cmocka_unit_test(a_span_is_so_long_ago),
		cmocka_unit_test(dates_are_local_unless_they_say_utc),
		cmocka_unit_test(what_is_no_time_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

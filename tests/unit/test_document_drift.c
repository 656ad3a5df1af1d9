/* The document's `drift:`: what it becomes, what holds without it, and its errors. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "state/desired.h"
#include "state/rows.h"
#include "state/settings.h"

#define HOST \
	"version: 1\nhost:\n  cpus: {isolated: 2-7}\n  watchdogs: off\n  timer_migration: off\n"

static void accept(const char *text, struct desired *d)
{
	_cleanup_(error_clear) struct error e = { 0 };

	if (document_parse("d.yaml", text, strlen(text), d, &e) < 0)
		fail_msg("%s", e.what);
}

static void refuse(const char *text, const char *what, const char *todo)
{
	_cleanup_desired_ struct desired d = { 0 };
	_cleanup_(error_clear) struct error e = { 0 };

	assert_int_equal(document_parse("d.yaml", text, strlen(text), &d, &e), -EINVAL);
	if (!strstr(e.what, what))
		fail_msg("%s", e.what);
	if (todo) {
		assert_non_null(e.todo);
		assert_string_equal(e.todo, todo);
	}
}

static enum repair repair_of(const struct desired *d, const struct setting *s)
{
	return d->drift.repair[setting_index(s)];
}

static void nothing_is_mended_without_being_told(void **state)
{
	_cleanup_desired_ struct desired d = { 0 };

	(void)state;
	accept(HOST, &d);
	for (size_t i = 0; i < n_settings; i++)
		assert_int_equal(d.drift.repair[i], REPAIR_NONE);
	assert_int_equal(d.drift.alert, ALERT_JOURNAL | ALERT_DBUS | ALERT_METRICS);
	assert_int_equal(d.drift.pass_interval_s, 30);
}

static void a_settings_own_repair_wins_wherever_it_stands(void **state)
{
	_cleanup_desired_ struct desired d = { 0 };

	(void)state;
	accept("drift: {settings: {watchdogs: {repair: none}}, repair: runtime}\n" HOST, &d);
	assert_int_equal(repair_of(&d, &setting_watchdogs), REPAIR_NONE);
	assert_int_equal(repair_of(&d, &setting_timer_migration), REPAIR_RUNTIME);
	desired_done(&d);
	accept(HOST "drift: {settings: {watchdogs: {repair: all}}}\n", &d);
	assert_int_equal(repair_of(&d, &setting_watchdogs), REPAIR_ALL);
	assert_int_equal(repair_of(&d, &setting_timer_migration), REPAIR_NONE);
}

static void alerts_are_the_list_and_nothing_else(void **state)
{
	_cleanup_desired_ struct desired d = { 0 };

	(void)state;
	accept(HOST "drift: {alert: [unit, journal]}\n", &d);
	assert_int_equal(d.drift.alert, ALERT_UNIT | ALERT_JOURNAL);
	desired_done(&d);
	accept(HOST "drift: {alert: []}\n", &d);
	assert_int_equal(d.drift.alert, 0);
	refuse(HOST "drift: {alert: journal}\n", "d.yaml:6:16: expected a list", NULL);
	refuse(HOST "drift: {alert: [mail]}\n", "d.yaml:6:17: ", NULL);
}

static void the_interval_has_units_and_bounds(void **state)
{
	static const struct {
		const char *text;
		unsigned seconds; /* 0: refused */
	} cases[] = {
		{ "30s", 30 },	{ "2min", 120 },  { "45", 45 }, { "5", 5 },
		{ "1h", 3600 }, { "3600", 3600 }, { "4s", 0 },	{ "4", 0 },
		{ "3601", 0 },	{ "2h", 0 },	  { "0s", 0 },	{ "-5", 0 },
		{ "[]", 0 },	{ "30 ms", 0 },	  { "", 0 },	{ "99999999999999999999s", 0 },
	};
	char text[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_desired_ struct desired d = { 0 };

		(void)snprintf(text, sizeof(text), HOST "drift:\n  pass_interval: %s\n",
			       cases[i].text);
		if (cases[i].seconds) {
			accept(text, &d);
			assert_int_equal(d.drift.pass_interval_s, cases[i].seconds);
		} else {
			refuse(text, "d.yaml:7:", NULL);
		}
	}
}

static void errors_have_their_place_and_the_nearest_word(void **state)
{
	(void)state;
	refuse(HOST "drift: {settings: {watchdog: {repair: all}}}\n",
	       "d.yaml:6:20: unknown key \"watchdog\"", "did you mean \"watchdogs\"?");
	refuse(HOST "drift: {settings: {tsc: {repair: all}}}\n",
	       "d.yaml:6:20: the document says nothing of tsc",
	       "give it under host:, or remove it here");
	refuse(HOST "drift: {repair: rutnime}\n", "d.yaml:6:17: ", NULL);
	refuse(HOST "drift: {settings: {watchdogs: all}}\n", "d.yaml:6:31: ", NULL);
	refuse(HOST "drift: {settings: {watchdogs: {}}}\n", "d.yaml:6:31: ", NULL);
	refuse(HOST "drift: {settings: [watchdogs]}\n", "d.yaml:6:19: expected settings", NULL);
	refuse(HOST "drift: {repairs: all}\n", "d.yaml:6:9: unknown key \"repairs\"",
	       "did you mean \"repair\"?");
}

static void a_guests_own_document_may_say_it(void **state)
{
	_cleanup_desired_ struct desired d = { 0 };

	(void)state;
	accept("version: 1\nguest: {watchdogs: off}\ndrift: {repair: runtime}\n", &d);
	assert_int_equal(repair_of(&d, &setting_watchdogs), REPAIR_RUNTIME);
	refuse("version: 1\nguest: {watchdogs: off}\ndrift: {settings: {tsc: {repair: all}}}\n",
	       "d.yaml:3:20: ", "give it under guest:, or remove it here");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_mended_without_being_told),
		cmocka_unit_test(a_settings_own_repair_wins_wherever_it_stands),
		cmocka_unit_test(alerts_are_the_list_and_nothing_else),
		cmocka_unit_test(the_interval_has_units_and_bounds),
		cmocka_unit_test(errors_have_their_place_and_the_nearest_word),
		cmocka_unit_test(a_guests_own_document_may_say_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

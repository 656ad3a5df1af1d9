/*
 * The unit that alerts are told to, as started by a systemd that is this test's: it ends a job only
 * when the test says so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "actuators/root.h"
#include "daemon/bus.h"
#include "tests/unit/alerts_fixture.h"
#include "tests/unit/private_bus.h"

#define NAME	"org.freedesktop.systemd1"
#define PATH	"/org/freedesktop/systemd1"
#define MANAGER "org.freedesktop.systemd1.Manager"

static struct scene {
	struct private_bus private;
	struct manager m;
	sd_bus *systemd;
	char told[4096]; /* "UNIT:ENVIRONMENT " of each start, in their order */
	unsigned n_jobs;
	bool refuses;
} scene;

static int on_start(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	_cleanup_free_ char *path = NULL, *environment = NULL, *job = NULL;
	const char *unit, *mode, *instance;

	(void)userdata;
	assert_true(sd_bus_message_read(m, "ss", &unit, &mode) > 0);
	instance = strchr(unit, '@') + 1;
	assert_true(asprintf(&path, ALERT_FOLDER "/%.*s.env", (int)strcspn(instance, "."),
			     instance) > 0);
	assert_int_equal(root_read(path, &environment, NULL), 0);
	strcat(strcat(strcat(strcat(scene.told, unit), ":"), environment), " ");
	if (scene.refuses)
		return sd_bus_error_set(error, NAME ".NoSuchUnit", "no such unit");
	assert_true(asprintf(&job, PATH "/job/%u", ++scene.n_jobs) > 0);
	return sd_bus_reply_method_return(m, "o", job);
}

static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("StartUnit", "ss", "o", on_start, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END,
};

/* Until nothing has come for a while. */
static void settle(void)
{
	while (sd_event_run(scene.m.event, 200 * 1000) > 0)
		;
}

static void job_ends(unsigned number, const char *result)
{
	_cleanup_free_ char *job = NULL;

	assert_true(asprintf(&job, PATH "/job/%u", number) > 0);
	assert_true(sd_bus_emit_signal(scene.systemd, PATH, MANAGER, "JobRemoved", "uoss", number,
				       job, "a.service", result) >= 0);
	settle();
}

static void alert(const char *instance, const char *environment)
{
	alert_runs_add(&scene.m, instance, strdup(environment));
}

static int set_up(void **state)
{
	(void)state;
	scene = (struct scene){ .m.target = VERIFIED_TARGET_INIT };
	if (alerts_cannot)
		return 0;
	assert_true(private_bus_start(&scene.private));
	assert_true(sd_event_new(&scene.m.event) >= 0);
	assert_true(sd_bus_open_system(&scene.systemd) >= 0);
	assert_true(sd_bus_attach_event(scene.systemd, scene.m.event, 0) >= 0);
	assert_true(sd_bus_add_object_vtable(scene.systemd, NULL, PATH, MANAGER, vtable, NULL) >=
		    0);
	assert_true(sd_bus_request_name(scene.systemd, NAME, 0) >= 0);
	assert_int_equal(bus_connect(&scene.m), 0);
	settle();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	if (alerts_cannot)
		return 0;
	bus_close(&scene.m);
	sd_bus_flush_close_unref(scene.systemd);
	sd_event_unref(scene.m.event);
	private_bus_stop(&scene.private);
	free(scene.m.complaints);
	return 0;
}

static void a_drift_and_its_mending_are_both_told(void **state)
{
	(void)state;
	NEED_NAMESPACE();
	alert("tsc", "drifted");
	alert("tsc", "restored");
	settle();
	assert_string_equal(scene.told, "latencyd-alert@tsc.service:drifted ");
	job_ends(7, "done");
	assert_string_equal(scene.told, "latencyd-alert@tsc.service:drifted ");
	job_ends(1, "done");
	assert_string_equal(scene.told, "latencyd-alert@tsc.service:drifted "
					"latencyd-alert@tsc.service:restored ");
	job_ends(2, "done");
	assert_null(scene.m.alert_runs.first);
}

static void settings_do_not_wait_for_each_other(void **state)
{
	(void)state;
	NEED_NAMESPACE();
	alert("tsc", "1");
	alert("idle", "2");
	alert("idle", "3");
	settle();
	assert_string_equal(scene.told,
			    "latencyd-alert@tsc.service:1 latencyd-alert@idle.service:2 ");
	job_ends(2, "failed");
	alert("tsc", "4");
	job_ends(3, "done");
	assert_null(strstr(scene.told, ":4"));
	job_ends(1, "done");
	assert_non_null(strstr(scene.told, "@idle.service:3 latencyd-alert@tsc.service:4 "));
}

static void what_systemd_refuses_does_not_hold_up_the_rest(void **state)
{
	(void)state;
	NEED_NAMESPACE();
	scene.refuses = true;
	alert("tsc", "1");
	alert("tsc", "2");
	settle();
	assert_string_equal(scene.told,
			    "latencyd-alert@tsc.service:1 latencyd-alert@tsc.service:2 ");
	assert_non_null(strstr(scene.m.complaints,
			       "systemd refuses latencyd-alert@tsc.service: no such unit"));
	assert_null(scene.m.alert_runs.first);
}

static void a_unit_that_never_ends_is_not_told_of_the_oldest(void **state)
{
	(void)state;
	NEED_NAMESPACE();
	alert("tsc", "0");
	settle();
	for (unsigned i = 1; i <= 33; i++) {
		char number[16];

		snprintf(number, sizeof(number), "%u", i);
		alert("tsc", number);
	}
	assert_non_null(strstr(scene.m.complaints, "is slower than its alerts"));
	job_ends(1, "done");
	assert_string_equal(scene.told,
			    "latencyd-alert@tsc.service:0 latencyd-alert@tsc.service:2 ");
}

static void with_the_bus_goes_what_waited(void **state)
{
	(void)state;
	NEED_NAMESPACE();
	alert("tsc", "1");
	alert("tsc", "2");
	settle();
	bus_close(&scene.m);
	assert_null(scene.m.alert_runs.first);
	assert_int_equal(bus_connect(&scene.m), 0);
	alert("tsc", "3");
	settle();
	assert_string_equal(scene.told,
			    "latencyd-alert@tsc.service:1 latencyd-alert@tsc.service:3 ");
}

static void without_a_bus_the_environment_is_there(void **state)
{
	_cleanup_free_ char *environment = NULL;

	(void)state;
	NEED_NAMESPACE();
	bus_close(&scene.m);
	alert("watchdogs", "1");
	assert_null(scene.m.alert_runs.first);
	assert_int_equal(root_read(ALERT_FOLDER "/watchdogs.env", &environment, NULL), 0);
	assert_string_equal(environment, "1");
}

#define RUNS_TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUNS_TEST(a_drift_and_its_mending_are_both_told),
		RUNS_TEST(settings_do_not_wait_for_each_other),
		RUNS_TEST(what_systemd_refuses_does_not_hold_up_the_rest),
		RUNS_TEST(a_unit_that_never_ends_is_not_told_of_the_oldest),
		RUNS_TEST(with_the_bus_goes_what_waited),
		RUNS_TEST(without_a_bus_the_environment_is_there),
	};

	return cmocka_run_group_tests(tests, alerts_namespace, NULL);
}

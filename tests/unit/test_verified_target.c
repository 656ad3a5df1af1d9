/*
 * latency-verified.target follows the verdict, as seen by a systemd that is this test's: it ends a
 * job only when the test says so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/bus.h"
#include "daemon/manager.h"
#include "tests/unit/private_bus.h"

#define NAME	"org.freedesktop.systemd1"
#define PATH	"/org/freedesktop/systemd1"
#define MANAGER "org.freedesktop.systemd1.Manager"
#define UNIT	PATH "/unit/latency_2dverified_2etarget"
#define JOB	PATH "/job/7"

struct scene {
	struct private_bus private;
	struct manager m;
	sd_bus *systemd;
	const char *active; /* the target's ActiveState */
	const char *job;    /* "start", "stop": one is under way */
	char asked[256];    /* the jobs that were asked for, in their order */
	unsigned questions; /* after the state */
	bool refuses;
} scene;

static int take_job(sd_bus_message *m, const char *kind, sd_bus_error *error)
{
	const char *unit, *mode;

	assert_true(sd_bus_message_read(m, "ss", &unit, &mode) > 0);
	assert_string_equal(unit, "latency-verified.target");
	assert_null(scene.job); /* two jobs at once would cancel each other */
	strcat(scene.asked, scene.asked[0] ? " " : "");
	strcat(scene.asked, kind);
	if (scene.refuses)
		return sd_bus_error_set(error, NAME ".TransactionIsDestructive", "going down");
	scene.job = kind;
	return sd_bus_reply_method_return(m, "o", JOB);
}

static int on_start(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	(void)userdata;
	return take_job(m, "start", error);
}

static int on_stop(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	(void)userdata;
	return take_job(m, "stop", error);
}

static int get_state(sd_bus *bus, const char *path, const char *interface, const char *property,
		     sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	(void)bus;
	(void)path;
	(void)interface;
	(void)property;
	(void)userdata;
	(void)error;
	scene.questions++;
	return sd_bus_message_append(reply, "s", scene.active);
}

static const sd_bus_vtable manager_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("StartUnit", "ss", "o", on_start, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("StopUnit", "ss", "o", on_stop, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END,
};

static const sd_bus_vtable unit_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_PROPERTY("ActiveState", "s", get_state, 0, 0),
	SD_BUS_VTABLE_END,
};

/* Until nothing has come for a while. */
static void settle(void)
{
	while (sd_event_run(scene.m.event, 200 * 1000) > 0)
		;
}

static void job_ends(const char *result)
{
	assert_non_null(scene.job);
	if (strcmp(result, "done") == 0)
		scene.active = strcmp(scene.job, "start") == 0 ? "active" : "inactive";
	scene.job = NULL;
	assert_true(sd_bus_emit_signal(scene.systemd, PATH, MANAGER, "JobRemoved", "uoss", 7, JOB,
				       "latency-verified.target", result) >= 0);
	settle();
}

static void systemd_appears(void)
{
	assert_true(sd_bus_open_system(&scene.systemd) >= 0);
	assert_true(sd_bus_attach_event(scene.systemd, scene.m.event, 0) >= 0);
	assert_true(sd_bus_add_object_vtable(scene.systemd, NULL, PATH, MANAGER, manager_vtable,
					     NULL) >= 0);
	assert_true(sd_bus_add_object_vtable(scene.systemd, NULL, UNIT, NAME ".Unit", unit_vtable,
					     NULL) >= 0);
	assert_true(sd_bus_request_name(scene.systemd, NAME, 0) >= 0);
}

static int set_up(void **state)
{
	(void)state;
	scene = (struct scene){
		.active = "inactive",
		.m.target = VERIFIED_TARGET_INIT,
	};
	assert_true(private_bus_start(&scene.private));
	assert_true(sd_event_new(&scene.m.event) >= 0);
	systemd_appears();
	assert_int_equal(bus_connect(&scene.m), 0);
	settle();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	bus_close(&scene.m);
	sd_bus_flush_close_unref(scene.systemd);
	sd_event_unref(scene.m.event);
	private_bus_stop(&scene.private);
	free(scene.m.complaints);
	free(scene.m.complaints_before);
	return 0;
}

static void verified(bool now)
{
	verified_target_set(&scene.m, now);
	settle();
}

static void a_pass(void)
{
	manager_forget_complaints(&scene.m);
	verified_target_check(&scene.m);
	settle();
}

static void it_follows_the_verdict(void **state)
{
	(void)state;
	verified(true);
	job_ends("done");
	verified(true);
	assert_string_equal(scene.asked, "start");
	verified(false);
	job_ends("done");
	assert_string_equal(scene.asked, "start stop");
	assert_string_equal(scene.active, "inactive");
}

static void a_drift_mended_at_once_takes_it_down_all_the_same(void **state)
{
	(void)state;
	verified(true);
	job_ends("done");
	verified_target_set(&scene.m, false);
	verified_target_set(&scene.m, true);
	settle();
	assert_string_equal(scene.asked, "start stop");
	job_ends("done");
	assert_string_equal(scene.asked, "start stop start");
	job_ends("done");
	assert_string_equal(scene.active, "active");
	assert_null(scene.job);
}

static void a_drift_during_the_question_of_a_pass_takes_it_down(void **state)
{
	(void)state;
	verified(true);
	job_ends("done");
	verified_target_check(&scene.m);
	verified_target_set(&scene.m, false);
	verified_target_set(&scene.m, true);
	settle();
	job_ends("done");
	job_ends("done");
	assert_string_equal(scene.asked, "start stop start");
}

static void a_drift_while_it_is_being_started_takes_it_down_afterwards(void **state)
{
	(void)state;
	verified(true);
	verified(false);
	verified(true);
	assert_string_equal(scene.asked, "start");
	job_ends("done");
	job_ends("done");
	job_ends("done");
	assert_string_equal(scene.asked, "start stop start");
	assert_string_equal(scene.active, "active");
}

static void a_pass_finds_that_somebody_stopped_it(void **state)
{
	(void)state;
	verified(true);
	job_ends("done");
	a_pass();
	assert_string_equal(scene.asked, "start");
	scene.active = "inactive";
	a_pass();
	assert_string_equal(scene.asked, "start start");
	assert_non_null(strstr(scene.m.complaints, "was found inactive though"));
	job_ends("done");
	a_pass();
	assert_string_equal(scene.asked, "start start");
	assert_int_equal(scene.questions, 3);
}

static void a_pass_finds_that_somebody_started_it(void **state)
{
	(void)state;
	verified(false);
	job_ends("done");
	scene.active = "active";
	a_pass();
	assert_string_equal(scene.asked, "stop stop");
}

static void what_systemd_refuses_is_tried_again_with_the_next_pass(void **state)
{
	(void)state;
	scene.refuses = true;
	verified(true);
	assert_string_equal(scene.asked, "start");
	assert_non_null(strstr(scene.m.complaints, "cannot start latency-verified.target: going"));
	scene.refuses = false;
	a_pass();
	assert_string_equal(scene.asked, "start start");
	job_ends("canceled");
	assert_non_null(strstr(scene.m.complaints, "did not start latency-verified.target: canc"));
	a_pass();
	job_ends("done");
	assert_string_equal(scene.active, "active");
}

static void before_the_first_verdict_nothing_is_touched(void **state)
{
	(void)state;
	a_pass();
	assert_string_equal(scene.asked, "");
}

static void without_systemd_each_pass_tries(void **state)
{
	(void)state;
	sd_bus_flush_close_unref(scene.systemd);
	settle();
	verified(true);
	a_pass();
	assert_non_null(strstr(scene.m.complaints, "cannot start latency-verified.target"));
	systemd_appears();
	settle();
	a_pass();
	assert_string_equal(scene.asked, "start");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(it_follows_the_verdict),
		TEST(a_drift_mended_at_once_takes_it_down_all_the_same),
		TEST(a_drift_during_the_question_of_a_pass_takes_it_down),
		TEST(a_drift_while_it_is_being_started_takes_it_down_afterwards),
		TEST(a_pass_finds_that_somebody_stopped_it),
		TEST(a_pass_finds_that_somebody_started_it),
		TEST(what_systemd_refuses_is_tried_again_with_the_next_pass),
		TEST(before_the_first_verdict_nothing_is_touched),
		TEST(without_systemd_each_pass_tries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

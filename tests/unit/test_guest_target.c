/*
 * A segment measured in a guest, as the host asks for it: against a guest that is a thread here.
 */
#include "daemon/guest_target.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>
#include <jansson.h>
#include <systemd/sd-bus.h>

#include "guest/channel.h"

#define SOCKET "/run/agent.sock"

/* How the guest behaves, and what it was asked. */
static struct {
	int listener;
	pthread_t thread;
	int rounds_running; /* answers of "running" before "done" */
	bool forgets;	    /* tells of another segment */
	bool refuses;	    /* StartSegment is an error */
	bool lies;	    /* its outcome is none */
	int n_started, n_stopped, n_asked;
	char *id;
} fake;

static int start(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
	const char *text = "";
	json_t *request;

	(void)userdata;
	if (fake.refuses)
		return sd_bus_error_setf(error, "org.latencyd1.Error.Busy", "an apply runs");
	if (sd_bus_message_read(call, "s", &text) < 0)
		return -EINVAL;
	request = json_loads(text, 0, NULL);
	free(fake.id);
	fake.id = strdup(json_string_value(json_object_get(request, "id")));
	json_decref(request);
	fake.n_started++;
	return sd_bus_reply_method_return(call, "s", "{}");
}

static json_t *outcome(void)
{
	const struct segment_outcome o = { .not_started = (char *)"there is no cyclictest" };

	return fake.lies ? json_string("4 GiB") : segment_outcome_to_json(&o);
}

static int segment(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
	_cleanup_free_ char *text = NULL;
	bool running = fake.n_asked++ < fake.rounds_running;
	json_t *answer;

	(void)userdata;
	(void)error;
	answer = json_pack("{s:s, s:s, s:i}", "id", fake.forgets ? "another/0" : fake.id, "state",
			   running ? "running" : "done", "elapsed_s", fake.n_asked);
	if (!running)
		json_object_set_new(answer, "outcome", outcome());
	text = json_dumps(answer, 0);
	json_decref(answer);
	return sd_bus_reply_method_return(call, "s", text);
}

static int stop(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
	(void)userdata;
	(void)error;
	fake.n_stopped++;
	fake.rounds_running = 0;
	return sd_bus_reply_method_return(call, "s", "{}");
}

static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("StartSegment", "s", "s", start, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("Segment", "", "s", segment, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("StopSegment", "", "s", stop, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END,
};

static void serve(int fd)
{
	sd_id128_t id = { .bytes = { 1 } };
	sd_bus *bus = NULL;

	if (sd_bus_new(&bus) < 0 || sd_bus_set_fd(bus, fd, fd) < 0 ||
	    sd_bus_set_server(bus, 1, id) < 0 || sd_bus_set_anonymous(bus, 1) < 0 ||
	    sd_bus_add_object_vtable(bus, NULL, GUEST_OBJECT, GUEST_INTERFACE, vtable, NULL) < 0)
		abort();
	if (sd_bus_start(bus) >= 0)
		while (sd_bus_process(bus, NULL) >= 0 && sd_bus_is_open(bus) > 0)
			if (sd_bus_wait(bus, 10 * 1000000) <= 0)
				break;
	sd_bus_close(bus);
	sd_bus_unref(bus);
}

static void *run_guest(void *userdata)
{
	int fd;

	(void)userdata;
	while ((fd = accept(fake.listener, NULL, NULL)) >= 0)
		serve(fd);
	return NULL;
}

static int setup(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = SOCKET };

	(void)state;
	memset(&fake, 0, sizeof(fake));
	fake.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(fake.listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(fake.listener, 4) < 0)
		return -1;
	return pthread_create(&fake.thread, NULL, run_guest, NULL);
}

static int teardown(void **state)
{
	(void)state;
	shutdown(fake.listener, SHUT_RDWR);
	pthread_join(fake.thread, NULL);
	close(fake.listener);
	free(fake.id);
	return unlink(SOCKET);
}

static int stop_at_once(unsigned elapsed_s, void *userdata)
{
	(void)elapsed_s;
	++*(int *)userdata;
	return 1;
}

static int run(tool_tick_fn tick, void *userdata, struct segment_outcome *ret, struct error *e)
{
	struct desired_guest guest = { .name = "vnf0",
				       .origin = GUEST_ADOPT,
				       .adopt.channel = SOCKET };
	struct desired d = { .guests = &guest, .n_guests = 1 };
	struct segment_request rq = { .id = (char *)"run/idle_idle/0",
				      .interval_us = 1000,
				      .duration_s = 10,
				      .histogram_us = 1000,
				      .load = (char *)"idle" };
	struct observed o = { 0 };
	struct target t;
	int r;

	assert_int_equal(cpuset_add(&rq.cpus, 1), 0);
	assert_int_equal(cpuset_add(&rq.housekeeping, 0), 0);
	assert_int_equal(guest_target_make(&d, &o, "vnf0", &t, e), 0);
	assert_string_equal(t.name, "guest/vnf0");
	assert_string_equal(t.guest, "vnf0");
	r = t.run_segment(&t, &rq, "/nowhere", tick, userdata, ret, e);
	guest_target_done(&t);
	cpuset_done(&rq.cpus);
	cpuset_done(&rq.housekeeping);
	return r;
}

static void a_segment_is_started_once_and_its_outcome_taken(void **state)
{
	_cleanup_(segment_outcome_done) struct segment_outcome o = { 0 };

	(void)state;
	fake.rounds_running = 1;
	assert_int_equal(run(NULL, NULL, &o, NULL), 0);
	assert_string_equal(o.not_started, "there is no cyclictest");
	assert_int_equal(fake.n_started, 1);
	assert_int_equal(fake.n_asked, 2);
	assert_int_equal(fake.n_stopped, 0);
}

static void who_asks_to_stop_stops_it(void **state)
{
	_cleanup_(segment_outcome_done) struct segment_outcome o = { 0 };
	int ticks = 0;

	(void)state;
	fake.rounds_running = 1000;
	assert_int_equal(run(stop_at_once, &ticks, &o, NULL), 0);
	assert_int_equal(fake.n_stopped, 1);
	assert_int_equal(ticks, 1);
}

static void a_guest_that_was_started_again_is_down(void **state)
{
	_cleanup_error_ struct error e = { 0 };
	struct segment_outcome o = { 0 };

	(void)state;
	fake.forgets = true;
	assert_int_equal(run(NULL, NULL, &o, &e), -EHOSTDOWN);
	assert_non_null(strstr(e.what, "vnf0"));
}

static void a_guest_that_refuses_is_an_error(void **state)
{
	_cleanup_error_ struct error e = { 0 };
	struct segment_outcome o = { 0 };

	(void)state;
	fake.refuses = true;
	assert_int_equal(run(NULL, NULL, &o, &e), -EREMOTEIO);
	assert_non_null(strstr(e.what, "an apply runs"));
}

static void a_lying_outcome_is_an_error(void **state)
{
	struct segment_outcome o = { 0 };

	(void)state;
	fake.lies = true;
	assert_int_equal(run(NULL, NULL, &o, NULL), -EBADMSG);
}

static void a_guest_that_is_not_there_makes_no_target(void **state)
{
	struct desired_guest guest = { .name = "vnf0", .origin = GUEST_ADOPT };
	struct desired d = { .guests = &guest, .n_guests = 1 };
	struct observed o = { 0 };
	struct target t;

	(void)state;
	assert_int_equal(guest_target_make(&d, &o, "other", &t, NULL), -ENOENT);
	assert_int_equal(guest_target_make(&d, &o, "vnf0", &t, NULL), -ENOENT);
}

int main(void)
{
#define with_guest(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		with_guest(a_segment_is_started_once_and_its_outcome_taken),
		with_guest(who_asks_to_stop_stops_it),
		with_guest(a_guest_that_was_started_again_is_down),
		with_guest(a_guest_that_refuses_is_an_error),
		with_guest(a_lying_outcome_is_an_error),
		cmocka_unit_test(a_guest_that_is_not_there_makes_no_target),
	};

	/* A /run of our own, so that this machine's guests are left alone. */
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("test", "/run", "tmpfs", 0, NULL) < 0) {
		printf("1..0 # SKIP no mount namespace of its own\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}

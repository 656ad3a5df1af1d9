/*
 * The queue of what was asked of the machine, with tasks that begin and end when the test says so,
 * and callers on the other end of a socket.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "daemon/bus.h"
#include "daemon/manager.h"

/* ---- what the queue stands on ---- */

static struct {
	char command[128]; /* of the task that runs or ran last */
	char name[32];
	unsigned started;
	int refuse;	 /* what the next starts end with */
	char ended[512]; /* kinds and statuses in the order they were told */
	bool as_unit;
	bool another; /* somebody asks for more whenever something ends */
} seen;

void task_init(struct task *t)
{
	*t = (struct task){ .output = -1 };
}

void task_close(struct task *t)
{
	t->running = false;
	free(take_ptr(t->unit));
}

void task_signal(struct task *t, int signal)
{
	(void)t;
	(void)signal;
}

int task_start(struct task *t, sd_event *event, sd_bus *bus, const char *name, const char **argv,
	       task_done_fn done, void *userdata, struct error *e)
{
	size_t n = 0;

	(void)event;
	(void)bus;
	assert_false(t->running);
	if (seen.refuse < 0)
		return error_set(e, seen.refuse, "not now");
	assert_string_equal(argv[0], "latencyctl");
	for (size_t i = 1; argv[i]; i++)
		n += (size_t)snprintf(seen.command + n, sizeof(seen.command) - n, "%s%s",
				      i > 1 ? " " : "", argv[i]);
	snprintf(seen.name, sizeof(seen.name), "%s", name);
	seen.started++;
	t->running = true;
	t->done = done;
	t->userdata = userdata;
	if (seen.as_unit)
		assert_true(asprintf(&t->unit, "latencyd-%s.service", name) > 0);
	return 0;
}

/* As task.c does: first over, then told. */
static void end_task(struct manager *m, int status, const char *tail)
{
	struct task *t = &m->requests.task;

	assert_true(t->running);
	task_close(t);
	t->done(status, tail, t->userdata);
}

void manager_complain(struct manager *m, const char *fmt, ...)
{
	(void)m;
	(void)fmt;
}

void manager_request_ended(struct manager *m, const struct request *r, int status, const char *tail)
{
	size_t n = strlen(seen.ended);

	snprintf(seen.ended + n, sizeof(seen.ended) - n, "%d:%d:%s ", (int)r->kind, status, tail);
	if (seen.another) {
		seen.another = false;
		assert_int_equal(requests_add(m, REQUEST_APPLY_RUNTIME, NULL, NULL, NULL), 0);
	}
}

/* ---- callers ---- */

struct callers {
	struct manager m;
	sd_bus *server, *client;
	enum request_kind kind;
	const char *argument;
	int added;
	char answers[1024]; /* in the order they came */
};

static int method_ask(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
	struct callers *c = userdata;

	(void)error;
	c->added = requests_add(&c->m, c->kind, c->argument, call, NULL);
	return 1;
}

static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("Ask", "", "is", method_ask, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END,
};

static sd_bus *connect_end(int fd, bool server)
{
	sd_id128_t id = { .bytes = { 1 } };
	sd_bus *bus = NULL;

	assert_true(sd_bus_new(&bus) >= 0);
	assert_true(sd_bus_set_fd(bus, fd, fd) >= 0);
	assert_true(sd_bus_set_anonymous(bus, 1) >= 0);
	if (server)
		assert_true(sd_bus_set_server(bus, 1, id) >= 0);
	assert_true(sd_bus_start(bus) >= 0);
	return bus;
}

static void settle(struct callers *c)
{
	int n;

	do {
		int a = sd_bus_process(c->server, NULL), b = sd_bus_process(c->client, NULL);

		n = (a > 0) + (b > 0);
	} while (n > 0);
}

static struct callers *set_up(void)
{
	struct callers *c = calloc(1, sizeof(*c));
	int pair[2];

	assert_non_null(c);
	memset(&seen, 0, sizeof(seen));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair),
			 0);
	c->server = connect_end(pair[0], true);
	c->client = connect_end(pair[1], false);
	assert_true(sd_bus_add_object_vtable(c->server, NULL, "/", "x.y", vtable, c) >= 0);
	c->m.root.live = true;
	assert_true(sd_event_new(&c->m.event) >= 0);
	requests_init(&c->m.requests);
	return c;
}

static void tear_down(struct callers *c)
{
	requests_done(&c->m.requests);
	assert_null(c->m.requests.first);
	assert_int_equal(c->m.requests.n, 0);
	c->server = sd_bus_flush_close_unref(c->server);
	c->client = sd_bus_flush_close_unref(c->client);
	sd_event_unref(c->m.event);
	free(c);
}

static int on_answer(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	const sd_bus_error *failed = sd_bus_message_get_error(reply);
	struct callers *c = userdata;
	size_t n = strlen(c->answers);
	const char *tail;
	int status;

	(void)error;
	if (failed) {
		snprintf(c->answers + n, sizeof(c->answers) - n, "[%s: %s]", failed->name,
			 failed->message);
		return 0;
	}
	assert_true(sd_bus_message_read(reply, "is", &status, &tail) >= 0);
	snprintf(c->answers + n, sizeof(c->answers) - n, "[%d %s]", status, tail);
	return 0;
}

/* Somebody on the bus asks; *c->added is what the queue said. */
static void ask(struct callers *c, enum request_kind kind, const char *argument)
{
	c->kind = kind;
	c->argument = argument;
	c->added = 1;
	assert_true(sd_bus_call_method_async(c->client, NULL, NULL, "/", "x.y", "Ask", on_answer, c,
					     NULL) >= 0);
	for (int i = 0; i < 100 && c->added == 1; i++)
		settle(c);
}

static int add(struct callers *c, enum request_kind kind, const char *argument, struct error *e)
{
	return requests_add(&c->m, kind, argument, NULL, e);
}

/* ---- tests ---- */

static void each_kind_is_one_command(void **state)
{
	static const struct {
		enum request_kind kind;
		const char *argument, *command, *name;
	} rows[] = {
		{ REQUEST_APPLY, NULL, "apply --quiet", "apply" },
		{ REQUEST_APPLY, "reboot", "apply --reboot --quiet", "apply" },
		{ REQUEST_APPLY_RUNTIME, NULL, "apply --runtime --quiet", "apply" },
		{ REQUEST_REVERT, NULL, "revert --quiet", "apply" },
		{ REQUEST_REVERT, "watchdogs", "revert --quiet watchdogs", "apply" },
		{ REQUEST_REVERT_RESUME, NULL, "revert --resume --quiet", "apply" },
		{ REQUEST_MEASURE, NULL, "measure --quiet", "measure" },
		{ REQUEST_MEASURE, "quick", "measure --profile quick --quiet", "measure" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct callers *c = set_up();

		assert_int_equal(add(c, rows[i].kind, rows[i].argument, NULL), 0);
		assert_string_equal(seen.command, rows[i].command);
		assert_string_equal(seen.name, rows[i].name);
		assert_true(requests_running(&c->m.requests, rows[i].kind));
		assert_false(requests_running(&c->m.requests, (rows[i].kind + 1) % 5));
		tear_down(c);
	}
}

static void they_run_one_after_the_other_and_each_is_answered(void **state)
{
	struct callers *c = set_up();

	(void)state;
	ask(c, REQUEST_APPLY, NULL);
	ask(c, REQUEST_REVERT, NULL);
	ask(c, REQUEST_APPLY, "reboot");
	assert_int_equal(seen.started, 1);
	assert_string_equal(seen.command, "apply --quiet");
	end_task(&c->m, 0, "one");
	assert_int_equal(seen.started, 2);
	assert_string_equal(seen.command, "revert --quiet");
	end_task(&c->m, 4, "two");
	end_task(&c->m, 137, "three");
	settle(c);
	assert_string_equal(c->answers, "[0 one][4 two][137 three]");
	assert_string_equal(seen.ended, "0:0:one 2:4:two 0:137:three ");
	assert_int_equal(c->m.requests.n, 0);
	tear_down(c);
}

static void callers_each_get_a_run_of_their_own(void **state)
{
	struct callers *c = set_up();

	(void)state;
	ask(c, REQUEST_APPLY, NULL);
	ask(c, REQUEST_APPLY, NULL);
	end_task(&c->m, 0, "first");
	end_task(&c->m, 0, "second");
	settle(c);
	assert_string_equal(c->answers, "[0 first][0 second]");
	tear_down(c);
}

static void what_waits_already_is_not_asked_for_twice(void **state)
{
	struct callers *c = set_up();

	(void)state;
	assert_int_equal(add(c, REQUEST_APPLY, NULL, NULL), 0);
	/* What runs may have looked already: another one after it, but no third. */
	assert_int_equal(add(c, REQUEST_APPLY, NULL, NULL), 0);
	assert_int_equal(add(c, REQUEST_APPLY, NULL, NULL), 0);
	assert_int_equal(c->m.requests.n, 2);
	assert_int_equal(add(c, REQUEST_APPLY, "reboot", NULL), 0);
	assert_int_equal(c->m.requests.n, 3);
	assert_int_equal(add(c, REQUEST_APPLY, "reboot", NULL), 0);
	assert_int_equal(c->m.requests.n, 3);
	tear_down(c);
}

static void too_many_are_refused(void **state)
{
	_cleanup_error_ struct error e = { 0 };
	struct callers *c = set_up();

	(void)state;
	for (int i = 0; i < REQUESTS_MAX; i++) {
		ask(c, REQUEST_APPLY, NULL);
		assert_int_equal(c->added, 0);
	}
	ask(c, REQUEST_APPLY, NULL);
	assert_int_equal(c->added, -EBUSY);
	assert_int_equal(add(c, REQUEST_REVERT, NULL, &e), -EBUSY);
	assert_string_equal(e.what, "16 requests wait already");
	end_task(&c->m, 0, "");
	assert_int_equal(add(c, REQUEST_REVERT, NULL, NULL), 0);
	tear_down(c);
}

static void nothing_is_taken_in_that_will_not_run(void **state)
{
	_cleanup_error_ struct error e = { 0 };
	struct callers *c = set_up();

	(void)state;
	c->m.root.live = false;
	c->m.root.path = (char *)"/fake";
	assert_int_equal(add(c, REQUEST_APPLY, NULL, &e), -EROFS);
	assert_string_equal(e.what, "this latencyd only watches /fake");
	c->m.root.live = true;
	c->m.stopping = true;
	assert_int_equal(add(c, REQUEST_APPLY, NULL, &e), -ESHUTDOWN);
	assert_int_equal(seen.started, 0);
	tear_down(c);
}

static void a_segment_that_is_measured_here_is_waited_for(void **state)
{
	struct callers *c = set_up();

	(void)state;
	c->m.role.segment.running = true;
	assert_int_equal(add(c, REQUEST_APPLY, NULL, NULL), 0);
	requests_go(&c->m);
	assert_int_equal(seen.started, 0);
	c->m.role.segment.running = false;
	requests_go(&c->m);
	assert_int_equal(seen.started, 1);
	tear_down(c);
}

static void a_measurement_waits_for_another_and_an_apply_does_not(void **state)
{
	struct callers *c = set_up();

	(void)state;
	c->m.keeper.measure.running = true;
	assert_int_equal(add(c, REQUEST_MEASURE, NULL, NULL), 0);
	assert_int_equal(seen.started, 0);
	c->m.keeper.measure.running = false;
	requests_go(&c->m);
	assert_string_equal(seen.command, "measure --quiet");
	end_task(&c->m, 0, "");
	c->m.keeper.measure.running = true;
	assert_int_equal(add(c, REQUEST_APPLY, NULL, NULL), 0);
	assert_string_equal(seen.command, "apply --quiet");
	tear_down(c);
}

static void one_that_cannot_begin_is_told_to_who_asked_first(void **state)
{
	_cleanup_error_ struct error e = { 0 };
	struct callers *c = set_up();

	(void)state;
	seen.refuse = -ENOENT;
	assert_int_equal(add(c, REQUEST_APPLY, NULL, &e), -ENOENT);
	assert_string_equal(e.what, "not now");
	assert_int_equal(c->m.requests.n, 0);
	assert_string_equal(seen.ended, "");
	tear_down(c);
}

static void those_behind_it_are_answered_too(void **state)
{
	struct callers *c = set_up();

	(void)state;
	ask(c, REQUEST_APPLY, NULL);
	ask(c, REQUEST_REVERT, NULL);
	ask(c, REQUEST_MEASURE, NULL);
	seen.refuse = -ENOENT;
	end_task(&c->m, 0, "fine");
	settle(c);
	assert_string_equal(c->answers, "[0 fine][org.latencyd1.Error.Refused: not now]"
					"[org.latencyd1.Error.Refused: not now]");
	assert_string_equal(seen.ended, "0:0:fine 2:1:not now 4:1:not now ");
	tear_down(c);
}

static void the_unit_of_an_earlier_daemon_is_waited_for(void **state)
{
	struct callers *c = set_up();

	(void)state;
	seen.refuse = -EBUSY;
	ask(c, REQUEST_APPLY, NULL);
	assert_int_equal(c->added, 0);
	ask(c, REQUEST_REVERT, NULL);
	assert_int_equal(seen.started, 0);
	assert_non_null(c->m.requests.retry);
	seen.refuse = 0;
	for (int i = 0; i < 1000 && seen.started == 0; i++)
		assert_true(sd_event_run(c->m.event, 10 * 1000) >= 0);
	assert_string_equal(seen.command, "apply --quiet");
	end_task(&c->m, 0, "one");
	end_task(&c->m, 0, "two");
	settle(c);
	assert_string_equal(c->answers, "[0 one][0 two]");
	tear_down(c);
}

static void what_an_end_asks_for_comes_after_those_who_wait(void **state)
{
	struct callers *c = set_up();

	(void)state;
	ask(c, REQUEST_APPLY, NULL);
	ask(c, REQUEST_REVERT, NULL);
	seen.another = true;
	end_task(&c->m, 0, "one");
	assert_string_equal(seen.command, "revert --quiet");
	end_task(&c->m, 0, "two");
	assert_string_equal(seen.command, "apply --runtime --quiet");
	settle(c);
	assert_string_equal(c->answers, "[0 one][0 two]");
	tear_down(c);
}

static void what_an_end_asks_for_begins_when_nobody_waits(void **state)
{
	struct callers *c = set_up();

	(void)state;
	ask(c, REQUEST_APPLY, NULL);
	seen.another = true;
	end_task(&c->m, 0, "one");
	assert_int_equal(seen.started, 2);
	assert_string_equal(seen.command, "apply --runtime --quiet");
	settle(c);
	assert_string_equal(c->answers, "[0 one]");
	tear_down(c);
}

static void a_stop_answers_everybody(void **state)
{
	struct callers *c = set_up();

	(void)state;
	seen.as_unit = true;
	ask(c, REQUEST_APPLY, NULL);
	ask(c, REQUEST_REVERT, NULL);
	c->m.stopping = true;
	requests_done(&c->m.requests);
	settle(c);
	assert_string_equal(c->answers,
			    "[org.latencyd1.Error.Refused: latencyd is stopping; what was asked "
			    "for goes on, see systemctl list-units 'latencyd-*']"
			    "[org.latencyd1.Error.Refused: latencyd is stopping]");
	tear_down(c);
}

static void nothing_new_begins_during_a_stop(void **state)
{
	struct callers *c = set_up();

	(void)state;
	ask(c, REQUEST_APPLY, NULL);
	ask(c, REQUEST_REVERT, NULL);
	c->m.stopping = true;
	end_task(&c->m, 0, "one");
	settle(c);
	assert_int_equal(seen.started, 1);
	assert_string_equal(c->answers,
			    "[0 one][org.latencyd1.Error.Refused: latencyd is stopping]");
	tear_down(c);
}

static void output_that_is_no_text_is_an_answer_all_the_same(void **state)
{
	struct callers *c = set_up();

	(void)state;
	ask(c, REQUEST_APPLY, NULL);
	end_task(&c->m, 1, "\xa9 caf\xff");
	settle(c);
	assert_string_equal(c->answers, "[1  caf?]");
	tear_down(c);
}

static void a_caller_that_has_gone_is_not_waited_for(void **state)
{
	struct callers *c = set_up();

	(void)state;
	ask(c, REQUEST_APPLY, NULL);
	ask(c, REQUEST_REVERT, NULL);
	sd_bus_close(c->client);
	(void)sd_bus_process(c->server, NULL);
	end_task(&c->m, 0, "one");
	assert_string_equal(seen.command, "revert --quiet");
	end_task(&c->m, 0, "two");
	assert_string_equal(seen.ended, "0:0:one 2:0:two ");
	tear_down(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind_is_one_command),
		cmocka_unit_test(they_run_one_after_the_other_and_each_is_answered),
		cmocka_unit_test(callers_each_get_a_run_of_their_own),
		cmocka_unit_test(what_waits_already_is_not_asked_for_twice),
		cmocka_unit_test(too_many_are_refused),
		cmocka_unit_test(nothing_is_taken_in_that_will_not_run),
		cmocka_unit_test(a_segment_that_is_measured_here_is_waited_for),
		cmocka_unit_test(a_measurement_waits_for_another_and_an_apply_does_not),
		cmocka_unit_test(one_that_cannot_begin_is_told_to_who_asked_first),
		cmocka_unit_test(those_behind_it_are_answered_too),
		cmocka_unit_test(the_unit_of_an_earlier_daemon_is_waited_for),
		cmocka_unit_test(what_an_end_asks_for_comes_after_those_who_wait),
		cmocka_unit_test(what_an_end_asks_for_begins_when_nobody_waits),
		cmocka_unit_test(a_stop_answers_everybody),
		cmocka_unit_test(nothing_new_begins_during_a_stop),
		cmocka_unit_test(output_that_is_no_text_is_an_answer_all_the_same),
		cmocka_unit_test(a_caller_that_has_gone_is_not_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

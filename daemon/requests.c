/*
 * A list, and one task. What cannot begin yet stays first in the list: a segment's end calls
 * requests_go(), the unit of an earlier daemon is asked for again every two seconds. Every request
 * that was taken in leaves through finish() or requests_done(), so each caller has its answer.
 */
#include "daemon/requests.h"

#include <errno.h>

#include "daemon/bus.h"
#include "daemon/manager.h"
#include "measure/json_text.h"

#define RETRY_US (2 * 1000 * 1000ULL)

/* What changes the machine has one name: two daemons, one after the other, do not run two. */
static const char *const tasks[_REQUEST_KIND_MAX] = {
	[REQUEST_APPLY] = "apply",     [REQUEST_APPLY_RUNTIME] = "apply",
	[REQUEST_REVERT] = "apply",    [REQUEST_REVERT_RESUME] = "apply",
	[REQUEST_MEASURE] = "measure",
};

static struct request *request_free(struct request *r)
{
	if (r) {
		sd_bus_message_unref(r->call);
		free(r->argument);
		free(r);
	}
	return NULL;
}

static struct request *request_new(enum request_kind kind, const char *argument,
				   sd_bus_message *call)
{
	struct request *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->kind = kind;
	r->argument = argument ? strdup(argument) : NULL;
	if (argument && !r->argument)
		return request_free(r);
	r->call = sd_bus_message_ref(call);
	return r;
}

void requests_init(struct requests *q)
{
	*q = (struct requests){ 0 };
	task_init(&q->task);
}

/* @text as the bus takes it, malloc()ed: programs need not print UTF-8, and a message that cannot
 * be built would be an answer that never comes. NULL: out of memory. */
static char *as_utf8(const char *text)
{
	json_t *json;
	char *copy;

	while ((*text & 0xc0) == 0x80) /* the rest of a character that was cut in two */
		text++;
	json = json_text(text);
	copy = json ? strdup(json_string_value(json)) : NULL;
	json_decref(json);
	return copy;
}

/* Takes the first out of the list. */
static struct request *take_first(struct requests *q)
{
	struct request *r = q->first;

	q->first = r->next;
	q->n--;
	return r;
}

static void refuse(const struct request *r, const char *why)
{
	_cleanup_free_ char *text = r->call ? as_utf8(why) : NULL;

	if (r->call)
		(void)sd_bus_reply_method_errorf(r->call, BUS_ERROR_REFUSED, "%s",
						 text ? text : "out of memory");
}

static void refuse_all(struct requests *q)
{
	while (q->n > 0) {
		struct request *r = take_first(q);

		refuse(r, "latencyd is stopping");
		request_free(r);
	}
}

void requests_done(struct requests *q)
{
	if (q->task.running && q->first) {
		struct request *r = take_first(q);

		refuse(r, q->task.unit ? "latencyd is stopping; what was asked for goes on, see "
					 "systemctl list-units 'latencyd-*'"
				       : "latencyd is stopping");
		request_free(r);
	}
	refuse_all(q);
	q->retry = sd_event_source_disable_unref(q->retry);
	task_close(&q->task);
}

bool requests_running(const struct requests *q, enum request_kind kind)
{
	return q->task.running && q->first && q->first->kind == kind;
}

/* ---- running one ---- */

static void answer(const struct request *r, int status, const char *tail)
{
	if (r->call)
		(void)sd_bus_reply_method_return(r->call, "is", status, tail);
}

static void on_task_done(int status, const char *tail, void *userdata)
{
	struct manager *m = userdata;
	struct request *r = take_first(&m->requests);
	/* Another task may begin in there, with a tail of its own. */
	_cleanup_free_ char *kept = as_utf8(tail);

	manager_request_ended(m, r, status, kept ? kept : "");
	answer(r, status, kept ? kept : "");
	request_free(r);
	requests_go(m);
}

/* Never more than five words after the program's name. */
static void command(const struct request *r, const char *argv[static 7])
{
	size_t n = 1;

	switch (r->kind) {
	case REQUEST_APPLY:
		argv[n++] = "apply";
		if (r->argument)
			argv[n++] = "--reboot";
		break;
	case REQUEST_APPLY_RUNTIME:
		argv[n++] = "apply";
		argv[n++] = "--runtime";
		break;
	case REQUEST_REVERT:
		argv[n++] = "revert";
		break;
	case REQUEST_REVERT_RESUME:
		argv[n++] = "revert";
		argv[n++] = "--resume";
		break;
	case REQUEST_MEASURE:
		argv[n++] = "measure";
		if (r->argument) {
			argv[n++] = "--profile";
			argv[n++] = r->argument;
		}
		break;
	case _REQUEST_KIND_MAX:
		break;
	}
	argv[n++] = "--quiet";
	if (r->kind == REQUEST_REVERT && r->argument)
		argv[n++] = r->argument;
}

static int start_first(struct manager *m, struct error *e)
{
	const struct request *r = m->requests.first;
	const char *argv[7] = { "latencyctl" };
	struct task *t = &m->requests.task;
	int ret;

	command(r, argv);
	ret = task_start(t, m->event, m->bus, tasks[r->kind], argv, on_task_done, m, e);
	return ret;
}

static int on_retry(sd_event_source *s, uint64_t usec, void *userdata)
{
	(void)s;
	(void)usec;
	requests_go(userdata);
	return 0;
}

/* Without a timer there is still whatever calls requests_go() next. */
static void try_later(struct manager *m, const struct error *e)
{
	sd_event_source **retry = &m->requests.retry;

	manager_complain(m, "%s", e->what ? e->what : "another change of this machine is running");
	if (!*retry)
		(void)sd_event_add_time_relative(m->event, retry, CLOCK_MONOTONIC, RETRY_US, 0,
						 on_retry, m);
	else {
		(void)sd_event_source_set_time_relative(*retry, RETRY_US);
		(void)sd_event_source_set_enabled(*retry, SD_EVENT_ONESHOT);
	}
}

/* A guest whose host measures in it is left alone, and two measurements would measure each other.
 */
static bool must_wait(const struct manager *m)
{
	return m->role.segment.running ||
	       (m->requests.first->kind == REQUEST_MEASURE && m->keeper.measure.running);
}

/* It could not even begin. */
static void fail_first(struct manager *m, const struct error *e)
{
	struct request *r = take_first(&m->requests);
	const char *why = e->what ? e->what : strerror(-e->code);

	manager_request_ended(m, r, EXIT_FAILURE, why);
	refuse(r, why);
	request_free(r);
}

void requests_go(struct manager *m)
{
	struct requests *q = &m->requests;

	if (m->stopping && !q->task.running)
		refuse_all(q);
	while (q->first && !q->task.running && !must_wait(m)) {
		_cleanup_error_ struct error e = { 0 };
		int r = start_first(m, &e);

		if (r == -EBUSY) {
			try_later(m, &e);
			return;
		}
		if (r < 0)
			fail_first(m, &e);
	}
}

/* ---- taking one in ---- */

static bool same(const struct request *r, enum request_kind kind, const char *argument)
{
	return r->kind == kind &&
	       (r->argument && argument ? streq(r->argument, argument) : r->argument == argument);
}

/* One that has not begun yet sees what there is to do when it does. */
static bool waits_already(const struct requests *q, enum request_kind kind, const char *argument)
{
	const struct request *r = q->first;

	if (r && q->task.running)
		r = r->next;
	for (; r; r = r->next)
		if (same(r, kind, argument))
			return true;
	return false;
}

static void append(struct requests *q, struct request *r)
{
	struct request **end = &q->first;

	while (*end)
		end = &(*end)->next;
	*end = r;
	q->n++;
}

/* The queue was empty, so whoever asks is told at once what keeps it from beginning. */
static int start_only(struct manager *m, struct error *e)
{
	_cleanup_error_ struct error why = { 0 };
	int r = must_wait(m) ? 0 : start_first(m, &why);

	if (r == -EBUSY) {
		try_later(m, &why);
		return 0;
	}
	if (r >= 0)
		return 0;
	request_free(take_first(&m->requests));
	return error_move(e, &why);
}

int requests_add(struct manager *m, enum request_kind kind, const char *argument,
		 sd_bus_message *call, struct error *e)
{
	struct requests *q = &m->requests;
	struct request *r;

	if (!m->root.live)
		return error_set(e, -EROFS, "this latencyd only watches %s", m->root.path);
	if (m->stopping)
		return error_set(e, -ESHUTDOWN, "latencyd is stopping");
	if (!call && waits_already(q, kind, argument))
		return 0;
	if (q->n >= REQUESTS_MAX)
		return error_set(e, -EBUSY, "%zu requests wait already", q->n);
	r = request_new(kind, argument, call);
	if (!r)
		return error_set(e, -ENOMEM, "out of memory");
	append(q, r);
	return q->first == r && !q->task.running ? start_only(m, e) : 0;
}

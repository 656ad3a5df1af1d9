/*
 * A segment runs in `latencyctl segment REQUEST RESULT`: two files in /run/latencyd, written whole.
 * Its outcome is read from there each time it is asked for, so nothing of it stays in memory.
 */
#include "daemon/guest_role.h"

#include <errno.h>
#include <signal.h>

#include <jansson.h>

#include "actuators/paths.h"
#include "actuators/root.h"
#include "daemon/bus.h"
#include "daemon/guest_document.h"
#include "daemon/manager.h"
#include "guest/channel.h"
#include "measure/segment.h"

#define SEGMENT_REQUEST RUN_FOLDER "/segment-request.json"
#define SEGMENT_RESULT	RUN_FOLDER "/segment-result.json"
#define END_POLITELY_US (10 * 1000 * 1000ULL)

static uint64_t now_us(struct guest_role *g)
{
	uint64_t t = 0;

	(void)sd_event_now(g->m->event, CLOCK_MONOTONIC, &t);
	return t;
}

static int answer_error(sd_bus_error *error, const struct error *e, int r)
{
	if (r == -EBUSY)
		return sd_bus_error_setf(error, BUS_NAME ".Error.Busy", "%s",
					 e->what ? e->what : "busy");
	return sd_bus_error_setf(error, BUS_NAME ".Error.Failed", "%s%s%s",
				 e->what ? e->what : strerror(-r), e->todo ? "; " : "",
				 e->todo ? e->todo : "");
}

static int answer_json(sd_bus_message *call, json_t *answer)
{
	_cleanup_free_ char *text = answer ? json_dumps(answer, JSON_COMPACT) : NULL;

	json_decref(answer);
	if (!text)
		return -ENOMEM;
	return sd_bus_reply_method_return(call, "s", text);
}

static int read_argument(sd_bus_message *call, const char **ret, struct error *e)
{
	int r = sd_bus_message_read(call, "s", ret);

	if (r < 0)
		return r;
	if (strlen(*ret) > GUEST_ARGUMENT_MAX)
		return error_set(e, -E2BIG, "more than %d bytes", GUEST_ARGUMENT_MAX);
	return 0;
}

static int check_may_change(const struct manager *m, struct error *e)
{
	if (!m->root.live)
		return error_set(e, -EROFS, "this latencyd only watches %s", m->root.path);
	if (m->stopping)
		return error_set(e, -ESHUTDOWN, "latencyd is stopping");
	return 0;
}

static int method_status(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
	const struct manager *m = userdata;

	(void)error;
	return sd_bus_reply_method_return(call, "s", m->status ? m->status : "{}");
}

/* ---- the document ---- */

void guest_role_converge(struct guest_role *g)
{
	_cleanup_error_ struct error e = { 0 };
	int r;

	if (!g->converge_wanted || manager_busy(g->m) || g->m->stopping)
		return;
	g->converge_wanted = false;
	r = requests_add(g->m, REQUEST_APPLY, g->reboot ? "reboot" : NULL, NULL, &e);
	if (r < 0)
		manager_complain(g->m, "the host's document cannot be applied: %s", e.what);
}

static int on_converge(sd_event_source *s, void *userdata)
{
	struct guest_role *g = userdata;

	(void)s;
	manager_refresh(g->m);
	guest_role_converge(g);
	return 0;
}

static int method_set_document(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
	_cleanup_error_ struct error e = { 0 };
	struct manager *m = userdata;
	const char *json;
	bool reboot = false;
	int r;

	r = check_may_change(m, &e);
	if (r >= 0)
		r = read_argument(call, &json, &e);
	if (r >= 0)
		r = guest_document_keep(json, &reboot, &e);
	if (r < 0)
		return answer_error(error, &e, r);
	m->role.converge_wanted = true;
	m->role.reboot = reboot;
	(void)sd_event_source_set_enabled(m->role.converge, SD_EVENT_ONESHOT);
	return sd_bus_reply_method_return(call, "s", "{}");
}

/* ---- segments ---- */

static void on_segment_ended(int status, const char *tail, void *userdata)
{
	struct guest_role *g = userdata;

	g->ended_us = now_us(g);
	g->kill_timer = sd_event_source_disable_unref(g->kill_timer);
	if (root_exists(SEGMENT_RESULT) <= 0 &&
	    asprintf(&g->trouble, "latencyctl segment ended with %d: %s", status, tail) < 0)
		g->trouble = NULL;
	guest_role_converge(g);
	manager_task_ended(g->m);
}

static int write_request(const struct segment_request *rq, struct error *e)
{
	json_t *json = segment_request_to_json(rq);
	_cleanup_free_ char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	int r;

	json_decref(json);
	if (!text)
		return error_set(e, -ENOMEM, "out of memory");
	r = root_mkdir_p(RUN_FOLDER, 0755);
	if (r < 0)
		return error_set(e, r, "cannot make " RUN_FOLDER ": %s", strerror(-r));
	r = root_remove(SEGMENT_RESULT, e);
	return r < 0 ? r : root_replace(SEGMENT_REQUEST, text, strlen(text), 0600, e);
}

static int start_segment(struct guest_role *g, const struct segment_request *rq, struct error *e)
{
	const char *argv[] = { "latencyctl", "segment", SEGMENT_REQUEST, SEGMENT_RESULT, NULL };
	char *id;
	int r;

	if (g->m->requests.task.running)
		return error_set(e, -EBUSY, "this guest is being changed by an apply");
	if (g->segment.running)
		return error_set(e, -EBUSY, "the segment %s is being measured", g->segment_id);
	id = strdup(rq->id);
	if (!id)
		return error_set(e, -ENOMEM, "out of memory");
	r = write_request(rq, e);
	if (r >= 0)
		r = task_start(&g->segment, g->m->event, g->m->bus, "segment", argv,
			       on_segment_ended, g, e);
	if (r < 0) {
		free(id);
		return r;
	}
	free(g->segment_id);
	free(take_ptr(g->trouble));
	g->segment_id = id;
	g->started_us = g->ended_us = now_us(g);
	return 0;
}

static int method_start_segment(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
	_cleanup_(segment_request_done) struct segment_request rq = { 0 };
	_cleanup_error_ struct error e = { 0 };
	struct manager *m = userdata;
	json_t *json = NULL;
	const char *text;
	int r;

	r = check_may_change(m, &e);
	if (r >= 0)
		r = read_argument(call, &text, &e);
	if (r >= 0) {
		json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
		r = json ? segment_request_from_json(json, &rq, &e)
			 : error_set(&e, -EBADMSG, "the request is not JSON");
	}
	json_decref(json);
	if (r >= 0)
		r = start_segment(&m->role, &rq, &e);
	if (r < 0)
		return answer_error(error, &e, r);
	return sd_bus_reply_method_return(call, "s", "{}");
}

/* What kept the segment from having a result, in an outcome's form. */
static json_t *outcome_of_trouble(const struct guest_role *g)
{
	struct segment_outcome o = {
		.not_started = g->trouble ? g->trouble : (char *)"its result cannot be read",
	};

	return segment_outcome_to_json(&o);
}

static json_t *read_outcome(const struct guest_role *g)
{
	_cleanup_free_ char *text = NULL;
	json_t *outcome = NULL;
	size_t size;

	/* The answer has an id and more around it, and must keep within its bound. */
	if (!g->trouble && root_read(SEGMENT_RESULT, &text, &size) >= 0 &&
	    size < GUEST_REPLY_MAX - 4096)
		outcome = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
	return outcome ? outcome : outcome_of_trouble(g);
}

static int method_segment(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
	struct guest_role *g = &((struct manager *)userdata)->role;
	uint64_t end = g->segment.running ? now_us(g) : g->ended_us;
	json_t *answer = NULL;

	(void)error;
	if (!g->segment_id)
		return answer_json(call, json_pack("{s:s}", "state", "none"));
	answer = json_pack("{s:s, s:s, s:I}", "id", g->segment_id, "state",
			   g->segment.running ? "running" : "done", "elapsed_s",
			   (json_int_t)((end - g->started_us) / 1000000));
	if (answer && !g->segment.running)
		(void)json_object_set_new(answer, "outcome", read_outcome(g));
	return answer_json(call, answer);
}

static int on_kill_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct guest_role *g = userdata;

	(void)s;
	(void)usec;
	task_signal(&g->segment, SIGKILL);
	return 0;
}

void guest_role_stop_segment(struct guest_role *g)
{
	if (!g->segment.running || g->kill_timer)
		return;
	task_signal(&g->segment, SIGINT);
	(void)sd_event_add_time_relative(g->m->event, &g->kill_timer, CLOCK_MONOTONIC,
					 END_POLITELY_US, 0, on_kill_timer, g);
}

static int method_stop_segment(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
	struct manager *m = userdata;

	(void)error;
	guest_role_stop_segment(&m->role);
	return sd_bus_reply_method_return(call, "s", "{}");
}

static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD_WITH_ARGS("Status", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", json), method_status,
				0),
	SD_BUS_METHOD_WITH_ARGS("SetDocument", SD_BUS_ARGS("s", request), SD_BUS_RESULT("s", json),
				method_set_document, 0),
	SD_BUS_METHOD_WITH_ARGS("StartSegment", SD_BUS_ARGS("s", request), SD_BUS_RESULT("s", json),
				method_start_segment, 0),
	SD_BUS_METHOD_WITH_ARGS("Segment", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", json), method_segment,
				0),
	SD_BUS_METHOD_WITH_ARGS("StopSegment", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", json),
				method_stop_segment, 0),
	SD_BUS_VTABLE_END,
};

int guest_role_export(sd_bus *bus, void *manager)
{
	int r = sd_bus_add_object_vtable(bus, NULL, GUEST_OBJECT, GUEST_INTERFACE, vtable, manager);

	return r < 0 ? r : bus_export(bus, manager);
}

int guest_role_init(struct guest_role *g, struct manager *m)
{
	int r;

	*g = (struct guest_role){ .m = m };
	task_init(&g->segment);
	r = sd_event_add_defer(m->event, &g->converge, on_converge, g);
	return r < 0 ? r : sd_event_source_set_enabled(g->converge, SD_EVENT_OFF);
}

void guest_role_done(struct guest_role *g)
{
	sd_event_source_disable_unref(g->converge);
	sd_event_source_disable_unref(g->kill_timer);
	task_close(&g->segment);
	free(g->segment_id);
	free(g->trouble);
}

/*
 * The guest is asked about once a second; one missed answer is no end, for a guest under load is
 * slow to answer. It has gone when it was silent for SILENT_MS, or tells of another segment (it was
 * started again), or measures far longer than it was asked to.
 */
#include "daemon/guest_target.h"

#include <errno.h>
#include <time.h>

#include <jansson.h>

#include "guest/channel.h"
#include "guest/channel_lock.h"

#define CALL_MS	  10000
#define SILENT_MS 30000
#define ASK_MS	  1000
/* Beyond the segment's duration: what the load and the tool take to start and end, slowly. */
#define OVERTIME_S 300

struct guest_target {
	char *target_name, *guest, *address;
};

/* One segment under way. */
struct asking {
	const struct guest_target *g;
	const struct segment_request *rq;
	uint64_t heard; /* when it last answered */
	bool stopped;
};

void guest_target_done(struct target *t)
{
	struct guest_target *g = t->userdata;

	if (g) {
		free(g->target_name);
		free(g->guest);
		free(g->address);
		free(g);
	}
	*t = (struct target){ 0 };
}

static int call(const struct guest_target *g, const char *method, const char *argument,
		json_t **ret, struct error *e)
{
	_cleanup_free_ char *text = NULL;
	json_t *json;
	int r;

	r = guest_call(g->guest, g->address, method, argument, CALL_MS, &text, e);
	if (r < 0)
		return r;
	json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(json)) {
		json_decref(json);
		return error_set(e, -EBADMSG, "the guest %s answers %s with no JSON object",
				 g->guest, method);
	}
	*ret = json;
	return 0;
}

static int start(const struct asking *a, struct error *e)
{
	json_t *json = segment_request_to_json(a->rq), *answer = NULL;
	_cleanup_free_ char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	int r;

	json_decref(json);
	if (!text)
		return error_set(e, -ENOMEM, "out of memory");
	r = call(a->g, "StartSegment", text, &answer, e);
	json_decref(answer);
	return r;
}

static void stop(struct asking *a)
{
	json_t *answer = NULL;

	/* A call that got lost is made again with the next question. */
	a->stopped = call(a->g, "StopSegment", NULL, &answer, NULL) >= 0;
	json_decref(answer);
}

/* Its answer to Segment(). 1: done, with *ret; 0: not yet; -EHOSTDOWN: another segment's. */
static int read_answer(const struct asking *a, const json_t *answer, struct segment_outcome *ret,
		       struct error *e)
{
	const char *id = json_string_value(json_object_get(answer, "id"));
	const char *state = json_string_value(json_object_get(answer, "state"));
	int r;

	if (!id || !state || !streq(id, a->rq->id))
		return error_set(
			e, -EHOSTDOWN,
			"the guest %s no longer knows of the segment: it was started again",
			a->g->guest);
	if (streq(state, "running"))
		return 0;
	if (!streq(state, "done"))
		return error_set(e, -EBADMSG, "the guest %s answers with an unknown state",
				 a->g->guest);
	r = segment_outcome_from_json(json_object_get(answer, "outcome"), ret, e);
	return r < 0 ? r : 1;
}

static int ask(struct asking *a, struct segment_outcome *ret, struct error *e)
{
	_cleanup_error_ struct error silence = { 0 };
	json_t *answer = NULL;
	int r;

	r = call(a->g, "Segment", NULL, &answer, &silence);
	if (r >= 0) {
		a->heard = channel_now();
		r = read_answer(a, answer, ret, e);
		json_decref(answer);
		return r;
	}
	if (channel_now() - a->heard < SILENT_MS)
		return 0;
	error_set(e, -EHOSTDOWN, "the guest %s was silent for %d s: %s", a->g->guest,
		  SILENT_MS / 1000, silence.what ? silence.what : strerror(-r));
	return -EHOSTDOWN;
}

static int run_segment(struct target *t, const struct segment_request *rq, const char *workdir,
		       tool_tick_fn tick, void *userdata, struct segment_outcome *ret,
		       struct error *e)
{
	struct asking a = { .g = t->userdata, .rq = rq, .heard = channel_now() };
	const struct timespec pause = { .tv_nsec = ASK_MS % 1000 * 1000000L,
					.tv_sec = ASK_MS / 1000 };
	uint64_t started = channel_now();
	bool ending = false;
	int r;

	(void)workdir; /* the guest has its own */
	r = start(&a, e);
	while (r == 0) {
		(void)nanosleep(&pause, NULL);
		ending |= tick && tick((unsigned)((channel_now() - started) / 1000), userdata) != 0;
		if (ending && !a.stopped)
			stop(&a);
		r = ask(&a, ret, e);
		if (r == 0 && channel_now() - started > (rq->duration_s + OVERTIME_S) * 1000ULL)
			r = error_set(e, -EHOSTDOWN, "the guest %s says for ever that it measures",
				      a.g->guest);
	}
	return r < 0 ? r : 0;
}

int guest_target_make(const struct desired *d, const struct observed *o, const char *name,
		      struct target *ret, struct error *e)
{
	const struct desired_guest *wanted = desired_guest(d, name);
	const struct observed_guest *seen = wanted ? observed_guest(o, name) : NULL;
	struct guest_target *g;
	struct target t = { 0 };
	struct arena a = { 0 };
	const char *address;

	if (!wanted)
		return error_set(e, -ENOENT, "the document has no guest %s", name);
	address = guest_channel_address(wanted, seen ? seen->argv.text : NULL, &a);
	if (!address) {
		arena_free(&a);
		return error_set(e, -ENOENT, "the guest %s has no channel to measure through",
				 name);
	}
	t.userdata = g = calloc(1, sizeof(*g));
	if (g) {
		g->guest = strdup(name);
		g->address = strdup(address);
		if (asprintf(&g->target_name, "guest/%s", name) < 0)
			g->target_name = NULL;
	}
	arena_free(&a);
	if (!g || !g->guest || !g->address || !g->target_name) {
		guest_target_done(&t);
		return error_set(e, -ENOMEM, "out of memory");
	}
	t.name = g->target_name;
	t.guest = g->guest;
	t.run_segment = run_segment;
	*ret = t;
	return 0;
}

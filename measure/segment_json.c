/*
 * Segments as JSON, for the channel and for the run's folder. What comes from there may be a
 * hostile guest's: every text and number has a bound, and what breaks one makes the whole unusable.
 */
#include <errno.h>

#include "measure/json_text.h"
#include "measure/segment.h"
#include "state/measure_spec.h"

#define TEXT_MAX   1024
#define OUTPUT_MAX (64 << 10)
#define RESULT_MAX (4 << 20)
#define ARGV_MAX   64
#define OBJECT_MAX (64 << 10)

static json_t *cpus_json(const struct cpuset *s)
{
	_cleanup_free_ char *text = cpuset_format_list(s);

	return json_text(text);
}

json_t *segment_request_to_json(const struct segment_request *rq)
{
	return json_pack("{s:o, s:o, s:o, s:I, s:I, s:I, s:o}", "id", json_text(rq->id), "cpus",
			 cpus_json(&rq->cpus), "housekeeping", cpus_json(&rq->housekeeping),
			 "interval_us", (json_int_t)rq->interval_us, "duration_s",
			 (json_int_t)rq->duration_s, "histogram_us", (json_int_t)rq->histogram_us,
			 "load", json_text(rq->load));
}

static int bad(struct error *e, const char *key)
{
	return error_set(e, -EBADMSG, "\"%s\" is missing, of another type or out of bounds", key);
}

static int get_unsigned(const json_t *o, const char *key, uint64_t min, uint64_t max, uint64_t *ret,
			struct error *e)
{
	const json_t *v = json_object_get(o, key);
	json_int_t n = json_integer_value(v);

	if (!json_is_integer(v) || n < 0 || (uint64_t)n < min || (uint64_t)n > max)
		return bad(e, key);
	*ret = (uint64_t)n;
	return 0;
}

/* A string without a NUL inside, malloc()ed; with @null also null, as NULL. */
static int get_text(const json_t *o, const char *key, size_t max, bool null, char **ret,
		    struct error *e)
{
	const json_t *v = json_object_get(o, key);
	size_t n = json_string_length(v);

	if (null && json_is_null(v))
		return 0;
	if (!json_is_string(v) || n > max || strlen(json_string_value(v)) != n)
		return bad(e, key);
	*ret = strdup(json_string_value(v));
	return *ret ? 0 : -ENOMEM;
}

static int get_cpus(const json_t *o, const char *key, struct cpuset *ret, struct error *e)
{
	_cleanup_free_ char *text = NULL;
	int r = get_text(o, key, OUTPUT_MAX, false, &text, e);

	if (r < 0)
		return r;
	r = cpuset_parse_list(text, 0, ret);
	return r == 0 || r == -ENOMEM ? r : bad(e, key);
}

static int get_unsigned_field(const json_t *o, const char *key, unsigned min, unsigned max,
			      unsigned *ret, struct error *e)
{
	uint64_t n;
	int r = get_unsigned(o, key, min, max, &n, e);

	if (r == 0)
		*ret = (unsigned)n;
	return r;
}

static bool is_load(const char *name)
{
	for (const char *const *load = measure_loads; *load; load++)
		if (streq(*load, name))
			return true;
	return false;
}

int segment_request_from_json(const json_t *json, struct segment_request *ret, struct error *e)
{
	_cleanup_(segment_request_done) struct segment_request rq = { 0 };
	int r = get_text(json, "id", 256, false, &rq.id, e);

	if (r == 0)
		r = get_cpus(json, "cpus", &rq.cpus, e);
	if (r == 0)
		r = get_cpus(json, "housekeeping", &rq.housekeeping, e);
	if (r == 0)
		r = get_unsigned_field(json, "interval_us", 10, 1000000, &rq.interval_us, e);
	if (r == 0)
		r = get_unsigned_field(json, "duration_s", 1, 30 * 24 * 3600, &rq.duration_s, e);
	if (r == 0)
		r = get_unsigned_field(json, "histogram_us", 1, 1000000, &rq.histogram_us, e);
	if (r == 0)
		r = get_text(json, "load", 64, false, &rq.load, e);
	if (r == 0 && (cpuset_empty(&rq.cpus) || !is_load(rq.load)))
		r = bad(e, cpuset_empty(&rq.cpus) ? "cpus" : "load");
	if (r < 0)
		return r;
	*ret = rq;
	rq = (struct segment_request){ 0 };
	return 0;
}

static json_t *or_null(json_t *v)
{
	return v ? json_incref(v) : json_null();
}

json_t *segment_outcome_to_json(const struct segment_outcome *o)
{
	const struct tool_outcome *t = &o->tool;

	return json_pack("{s:o, s:{s:i, s:i, s:b, s:i, s:I}, s:o, s:o, s:o, s:o, s:o, s:o}",
			 "not_started", json_text(o->not_started), "tool", "spawn_error",
			 t->spawn_error, "wait_status", t->wait_status, "timed_out", t->timed_out,
			 "stopped", t->stopped, "elapsed_ms", (json_int_t)t->elapsed_ms, "json",
			 json_text(o->json), "output", json_text(o->output), "argv",
			 or_null(o->argv), "load", or_null(o->load), "load_trouble",
			 json_text(o->load_trouble), "fingerprint", or_null(o->fingerprint));
}

static int get_tool(const json_t *o, struct tool_outcome *ret, struct error *e)
{
	const json_t *timed_out = json_object_get(o, "timed_out");
	const json_t *stopped = json_object_get(o, "stopped");
	uint64_t spawn_error, wait_status;
	int r = get_unsigned(o, "spawn_error", 0, 4095, &spawn_error, e);

	if (r == 0)
		r = get_unsigned(o, "wait_status", 0, 0xffff, &wait_status, e);
	if (r == 0)
		r = get_unsigned(o, "elapsed_ms", 0, UINT64_C(1) << 40, &ret->elapsed_ms, e);
	if (r == 0 && (!json_is_boolean(timed_out) || !json_is_integer(stopped)))
		r = bad(e, "tool");
	if (r < 0)
		return r;
	ret->spawn_error = (int)spawn_error;
	ret->wait_status = (int)wait_status;
	ret->timed_out = json_is_true(timed_out);
	ret->stopped = json_integer_value(stopped) != 0;
	return 0;
}

/* An object of a bounded size, or null. */
static int get_object(const json_t *o, const char *key, json_t **ret, struct error *e)
{
	json_t *v = json_object_get(o, key);

	if (json_is_null(v))
		return 0;
	if (!json_is_object(v) || json_dumpb(v, NULL, 0, JSON_COMPACT) > OBJECT_MAX)
		return bad(e, key);
	*ret = json_incref(v);
	return 0;
}

static int get_argv(const json_t *o, json_t **ret, struct error *e)
{
	json_t *v = json_object_get(o, "argv");
	const json_t *arg;
	size_t i;

	if (json_is_null(v))
		return 0;
	if (!json_is_array(v) || json_array_size(v) > ARGV_MAX)
		return bad(e, "argv");
	json_array_foreach(v, i, arg)
	{
		if (!json_is_string(arg) || json_string_length(arg) > 4096)
			return bad(e, "argv");
	}
	*ret = json_incref(v);
	return 0;
}

int segment_outcome_from_json(const json_t *json, struct segment_outcome *ret, struct error *e)
{
	_cleanup_(segment_outcome_done) struct segment_outcome o = { 0 };
	int r = get_text(json, "not_started", TEXT_MAX, true, &o.not_started, e);

	if (r == 0)
		r = get_tool(json_object_get(json, "tool"), &o.tool, e);
	if (r == 0)
		r = get_text(json, "json", RESULT_MAX, true, &o.json, e);
	if (r == 0)
		r = get_text(json, "output", OUTPUT_MAX, true, &o.output, e);
	if (r == 0)
		r = get_argv(json, &o.argv, e);
	if (r == 0)
		r = get_object(json, "load", &o.load, e);
	if (r == 0)
		r = get_text(json, "load_trouble", TEXT_MAX, true, &o.load_trouble, e);
	if (r == 0)
		r = get_object(json, "fingerprint", &o.fingerprint, e);
	if (r < 0)
		return r;
	*ret = o;
	o = (struct segment_outcome){ 0 };
	return 0;
}

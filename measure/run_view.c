/*
 * The model: a result may hold what a guest sent, so every member is read through a reader that
 * knows its type and bounds, and the first violation is remembered with its place; the rest of the
 * reading goes on harmlessly and the whole is refused at the end. null is "not known" everywhere.
 */
#include "measure/run_view.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <time.h>

#define NUMBER_MAX    INT64_C(9007199254740992) /* exact in a double, as in JSON elsewhere */
#define US_MAX	      INT64_C(1000000000000)
#define CELLS_MAX     64
#define THREADS_MAX   4096
#define SEGMENTS_MAX  100000
#define HISTOGRAM_MAX 1000000
#define FIELDS_MAX    (16 << 20) /* rows times threads of one cell's histogram text */

struct reader {
	struct error *e;
	const char *place; /* of what is being read: "cell idle_idle" */
	int r;
};

static void refuse(struct reader *rd, const char *key, const char *why)
{
	if (rd->r < 0)
		return;
	rd->r = error_set(rd->e, -EBADMSG, "the result cannot be read: %s of %s %s", key, rd->place,
			  why);
}

static const json_t *read_member(struct reader *rd, const json_t *o, const char *key,
				 json_type type)
{
	const json_t *v = json_object_get(o, key);

	if (!v || json_is_null(v))
		return NULL;
	if (json_typeof(v) == type)
		return v;
	refuse(rd, key, "has a wrong type");
	return NULL;
}

static const char *read_text(struct reader *rd, const json_t *o, const char *key)
{
	const json_t *v = read_member(rd, o, key, JSON_STRING);

	return v ? json_string_value(v) : "";
}

static double read_real(struct reader *rd, const json_t *o, const char *key, double max)
{
	const json_t *v = json_object_get(o, key);
	double d;

	if (!v || json_is_null(v))
		return -1;
	if (!json_is_number(v)) {
		refuse(rd, key, "is no number");
		return -1;
	}
	d = json_number_value(v);
	if (!(d >= 0 && d <= max)) {
		refuse(rd, key, "is out of bounds");
		return -1;
	}
	return d;
}

static int64_t read_int(struct reader *rd, const json_t *o, const char *key, int64_t max)
{
	const json_t *v = read_member(rd, o, key, JSON_INTEGER);
	int64_t i;

	if (!v)
		return -1;
	i = json_integer_value(v);
	if (i < 0 || i > max) {
		refuse(rd, key, "is out of bounds");
		return -1;
	}
	return i;
}

/* A tool that does not name its CPU leaves -1, and that run needs its report most. */
static int64_t read_cpu(struct reader *rd, const json_t *o)
{
	const json_t *v = json_object_get(o, "cpu");

	return json_is_integer(v) && json_integer_value(v) == -1 ? -1
								 : read_int(rd, o, "cpu", 1 << 20);
}

/* An array of objects, as its size and as @ret zeroed elements of @element bytes. */
static const json_t *read_array(struct reader *rd, const json_t *o, const char *key, size_t max,
				size_t element, void *ret, size_t *ret_n)
{
	const json_t *v = read_member(rd, o, key, JSON_ARRAY), *item;
	size_t i;

	if (json_array_size(v) == 0)
		return NULL;
	if (json_array_size(v) > max) {
		refuse(rd, key, "are too many");
		return NULL;
	}
	json_array_foreach(v, i, item)
	{
		if (json_is_object(item))
			continue;
		refuse(rd, key, "has an element that is no object");
		return NULL;
	}
	*(void **)ret = calloc(json_array_size(v), element);
	if (!*(void **)ret) {
		rd->r = rd->r < 0 ? rd->r : -ENOMEM;
		return NULL;
	}
	*ret_n = json_array_size(v);
	return v;
}

static const char *read_verdict(struct reader *rd, const json_t *o)
{
	static const char *const verdicts[] = { "PASS", "FAIL", "WARN", "INCONCLUSIVE", "ERROR" };
	const char *s = read_text(rd, o, "verdict");

	for (size_t i = 0; i < ARRAY_SIZE(verdicts); i++)
		if (streq(s, verdicts[i]))
			return verdicts[i];
	refuse(rd, "verdict", "is not one that is known");
	return "ERROR";
}

static int64_t read_time(const char *text)
{
	struct tm tm = { 0 };
	const char *end = *text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;

	return end && (streq(end, "Z") || *end == '.') ? (int64_t)timegm(&tm) : -1;
}

static const json_t *read_percentiles(struct reader *rd, const json_t *o, const char *key)
{
	const json_t *v = read_member(rd, o, key, JSON_OBJECT), *value;
	const char *name;

	json_object_foreach((json_t *)v, name, value)
	{
		(void)value;
		read_real(rd, v, name, (double)US_MAX);
	}
	return v;
}

static void read_bars(struct reader *rd, const json_t *o, int64_t histogram_us,
		      struct thread_view *t)
{
	const json_t *v = read_member(rd, o, "histogram", JSON_ARRAY), *pair;
	struct bar *bars;
	int64_t last = -1;
	size_t i;

	if (json_array_size(v) == 0)
		return;
	if (json_array_size(v) > HISTOGRAM_MAX) {
		refuse(rd, "histogram", "is too long");
		return;
	}
	bars = calloc(json_array_size(v), sizeof(*bars));
	t->bars = bars;
	if (!bars) {
		rd->r = rd->r < 0 ? rd->r : -ENOMEM;
		return;
	}
	json_array_foreach(v, i, pair)
	{
		const json_t *us = json_array_get(pair, 0), *count = json_array_get(pair, 1);
		int64_t at = json_integer_value(us), n = json_integer_value(count);

		if (json_array_size(pair) != 2 || !json_is_integer(us) || !json_is_integer(count) ||
		    at <= last || at >= histogram_us || n < 0 || n > NUMBER_MAX) {
			refuse(rd, "histogram", "is not a list of ascending [us, count]");
			return;
		}
		last = at;
		if (n)
			bars[t->n_bars++] = (struct bar){ .us = at, .count = n };
	}
}

static void read_thread(struct reader *rd, const json_t *o, int64_t histogram_us,
			struct thread_view *t)
{
	t->cpu = read_cpu(rd, o);
	t->expected_cycles = read_int(rd, o, "expected_cycles", NUMBER_MAX);
	t->cycles = read_int(rd, o, "cycles", NUMBER_MAX);
	t->missed_cycles = read_int(rd, o, "missed_cycles", NUMBER_MAX);
	t->overflow = read_int(rd, o, "overflow", NUMBER_MAX);
	t->min_us = read_int(rd, o, "min_us", US_MAX);
	t->avg_us = read_real(rd, o, "avg_us", (double)US_MAX);
	t->max_us = read_int(rd, o, "max_us", US_MAX);
	t->percentiles = read_percentiles(rd, o, "percentiles_us");
	t->corrected = read_percentiles(rd, o, "percentiles_corrected_us");
	read_bars(rd, o, histogram_us, t);
}

static int compare_threads(const void *a, const void *b)
{
	const struct thread_view *x = a, *y = b;

	return (x->cpu > y->cpu) - (x->cpu < y->cpu);
}

static void read_threads(struct reader *rd, const json_t *o, int64_t histogram_us,
			 struct cell_view *c)
{
	const json_t *v = read_array(rd, o, "threads", THREADS_MAX, sizeof(*c->threads),
				     &c->threads, &c->n_threads);

	for (size_t i = 0; i < c->n_threads; i++)
		read_thread(rd, json_array_get(v, i), histogram_us, &c->threads[i]);
	if (c->n_threads)
		qsort(c->threads, c->n_threads, sizeof(*c->threads), compare_threads);
	if ((int64_t)c->n_threads * histogram_us > FIELDS_MAX)
		refuse(rd, "threads", "are too many for so wide a histogram");
}

static const char *unit_of(const char *key)
{
	const char *suffix = strrchr(key, '_');

	if (suffix && streq(suffix, "_us"))
		return "µs";
	if (suffix && streq(suffix, "_ratio"))
		return "ppm";
	return suffix && streq(suffix, "_overflow") ? "cycles" : "";
}

static void read_sla(struct reader *rd, const json_t *o, struct cell_view *c)
{
	const json_t *v = read_array(rd, o, "sla", 64, sizeof(*c->sla), &c->sla, &c->n_sla);

	for (size_t i = 0; i < c->n_sla; i++) {
		const json_t *s = json_array_get(v, i);
		const char *verdict = read_text(rd, s, "verdict");

		c->sla[i] = (struct sla_view){
			.key = read_text(rd, s, "key"),
			.limit = read_real(rd, s, "limit", (double)NUMBER_MAX),
			.measured = read_real(rd, s, "measured", (double)NUMBER_MAX),
			.cpu = read_cpu(rd, s),
			.verdict = streq(verdict, "met") || streq(verdict, "exceeded")
					   ? verdict
					   : "not_judged",
		};
		c->sla[i].unit = unit_of(c->sla[i].key);
	}
}

static void read_maxima(struct reader *rd, const json_t *o, struct segment_view *s)
{
	const json_t *value;
	const char *cpu;

	s->maxima = read_member(rd, o, "max_us", JSON_OBJECT);
	s->max_us = s->max_cpu = -1;
	json_object_foreach((json_t *)s->maxima, cpu, value)
	{
		int64_t us = read_int(rd, s->maxima, cpu, US_MAX);

		(void)value;
		if (us <= s->max_us)
			continue;
		s->max_us = us;
		s->max_cpu = strtol(cpu, NULL, 10);
	}
}

/* A segment whose start is not known, or lies before the one before it, is drawn behind that. */
static void read_segments(struct reader *rd, const json_t *o, struct cell_view *c)
{
	const json_t *v = read_array(rd, o, "segments", SEGMENTS_MAX, sizeof(*c->segments),
				     &c->segments, &c->n_segments);
	double end = 0;

	c->started = -1;
	for (size_t i = 0; i < c->n_segments; i++) {
		const json_t *j = json_array_get(v, i);
		struct segment_view *s = &c->segments[i];
		int64_t at = read_time(read_text(rd, j, "started"));

		s->index = read_int(rd, j, "index", SEGMENTS_MAX);
		s->elapsed_s = fmax(read_real(rd, j, "elapsed_s", 1e8), 0);
		s->trouble = read_text(rd, j, "trouble");
		read_maxima(rd, j, s);
		if (i == 0)
			c->started = at;
		s->start_s = at >= 0 && c->started >= 0 ? (double)(at - c->started) : end;
		s->start_s = fmax(s->start_s, end);
		end = fmin(s->start_s + s->elapsed_s, 1e9);
	}
}

static void read_cell(struct reader *rd, const json_t *o, int64_t histogram_us, struct cell_view *c)
{
	const json_t *detection, *load;

	rd->place = "a cell";
	c->name = read_text(rd, o, "name");
	if (*c->name)
		rd->place = c->name;
	c->host_load = read_text(rd, o, "host_load");
	c->guest_load = read_text(rd, o, "guest_load");
	c->verdict = read_verdict(rd, o);
	c->sentence = read_text(rd, o, "sentence");
	c->reasons = read_member(rd, o, "reasons", JSON_ARRAY);
	c->duration_s = read_real(rd, o, "duration_s", 1e9);
	c->measured_s = read_real(rd, o, "measured_s", 1e9);
	c->not_measured_s = read_real(rd, o, "not_measured_s", 1e9);
	c->exceedances = read_int(rd, o, "exceedances", NUMBER_MAX);
	c->bound_per_hour = read_real(rd, o, "bound_per_hour", 1e12);
	detection = read_member(rd, o, "detection", JSON_OBJECT);
	c->stall_us = read_real(rd, detection, "stall_us", (double)US_MAX);
	c->probability = read_real(rd, detection, "probability", 1);
	load = read_member(rd, o, "load", JSON_OBJECT);
	c->load_host = json_object_get(load, "host");
	c->load_guest = json_object_get(load, "guest");
	read_threads(rd, o, histogram_us, c);
	read_sla(rd, o, c);
	read_segments(rd, o, c);
}

static void read_request(struct reader *rd, const json_t *result, struct run_view *v)
{
	v->request = read_member(rd, result, "request", JSON_OBJECT);
	v->cpus = read_text(rd, v->request, "cpus");
	v->action = read_text(rd, v->request, "action");
	v->interval_us = read_int(rd, v->request, "interval_us", US_MAX);
	v->histogram_us = read_int(rd, v->request, "histogram_us", HISTOGRAM_MAX);
	v->duration_s = read_int(rd, v->request, "duration_s", 1000000000);
	v->segment_s = read_int(rd, v->request, "segment_s", 1000000000);
}

static void read_run(struct reader *rd, const json_t *result, struct run_view *v)
{
	const json_t *fingerprint, *cells;

	v->result = result;
	v->id = read_text(rd, result, "id");
	v->on = read_text(rd, result, "on");
	v->profile = read_text(rd, result, "profile");
	v->version = read_text(rd, result, "latencyd_version");
	v->started = read_text(rd, result, "started");
	v->ended = read_text(rd, result, "ended");
	v->verdict = read_verdict(rd, result);
	v->sentence = read_text(rd, result, "sentence");
	v->reasons = read_member(rd, result, "reasons", JSON_ARRAY);
	v->state = read_member(rd, result, "state", JSON_OBJECT);
	v->drift = json_object_get(v->state, "drift");
	v->tool = read_member(rd, result, "tool", JSON_OBJECT);
	fingerprint = read_member(rd, result, "fingerprint", JSON_OBJECT);
	v->fingerprint_host = read_member(rd, fingerprint, "host", JSON_OBJECT);
	v->fingerprint_guest = read_member(rd, fingerprint, "guest", JSON_OBJECT);
	v->fingerprint_after = read_member(rd, result, "fingerprint_after", JSON_OBJECT);
	v->resumed = read_int(rd, result, "resumed", 1 << 20);
	read_request(rd, result, v);
	cells = read_array(rd, result, "cells", CELLS_MAX, sizeof(*v->cells), &v->cells,
			   &v->n_cells);
	for (size_t i = 0; i < v->n_cells && rd->r == 0; i++)
		read_cell(rd, json_array_get(cells, i), v->histogram_us < 0 ? 0 : v->histogram_us,
			  &v->cells[i]);
}

int run_view_make(const json_t *result, struct run_view *ret, struct error *e)
{
	_cleanup_run_view_ struct run_view v = { 0 };
	struct reader rd = { .e = e, .place = "the run" };
	const json_t *version = json_object_get(result, "version");

	if (!json_is_object(result) || !json_is_integer(version))
		return error_set(e, -EBADMSG, "the result cannot be read: it is no result.json");
	if (json_integer_value(version) != RUN_VIEW_VERSION) {
		error_set(e, -EBADMSG, "the result is of version %lld, reports are of version %d",
			  (long long)json_integer_value(version), RUN_VIEW_VERSION);
		error_todo(e, "read its result.json, or measure again");
		return -EBADMSG;
	}
	read_run(&rd, result, &v);
	if (rd.r < 0)
		return rd.r;
	*ret = v;
	v = (struct run_view){ 0 };
	return 0;
}

void run_view_done(struct run_view *v)
{
	for (size_t i = 0; i < v->n_cells; i++) {
		for (size_t t = 0; t < v->cells[i].n_threads; t++)
			free((void *)v->cells[i].threads[t].bars);
		free(v->cells[i].threads);
		free(v->cells[i].sla);
		free(v->cells[i].segments);
	}
	free(v->cells);
	*v = (struct run_view){ 0 };
}

const struct thread_view *cell_worst(const struct cell_view *c)
{
	const struct thread_view *worst = NULL;

	for (size_t i = 0; i < c->n_threads; i++)
		if (c->threads[i].max_us >= 0 && (!worst || c->threads[i].max_us > worst->max_us))
			worst = &c->threads[i];
	return worst;
}

double cell_limit_us(const struct cell_view *c)
{
	for (size_t i = 0; i < c->n_sla; i++)
		if (streq(c->sla[i].key, "max_max_latency_us"))
			return c->sla[i].limit;
	return -1;
}

int64_t thread_above(const struct thread_view *t, double limit_us, int64_t histogram_us)
{
	int64_t n = t->overflow;

	if (t->overflow < 0 || t->cycles <= 0)
		return -1;
	if (t->overflow > 0 && limit_us >= (double)histogram_us)
		return -1; /* which of those beyond the histogram are above is not known */
	for (size_t i = t->n_bars; i-- > 0 && (double)t->bars[i].us > limit_us;)
		n += t->bars[i].count;
	return n < NUMBER_MAX ? n : -1;
}

/*
 * result.json: the one record of a run that everything else (lists, reports, comparisons) is made
 * from. Units are in the names; what is not known is null, never 0.
 */
#include <errno.h>
#include <math.h>

#include "measure/json_text.h"
#include "measure/run.h"

static json_t *cpus_json(const struct cpuset *s)
{
	_cleanup_free_ char *text = cpuset_format_list(s);

	return text ? json_string(text) : NULL;
}

/* Thousandths are enough of anything, and the same number comes out of the file again. */
static double thousandths(double x)
{
	return round(x * 1000) / 1000;
}

static json_t *or_null(json_t *v)
{
	return v ? json_incref(v) : json_null();
}

static json_t *percentiles_json(const int64_t values[PERCENTILES])
{
	json_t *o = json_object();

	for (size_t i = 0; i < PERCENTILES; i++)
		json_object_set_new(o, percentile_names[i],
				    values[i] < 0 ? json_null() : json_integer(values[i]));
	return o;
}

static json_t *histogram_json(const struct cyclictest_thread *t)
{
	json_t *array = json_array();

	for (size_t i = 0; i < t->n_buckets; i++)
		json_array_append_new(array, json_pack("[I, I]", (json_int_t)t->buckets[i].us,
						       (json_int_t)t->buckets[i].count));
	return array;
}

/* A latency is null when there was no sample to take it from. */
static json_t *thread_json(const struct thread_judgement *tj)
{
	const struct cyclictest_thread *t = &tj->merged;
	bool any = t->cycles > 0;

	return json_pack("{s:i, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "cpu", tj->cpu,
			 "expected_cycles", (json_int_t)tj->expected_cycles, "cycles",
			 (json_int_t)t->cycles, "missed_cycles", (json_int_t)tj->missed_cycles,
			 "overflow",
			 t->has_histogram ? json_integer((json_int_t)t->overflow) : json_null(),
			 "min_us", any ? json_integer((json_int_t)t->min_us) : json_null(),
			 "avg_us", any ? json_real(thousandths(t->avg_us)) : json_null(), "max_us",
			 any ? json_integer((json_int_t)t->max_us) : json_null(), "percentiles_us",
			 percentiles_json(tj->percentile_us), "percentiles_corrected_us",
			 percentiles_json(tj->corrected_us), "histogram", histogram_json(t));
}

static json_t *threads_json(const struct run_judgement *j)
{
	json_t *threads = json_array();

	for (size_t i = 0; i < j->n_threads; i++)
		json_array_append_new(threads, thread_json(&j->threads[i]));
	return threads;
}

static json_t *sla_json(const struct run_judgement *j)
{
	json_t *results = json_array();

	for (size_t i = 0; i < _SLA_KEY_MAX; i++) {
		const struct sla_result *s = &j->sla[i];
		const char *verdict = !s->judged ? "not_judged" : s->exceeded ? "exceeded" : "met";

		if (s->limit >= 0)
			json_array_append_new(
				results,
				json_pack("{s:s, s:I, s:o, s:o, s:s}", "key", sla_rows[i].key,
					  "limit", (json_int_t)s->limit, "measured",
					  s->has_value ? json_real(s->worst) : json_null(), "cpu",
					  s->has_value ? json_integer(s->worst_cpu) : json_null(),
					  "verdict", verdict));
	}
	return results;
}

static json_t *limits_json(const struct desired_measure *m)
{
	json_t *object = json_object();

	for (size_t i = 0; i < _SLA_KEY_MAX; i++)
		if (m->limits[i] >= 0)
			json_object_set_new(object, sla_rows[i].key, json_integer(m->limits[i]));
	return object;
}

static json_t *reasons_json(const struct run_judgement *j, const char *cell, json_t *array)
{
	for (size_t i = 0; i < _REASON_MAX; i++) {
		_cleanup_free_ char *what = NULL;

		if (!j->reasons[i])
			continue;
		if (asprintf(&what, "%s%s%s", cell ? cell : "", cell ? ": " : "", j->reasons[i]) <
		    0) {
			what = NULL;
			continue;
		}
		json_array_append_new(array, json_pack("{s:s, s:o}", "code",
						       run_reason_name((enum run_reason)i), "what",
						       json_text(what)));
	}
	return array;
}

static const char *segment_trouble(const struct segment_record *s)
{
	if (s->unreachable)
		return s->unreachable;
	if (s->outcome.not_started)
		return s->outcome.not_started;
	if (s->outcome.load_trouble || s->host_load_trouble)
		return s->outcome.load_trouble ? s->outcome.load_trouble : s->host_load_trouble;
	if (s->result_error || !s->has_result)
		return s->result_error ? s->result_error : "no result";
	if (s->outcome.tool.elapsed_ms < (uint64_t)s->duration_s * 1000)
		return "ended early";
	return NULL;
}

static json_t *segment_json(const struct segment_record *s)
{
	json_t *max = json_object();

	for (size_t i = 0; s->has_result && i < s->result.n_threads; i++) {
		const struct cyclictest_thread *t = &s->result.threads[i];
		char cpu[16];

		snprintf(cpu, sizeof(cpu), "%d", t->cpu);
		if (t->cycles)
			json_object_set_new(max, cpu, json_integer((json_int_t)t->max_us));
	}
	return json_pack("{s:i, s:s, s:f, s:o, s:o}", "index", (int)s->index, "started", s->started,
			 "elapsed_s", (double)s->outcome.tool.elapsed_ms / 1000, "max_us", max,
			 "trouble", json_text(segment_trouble(s)));
}

static json_t *segments_json(const struct cell_record *c)
{
	json_t *array = json_array();

	for (size_t i = 0; i < c->n_segments; i++)
		json_array_append_new(array, segment_json(&c->segments[i]));
	return array;
}

/* One stall half as long again as the limit: the chance that a wake-up falls into the part of it
 * that makes it later than the limit. */
static json_t *detection_json(const struct run_record *rec)
{
	int64_t limit = rec->measure.limits[SLA_MAX], stall = limit + (limit + 1) / 2;
	double p;

	if (limit <= 0)
		return json_null();
	p = (double)(stall - limit) / rec->measure.interval_us;
	return json_pack("{s:I, s:f}", "stall_us", (json_int_t)stall, "probability",
			 p > 1 ? 1.0 : p);
}

/* The last segment's evidence stands for the cell's; each has its own in its file. */
static json_t *load_json(const struct run_record *rec, const struct cell_record *c)
{
	const struct segment_record *last = c->n_segments ? &c->segments[c->n_segments - 1] : NULL;
	bool guest = !streq(rec->on, "host");
	json_t *inside = last ? last->outcome.load : NULL;
	json_t *beside = last ? last->host_load : NULL;

	return json_pack("{s:o, s:o}", "host", or_null(guest ? beside : inside), "guest",
			 or_null(guest ? inside : NULL));
}

/* From the first segment's beginning to the end: what of it was not measured, starts and
 * interruptions included. */
static double span_s(const struct cell_record *c)
{
	struct tm tm = { 0 };

	if (!c->n_segments || !strptime(c->segments[0].started, "%Y-%m-%dT%H:%M:%SZ", &tm))
		return 0;
	return c->ended_s - (double)timegm(&tm);
}

static json_t *cell_json(const struct run_record *rec, const struct cell_record *c)
{
	const struct run_judgement *j = &c->judgement;
	double missing = span_s(c) - j->measured_s, rest = rec->duration_s - j->measured_s;

	return json_pack(
		"{s:s, s:s, s:s, s:s, s:o, s:o, s:i, s:f, s:f, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
		"name", c->cell.name, "host_load", c->cell.host_load, "guest_load",
		c->cell.guest_load, "verdict", run_verdict_name(j->verdict), "reasons",
		reasons_json(j, NULL, json_array()), "sentence", json_text(j->sentence),
		"duration_s", (int)rec->duration_s, "measured_s", j->measured_s, "not_measured_s",
		thousandths(missing > rest ? missing : rest), "exceedances",
		j->exceedances < 0 ? json_null() : json_integer(j->exceedances), "bound_per_hour",
		j->bound_per_hour < 0 ? json_null() : json_real(j->bound_per_hour), "detection",
		detection_json(rec), "threads", threads_json(j), "sla", sla_json(j), "segments",
		segments_json(c), "load", load_json(rec, c));
}

static json_t *tool_json(const struct run_record *rec)
{
	for (size_t i = 0; i < rec->n_cells; i++)
		for (size_t k = 0; k < rec->cells[i].n_segments; k++) {
			const struct segment_record *s = &rec->cells[i].segments[k];

			if (s->outcome.argv)
				return json_pack(
					"{s:o, s:o}", "version",
					json_text(s->has_result ? s->result.version : NULL), "argv",
					json_incref(s->outcome.argv));
		}
	return json_pack("{s:n, s:[]}", "version", "argv");
}

json_t *run_request_json(const struct run_record *rec)
{
	json_t *loads = json_array();

	for (size_t i = 0; i < rec->n_cells; i++)
		json_array_append_new(loads, json_string(rec->cells[i].cell.name));
	return json_pack("{s:o, s:i, s:i, s:i, s:i, s:o, s:o, s:s}", "cpus", cpus_json(rec->asked),
			 "interval_us", (int)rec->measure.interval_us, "histogram_us",
			 (int)rec->histogram_us, "duration_s", (int)rec->duration_s, "segment_s",
			 (int)rec->segment_s, "loads", loads, "sla", limits_json(&rec->measure),
			 "action", rec->measure.action == SLA_MONITOR ? "monitor" : "assert");
}

/* For a run: the worst thing that was seen, whatever else could not be told. */
static const enum run_verdict by_badness[] = { RUN_FAIL, RUN_ERROR, RUN_INCONCLUSIVE, RUN_WARN,
					       RUN_PASS };

static enum run_verdict worst(const struct run_record *rec)
{
	for (size_t v = 0; v < ARRAY_SIZE(by_badness); v++)
		for (size_t i = 0; i < rec->n_cells; i++)
			if (rec->cells[i].judgement.verdict == by_badness[v])
				return by_badness[v];
	return RUN_ERROR;
}

int run_conclude(struct run_record *rec)
{
	size_t size;
	FILE *f;

	rec->verdict = worst(rec);
	if (rec->n_cells == 1) {
		rec->sentence = strdup(rec->cells[0].judgement.sentence);
		return rec->sentence ? 0 : -ENOMEM;
	}
	f = open_memstream(&rec->sentence, &size);
	if (!f)
		return -ENOMEM;
	for (size_t i = 0; i < rec->n_cells; i++)
		fprintf(f, "%s%s %s", i ? ", " : "", rec->cells[i].cell.name,
			run_verdict_name(rec->cells[i].judgement.verdict));
	for (size_t i = 0; i < rec->n_cells; i++)
		if (rec->cells[i].judgement.verdict == rec->verdict) {
			fprintf(f, ". %s: %s", rec->cells[i].cell.name,
				rec->cells[i].judgement.sentence);
			break;
		}
	return fclose(f) != 0 ? -ENOMEM : 0;
}

static json_t *all_reasons(const struct run_record *rec)
{
	json_t *array = json_array();

	for (size_t i = 0; i < rec->n_cells; i++)
		reasons_json(&rec->cells[i].judgement,
			     rec->n_cells > 1 ? rec->cells[i].cell.name : NULL, array);
	return array;
}

json_t *run_result_json(const struct run_record *rec)
{
	json_t *cells = json_array();

	for (size_t i = 0; i < rec->n_cells; i++)
		if (json_array_append_new(cells, cell_json(rec, &rec->cells[i])) < 0) {
			json_decref(cells);
			return NULL;
		}
	return json_pack(
		"{s:i, s:s, s:s, s:o, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:{s:o, s:o, s:o}, "
		"s:{s:o, s:o}, s:o, s:i, s:o}",
		"version", RUN_RESULT_VERSION, "id", rec->id, "on", rec->on, "profile",
		json_text(rec->measure.profile), "latencyd_version", PACKAGE_VERSION, "started",
		rec->started, "ended", rec->ended, "verdict", run_verdict_name(rec->verdict),
		"reasons", all_reasons(rec), "sentence", json_text(rec->sentence), "request",
		run_request_json(rec), "cells", cells, "state", "before", or_null(rec->before),
		"after", or_null(rec->after), "drift", or_null(rec->drift), "fingerprint", "host",
		or_null(rec->fingerprint), "guest", or_null(rec->guest_fingerprint),
		"fingerprint_after", or_null(rec->fingerprint_after), "resumed", (int)rec->resumed,
		"tool", tool_json(rec));
}

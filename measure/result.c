/*
 * result.json: the one record of a run that everything else (lists, reports, comparisons) is made
 * from. Units are in the names; what is not known is null, never 0.
 */
#include <errno.h>
#include <sys/wait.h>

#include "measure/json_text.h"
#include "measure/run.h"

static json_t *cpus_json(const struct cpuset *s)
{
	_cleanup_free_ char *text = cpuset_format_list(s);

	return text ? json_string(text) : NULL;
}

static json_t *limit_json(int64_t value)
{
	return value < 0 ? json_null() : json_integer(value);
}

static json_t *percentiles_json(const struct thread_judgement *tj)
{
	json_t *o = json_object();

	for (size_t i = 0; i < PERCENTILES; i++) {
		if (json_object_set_new(o, percentile_names[i], limit_json(tj->percentile_us[i])) <
		    0) {
			json_decref(o);
			return NULL;
		}
	}
	return o;
}

/* A latency is null when there was no sample to take it from. */
static json_t *thread_json(const struct cyclictest_thread *t, const struct thread_judgement *tj)
{
	bool any = t->cycles > 0;

	return json_pack("{s:i, s:o, s:o, s:o, s:I, s:I, s:I, s:o, s:o}", "cpu", t->cpu, "min_us",
			 any ? json_integer((json_int_t)t->min_us) : json_null(), "avg_us",
			 any ? json_real(t->avg_us) : json_null(), "max_us",
			 any ? json_integer((json_int_t)t->max_us) : json_null(), "cycles",
			 (json_int_t)t->cycles, "expected_cycles", (json_int_t)tj->expected_cycles,
			 "missed_cycles", (json_int_t)tj->missed_cycles, "overflow",
			 t->has_histogram ? json_integer((json_int_t)t->overflow) : json_null(),
			 "percentiles", percentiles_json(tj));
}

static json_t *threads_json(const struct run_record *rec)
{
	json_t *threads = json_array();

	for (size_t i = 0; rec->result && i < rec->result->n_threads; i++) {
		if (json_array_append_new(threads, thread_json(&rec->result->threads[i],
							       &rec->judgement->threads[i])) < 0) {
			json_decref(threads);
			return NULL;
		}
	}
	return threads;
}

static json_t *sla_result_json(enum sla_kind kind, const struct sla_result *s)
{
	const char *verdict = !s->judged ? "not_judged" : s->exceeded ? "exceeded" : "within";
	json_t *measured = s->judged ? json_real(s->worst_us) : json_null();

	return json_pack("{s:s, s:o, s:o, s:o, s:s, s:o}", "key", sla_names[kind], "limit_us",
			 limit_json(s->limit_us), "measured_us", measured, "cpu",
			 s->judged ? json_integer(s->worst_cpu) : json_null(), "verdict", verdict,
			 "exceeded_on", cpus_json(&s->exceeded_on));
}

static json_t *sla_json(const struct run_record *rec)
{
	const struct run_judgement *j = rec->judgement;
	json_t *results = json_array();

	for (size_t i = 0; i < _SLA_KIND_MAX; i++) {
		if (j->sla[i].limit_us < 0)
			continue;
		if (json_array_append_new(results, sla_result_json((enum sla_kind)i, &j->sla[i])) <
		    0) {
			json_decref(results);
			return NULL;
		}
	}
	return json_pack("{s:o, s:o, s:o, s:s, s:o, s:o, s:o}", sla_names[SLA_MIN],
			 limit_json(j->sla[SLA_MIN].limit_us), sla_names[SLA_AVG],
			 limit_json(j->sla[SLA_AVG].limit_us), sla_names[SLA_MAX],
			 limit_json(j->sla[SLA_MAX].limit_us), "action",
			 rec->measure.action == SLA_MONITOR ? "monitor" : "assert", "results",
			 results, "exceedances", limit_json(j->exceedances), "bound_per_hour",
			 j->bound_per_hour < 0 ? json_null() : json_real(j->bound_per_hour));
}

static json_t *argv_json(char *const *argv)
{
	json_t *array = json_array();

	for (; argv && *argv; argv++) {
		if (json_array_append_new(array, json_text(*argv)) < 0) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

static json_t *tool_json(const struct run_record *rec)
{
	int status = rec->outcome.wait_status;
	bool ran = rec->argv && !rec->outcome.spawn_error;
	const char *package = json_string_value(
		json_object_get(json_object_get(rec->fingerprint, "software"), "rt-tests"));

	return json_pack(
		"{s:s, s:o, s:o, s:o, s:o, s:o, s:b, s:I}", "name", "cyclictest", "argv",
		argv_json(rec->argv), "package_version", json_text(package), "reported_version",
		json_text(rec->result ? rec->result->version : NULL), "exit_status",
		ran && WIFEXITED(status) ? json_integer(WEXITSTATUS(status)) : json_null(),
		"signal", ran && WIFSIGNALED(status) ? json_integer(WTERMSIG(status)) : json_null(),
		"timed_out", rec->outcome.timed_out, "elapsed_ms",
		(json_int_t)rec->outcome.elapsed_ms);
}

static json_t *reasons_json(const struct run_judgement *j)
{
	json_t *array = json_array();

	for (size_t i = 0; i < _REASON_MAX; i++) {
		if (j->reasons[i] &&
		    json_array_append_new(array, json_string(run_reason_name((enum run_reason)i))) <
			    0) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

static json_t *or_null(json_t *v)
{
	return v ? json_incref(v) : json_null();
}

json_t *run_result_json(const struct run_record *rec)
{
	const struct run_judgement *j = rec->judgement;

	return json_pack(
		"{s:i, s:s, s:s, s:o, s:s, s:o, s:o, s:s, s:s, s:I, s:I, s:I, s:{s:o, s:o}, s:o, "
		"s:o, s:o, s:{s:o, s:o, s:o}, s:o, s:o}",
		"version", RUN_RESULT_VERSION, "id", rec->id, "machine", "host", "profile",
		json_text(rec->measure.profile), "verdict", run_verdict_name(j->verdict), "reasons",
		reasons_json(j), "sentence", json_text(j->sentence), "started", rec->started,
		"ended", rec->ended, "duration_s", (json_int_t)rec->duration_s, "interval_us",
		(json_int_t)rec->measure.interval_us, "histogram_us", (json_int_t)rec->histogram_us,
		"cpus", "asked", cpus_json(rec->asked), "measured", cpus_json(&j->measured),
		"threads", threads_json(rec), "sla", sla_json(rec), "tool", tool_json(rec), "state",
		"before", or_null(rec->before), "after", or_null(rec->after), "drift",
		or_null(rec->drift), "fingerprint", or_null(rec->fingerprint), "fingerprint_after",
		or_null(rec->fingerprint_after));
}

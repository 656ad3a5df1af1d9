/*
 * The limits that the document declares. Every CPU counts, and the worst is the run's; a limit that
 * some CPU has no value for is not thereby kept. In a run that lacks a part only what can but get
 * worse is held against the machine.
 */
#include "measure/judge_parts.h"

#include <errno.h>
#include <inttypes.h>

/* -1: this CPU has none. */
static double sla_value(const struct thread_judgement *t, enum sla_key key)
{
	const struct cyclictest_thread *m = &t->merged;

	switch (key) {
	case SLA_MIN:
		return (double)m->min_us;
	case SLA_AVG:
		return m->avg_us;
	case SLA_MAX:
		return (double)m->max_us;
	case SLA_OVERFLOW:
		return m->has_histogram ? (double)m->overflow : -1;
	case SLA_MISSED_RATIO:
		return (double)t->missed_cycles * 1e6 / (double)t->expected_cycles;
	default:
		return (double)t->percentile_us[key - SLA_P50];
	}
}

static int judge_limit(enum sla_key key, struct run_judgement *j)
{
	struct sla_result *s = &j->sla[key];
	bool every = j->n_threads > 0;

	for (size_t i = 0; i < j->n_threads; i++) {
		const struct thread_judgement *t = &j->threads[i];
		double value = t->merged.cycles ? sla_value(t, key) : -1;

		every = every && value >= 0;
		if (value < 0)
			continue;
		if (!s->has_value || value > s->worst) {
			s->worst = value;
			s->worst_cpu = t->cpu;
		}
		s->has_value = true;
		if (value <= (double)s->limit)
			continue;
		s->exceeded = true;
		if (t->cpu >= 0 && cpuset_add(&s->exceeded_on, (unsigned)t->cpu) < 0)
			return -ENOMEM;
	}
	if (!every && sla_rows[key].one_in)
		return judge_reason(j, REASON_TOO_FEW_SAMPLES,
				    "%s cannot be told: it needs ten samples above it, inside the "
				    "histogram",
				    sla_rows[key].key);
	return 0;
}

int judge_sla(const struct run_input *in, struct run_judgement *j)
{
	bool declared = false;

	for (size_t i = 0; i < _SLA_KEY_MAX; i++) {
		j->sla[i].limit = in->measure->limits[i] < 0 ? -1 : in->measure->limits[i];
		if (j->sla[i].limit < 0)
			continue;
		declared = true;
		if (judge_limit((enum sla_key)i, j) < 0)
			return -ENOMEM;
	}
	if (!declared)
		return judge_reason(j, REASON_NO_SLA,
				    "no limit is declared (measure.sla), so there is "
				    "nothing to pass");
	return 0;
}

int64_t judge_exceedances(const struct run_input *in, const struct run_judgement *j)
{
	int64_t limit = j->sla[SLA_MAX].limit;
	uint64_t n = 0;

	if (limit < 0 || limit >= in->histogram_us || !j->sla[SLA_MAX].has_value)
		return -1;
	for (size_t i = 0; i < j->n_threads; i++) {
		const struct cyclictest_thread *t = &j->threads[i].merged;

		if (t->cycles && !t->has_histogram)
			return -1;
		for (size_t b = 0; b < t->n_buckets; b++)
			n += t->buckets[b].us > (uint64_t)limit ? t->buckets[b].count : 0;
		n += t->overflow;
	}
	return n > INT64_MAX ? -1 : (int64_t)n;
}

int judge_exceeded(struct run_judgement *j, bool partial)
{
	_cleanup_free_ char *text = NULL;

	for (size_t i = 0; i < _SLA_KEY_MAX; i++) {
		const struct sla_row *row = &sla_rows[i];
		struct sla_result *s = &j->sla[i];
		_cleanup_free_ char *cpus = cpuset_format_list(&s->exceeded_on);
		char *longer;

		s->judged = s->has_value && (!partial || (row->one_sided && s->exceeded));
		if (!s->exceeded || !s->judged)
			continue;
		if (!cpus ||
		    asprintf(&longer,
			     "%s%s%s is %.*f %s on CPU %d, above the limit of %" PRId64
			     " %s (exceeded on CPUs %s)",
			     text ? text : "", text ? "; " : "", row->words, i == SLA_AVG ? 2 : 0,
			     s->worst, row->unit, s->worst_cpu, s->limit, row->unit, cpus) < 0)
			return -ENOMEM;
		free(text);
		text = longer;
	}
	return text ? judge_reason(j, REASON_SLA_EXCEEDED, "%s", text) : 0;
}

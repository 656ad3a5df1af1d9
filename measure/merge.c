/*
 * The segments of a cell as one thread a CPU: counts are added, the extremes kept, the average
 * weighted. And the percentiles of that, as measured and corrected for coordinated omission: a
 * wake-up that came later than the next period hid the ones that would have waited behind it, with
 * one interval less each (HdrHistogram's correction by the expected interval).
 */
#include "measure/judge_run.h"

#include <errno.h>

const char *const percentile_names[PERCENTILES] = { "p50",   "p99",    "p999",
						    "p9999", "p99999", "p999999" };
/* one sample in so many is above the percentile */
static const uint64_t percentile_one_in[PERCENTILES] = { 2, 100, 1000, 10000, 100000, 1000000 };

struct samples {
	struct latency_bucket *buckets;
	size_t n_buckets;
};

static int add_bucket(struct arena *a, struct samples *s, uint64_t us, uint64_t count)
{
	struct latency_bucket *b = arena_grow(a, &s->buckets, &s->n_buckets, sizeof(*b));

	if (!b)
		return -ENOMEM;
	*b = (struct latency_bucket){ .us = us, .count = count };
	return 0;
}

static int by_latency(const void *a, const void *b)
{
	uint64_t x = ((const struct latency_bucket *)a)->us;
	uint64_t y = ((const struct latency_bucket *)b)->us;

	return (x > y) - (x < y);
}

/* Ascending, each latency once. */
static void normalise(struct samples *s)
{
	size_t n = 0;

	if (!s->n_buckets)
		return;
	qsort(s->buckets, s->n_buckets, sizeof(*s->buckets), by_latency);
	for (size_t i = 1; i < s->n_buckets; i++) {
		if (s->buckets[i].us == s->buckets[n].us)
			s->buckets[n].count += s->buckets[i].count;
		else
			s->buckets[++n] = s->buckets[i];
	}
	s->n_buckets = n + 1;
}

/* -1: too few samples beyond it, or it lies beyond the histogram. */
static int64_t percentile(const struct samples *s, uint64_t cycles, uint64_t one_in)
{
	uint64_t seen = 0, rank = cycles - cycles / one_in;

	if (cycles / 10 < one_in)
		return -1;
	for (size_t i = 0; i < s->n_buckets; i++) {
		seen += s->buckets[i].count;
		if (seen >= rank)
			return (int64_t)s->buckets[i].us;
	}
	return -1;
}

static int correct(const struct cyclictest_thread *t, uint64_t interval_us, struct arena *a,
		   struct samples *ret, uint64_t *ret_cycles)
{
	*ret_cycles = 0;
	for (size_t i = 0; i < t->n_buckets; i++) {
		uint64_t us = t->buckets[i].us;

		for (;; us -= interval_us) {
			if (add_bucket(a, ret, us, t->buckets[i].count) < 0)
				return -ENOMEM;
			*ret_cycles += t->buckets[i].count;
			if (us < 2 * interval_us)
				break;
		}
	}
	normalise(ret);
	return 0;
}

static int fill_percentiles(const struct run_input *in, struct thread_judgement *tj)
{
	const struct samples measured = { tj->merged.buckets, tj->merged.n_buckets };
	_cleanup_(arena_free) struct arena a = { 0 };
	struct samples corrected = { 0 };
	uint64_t cycles;

	if (correct(&tj->merged, in->measure->interval_us, &a, &corrected, &cycles) < 0)
		return -ENOMEM;
	/* how many waited behind a wake-up beyond the histogram is not known */
	if (tj->merged.overflow || !tj->merged.has_histogram)
		cycles = 0;
	for (size_t p = 0; p < PERCENTILES; p++) {
		tj->percentile_us[p] =
			percentile(&measured, tj->merged.cycles, percentile_one_in[p]);
		tj->corrected_us[p] = percentile(&corrected, cycles, percentile_one_in[p]);
	}
	return 0;
}

static struct thread_judgement *thread_of(struct run_judgement *j, int cpu)
{
	struct thread_judgement *tj;

	for (size_t i = 0; i < j->n_threads; i++)
		if (j->threads[i].cpu == cpu)
			return &j->threads[i];
	tj = arena_grow(&j->arena, &j->threads, &j->n_threads, sizeof(*tj));
	if (tj) {
		tj->cpu = tj->merged.cpu = cpu;
		tj->merged.has_histogram = true;
	}
	return tj;
}

static int merge_thread(struct run_judgement *j, const struct cyclictest_thread *t,
			uint64_t expected)
{
	struct thread_judgement *tj = thread_of(j, t->cpu);
	struct cyclictest_thread *m;
	struct samples s;

	if (!tj)
		return -ENOMEM;
	m = &tj->merged;
	tj->expected_cycles += expected;
	if (!t->cycles)
		return 0;
	if (!m->cycles || t->min_us < m->min_us)
		m->min_us = t->min_us;
	if (t->max_us > m->max_us)
		m->max_us = t->max_us;
	m->avg_us = (m->avg_us * (double)m->cycles + t->avg_us * (double)t->cycles) /
		    (double)(m->cycles + t->cycles);
	m->cycles += t->cycles;
	m->overflow += t->overflow;
	m->has_histogram = m->has_histogram && t->has_histogram;
	s = (struct samples){ m->buckets, m->n_buckets };
	for (size_t i = 0; i < t->n_buckets; i++)
		if (add_bucket(&j->arena, &s, t->buckets[i].us, t->buckets[i].count) < 0)
			return -ENOMEM;
	normalise(&s);
	m->buckets = s.buckets;
	m->n_buckets = s.n_buckets;
	return 0;
}

static int by_cpu(const void *a, const void *b)
{
	return ((const struct thread_judgement *)a)->cpu -
	       ((const struct thread_judgement *)b)->cpu;
}

int merge_segments(const struct run_input *in, struct run_judgement *j)
{
	for (size_t i = 0; i < in->n_segments; i++) {
		const struct segment_input *seg = &in->segments[i];
		uint64_t expected = (uint64_t)seg->duration_s * 1000000 / in->measure->interval_us;

		for (size_t t = 0; seg->result && t < seg->result->n_threads; t++)
			if (merge_thread(j, &seg->result->threads[t], expected) < 0)
				return -ENOMEM;
	}
	if (j->n_threads)
		qsort(j->threads, j->n_threads, sizeof(*j->threads), by_cpu);
	for (size_t i = 0; i < j->n_threads; i++) {
		struct thread_judgement *tj = &j->threads[i];

		if (tj->expected_cycles > tj->merged.cycles)
			tj->missed_cycles = tj->expected_cycles - tj->merged.cycles;
		if (fill_percentiles(in, tj) < 0)
			return -ENOMEM;
	}
	return 0;
}

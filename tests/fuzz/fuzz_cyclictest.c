/*
 * Any bytes as cyclictest's JSON: never a crash; what is accepted keeps the invariants of
 * measure/cyclictest.c; and no accepted result PASSes unless every asked CPU has its samples, all
 * in the histogram and none above the limit.
 */
#include <errno.h>
#include <stdint.h>

#include "measure/judge_run.h"

#define LIMIT_US    40
#define DURATION_S  3600
#define INTERVAL_US 1000

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void check_thread(const struct cyclictest_thread *t)
{
	uint64_t sum = 0;

	check(t->cpu >= -1 && t->cpu <= (int)CPUSET_MAX);
	check(t->min_us <= t->max_us);
	check(t->cycles || (t->max_us == 0 && !t->n_buckets));
	check(t->has_histogram || !t->n_buckets);
	for (size_t i = 0; i < t->n_buckets; i++) {
		check(t->buckets[i].count > 0);
		check(!i || t->buckets[i].us > t->buckets[i - 1].us);
		check(t->buckets[i].us >= t->min_us && t->buckets[i].us <= t->max_us);
		sum += t->buckets[i].count;
	}
	check(!t->has_histogram || sum + t->overflow == t->cycles);
}

static void check_pass(const struct cyclictest_result *r)
{
	uint64_t expected = (uint64_t)DURATION_S * 1000000 / INTERVAL_US;

	check(r->n_threads == 2 && r->return_code == 0);
	check(r->threads[0].cpu + r->threads[1].cpu == 5);
	check(r->ended_s - r->started_s >= DURATION_S);
	for (size_t i = 0; i < r->n_threads; i++) {
		const struct cyclictest_thread *t = &r->threads[i];

		check(t->max_us <= LIMIT_US && t->overflow == 0 && t->has_histogram);
		check(t->cycles >= expected - expected / 1000);
	}
}

static void check_judgement(const struct cyclictest_result *r)
{
	struct desired_measure measure = {
		.declared = true,
		.profile = "standard",
		.duration_s = DURATION_S,
		.interval_us = INTERVAL_US,
		.action = SLA_ASSERT,
	};
	_cleanup_cpuset_ struct cpuset asked = { 0 };
	_cleanup_run_judgement_ struct run_judgement j = { 0 };
	const struct segment_input segment = {
		.duration_s = DURATION_S,
		.elapsed_ms = DURATION_S * 1000ULL,
		.output = "",
		.result = r,
	};
	const struct run_input in = {
		.measure = &measure,
		.asked = &asked,
		.duration_s = DURATION_S,
		.histogram_us = 1000,
		.segments = &segment,
		.n_segments = 1,
	};

	for (size_t i = 0; i < _SLA_KEY_MAX; i++)
		measure.limits[i] = i == SLA_MAX ? LIMIT_US : -1;
	if (cpuset_add_range(&asked, 2, 3) < 0 || judge_run(&in, &j) < 0)
		return;
	check(j.n_threads <= r->n_threads);
	if (j.verdict == RUN_PASS)
		check_pass(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_cyclictest_result_ struct cyclictest_result r = { .n_threads = 77 };
	_cleanup_error_ struct error e = { 0 };
	int code = cyclictest_parse((const char *)data, size, &r, &e);

	if (code < 0) {
		check(code == -ENOMEM || (code == -EBADMSG && e.what));
		check(r.n_threads == 77);
		r.n_threads = 0;
		return 0;
	}
	for (size_t i = 0; i < r.n_threads; i++)
		check_thread(&r.threads[i]);
	check_judgement(&r);
	return 0;
}

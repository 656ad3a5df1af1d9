#pragma once
/*
 * A result as the reports read it: result.json checked once, so that no writer of a page has to
 * doubt a number, a type or a size again.
 */
#include <stdint.h>

#include <jansson.h>

#include "state/error.h"

#define RUN_VIEW_VERSION 2

/* Numbers are -1 and texts "" where the result has null or nothing. */
struct thread_view {
	int64_t cpu;
	int64_t expected_cycles, cycles, missed_cycles, overflow;
	int64_t min_us, max_us;
	double avg_us;
	const json_t *percentiles, *corrected; /* objects of numbers and nulls, or NULL */
	const struct bar {
		int64_t us, count;
	} * bars; /* ascending, no count is 0 */
	size_t n_bars;
};

struct sla_view {
	const char *key, *unit; /* "max_p99_latency_us", "µs" */
	double limit, measured;
	int64_t cpu;
	const char *verdict; /* "met", "exceeded", else "not_judged" */
};

struct segment_view {
	double start_s, elapsed_s; /* from the cell's first segment on */
	int64_t index, max_us, max_cpu;
	const char *trouble;
	const json_t *maxima; /* {"CPU": us} */
};

struct cell_view {
	const char *name, *host_load, *guest_load, *verdict, *sentence;
	const json_t *reasons;
	double duration_s, measured_s, not_measured_s, bound_per_hour;
	double stall_us, probability;
	int64_t exceedances, started; /* seconds since 1970; -1 */
	struct thread_view *threads;  /* ascending by CPU */
	size_t n_threads;
	struct sla_view *sla;
	size_t n_sla;
	struct segment_view *segments; /* in their order of time */
	size_t n_segments;
	const json_t *load_host, *load_guest;
};

struct run_view {
	const json_t *result; /* borrowed; everything above borrows from it */
	const char *id, *on, *profile, *version, *started, *ended, *verdict, *sentence, *cpus,
		*action;
	int64_t interval_us, histogram_us, duration_s, segment_s, resumed;
	const json_t *reasons, *request, *state, *drift, *tool;
	const json_t *fingerprint_host, *fingerprint_guest, *fingerprint_after;
	struct cell_view *cells;
	size_t n_cells;
};

#define _cleanup_run_view_ _cleanup_(run_view_done)
void run_view_done(struct run_view *v);

/*
 * -EBADMSG with *e naming the place: another version, a wrong type, a number out of its bounds,
 * more than can be drawn. -ENOMEM.
 */
int run_view_make(const json_t *result, struct run_view *ret, struct error *e);

/* The thread with the greatest maximum; NULL when none has a sample. */
const struct thread_view *cell_worst(const struct cell_view *c);
/* The declared limit of the maximum, in µs; -1 when there is none. */
double cell_limit_us(const struct cell_view *c);
/* Wake-ups above @limit_us; -1 when the histogram does not say. */
int64_t thread_above(const struct thread_view *t, double limit_us, int64_t histogram_us);

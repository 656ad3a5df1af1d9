#pragma once
/*
 * What one cell of a run, segments of cyclictest under one combination of loads, proves. Pure:
 * everything it needs comes in, nothing is read.
 */
#include "measure/cyclictest.h"
#include "measure/measure.h"

/* Why a verdict is what it is; each has a stable name that machines read. */
enum run_reason {
	/* what was measured is not what was declared: no figure of it counts */
	REASON_BAD_JSON,
	REASON_WRONG_CPUS,
	REASON_DRIFT,
	REASON_FINGERPRINT_CHANGED,
	REASON_REBOOTED,
	REASON_CLOCK_CHANGED,
	/* a part is missing: what was seen counts against the machine, never for it */
	REASON_TOOL_ERROR,
	REASON_ZERO_SAMPLES,
	REASON_TRUNCATED,
	REASON_BREAK_HIT,
	REASON_MISSED_PERIODS,
	REASON_OVERFLOW,
	REASON_THROTTLED_RT,
	REASON_LOAD_DIED,
	REASON_GUEST_UNREACHABLE,
	/* complete, but it cannot carry a PASS */
	REASON_SHORT,
	REASON_NO_SLA,
	REASON_TOO_FEW_SAMPLES,
	/* not in the way of a verdict */
	REASON_SLA_EXCEEDED,
	REASON_PROVISIONAL,
	_REASON_MAX
};

const char *run_reason_name(enum run_reason r); /* "missed_periods" */

/* How the tool ended in one segment. */
struct segment_input {
	unsigned duration_s; /* asked for */

	const char *not_started; /* why it was not, in words; NULL: it was */
	const char *unreachable; /* why the machine did not answer; NULL: it did */
	int wait_status;	 /* as of waitpid() */
	bool timed_out;		 /* it did not end by itself and was killed */
	uint64_t elapsed_ms;	 /* on the monotonic clock */
	const char *output;	 /* stdout and stderr */

	const struct cyclictest_result *result; /* NULL: none */
	const char *result_error;		/* why there is none; NULL: no file at all */
	const char *load_trouble;		/* why a load does not count; NULL: it does */
};

/* All segments of a cell, and what the machine did meanwhile. */
struct run_input {
	const struct desired_measure *measure;
	const struct cpuset *asked;
	unsigned duration_s;   /* asked for; may be shorter than measure->duration_s */
	unsigned histogram_us; /* buckets asked for */

	const struct segment_input *segments; /* fewer than asked for when it was ended early */
	size_t n_segments;
	const char *stopped; /* why the others were not begun, or NULL */

	const char *drift; /* "irq_affinity at 2026-...: reason"; NULL: none was seen */
	bool fingerprint_changed, rebooted, clock_changed, rt_throttled;
};

/* A percentile is only given with at least 10 samples beyond it. */
#define PERCENTILES 6
extern const char *const percentile_names[PERCENTILES]; /* "p50", "p99", ... "p999999" */

struct thread_judgement {
	struct cyclictest_thread merged; /* of all segments */
	int cpu;
	uint64_t expected_cycles, missed_cycles;
	/* -1: too few samples, or beyond the histogram */
	int64_t percentile_us[PERCENTILES];
	int64_t corrected_us[PERCENTILES]; /* for coordinated omission */
};

struct sla_result {
	int64_t limit;	/* -1: not declared. A value equal to the limit is within it */
	bool has_value; /* some thread has it */
	bool judged;	/* it counts: declared, with a value, of a run that can tell */
	bool exceeded;	/* by the worst thread, hence by one or more */
	double worst;
	int worst_cpu;
	struct cpuset exceeded_on; /* freed by run_judgement_done() */
};

struct run_judgement {
	struct arena arena;
	enum run_verdict verdict;
	const char *reasons[_REASON_MAX]; /* what happened, in words; NULL: does not apply */
	struct thread_judgement *threads; /* one a CPU, ascending */
	size_t n_threads;
	struct cpuset measured; /* freed by run_judgement_done() */
	struct sla_result sla[_SLA_KEY_MAX];
	unsigned planned_s;    /* of the segments that were begun */
	double measured_s;     /* in which the tool really ran and left a result */
	int64_t exceedances;   /* wake-ups above the limit of the maximum; -1 when not known */
	double bound_per_hour; /* upper 95 % bound that a clean run proves; -1 when it proves none
				*/
	const char *sentence;  /* reason codes, what happened, figures; not the verdict's word */
};

#define _cleanup_run_judgement_ _cleanup_(run_judgement_done)
void run_judgement_done(struct run_judgement *j);

/* -ENOMEM only. */
int judge_run(const struct run_input *in, struct run_judgement *ret);

/* Used by judge_run(): writes j->sentence from everything else in it. -ENOMEM only. */
int run_sentence(const struct run_input *in, struct run_judgement *j);
/* Used by judge_run(): every CPU's segments as one thread, in j->threads. -ENOMEM only. */
int merge_segments(const struct run_input *in, struct run_judgement *j);

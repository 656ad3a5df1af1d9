#pragma once
/*
 * What a run of cyclictest proves. Pure: everything it needs comes in, nothing is read.
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
	/* complete, but it cannot carry a PASS */
	REASON_SHORT,
	REASON_NO_SLA,
	/* not in the way of a verdict */
	REASON_SLA_EXCEEDED,
	REASON_PROVISIONAL,
	_REASON_MAX
};

const char *run_reason_name(enum run_reason r); /* "missed_periods" */

/* How the tool ended, and what the machine did meanwhile. */
struct run_input {
	const struct desired_measure *measure;
	const struct cpuset *asked;
	unsigned duration_s;   /* asked for; may be shorter than measure->duration_s */
	unsigned histogram_us; /* buckets asked for */

	const char *not_started; /* why it was not, in words; NULL: it was */
	int wait_status;	 /* as of waitpid() */
	bool timed_out;		 /* it did not end by itself and was killed */
	uint64_t elapsed_ms;	 /* on the monotonic clock */
	const char *output;	 /* stdout and stderr */

	const struct cyclictest_result *result; /* NULL: none */
	const char *result_error;		/* why there is none; NULL: no file at all */

	const char *drift; /* "irq_affinity at 2026-...: reason"; NULL: none was seen */
	bool fingerprint_changed, rebooted, clock_changed, rt_throttled;
};

/* A percentile is only given with at least 10 samples beyond it. */
#define PERCENTILES 6
extern const char *const percentile_names[PERCENTILES]; /* "p50", "p99", ... "p999999" */

struct thread_judgement {
	int cpu;
	uint64_t expected_cycles, missed_cycles;
	int64_t percentile_us[PERCENTILES]; /* -1: too few samples, or beyond the histogram */
};

enum sla_kind { SLA_MIN, SLA_AVG, SLA_MAX, _SLA_KIND_MAX };
extern const char *const sla_names[_SLA_KIND_MAX]; /* "max_min_latency_us" ... */

struct sla_result {
	int64_t limit_us; /* -1: not declared. A value equal to the limit is within it */
	bool judged;	  /* false: not declared, or no thread has a value */
	bool exceeded;	  /* by the worst thread, hence by one or more */
	double worst_us;
	int worst_cpu;
	struct cpuset exceeded_on; /* freed by run_judgement_done() */
};

struct run_judgement {
	struct arena arena;
	enum run_verdict verdict;
	const char *reasons[_REASON_MAX]; /* what happened, in words; NULL: does not apply */
	struct thread_judgement *threads; /* as in the result */
	size_t n_threads;
	struct cpuset measured; /* freed by run_judgement_done() */
	struct sla_result sla[_SLA_KIND_MAX];
	int64_t exceedances;   /* wake-ups above the limit of the maximum; -1 when not known */
	double bound_per_hour; /* upper 95 % bound that a clean run proves; -1 when it proves none
				*/
	const char *sentence;  /* reason codes, what happened, figures; not the verdict's word */
};

#define _cleanup_run_judgement_ _cleanup_(run_judgement_done)
void run_judgement_done(struct run_judgement *j);

/*
 * How long a run of this profile has to be before it may carry a PASS; 0 for a profile that never
 * does ("smoke", and one that is not known).
 */
unsigned profile_pass_duration_s(const char *profile);

/* -ENOMEM only. */
int judge_run(const struct run_input *in, struct run_judgement *ret);

/* Used by judge_run(): writes j->sentence from everything else in it. -ENOMEM only. */
int run_sentence(const struct run_input *in, struct run_judgement *j);

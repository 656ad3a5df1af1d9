#pragma once
/*
 * cyclictest (rt-tests 2.x) as a program: its command line and its JSON result. Pure; rt-tests'
 * cyclictest(8), src/cyclictest/cyclictest.c and src/lib/rt-utils.c.
 */
#include <stdint.h>

#include "state/arena.h"
#include "state/cpuset.h"
#include "state/error.h"

#define CYCLICTEST_PRIORITY 95

/* What to measure. Times in microseconds unless the name says otherwise. */
struct cyclictest_request {
	const char *tool;		   /* argv[0] */
	const struct cpuset *cpus;	   /* one thread on each */
	const struct cpuset *housekeeping; /* where its main thread runs; may be empty */
	unsigned interval_us;
	unsigned duration_s;
	unsigned histogram_us; /* number of 1 us buckets */
	const char
		*json_path; /* no double quote in it: the tool does not escape its command line */
};

/*
 * The width of the histogram for a limit (-1: none): five times the limit and at least 1000, within
 * what the tool accepts.
 */
unsigned cyclictest_histogram_us(int64_t limit_us);

/*
 * The arguments, NULL ended, in @a, for the tool that printed @help on `--help`. The list of CPUs
 * is always explicit: without it the tool counts the CPUs of the inherited affinity, in which
 * isolated CPUs are not. -EOPNOTSUPP when that version lacks an option without which the result
 * would mean something else; -EINVAL for a request it cannot carry out; -ENOMEM.
 */
int cyclictest_argv(const struct cyclictest_request *rq, const char *help, struct arena *a,
		    char ***ret, struct error *e);

/* Did it print its usage (exit status 0!) instead of measuring? */
bool cyclictest_is_usage(const char *output);
/* Did it stop at a break value (`-b`, exit status 0)? */
bool cyclictest_hit_break(const char *output);

struct latency_bucket {
	uint64_t us; /* [us, us + 1) */
	uint64_t count;
};

struct cyclictest_thread {
	int cpu; /* -1: was not bound */
	uint64_t cycles;
	uint64_t min_us, max_us; /* 0 without cycles */
	double avg_us;		 /* 0 without cycles */
	bool has_histogram;
	struct latency_bucket *buckets; /* ascending, no empty ones */
	size_t n_buckets;
	uint64_t overflow; /* cycles that are in no bucket; 0 without a histogram */
};

struct cyclictest_result {
	struct arena arena;
	const char
		*version; /* "2.40"; ambiguous: 2.1 and 2.10 print the same. NULL when not given */
	int64_t return_code;
	int64_t started_s, ended_s; /* Unix time; -1 when it cannot be read */
	struct cyclictest_thread *threads;
	size_t n_threads;
};

#define _cleanup_cyclictest_result_ _cleanup_(cyclictest_result_done)
void cyclictest_result_done(struct cyclictest_result *r);

/*
 * Reads what `--json=FILE` wrote. -EBADMSG with *e when it is not JSON, lacks a thread's numbers,
 * is in nanoseconds, or contradicts itself (more samples in the histogram than cycles, a bucket
 * above the maximum). A thread without cycles is not an error: the tool prints "-nan" there and a
 * maximum of 0, both are taken out. -ENOMEM.
 */
int cyclictest_parse(const char *text, size_t size, struct cyclictest_result *ret, struct error *e);

#pragma once
/*
 * The inside of measure_run(): what a test replaces, and the record that becomes result.json.
 */
#include <jansson.h>

#include "measure/judge_run.h"
#include "measure/measure.h"
#include "measure/tool.h"
#include "state/verdict.h"

#define RUNS_DIRECTORY	   "/var/lib/latencyd/runs"
#define RUN_RESULT_VERSION 1

/* What a run needs from outside; measure_run() takes the live ones. */
struct measure_hooks {
	const char *tool;	    /* absolute path; NULL: cyclictest in the system's folders */
	const char *runs_directory; /* where results are kept; made when missing */
	unsigned grace_s;	    /* beyond the duration, until the tool is killed */
	int (*observe)(const struct sysroot *root, const struct desired *d, struct observed *ret);
	int (*judge)(const struct desired *d, const struct observed *o, struct report *ret);
};

int measure_run_with(const struct measure_hooks *hooks, const struct sysroot *root,
		     struct desired *d, unsigned duration_s, measure_progress_fn progress,
		     void *userdata, struct run *ret, struct error *e);

#define ISO_TIME_SIZE sizeof("2026-11-22T16:45:00Z")

/* Everything that result.json says. */
struct run_record {
	const char *id;
	struct desired_measure measure; /* as declared, with the defaults when nothing is */
	char started[ISO_TIME_SIZE], ended[ISO_TIME_SIZE];
	const struct cpuset *asked;
	unsigned duration_s, histogram_us;
	char *const *argv; /* NULL: it was not started */
	struct tool_outcome outcome;
	const struct cyclictest_result *result; /* NULL: none */
	const struct run_judgement *judgement;
	json_t *before, *after, *drift; /* state; drift is NULL without one. Borrowed */
	json_t *fingerprint, *fingerprint_after;
};

/* A new object, version RUN_RESULT_VERSION; NULL: out of memory. */
json_t *run_result_json(const struct run_record *rec);

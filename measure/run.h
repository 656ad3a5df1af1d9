#pragma once
/*
 * The inside of measure_run(): what a test replaces, the looks at the machine, and the record that
 * becomes result.json.
 */
#include <time.h>

#include <jansson.h>

#include "measure/judge_run.h"
#include "measure/measure.h"
#include "measure/segment.h"
#include "state/iso_time.h"
#include "state/verdict.h"

#define RUNS_DIRECTORY	   "/var/lib/latencyd/runs"
#define RUN_RESULT_VERSION 2

/* What a run needs from outside; measure_run() takes the live ones. */
struct measure_hooks {
	const char *runs_directory; /* where results are kept; made when missing */
	const char *stress;	    /* stress-ng; NULL: in the system's folders */
	int (*judge)(const struct desired *d, const struct observed *o, struct report *ret);
};

int measure_run_with(const struct measure_hooks *hooks, const struct sysroot *root,
		     struct desired *d, const struct measure_options *options,
		     measure_progress_fn progress, void *userdata, struct run *ret,
		     struct error *e);

/* ---- looks: run_look.c ---- */

/* One look at the machine, and at the guest that is measured. */
struct look_state {
	json_t *state;	     /* {"at", "verdict", "settings": {name: verdict}} */
	json_t *fingerprint; /* of this machine; NULL when it was not asked for */
	char *unverified;    /* the settings that are not as declared, and why; NULL: verified */
	char *guest_boot_id; /* NULL: no guest is measured, or it did not say */
	bool guest_unknown;  /* it did not answer */
};
void look_state_done(struct look_state *l);

struct look_request {
	const struct measure_hooks *hooks;
	const struct measure_options *options;
	const struct sysroot *root;
	const struct desired *d;
	const struct fingerprint_test *test; /* NULL: no fingerprint */
};
int look_state_take(const struct look_request *rq, struct look_state *ret);

/* ---- the record ---- */

/* One segment as it ended, or as it was kept before an interruption. */
struct segment_record {
	unsigned index; /* from 1 */
	char started[ISO_TIME_SIZE];
	unsigned duration_s;
	struct segment_outcome outcome;
	char *unreachable; /* the machine did not answer: there is no outcome */
	json_t *host_load; /* beside a guest that is measured; or NULL */
	char *host_load_trouble;
	struct cyclictest_result result;
	bool has_result;
	char *result_error;
};
void segment_record_done(struct segment_record *s);
/* Reads outcome.json into the result, or says why it cannot. -ENOMEM. */
int segment_record_parse(struct segment_record *s);
json_t *segment_record_to_json(const struct segment_record *s);
int segment_record_from_json(const json_t *json, struct segment_record *ret);

struct cell_record {
	struct measure_cell cell;
	struct segment_record *segments; /* malloc()ed */
	size_t n_segments;
	double ended_s; /* Unix time */
	struct run_judgement judgement;
};
void cell_record_done(struct cell_record *c);

/* Everything that result.json says. */
struct run_record {
	const char *id, *on;
	struct desired_measure measure; /* as declared, with the defaults when nothing is */
	char started[ISO_TIME_SIZE], ended[ISO_TIME_SIZE];
	const struct cpuset *asked;
	unsigned duration_s, segment_s, histogram_us;
	struct cell_record *cells;
	size_t n_cells;
	enum run_verdict verdict;
	char *sentence;
	unsigned resumed;
	json_t *before, *after, *drift; /* state; drift is NULL without one. Borrowed */
	json_t *fingerprint, *fingerprint_after;
	json_t *guest_fingerprint;
};

/* A new object, version RUN_RESULT_VERSION; NULL: out of memory. */
json_t *run_result_json(const struct run_record *rec);
/* What was asked for, as in the result. */
json_t *run_request_json(const struct run_record *rec);
/* Fills verdict, the worst of the cells', and sentence (malloc()ed). -ENOMEM. */
int run_conclude(struct run_record *rec);

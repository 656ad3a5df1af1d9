#pragma once
/* The inside of one run, between what was asked for (run_request.c) and carrying it out (run.c). */
#include "measure/keep.h"
#include "measure/load.h"
#include "measure/run.h"
#include "measure/target.h"

struct measurement {
	const struct measure_hooks *hooks;
	const struct measure_options *options;
	const struct sysroot *root;
	const struct desired *d;
	measure_progress_fn progress;
	void *userdata;

	struct run_record rec;
	struct cpuset cpus, housekeeping; /* of the target */
	struct cpuset beside;		  /* of this machine, for a load beside a guest */
	struct keep keep;
	struct look_state before, after;
	json_t *kept; /* request.json of the run that is resumed, or NULL */
	json_t *drift, *fingerprint_after;
	json_t *guest_after; /* what the guest said it is last, where not what it said first */
	char *drift_text;
	size_t drift_cell;
	const char *stopped; /* why no further segment is begun, or NULL */
	bool rebooted;

	size_t cell; /* the one that runs */
	struct load *load;
	unsigned done_s; /* of the run, in segments that are over */
	unsigned segment_s;
};

/* Everything that is decided before the first look: profile, CPUs, loads, the run to resume. */
int run_prepare(struct measurement *m, struct error *e);
/* After the first look: opens the folder, or takes up the interrupted run's beginning. */
int run_begin(struct measurement *m, struct error *e);
/* Keeps @object (stolen; NULL: out of memory) as a file of the run. */
int run_keep_json(struct measurement *m, const char *name, json_t *object, struct error *e);

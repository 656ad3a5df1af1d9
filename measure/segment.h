#pragma once
/*
 * The smallest part of a run: one tool, on one set of CPUs of the machine that this process runs
 * on, for some seconds, with one load beside it. A run is segments; the same code carries one out
 * on the host and inside a guest (which is asked for it through its channel).
 */
#include <jansson.h>

#include "measure/tool.h"
#include "state/cpuset.h"

struct segment_request {
	char *id;	    /* "RUN/CELL/INDEX" */
	struct cpuset cpus; /* measured, one thread on each; freed by segment_request_done() */
	struct cpuset housekeeping;
	unsigned interval_us, duration_s, histogram_us;
	char *load; /* on this machine's housekeeping CPUs: "idle", "cpustress", "memorystress",
		       "iostress" */
};

struct segment_outcome {
	char *not_started; /* why the tool was not started, in words; NULL: it was */
	struct tool_outcome tool;
	char *json;   /* what it wrote, whole; NULL: no file */
	char *output; /* stdout and stderr, at most 64 KiB */
	json_t *argv; /* array of strings, or NULL */
	json_t *load; /* evidence of the load: argv, cpus, cpu time asked and got, PSI; NULL: idle
		       */
	char *load_trouble; /* why the load does not count ("died after 3 s"); NULL: it was in place
			     */
	json_t *fingerprint; /* of this machine, at the end of the segment */
};

void segment_request_done(struct segment_request *rq);
void segment_outcome_done(struct segment_outcome *o);

/*
 * Runs it on this machine. @tick as for tool_run(). @workdir: an existing folder for the tool's
 * file (absolute). 0 with *ret whatever the verdict will be; -errno when nothing could be tried.
 */
int segment_run(const struct segment_request *rq, const char *workdir, tool_tick_fn tick,
		void *userdata, struct segment_outcome *ret, struct error *e);

/* As JSON, for the channel. What comes from a guest is hostile: -EBADMSG for anything out of bounds
 * or of the wrong type. */
json_t *segment_request_to_json(const struct segment_request *rq);
int segment_request_from_json(const json_t *json, struct segment_request *ret, struct error *e);
json_t *segment_outcome_to_json(const struct segment_outcome *o);
int segment_outcome_from_json(const json_t *json, struct segment_outcome *ret, struct error *e);

/* What a test replaces; segment_run() takes the system's. */
struct segment_tools {
	const char *cyclictest, *stress; /* absolute paths; NULL: in the system's folders */
	unsigned grace_s;		 /* beyond the duration, until the tool is killed */
};
int segment_run_with(const struct segment_tools *tools, const struct segment_request *rq,
		     const char *workdir, tool_tick_fn tick, void *userdata,
		     struct segment_outcome *ret, struct error *e);

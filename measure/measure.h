#pragma once
/*
 * A measurement run: cyclictest on the isolated CPUs of a machine or a guest, judged. background:
 * rt-tests cyclictest(8).
 */
#include "probes/observe.h"
#include "state/desired.h"

struct report;
struct json_t;

enum run_verdict { RUN_PASS, RUN_FAIL, RUN_WARN, RUN_INCONCLUSIVE, RUN_ERROR, _RUN_VERDICT_MAX };
const char *run_verdict_name(enum run_verdict v); /* "PASS" */
/* 0 PASS, 1 FAIL, 2 ERROR, 3 INCONCLUSIVE, 4 WARN */
int run_verdict_exit_code(enum run_verdict v);

struct run {
	char *id;	 /* "20261122T164500Z-smoke" */
	char *directory; /* /var/lib/latencyd/runs/ID */
	enum run_verdict verdict;
	char *sentence;	       /* the verdict in one sentence, with its reason codes */
	struct json_t *result; /* result.json, version 2 */
};
void run_done(struct run *r);

/* Called about once a second while the tool runs: @elapsed_s of @duration_s. */
typedef void (*measure_progress_fn)(unsigned elapsed_s, unsigned duration_s, void *userdata);

struct target;

struct measure_options {
	const char *profile;   /* instead of the document's; or NULL */
	unsigned duration_s;   /* of a cell, instead of the profile's; or 0 */
	const char *resume;    /* an interrupted run's ID, or "latest"; or NULL */
	struct target *target; /* what is measured */
	int (*observe)(const struct sysroot *root, const struct desired *d, struct observed *ret);
	/* What no look at the kernel shows, put into the report before the run and after it: a
	 * setting that is fought over is right now and then. NULL: nothing. */
	int (*overlay)(const struct sysroot *root, const struct desired *d, struct report *r);
};

/*
 * Measures the target's isolated CPUs, each declared combination of loads for the profile's time,
 * in segments, and keeps the result in runs/ID/. Not started unless the machine (and the guest,
 * when that is the target) is verified now: -EPERM with *e listing the settings that are not.
 * Judged again at the end (and each second while it runs): drift makes it INCONCLUSIVE with the
 * setting and the time. Otherwise 0 with *ret filled, whatever the verdict (a tool that is missing
 * or prints its usage is RUN_ERROR), or -errno.
 */
int measure_run(const struct sysroot *root, struct desired *d,
		const struct measure_options *options, measure_progress_fn progress, void *userdata,
		struct run *ret, struct error *e);

/* The ID of a run that was interrupted and can be resumed (caller frees), or NULL. */
char *measure_interrupted(void);

/* The kept results, oldest first, as a JSON array of result.json objects (caller frees). */
int runs_list(const struct sysroot *root, struct json_t **ret, struct error *e);

#pragma once
/*
 * For node_exporter's textfile collector: the state as Prometheus metrics. A pure rendering, and
 * its atomic writing into METRICS_FOLDER where that exists.
 */
#include <stdint.h>

#include "state/reconcile.h"

#define METRICS_FOLDER "/var/lib/prometheus/node-exporter"
#define METRICS_PATH   METRICS_FOLDER "/latencyd.prom"

struct metrics {
	enum machine_verdict verdict;
	const struct reconcile *memory; /* verdicts and counts */
	const char *version;
	int64_t last_verified_s; /* seconds since the epoch, 0: never */
	uint64_t pass_us;	 /* how long the last pass took */
	unsigned pass_interval_s;
	uint64_t generation;
	bool paused, watching, persistent;
};

/* malloc()ed text, or NULL when out of memory. */
char *metrics_render(const struct metrics *m);
/* 1: written; 0: there is no folder, nobody collects; negative errno with *e. */
int metrics_write(const struct metrics *m, struct error *e);
/* Where the document does not want them: a file left there would go stale and alert. */
int metrics_remove(struct error *e);

#pragma once
/*
 * What the document's `measure:` asks for. design §8; background: measurement. The profiles are
 * rows of one table, measure_profiles[].
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sla_action { SLA_MONITOR, SLA_ASSERT };

/* The limits, one row each in state/sla.c (key, unit, which figure): by this index everywhere. */
enum sla_key {
	SLA_MIN, /* max_min_latency_us (Yardstick: max_min_latency) */
	SLA_AVG, /* max_avg_latency_us */
	SLA_MAX, /* max_max_latency_us */
	SLA_P50,
	SLA_P99,
	SLA_P999,
	SLA_P9999,
	SLA_P99999,
	SLA_P999999,	  /* max_p99_latency_us ... */
	SLA_OVERFLOW,	  /* max_overflow: cycles beyond the histogram */
	SLA_MISSED_RATIO, /* max_missed_ratio, in parts per million */
	_SLA_KEY_MAX
};

/* One combination of loads, "cpustress_idle": host_guest. */
struct measure_cell {
	const char *name;
	const char *host_load, *guest_load; /* "idle", "cpustress", "memorystress", "iostress" */
};

struct desired_measure {
	bool declared;
	const char *profile;
	unsigned duration_s; /* of one cell */
	unsigned segment_s;  /* a cell is this many seconds at a time; at most duration_s */
	unsigned interval_us;
	const struct measure_cell *cells;
	size_t n_cells;
	const char *
		*on; /* "host", "guest/NAME"; empty: every guest with a `state:`, else the host */
	size_t n_on;
	bool on_verified;	      /* the daemon starts a run when everything is verified */
	int64_t limits[_SLA_KEY_MAX]; /* -1: not declared */
	enum sla_action action;
};

/* ---- the tables ---- */

struct measure_profile {
	const char *name;
	unsigned duration_s, interval_us; /* of one cell */
	unsigned pass_duration_s;	  /* a shorter cell cannot pass; 0: never passes */
	bool provisional;		  /* as much as that length can say: WARN, not PASS */
	const struct measure_cell *cells;
	size_t n_cells;
};
extern const struct measure_profile measure_profiles[];
extern const size_t n_measure_profiles;
const struct measure_profile *measure_profile(const char *name); /* or NULL */
/* Makes @m this profile's: durations, interval and cells; limits stay. */
void measure_set_profile(struct desired_measure *m, const struct measure_profile *p);
/* The segments of a cell of so many seconds. */
unsigned measure_segment_s(unsigned duration_s);

/* Names of loads, NULL ended, and every combination: "HOST_GUEST". */
extern const char *const measure_loads[];
const struct measure_cell *measure_cell(const char *name); /* or NULL */

struct sla_row {
	const char *key, *yardstick; /* in the document; Yardstick's own name for it, or NULL */
	const char *unit;	     /* "us", "ppm" or "wake-ups" */
	const char *words;	     /* "the largest latency" */
	uint64_t one_in;	     /* a percentile: one sample in so many is above it; or 0 */
	bool one_sided;		     /* once exceeded it stays so, however incomplete the run is */
	bool zero;		     /* 0 is a limit */
};
extern const struct sla_row sla_rows[_SLA_KEY_MAX];

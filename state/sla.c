/*
 * The limits that a document may set, one row each. What reads the figure is measure/'s; that a
 * minimum or an average may still change while a run lasts, and a maximum cannot become smaller, is
 * said here.
 */
#include "state/measure_spec.h"

#define PERCENTILE(digits, n)                                       \
	{                                                           \
		.key = "max_p" #digits "_latency_us", .unit = "us", \
		.words = "the latency at p" #digits, .one_in = (n)  \
	}

const struct sla_row sla_rows[_SLA_KEY_MAX] = {
	[SLA_MIN] = { .key = "max_min_latency_us",
		      .yardstick = "max_min_latency",
		      .unit = "us",
		      .words = "the smallest latency" },
	[SLA_AVG] = { .key = "max_avg_latency_us",
		      .yardstick = "max_avg_latency",
		      .unit = "us",
		      .words = "the average latency" },
	[SLA_MAX] = { .key = "max_max_latency_us",
		      .yardstick = "max_max_latency",
		      .unit = "us",
		      .words = "the largest latency",
		      .one_sided = true },
	[SLA_P50] = PERCENTILE(50, 2),
	[SLA_P99] = PERCENTILE(99, 100),
	[SLA_P999] = PERCENTILE(999, 1000),
	[SLA_P9999] = PERCENTILE(9999, 10000),
	[SLA_P99999] = PERCENTILE(99999, 100000),
	[SLA_P999999] = PERCENTILE(999999, 1000000),
	[SLA_OVERFLOW] = { .key = "max_overflow",
			   .unit = "wake-ups",
			   .words = "the number beyond the histogram",
			   .one_sided = true,
			   .zero = true },
	[SLA_MISSED_RATIO] = { .key = "max_missed_ratio",
			       .unit = "ppm",
			       .words = "the share of missed periods",
			       .zero = true },
};

#pragma once
/*
 * What the machine was when it was measured, so that two results can be compared, and a difference
 * between them explained.
 */
#include <jansson.h>

#include "probes/observe.h"

#define FINGERPRINT_TOOL_PACKAGE "rt-tests"

/* The test that the machine was put to. */
struct fingerprint_test {
	const char *latencyd_version;
	const char *profile;
	unsigned interval_us, duration_s;
};

/*
 * A new JSON object (the caller's): what could be read, null where it could not, and two hashes:
 * "comparable" (hardware, CPUs, test: results with the same one may be compared) and "full"
 * (everything but boot_id: equal means that nothing known differs). -ENOMEM.
 */
int fingerprint_make(const struct sysroot *root, const struct desired *d, const struct observed *o,
		     const struct fingerprint_test *test, json_t **ret);

/* May these two, from before and after one run, be of one unchanged machine? */
bool fingerprint_equal(const json_t *a, const json_t *b);

/* The value of @key in the text of /proc/cpuinfo, in @a; NULL when it has none. */
const char *cpuinfo_value(struct arena *a, const char *cpuinfo, const char *key);
/* The installed version of @package by the text of /var/lib/dpkg/status, in @a; or NULL. */
const char *dpkg_version(struct arena *a, const char *status, const char *package);

#pragma once
/* Two results, compared: was the second worse than the first? Pure. */
#include <stdint.h>

#include <jansson.h>

#include "state/error.h"

#define COMPARE_VERSION 1

/*
 * A new object {version, a, b, verdict: "worse"|"better"|"same"|"cannot_tell", why, runs: [{id,
 * verdict, max_us}], tests, alpha, cells: [{name, verdict, why, cpus: [{cpu, verdict, why,
 * limit_us, a: {...}, b: {...}, p_exceedances, p_segments, p_tail}]}], fingerprint: [{key, a, b}]}.
 * -EBADMSG: one of them is malformed.
 */
int compare_runs(const json_t *a, const json_t *b, json_t **ret, struct error *e);

/* Two-sided p of the Poisson rates of @k1 events in @n1 and @k2 in @n2 being one: exact, given
 * k1 + k2. */
double rate_ratio_p(double k1, double n1, double k2, double n2);
/* Two-sided p of Mann and Whitney's test, normal approximation with ties; *@ret_shift > 0 when @b
 * tends to be greater. */
double mann_whitney_p(const int64_t *a, size_t n_a, const int64_t *b, size_t n_b,
		      double *ret_shift);

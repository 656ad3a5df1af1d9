#pragma once
/*
 * Sets of CPU (or node) numbers of any size, and the kernel's two ways of writing them.
 * Grammar: Linux Documentation/admin-guide/kernel-parameters.rst ("cpu lists") and
 * lib/bitmap-str.c.
 */
#include <stdint.h>

#include "state/base.h"

struct cpuset {
	uint64_t *words;
	size_t n_words; /* trailing zero words are allowed: sets compare as sets */
};

#define _cleanup_cpuset_ _cleanup_(cpuset_done)
/* The largest CPU number accepted, a guard against hostile input (the kernel's NR_CPUS is 8192). */
#define CPUSET_MAX 65535U

void cpuset_done(struct cpuset *s);
int cpuset_add(struct cpuset *s, unsigned cpu); /* -ENOMEM, -ERANGE */
int cpuset_add_range(struct cpuset *s, unsigned first, unsigned last);
void cpuset_remove(struct cpuset *s, unsigned cpu);
int cpuset_copy(struct cpuset *ret, const struct cpuset *s);	  /* ret: uninitialised or zeroed */
int cpuset_or(struct cpuset *s, const struct cpuset *other);	  /* s |= other */
void cpuset_and(struct cpuset *s, const struct cpuset *other);	  /* s &= other */
void cpuset_andnot(struct cpuset *s, const struct cpuset *other); /* s &= ~other */

bool cpuset_has(const struct cpuset *s, unsigned cpu);
bool cpuset_empty(const struct cpuset *s);
bool cpuset_equal(const struct cpuset *a, const struct cpuset *b);
bool cpuset_subset(const struct cpuset *a, const struct cpuset *of); /* a is inside of @of */
bool cpuset_intersects(const struct cpuset *a, const struct cpuset *b);
size_t cpuset_count(const struct cpuset *s);
/* The first member that is >= @from, or -1. */
long cpuset_next(const struct cpuset *s, unsigned from);
long cpuset_last(const struct cpuset *s); /* or -1 */

#define cpuset_for_each(cpu, s) \
	for (long cpu = cpuset_next((s), 0); cpu >= 0; cpu = cpuset_next((s), (unsigned)cpu + 1))

/*
 * Parses the kernel's whole cpulist grammar: `0-3,8`, `0-31:2/8`, `N` (the last CPU, N = n_cpus-1),
 * `all`, blank and `(null)` (both the empty set), surrounding white space. @n_cpus is the number of
 * possible CPU ids (largest + 1); with 0, `N` and `all` are refused.
 * Returns 0, -EINVAL (not of the grammar), -ERANGE (a number above CPUSET_MAX), -ENOMEM.
 * *ret is overwritten (not freed) on success only.
 */
int cpuset_parse_list(const char *text, unsigned n_cpus, struct cpuset *ret);

/* Parses a mask as the kernel prints it: hex words of 32 bits, separated by commas, with or without
 * leading zeros or `0x`. Errors as above. */
int cpuset_parse_mask(const char *text, struct cpuset *ret);

/* malloc()ed text with ranges, never expanded: "0-3,8"; "" for the empty set. NULL: out of memory.
 */
char *cpuset_format_list(const struct cpuset *s);

/* malloc()ed mask of 32-bit hex groups, covering at least @n_cpus bits, as /proc/irq wants it. */
char *cpuset_format_mask(const struct cpuset *s, unsigned n_cpus);

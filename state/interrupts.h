#pragma once
/*
 * The text of /proc/interrupts: which interrupts exist, whose they are, and how often each CPU took
 * them. A source of names and counts only: where an IRQ may go is told by /proc/irq/N. Format:
 * Linux kernel/irq/proc.c show_interrupts(), arch/x86/kernel/irq.c arch_show_interrupts().
 */
#include "state/cpuset.h"

struct interrupts {
	const char *p, *end; /* the rows not read yet */
	unsigned *cpus;	     /* cpus[i]: the CPU of column i (only online CPUs have a column) */
	size_t n_cpus;
};

/* One row. The strings point into the text and are not NUL-terminated. */
struct interrupt_row {
	bool is_irq;	   /* a number, not "LOC" or "ERR" */
	unsigned irq;	   /* is_irq */
	const char *label; /* what is before the colon: "24", "LOC" */
	size_t label_len;
	const char *actions; /* "eth0-rx-0, ahci[0000:00:17.0]"; the description of a row that is
			      * no IRQ */
	size_t actions_len;  /* 0: none */
	const char *counts, *counts_end; /* for the functions below */
	size_t n_counts; /* as found: n_cpus, or 1 for a count that belongs to no CPU ("ERR"), or
			  * anything when a CPU came or went while the kernel was printing */
};

#define _cleanup_interrupts_ _cleanup_(interrupts_done)
void interrupts_done(struct interrupts *i);

/* Reads the header of @text (@size bytes, which must outlive *ret; a NUL is no end). -EINVAL
 * without a header of CPU columns, -ENOMEM. */
int interrupts_open(const char *text, size_t size, struct interrupts *ret);

/* The next row: 1, 0 at the end, -EINVAL for a line that is no row (the call after goes on behind
 * it). */
int interrupts_next(struct interrupts *i, struct interrupt_row *ret);

/* A row whose one count belongs to no CPU: "ERR: 0". */
bool interrupt_row_is_global(const struct interrupt_row *row);

/*
 * The sum of a row's counts over @cpus (NULL: the whole row). CPUs without a column count nothing.
 * -ENODATA for a set when the row is global; -EINVAL when the counts do not match the columns.
 */
int interrupt_row_sum(const struct interrupts *i, const struct interrupt_row *row,
		      const struct cpuset *cpus, uint64_t *ret);

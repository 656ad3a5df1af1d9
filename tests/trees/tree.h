#pragma once
/*
 * Fake machines: folders that look like the /proc, /sys, /boot and /etc of a machine, to be read
 * with --root. A spec is the machine; every number in the files follows from it, so that a test
 * knows what a probe has to find.
 */
#include "state/cpuset.h"

struct tree_node {
	unsigned id;
	const char *cpus; /* cpulist, "" for a node of memory only */
	uint64_t memory_kib;
};

/* How far the machine is on its way to the document in its /etc/latencyd. */
enum tree_stage {
	TREE_STOCK,   /* Debian's ordinary kernel, nothing set */
	TREE_PENDING, /* applied: what needs no boot is set, the rest waits for the next one */
	TREE_TUNED,   /* converged */
};

struct tree_spec {
	const char *name;
	const char *about;
	const char *possible;
	const char *present;  /* NULL: as possible */
	const char *online;   /* NULL: as present */
	const char *isolated; /* what the document asks for */
	bool smt;	      /* CPUs i and i + half of the possible ones share a core */
	const struct tree_node *nodes;
	size_t n_nodes;
	unsigned n_irqs; /* from 24 on, besides the legacy ones 0, 1, 2, 8, 9 */
	bool irqbalance;
	bool cpuidle;
	enum tree_stage stage;
	bool bare; /* no CPUs, IRQs, threads, boot loader: hardly any file */
};

/* What the generated IRQs do; a test computes its expectations with the same functions. */
struct tree_irq {
	unsigned number;
	const char *name; /* as in /proc/interrupts; "" without an action */
	bool managed;	  /* the kernel refuses to move it */
	bool idle;	  /* no CPU is in its effective set */
	unsigned cpu;	  /* effective, unless idle */
	uint64_t count;	  /* times it fired, all on @cpu */
	char *buffer;	  /* owns @name when it is not a literal */
};

bool tree_applied(const struct tree_spec *spec); /* the run-time settings are set */
bool tree_booted(const struct tree_spec *spec);	 /* with the real-time kernel and our arguments */

extern const struct tree_spec tree_specs[];
extern const size_t n_tree_specs;
const struct tree_spec *tree_spec_by_name(const char *name); /* or NULL */

/* Writes the machine into the new or empty folder @dir. 0 or negative errno. */
int tree_write(const struct tree_spec *spec, const char *dir);

/* The sets of a spec; negative errno when a list of it is wrong. */
struct tree_cpus {
	struct cpuset possible, present, online, isolated, housekeeping;
	unsigned n; /* largest possible + 1 */
};
int tree_cpus(const struct tree_spec *spec, struct tree_cpus *ret);
void tree_cpus_done(struct tree_cpus *c);
#define _cleanup_tree_cpus_ _cleanup_(tree_cpus_done)

size_t tree_n_irqs(const struct tree_spec *spec); /* folders in /proc/irq */
/* The @i-th of them, by number. Its buffer is the caller's to free. */
int tree_irq(const struct tree_spec *spec, const struct tree_cpus *cpus, size_t i,
	     struct tree_irq *ret);

/* The command line of ours that the stage has put into the next boot; "" for TREE_STOCK. malloc().
 */
char *tree_boot_args(const struct tree_spec *spec, const struct tree_cpus *cpus);

#define TREE_KERNEL	    "6.1.0-56-amd64"
#define TREE_KERNEL_RT	    "6.1.0-56-rt-amd64"
#define TREE_BOOT_ID	    "3f1c9a52-7d2e-4c7b-9a53-0d6f3b9d4e11"
#define TREE_UUID	    "6f1d2c3b-4a59-4687-8796-a5b4c3d2e1f0"
#define TREE_IRQBALANCE_PID 611

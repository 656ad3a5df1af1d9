#pragma once
/*
 * A plan is data: the difference between desired and observed as a list of steps. Printed by
 * `latencyctl plan`, carried out by actuators/execute.c. Pure.
 */
#include "state/arena.h"
#include "state/cmdline.h"
#include "state/desired.h"
#include "state/observed.h"

struct setting;

/* In the order of execution: first what takes other programs' hands off, then boot files (slow, no
 * effect on the running machine), then the running kernel, widening before narrowing. */
enum step_kind {
	STEP_PACKAGE,	   /* install the package named by target */
	STEP_BOOT_DEFAULT, /* make the entry `want` GRUB's default */
	STEP_BOOT_ARG,	   /* target=key, now/want=value; want NULL removes it */
	STEP_SERVICE,	   /* stop and disable the unit named by target */
	STEP_IRQBALANCE,   /* tell irqbalance to leave the CPUs of `want` alone */
	STEP_KERNEL_FILE,  /* write `want` into the file target */
	STEP_HUGEPAGES,	   /* write `want` into a node's nr_hugepages (target), with retries */
	STEP_MOUNT,	   /* mount hugetlbfs at target with pagesize=`want` */
	STEP_THREAD,	   /* number=pid, name=comm: policy/priority, or CPUs from `want` */
	STEP_IRQ,	   /* number=IRQ: write the list `want` into target, check effective */
	/* Guests: carried out by guest/step.c. `guest` is the document's, target its name. */
	STEP_FORWARD,	     /* our nftables rules: want is the whole wanted table, NULL: none */
	STEP_GUEST_STOP,     /* only launched ones */
	STEP_GUEST_LAUNCH,   /* argv */
	STEP_GUEST_DOCUMENT, /* want: digest; the text is guest->document */
	STEP_REBOOT,
	_STEP_KIND_MAX
};

enum disruption {
	DISRUPTION_NONE,
	DISRUPTION_IRQ_RESHUFFLE,
	DISRUPTION_NIC_RESET,
	DISRUPTION_SERVICE_RESTART,
	DISRUPTION_GUEST_RESTART,
	DISRUPTION_REBOOT,
	_DISRUPTION_MAX
};

/* How a kernel file's value is compared before and after the write. */
enum value_kind {
	VALUE_NUMBER, /* decimal, sign allowed */
	VALUE_LIST,   /* a cpulist */
	VALUE_MASK,   /* a hex mask */
	VALUE_CHOICE, /* "always [madvise] never": the bracketed word */
	VALUE_TEXT,   /* white space folded */
};

struct desired_guest;

struct step {
	enum step_kind kind;
	const struct setting *setting;
	enum disruption disruption;
	const char *target; /* file path, boot key, package, unit, mount point, "ksoftirqd/3" */
	const char *now;    /* NULL: absent or not known */
	const char *want;   /* NULL: to be removed */
	enum value_kind value_kind; /* STEP_KERNEL_FILE */
	unsigned number;	    /* IRQ number or pid */
	const char *name;	    /* IRQ or thread name; "" otherwise */
	uint64_t size_kib;	    /* STEP_MOUNT: page size */
	bool set_affinity;	    /* STEP_THREAD: `want` is a cpulist; else policy and priority */
	int policy, priority;	    /* STEP_THREAD */
	bool transient; /* STEP_THREAD of a guest: no original is kept, the thread dies with it */
	const struct desired_guest
		*guest;		 /* STEP_GUEST_*; of the desired, which outlives the plan */
	const char *const *argv; /* STEP_GUEST_LAUNCH; in the plan's arena */
	bool reboot; /* STEP_GUEST_DOCUMENT: the guest may reboot by itself to take it over */
};

/* Everything the boot entry shall have of ours: what the drop-in is rendered from. */
struct boot_intent {
	struct cmdline_arg *args;
	const struct setting **owners; /* owners[i] asked for args[i] */
	size_t n_args, n_owners;       /* equal */
	const char *default_entry;     /* GRUB id path to make the default, or NULL: leave it */
};

struct plan {
	struct arena arena;
	struct step *steps;
	size_t n_steps;
	struct boot_intent boot;
	bool needs_reboot;	 /* STEP_REBOOT is its last step */
	bool drops_running_args; /* removes arguments that the running kernel was booted with */
};

#define _cleanup_plan_ _cleanup_(plan_done)
void plan_done(struct plan *p);

const char *step_kind_name(enum step_kind k);	/* "boot-arg" */
const char *disruption_name(enum disruption d); /* "irq-reshuffle" */

/* -ENOMEM only. @d must be resolved. A converged machine gives no step. */
int plan_make(const struct desired *d, const struct observed *o, struct plan *ret);

/* Used by the rows: a new step of @kind for @s, strings copied; NULL when out of memory. */
struct step *plan_step(struct plan *p, const struct setting *s, enum step_kind kind,
		       const char *target, const char *now, const char *want);

/* Used by the rows: @key=@value (NULL: a flag) belongs into the boot entry. */
int boot_intent_add(struct arena *a, struct boot_intent *b, const struct setting *s,
		    const char *key, const char *value);

/*
 * The drop-in's text (arena) for this intent, and its reading back: the arguments of ours in a
 * drop-in's text (parsed as cmdline). An empty intent gives NULL: no file.
 */
char *boot_drop_in_render(struct arena *a, const struct boot_intent *b);
int boot_drop_in_parse(const char *text, struct cmdline *ret, struct arena *a,
		       const char **ret_default_entry);
#define BOOT_DROP_IN "/etc/default/grub.d/zz-latencyd.cfg"

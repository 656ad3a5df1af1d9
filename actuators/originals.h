#pragma once
/*
 * What every target was before we first wrote it: /var/lib/latencyd/originals.json. The first
 * original of a target wins; it stays until it has been restored.
 */
#include "state/plan.h"

struct json_t;

enum original_kind {
	ORIGINAL_FILE,		/* a boot file's bytes; absent: there was none */
	ORIGINAL_PACKAGE,	/* absent: it was not installed */
	ORIGINAL_KERNEL_FILE,	/* the value; format says how it compares */
	ORIGINAL_HUGEPAGES,	/* a node's nr_hugepages */
	ORIGINAL_IRQ,		/* smp_affinity_list; name is the IRQ's */
	ORIGINAL_THREAD_POLICY, /* "policy priority" of the thread `target` */
	ORIGINAL_THREAD_CPUS,	/* its cpulist */
	ORIGINAL_IRQBALANCE,	/* the CPUs it had banned, as a list */
	ORIGINAL_SERVICE,	/* "active enabled" of the unit `target` */
	ORIGINAL_MOUNT,		/* absent: the folder did not exist; "": it did */
	_ORIGINAL_KIND_MAX
};
const char *original_kind_name(enum original_kind k);

struct original {
	enum original_kind kind;
	enum value_kind format; /* ORIGINAL_KERNEL_FILE */
	const char *target;
	const char *name;    /* "" for most */
	const char *setting; /* whose step it was */
	const char *boot_id; /* of the boot it was seen in */
	const char *value;   /* NULL: absent */
	size_t size;	     /* of value, for bytes that hold a NUL */
};

struct originals {
	struct json_t *doc;
	bool dirty;
};

#define _cleanup_originals_ _cleanup_(originals_done)

void originals_done(struct originals *o);
/*
 * Reads the file; without one *ret is empty. -EBADMSG with *e for a damaged file: it is never
 * overwritten, because it is the only way back.
 */
int originals_load(struct originals *ret, struct error *e);

/* Remembers @new (its boot_id is filled in) unless its target is known. 1: remembered; 0: known. */
int originals_keep(struct originals *o, const struct original *new, struct error *e);
/* On disk, with fsync, if anything changed since. To be called before the first write. */
int originals_flush(struct originals *o, struct error *e);

/* Is it known? Strings of *ret (may be NULL) live until originals_done() or originals_forget(). */
bool originals_get(struct originals *o, enum original_kind kind, const char *target,
		   const char *name, struct original *ret);
/* All of them in the order they were kept: *iter starts NULL. */
bool originals_next(struct originals *o, void **iter, struct original *ret);
/* Drops what is done with; strings of @old are gone then. */
int originals_forget(struct originals *o, const struct original *old);
size_t originals_count(const struct originals *o);
/* Removes the file. */
int originals_delete(struct originals *o, struct error *e);

/* The release of the kernel that ran when we first acted. */
const char *originals_kernel(const struct originals *o);
bool originals_reverting(const struct originals *o);
int originals_set_reverting(struct originals *o, bool reverting);

/* Which setting asked for a boot argument: revert of one setting takes its own away. A key keeps
 * its last owner when the intent drops it. */
const char *originals_boot_owner(const struct originals *o, const char *key);
int originals_set_boot_owners(struct originals *o, const struct boot_intent *b);

#pragma once
/*
 * What the observed state means against the desired one: design §3. Pure.
 */
#include "state/arena.h"
#include "state/desired.h"
#include "state/observed.h"

struct setting;
struct writer;
struct json_t;

enum verdict {
	VERDICT_CONVERGED,
	VERDICT_DRIFTED,
	VERDICT_PENDING_REBOOT,
	VERDICT_UNFIXABLE,
	VERDICT_CONTESTED,
	VERDICT_FAILED,
	VERDICT_UNKNOWN,
	VERDICT_NOT_APPLICABLE,
	VERDICT_UNMANAGED,
	_VERDICT_MAX
};

enum machine_verdict {
	MACHINE_VERIFIED,
	MACHINE_DRIFTED,
	MACHINE_PENDING_REBOOT,
	MACHINE_DEGRADED,
	MACHINE_UNKNOWN, /* guests only: it does not answer, or not with what a latencyd says */
	_MACHINE_VERDICT_MAX
};

const char *verdict_name(enum verdict v);		  /* "pending-reboot" */
const char *machine_verdict_name(enum machine_verdict v); /* "verified" */
int machine_verdict_from_name(const char *name);	  /* or -EINVAL */
/* `latencyctl status` exit code: 0 verified, 3 drifted, 4 pending-reboot, 5 degraded. */
int machine_verdict_exit_code(enum machine_verdict v);

struct evidence {
	const char *path;
	const char *value;
};

/* One part of a setting: an IRQ, a thread, a node's pool. */
struct verdict_item {
	const char *id;
	const char *name;
	const char *live;
	const char *want;
	enum verdict verdict;
	const char *reason; /* or NULL */
};

struct setting_verdict {
	const struct setting *setting;
	enum verdict verdict;
	const char *want; /* as a person reads it */
	const char *live;
	const char *next_boot; /* what the next boot's entry has, or NULL for run-time settings */
	const char *reason;    /* why it is not converged, and what can be done; or NULL */
	struct evidence *evidence;
	size_t n_evidence;
	struct verdict_item *items;
	size_t n_items;
	const char *since; /* ISO 8601 UTC of the last change of this verdict, or NULL */
	const struct writer *changed_by; /* who made it drift, or NULL: nobody was seen */
	bool needs_boot;		 /* the running kernel lacks what only a boot can give it */
};

/* A guest: first the rows of guest_settings[], then, if the document has a `state:` for it, those
 * of settings[] as the guest itself says (VERDICT_UNKNOWN while it does not). */
struct guest_report {
	const char *name;
	enum machine_verdict verdict;
	struct setting_verdict *settings;
	size_t n_settings;
	const char *kernel_release, *boot_id; /* as the guest says; or NULL */
};

struct report {
	struct arena arena;
	enum machine_verdict verdict;
	struct setting_verdict *settings; /* every row of settings[], in its order */
	size_t n_settings;
	struct guest_report *guests; /* in the document's order; never part of `verdict` */
	size_t n_guests;
	uint64_t generation; /* counts changes of the machine verdict; carried by report_carry() */
};

#define _cleanup_report_ _cleanup_(report_done)
void report_done(struct report *r);

/* The worst of the machine's own verdict and its guests': exit codes follow it. */
enum machine_verdict report_worst(const struct report *r);

/* -ENOMEM only: whatever could not be told is a verdict. @d must be resolved. */
int judge(const struct desired *d, const struct observed *o, struct report *ret);

/* Used by the rows. @text parts are arena strings or literals. */
int verdict_evidence(struct report *r, struct setting_verdict *v, const struct fact *f);
struct verdict_item *verdict_item_add(struct report *r, struct setting_verdict *v);

#pragma once
/*
 * Alerts: each change of a setting is told once, to everybody the document names, over crashes too.
 * /var/lib/latencyd/alerts.json is written ahead (the memory of the loop, and the alerts that are
 * about to go out) and again when they are out; after a crash the journal itself says which of the
 * pending ones it already has. A file that cannot be written is a state of its own: told once,
 * and alerting goes on from memory.
 *
 * The journal is told last, as it can be asked afterwards: an alert that it has went to everybody.
 * Signals carry the alert's number, so that whoever hears one a second time can tell.
 */
#include "probes/sysroot.h"
#include "state/reconcile.h"

struct manager;

struct alerts {
	uint64_t number; /* of the last alert */
	struct alert *pending;
	size_t n_pending;
	char *lost;	     /* why the file cannot be written, NULL: it can */
	char *last_verified; /* ISO 8601 UTC, NULL: never */
	char *fingerprint;   /* of the machine that was verified then (daemon/fingerprint.h) */
	char *boot_id;	     /* this boot's */
	char *kept;	     /* what the file says, last_verified apart; NULL: not written yet */
	uint64_t kept_us;    /* when it was written, monotonic */
};

void alerts_done(struct alerts *a);
/* Reads what the daemon before knew into @a and *memory (empty when there is nothing), and sends
 * what it may have left unsent. @a is zeroed. Never fails: a file that cannot be read is told. */
void alerts_load(struct manager *m, struct alerts *a, struct reconcile *memory);
/* Numbers, keeps, sends and keeps as sent. Takes the alerts' strings over: @list is left zeroed. */
void alerts_send(struct manager *m, struct alert *list, size_t n);
/* Keeps the memory after a change that nobody is told of; for every pass: without a change nothing
 * is written, and never more than once a second. */
void alerts_keep(struct manager *m);
/* The same at once, before the daemon ends. */
void alerts_keep_last(struct manager *m);

/* ---- alert_file.c: the text of the file ---- */

#define ALERTS_FILE "/var/lib/latencyd/alerts.json"

void alerts_forget_pending(struct alerts *a);

/* malloc()ed (NULL: out of memory). @whole: last_verified too, which alone is no reason to write.
 */
char *alerts_to_text(const struct alerts *a, const struct reconcile *memory, bool whole);
/*
 * The number, pending alerts, last_verified and fingerprint of *ret, and the loop's memory, as far
 * as it holds in the boot @boot_id (NULL: not known). *ret_boot_id (malloc()ed or NULL) is the boot
 * of the pending alerts. -EINVAL with *e: this is no such file.
 */
int alerts_from_text(const char *text, const char *boot_id, struct alerts *ret,
		     struct reconcile *ret_memory, char **ret_boot_id, struct error *e);

/* ---- alert_unit.c ---- */

#define ALERT_FOLDER "/run/latencyd/alert"

/*
 * What the unit of @alert is told: *ret_instance, SETTING or GUEST:SETTING, and *ret_environment,
 * the text of its environment file. Both malloc()ed; neither is to be freed after an error.
 */
int alert_unit_prepare(const struct alert *alert, const char *id, char **ret_instance,
		       char **ret_environment, struct error *e);
/* ALERT_FOLDER/INSTANCE.env, which latencyd-alert@INSTANCE.service reads when it starts. */
int alert_unit_write(const char *instance, const char *environment, struct error *e);

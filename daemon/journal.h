#pragma once
/*
 * What the journal is told: changes, each once. One function per kind of entry; its message ids are
 * in daemon/messages.h. LATENCYD_ALERT ("BOOTID:NUMBER") makes an alert one that can be found
 * again.
 */
#include <stdint.h>

#include "state/reconcile.h"

struct json_t;

/* From now on all of it goes to stderr: what a fake tree says is no news of this machine. */
void journal_to_stderr(void);
/* Would an entry reach a journal? */
bool journal_there(void);
/* Has the journal an entry of ours with LATENCYD_ALERT=@id? 1, 0, or a negative errno when it
 * cannot tell. Takes its time: only for what may have gone out before a crash. */
int journal_has(const char *id);

/* @before: the verdict's name before, NULL: none. @status: the new status object. @why: what kept
 * the machine from being judged, or NULL. */
void journal_verdict(enum machine_verdict now, const char *before, const struct json_t *status,
		     const char *why);

/* One line: `irq_affinity drifted: found "3", wanted "0-1"; changed by irqbalance (pid 812, ...)`.
 * NULL: out of memory. */
char *alert_text(struct arena *a, const struct alert *alert);
void journal_alert(const struct alert *a, const char *id);

/* @lost: why nothing can be kept; NULL: it can again. */
void journal_persistence(const char *lost);
/* @trouble: what is not watched; NULL: all is. */
void journal_watching(const char *trouble);
/* @state: "changed", "invalid: WHY"; NULL: the document on disk is the one in force. */
void journal_document(const char *state);
/* @until: "until-resumed" or a time; NULL: it has ended. */
void journal_pause(const char *until);
/* Verified, but by another kernel, microcode, firmware or set of CPUs than before. */
void journal_requalify(const char *was, const char *now);

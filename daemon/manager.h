#pragma once
/*
 * The daemon's one object: the document it holds, what it last said of the machine, and the loop
 * that keeps that true. Level-triggered: everything that happens asks for a look, and what follows
 * rests on what the look found, never on what happened.
 */
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "daemon/alert_runs.h"
#include "daemon/alerts.h"
#include "daemon/guest_asker.h"
#include "daemon/guest_role.h"
#include "daemon/keeper.h"
#include "daemon/look.h"
#include "daemon/peer.h"
#include "daemon/requests.h"
#include "daemon/verified_target.h"
#include "daemon/watch.h"
#include "state/reconcile.h"

/* After a boot other services (irqbalance, drivers) still settle: so often it is applied again
 * until the machine is verified once. */
#define BOOT_CONVERGE_TRIES 3

/* The run-time half of this boot has been applied, or could not be: from here on a difference is a
 * drift. */
#define SETTLED_FILE "/run/latencyd/settled"

/* Between passes where there is no document to say so. */
#define PASS_INTERVAL_US (30 * 1000000ULL)

struct manager {
	sd_event *event;
	sd_event_source *pass_timer;
	bool pass_due;		      /* at once: it is not put off to the next interval */
	sd_event_source *look_source; /* runs once, after a batch of events */
	sd_event_source *wake_timer;  /* what the loop's memory asked for */
	sd_bus *bus;		      /* NULL without one */
	struct sysroot root;

	struct desired desired;
	bool has_document;    /* desired is one; never a wrong one */
	bool resolved;	      /* and it was held against this machine */
	char *document_state; /* "changed" or "invalid: ..."; NULL: what lies there is in force */
	bool document_touched;

	char *status; /* the last status object's text, NULL before the first pass */
	enum machine_verdict verdict;
	uint64_t generation;
	bool drifted; /* a setting can be mended at run time */
	struct verified_target target;
	/* The warnings of this pass and of the one before: each is said once while it lasts. */
	char *complaints, *complaints_before;

	struct watch *watch;
	struct touches touches;
	uint64_t touched; /* bits of the settings to look at in this turn of the loop */
	struct reconcile memory;
	struct alerts alerts;
	struct alert_runs alert_runs;
	uint64_t repair;  /* bits of the settings to be mended, as the last look at them said */
	uint64_t wake;	  /* bits of the settings that the wake timer looks at */
	uint64_t pass_us; /* how long the last pass took */
	char paused_until[ISO_TIME_SIZE];

	struct requests requests;
	unsigned converge_left;
	bool settling; /* the run-time half of a boot is being applied: no drift of anybody's */
	bool stopping;

	struct peer peer;	/* the way to this machine's host, if it is a guest */
	struct guest_role role; /* what the host asked for there */
	struct keeper keeper;	/* of this machine's own guests */
	struct guest_asker asker;
};

/* @root_path NULL: the live machine. Any other is watched, never changed. */
int manager_init(struct manager *m, const char *root_path, struct error *e);
void manager_done(struct manager *m);
/* First pass, READY=1, and the start of what is to be converged or reverted; then the loop. */
int manager_run(struct manager *m, struct error *e);

/* ---- pass.c: looking, and saying what was seen ---- */

/* One look at everything: judged, published, announced. Never fails: what goes wrong becomes the
 * status. False: guests are being asked first, and the pass is made when they have answered. */
bool manager_pass(struct manager *m);
/* The same for some settings alone (bits by index in settings[]): milliseconds. */
void manager_look_at(struct manager *m, uint64_t settings);
/* The steps that an apply would take now, as JSON text (caller frees). */
int manager_plan(struct manager *m, char **ret_json, struct error *e);

/* ---- mend.c: what may be done without being asked ---- */

/* Starts what the last look left to do, if nothing runs. */
void manager_mend(struct manager *m);
/* What a boot leaves to do: the rest of a revert, or the run-time settings. */
void manager_settle(struct manager *m);

/* ---- complain.c ---- */

/* To the journal through stderr, unless it has just been said. */
void manager_complain(struct manager *m, const char *fmt, ...) printf_like(2, 3);
void manager_complain_of(struct manager *m, const struct error *e, int r);
/* A new pass begins: what is not said again in it may be said anew after it. */
void manager_forget_complaints(struct manager *m);

/* ---- document_watch.c: the document on disk against the one in force ---- */

/* Reads the document if there is none yet. */
int manager_load_document(struct manager *m, struct error *e);
/* Reads it again (one with an error is refused whole, the old one stays), then a pass. */
void manager_refresh(struct manager *m);
/* Says what has become of the document on disk; takes nothing over. */
void manager_check_document(struct manager *m);

/* ---- manager.c ---- */

/* Asks the loop for a pass. */
void manager_pass_soon(struct manager *m);
/* Asks the loop for a look at some settings, after the events that are there now. */
void manager_look_soon(struct manager *m, uint64_t settings);
/* A task has ended: what waited for it goes on. */
void manager_task_ended(struct manager *m);
/* Called by the queue before the answer goes out. */
void manager_request_ended(struct manager *m, const struct request *r, int status,
			   const char *tail);
/* Nothing is repaired for so long; 0: until resumed; UINT64_MAX: goes on. */
int manager_pause(struct manager *m, uint64_t seconds, struct error *e);
/* Does a pause hold? *ret_until (may be NULL): "until-resumed" or a time, of the manager's. */
bool manager_paused(struct manager *m, const char **ret_until);
/* Is something of ours at work on this machine? */
bool manager_busy(const struct manager *m);
/* Microseconds of CLOCK_MONOTONIC. */
uint64_t manager_now_us(void);

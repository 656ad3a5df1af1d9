#pragma once
/*
 * The daemon's one object: the document it holds, what it last said of the machine, and the loop
 * that keeps that true. Level-triggered: everything that happens asks for a pass, and a pass looks
 * at everything.
 */
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "daemon/child.h"
#include "daemon/guest_role.h"
#include "daemon/keeper.h"
#include "daemon/look.h"
#include "daemon/peer.h"

/* What the kernel changes by itself is found by this pass. It may come later by a sixth of that:
 * nothing waits. */
#define PASS_INTERVAL_US (30 * 1000 * 1000ULL)

/* After a boot other services (irqbalance, drivers) still settle: so often it is applied again
 * until the machine is verified once. */
#define BOOT_CONVERGE_TRIES 3

struct manager {
	sd_event *event;
	sd_event_source *pass_timer;
	sd_bus *bus; /* NULL without one */
	struct sysroot root;

	struct desired desired;
	bool has_document; /* desired is one; never a wrong one */

	char *status; /* the last status object's text, NULL before the first pass */
	enum machine_verdict verdict;
	uint64_t generation;
	bool drifted; /* a setting can be mended at run time */
	int target;   /* latency-verified.target: 1 started, 0 stopped, -1 not told yet */
	/* The warnings of this pass and of the one before: each is said once while it lasts. */
	char *complaints, *complaints_before;

	struct child child;
	unsigned converge_left;
	sd_bus_message *apply_call; /* the Apply() that waits for the child */
	bool stopping;

	struct peer peer;	/* the way to this machine's host, if it is a guest */
	struct guest_role role; /* what the host asked for there */
	struct keeper keeper;	/* of this machine's own guests */
};

/* @root_path NULL: the live machine. Any other is watched, never changed. */
int manager_init(struct manager *m, const char *root_path, struct error *e);
void manager_done(struct manager *m);
/* First pass, READY=1, and the start of what is to be converged or reverted; then the loop. */
int manager_run(struct manager *m, struct error *e);

/* One look: judged, published, announced. Never fails: what goes wrong becomes the status. */
void manager_pass(struct manager *m);
/* Reads the document again (one with an error is refused whole, the old one stays), then a pass. */
void manager_refresh(struct manager *m);
/* Starts `latencyctl apply` for @call (may be NULL), which gets its answer at the end. */
int manager_apply(struct manager *m, bool reboot, sd_bus_message *call, struct error *e);
/* Asks the loop for a pass. */
void manager_pass_soon(struct manager *m);
/* One of the children has ended: what waited for it goes on. */
void manager_child_ended(struct manager *m);
/* To the journal through stderr, unless it has just been said. */
void manager_complain(struct manager *m, const char *fmt, ...) printf_like(2, 3);

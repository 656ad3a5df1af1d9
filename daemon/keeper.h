#pragma once
/*
 * The host's side of the daemon for its guests: notices a QEMU that dies at once, takes up what
 * needs nobody's consent (a launch after a boot, pins, forwards, a guest's document), notes which
 * guests are verified, and starts the measurement that the document asks for.
 */
#include <systemd/sd-event.h>

#include "daemon/task.h"
#include "daemon/look.h"

struct manager;

/* The same steps are tried so often, then less and less often. */
#define KEEPER_TRIES	   3
#define KEEPER_BACK_OFF_US (60 * 1000 * 1000ULL)
/* Between passes while a running guest is on its way. */
#define KEEPER_INTERVAL_US (5 * 1000 * 1000ULL)

/* A QEMU that was seen. */
struct keeper_watch {
	char *name;
	int pid; /* 0: it ended, and nobody but a person starts it again */
	sd_event_source *source;
	int fd;
};

struct keeper {
	struct keeper_watch *watches;
	size_t n_watches;
	char *wanted; /* the steps of guests that are to do, as text; NULL: none */
	char *tried;  /* what was last tried */
	unsigned n_tries;
	uint64_t not_before; /* CLOCK_MONOTONIC, us */
	bool unsettled;	     /* some guest runs and is not verified */
	char *left_alone;    /* a guest that is to be launched, but ended while we watched */
	bool measure_due;
	struct task measure;
};

void keeper_init(struct keeper *k);
void keeper_done(struct keeper *k);
/* Takes in what a look at the live machine found. */
void keeper_look(struct manager *m, const struct look *l);
/* No look was possible: nothing is known to be to do. */
void keeper_blind(struct keeper *k);
/* Starts what is to do, if nothing runs. */
void keeper_act(struct manager *m);
/* Counts a try of what is wanted @now (us). False: not yet again. */
bool keeper_may_try(struct keeper *k, uint64_t now);

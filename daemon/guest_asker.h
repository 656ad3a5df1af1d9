#pragma once
/*
 * Asks guests for their status beside the loop, so that one that is silent for seconds keeps
 * nothing of the host from being seen.
 */
#include <systemd/sd-event.h>

#include "guest/observe_guests.h"

struct question;

struct guest_asker {
	struct question **questions; /* one a guest that was ever asked */
	size_t n;
	int answered_fd; /* eventfd; -1: not open, guests are asked in the loop */
	sd_event_source *answered_source;
	bool waiting;	   /* a look was told -EINPROGRESS */
	uint64_t since_us; /* what was asked before is no answer to it */
	void (*answered)(void *userdata);
	void *userdata;
};

void guest_asker_init(struct guest_asker *a);
/* @answered is called by the loop when all that a look waits for is there. */
int guest_asker_open(struct guest_asker *a, sd_event *event, void (*answered)(void *userdata),
		     void *userdata);
/* Waits for the questions under way: some seconds at most. */
void guest_asker_close(struct guest_asker *a);

/*
 * For a look that begins now, or once more for the one that waits. A guest without an answer is
 * asked; the look is told -EINPROGRESS then, and made again, whole, when @answered is called.
 */
struct guest_source guest_asker_source(struct guest_asker *a);
/* That look is over, well or not: the next has to ask anew. */
void guest_asker_done(struct guest_asker *a);

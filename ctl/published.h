#pragma once
/*
 * What latencyd published beside the verdicts: who caused a drift, what is contested, whether it is
 * paused, watches, can keep its state. latencyctl looks at the machine itself; these things it
 * cannot see there.
 */
#include "ctl/ctl.h"

struct published {
	struct json_t *status; /* the status object, NULL: there is none */
	bool running;	       /* latencyd runs, so that it still holds */
	bool same_document;    /* it is about the document that is looked at */
};

void published_done(struct published *p);
#define _cleanup_published_ _cleanup_(published_done)

void published_load(const struct sysroot *root, const struct desired *d, struct published *ret);
/* What one look cannot tell: a setting that is fought over is contested even while it is right.
 * Before report_carry(). -ENOMEM. */
int published_overlay(const struct published *p, struct report *r);
/* Takes its top-level keys and causes over into the status object @status. -ENOMEM. */
int published_merge(const struct published *p, struct json_t *status);
/* What an operator should know of latencyd itself, a line each; nothing when all is well. */
void published_print(const struct published *p);
/* "irqbalance (pid 812, irqbalance.service) at TIME, writing PATH": who made the setting of the
 * machine (@guest "") or of a guest what it is. malloc()ed, not made harmless; NULL: not known. */
char *published_cause(const struct published *p, const char *guest,
		      const struct setting_verdict *v);

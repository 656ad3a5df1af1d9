#pragma once
/*
 * What could not be carried out in this boot: /run/latencyd/refusals.json, read by the probes so
 * that `status` says it and the planner does not try a managed IRQ again and again.
 */
#include "state/plan.h"

struct json_t;

struct refusals {
	struct json_t *list;
	char *boot_id;
	bool dirty;
};

#define _cleanup_refusals_ _cleanup_(refusals_done)

void refusals_done(struct refusals *r);
/* Records of another boot, and a damaged file, are no records. -ENOMEM only. */
int refusals_load(struct refusals *ret);
/* What became of @s: records @e (negative code), or drops the record that there was (@e NULL). */
int refusals_note(struct refusals *r, const struct step *s, const struct error *e);
/* Replaces the file if a record changed. */
int refusals_flush(struct refusals *r, struct error *e);

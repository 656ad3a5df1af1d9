#pragma once
/*
 * A guest as what is measured: its segments are carried out by the latencyd inside, asked through
 * the guest's channel.
 */
#include "measure/target.h"
#include "state/guest.h"

/* The target "guest/NAME" of @d, where @o saw it. -ENOENT: no such guest, or it has no channel;
 * -ENOMEM. Freed by guest_target_done(). */
int guest_target_make(const struct desired *d, const struct observed *o, const char *name,
		      struct target *ret, struct error *e);
void guest_target_done(struct target *t);

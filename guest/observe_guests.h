#pragma once
/*
 * The document's guests as this machine shows them: processes, threads, memory, our nftables table,
 * and what each guest says through its channel. Read-only. A part of an observation, after
 * observe(): a guest that lies or hangs costs its own facts and a bounded time, nothing else.
 */
#include "probes/sysroot.h"
#include "state/guest.h"

/*
 * Fills o->guests, kvm, vhost_vsock, qemu and forwards for @d's guests (nothing without guests but
 * forwards, so that a dropped rule is found). On a root that is not live the guests stay unprobed.
 * -ENOMEM only.
 */
int observe_guests(const struct sysroot *root, const struct desired *d, struct observed *o);

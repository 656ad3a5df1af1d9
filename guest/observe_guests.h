#pragma once
/*
 * The document's guests as this machine shows them: processes, threads, memory, our nftables table,
 * and what each guest says through its channel. Read-only. A part of an observation, after
 * observe(): a guest that lies or hangs costs its own facts and a bounded time, nothing else.
 */
#include "probes/sysroot.h"
#include "state/guest.h"

/* Where the status of a guest that runs comes from. */
struct guest_source {
	/* As guest_ask_status(); -EINPROGRESS: it is being asked, and this observation comes too
	 * soon. NULL: it is asked, and waited for. */
	int (*status)(void *userdata, const char *name, const char *address, char **ret,
		      struct error *e);
	void *userdata;
};

/* What the guest @name behind the channel @address says of itself (malloc()ed); seconds at most.
 * Errors are those of guest_call(). May be called in threads, for different guests. */
int guest_ask_status(const char *name, const char *address, char **ret, struct error *e);

/*
 * Fills o->guests, kvm, vhost_vsock, qemu and forwards for @d's guests (nothing without guests but
 * forwards, so that a dropped rule is found). On a root that is not live the guests stay unprobed.
 * -ENOMEM; -EINPROGRESS from @source (NULL: that of no function), after all were looked at.
 */
int observe_guests(const struct sysroot *root, const struct desired *d,
		   const struct guest_source *source, struct observed *o);

#pragma once
/*
 * The kernel command line of a guest that its host gives the kernel: guest_boot_arguments()
 * (state/guest.h), and what an `append:` must not say.
 */
#include "state/guest.h"

/* A key that `append:` and the guest's `state:` both set, in *ret (@a); NULL: none. -EINVAL: append
 * is no command line; -ENOMEM. */
int guest_append_clash(const struct desired_guest *g, struct arena *a, const char **ret);

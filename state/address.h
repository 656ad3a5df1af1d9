#pragma once
/* An IP address or network as the kernel keeps it: the bits behind the prefix are zero. */
#include "state/arena.h"

struct address {
	bool ip6;
	unsigned length; /* of the network; 32 or 128: one address */
	const char *text;
};

/* "10.1.2.3/8": 10.0.0.0, 8. -EINVAL, -ENOMEM. */
int address_parse(struct arena *a, const char *text, struct address *ret);
/* "10.0.0.0/8"; without a length where it is one address. NULL: out of memory. */
const char *address_text(struct arena *a, const struct address *x);

#pragma once
/* Talking to a running irqbalance: one request and one answer per connection to its socket. */
#include "state/cpuset.h"
#include "state/error.h"

/* The pid of the running irqbalance, 0: none runs, or negative errno. */
int irqbalance_find(void);
/* How long it may be silent: its default interval of 10 s, and what a busy machine adds. */
#define IRQBALANCE_ANSWER_S 25
/* What it leaves alone, and its balancing interval in seconds. -ETIMEDOUT: no answer in @limit_s.
 */
int irqbalance_ask(int pid, unsigned limit_s, struct cpuset *ret_banned, unsigned *ret_interval_s,
		   struct error *e);
/* Tells it to leave @banned alone (NULL: what its own configuration says). */
int irqbalance_tell(int pid, const struct cpuset *banned, struct error *e);

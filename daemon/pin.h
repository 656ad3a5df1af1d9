#pragma once
/*
 * The daemon keeps off the isolated CPUs.
 */
#include "state/cpuset.h"
#include "state/error.h"

/* Puts this process on @cpus and reads back. An empty set is refused: -EINVAL. */
int pin_to(const struct cpuset *cpus, struct error *e);
/* The CPUs this process may run on. */
int pinned_to(struct cpuset *ret);

#pragma once
/*
 * latency-verified.target, which other units order themselves after: active while the machine is
 * verified, and not otherwise. What counts is what systemd says of it, not what was asked for.
 */
#include <stdbool.h>

#include "daemon/unit_job.h"

struct manager;

struct verified_target {
	int wanted;	       /* 1 active, 0 not, -1 nothing yet: the verdict */
	int ordered;	       /* what the last job was for */
	bool left;	       /* the verdict was lost since: the target is stopped first */
	sd_bus_slot *question; /* what it is; systemd has not answered */
	struct unit_job job;
};

#define VERIFIED_TARGET_INIT                \
	{                                   \
		.wanted = -1, .ordered = -1 \
	}

/* The verdict, after each look. Costs nothing while it stays the same. */
void verified_target_set(struct manager *m, bool verified);
/* Once a pass: somebody else may have started or stopped it. */
void verified_target_check(struct manager *m);
/* With the bus goes what was asked on it. */
void verified_target_forget(struct verified_target *t);

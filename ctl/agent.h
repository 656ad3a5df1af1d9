#pragma once
/*
 * polkit's text agent on this terminal, while latencyd is asked: without one a person on a console
 * or over ssh can never give a password. Where it is not installed, a desktop may have an agent of
 * its own.
 */
#include <sys/types.h>

#include "state/base.h"

struct agent {
	pid_t pid; /* -1: none */
};

#define _cleanup_agent_ _cleanup_(agent_close)
/* Does nothing for root and without a terminal. */
void agent_open(struct agent *a);
void agent_close(struct agent *a);

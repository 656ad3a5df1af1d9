#pragma once
/* Where the latencyctl that belongs to this program is installed. */
#include <limits.h>

#include "state/error.h"

/* Beside this program, as the build tree and a private prefix have it, or in the bin folder beside
 * the sbin folder. */
int find_latencyctl(char path[PATH_MAX], struct error *e);

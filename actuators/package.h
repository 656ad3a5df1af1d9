#pragma once
/* Debian packages: what dpkg says is installed, and apt-get. */
#include "state/error.h"

enum package_state {
	PACKAGE_ABSENT,
	PACKAGE_CONFIG_FILES, /* removed, not purged */
	PACKAGE_INSTALLED,
	PACKAGE_BROKEN, /* half-installed, unpacked, ...: needs dpkg --configure -a */
};

/* An enum package_state, or negative errno. Read from /var/lib/dpkg/status. */
int package_state(const char *name);

/* Purges those of @names (NULL ended) that are there. 1: did; 0: none was there. */
int package_purge(const char *const *names, struct error *e);

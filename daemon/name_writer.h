#pragma once
/*
 * From a pid to who that is, read from the live machine's /proc before the process can exit.
 */
#include "probes/sysroot.h"
#include "state/writer.h"

/*
 * Fills *ret (strings malloc()ed). @live: the root of the live machine; @pidfd: of that process, or
 * -1: then a reused pid is told by its start time. A process that has gone by now, or goes
 * meanwhile, is `gone`. -ENOMEM only.
 */
int name_writer(const struct sysroot *live, int pid, int pidfd, struct writer *ret);
/* The systemd unit and the container of a line of /proc/PID/cgroup, malloc()ed or NULL. -ENOMEM. */
int cgroup_names(const char *cgroup, char **ret_unit, char **ret_container);

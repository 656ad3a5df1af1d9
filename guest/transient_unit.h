#pragma once
/*
 * A transient unit of systemd's, asked for over the system bus (org.freedesktop.systemd1(5),
 * StartTransientUnit): transient_new(), the properties, transient_start().
 */
#include <systemd/sd-bus.h>

#include "state/cpuset.h"

/* A call for @unit whose list of properties is open, to be appended to as "(sv)". @mode: what
 * becomes of a job that is in the way, "fail" or "replace". */
int transient_new(sd_bus *bus, const char *unit, const char *mode, sd_bus_message **ret);
/* One command, @argv[0] an absolute path, its arguments taken as they are. @property: "ExecStartEx"
 * or "ExecStopEx". */
int transient_command(sd_bus_message *m, const char *property, const char *const *argv);
/* The CPUs it may run on; nothing where @cpus is empty. */
int transient_cpus(sd_bus_message *m, const struct cpuset *cpus);
/* Ends the list and makes the call. @timeout_us 0: the bus's own. @ret_job (may be NULL):
 * malloc()ed. */
int transient_start(sd_bus *bus, sd_bus_message *m, uint64_t timeout_us, sd_bus_error *error,
		    char **ret_job);

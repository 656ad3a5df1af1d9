#pragma once
/*
 * A dbus-daemon of the test's own as "the system bus" ($DBUS_SYSTEM_BUS_ADDRESS), where everybody
 * may do everything, and services on it that are processes of their own, so that they answer while
 * the test waits.
 */
#include <stdbool.h>
#include <systemd/sd-bus.h>

#include <sys/types.h>

struct private_bus {
	char folder[32];
	pid_t daemon;
};

/* False: there is no dbus-daemon here. Fails the test for everything else. */
bool private_bus_start(struct private_bus *b);
void private_bus_stop(struct private_bus *b);
/* Has somebody the name? */
bool private_bus_has(const char *name);
/* Runs @serve in a child, with a connection that has @name; returns when it is there. */
pid_t private_bus_service(const char *name, void (*serve)(sd_bus *bus));
void private_bus_end_service(pid_t pid);
/* For services: handles what comes until the bus goes. */
void private_bus_serve(sd_bus *bus);

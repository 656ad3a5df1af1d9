#pragma once
/*
 * latencyd as latencyctl meets it: on the system bus, where it may be asked to do what only root
 * may do itself.
 */
#include <systemd/sd-bus.h>

#include "state/error.h"

static inline void client_unrefp(sd_bus **bus)
{
	sd_bus_flush_close_unref(*bus);
}
#define _cleanup_client_ _cleanup_(client_unrefp)

static inline void message_unrefp(sd_bus_message **m)
{
	sd_bus_message_unref(*m);
}
#define _cleanup_message_ _cleanup_(message_unrefp)

/* -ENXIO: there is no bus, so that latencyd cannot be asked. */
int client_open(sd_bus **ret, struct error *e);
/*
 * Calls @method of latencyd and waits as long as it takes: the user may be asked for a password,
 * and an apply takes its time. @types and what follows: its arguments. *ret_reply (may be NULL) is
 * the caller's. -ENXIO: latencyd does not run. A refusal is an error in latencyd's words.
 */
int client_call(sd_bus *bus, sd_bus_message **ret_reply, struct error *e, const char *method,
		const char *types, ...);
/* A text property; malloc()ed, or NULL: this latencyd does not say. */
char *client_property(sd_bus *bus, const char *name);
/* 1: latencyd is on the bus; 0: it is not; negative errno: that cannot be told. */
int client_daemon_there(sd_bus *bus);

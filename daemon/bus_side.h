#pragma once
/*
 * Between bus.c, which has the connection, and bus_methods.c, which has what is offered on it.
 * Lives as long as the connection to the system bus: everything in it that waits belongs to a
 * caller there.
 */
#include <stdint.h>

#include "daemon/bus.h"
#include "daemon/polkit.h"

/* Of callers that wait for one refresh. */
#define REFRESH_CALLS_MAX 32

struct bus_side {
	struct manager *m;
	struct polkit polkit;

	/* The plan as it was when it was last asked for. */
	uint64_t planned_us;
	char *plan;
	struct error plan_error; /* why there is none */
	int plan_result;

	sd_event_source *refresh; /* due */
	uint64_t refreshed_us;
	sd_bus_message *refreshing[REFRESH_CALLS_MAX];
	size_t n_refreshing;
};

/* NULL: out of memory. */
struct bus_side *bus_side_new(struct manager *m);
struct bus_side *bus_side_free(struct bus_side *side);

/* What may be read, and what may be asked for too. Userdata: the manager. */
extern const sd_bus_vtable bus_reading[], bus_all[];

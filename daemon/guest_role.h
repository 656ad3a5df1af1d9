#pragma once
/*
 * What latencyd inside a guest does for its host: org.latencyd1.Guest (guest/channel.h). It takes a
 * document and converges by it, and it measures segments, one at a time and never beside an apply.
 */
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "daemon/task.h"

struct manager;

struct guest_role {
	struct manager *m;
	sd_event_source *converge; /* runs once, after the answer has gone out */
	bool converge_wanted, reboot;

	struct task segment;
	char *segment_id; /* of the one that runs, or ran last; NULL: none */
	uint64_t started_us, ended_us;
	char *trouble; /* why there is no result, if so */
	sd_event_source *kill_timer;
};

int guest_role_init(struct guest_role *g, struct manager *m);
void guest_role_done(struct guest_role *g);
/* Puts org.latencyd1.Guest and org.latencyd1.Manager on a host's connection. */
int guest_role_export(sd_bus *bus, void *manager);
/* Begins what SetDocument asked for, if nothing else is running. */
void guest_role_converge(struct guest_role *g);
/* Asks the tool to end (SIGINT), and some seconds later less politely. */
void guest_role_stop_segment(struct guest_role *g);

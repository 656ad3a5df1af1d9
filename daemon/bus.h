#pragma once
/*
 * org.latencyd1 on the system bus: what latencyd says of itself, and what it can be asked to do.
 */
#include <systemd/sd-bus.h>

#define BUS_NAME      "org.latencyd1"
#define BUS_PATH      "/org/latencyd1"
#define BUS_INTERFACE "org.latencyd1.Manager"

struct manager;

/* Connects, exports the object and asks for the name; 0 when that is so already. -errno without a
 * bus: the daemon runs without it and tries again with the next pass. */
int bus_connect(struct manager *m);
void bus_close(struct manager *m);
/* Puts the object on any connection: the system bus, or a guest's host. */
int bus_export(sd_bus *bus, struct manager *m);
/* Announces changed properties. */
void bus_announce(struct manager *m);
/* Starts or stops latency-verified.target without waiting for it. */
void bus_set_target(struct manager *m, int verified);

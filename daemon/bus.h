#pragma once
/*
 * org.latencyd1 on the system bus: what latencyd says of itself, and what it can be asked to do.
 */
#include <systemd/sd-bus.h>

#define BUS_NAME      "org.latencyd1"
#define BUS_PATH      "/org/latencyd1"
#define BUS_INTERFACE "org.latencyd1.Manager"

#define BUS_ERROR_BUSY	  BUS_NAME ".Error.Busy"    /* later, perhaps */
#define BUS_ERROR_REFUSED BUS_NAME ".Error.Refused" /* not to you, or not by this latencyd */
#define BUS_ERROR_INVALID BUS_NAME ".Error.Invalid" /* no such setting, profile or time */
#define BUS_ERROR_FAILED  BUS_NAME ".Error.Failed"

struct alert;
struct manager;

/* Connects, exports the object and asks for the name; 0 when that is so already. -errno without a
 * bus: the daemon runs without it and tries again with the next pass. */
int bus_connect(struct manager *m);
void bus_close(struct manager *m);
/* Puts what may be read, and nothing that changes the machine, on another connection: that to a
 * guest's host. */
int bus_export(sd_bus *bus, struct manager *m);
/* Announces changed properties. */
void bus_announce(struct manager *m);
/* Emits SettingChanged. */
void bus_signal_alert(struct manager *m, const struct alert *a);

#pragma once
/*
 * A latencyd on the system bus for tests of its clients: Pause, Resume, Apply (3 and two lines),
 * Revert and Measure (4 and nothing), and Refresh, which signals that timer_migration failed.
 */
#include <systemd/sd-bus.h>

#define FAKE_REFUSED_S 66 /* Pause() for so long is refused */

/* Each call but Refresh becomes a line of this file: set before the service is started. */
extern const char *fake_latencyd_calls;
/* For private_bus_service(). */
void fake_latencyd(sd_bus *bus);

#pragma once
/* The few calls to systemd's manager (org.freedesktop.systemd1(5)) that actuators need. */
#include "state/error.h"

struct unit_state {
	bool active;  /* it runs, or is on its way */
	bool enabled; /* starts at boot */
};

/* -EOPNOTSUPP when the root is not the live machine: systemd is the live one's. */
int systemd_unit_state(const char *unit, struct unit_state *ret, struct error *e);
/* Starts or stops @unit and waits until it is so, at most 90 s. */
int systemd_start_unit(const char *unit, struct error *e);
int systemd_stop_unit(const char *unit, struct error *e);
int systemd_set_enabled(const char *unit, bool enabled, struct error *e);
/* Queues a reboot that stops every unit properly, as systemctl reboot does. */
int systemd_reboot(struct error *e);

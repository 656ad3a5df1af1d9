#pragma once
/*
 * Who may change the machine: root, and whom polkit allows it. The question to polkit may wait for
 * a person who types a password, so the call is kept meanwhile; how many are kept is bounded, for
 * all and for each user.
 */
#include <systemd/sd-bus.h>

#include "state/error.h"

#define POLKIT_CHECKS_MAX      16
#define POLKIT_CHECKS_PER_USER 4

struct polkit_check;

struct polkit {
	struct polkit_check *checks;
	size_t n;
};

/* Those that wait are never answered: for the end of the connection. */
void polkit_done(struct polkit *p);
/*
 * Calls @then, now or later, if the sender of @call may do @action; it answers the call itself, or
 * returns an error as a method's handler does. Otherwise the call is answered with
 * org.latencyd1.Error.Refused or .Busy. To be returned from a method's handler.
 */
int polkit_ask(struct polkit *p, sd_bus_message *call, const char *action,
	       sd_bus_message_handler_t then, void *userdata, sd_bus_error *error);

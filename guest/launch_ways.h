#pragma once
/* The two ways to run QEMU: a transient unit of systemd, or a process of its own session. */
#include "state/guest.h"

/* Does systemd run as pid 1 and answer on the system bus? */
bool launch_has_systemd(void);

/* Starts the unit guest_unit(); returns once systemd has executed QEMU. */
int launch_unit(const struct desired_guest *g, const char *const *argv, struct error *e);
/* 1: the unit runs or is about to; 0: it does not, or there is none; negative errno. */
int launch_unit_alive(const char *guest);
/* Stops the unit, if there is one, and forgets its failure. QEMU gets SIGTERM at once: that it may
 * end, or has, is the caller's knowledge. */
int launch_unit_stop(const char *guest, struct error *e);

/* *ret_pidfd is QEMU's: readable when it has ended. */
int launch_child(const struct desired_guest *g, const char *const *argv, int *ret_pidfd,
		 struct error *e);

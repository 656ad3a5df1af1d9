#pragma once
/*
 * Carries out the plan's steps that concern guests: STEP_FORWARD and STEP_GUEST_*. Each is
 * idempotent and reads back.
 */
#include "state/guest.h"
#include "state/plan.h"

/* 1: done; 0: was so already; negative errno with *e. The machine's lock is held by the caller. */
int guest_step(const struct step *s, struct error *e);

/* forward_set(), and the mark that rules of ours may be there (guest/files.h). */
int guest_forwards_set(const char *want, struct error *e);

/*
 * Starts the launched guest @g's QEMU: as the transient unit guest_unit() where systemd runs, else
 * as a process of its own session. Waits until QMP answers. A QEMU that dies meanwhile is an error
 * with its own last words, and nothing of it is left behind. 1; 0: it runs already; -errno.
 */
int guest_launch(const struct desired_guest *g, const char *const *argv, struct error *e);
/* Hears what is waited for, and how long, before the wait begins. */
typedef void (*guest_tell_fn)(const char *what, void *userdata);
/* Power button, @timeout_s for a clean shutdown, then QMP quit, SIGTERM, SIGKILL. @tell may be
 * NULL. 1; 0: it did not run; -errno. Never an adopted guest: -EPERM. */
int guest_stop(const struct desired_guest *g, unsigned timeout_s, guest_tell_fn tell,
	       void *userdata, struct error *e);

/* So long a guest whose unit is stopped may take for its own shutdown. */
#define GUEST_POWER_OFF_S 120
/*
 * The unit's stop command: power button, GUEST_POWER_OFF_S for a clean shutdown, then QMP quit;
 * @timeout_s stands for the former. It knows the launched guest by its run folder only, takes no
 * lock and stops no unit, as systemd waits for it. 1: QEMU has ended; 0: it did not run;
 * -ETIMEDOUT: it still runs.
 */
int guest_power_off(const char *name, unsigned timeout_s, guest_tell_fn tell, void *userdata,
		    struct error *e);

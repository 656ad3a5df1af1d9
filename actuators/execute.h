#pragma once
/*
 * Carrying out a plan on the live machine, and undoing it. Every step reads first, writes only what
 * differs, reads back, and keeps the original on disk (fsync) before its first write.
 */
#include "state/plan.h"

enum step_result {
	STEP_DONE,	/* written, and read back as wanted */
	STEP_UNCHANGED, /* was already as wanted: nothing written */
	STEP_REFUSED,	/* the kernel will not have it (managed IRQ, read-only): recorded */
	STEP_FAILED,
	STEP_SKIPPED, /* an earlier step it depends on failed */
	_STEP_RESULT_MAX
};
const char *step_result_name(enum step_result r);

struct outcome {
	enum step_result result;
	struct error error; /* owned */
};

/* Called before (@outcome NULL) and after each step. */
typedef void (*progress_fn)(const struct step *step, size_t index, size_t n,
			    const struct outcome *outcome, void *userdata);

/* Carries out one step: 1 done, 0 was so already, negative errno with *e. */
typedef int (*step_fn)(const struct step *step, struct error *e);

/* One process changes the machine at a time: flock on /run/latencyd/lock. Returns an fd, or -EBUSY
 * with *e naming the holder's pid. */
int machine_lock(struct error *e);

/*
 * Runs the plan's steps, except STEP_REBOOT (the caller's, after consent), under the lock that the
 * caller holds. Boot steps run as one transaction: drop-in, update-grub once, the rendered entry
 * parsed back, rolled back on mismatch. A failing step does not stop the others. Refusals and
 * failures are recorded in /run/latencyd/refusals.json with the boot id; records of steps that now
 * succeed are dropped. *ret_outcomes: n_steps of them, malloc()ed, outcomes_free(). Returns the
 * number of failed steps, or negative errno when nothing could be started. @guests carries out the
 * steps of guests (STEP_FORWARD and STEP_GUEST_*; NULL: they are skipped): it belongs to guest/,
 * which this folder does not know.
 */
int plan_execute(const struct plan *p, step_fn guests, progress_fn progress, void *userdata,
		 struct outcome **ret_outcomes, struct error *e);
void outcomes_free(struct outcome *outcomes, size_t n);

/* Are there originals on disk, i.e. did we ever change this machine and not revert? 1, 0, -errno.
 * *ret_reverting (may be NULL): a revert waits for the reboot to finish. */
int originals_exist(bool *ret_reverting);

/*
 * Restores everything (@setting NULL) or what one setting changed. Boot files byte for byte, then
 * update-grub; run-time values; a package we installed is purged once its kernel no longer runs:
 * until then the previous kernel is the default entry and the rest of the revert is left for
 * revert_resume() after the reboot. Returns 0: all undone; 1: a reboot is needed to finish.
 */
int revert_all(const char *setting, progress_fn progress, void *userdata, struct error *e);
/* Called by the daemon at start: finishes a pending revert. 0: nothing to do or done; 1: still
 * needs a reboot. */
int revert_resume(struct error *e);

/* Asks systemd for a reboot unless the budget (2 an hour, /var/lib/latencyd/reboots.json) is spent:
 * -EDQUOT then. */
int reboot_machine(struct error *e);

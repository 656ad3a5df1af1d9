#pragma once
/*
 * Observe, plan, execute, observe again: what `latencyctl apply` does, the one the daemon starts
 * included. Knows nothing of terminals: the caller is told through struct converge_ops.
 */
#include "actuators/execute.h"
#include "daemon/look.h"
#include "state/plan.h"

struct converge_ops {
	/* A round's plan, before its first step. May be NULL. */
	void (*planned)(const struct plan *p, unsigned round, void *userdata);
	/* A step that is left out because nobody consented to its disruption. May be NULL. */
	void (*withheld)(const struct step *step, void *userdata);
	progress_fn progress; /* may be NULL */
	void *userdata;
};

struct convergence {
	struct look look; /* the last one: what the machine is now */
	struct plan plan; /* what is still to do, the reboot included */
	unsigned rounds;  /* that executed something */
};

#define _cleanup_convergence_ _cleanup_(convergence_done)
void convergence_done(struct convergence *c);

#define CONVERGE_ROUNDS 5

/* A bit of @allow, beside those of enum disruption: nothing but what the running machine takes. No
 * packages, boot files, starts or restarts of guests, reboot: such steps are not even in the plan.
 */
#define ALLOW_RUNTIME_ONLY (1U << _DISRUPTION_MAX)

/*
 * Works on the live machine. With nothing to do but a reboot it takes no lock and writes nothing.
 * @allow: bits 1 << enum disruption that were consented to, ALLOW_RUNTIME_ONLY. Ends when only the
 * reboot is left, when a round changed nothing of the plan, or after CONVERGE_ROUNDS. Failed steps
 * are no error here: *ret's report has them. A revert that waits for its reboot is taken back.
 * -EBUSY: another apply or revert runs; else negative errno, *ret untouched.
 */
int converge(const struct sysroot *root, struct desired *d, unsigned allow,
	     const struct converge_ops *ops, struct convergence *ret, struct error *e);

/* May @step run with the consent @allow? A service step is one that the document asks for. */
bool step_consented(const struct step *step, unsigned allow);
/* Does @step change only the running machine? */
bool step_of_runtime(const struct step *step);
/* Leaves out every other step; there is then no reboot to come. */
void plan_keep_runtime(struct plan *p);
/* Are the steps the same in kind, target and value wanted? */
bool plan_same_steps(const struct plan *a, const struct plan *b);
/* Steps other than STEP_REBOOT. */
size_t plan_n_actions(const struct plan *p);
/* Is the boot configuration as the document wants it, so that a reboot is of use? */
bool plan_boot_ready(const struct plan *p);

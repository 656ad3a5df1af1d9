/*
 * A plan is carried out in two passes. The first reads every target and keeps its original; all of
 * them reach the disk in one write, before anything is changed, so that kill -9 at any later moment
 * finds them there. The second carries the steps out one by one; a failing one does not stop the
 * others. The steps of guests keep no original: what they
 * change ends with the guest, or is stated whole by the document.
 */
#include "actuators/execute.h"

#include <errno.h>

#include "actuators/actuation.h"
#include "actuators/kernel_file.h"
#include "actuators/refusals.h"

static int prepare_nothing(struct actuation *a, const struct step *s, struct error *e)
{
	(void)a;
	(void)s;
	(void)e;
	return 0;
}

static int run_guest(struct actuation *a, const struct step *s, struct error *e)
{
	if (!a->guests)
		return error_set(e, -ECANCELED, "left to the caller");
	return a->guests(s, e);
}

static const struct actuator actuator_guest = {
	.prepare = prepare_nothing,
	.run = run_guest,
};

static const struct actuator *const actuators[_STEP_KIND_MAX] = {
	[STEP_PACKAGE] = &actuator_package,	  [STEP_BOOT_DEFAULT] = &actuator_boot,
	[STEP_BOOT_ARG] = &actuator_boot,	  [STEP_SERVICE] = &actuator_service,
	[STEP_IRQBALANCE] = &actuator_irqbalance, [STEP_KERNEL_FILE] = &actuator_kernel_file,
	[STEP_HUGEPAGES] = &actuator_hugepages,	  [STEP_MOUNT] = &actuator_mount,
	[STEP_THREAD] = &actuator_thread,	  [STEP_IRQ] = &actuator_irq,
	[STEP_FORWARD] = &actuator_guest,	  [STEP_GUEST_STOP] = &actuator_guest,
	[STEP_GUEST_LAUNCH] = &actuator_guest,	  [STEP_GUEST_DOCUMENT] = &actuator_guest,
	/* STEP_REBOOT is the caller's, after consent */
};

static const char *const result_names[_STEP_RESULT_MAX] = {
	[STEP_DONE] = "done",	  [STEP_UNCHANGED] = "unchanged", [STEP_REFUSED] = "refused",
	[STEP_FAILED] = "failed", [STEP_SKIPPED] = "skipped",
};

const char *step_result_name(enum step_result r)
{
	return (size_t)r < _STEP_RESULT_MAX ? result_names[r] : "?";
}

void outcomes_free(struct outcome *outcomes, size_t n)
{
	for (size_t i = 0; outcomes && i < n; i++)
		error_clear(&outcomes[i].error);
	free(outcomes);
}

static enum step_result classify(const struct actuator *actuator, int r)
{
	if (r > 0)
		return STEP_DONE;
	if (r == 0)
		return STEP_UNCHANGED;
	if (r == -ECANCELED)
		return STEP_SKIPPED;
	return actuator->kernel && errno_class(r) == ERRNO_REFUSED ? STEP_REFUSED : STEP_FAILED;
}

/* A step whose target cannot even be read has failed here, and is not run. */
static int prepare_all(struct actuation *a, struct outcome *outcomes, struct error *e)
{
	const struct plan *p = a->plan;

	for (size_t i = 0; i < p->n_steps; i++) {
		const struct actuator *actuator = actuators[p->steps[i].kind];
		int r = actuator ? actuator->prepare(a, &p->steps[i], &outcomes[i].error) : 0;

		if (r < 0)
			outcomes[i].result = classify(actuator, r);
		else
			error_clear(&outcomes[i].error); /* a try that a later one mended */
	}
	/* To act is to take a pending revert back. */
	if (p->n_steps && originals_set_reverting(&a->originals, false) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	return originals_flush(&a->originals, e);
}

static void run_one(struct actuation *a, const struct step *s, struct outcome *outcome)
{
	const struct actuator *actuator = actuators[s->kind];

	if (outcome->error.code < 0)
		return;
	if (!actuator) {
		error_set(&outcome->error, -ECANCELED, "left to the caller");
		outcome->result = STEP_SKIPPED;
		return;
	}
	outcome->result = classify(actuator, actuator->run(a, s, &outcome->error));
	if (outcome->result == STEP_DONE || outcome->result == STEP_UNCHANGED)
		error_clear(&outcome->error);
}

static int note(struct refusals *refusals, const struct step *s, const struct outcome *outcome)
{
	if (outcome->result == STEP_SKIPPED)
		return 0;
	return refusals_note(refusals, s, outcome->error.code < 0 ? &outcome->error : NULL);
}

static int run_all(struct actuation *a, progress_fn progress, void *userdata,
		   struct outcome *outcomes, struct error *e)
{
	_cleanup_refusals_ struct refusals refusals = { 0 };
	const struct plan *p = a->plan;
	int n_failed = 0, r = refusals_load(&refusals);

	for (size_t i = 0; r >= 0 && i < p->n_steps; i++) {
		const struct step *s = &p->steps[i];

		if (progress)
			progress(s, i, p->n_steps, NULL, userdata);
		run_one(a, s, &outcomes[i]);
		if (progress)
			progress(s, i, p->n_steps, &outcomes[i], userdata);
		n_failed += outcomes[i].result == STEP_FAILED;
		r = note(&refusals, s, &outcomes[i]);
	}
	if (r < 0)
		return error_set(e, r, "cannot remember what failed: %s", strerror(-r));
	r = refusals_flush(&refusals, e);
	return r < 0 ? r : n_failed;
}

static void actuation_done(struct actuation *a)
{
	originals_done(&a->originals);
	error_clear(&a->boot_error);
	free(a->boot_before);
}

int plan_execute(const struct plan *p, step_fn guests, progress_fn progress, void *userdata,
		 struct outcome **ret_outcomes, struct error *e)
{
	_cleanup_(actuation_done) struct actuation a = { .plan = p, .guests = guests };
	struct outcome *outcomes = calloc(p->n_steps + 1, sizeof(*outcomes));
	int r;

	if (!outcomes)
		return error_set(e, -ENOMEM, "out of memory");
	r = originals_load(&a.originals, e);
	if (r >= 0)
		r = prepare_all(&a, outcomes, e);
	if (r >= 0)
		r = run_all(&a, progress, userdata, outcomes, e);
	if (r < 0)
		outcomes_free(outcomes, p->n_steps);
	else
		*ret_outcomes = outcomes;
	return r;
}

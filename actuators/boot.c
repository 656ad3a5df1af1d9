/*
 * STEP_BOOT_ARG and STEP_BOOT_DEFAULT: one transaction for all of them, run by the first. The
 * drop-in is rendered from the plan's whole intent, update-grub runs once, and the entry that the
 * next boot takes is read back; when it is not what was intended, the drop-in is put back as it was
 * and update-grub runs again.
 *
 * When a package is installed first, the drop-in is there before its hooks run update-grub.
 *
 * Whoever is killed between two of these leaves a drop-in that update-grub has not seen: the next
 * apply finds the entry different from the intent and goes on from there.
 */
#include <errno.h>

#include "actuators/actuation.h"
#include "actuators/grub_files.h"
#include "state/cmdline.h"

static int prepare(struct actuation *a, const struct step *s, struct error *e)
{
	int r = grub_keep_originals(&a->originals, e);

	(void)s;
	if (r < 0)
		return r;
	r = originals_set_boot_owners(&a->originals, &a->plan->boot);
	return r < 0 ? error_set(e, r, "out of memory") : 0;
}

static void roll_back(const char *before, struct error *e)
{
	_cleanup_error_ struct error why = { 0 };

	if (grub_write_drop_in(before, &why) < 0 || grub_update(&why) < 0)
		error_prefix(e, "the boot files could not be put back as they were (%s)",
			     why.what ? why.what : "?");
}

/* The drop-in as the plan wants it; what it was before is kept for roll_back(). */
static int write_drop_in(struct actuation *a, struct error *e)
{
	struct arena arena = { 0 };
	const struct boot_intent *b = &a->plan->boot;
	char *text;
	int r = grub_check_sources(b, e);

	if (r < 0 || a->boot_staged)
		return r;
	r = grub_read_drop_in(&a->boot_before, e);
	if (r < 0)
		return r;
	text = boot_drop_in_render(&arena, b);
	if (!text && (b->n_args || b->default_entry))
		r = error_set(e, -ENOMEM, "out of memory");
	else
		r = grub_write_drop_in(text, e);
	arena_free(&arena);
	if (r < 0)
		return r;
	a->boot_staged = true;
	a->boot_written = r > 0;
	return 0;
}

static bool is_boot_step(const struct step *s)
{
	return s->kind == STEP_BOOT_ARG || s->kind == STEP_BOOT_DEFAULT;
}

int boot_stage(struct actuation *a, struct error *e)
{
	for (size_t i = 0; i < a->plan->n_steps; i++)
		if (is_boot_step(&a->plan->steps[i]))
			return write_drop_in(a, e);
	return 0;
}

/* A removed argument leaves no trace in the intent, so that takes a new rendering in any case. */
static bool removes_something(const struct plan *p)
{
	for (size_t i = 0; i < p->n_steps; i++)
		if (is_boot_step(&p->steps[i]) && !p->steps[i].want)
			return true;
	return false;
}

static int change(struct actuation *a, struct error *e)
{
	bool rendered = a->boot_staged; /* by the package's hooks */
	int r = write_drop_in(a, e);

	if (r < 0)
		return r;
	if ((rendered || !a->boot_written) && !removes_something(a->plan) &&
	    grub_check(&a->plan->boot, NULL, NULL) == 0)
		return a->boot_written;
	r = grub_update(e);
	if (r == 0)
		r = grub_check(&a->plan->boot, &a->boot_culprit, e);
	if (r == 0)
		return 1;
	if (a->boot_written)
		roll_back(a->boot_before, e);
	return r;
}

/* The failure is told once: at the step whose key is wrong, or at the first one. */
static const struct step *blamed(const struct actuation *a)
{
	const struct step *first = NULL;

	for (size_t i = 0; i < a->plan->n_steps; i++) {
		const struct step *s = &a->plan->steps[i];

		if (!is_boot_step(s))
			continue;
		if (s->kind == STEP_BOOT_ARG && a->boot_culprit &&
		    cmdline_key_equal(s->target, a->boot_culprit))
			return s;
		if (!first)
			first = s;
	}
	return first;
}

static int run_step(struct actuation *a, const struct step *s, struct error *e)
{
	if (!a->boot_ran)
		a->boot_result = change(a, &a->boot_error);
	a->boot_ran = true;
	if (a->boot_result >= 0)
		return a->boot_result;
	if (s == blamed(a))
		return error_move(e, &a->boot_error);
	return error_set(e, -ECANCELED, "the boot files were left as they were: see %s",
			 blamed(a)->target);
}

const struct actuator actuator_boot = {
	.prepare = prepare,
	.run = run_step,
};

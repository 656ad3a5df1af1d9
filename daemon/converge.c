/*
 * Rounds: a step may uncover others (an installed kernel can only then become the default entry),
 * so the machine is looked at again after each execution. A round ends the loop when it left the
 * plan as it was: what failed once with nothing else changed fails again.
 *
 * A guest takes rounds of its own: its threads can be pinned only when a look has found them, after
 * the launch.
 *
 * The lock is taken when there is something to do and not before, so that an apply on a converged
 * machine writes nothing at all; the look before the lock is then stale and is taken again.
 */
#include "daemon/converge.h"

#include <errno.h>

#include "guest/step.h"

void convergence_done(struct convergence *c)
{
	plan_done(&c->plan);
	look_done(&c->look);
}

bool step_consented(const struct step *step, unsigned allow)
{
	switch (step->disruption) {
	case DISRUPTION_NONE:
	case DISRUPTION_IRQ_RESHUFFLE:
		return true;
	case DISRUPTION_REBOOT:
		return step->kind != STEP_REBOOT; /* boot files disturb nothing by themselves */
	case DISRUPTION_SERVICE_RESTART:
		return step->kind == STEP_SERVICE || (allow & (1U << DISRUPTION_SERVICE_RESTART));
	default:
		return allow & (1U << step->disruption);
	}
}

bool step_of_runtime(const struct step *step)
{
	switch (step->kind) {
	case STEP_PACKAGE:
	case STEP_BOOT_DEFAULT:
	case STEP_BOOT_ARG:
	case STEP_GUEST_STOP:
	case STEP_GUEST_LAUNCH:
	case STEP_REBOOT:
		return false;
	case STEP_GUEST_DOCUMENT:
		return !step->reboot;
	default:
		return true;
	}
}

void plan_keep_runtime(struct plan *p)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n_steps; i++)
		if (step_of_runtime(&p->steps[i]))
			p->steps[n++] = p->steps[i];
	p->n_steps = n;
	p->needs_reboot = p->drops_running_args = false;
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? streq(a, b) : a == b;
}

bool plan_same_steps(const struct plan *a, const struct plan *b)
{
	if (a->n_steps != b->n_steps)
		return false;
	for (size_t i = 0; i < a->n_steps; i++) {
		const struct step *x = &a->steps[i], *y = &b->steps[i];

		if (x->kind != y->kind || x->number != y->number ||
		    !same_text(x->target, y->target) || !same_text(x->want, y->want) ||
		    !same_text(x->now, y->now))
			return false;
	}
	return true;
}

size_t plan_n_actions(const struct plan *p)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n_steps; i++)
		n += p->steps[i].kind != STEP_REBOOT;
	return n;
}

bool plan_boot_ready(const struct plan *p)
{
	for (size_t i = 0; i < p->n_steps; i++)
		switch (p->steps[i].kind) {
		case STEP_PACKAGE:
		case STEP_BOOT_DEFAULT:
		case STEP_BOOT_ARG:
			return false;
		default:
			break;
		}
	return true;
}

/* Runs the steps of @p that may run. Returns how many there were. */
static int execute_consented(const struct plan *p, unsigned allow, const struct converge_ops *ops,
			     struct error *e)
{
	_cleanup_free_ struct step *steps = calloc(p->n_steps, sizeof(*steps));
	struct outcome *outcomes = NULL;
	struct plan part = *p;
	size_t n = 0;
	int r;

	if (!steps)
		return error_set(e, -ENOMEM, "out of memory while preparing the steps");
	for (size_t i = 0; i < p->n_steps; i++)
		if (step_consented(&p->steps[i], allow))
			steps[n++] = p->steps[i];
		else if (p->steps[i].kind != STEP_REBOOT && ops->withheld)
			ops->withheld(&p->steps[i], ops->userdata);
	if (n == 0)
		return 0;
	part.steps = steps;
	part.n_steps = n;
	part.needs_reboot = false;
	r = plan_execute(&part, guest_step, ops->progress, ops->userdata, &outcomes, e);
	if (r < 0)
		return r;
	outcomes_free(outcomes, n);
	return (int)n;
}

static int look_and_plan(const struct sysroot *root, struct desired *d, unsigned allow,
			 struct convergence *ret, struct error *e)
{
	struct convergence c = { 0 };
	int r;

	r = look_take(root, d, &c.look, e);
	if (r < 0)
		return r;
	r = plan_make(d, &c.look.observed, &c.plan);
	if (r < 0) {
		look_done(&c.look);
		return error_set(e, r, "out of memory while planning");
	}
	if (allow & ALLOW_RUNTIME_ONLY)
		plan_keep_runtime(&c.plan);
	c.rounds = ret->rounds;
	convergence_done(ret);
	*ret = c;
	return 0;
}

static int run_rounds(const struct sysroot *root, struct desired *d, unsigned allow,
		      const struct converge_ops *ops, struct convergence *c, struct error *e)
{
	while (c->rounds < CONVERGE_ROUNDS && plan_n_actions(&c->plan) > 0) {
		struct plan before;
		bool same;
		int r;

		if (ops->planned)
			ops->planned(&c->plan, c->rounds, ops->userdata);
		r = execute_consented(&c->plan, allow, ops, e);
		if (r <= 0)
			return r;
		c->rounds++;
		before = c->plan;
		c->plan = (struct plan){ 0 };
		r = look_and_plan(root, d, allow, c, e);
		same = r == 0 && plan_same_steps(&before, &c->plan);
		/* Once the arguments are out of the boot entry nothing shows that the running
		 * kernel has them only from us. */
		if (r == 0 && before.drops_running_args)
			c->plan.needs_reboot = c->plan.drops_running_args = true;
		plan_done(&before);
		if (r < 0 || same)
			return r;
	}
	return 0;
}

int converge(const struct sysroot *root, struct desired *d, unsigned allow,
	     const struct converge_ops *ops, struct convergence *ret, struct error *e)
{
	_cleanup_convergence_ struct convergence c = { 0 };
	_cleanup_close_ int lock = -1;
	int r;

	r = look_and_plan(root, d, allow, &c, e);
	if (r < 0)
		return r;
	if (plan_n_actions(&c.plan) > 0) {
		lock = machine_lock(e);
		if (lock < 0)
			return lock;
		r = look_and_plan(root, d, allow, &c, e);
		if (r >= 0)
			r = run_rounds(root, d, allow, ops, &c, e);
		if (r < 0)
			return r;
	}
	*ret = c;
	c = (struct convergence){ 0 };
	return 0;
}

/*
 * apply: the engine is daemon/converge.c; here is what a person sees of it, the consent, and the
 * reboot, which comes only when the boot configuration is really as the document wants it.
 */
#include "ctl/ctl.h"

#include <errno.h>

#include "daemon/applied.h"
#include "daemon/converge.h"

struct applying {
	struct ctl *ctl;
	struct progress progress;
	int table_result;
};

static void show_plan(const struct plan *p, unsigned round, void *userdata)
{
	struct applying *a = userdata;

	progress_clear(&a->progress);
	if (a->ctl->quiet || a->ctl->json)
		return;
	if (round > 0)
		printf("%zu steps after that\n", plan_n_actions(p));
	else
		a->table_result = print_steps(p, NULL);
	printf("\n");
	fflush(stdout);
}

static void show_withheld(const struct step *step, void *userdata)
{
	struct applying *a = userdata;
	_cleanup_free_ char *text = step_text(step);

	progress_clear(&a->progress);
	fprintf(stderr, "left out: ");
	print_text(stderr, text ? text : "a step");
	fprintf(stderr, "\n  → it is a %s: allow it with --allow %s\n",
		disruption_name(step->disruption), disruption_name(step->disruption));
}

static void show_step(const struct step *step, size_t index, size_t n,
		      const struct outcome *outcome, void *userdata)
{
	struct applying *a = userdata;

	progress_step(step, index, n, outcome, &a->progress);
}

/* Reboots if that is wanted and of use. Returns 1 when a reboot is on its way. */
static int maybe_reboot(const struct ctl *c, const struct desired *d, const struct convergence *v,
			struct error *e)
{
	bool asked = c->reboot || d->reboot_policy == REBOOT_AUTOMATIC;
	int r;

	if (!v->plan.needs_reboot || !asked)
		return 0;
	if (!plan_boot_ready(&v->plan)) {
		fprintf(stderr, "latencyctl: not rebooting: the boot configuration is not yet as "
				"the document wants it\n");
		return 0;
	}
	if (d->reboot_policy == REBOOT_MANUAL) {
		fprintf(stderr, "latencyctl: not rebooting: the document says "
				"\"reboot: {policy: manual}\"\n  → reboot this machine yourself\n");
		return 0;
	}
	r = reboot_machine(e);
	if (r < 0)
		return r;
	if (!c->quiet)
		fprintf(stderr, "rebooting\n");
	return 1;
}

static int print_result(const struct ctl *c, const struct desired *d, const struct convergence *v,
			struct error *e)
{
	if (c->json)
		return print_json(status_json(d, &v->look, NULL), e);
	if (c->quiet)
		return 0;
	if (v->rounds == 0)
		printf("nothing to do%s%s\n", c->runtime ? " at run time" : "",
		       v->plan.needs_reboot ? " but a reboot" : "");
	print_verdict(d, &v->look.report, NULL);
	if (v->plan.needs_reboot && plan_boot_ready(&v->plan) &&
	    v->look.report.verdict != MACHINE_PENDING_REBOOT)
		printf("  → a reboot is needed: latencyctl apply --reboot\n");
	fflush(stdout);
	return 0;
}

int command_apply(struct ctl *c, struct error *e)
{
	struct applying a = { .ctl = c, .progress.quiet = c->quiet };
	const struct converge_ops ops = {
		.planned = show_plan,
		.withheld = show_withheld,
		.progress = show_step,
		.userdata = &a,
	};
	_cleanup_convergence_ struct convergence v = { 0 };
	_cleanup_desired_ struct desired d = { 0 };
	unsigned allow = c->allow | (c->runtime ? ALLOW_RUNTIME_ONLY : 0);
	int r;

	if (c->runtime && c->reboot)
		return ctl_usage("leave one of them out",
				 "--runtime and --reboot exclude each other");
	r = ctl_document(c, true, &d, e);
	if (r >= 0)
		r = converge(&c->root, &d, allow, &ops, &v, e);
	progress_clear(&a.progress);
	if (r >= 0)
		r = a.table_result;
	if (r >= 0)
		r = print_result(c, &d, &v, e);
	if (r < 0)
		return r;
	/* What latencyd may take up by itself from now on: on a machine that was right already, and
	 * for guests, no original remembers it. */
	r = applied_mark(d.digest, e);
	if (r < 0)
		return r;
	ctl_refresh_daemon(); /* the document may have changed where the machine did not */
	r = maybe_reboot(c, &d, &v, e);
	return r < 0 ? r : machine_verdict_exit_code(report_worst(&v.look.report));
}

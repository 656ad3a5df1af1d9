/*
 * revert: back to what the machine was before the first apply, or what one setting changed.
 */
#include "ctl/ctl.h"

#include <errno.h>

#include <jansson.h>

#include "actuators/execute.h"
#include "state/settings.h"
#include "daemon/applied.h"
#include "guest/files.h"
#include "guest/step.h"

static int print_result(const struct ctl *c, bool needs_reboot, struct error *e)
{
	if (c->json)
		return print_json(
			json_pack("{s:i, s:b}", "version", 1, "needs_reboot", needs_reboot), e);
	if (c->quiet)
		return 0;
	if (needs_reboot)
		printf("reverted as far as the running kernel allows; a reboot does the rest\n%s",
		       c->reboot ? "" : "  → latencyctl revert --reboot\n");
	else
		printf("reverted: the machine is as it was before the first apply\n");
	return 0;
}

static int print_setting_result(const struct ctl *c, int needs_reboot, struct error *e)
{
	if (c->json)
		return print_result(c, needs_reboot, e);
	if (c->quiet)
		return 0;
	printf("reverted %s%s\n", c->args[0],
	       needs_reboot ? "; the running kernel follows with the next reboot" : "");
	printf("  → set it to `unmanaged` in the document, or the next apply sets it again\n");
	return 0;
}

/* What apply did for guests has no originals: our firewall rules go, and latencyd takes nothing up
 * by itself any more. Guests that run go on running. */
static int forget_guests(struct error *e)
{
	int r = applied_forget(e);

	return r < 0 || !forwards_marked() ? r : guest_forwards_set(NULL, e);
}

/* Nothing kept means nothing changed: no lock, no write. Returns 1 when there is something. */
static int anything_to_revert(const struct ctl *c, struct error *e)
{
	int r = originals_exist(NULL);

	if (r == 0)
		r = applied_to_machine();

	if (r < 0)
		return error_set(e, r, "cannot read the kept originals: %s", strerror(-r));
	if (r == 0 && c->json)
		return print_result(c, false, e);
	if (r == 0 && !c->quiet)
		printf("nothing to revert: latencyd has not changed this machine\n");
	return r;
}

/* What waited for the reboot: latencyd starts it after each boot until all is undone. */
static int finish_revert(const struct ctl *c, struct error *e)
{
	_cleanup_close_ int lock = -1;
	bool reverting = false;
	int r, needs_reboot;

	if (c->n_args || c->reboot)
		return ctl_usage("leave it out",
				 "revert --resume takes no setting and no --reboot");
	r = originals_exist(&reverting);
	if (r < 0)
		return error_set(e, r, "cannot read the kept originals: %s", strerror(-r));
	if (!reverting) {
		if (!c->quiet)
			printf("no revert waits to be finished\n");
		return 0;
	}
	lock = machine_lock(e);
	if (lock < 0)
		return lock;
	needs_reboot = revert_resume(e);
	if (needs_reboot < 0)
		return needs_reboot;
	r = print_result(c, needs_reboot, e);
	return r < 0 ? r : needs_reboot ? EXIT_PENDING_REBOOT : 0;
}

int command_revert(struct ctl *c, struct error *e)
{
	const char *setting = c->n_args ? c->args[0] : NULL;
	struct progress progress = { .quiet = c->quiet };
	_cleanup_close_ int lock = -1;
	int r, needs_reboot;

	if (c->finish)
		return finish_revert(c, e);
	if (setting && !setting_by_name(setting))
		return ctl_usage("latencyctl explain lists the settings",
				 "there is no setting \"%s\"", setting);
	r = anything_to_revert(c, e);
	if (r <= 0)
		return r;
	lock = machine_lock(e);
	if (lock < 0)
		return lock;
	needs_reboot = revert_all(setting, progress_step, &progress, e);
	progress_clear(&progress);
	ctl_refresh_daemon();
	if (needs_reboot < 0)
		return needs_reboot;
	r = setting ? 0 : forget_guests(e);
	if (r < 0)
		return r;
	r = setting ? print_setting_result(c, needs_reboot, e) : print_result(c, needs_reboot, e);
	if (r >= 0 && needs_reboot && c->reboot) {
		fflush(stdout);
		r = reboot_machine(e);
	}
	return r < 0 ? r : needs_reboot ? EXIT_PENDING_REBOOT : 0;
}

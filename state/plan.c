/*
 * plan_make(): the boot arguments of all rows against the next boot's entry, then each row's
 * run-time steps, sorted by kind. A step exists only where judge() sees a difference, so a
 * converged machine gives an empty plan.
 */
#include "state/plan.h"

#include <errno.h>

#include "state/boot.h"
#include "state/guest_row.h"
#include "state/row.h"

static const char *const step_kind_names[_STEP_KIND_MAX] = {
	[STEP_PACKAGE] = "package",
	[STEP_BOOT_DEFAULT] = "boot-default",
	[STEP_BOOT_ARG] = "boot-arg",
	[STEP_SERVICE] = "service",
	[STEP_IRQBALANCE] = "irqbalance",
	[STEP_KERNEL_FILE] = "kernel-file",
	[STEP_HUGEPAGES] = "hugepages",
	[STEP_MOUNT] = "mount",
	[STEP_THREAD] = "thread",
	[STEP_IRQ] = "irq",
	[STEP_FORWARD] = "forward",
	[STEP_GUEST_STOP] = "guest-stop",
	[STEP_GUEST_LAUNCH] = "guest-launch",
	[STEP_GUEST_DOCUMENT] = "guest-document",
	[STEP_REBOOT] = "reboot",
};

static const char *const disruption_names[_DISRUPTION_MAX] = {
	[DISRUPTION_NONE] = "none",
	[DISRUPTION_IRQ_RESHUFFLE] = "irq-reshuffle",
	[DISRUPTION_NIC_RESET] = "nic-reset",
	[DISRUPTION_SERVICE_RESTART] = "service-restart",
	[DISRUPTION_GUEST_RESTART] = "guest-restart",
	[DISRUPTION_REBOOT] = "reboot",
};

/* What carrying out the step itself does to a running workload. Boot files disturb nothing: the
 * reboot that makes them true is a step of its own. */
static const enum disruption step_disruptions[_STEP_KIND_MAX] = {
	[STEP_SERVICE] = DISRUPTION_SERVICE_RESTART,
	[STEP_IRQ] = DISRUPTION_IRQ_RESHUFFLE,
	[STEP_GUEST_STOP] = DISRUPTION_GUEST_RESTART,
	[STEP_REBOOT] = DISRUPTION_REBOOT,
};

const char *step_kind_name(enum step_kind k)
{
	return (size_t)k < _STEP_KIND_MAX ? step_kind_names[k] : "?";
}

const char *disruption_name(enum disruption d)
{
	return (size_t)d < _DISRUPTION_MAX ? disruption_names[d] : "?";
}

void plan_done(struct plan *p)
{
	if (!p)
		return;
	arena_free(&p->arena);
	*p = (struct plan){ 0 };
}

struct step *plan_step(struct plan *p, const struct setting *s, enum step_kind kind,
		       const char *target, const char *now, const char *want)
{
	struct step *step = arena_grow(&p->arena, &p->steps, &p->n_steps, sizeof(*p->steps));

	if (!step)
		return NULL;
	step->kind = kind;
	step->setting = s;
	step->disruption = step_disruptions[kind];
	step->name = "";
	step->target = arena_strdup(&p->arena, target);
	step->now = now ? arena_strdup(&p->arena, now) : NULL;
	step->want = want ? arena_strdup(&p->arena, want) : NULL;
	if (!step->target || (now && !step->now) || (want && !step->want))
		return NULL;
	return step;
}

/* A boot-arg step for the key; *now and *want are "" where there is none. */
static int boot_arg_step(struct plan *p, const struct setting *s, const struct boot_view *view,
			 const char *key)
{
	const char *now = boot_key_text(&p->arena, view->next.args, view->next.n_args, key);
	const char *want = boot_key_text(&p->arena, p->boot.args, p->boot.n_args, key);

	if (!now || !want)
		return -ENOMEM;
	return plan_step(p, s, STEP_BOOT_ARG, key, *now ? now : NULL, *want ? want : NULL)
		       ? 0
		       : -ENOMEM;
}

/* Every row's arguments, less those that a file of the administrator's sets. */
static int gather_intent(const struct desired *d, const struct observed *o,
			 const struct boot_view *view, struct plan *p)
{
	struct boot_intent all = { 0 };

	for (size_t i = 0; i < n_settings; i++) {
		int r = 0;

		if (d->values[i] && settings[i]->intent && setting_applies(settings[i], d))
			r = settings[i]->intent(settings[i], d->values[i], d, o, &p->arena, &all);
		if (r < 0)
			return r;
	}
	p->boot.default_entry = all.default_entry;
	for (size_t i = 0; i < all.n_args; i++) {
		const struct cmdline_arg *arg = &all.args[i];
		const char *source;
		int r;

		(void)boot_key_state(view, &all, o, arg->key, &source);
		if (source)
			continue;
		r = boot_intent_add(&p->arena, &p->boot, all.owners[i], arg->key, arg->value);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Arguments of an earlier document that are still in our drop-in. */
static int plan_removals(const struct boot_view *view, struct plan *p)
{
	for (size_t i = 0; i < view->ours.n_args; i++) {
		const char *key = view->ours.args[i].key;
		bool wanted = false, seen = false;

		for (size_t j = 0; j < p->boot.n_args; j++)
			wanted |= cmdline_key_equal(p->boot.args[j].key, key);
		for (size_t j = 0; j < i; j++)
			seen |= cmdline_key_equal(view->ours.args[j].key, key);
		if (!wanted && !seen && boot_arg_step(p, NULL, view, key) < 0)
			return -ENOMEM;
	}
	return 0;
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? streq(a, b) : a == b;
}

static int plan_boot(const struct desired *d, const struct observed *o,
		     const struct boot_view *view, struct plan *p)
{
	int r = gather_intent(d, o, view, p);

	if (r < 0 || !view->known)
		return r;
	/* As the row judges it: what counts is the entry that the next boot takes. */
	if (p->boot.default_entry ? !same_text(p->boot.default_entry, o->boot.next_entry_id)
				  : view->ours_default != NULL) {
		if (!plan_step(p, setting_by_name("kernel"), STEP_BOOT_DEFAULT, "GRUB_DEFAULT",
			       o->boot.next_entry_id, p->boot.default_entry))
			return -ENOMEM;
	}
	for (size_t i = 0; i < p->boot.n_args; i++) {
		if (!boot_first_of_key(&p->boot, i) ||
		    boot_key_state(view, &p->boot, o, p->boot.args[i].key, NULL) == BOOT_KEY_OK)
			continue;
		r = boot_arg_step(p, p->boot.owners[i], view, p->boot.args[i].key);
		if (r < 0)
			return r;
	}
	return plan_removals(view, p);
}

/* A removed argument that the running kernel still has goes away with the next boot. */
static bool removal_needs_boot(const struct observed *o, const struct plan *p)
{
	_cleanup_cmdline_ struct cmdline running = { 0 };

	if (!fact_known(&o->cmdline) || cmdline_parse(o->cmdline.text, &running) < 0)
		return false;
	for (size_t i = 0; i < p->n_steps; i++)
		if (p->steps[i].kind == STEP_BOOT_ARG && !p->steps[i].want &&
		    cmdline_get(&running, p->steps[i].target))
			return true;
	return false;
}

static int plan_reboot(const struct desired *d, const struct observed *o, struct plan *p)
{
	_cleanup_report_ struct report r = { 0 };
	int k = judge(d, o, &r);

	if (k < 0)
		return k;
	p->drops_running_args = removal_needs_boot(o, p);
	p->needs_reboot = p->drops_running_args;
	for (size_t i = 0; i < r.n_settings; i++)
		p->needs_reboot |= r.settings[i].needs_boot &&
				   (r.settings[i].verdict == VERDICT_PENDING_REBOOT ||
				    r.settings[i].verdict == VERDICT_DRIFTED ||
				    r.settings[i].verdict == VERDICT_FAILED);
	if (!p->needs_reboot)
		return 0;
	return plan_step(p, NULL, STEP_REBOOT, "this machine", NULL, NULL) ? 0 : -ENOMEM;
}

static int plan_guests(const struct desired *d, const struct observed *o, struct plan *p)
{
	for (size_t i = 0; i < d->n_guests; i++)
		for (size_t k = 0; k < n_guest_settings; k++) {
			const struct setting *s = guest_settings[k];
			int r = s->plan ? s->plan(s, &d->guests[i], d, o, p) : 0;

			if (r < 0)
				return r;
		}
	return plan_forwards(d, o, p);
}

/* A guest that is started now would not outlive the reboot that the host still needs. */
static void put_off_launches(struct plan *p)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n_steps; i++)
		if (p->steps[i].kind != STEP_GUEST_LAUNCH && p->steps[i].kind != STEP_GUEST_STOP)
			p->steps[n++] = p->steps[i];
	p->n_steps = n;
}

/* Stable: within a kind the rows' own order stays. */
static int sort_steps(struct plan *p)
{
	struct step *sorted = arena_alloc(&p->arena, p->n_steps * sizeof(*sorted));
	size_t n = 0;

	if (!sorted)
		return -ENOMEM;
	for (int kind = 0; kind < _STEP_KIND_MAX; kind++)
		for (size_t i = 0; i < p->n_steps; i++)
			if (p->steps[i].kind == (enum step_kind)kind)
				sorted[n++] = p->steps[i];
	p->steps = sorted;
	return 0;
}

int plan_make(const struct desired *d, const struct observed *o, struct plan *ret)
{
	_cleanup_boot_view_ struct boot_view view = { 0 };
	_cleanup_(plan_done) struct plan p = { 0 };
	int r = boot_view_init(o, &view);

	if (r >= 0 && !d->boot_by_host && !d->no_machine)
		r = plan_boot(d, o, &view, &p);
	for (size_t i = 0; r >= 0 && i < n_settings; i++)
		if (d->values[i] && settings[i]->plan && setting_applies(settings[i], d))
			r = settings[i]->plan(settings[i], d->values[i], d, o, &p);
	if (r >= 0)
		r = plan_guests(d, o, &p);
	if (r >= 0)
		r = plan_reboot(d, o, &p);
	if (p.needs_reboot)
		put_off_launches(&p);
	if (r >= 0)
		r = sort_steps(&p);
	if (r < 0)
		return r;
	*ret = p;
	p = (struct plan){ 0 };
	return 0;
}

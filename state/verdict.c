/*
 * judge(): each managed row judges the running machine; then the next boot's entry is held against
 * the row's boot arguments and settles the verdict:
 *
 *	running  next boot      verdict
 *	right    right          converged
 *	right    lacks it       drifted (the next boot would lose it)
 *	wrong    right          pending-reboot if only a boot can mend it, else drifted; but
 *				unfixable if the running kernel was booted with just that
 *	wrong    lacks it       drifted
 *	any      foreign key    drifted, naming the file
 *	right    cannot tell    unknown
 *
 * What a step failed at in this boot turns drift into failed, with the kernel's own reason.
 */
#include "state/verdict.h"

#include <errno.h>

#include "state/boot.h"
#include "state/row.h"
#include "state/verdict_guests.h"

static const char *const verdict_names[_VERDICT_MAX] = {
	[VERDICT_CONVERGED] = "converged",
	[VERDICT_DRIFTED] = "drifted",
	[VERDICT_PENDING_REBOOT] = "pending-reboot",
	[VERDICT_UNFIXABLE] = "unfixable",
	[VERDICT_CONTESTED] = "contested",
	[VERDICT_FAILED] = "failed",
	[VERDICT_UNKNOWN] = "unknown",
	[VERDICT_NOT_APPLICABLE] = "not-applicable",
	[VERDICT_UNMANAGED] = "unmanaged",
};

static const struct {
	const char *name;
	int exit_code;
} machine_verdicts[_MACHINE_VERDICT_MAX] = {
	[MACHINE_VERIFIED] = { .name = "verified", .exit_code = 0 },
	[MACHINE_DRIFTED] = { .name = "drifted", .exit_code = 3 },
	[MACHINE_PENDING_REBOOT] = { .name = "pending-reboot", .exit_code = 4 },
	[MACHINE_DEGRADED] = { .name = "degraded", .exit_code = 5 },
	[MACHINE_UNKNOWN] = { .name = "unknown", .exit_code = 5 },
};

const char *verdict_name(enum verdict v)
{
	return (size_t)v < _VERDICT_MAX ? verdict_names[v] : "?";
}

const char *machine_verdict_name(enum machine_verdict v)
{
	return (size_t)v < _MACHINE_VERDICT_MAX ? machine_verdicts[v].name : "?";
}

int machine_verdict_from_name(const char *name)
{
	for (int i = 0; i < _MACHINE_VERDICT_MAX; i++)
		if (streq(machine_verdicts[i].name, name))
			return i;
	return -EINVAL;
}

int machine_verdict_exit_code(enum machine_verdict v)
{
	return machine_verdicts[v].exit_code;
}

void report_done(struct report *r)
{
	if (!r)
		return;
	arena_free(&r->arena);
	*r = (struct report){ 0 };
}

/* The items carry every value; as evidence a few of two thousand IRQs' files are enough. */
#define EVIDENCE_MAX 16

int verdict_evidence(struct report *r, struct setting_verdict *v, const struct fact *f)
{
	struct evidence *e;

	if (!f->path || v->n_evidence == EVIDENCE_MAX)
		return 0;
	for (size_t i = 0; i < v->n_evidence; i++)
		if (streq(v->evidence[i].path, f->path))
			return 0;
	e = arena_grow(&r->arena, &v->evidence, &v->n_evidence, sizeof(*v->evidence));
	if (!e)
		return -ENOMEM;
	e->path = f->path;
	e->value = fact_show(&r->arena, f);
	return e->value ? 0 : -ENOMEM;
}

struct verdict_item *verdict_item_add(struct report *r, struct setting_verdict *v)
{
	return arena_grow(&r->arena, &v->items, &v->n_items, sizeof(*v->items));
}

/* What the next boot has of this row's keys, as text; and the worst of the keys' states. */
static int look_at_next_boot(const struct boot_view *view, const struct boot_intent *b,
			     const struct observed *o, struct report *r, struct setting_verdict *v,
			     enum boot_key *ret_worst, const char **ret_key,
			     const char **ret_source)
{
	*ret_worst = BOOT_KEY_OK;
	v->next_boot = "";
	for (size_t i = 0; i < b->n_args; i++) {
		const char *key = b->args[i].key, *source, *text;
		enum boot_key state;

		if (!boot_first_of_key(b, i))
			continue;
		text = boot_key_text(&r->arena, view->next.args, view->next.n_args, key);
		v->next_boot = text ? arena_printf(&r->arena, "%s%s%s", v->next_boot,
						   *v->next_boot && *text ? " " : "", text)
				    : NULL;
		if (!v->next_boot)
			return -ENOMEM;
		state = boot_key_state(view, b, o, key, &source);
		if (state <= *ret_worst)
			continue;
		*ret_worst = state;
		*ret_key = key;
		*ret_source = source;
	}
	return 0;
}

#define BOOTED_WITH_ALL                                                                    \
	"%s, although this kernel was booted with all it takes: this kernel, firmware or " \
	"hardware cannot"

/* The next boot has everything that is wanted. *ret_helps: and it is another one than this. */
static int settle_right_boot(const struct boot_view *view, const struct boot_intent *b,
			     const struct observed *o, struct report *r, struct setting_verdict *v,
			     bool *ret_helps)
{
	int k = boot_would_change(view, b, o);

	if (k == -ENOMEM)
		return k;
	*ret_helps = k > 0;
	if (k < 0 && v->verdict == VERDICT_PENDING_REBOOT) {
		v->needs_boot = false;
		return verdict_set(
			r, v, VERDICT_UNKNOWN,
			"%s, and how it was booted cannot be told: %s or %s is not known",
			v->reason, o->cmdline.path, o->kernel_release.path);
	}
	if (k < 0)
		return 0;
	if (k > 0 || v->verdict != VERDICT_PENDING_REBOOT)
		return 0;
	/* Booting the same thing again would only ask for the next reboot. */
	v->needs_boot = false;
	return verdict_set(r, v, VERDICT_UNFIXABLE, BOOTED_WITH_ALL, v->reason);
}

/* No boot loader is asked: the arguments come with the kernel from the guest's host. */
static int settle_boot_by_host(const struct boot_intent *b, const struct observed *o,
			       struct report *r, struct setting_verdict *v)
{
	int k;

	v->needs_boot = false;
	if (v->verdict != VERDICT_PENDING_REBOOT)
		return 0;
	k = boot_runs_all(b, o);
	if (k == -ENOMEM)
		return k;
	if (k > 0)
		return verdict_set(r, v, VERDICT_UNFIXABLE, BOOTED_WITH_ALL, v->reason);
	return verdict_set(r, v, VERDICT_PENDING_REBOOT,
			   "%s: its host gives this guest its boot arguments, apply there",
			   v->reason);
}

static int settle_boot(const struct boot_view *view, const struct boot_intent *b,
		       const struct observed *o, struct report *r, struct setting_verdict *v,
		       bool *ret_helps)
{
	const char *key = NULL, *source = NULL;
	enum boot_key worst;
	int k;

	if (!view->known) {
		const struct fact *f = fact_known(&o->boot.next_cmdline) ? &o->boot.drop_in
									 : &o->boot.next_cmdline;

		v->needs_boot = false; /* nothing we could do before a boot */
		if (v->verdict != VERDICT_CONVERGED && v->verdict != VERDICT_PENDING_REBOOT)
			return 0;
		return verdict_set(
			r, v, VERDICT_UNKNOWN, "cannot tell what the next boot will have: %s is %s",
			f->path ? f->path : "the boot configuration", fact_show(&r->arena, f));
	}
	k = look_at_next_boot(view, b, o, r, v, &worst, &key, &source);
	if (k < 0)
		return k;
	if (worst == BOOT_KEY_OK)
		return settle_right_boot(view, b, o, r, v, ret_helps);
	if (verdict_evidence(r, v, &o->boot.next_cmdline) < 0)
		return -ENOMEM;
	if (v->verdict == VERDICT_UNFIXABLE || v->verdict == VERDICT_UNKNOWN)
		return 0;
	if (worst == BOOT_KEY_CONFLICT) {
		v->needs_boot = false;
		return verdict_set(
			r, v, VERDICT_DRIFTED,
			"%s sets %s= otherwise, or the boot entry has it twice: remove it "
			"there (latencyd never doubles a key) and apply again",
			source, key);
	}
	if (v->verdict == VERDICT_CONVERGED)
		return verdict_set(r, v, VERDICT_DRIFTED, "the next boot would lose it: %s",
				   boot_key_text(&r->arena, b->args, b->n_args, key));
	v->verdict = VERDICT_DRIFTED; /* the reason of the running machine stays */
	return 0;
}

/* An IRQ that cannot be moved is the row's business; any other refusal is a failed step. */
static int settle_refusals(const struct observed *o, struct report *r, struct setting_verdict *v)
{
	if (v->verdict != VERDICT_DRIFTED && v->verdict != VERDICT_PENDING_REBOOT)
		return 0;
	for (size_t i = 0; i < o->n_refusals; i++) {
		const struct observed_refusal *f = &o->refusals[i];
		bool unmovable = after_prefix(f->target, "/proc/irq/") &&
				 (f->error == EIO || f->error == EPERM);

		if (streq(f->setting, v->setting->name) && !unmovable)
			return verdict_set(r, v, VERDICT_FAILED, "%s", f->message);
	}
	return 0;
}

static int judge_setting(const struct setting *s, const void *value, const struct desired *d,
			 const struct observed *o, const struct boot_view *view, struct report *r,
			 struct setting_verdict *v)
{
	struct boot_intent intent = { 0 };
	bool boot_helps = false;
	int k;

	v->verdict = VERDICT_CONVERGED;
	k = s->judge(s, value, d, o, r, v);
	if (k < 0)
		return k;
	if (v->verdict == VERDICT_PENDING_REBOOT)
		v->needs_boot = true;
	if (s->intent) {
		k = s->intent(s, value, d, o, &r->arena, &intent);
		if (k < 0)
			return k;
	}
	if (d->boot_by_host) {
		k = settle_boot_by_host(&intent, o, r, v);
		return k < 0 ? k : settle_refusals(o, r, v);
	}
	/* The kernel's default entry: not ours to set while our drop-in cannot be read. */
	if (!view->known && v->verdict == VERDICT_DRIFTED)
		v->needs_boot = false;
	if (intent.n_args) {
		k = settle_boot(view, &intent, o, r, v, &boot_helps);
		if (k < 0)
			return k;
	}
	k = settle_refusals(o, r, v);
	/* What the running kernel could not do (huge pages in fragmented memory) the boot may. */
	if (v->verdict == VERDICT_FAILED && boot_helps)
		v->needs_boot = true;
	return k;
}

enum machine_verdict machine_verdict_of(const struct setting_verdict *list, size_t n)
{
	enum machine_verdict worst = MACHINE_VERIFIED;

	for (size_t i = 0; i < n; i++) {
		const struct setting_verdict *v = &list[i];
		enum machine_verdict m = MACHINE_DEGRADED;

		if (v->verdict == VERDICT_CONVERGED || v->verdict == VERDICT_NOT_APPLICABLE ||
		    v->verdict == VERDICT_UNMANAGED || v->setting->severity == SEVERITY_ADVISORY)
			continue;
		if (v->verdict == VERDICT_DRIFTED)
			m = MACHINE_DRIFTED;
		else if (v->verdict == VERDICT_PENDING_REBOOT)
			m = MACHINE_PENDING_REBOOT;
		/* degraded outdoes drifted, which outdoes pending-reboot: what a reboot alone would
		 * mend is only said when nothing else is wrong */
		if (m == MACHINE_DEGRADED)
			return m;
		if (worst != MACHINE_DRIFTED)
			worst = m;
	}
	return worst;
}

int judge(const struct desired *d, const struct observed *o, struct report *ret)
{
	_cleanup_report_ struct report r = { 0 };
	_cleanup_boot_view_ struct boot_view view = { 0 };
	int k = boot_view_init(o, &view);

	if (k < 0)
		return k;
	r.n_settings = n_settings;
	r.settings = arena_alloc(&r.arena, n_settings * sizeof(*r.settings));
	if (!r.settings)
		return -ENOMEM;
	for (size_t i = 0; i < n_settings; i++) {
		struct setting_verdict *v = &r.settings[i];

		v->setting = settings[i];
		v->verdict = VERDICT_UNMANAGED;
		if (!d->values[i])
			continue;
		if (!setting_applies(settings[i], d))
			k = verdict_set(&r, v, VERDICT_NOT_APPLICABLE, "its host does this");
		else
			k = judge_setting(settings[i], d->values[i], d, o, &view, &r, v);
		if (k < 0)
			return k;
	}
	r.verdict = machine_verdict_of(r.settings, r.n_settings);
	k = judge_guests(d, o, &r);
	if (k < 0)
		return k;
	*ret = r;
	r = (struct report){ 0 };
	return 0;
}

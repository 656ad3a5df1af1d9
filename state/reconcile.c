/*
 * One step of the loop's memory. First every row that was looked at gives a change (an entry as it
 * will be, perhaps an alert), which may run out of memory and then leaves everything as it was;
 * then all are taken in, which cannot fail.
 *
 * What a guest is not asked for is not news: rows that nothing could be seen of, because the guest
 * does not run or does not answer, stay as they were last said. The row that says that it does not
 * (guest_launch, guest_agent) is the one that alerts.
 */
#include "state/reconcile.h"

#include <assert.h>
#include <errno.h>

#include "state/guest_row.h"
#include "state/reconcile_parts.h"
#include "state/verdict_guests.h"

void reconcile_done(struct reconcile *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->n_entries; i++)
		entry_done(&r->entries[i]);
	free(r->entries);
	*r = (struct reconcile){ 0 };
}

void reconcile_step_done(struct reconcile_step *s)
{
	for (size_t i = 0; i < s->n_alerts; i++)
		alert_done(&s->alerts[i]);
	free(s->alerts);
	s->alerts = NULL;
	s->n_alerts = 0;
	s->repair = s->wake_us = s->wake = 0;
}

/* Rows are told apart by their pointers: each stands once in its list. */
static struct reconcile_entry *entry_of(const struct reconcile *r, const char *guest,
					const struct setting *s)
{
	for (size_t i = 0; i < r->n_entries; i++) {
		struct reconcile_entry *e = &r->entries[i];

		if (e->setting == s && !e->guest == !guest && (!guest || streq(e->guest, guest)))
			return e;
	}
	return NULL;
}

const struct reconcile_entry *reconcile_find(const struct reconcile *r, const char *guest,
					     const char *setting)
{
	for (size_t i = 0; i < r->n_entries; i++)
		if (streq(r->entries[i].setting->name, setting))
			return entry_of(r, guest, r->entries[i].setting);
	return NULL;
}

/* ---- first: what changes ---- */

struct changes {
	struct change *list;
	size_t n, n_fresh;
};

static void changes_undo(struct changes *all)
{
	for (size_t i = 0; i < all->n; i++)
		change_undo(&all->list[i]);
	free(all->list);
	*all = (struct changes){ 0 };
}

static int begin_fresh(struct change *c, const char *guest)
{
	c->fresh = true;
	c->entry.setting = c->v->setting;
	c->entry.last_writer.uid = -1;
	if (!guest)
		return 0;
	c->entry.guest = strdup(guest);
	c->own_guest = c->entry.guest;
	return c->own_guest ? 0 : -ENOMEM;
}

static int add_row(const struct reconcile *r, const struct reconcile_step *s, const char *guest,
		   struct setting_verdict *v, struct report *report, struct changes *all)
{
	const struct reconcile_entry *e = entry_of(r, guest, v->setting);
	struct change *c = &all->list[all->n];
	int k = 0;

	if (!e && v->verdict == VERDICT_UNMANAGED)
		return 0;
	all->n++;
	c->v = v;
	c->guest = guest;
	c->at = e ? (size_t)(e - r->entries) : r->n_entries + all->n_fresh++;
	c->drop = v->verdict == VERDICT_UNMANAGED;
	if (e)
		c->entry = *e;
	else
		k = begin_fresh(c, guest);
	return k < 0 || c->drop ? k : change_judge(c, s, report);
}

/* Nothing was seen of it, and the row that stands for the way to it says why. */
static bool out_of_sight(const struct guest_report *g, const struct setting_verdict *v)
{
	if (v->live || verdict_right(v->verdict) || v->verdict == VERDICT_UNMANAGED)
		return false;
	for (const struct setting_verdict *way = g->settings; way < v; way++)
		if ((way->setting == &setting_guest_launch ||
		     way->setting == &setting_guest_agent) &&
		    !verdict_right(way->verdict) && way->verdict != VERDICT_UNMANAGED)
			return true;
	return false;
}

static int add_guest(const struct reconcile *r, const struct reconcile_step *s,
		     const struct guest_report *g, struct report *report, struct changes *all)
{
	int k = 0;

	for (size_t i = 0; k >= 0 && i < g->n_settings; i++)
		if (!out_of_sight(g, &g->settings[i]))
			k = add_row(r, s, g->name, &g->settings[i], report, all);
	return k;
}

static bool looked_at(const struct reconcile_step *s, size_t i)
{
	return s->looked >> i & 1;
}

static int collect(const struct reconcile *r, const struct reconcile_step *s, struct report *report,
		   struct changes *all)
{
	bool guests = s->looked == ALL_SETTINGS;
	size_t rows = 0;
	int k = 0;

	for (size_t i = 0; i < report->n_settings; i++)
		rows += looked_at(s, i);
	for (size_t i = 0; guests && i < report->n_guests; i++)
		rows += report->guests[i].n_settings;
	all->list = calloc(rows + 1, sizeof(*all->list));
	if (!all->list)
		return -ENOMEM;
	for (size_t i = 0; k >= 0 && i < report->n_settings; i++)
		if (looked_at(s, i))
			k = add_row(r, s, NULL, &report->settings[i], report, all);
	for (size_t i = 0; k >= 0 && guests && i < report->n_guests; i++)
		k = add_guest(r, s, &report->guests[i], report, all);
	return k;
}

/* Room for the new entries, and for the alerts. */
static int make_room(struct reconcile *r, struct reconcile_step *s, const struct changes *all)
{
	size_t n = r->n_entries + all->n_fresh, n_alerts = 0;
	struct reconcile_entry *entries;

	for (size_t i = 0; i < all->n; i++)
		n_alerts += all->list[i].alerted;
	if (all->n_fresh) {
		entries = reallocarray(r->entries, n, sizeof(*entries));
		if (!entries)
			return -ENOMEM;
		r->entries = entries;
	}
	if (!n_alerts)
		return 0;
	s->alerts = calloc(n_alerts, sizeof(*s->alerts));
	return s->alerts ? 0 : -ENOMEM;
}

/* ---- then: taking it in ---- */

static void commit(struct reconcile *r, struct reconcile_step *s, struct change *c)
{
	struct reconcile_entry *e = &r->entries[c->at];

	if (c->own_writer && !c->fresh)
		writer_done(&e->last_writer);
	*e = c->entry;
	if (c->drop) {
		entry_done(e); /* its place is closed up below */
		return;
	}
	if (c->alerted)
		s->alerts[s->n_alerts++] = c->alert;
	if (c->repair)
		s->repair |= UINT64_C(1) << setting_index(e->setting);
}

/* Does the document still have it? */
static bool has_entry(const struct desired *d, const struct reconcile_entry *e)
{
	const struct desired_guest *g;

	if (!e->guest)
		return d->values[setting_index(e->setting)];
	g = desired_guest(d, e->guest);
	if (!g)
		return false;
	for (size_t i = 0; i < n_guest_settings; i++)
		if (guest_settings[i] == e->setting)
			return true;
	return g->state && g->state->values[setting_index(e->setting)];
}

static void forget_gone(struct reconcile *r, const struct desired *d)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n_entries; i++) {
		struct reconcile_entry *e = &r->entries[i];

		if (!e->setting)
			continue;
		if (!has_entry(d, e))
			entry_done(e);
		else
			r->entries[n++] = *e;
	}
	r->n_entries = n;
}

/* In @report: who it was, and that it is contested. */
static void overlay(const struct reconcile *r, const struct changes *all)
{
	for (size_t i = 0; i < all->n; i++) {
		const struct change *c = &all->list[i];
		const struct reconcile_entry *e;

		if (c->drop)
			continue;
		e = entry_of(r, c->guest, c->v->setting);
		if (!e)
			continue;
		if (e->contested) {
			c->v->verdict = VERDICT_CONTESTED;
			c->v->reason = c->reason;
		}
		/* of the last drift, if it lasts: who was it once is not blamed for an unknown */
		c->v->changed_by =
			e->caused && (e->contested || !e->right) ? &e->last_writer : NULL;
	}
}

static enum verdict remembered(const struct reconcile *r, const struct desired *d, size_t i)
{
	const struct reconcile_entry *e = entry_of(r, NULL, settings[i]);

	if (e)
		return e->contested ? VERDICT_CONTESTED : e->seen;
	return d->values[i] && setting_applies(settings[i], d) ? VERDICT_UNKNOWN
							       : VERDICT_UNMANAGED;
}

static void settle_machine(const struct reconcile *r, const struct reconcile_step *s,
			   struct report *report)
{
	struct setting_verdict all[SETTINGS_MAX] = { 0 };

	for (size_t i = 0; i < n_settings; i++) {
		all[i].setting = settings[i];
		all[i].verdict = looked_at(s, i) && i < report->n_settings
					 ? report->settings[i].verdict
					 : remembered(r, s->d, i);
	}
	report->verdict = machine_verdict_of(all, n_settings);
}

static void find_wake(const struct reconcile *r, struct reconcile_step *s)
{
	for (size_t i = 0; i < r->n_entries; i++) {
		const struct reconcile_entry *e = &r->entries[i];

		if (!e->wake_us || (s->wake_us && e->wake_us > s->wake_us))
			continue;
		if (e->wake_us != s->wake_us)
			s->wake = 0;
		s->wake_us = e->wake_us;
		s->wake |= UINT64_C(1) << setting_index(e->setting);
	}
}

int reconcile_take(struct reconcile *r, struct report *report, struct reconcile_step *s)
{
	struct changes all = { 0 };
	int k;

	s->alerts = NULL;
	s->n_alerts = 0;
	s->repair = s->wake_us = s->wake = 0;
	k = collect(r, s, report, &all);
	if (k >= 0)
		k = make_room(r, s, &all);
	if (k < 0) {
		changes_undo(&all);
		return k;
	}
	for (size_t i = 0; i < all.n; i++)
		commit(r, s, &all.list[i]);
	r->n_entries += all.n_fresh;
	r->whole |= s->looked == ALL_SETTINGS;
	forget_gone(r, s->d);
	overlay(r, &all);
	settle_machine(r, s, report);
	find_wake(r, s);
	free(all.list);
	return 0;
}

void reconcile_repaired(struct reconcile *r, uint64_t settings, uint64_t now_us)
{
	for (size_t i = 0; i < r->n_entries; i++) {
		struct reconcile_entry *e = &r->entries[i];

		if (!e->guest && settings >> setting_index(e->setting) & 1)
			entry_mended(e, now_us);
	}
}

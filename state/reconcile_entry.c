/*
 * What one row of a report makes of its entry. The entry knows three things about a setting that
 * the report does not: whether it was right before (then it drifted now, and by whom), how often
 * the same program did that, and when it may be mended again.
 */
#include <errno.h>

#include "state/reconcile_parts.h"

void change_undo(struct change *c)
{
	if (c->own_writer)
		writer_done(&c->entry.last_writer);
	if (c->own_unit)
		free(c->entry.counts[c->entry.n_counts - 1].unit);
	if (c->own_guest)
		free(c->entry.guest);
	if (c->alerted)
		alert_done(&c->alert);
	*c = (struct change){ 0 };
}

void entry_done(struct reconcile_entry *e)
{
	for (size_t i = 0; i < e->n_counts; i++)
		free(e->counts[i].unit);
	writer_done(&e->last_writer);
	free(e->guest);
	*e = (struct reconcile_entry){ 0 };
}

/* It differs from what is wanted; unknown is not known to. */
static bool verdict_off(enum verdict v)
{
	return v == VERDICT_DRIFTED || v == VERDICT_PENDING_REBOOT || v == VERDICT_UNFIXABLE ||
	       v == VERDICT_FAILED;
}

static bool mendable(enum verdict v)
{
	return v == VERDICT_DRIFTED || v == VERDICT_FAILED;
}

/* ---- counting ---- */

static struct drift_count *count_of(struct reconcile_entry *e, const char *unit)
{
	for (size_t i = 0; i < e->n_counts; i++)
		if (streq(e->counts[i].unit, unit))
			return &e->counts[i];
	return NULL;
}

static int count_drift(struct change *c, const char *unit)
{
	struct reconcile_entry *e = &c->entry;
	struct drift_count *count = count_of(e, unit);
	char *copy;

	if (!count && e->n_counts >= DRIFT_UNITS_MAX) {
		unit = "other";
		count = count_of(e, unit);
	}
	if (count) {
		count->n++;
		return 0;
	}
	copy = strdup(unit);
	if (!copy)
		return -ENOMEM;
	e->counts[e->n_counts++] = (struct drift_count){ .unit = copy, .n = 1 };
	c->own_unit = true;
	return 0;
}

/* ---- fights ---- */

static void back_off(struct reconcile_entry *e, uint64_t now_us)
{
	uint64_t wait_us = RETRY_FIRST_US;

	for (unsigned i = 0; i < e->n_retries && wait_us < RETRY_MAX_US; i++)
		wait_us *= 2;
	if (wait_us > RETRY_MAX_US)
		wait_us = RETRY_MAX_US;
	if (e->n_retries < UINT32_MAX)
		e->n_retries++;
	e->retry_us = now_us + wait_us;
}

/* Taken for failed until a look finds the setting right. */
void entry_mended(struct reconcile_entry *e, uint64_t now_us)
{
	e->mended_us = now_us;
	back_off(e, now_us);
}

static void note_drift(struct reconcile_entry *e, uint64_t program, uint64_t now_us)
{
	e->drifts[e->n_drifts++ % DRIFTS_KEPT] =
		(struct past_drift){ .at_us = now_us, .program = program };
}

static bool fights(const struct reconcile_entry *e, uint64_t program, uint64_t now_us)
{
	unsigned kept = e->n_drifts < DRIFTS_KEPT ? e->n_drifts : DRIFTS_KEPT, n = 0;

	for (unsigned i = 0; i < kept; i++)
		n += e->drifts[i].program == program &&
		     now_us - e->drifts[i].at_us <= CONTEST_WINDOW_US;
	return n >= CONTEST_DRIFTS;
}

/* Nobody else can be told to stop: at least it does not keep us busy. */
static void tire(struct reconcile_entry *e, bool soon, uint64_t now_us)
{
	e->n_unnamed = soon && e->n_unnamed < UINT32_MAX ? e->n_unnamed + 1 : 1;
	if (e->n_unnamed < CONTEST_DRIFTS)
		return;
	e->n_retries = e->n_unnamed - CONTEST_DRIFTS;
	back_off(e, now_us);
}

/* last_writer becomes @w, NULL: nobody. */
static int set_writer(struct change *c, const struct writer *w)
{
	struct writer copy = { .uid = -1 };
	int r = w ? writer_copy(w, &copy) : 0;

	if (r < 0)
		return r;
	c->entry.last_writer = copy;
	c->entry.caused = w;
	c->own_writer = true;
	return 0;
}

static int drift(struct change *c, const struct touch *touch, uint64_t now_us)
{
	const struct writer *who = touch && !touch->writer.own ? &touch->writer : NULL;
	const char *unit = touch && touch->writer.unit ? touch->writer.unit : "";
	struct reconcile_entry *e = &c->entry;
	bool soon =
		e->mended_us || (e->right_since_us && now_us - e->right_since_us <= RETRY_FIRST_US);
	int r = count_drift(c, unit);

	e->right = false;
	e->mended_us = 0;
	if (r < 0 || e->contested)
		return r;
	r = set_writer(c, who);
	if (r < 0)
		return r;
	e->n_retries = 0;
	e->retry_us = 0;
	if (!who || who->gone) {
		tire(e, soon, now_us);
		return 0;
	}
	e->n_unnamed = 0;
	note_drift(e, writer_program(who), now_us);
	e->contested = fights(e, writer_program(who), now_us);
	if (e->contested)
		back_off(e, now_us);
	return 0;
}

static void take_right(struct reconcile_entry *e, uint64_t now_us)
{
	if (!e->right_since_us)
		e->right_since_us = now_us;
	e->seen_right_us = now_us;
	e->right = true;
	e->mended_us = 0;
	if (e->contested && now_us - e->right_since_us >= CONTEST_QUIET_US) {
		e->contested = false;
		e->n_drifts = e->n_unnamed = 0;
	}
	if (!e->contested) {
		e->n_retries = 0;
		e->retry_us = 0;
	}
}

static int take_off(struct change *c, const struct reconcile_step *s)
{
	struct reconcile_entry *e = &c->entry;
	const struct touch *touch = NULL;
	bool undone;
	int r = 0;

	if (!e->guest && s->touches)
		touch = touches_find(s->touches, c->v);
	if (touch && touch->at_us < e->seen_right_us)
		touch = NULL; /* it was right after that write */
	undone = e->mended_us && touch && !touch->writer.own && touch->at_us >= e->mended_us;
	if (e->right || undone) {
		c->touch = touch;
		r = e->guest ? 0 : drift(c, touch, s->now_us);
		e->right = false;
	}
	e->right_since_us = 0;
	return r;
}

/* ---- what is said ---- */

/* A setting that failed to be mended and is tried again is no news. */
static enum verdict to_say(const struct change *c)
{
	if (c->entry.contested)
		return VERDICT_CONTESTED;
	if (!c->fresh && c->entry.said == VERDICT_FAILED && c->v->verdict == VERDICT_DRIFTED)
		return VERDICT_FAILED;
	return c->v->verdict;
}

/* The item that is wrong if it is the only one, or NULL. */
static const struct verdict_item *wrong_item(const struct setting_verdict *v)
{
	const struct verdict_item *found = NULL;

	for (size_t i = 0; i < v->n_items; i++) {
		if (!verdict_off(v->items[i].verdict))
			continue;
		if (found)
			return NULL;
		found = &v->items[i];
	}
	return found && found->live && found->want ? found : NULL;
}

static int copy_text(const char *text, char **ret)
{
	*ret = text ? strdup(text) : NULL;
	return text && !*ret ? -ENOMEM : 0;
}

static int alert_fill(struct alert *a, const struct change *c, const char *now)
{
	const struct reconcile_entry *e = &c->entry;
	const struct setting_verdict *v = c->v;
	const struct verdict_item *item = wrong_item(v);
	const char *path = c->touch ? c->touch->path : v->n_evidence ? v->evidence[0].path : NULL;

	if (copy_text(e->guest, &a->guest) < 0 || copy_text(v->setting->name, &a->setting) < 0 ||
	    copy_text(item ? item->want : v->want, &a->want) < 0 ||
	    copy_text(item ? item->live : v->live, &a->found) < 0 ||
	    copy_text(c->reason ? c->reason : v->reason, &a->reason) < 0 ||
	    copy_text(path, &a->path) < 0 || copy_text(now, &a->since) < 0)
		return -ENOMEM;
	if (!e->caused || !(verdict_off(a->now) || a->now == VERDICT_CONTESTED))
		return 0;
	a->caused = true;
	return writer_copy(&e->last_writer, &a->writer);
}

static int say(struct change *c, const struct reconcile_step *s)
{
	enum verdict was = c->fresh ? VERDICT_UNMANAGED : c->entry.said, now = to_say(c);

	c->entry.said = now;
	if (c->fresh ? verdict_right(now) : was == now)
		return 0;
	c->alert = (struct alert){ .was = was, .now = now, .writer.uid = -1 };
	c->alerted = true;
	return alert_fill(&c->alert, c, s->now);
}

static int explain_contest(struct change *c, const struct reconcile_step *s, struct report *report)
{
	const struct reconcile_entry *e = &c->entry;
	bool mended = s->d->drift.repair[setting_index(e->setting)] != REPAIR_NONE;
	const char *who = writer_text(&report->arena, &e->last_writer);

	if (!who)
		return -ENOMEM;
	c->reason = arena_printf(&report->arena,
				 "%s keeps changing it: %sit counts as contested until it stays "
				 "right for %u s; stop "
				 "that program, or tell it the same",
				 who, mended ? "it is mended only at growing intervals, and " : "",
				 (unsigned)(CONTEST_QUIET_US / 1000000));
	return c->reason ? 0 : -ENOMEM;
}

/* ---- when it is mended or looked at again ---- */

static void schedule(struct change *c, const struct reconcile_step *s)
{
	struct reconcile_entry *e = &c->entry;
	bool mend = mendable(c->v->verdict) &&
		    s->d->drift.repair[setting_index(e->setting)] != REPAIR_NONE;

	e->wake_us = 0;
	if (mend && e->retry_us <= s->now_us)
		c->repair = true;
	else if (mend)
		e->wake_us = e->retry_us;
	else if (e->contested && e->right_since_us)
		e->wake_us = e->right_since_us + CONTEST_QUIET_US;
}

int change_judge(struct change *c, const struct reconcile_step *s, struct report *report)
{
	struct reconcile_entry *e = &c->entry;
	int r = 0;

	if (verdict_right(c->v->verdict))
		take_right(e, s->now_us);
	else if (verdict_off(c->v->verdict))
		r = take_off(c, s);
	else
		e->right_since_us = 0;
	e->seen = c->v->verdict;
	if (r >= 0 && e->contested)
		r = explain_contest(c, s, report);
	if (r >= 0)
		r = say(c, s);
	if (r >= 0 && !e->guest)
		schedule(c, s);
	return r;
}

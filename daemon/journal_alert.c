/*
 * A setting's change as one line and as fields. The texts come from the kernel, from programs'
 * names and from guests: the line is one line whatever they hold (daemon/journal_entry.c).
 */
#include <inttypes.h>
#include <syslog.h>

#include "daemon/journal.h"
#include "daemon/journal_entry.h"
#include "daemon/messages.h"

static const struct kind {
	const char *id;
	int priority;
} kinds[_VERDICT_MAX] = {
	[VERDICT_CONVERGED] = { MESSAGE_SETTING_RESTORED_ID, LOG_NOTICE },
	[VERDICT_DRIFTED] = { MESSAGE_SETTING_DRIFTED_ID, LOG_WARNING },
	[VERDICT_PENDING_REBOOT] = { MESSAGE_SETTING_PENDING_REBOOT_ID, LOG_NOTICE },
	[VERDICT_UNFIXABLE] = { MESSAGE_SETTING_UNFIXABLE_ID, LOG_WARNING },
	[VERDICT_CONTESTED] = { MESSAGE_SETTING_CONTESTED_ID, LOG_WARNING },
	[VERDICT_FAILED] = { MESSAGE_SETTING_FAILED_ID, LOG_ERR },
	[VERDICT_UNKNOWN] = { MESSAGE_SETTING_UNKNOWN_ID, LOG_WARNING },
	[VERDICT_NOT_APPLICABLE] = { MESSAGE_SETTING_RESTORED_ID, LOG_NOTICE },
	[VERDICT_UNMANAGED] = { MESSAGE_SETTING_RESTORED_ID, LOG_NOTICE },
};

/* `found "3", wanted "0-1"`, as much of it as is known; NULL: nothing. */
static char *difference(struct arena *arena, const struct alert *a)
{
	if (a->found && a->want)
		return arena_printf(arena, "found \"%s\", wanted \"%s\"", a->found, a->want);
	if (a->found)
		return arena_printf(arena, "found \"%s\"", a->found);
	return a->want ? arena_printf(arena, "wanted \"%s\"", a->want) : NULL;
}

static const char *details(struct arena *arena, const struct alert *a)
{
	const char *text;

	switch (a->now) {
	case VERDICT_DRIFTED:
	case VERDICT_PENDING_REBOOT:
		text = difference(arena, a);
		return text ? text : a->reason;
	case VERDICT_CONVERGED:
		return a->found ? arena_printf(arena, "found \"%s\"", a->found) : NULL;
	default:
		return a->reason ? a->reason : difference(arena, a);
	}
}

static const char *writer_of(struct arena *arena, const struct alert *a)
{
	const char *text = a->caused ? writer_text(arena, &a->writer) : NULL;

	return text ? text : "nobody that was seen";
}

/* Who did it belongs into the line where it went wrong, unless the reason names it. */
static bool tells_writer(const struct alert *a, const char *what, const char *writer)
{
	return a->caused && (a->now == VERDICT_DRIFTED || a->now == VERDICT_CONTESTED) &&
	       !(what && strstr(what, writer));
}

char *alert_text(struct arena *arena, const struct alert *a)
{
	const char *what = details(arena, a), *writer = writer_of(arena, a);
	const char *state = a->now == VERDICT_CONVERGED ? "restored" : verdict_name(a->now);
	bool told = tells_writer(a, what, writer);

	return arena_printf(arena, "%s%s%s%s %s%s%s%s%s", a->guest ? "guest " : "",
			    a->guest ? a->guest : "", a->guest ? ": " : "", a->setting, state,
			    what ? ": " : "", what ? what : "", told ? "; changed by " : "",
			    told ? writer : "");
}

static void writer_fields(struct journal_entry *e, const struct writer *w)
{
	if (w->pid)
		journal_field(e, "LATENCYD_WRITER_PID=%i", w->pid);
	if (w->uid >= 0)
		journal_field(e, "LATENCYD_WRITER_UID=%" PRIi64, w->uid);
	journal_text(e, "LATENCYD_WRITER_COMM", w->comm);
	journal_text(e, "LATENCYD_WRITER_EXE", w->exe);
	journal_text(e, "LATENCYD_WRITER_UNIT", w->unit);
	journal_text(e, "LATENCYD_WRITER_CONTAINER", w->container);
	if (w->gone)
		journal_text(e, "LATENCYD_WRITER_GONE", "1");
}

/* The catalog's texts name these: each is always there. */
static void catalog_fields(struct journal_entry *e, const struct alert *a)
{
	bool compared = a->now == VERDICT_DRIFTED || a->now == VERDICT_PENDING_REBOOT ||
			a->now == VERDICT_CONTESTED || a->now == VERDICT_CONVERGED;
	const char *missing = "not known";

	journal_field(e, "LATENCYD_WHERE=%s%s", a->guest ? "guest " : "this machine",
		      a->guest ? a->guest : "");
	journal_text(e, "LATENCYD_SETTING", a->setting);
	journal_text(e, "LATENCYD_WAS", verdict_name(a->was));
	journal_text(e, "LATENCYD_NOW", verdict_name(a->now));
	journal_text(e, "LATENCYD_FOUND", a->found ? a->found : compared ? missing : NULL);
	journal_text(e, "LATENCYD_WANT", a->want ? a->want : compared ? missing : NULL);
	journal_text(e, "LATENCYD_REASON", a->reason ? a->reason : compared ? NULL : missing);
	journal_text(e, "LATENCYD_WRITER", writer_of(&e->arena, a));
}

void journal_alert(const struct alert *a, const char *id)
{
	const struct kind *kind = &kinds[a->now];
	struct journal_entry e = { 0 };
	const char *text = alert_text(&e.arena, a);

	journal_text(&e, "LATENCYD_ALERT", id);
	catalog_fields(&e, a);
	journal_text(&e, "LATENCYD_GUEST", a->guest);
	journal_text(&e, "LATENCYD_PATH", a->path);
	journal_text(&e, "LATENCYD_SINCE", a->since);
	if (a->caused)
		writer_fields(&e, &a->writer);
	journal_send(&e, kind->priority, kind->id, text ? text : a->setting);
}

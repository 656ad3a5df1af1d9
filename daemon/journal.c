/*
 * The kinds of entries that are not a setting's: the machine's verdict, and what latencyd itself
 * can do. LATENCYD_VERDICT, LATENCYD_PREVIOUS_VERDICT, LATENCYD_SETTINGS (the names that are not
 * converged, blank separated) and LATENCYD_REASON can be filtered by. Every field that the catalog
 * names is always there.
 */
#include "daemon/journal.h"

#include <syslog.h>

#include <jansson.h>

#include "daemon/journal_entry.h"
#include "daemon/messages.h"

static const struct {
	const char *id;
	int priority;
} messages[_MACHINE_VERDICT_MAX] = {
	[MACHINE_VERIFIED] = { MESSAGE_VERIFIED_ID, LOG_NOTICE },
	[MACHINE_DRIFTED] = { MESSAGE_DRIFTED_ID, LOG_WARNING },
	[MACHINE_PENDING_REBOOT] = { MESSAGE_PENDING_REBOOT_ID, LOG_NOTICE },
	[MACHINE_DEGRADED] = { MESSAGE_DEGRADED_ID, LOG_WARNING },
};

static bool is_settled(const char *verdict)
{
	return streq(verdict, verdict_name(VERDICT_CONVERGED)) ||
	       streq(verdict, verdict_name(VERDICT_NOT_APPLICABLE)) ||
	       streq(verdict, verdict_name(VERDICT_UNMANAGED));
}

/* malloc()ed names of the settings that are not converged; NULL when out of memory. */
static char *unsettled(const json_t *status)
{
	const json_t *setting;
	char *names = NULL;
	size_t size, i;
	FILE *f = open_memstream(&names, &size);

	if (!f)
		return NULL;
	json_array_foreach(json_object_get(status, "settings"), i, setting)
	{
		const char *name = json_string_value(json_object_get(setting, "name"));
		const char *verdict = json_string_value(json_object_get(setting, "verdict"));

		if (name && verdict && !is_settled(verdict))
			fprintf(f, "%s%s", ftell(f) > 0 ? " " : "", name);
	}
	if (fclose(f) != 0) {
		free(names);
		return NULL;
	}
	return names;
}

/* "<sentence>: <details>" or the sentence alone. */
static void send_text(struct journal_entry *e, int priority, const char *id, const char *sentence,
		      const char *details)
{
	bool more = details && *details;
	char *text =
		arena_printf(&e->arena, "%s%s%s", sentence, more ? ": " : "", more ? details : "");

	journal_send(e, priority, id, text ? text : sentence);
}

void journal_verdict(enum machine_verdict now, const char *before, const json_t *status,
		     const char *why)
{
	_cleanup_free_ char *names = unsettled(status), *sentence = NULL;
	const char *name = machine_verdict_name(now);
	struct journal_entry e = { 0 };

	if (asprintf(&sentence, "Host is %s", name) < 0)
		sentence = NULL;
	journal_text(&e, "LATENCYD_VERDICT", name);
	journal_text(&e, "LATENCYD_PREVIOUS_VERDICT", before ? before : "");
	journal_text(&e, "LATENCYD_SETTINGS", names ? names : "");
	send_text(&e, messages[now].priority, messages[now].id, sentence ? sentence : name,
		  why ? why : names);
}

void journal_persistence(const char *lost)
{
	struct journal_entry e = { 0 };

	journal_text(&e, "LATENCYD_REASON", lost);
	if (lost)
		send_text(&e, LOG_WARNING, MESSAGE_PERSISTENCE_ID,
			  "What latencyd knows cannot be kept over a restart", lost);
	else
		send_text(&e, LOG_NOTICE, MESSAGE_PERSISTENCE_BACK_ID,
			  "What latencyd knows is kept over a restart again", NULL);
}

void journal_watching(const char *trouble)
{
	struct journal_entry e = { 0 };

	journal_text(&e, "LATENCYD_REASON", trouble);
	if (trouble)
		send_text(&e, LOG_WARNING, MESSAGE_WATCHING_ID,
			  "Not everything is watched, some changes are only found by the next pass",
			  trouble);
	else
		send_text(&e, LOG_NOTICE, MESSAGE_WATCHING_BACK_ID, "Everything is watched again",
			  NULL);
}

void journal_document(const char *state)
{
	const char *why = state ? after_prefix(state, "invalid: ") : NULL;
	struct journal_entry e = { 0 };

	journal_text(&e, "LATENCYD_REASON", why);
	if (why)
		send_text(&e, LOG_ERR, MESSAGE_DOCUMENT_INVALID_ID,
			  "The document on disk is wrong, the one before stays in force", why);
	else if (state)
		send_text(&e, LOG_NOTICE, MESSAGE_DOCUMENT_CHANGED_ID,
			  "The document on disk is another than the one in force",
			  "'systemctl reload latencyd' or 'latencyctl apply' takes it over");
	else
		send_text(&e, LOG_NOTICE, MESSAGE_DOCUMENT_IN_FORCE_ID,
			  "The document on disk is the one in force", NULL);
}

void journal_pause(const char *until)
{
	struct journal_entry e = { 0 };

	journal_text(&e, "LATENCYD_UNTIL", until);
	if (until)
		send_text(&e, LOG_NOTICE, MESSAGE_PAUSED_ID, "Repairing is paused",
			  streq(until, "until-resumed") ? "until somebody resumes it" : until);
	else
		send_text(&e, LOG_NOTICE, MESSAGE_RESUMED_ID, "Repairing is no longer paused",
			  NULL);
}

void journal_requalify(const char *was, const char *now)
{
	struct journal_entry e = { 0 };
	char *details = arena_printf(&e.arena, "was %s, is %s", was, now);

	journal_text(&e, "LATENCYD_WAS", was);
	journal_text(&e, "LATENCYD_NOW", now);
	send_text(&e, LOG_WARNING, MESSAGE_REQUALIFY_ID,
		  "The machine is verified, but another one than it was when last verified",
		  details);
}

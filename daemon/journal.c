/*
 * One entry per change, with fields a filter can use: LATENCYD_VERDICT, LATENCYD_PREVIOUS_VERDICT,
 * LATENCYD_SETTINGS (the names that are not converged, blank separated). Catalog text by message
 * id: units/latencyd.catalog.
 */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include "daemon/journal.h"

#include <syslog.h>

#include <jansson.h>
#include <systemd/sd-journal.h>

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

void journal_verdict(enum machine_verdict now, const char *before, const json_t *status,
		     const char *why)
{
	_cleanup_free_ char *names = unsettled(status);
	const char *details = why ? why : names ? names : "";

	(void)sd_journal_send(
		"MESSAGE=Host is %s%s%s", machine_verdict_name(now), *details ? ": " : "", details,
		"MESSAGE_ID=%s", messages[now].id, "PRIORITY=%i", messages[now].priority,
		"LATENCYD_VERDICT=%s", machine_verdict_name(now), "LATENCYD_PREVIOUS_VERDICT=%s",
		before ? before : "", "LATENCYD_SETTINGS=%s", names ? names : "", NULL);
}

/*
 * Answers like a latencyd without doing anything: what it was asked stands in a file, a line a
 * call.
 */
#include "tests/unit/fake_latencyd.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <jansson.h>

#include "daemon/bus.h"
#include "state/reconcile.h"

const char *fake_latencyd_calls;
static char paused_until[32];

static void write_down(sd_bus_message *call, const char *argument)
{
	FILE *f = fopen(fake_latencyd_calls, "a");

	fprintf(f, "%s(%s)%s\n", sd_bus_message_get_member(call), argument,
		sd_bus_message_get_allow_interactive_authorization(call) > 0 ? "" : " silently");
	fclose(f);
}

static int fake_pause(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
	char text[32];
	uint64_t s;

	(void)userdata;
	if (sd_bus_message_read(call, "t", &s) < 0)
		return -EINVAL;
	if (s == FAKE_REFUSED_S)
		return sd_bus_error_setf(error, "org.latencyd1.Error.Refused",
					 "nobody may pause for %d seconds", FAKE_REFUSED_S);
	snprintf(text, sizeof(text), "%llu", (unsigned long long)s);
	write_down(call, text);
	snprintf(paused_until, sizeof(paused_until), "%s",
		 s ? "2026-11-22T10:00:00Z" : "until-resumed");
	return sd_bus_reply_method_return(call, NULL);
}

static int fake_resume(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
	(void)userdata;
	(void)error;
	write_down(call, "");
	paused_until[0] = '\0';
	return sd_bus_reply_method_return(call, NULL);
}

static int fake_apply(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
	int reboot;

	(void)userdata;
	(void)error;
	if (sd_bus_message_read(call, "b", &reboot) < 0)
		return -EINVAL;
	write_down(call, reboot ? "reboot" : "");
	return sd_bus_reply_method_return(call, "is", 3, "failed: irq 24\n\033[2Jand more\n");
}

static int fake_text(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
	const char *text;

	(void)userdata;
	(void)error;
	if (sd_bus_message_read(call, "s", &text) < 0)
		return -EINVAL;
	write_down(call, text);
	return sd_bus_reply_method_return(call, "is", 4, "");
}

/* "Somebody drifted and was repaired at once": no look can see it. */
static int fake_refresh(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
	struct alert a = {
		.setting = (char *)"timer_migration",
		.was = VERDICT_CONVERGED,
		.now = VERDICT_FAILED,
		.reason = (char *)"the kernel would not",
		.writer = { .uid = -1 },
		.since = (char *)"2026-11-22T10:00:00Z",
	};
	json_t *object = alert_to_json(&a);
	char *json = object ? json_dumps(object, JSON_COMPACT) : NULL;

	(void)userdata;
	(void)error;
	sd_bus_emit_signal(sd_bus_message_get_bus(call), BUS_PATH, BUS_INTERFACE, "SettingChanged",
			   "sssss", "", a.setting, "converged", "failed", json ? json : "{}");
	free(json);
	json_decref(object);
	return sd_bus_reply_method_return(call, NULL);
}

static int get_until(sd_bus *bus, const char *path, const char *interface, const char *property,
		     sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	(void)bus;
	(void)path;
	(void)interface;
	(void)property;
	(void)userdata;
	(void)error;
	return sd_bus_message_append(reply, "s", paused_until);
}

static const sd_bus_vtable fake[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_PROPERTY("PausedUntil", "s", get_until, 0, 0),
	SD_BUS_METHOD("Pause", "t", NULL, fake_pause, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("Resume", NULL, NULL, fake_resume, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("Apply", "b", "is", fake_apply, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("Revert", "s", "is", fake_text, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("Measure", "s", "is", fake_text, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("Refresh", NULL, NULL, fake_refresh, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END,
};

void fake_latencyd(sd_bus *bus)
{
	if (sd_bus_add_object_vtable(bus, NULL, BUS_PATH, BUS_INTERFACE, fake, NULL) < 0)
		_exit(1);
}

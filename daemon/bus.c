/*
 * The connection to the system bus. A missing or restarted bus is no failure: the next pass
 * connects again. It is served after everything else in the loop (what is watched, signals,
 * timers), so that nobody who floods it with calls keeps a drift from being seen.
 */
#include "daemon/bus.h"

#include <errno.h>

#include <jansson.h>

#include "daemon/bus_side.h"
#include "daemon/manager.h"

/* After the look that a batch of events asks for. */
#define PRIORITY (SD_EVENT_PRIORITY_NORMAL + 2)

static int on_name(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	(void)error;
	if (sd_bus_message_is_method_error(reply, NULL))
		manager_complain(userdata, "cannot take the name " BUS_NAME " on the bus: %s",
				 sd_bus_message_get_error(reply)->message);
	return 0;
}

int bus_export(sd_bus *bus, struct manager *m)
{
	return sd_bus_add_object_vtable(bus, NULL, BUS_PATH, BUS_INTERFACE, bus_reading, m);
}

int bus_connect(struct manager *m)
{
	int r;

	if (m->bus && sd_bus_is_open(m->bus) > 0)
		return 0;
	bus_close(m);
	m->requests.side = bus_side_new(m);
	r = m->requests.side ? sd_bus_open_system(&m->bus) : -ENOMEM;
	if (r >= 0)
		r = sd_bus_attach_event(m->bus, m->event, PRIORITY);
	if (r >= 0)
		r = sd_bus_add_object_vtable(m->bus, NULL, BUS_PATH, BUS_INTERFACE, bus_all, m);
	if (r >= 0)
		r = sd_bus_request_name_async(m->bus, NULL, BUS_NAME, 0, on_name, m);
	if (r < 0)
		bus_close(m);
	return r < 0 ? r : 0;
}

void bus_close(struct manager *m)
{
	m->requests.side = bus_side_free(m->requests.side);
	verified_target_forget(&m->target);
	alert_runs_forget(&m->alert_runs);
	m->bus = sd_bus_flush_close_unref(m->bus);
}

void bus_announce(struct manager *m)
{
	if (m->bus)
		(void)sd_bus_emit_properties_changed(m->bus, BUS_PATH, BUS_INTERFACE, "Verdict",
						     "Generation", "Paused", "PausedUntil",
						     "Watching", NULL);
}

void bus_signal_alert(struct manager *m, const struct alert *a)
{
	json_t *json = m->bus ? alert_to_json(a) : NULL;
	_cleanup_free_ char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

	json_decref(json);
	if (text)
		(void)sd_bus_emit_signal(m->bus, BUS_PATH, BUS_INTERFACE, "SettingChanged", "sssss",
					 a->guest ? a->guest : "", a->setting, verdict_name(a->was),
					 verdict_name(a->now), text);
}

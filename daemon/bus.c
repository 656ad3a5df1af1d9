/*
 * The D-Bus surface as one vtable. Methods that change the machine lack
 * SD_BUS_VTABLE_UNPRIVILEGED: sd-bus itself then refuses callers that are not root, whatever the
 * bus policy says. A missing or restarted bus is no failure: the next pass connects again.
 */
#include "daemon/bus.h"

#include <errno.h>

#include "daemon/manager.h"

#define SYSTEMD_NAME	  "org.freedesktop.systemd1"
#define SYSTEMD_PATH	  "/org/freedesktop/systemd1"
#define SYSTEMD_INTERFACE "org.freedesktop.systemd1.Manager"
#define VERIFIED_TARGET	  "latency-verified.target"

static int get_verdict(sd_bus *bus, const char *path, const char *interface, const char *property,
		       sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	const struct manager *m = userdata;

	(void)bus;
	(void)path;
	(void)interface;
	(void)property;
	(void)error;
	return sd_bus_message_append(reply, "s", machine_verdict_name(m->verdict));
}

static int method_status(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
	const struct manager *m = userdata;

	(void)error;
	return sd_bus_reply_method_return(call, "s", m->status ? m->status : "");
}

static int method_refresh(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
	(void)error;
	manager_refresh(userdata);
	return sd_bus_reply_method_return(call, NULL);
}

static int method_apply(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
	_cleanup_error_ struct error e = { 0 };
	int r, reboot;

	r = sd_bus_message_read(call, "b", &reboot);
	if (r < 0)
		return r;
	r = manager_apply(userdata, reboot, call, &e);
	if (r == -EBUSY)
		return sd_bus_error_setf(error, BUS_NAME ".Error.Busy", "%s", e.what);
	if (r < 0)
		return sd_bus_error_set_errnof(error, r, "%s", e.what ? e.what : strerror(-r));
	return 1; /* answered when the child has ended */
}

static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_PROPERTY("Verdict", "s", get_verdict, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("Generation", "t", NULL, offsetof(struct manager, generation),
			SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_METHOD_WITH_ARGS("Status", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", json), method_status,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Apply", SD_BUS_ARGS("b", reboot),
				SD_BUS_RESULT("i", exit_code, "s", output_tail), method_apply, 0),
	SD_BUS_METHOD_WITH_ARGS("Refresh", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_refresh, 0),
	SD_BUS_VTABLE_END,
};

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
	return sd_bus_add_object_vtable(bus, NULL, BUS_PATH, BUS_INTERFACE, vtable, m);
}

int bus_connect(struct manager *m)
{
	int r;

	if (m->bus && sd_bus_is_open(m->bus) > 0)
		return 0;
	bus_close(m);
	r = sd_bus_open_system(&m->bus);
	if (r >= 0)
		r = sd_bus_attach_event(m->bus, m->event, SD_EVENT_PRIORITY_NORMAL);
	if (r >= 0)
		r = bus_export(m->bus, m);
	if (r >= 0)
		r = sd_bus_request_name_async(m->bus, NULL, BUS_NAME, 0, on_name, m);
	if (r < 0)
		bus_close(m);
	return r < 0 ? r : 0;
}

void bus_close(struct manager *m)
{
	m->bus = sd_bus_flush_close_unref(m->bus);
	m->target = -1;
}

void bus_announce(struct manager *m)
{
	if (m->bus)
		(void)sd_bus_emit_properties_changed(m->bus, BUS_PATH, BUS_INTERFACE, "Verdict",
						     "Generation", NULL);
}

static int on_target_job(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	(void)error;
	if (sd_bus_message_is_method_error(reply, NULL))
		manager_complain(userdata, "cannot start or stop " VERIFIED_TARGET ": %s",
				 sd_bus_message_get_error(reply)->message);
	return 0;
}

void bus_set_target(struct manager *m, int verified)
{
	if (!m->bus || m->target == verified)
		return;
	if (sd_bus_call_method_async(m->bus, NULL, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_INTERFACE,
				     verified ? "StartUnit" : "StopUnit", on_target_job, m, "ss",
				     VERIFIED_TARGET, "replace") >= 0)
		m->target = verified;
}

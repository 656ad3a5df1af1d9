/*
 * Calls never start latencyd by activation: it runs because somebody wants it to, or it does not.
 * They allow the user to be asked (polkit), with an agent on the terminal where there is one.
 */
#include "ctl/client.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>

#include "ctl/agent.h"
#include "daemon/bus.h"

#define PROPERTY_TIMEOUT_US (2 * 1000000ULL)

int client_open(sd_bus **ret, struct error *e)
{
	int r = sd_bus_open_system(ret);

	if (r >= 0)
		return 0;
	error_set(e, -ENXIO, "cannot reach latencyd: no system bus: %s", strerror(-r));
	return error_todo(e, "systemctl status dbus latencyd"), -ENXIO;
}

static int call_failed(const sd_bus_error *error, int r, struct error *e)
{
	if (sd_bus_error_has_names(error, SD_BUS_ERROR_SERVICE_UNKNOWN,
				   SD_BUS_ERROR_NAME_HAS_NO_OWNER)) {
		error_set(e, -ENXIO, "latencyd does not run");
		error_todo(e, "systemctl start latencyd");
		return -ENXIO;
	}
	if (sd_bus_error_has_names(error, SD_BUS_ERROR_NO_REPLY, SD_BUS_ERROR_DISCONNECTED)) {
		r = error_set(e, r, "latencyd went away before it answered");
		error_todo(e, "latencyctl status shows what became of it");
		return r;
	}
	r = error_set(e, r == -ENXIO ? -EIO : r, "%s",
		      error->message ? error->message : strerror(-r));
	if (sd_bus_error_has_names(error, SD_BUS_ERROR_ACCESS_DENIED,
				   SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED) &&
	    geteuid() != 0)
		error_todo(e, "run it as root");
	return r;
}

int client_call(sd_bus *bus, sd_bus_message **ret_reply, struct error *e, const char *method,
		const char *types, ...)
{
	_cleanup_agent_ struct agent agent = { .pid = -1 };
	_cleanup_message_ sd_bus_message *call = NULL;
	sd_bus_error error = SD_BUS_ERROR_NULL;
	va_list ap;
	int r;

	r = sd_bus_message_new_method_call(bus, &call, BUS_NAME, BUS_PATH, BUS_INTERFACE, method);
	if (r >= 0)
		r = sd_bus_message_set_auto_start(call, 0);
	if (r >= 0)
		r = sd_bus_message_set_allow_interactive_authorization(call, 1);
	va_start(ap, types);
	if (r >= 0)
		r = sd_bus_message_appendv(call, types, ap);
	va_end(ap);
	if (r < 0)
		return error_set(e, r, "cannot ask latencyd: %s", strerror(-r));
	agent_open(&agent);
	r = sd_bus_call(bus, call, UINT64_MAX, &error, ret_reply);
	if (r < 0)
		r = call_failed(&error, r, e);
	sd_bus_error_free(&error);
	return r < 0 ? r : 0;
}

char *client_property(sd_bus *bus, const char *name)
{
	_cleanup_message_ sd_bus_message *call = NULL, *reply = NULL;
	const char *text = NULL;

	if (sd_bus_message_new_method_call(bus, &call, BUS_NAME, BUS_PATH,
					   "org.freedesktop.DBus.Properties", "Get") < 0 ||
	    sd_bus_message_set_auto_start(call, 0) < 0 ||
	    sd_bus_message_append(call, "ss", BUS_INTERFACE, name) < 0 ||
	    sd_bus_call(bus, call, PROPERTY_TIMEOUT_US, NULL, &reply) < 0 ||
	    sd_bus_message_read(reply, "v", "s", &text) < 0)
		return NULL;
	return strdup(text);
}

int client_daemon_there(sd_bus *bus)
{
	_cleanup_message_ sd_bus_message *call = NULL, *reply = NULL;
	int r, there;

	r = sd_bus_message_new_method_call(bus, &call, "org.freedesktop.DBus",
					   "/org/freedesktop/DBus", "org.freedesktop.DBus",
					   "NameHasOwner");
	if (r >= 0)
		r = sd_bus_message_append(call, "s", BUS_NAME);
	if (r >= 0)
		r = sd_bus_call(bus, call, PROPERTY_TIMEOUT_US, NULL, &reply);
	if (r >= 0)
		r = sd_bus_message_read(reply, "b", &there);
	return r < 0 ? r : there;
}

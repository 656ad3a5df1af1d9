/*
 * Calls to PID 1 over D-Bus. A job is waited for by the unit's own ActiveState, which is what we
 * want to know, instead of by the job's end, which may be another's.
 *
 * Reboot is StartUnit(reboot.target): Manager.Reboot() would skip the units' stopping.
 */
#include "actuators/systemd.h"

#include <errno.h>
#include <systemd/sd-bus.h>
#include <time.h>

#include "actuators/root.h"

#define NAME	"org.freedesktop.systemd1"
#define PATH	"/org/freedesktop/systemd1"
#define MANAGER "org.freedesktop.systemd1.Manager"
#define POLL_MS 100
#define WAIT_S	90

static void bus_done(sd_bus **bus)
{
	sd_bus_flush_close_unref(*bus);
}

static void message_done(sd_bus_message **m)
{
	sd_bus_message_unref(*m);
}

#define _cleanup_bus_	    _cleanup_(bus_done)
#define _cleanup_message_   _cleanup_(message_done)
#define _cleanup_bus_error_ _cleanup_(sd_bus_error_free)

static int open_bus(sd_bus **ret, struct error *e)
{
	int r = root_is_live() ? sd_bus_open_system(ret) : -EOPNOTSUPP;

	if (r >= 0)
		return 0;
	error_set(e, r, "cannot reach systemd on the system bus: %s", strerror(-r));
	if (r != -EOPNOTSUPP)
		error_todo(e, "is D-Bus running? systemctl status dbus.socket");
	return r;
}

static int failed(int r, const char *what, const char *unit, const sd_bus_error *be,
		  struct error *e)
{
	return error_set(e, r, "cannot %s %s: %s", what, unit,
			 be->message ? be->message : strerror(-r));
}

static int file_state(sd_bus *bus, const char *unit, bool *ret_enabled, struct error *e)
{
	_cleanup_bus_error_ sd_bus_error be = SD_BUS_ERROR_NULL;
	_cleanup_message_ sd_bus_message *reply = NULL;
	const char *state;
	int r = sd_bus_call_method(bus, NAME, PATH, MANAGER, "GetUnitFileState", &be, &reply, "s",
				   unit);

	if (r >= 0)
		r = sd_bus_message_read(reply, "s", &state);
	if (r < 0)
		return failed(r, "ask systemd about", unit, &be, e);
	*ret_enabled = streq(state, "enabled");
	return 0;
}

static int active_state(sd_bus *bus, const char *unit, bool *ret_active, struct error *e)
{
	_cleanup_bus_error_ sd_bus_error be = SD_BUS_ERROR_NULL;
	_cleanup_message_ sd_bus_message *reply = NULL;
	_cleanup_free_ char *state = NULL;
	const char *path;
	int r = sd_bus_call_method(bus, NAME, PATH, MANAGER, "LoadUnit", &be, &reply, "s", unit);

	if (r >= 0)
		r = sd_bus_message_read(reply, "o", &path);
	if (r >= 0)
		r = sd_bus_get_property_string(bus, NAME, path, "org.freedesktop.systemd1.Unit",
					       "ActiveState", &be, &state);
	if (r < 0)
		return failed(r, "ask systemd about", unit, &be, e);
	*ret_active = !streq(state, "inactive") && !streq(state, "failed");
	return 0;
}

int systemd_unit_state(const char *unit, struct unit_state *ret, struct error *e)
{
	_cleanup_bus_ sd_bus *bus = NULL;
	struct unit_state state;
	int r = open_bus(&bus, e);

	if (r >= 0)
		r = active_state(bus, unit, &state.active, e);
	if (r >= 0)
		r = file_state(bus, unit, &state.enabled, e);
	if (r < 0)
		return r;
	*ret = state;
	return 0;
}

static int change_unit(const char *unit, const char *method, const char *what, bool active,
		       struct error *e)
{
	const struct timespec pause = { .tv_nsec = POLL_MS * 1000 * 1000 };
	_cleanup_bus_error_ sd_bus_error be = SD_BUS_ERROR_NULL;
	_cleanup_bus_ sd_bus *bus = NULL;
	int r = open_bus(&bus, e);

	if (r < 0)
		return r;
	r = sd_bus_call_method(bus, NAME, PATH, MANAGER, method, &be, NULL, "ss", unit, "replace");
	if (r < 0)
		return failed(r, what, unit, &be, e);
	for (int ms = 0; ms < WAIT_S * 1000; ms += POLL_MS) {
		bool now;

		r = active_state(bus, unit, &now, e);
		if (r < 0)
			return r;
		if (now == active)
			return 0;
		nanosleep(&pause, NULL);
	}
	error_set(e, -ETIMEDOUT, "cannot %s %s: it did not happen within %d s", what, unit, WAIT_S);
	error_todo(e, "see: systemctl status %s", unit);
	return -ETIMEDOUT;
}

int systemd_start_unit(const char *unit, struct error *e)
{
	return change_unit(unit, "StartUnit", "start", true, e);
}

int systemd_stop_unit(const char *unit, struct error *e)
{
	return change_unit(unit, "StopUnit", "stop", false, e);
}

int systemd_set_enabled(const char *unit, bool enabled, struct error *e)
{
	_cleanup_bus_error_ sd_bus_error be = SD_BUS_ERROR_NULL;
	_cleanup_bus_ sd_bus *bus = NULL;
	int r = open_bus(&bus, e);

	if (r < 0)
		return r;
	if (enabled)
		r = sd_bus_call_method(bus, NAME, PATH, MANAGER, "EnableUnitFiles", &be, NULL,
				       "asbb", 1, unit, 0, 0);
	else
		r = sd_bus_call_method(bus, NAME, PATH, MANAGER, "DisableUnitFiles", &be, NULL,
				       "asb", 1, unit, 0);
	if (r >= 0)
		r = sd_bus_call_method(bus, NAME, PATH, MANAGER, "Reload", &be, NULL, "");
	return r < 0 ? failed(r, enabled ? "enable" : "disable", unit, &be, e) : 0;
}

int systemd_reboot(struct error *e)
{
	_cleanup_bus_error_ sd_bus_error be = SD_BUS_ERROR_NULL;
	_cleanup_bus_ sd_bus *bus = NULL;
	int r = open_bus(&bus, e);

	if (r < 0)
		return r;
	r = sd_bus_call_method(bus, NAME, PATH, MANAGER, "StartUnit", &be, NULL, "ss",
			       "reboot.target", "replace-irreversibly");
	return r < 0 ? failed(r, "start", "reboot.target", &be, e) : 0;
}

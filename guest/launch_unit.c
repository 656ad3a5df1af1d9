/*
 * QEMU as the transient unit latencyd-guest-NAME.service (org.freedesktop.systemd1(5),
 * StartTransientUnit): it outlives the daemon and its restarts and has its own control group.
 * CollectMode lets systemd forget it when it ends, failed or not.
 *
 * Whoever stops the unit, a shutdown of the machine included, has the guest's power button pressed
 * first: its stop command is `latencyctl guest power-off`, which needs QEMU's socket and nothing
 * else, no document, daemon or lock. systemd runs it also after QEMU has ended by itself; it finds
 * no process then and is done. After it come SIGTERM and SIGKILL to what is left.
 */
#include "guest/launch_ways.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "state/guest_argv.h"
#include "guest/files.h"
#include "guest/self.h"
#include "guest/step.h"
#include "guest/transient_unit.h"

#define NAME	"org.freedesktop.systemd1"
#define PATH	"/org/freedesktop/systemd1"
#define MANAGER "org.freedesktop.systemd1.Manager"
#define UNIT	"org.freedesktop.systemd1.Unit"
#define NO_UNIT "org.freedesktop.systemd1.NoSuchUnit"

/* For the stop command and then again for SIGTERM. More than the stop command takes at most
 * (GUEST_POWER_OFF_S and what guest_power_off() adds to it: 40 s), so that it is never cut off. */
#define STOP_TIMEOUT_US ((GUEST_POWER_OFF_S + 60ULL) * 1000 * 1000)
#define CALL_TIMEOUT_US (20ULL * 1000 * 1000)
#define GONE_TIMEOUT_MS 30000
#define POLL_MS		50
#define RTPRIO_MAX	99ULL

static void bus_donep(sd_bus **bus)
{
	sd_bus_flush_close_unref(*bus);
}

static void message_donep(sd_bus_message **m)
{
	sd_bus_message_unref(*m);
}

#define _cleanup_bus_	    _cleanup_(bus_donep)
#define _cleanup_message_   _cleanup_(message_donep)
#define _cleanup_bus_error_ _cleanup_(sd_bus_error_free)

static char *unit_of(const char *guest)
{
	struct arena a = { 0 };
	const char *unit = guest_unit(&a, guest);
	char *copy = unit ? strdup(unit) : NULL;

	arena_free(&a);
	return copy;
}

static int open_bus(sd_bus **ret)
{
	int r = sd_bus_open_system(ret);

	if (r >= 0)
		r = sd_bus_set_method_call_timeout(*ret, CALL_TIMEOUT_US);
	return r;
}

bool launch_has_systemd(void)
{
	_cleanup_bus_ sd_bus *bus = NULL;

	return sd_booted() > 0 && open_bus(&bus) >= 0;
}

/* Appended to, not truncated: the stop command's output goes to the same file, and what QEMU said
 * last is still wanted then. guest_folder_make() has removed that of an earlier QEMU. */
static int append_properties(sd_bus_message *m, const struct desired_guest *g,
			     const char *const *argv, const char *latencyctl)
{
	const char *stop[] = { latencyctl, "--quiet", "guest", "power-off", g->name, NULL };
	struct arena a = { 0 };
	const char *log = guest_path(&a, g->name, GUEST_LOG);
	const char *description = arena_printf(&a, "Guest %s of latencyd", g->name);
	int r = log && description ? 0 : -ENOMEM;

	if (r >= 0)
		r = sd_bus_message_append(
			m, "(sv)(sv)(sv)(sv)(sv)(sv)(sv)(sv)(sv)(sv)", "Description", "s",
			description, "Type", "s", "exec", "KillMode", "s", "mixed",
			"TimeoutStopUSec", "t", (uint64_t)STOP_TIMEOUT_US, "LimitMEMLOCK", "t",
			UINT64_MAX, "LimitRTPRIO", "t", (uint64_t)RTPRIO_MAX, "Slice", "s",
			"machine.slice", "CollectMode", "s", "inactive-or-failed",
			"StandardOutputFileToAppend", "s", log, "StandardError", "s", "inherit");
	/* Stopped before the network and remote disks go. */
	if (r >= 0)
		r = sd_bus_message_append(m, "(sv)", "After", "as", 2, "network.target",
					  "remote-fs.target");
	if (r >= 0)
		r = transient_command(m, "ExecStartEx", argv);
	if (r >= 0)
		r = transient_command(m, "ExecStopEx", stop);
	if (r >= 0)
		r = transient_cpus(m, &g->emulator);
	arena_free(&a);
	return r;
}

int launch_unit(const struct desired_guest *g, const char *const *argv, struct error *e)
{
	_cleanup_bus_error_ sd_bus_error be = SD_BUS_ERROR_NULL;
	_cleanup_message_ sd_bus_message *m = NULL;
	_cleanup_free_ char *unit = unit_of(g->name);
	_cleanup_bus_ sd_bus *bus = NULL;
	char latencyctl[PATH_MAX];
	int r = find_latencyctl(latencyctl, e);

	if (r >= 0)
		r = launch_unit_stop(g->name, e);
	if (r < 0)
		return r;
	r = unit ? open_bus(&bus) : -ENOMEM;
	if (r >= 0)
		r = transient_new(bus, unit, "replace", &m);
	if (r >= 0)
		r = append_properties(m, g, argv, latencyctl);
	if (r >= 0)
		r = transient_start(bus, m, 0, &be, NULL);
	if (r >= 0)
		return 0;
	error_set(e, r, "cannot start the guest %s as a unit of systemd: %s", g->name,
		  be.message ? be.message : strerror(-r));
	return error_todo(e, "see: journalctl -b -u %s", unit ? unit : g->name);
}

/* 1: it has a job or is in a state other than inactive and failed; 0: it is not there. */
static int is_alive(sd_bus *bus, const char *unit)
{
	_cleanup_message_ sd_bus_message *reply = NULL, *job = NULL;
	_cleanup_bus_error_ sd_bus_error be = SD_BUS_ERROR_NULL;
	_cleanup_free_ char *state = NULL;
	const char *path;
	uint32_t id = 0;
	int r = sd_bus_call_method(bus, NAME, PATH, MANAGER, "GetUnit", &be, &reply, "s", unit);

	if (r >= 0)
		r = sd_bus_message_read(reply, "o", &path);
	if (r >= 0)
		r = sd_bus_get_property(bus, NAME, path, UNIT, "Job", &be, &job, "(uo)");
	if (r >= 0)
		r = sd_bus_message_read(job, "(uo)", &id, NULL);
	if (r >= 0)
		r = sd_bus_get_property_string(bus, NAME, path, UNIT, "ActiveState", &be, &state);
	/* It may be forgotten between two of the calls. */
	if (r < 0 && (sd_bus_error_has_name(&be, NO_UNIT) ||
		      sd_bus_error_has_name(&be, SD_BUS_ERROR_UNKNOWN_OBJECT)))
		return 0;
	if (r < 0)
		return r;
	return id != 0 || (!streq(state, "inactive") && !streq(state, "failed"));
}

int launch_unit_alive(const char *guest)
{
	_cleanup_free_ char *unit = unit_of(guest);
	_cleanup_bus_ sd_bus *bus = NULL;
	int r = unit ? open_bus(&bus) : -ENOMEM;

	return r < 0 ? r : is_alive(bus, unit);
}

int launch_unit_stop(const char *guest, struct error *e)
{
	const struct timespec pause = { .tv_nsec = POLL_MS * 1000 * 1000 };
	_cleanup_bus_error_ sd_bus_error be = SD_BUS_ERROR_NULL;
	_cleanup_free_ char *unit = unit_of(guest);
	_cleanup_bus_ sd_bus *bus = NULL;
	int r = unit ? open_bus(&bus) : -ENOMEM;

	if (r >= 0)
		r = is_alive(bus, unit);
	if (r > 0) {
		/* Ahead of the stop command: the guest had its chance before, or never ran. There
		 * may be no main process any more, which is as good. */
		(void)sd_bus_call_method(bus, NAME, PATH, MANAGER, "KillUnit", NULL, NULL, "ssi",
					 unit, "main", SIGTERM);
		r = sd_bus_call_method(bus, NAME, PATH, MANAGER, "StopUnit", &be, NULL, "ss", unit,
				       "replace");
		if (r < 0 && sd_bus_error_has_name(&be, NO_UNIT))
			r = 0;
		else if (r >= 0)
			r = 1;
	}
	for (int ms = 0; r > 0; ms += POLL_MS) {
		r = is_alive(bus, unit);
		if (r > 0 && ms >= GONE_TIMEOUT_MS)
			r = -ETIMEDOUT;
		else if (r > 0)
			nanosleep(&pause, NULL);
	}
	if (r < 0)
		return error_set(e, r, "cannot stop the unit of the guest %s: %s", guest,
				 be.message ? be.message : strerror(-r));
	(void)sd_bus_call_method(bus, NAME, PATH, MANAGER, "ResetFailedUnit", NULL, NULL, "s",
				 unit);
	return 0;
}

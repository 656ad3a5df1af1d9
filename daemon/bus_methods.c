/*
 * The D-Bus surface as two vtables. Everybody may read. Each method that changes the machine, or
 * costs it time without a bound, is open to everybody as far as sd-bus and the bus policy go, and
 * asks polkit.c who is calling: what is invalid is refused before, so that nobody types a password
 * for nothing.
 */
#include <errno.h>

#include <jansson.h>

#include "daemon/bus_side.h"
#include "daemon/manager.h"
#include "state/measure_spec.h"
#include "state/settings.h"

#define PLAN_INTERVAL_US    (1000 * 1000ULL)
#define REFRESH_INTERVAL_US (200 * 1000ULL)
#define PAUSE_MAX_S	    (366 * 24 * 60 * 60ULL)

static int fail(sd_bus_error *error, const struct error *e, int r)
{
	const char *name = r == -EBUSY			    ? BUS_ERROR_BUSY
			   : r == -EROFS || r == -ESHUTDOWN ? BUS_ERROR_REFUSED
			   : r == -EINVAL		    ? BUS_ERROR_INVALID
							    : BUS_ERROR_FAILED;

	return sd_bus_error_setf(error, name, "%s%s%s", e->what ? e->what : strerror(-r),
				 e->todo ? "; " : "", e->todo ? e->todo : "");
}

/* A caller that wants no answer is served too: sd-bus takes 0 for "no such method". */
static int handled(int r)
{
	return r < 0 ? r : 1;
}

/* ---- properties ---- */

#define PROPERTY_ARGUMENTS                                                          \
	sd_bus *bus, const char *path, const char *interface, const char *property, \
		sd_bus_message *reply, void *userdata, sd_bus_error *error
#define UNUSED_ARGUMENTS ((void)bus, (void)path, (void)interface, (void)property, (void)error)

static int get_verdict(PROPERTY_ARGUMENTS)
{
	const struct manager *m = userdata;

	UNUSED_ARGUMENTS;
	return sd_bus_message_append(reply, "s", machine_verdict_name(m->verdict));
}

static int get_paused(PROPERTY_ARGUMENTS)
{
	UNUSED_ARGUMENTS;
	return sd_bus_message_append(reply, "b", manager_paused(userdata, NULL));
}

static int get_paused_until(PROPERTY_ARGUMENTS)
{
	const char *until = "";

	UNUSED_ARGUMENTS;
	(void)manager_paused(userdata, &until);
	return sd_bus_message_append(reply, "s", until);
}

static int get_watching(PROPERTY_ARGUMENTS)
{
	const struct manager *m = userdata;
	json_t *json = m->watch ? watch_to_json(m->watch) : json_object();
	_cleanup_free_ char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

	UNUSED_ARGUMENTS;
	json_decref(json);
	return text ? sd_bus_message_append(reply, "s", text) : -ENOMEM;
}

static int get_last_verified(PROPERTY_ARGUMENTS)
{
	const struct manager *m = userdata;
	const char *last = m->alerts.last_verified;

	UNUSED_ARGUMENTS;
	return sd_bus_message_append(reply, "s", last ? last : "");
}

/* ---- reading ---- */

static int method_status(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
	const struct manager *m = userdata;

	(void)error;
	return handled(sd_bus_reply_method_return(call, "s", m->status ? m->status : ""));
}

static bool elapsed(uint64_t since_us, uint64_t interval_us)
{
	return since_us == 0 || manager_now_us() - since_us >= interval_us;
}

/* For everybody, and each costs a look at the machine: one a second, right or wrong. */
static int method_plan(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
	struct manager *m = userdata;
	struct bus_side *side = m->requests.side;

	if (elapsed(side->planned_us, PLAN_INTERVAL_US)) {
		free(take_ptr(side->plan));
		error_clear(&side->plan_error);
		side->plan_result = manager_plan(m, &side->plan, &side->plan_error);
		side->planned_us = manager_now_us();
	}
	if (side->plan_result < 0)
		return fail(error, &side->plan_error, side->plan_result);
	return handled(sd_bus_reply_method_return(call, "s", side->plan));
}

/* ---- requests ---- */

static int add(struct manager *m, enum request_kind kind, const char *argument,
	       sd_bus_message *call, sd_bus_error *error)
{
	_cleanup_error_ struct error e = { 0 };
	int r = requests_add(m, kind, argument && *argument ? argument : NULL, call, &e);

	return r < 0 ? fail(error, &e, r) : 1; /* answered when it has ended */
}

static int polkit_of(struct manager *m, sd_bus_message *call, const char *action,
		     sd_bus_message_handler_t then, sd_bus_error *error)
{
	return polkit_ask(&m->requests.side->polkit, call, action, then, m, error);
}

static int do_apply(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
	int reboot, r = sd_bus_message_read(call, "b", &reboot);

	return r < 0 ? r : add(userdata, REQUEST_APPLY, reboot ? "reboot" : NULL, call, error);
}

static int method_apply(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
	return polkit_of(userdata, call, BUS_NAME ".apply", do_apply, error);
}

/* One string, which stays to be read again. */
static int peek(sd_bus_message *call, const char **ret)
{
	int r = sd_bus_message_read(call, "s", ret);

	return r < 0 ? r : sd_bus_message_rewind(call, true);
}

static int do_revert(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
	const char *setting;
	int r = peek(call, &setting);

	return r < 0 ? r : add(userdata, REQUEST_REVERT, setting, call, error);
}

static int method_revert(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
	const char *setting;
	int r = peek(call, &setting);

	if (r < 0)
		return r;
	if (*setting && !setting_by_name(setting))
		return sd_bus_error_set(error, BUS_ERROR_INVALID, "there is no such setting");
	return polkit_of(userdata, call, BUS_NAME ".revert", do_revert, error);
}

static int do_measure(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
	const char *profile;
	int r = peek(call, &profile);

	return r < 0 ? r : add(userdata, REQUEST_MEASURE, profile, call, error);
}

static int method_measure(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
	const char *profile;
	int r = peek(call, &profile);

	if (r < 0)
		return r;
	if (*profile && !measure_profile(profile))
		return sd_bus_error_set(error, BUS_ERROR_INVALID, "there is no such profile");
	return polkit_of(userdata, call, BUS_NAME ".measure", do_measure, error);
}

/* ---- pauses ---- */

static int set_pause(struct manager *m, uint64_t seconds, sd_bus_message *call, sd_bus_error *error)
{
	_cleanup_error_ struct error e = { 0 };
	int r = manager_pause(m, seconds, &e);

	if (r < 0)
		return fail(error, &e, r);
	bus_announce(m);
	return handled(sd_bus_reply_method_return(call, NULL));
}

static int read_seconds(sd_bus_message *call, uint64_t *ret)
{
	int r = sd_bus_message_read(call, "t", ret);

	return r < 0 ? r : sd_bus_message_rewind(call, true);
}

static int do_pause(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
	uint64_t seconds;
	int r = read_seconds(call, &seconds);

	return r < 0 ? r : set_pause(userdata, seconds, call, error);
}

static int method_pause(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
	uint64_t seconds;
	int r = read_seconds(call, &seconds);

	if (r < 0)
		return r;
	if (seconds > PAUSE_MAX_S)
		return sd_bus_error_set(error, BUS_ERROR_INVALID,
					"a pause is at most a year long, or 0: until resumed");
	return polkit_of(userdata, call, BUS_NAME ".pause", do_pause, error);
}

static int do_resume(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
	return set_pause(userdata, UINT64_MAX, call, error);
}

static int method_resume(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
	return polkit_of(userdata, call, BUS_NAME ".pause", do_resume, error);
}

/* ---- refreshing ---- */

static void drop_refreshing(struct bus_side *side)
{
	while (side->n_refreshing > 0)
		sd_bus_message_unref(side->refreshing[--side->n_refreshing]);
}

/* Each caller is answered by a look that began after it had asked. */
static int on_refresh(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct bus_side *side = userdata;
	struct manager *m = side->m;

	(void)s;
	(void)usec;
	side->refreshed_us = manager_now_us();
	manager_refresh(m);
	if (m->requests.side != side) /* it found the bus gone, and perhaps another */
		return 0;
	for (size_t i = 0; i < side->n_refreshing; i++)
		(void)sd_bus_reply_method_return(side->refreshing[i], NULL);
	drop_refreshing(side);
	return 0;
}

static int refresh_soon(struct bus_side *side)
{
	uint64_t since = manager_now_us() - side->refreshed_us;
	uint64_t wait =
		side->refreshed_us && since < REFRESH_INTERVAL_US ? REFRESH_INTERVAL_US - since : 0;
	int r;

	if (!side->refresh)
		return sd_event_add_time_relative(side->m->event, &side->refresh, CLOCK_MONOTONIC,
						  wait, 1, on_refresh, side);
	r = sd_event_source_set_time_relative(side->refresh, wait);
	return r < 0 ? r : sd_event_source_set_enabled(side->refresh, SD_EVENT_ONESHOT);
}

static int do_refresh(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
	struct manager *m = userdata;
	struct bus_side *side = m->requests.side;
	int r = 0;

	if (side->n_refreshing == REFRESH_CALLS_MAX)
		return sd_bus_error_set(error, BUS_ERROR_BUSY, "too many wait for this already");
	if (side->n_refreshing == 0)
		r = refresh_soon(side);
	if (r < 0)
		return r;
	side->refreshing[side->n_refreshing++] = sd_bus_message_ref(call);
	return 1;
}

static int method_refresh(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
	return polkit_of(userdata, call, BUS_NAME ".refresh", do_refresh, error);
}

/* ---- what is offered ---- */

/* last_verified changes with every look at a verified machine: nobody is woken for that. */
#define READING                                                                                \
	SD_BUS_PROPERTY("Verdict", "s", get_verdict, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),  \
		SD_BUS_PROPERTY("Generation", "t", NULL, offsetof(struct manager, generation), \
				SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),                          \
		SD_BUS_PROPERTY("Paused", "b", get_paused, 0,                                  \
				SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),                          \
		SD_BUS_PROPERTY("PausedUntil", "s", get_paused_until, 0,                       \
				SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),                          \
		SD_BUS_PROPERTY("Watching", "s", get_watching, 0,                              \
				SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),                          \
		SD_BUS_PROPERTY("LastVerified", "s", get_last_verified, 0, 0),                 \
		SD_BUS_METHOD_WITH_ARGS("Status", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", json),    \
					method_status, SD_BUS_VTABLE_UNPRIVILEGED)

#define RESULT SD_BUS_RESULT("i", exit_code, "s", output_tail)

const sd_bus_vtable bus_reading[] = {
	SD_BUS_VTABLE_START(0),
	READING,
	SD_BUS_VTABLE_END,
};

const sd_bus_vtable bus_all[] = {
	SD_BUS_VTABLE_START(0),
	READING,
	SD_BUS_METHOD_WITH_ARGS("Plan", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", json), method_plan,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Apply", SD_BUS_ARGS("b", reboot), RESULT, method_apply,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Revert", SD_BUS_ARGS("s", setting), RESULT, method_revert,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Measure", SD_BUS_ARGS("s", profile), RESULT, method_measure,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Pause", SD_BUS_ARGS("t", seconds), SD_BUS_NO_RESULT, method_pause,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Resume", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_resume,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Refresh", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_refresh,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_SIGNAL_WITH_ARGS(
		"SettingChanged",
		SD_BUS_ARGS("s", guest, "s", setting, "s", was, "s", now, "s", json), 0),
	SD_BUS_VTABLE_END,
};

/* ---- its life ---- */

struct bus_side *bus_side_new(struct manager *m)
{
	struct bus_side *side = calloc(1, sizeof(*side));

	if (side)
		side->m = m;
	return side;
}

struct bus_side *bus_side_free(struct bus_side *side)
{
	if (!side)
		return NULL;
	polkit_done(&side->polkit);
	drop_refreshing(side);
	sd_event_source_disable_unref(side->refresh);
	free(side->plan);
	error_clear(&side->plan_error);
	free(side);
	return NULL;
}

/*
 * One job at a time. Two would cancel each other, and a drift that is mended in milliseconds has to
 * take the target down all the same, for the units that stop with it. When a job has ended and the
 * verdict was another one meanwhile, the next follows. Each pass asks what the target really is.
 *
 * A job's end is told to whoever asked for it (org.freedesktop.systemd1(5), JobRemoved), so systemd
 * need not be asked to tell everything; the match stands only while a job is under way, so that
 * other units' jobs do not wake us. What systemd refuses, or does not bring about, is tried again
 * with the next pass.
 */
#include "daemon/verified_target.h"

#include <errno.h>

#include "daemon/manager.h"

#define TARGET	   "latency-verified.target"
#define NAME	   "org.freedesktop.systemd1"
#define PATH	   "/org/freedesktop/systemd1"
#define UNIT_PATH  PATH "/unit/latency_2dverified_2etarget"
#define INTERFACE  "org.freedesktop.systemd1.Manager"
#define UNIT	   "org.freedesktop.systemd1.Unit"
#define PROPERTIES "org.freedesktop.DBus.Properties"

static void order(struct manager *m);

static const char *verb(const struct verified_target *t)
{
	return t->ordered ? "start" : "stop";
}

static void end_job(struct verified_target *t)
{
	t->call = sd_bus_slot_unref(t->call);
	t->removals = sd_bus_slot_unref(t->removals);
	free(take_ptr(t->job));
}

static int on_job_removed(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct manager *m = userdata;
	struct verified_target *t = &m->target;
	const char *job, *result;

	(void)error;
	if (!t->job || sd_bus_message_read(message, "uoss", NULL, &job, NULL, &result) < 0 ||
	    !streq(job, t->job))
		return 0;
	if (!streq(result, "done"))
		manager_complain(m, "systemd did not %s " TARGET ": %s", verb(t), result);
	end_job(t);
	if (t->left || t->wanted != t->ordered)
		order(m);
	return 0;
}

static int on_job(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	struct manager *m = userdata;
	struct verified_target *t = &m->target;
	const sd_bus_error *refusal = sd_bus_message_get_error(reply);
	const char *job;

	(void)error;
	t->call = sd_bus_slot_unref(t->call);
	if (refusal)
		manager_complain(m, "cannot %s " TARGET ": %s", verb(t), refusal->message);
	else if (sd_bus_message_read(reply, "o", &job) >= 0)
		t->job = strdup(job);
	if (!t->job)
		end_job(t);
	return 0;
}

static void order(struct manager *m)
{
	struct verified_target *t = &m->target;

	t->ordered = t->left ? 0 : t->wanted;
	t->left = false;
	if (sd_bus_match_signal_async(m->bus, &t->removals, NAME, PATH, INTERFACE, "JobRemoved",
				      on_job_removed, NULL, m) < 0 ||
	    sd_bus_call_method_async(m->bus, &t->call, NAME, PATH, INTERFACE,
				     t->ordered ? "StartUnit" : "StopUnit", on_job, m, "ss", TARGET,
				     "replace") < 0)
		end_job(t);
}

/* An answer that says nothing is no answer that all is well. */
static int on_state(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	struct manager *m = userdata;
	struct verified_target *t = &m->target;
	const char *state = NULL;

	(void)error;
	t->call = sd_bus_slot_unref(t->call);
	if (!sd_bus_message_is_method_error(reply, NULL))
		(void)sd_bus_message_read(reply, "v", "s", &state);
	if (!t->left && state && streq(state, "active") == t->wanted)
		return 0;
	if (!t->left && state && t->ordered == t->wanted)
		manager_complain(m, TARGET " was found %s though the machine is %sverified: %s",
				 state, t->wanted ? "" : "not ",
				 t->wanted ? "it is started again" : "it is stopped");
	order(m);
	return 0;
}

static bool idle(const struct manager *m)
{
	return m->bus && !m->target.call && !m->target.job;
}

void verified_target_set(struct manager *m, bool verified)
{
	struct verified_target *t = &m->target;

	if (t->wanted == verified)
		return;
	t->wanted = verified;
	t->left |= !verified;
	if (idle(m))
		order(m);
}

void verified_target_check(struct manager *m)
{
	if (idle(m) && m->target.wanted >= 0)
		(void)sd_bus_call_method_async(m->bus, &m->target.call, NAME, UNIT_PATH, PROPERTIES,
					       "Get", on_state, m, "ss", UNIT, "ActiveState");
}

void verified_target_forget(struct verified_target *t)
{
	end_job(t);
	t->ordered = -1;
}

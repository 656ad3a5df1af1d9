/*
 * One job at a time. Two would cancel each other, and a drift that is mended in milliseconds has to
 * take the target down all the same, for the units that stop with it. When a job has ended and the
 * verdict was another one meanwhile, the next follows. Each pass asks what the target really is.
 *
 * What systemd refuses, or does not bring about, is tried again with the next pass.
 */
#include "daemon/verified_target.h"

#include "daemon/manager.h"

#define TARGET	   "latency-verified.target"
#define NAME	   "org.freedesktop.systemd1"
#define UNIT_PATH  "/org/freedesktop/systemd1/unit/latency_2dverified_2etarget"
#define UNIT	   "org.freedesktop.systemd1.Unit"
#define PROPERTIES "org.freedesktop.DBus.Properties"

static void order(struct manager *m);

static void on_job_end(const char *result, const char *refusal, void *userdata)
{
	struct manager *m = userdata;
	struct verified_target *t = &m->target;
	const char *verb = t->ordered ? "start" : "stop";

	if (refusal) {
		manager_complain(m, "cannot %s " TARGET ": %s", verb, refusal);
		return;
	}
	if (!streq(result, "done"))
		manager_complain(m, "systemd did not %s " TARGET ": %s", verb, result);
	if (t->left || t->wanted != t->ordered)
		order(m);
}

static void order(struct manager *m)
{
	struct verified_target *t = &m->target;

	t->ordered = t->left ? 0 : t->wanted;
	t->left = false;
	(void)unit_job_ask(&t->job, m->bus, t->ordered ? "StartUnit" : "StopUnit", TARGET,
			   on_job_end, m);
}

/* An answer that says nothing is no answer that all is well. */
static int on_state(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	struct manager *m = userdata;
	struct verified_target *t = &m->target;
	const char *state = NULL;

	(void)error;
	t->question = sd_bus_slot_unref(t->question);
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
	return m->bus && !m->target.question && !unit_job_is_pending(&m->target.job);
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
		(void)sd_bus_call_method_async(m->bus, &m->target.question, NAME, UNIT_PATH,
					       PROPERTIES, "Get", on_state, m, "ss", UNIT,
					       "ActiveState");
}

void verified_target_forget(struct verified_target *t)
{
	t->question = sd_bus_slot_unref(t->question);
	unit_job_forget(&t->job);
	t->ordered = -1;
}

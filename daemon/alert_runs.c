/*
 * systemd does not start a second time what is running, and reads the environment file when it
 * starts: a drift that is mended in milliseconds would be told as mended alone, or never as mended.
 * So each unit has a line of alerts. The first one's environment is written and the unit started;
 * the next one's turn comes when that job has ended, well or not.
 *
 * Invariant: a unit in the list has a job under way, or one that systemd was asked for. As for the
 * target (daemon/verified_target.c), systemd tells the end of a job to whoever asked for it.
 */
#include "daemon/alert_runs.h"

#include <stdlib.h>

#include "daemon/manager.h"

#define NAME	  "org.freedesktop.systemd1"
#define PATH	  "/org/freedesktop/systemd1"
#define INTERFACE "org.freedesktop.systemd1.Manager"
#define UNIT	  "latencyd-alert@%s.service"
/* A unit that takes its whole minute for each alert must not fill the memory. */
#define WAITING_MAX 32

struct alert_run {
	struct alert_run *next;
	struct manager *m;
	char *instance;
	char *waiting[WAITING_MAX]; /* environments, the next one first */
	size_t n_waiting;
	sd_bus_slot *call; /* a job that systemd was asked for */
	char *job;	   /* under way */
};

static bool is_under_way(const struct alert_run *run)
{
	return run->call || run->job;
}

static struct alert_run *run_free(struct alert_run *run)
{
	for (size_t i = 0; i < run->n_waiting; i++)
		free(run->waiting[i]);
	sd_bus_slot_unref(run->call);
	free(run->job);
	free(run->instance);
	free(run);
	return NULL;
}

static struct alert_run *run_of(struct manager *m, const char *instance)
{
	struct alert_run *run = m->alert_runs.first;

	while (run && !streq(run->instance, instance))
		run = run->next;
	if (run)
		return run;
	run = calloc(1, sizeof(*run));
	if (!run)
		return NULL;
	run->m = m;
	run->instance = strdup(instance);
	if (!run->instance)
		return run_free(run);
	run->next = m->alert_runs.first;
	m->alert_runs.first = run;
	return run;
}

static void sweep(struct alert_runs *all)
{
	for (struct alert_run **p = &all->first; *p;) {
		struct alert_run *run = *p;

		if (is_under_way(run)) {
			p = &run->next;
			continue;
		}
		*p = run->next;
		run_free(run);
	}
	if (!all->first)
		all->removals = sd_bus_slot_unref(all->removals);
}

static char *take_next(struct alert_run *run)
{
	char *next = run->waiting[0];

	memmove(run->waiting, run->waiting + 1, --run->n_waiting * sizeof(*run->waiting));
	return next;
}

static int on_job(sd_bus_message *reply, void *userdata, sd_bus_error *error);
static int on_job_removed(sd_bus_message *message, void *userdata, sd_bus_error *error);

static void ask_systemd(struct alert_run *run)
{
	struct alert_runs *all = &run->m->alert_runs;
	sd_bus *bus = run->m->bus;
	char *unit;

	if (!bus || asprintf(&unit, UNIT, run->instance) < 0)
		return;
	if (all->removals ||
	    sd_bus_match_signal_async(bus, &all->removals, NAME, PATH, INTERFACE, "JobRemoved",
				      on_job_removed, NULL, run->m) >= 0)
		(void)sd_bus_call_method_async(bus, &run->call, NAME, PATH, INTERFACE, "StartUnit",
					       on_job, run, "ss", unit, "replace");
	free(unit);
}

/* The next alert's turn; what cannot be started does not hold up those behind it. */
static void advance(struct alert_run *run)
{
	while (run->n_waiting && !is_under_way(run)) {
		_cleanup_error_ struct error e = { 0 };
		_cleanup_free_ char *environment = take_next(run);

		if (alert_unit_write(run->instance, environment, &e) < 0)
			manager_complain_of(run->m, &e, e.code);
		else
			ask_systemd(run);
	}
}

static int on_job(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	struct alert_run *run = userdata;
	struct manager *m = run->m;
	const sd_bus_error *refusal = sd_bus_message_get_error(reply);
	const char *job;

	(void)error;
	run->call = sd_bus_slot_unref(run->call);
	if (refusal)
		manager_complain(m, "systemd refuses " UNIT ": %s", run->instance,
				 refusal->message);
	else if (sd_bus_message_read(reply, "o", &job) >= 0)
		run->job = strdup(job);
	advance(run);
	sweep(&m->alert_runs);
	return 0;
}

static int on_job_removed(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct manager *m = userdata;
	struct alert_run *run = m->alert_runs.first;
	const char *job;

	(void)error;
	if (sd_bus_message_read(message, "uoss", NULL, &job, NULL, NULL) < 0)
		return 0;
	while (run && !(run->job && streq(run->job, job)))
		run = run->next;
	if (!run)
		return 0;
	free(take_ptr(run->job));
	advance(run);
	sweep(&m->alert_runs);
	return 0;
}

void alert_runs_add(struct manager *m, const char *instance, char *environment)
{
	struct alert_run *run = run_of(m, instance);

	if (!run) {
		free(environment);
		return;
	}
	if (run->n_waiting == WAITING_MAX) {
		manager_complain(m, UNIT " is slower than its alerts: it is not told of the oldest",
				 instance);
		free(take_next(run));
	}
	run->waiting[run->n_waiting++] = environment;
	advance(run);
	sweep(&m->alert_runs);
}

void alert_runs_forget(struct alert_runs *all)
{
	while (all->first) {
		struct alert_run *run = all->first;

		all->first = run->next;
		run_free(run);
	}
	all->removals = sd_bus_slot_unref(all->removals);
}

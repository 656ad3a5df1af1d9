/*
 * systemd does not start a second time what is running, and reads the environment file when it
 * starts: a drift that is mended in milliseconds would be told as mended alone, or never as mended.
 * So each unit has a line of alerts. The first one's environment is written and the unit started;
 * the next one's turn comes when that job has ended, well or not.
 *
 * Invariant: a unit in the list has a job pending.
 */
#include "daemon/alert_runs.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/manager.h"

#define UNIT "latencyd-alert@%s.service"
/* A unit that takes its whole minute for each alert must not fill the memory. */
#define WAITING_MAX 32

struct alert_run {
	struct alert_run *next;
	struct manager *m;
	char *instance;
	char *waiting[WAITING_MAX]; /* environments, the next one first */
	size_t n_waiting;
	struct unit_job job;
};

static struct alert_run *run_free(struct alert_run *run)
{
	for (size_t i = 0; i < run->n_waiting; i++)
		free(run->waiting[i]);
	unit_job_forget(&run->job);
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

		if (unit_job_is_pending(&run->job)) {
			p = &run->next;
			continue;
		}
		*p = run->next;
		run_free(run);
	}
}

static char *take_next(struct alert_run *run)
{
	char *next = run->waiting[0];

	memmove(run->waiting, run->waiting + 1, --run->n_waiting * sizeof(*run->waiting));
	return next;
}

static void on_job_end(const char *result, const char *refusal, void *userdata);

static void start(struct alert_run *run)
{
	_cleanup_free_ char *unit = NULL;
	int r;

	if (!run->m->bus)
		return;
	if (asprintf(&unit, UNIT, run->instance) < 0)
		unit = NULL;
	r = unit ? unit_job_ask(&run->job, run->m->bus, "StartUnit", unit, on_job_end, run)
		 : -ENOMEM;
	if (r < 0)
		manager_complain(run->m, "cannot start " UNIT ": %s", run->instance, strerror(-r));
}

/* The next alert's turn; what cannot be started does not hold up those behind it. */
static void advance(struct alert_run *run)
{
	while (run->n_waiting && !unit_job_is_pending(&run->job)) {
		_cleanup_error_ struct error e = { 0 };
		_cleanup_free_ char *environment = take_next(run);

		if (alert_unit_write(run->instance, environment, &e) < 0)
			manager_complain_of(run->m, &e, e.code);
		else
			start(run);
	}
}

/* A unit that failed says so itself. */
static void on_job_end(const char *result, const char *refusal, void *userdata)
{
	struct alert_run *run = userdata;
	struct manager *m = run->m;

	(void)result;
	if (refusal)
		manager_complain(m, "systemd refuses " UNIT ": %s", run->instance, refusal);
	advance(run);
	sweep(&m->alert_runs);
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
}

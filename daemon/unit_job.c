/*
 * A job's end is told to whoever asked for it, so systemd need not be asked to tell everything
 * (Subscribe()). The match stands before the call is made and goes with the job: nothing that is
 * said of it is missed, and the jobs of others do not wake us when we have none.
 */
#include "daemon/unit_job.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "state/base.h"

#define NAME	"org.freedesktop.systemd1"
#define PATH	"/org/freedesktop/systemd1"
#define MANAGER "org.freedesktop.systemd1.Manager"

bool unit_job_is_pending(const struct unit_job *j)
{
	return j->call || j->path;
}

void unit_job_forget(struct unit_job *j)
{
	j->call = sd_bus_slot_unref(j->call);
	j->removals = sd_bus_slot_unref(j->removals);
	free(take_ptr(j->path));
}

static void end(struct unit_job *j, const char *result, const char *refusal)
{
	unit_job_forget(j);
	j->done(result, refusal, j->userdata);
}

static int on_job_removed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct unit_job *j = userdata;
	const char *path, *result;

	(void)error;
	if (j->path && sd_bus_message_read(m, "uoss", NULL, &path, NULL, &result) >= 0 &&
	    streq(path, j->path))
		end(j, result, NULL);
	return 0;
}

static int on_answer(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	struct unit_job *j = userdata;
	const sd_bus_error *refusal = sd_bus_message_get_error(reply);
	const char *path, *why;
	int r;

	(void)error;
	j->call = sd_bus_slot_unref(j->call);
	if (refusal) {
		why = refusal->message ? refusal->message : refusal->name;
	} else {
		r = sd_bus_message_read(reply, "o", &path);
		j->path = r < 0 ? NULL : strdup(path);
		why = strerror(r < 0 ? -r : ENOMEM);
	}
	if (!j->path)
		end(j, NULL, why);
	return 0;
}

int unit_job_listen(struct unit_job *j, sd_bus *bus, unit_job_done_fn done, void *userdata)
{
	j->done = done;
	j->userdata = userdata;
	return sd_bus_match_signal_async(bus, &j->removals, NAME, PATH, MANAGER, "JobRemoved",
					 on_job_removed, NULL, j);
}

int unit_job_ask(struct unit_job *j, sd_bus *bus, const char *method, const char *unit,
		 unit_job_done_fn done, void *userdata)
{
	int r = unit_job_listen(j, bus, done, userdata);

	if (r >= 0)
		r = sd_bus_call_method_async(bus, &j->call, NAME, PATH, MANAGER, method, on_answer,
					     j, "ss", unit, "replace");
	if (r < 0)
		unit_job_forget(j);
	return r < 0 ? r : 0;
}

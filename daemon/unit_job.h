#pragma once
/*
 * One job of systemd's at a time, asked for over the bus and followed to its end
 * (org.freedesktop.systemd1(5): StartUnit, StopUnit, JobRemoved).
 */
#include <stdbool.h>

#include <systemd/sd-bus.h>

/* @result: how the job ended, "done" if as asked; NULL when there is none because of @refusal. The
 * job is forgotten by then: the next may be asked for, or what holds it freed. */
typedef void (*unit_job_done_fn)(const char *result, const char *refusal, void *userdata);

struct unit_job {
	sd_bus_slot *call;     /* asked for, not answered */
	sd_bus_slot *removals; /* listens for its end */
	char *path;	       /* under way */
	unit_job_done_fn done;
	void *userdata;
};

/* Asked for, or under way. */
bool unit_job_is_pending(const struct unit_job *j);
/* @method: "StartUnit" or "StopUnit". After an error nothing is pending and @done is not called. */
int unit_job_ask(struct unit_job *j, sd_bus *bus, const char *method, const char *unit,
		 unit_job_done_fn done, void *userdata);
/* For a job that is asked for in another way, after this call: its path is to be put, malloc()ed,
 * into j->path. */
int unit_job_listen(struct unit_job *j, sd_bus *bus, unit_job_done_fn done, void *userdata);
/* The job goes on, @done is not called. */
void unit_job_forget(struct unit_job *j);

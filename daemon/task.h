#pragma once
/*
 * What takes long or changes more than kernel files runs apart from the daemon: one latencyctl
 * command, as a transient unit of systemd's where systemd runs (so that the daemon can be closed
 * up, and a restart of the daemon does not end an apply), as a child process elsewhere. The
 * daemon's loop answers meanwhile.
 */
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "daemon/child.h"
#include "daemon/unit_job.h"

/* @status: the exit code, or 128 + the signal that ended it. @tail: the end of its output. */
typedef void (*task_done_fn)(int status, const char *tail, void *userdata);

struct task {
	bool running;
	char *unit; /* "latencyd-apply.service" when it runs as one, else NULL */
	/* the rest is task.c's own */
	struct child child;
	sd_bus *bus;
	struct unit_job job;
	sd_bus_slot *lost_slot;
	sd_event_source *output_source;
	int output;
	struct tail tail;
	task_done_fn done;
	void *userdata;
};

void task_init(struct task *t);
/* Stops waiting for it; a unit goes on, a child is left alone. */
void task_close(struct task *t);
void task_signal(struct task *t, int signal);
/*
 * Starts latencyctl with @argv (argv[0] is replaced by its path). @name: "apply" gives
 * latencyd-apply.service. @bus: the system bus, or NULL. -EBUSY: it runs, or the unit of an earlier
 * daemon still does. SIGCHLD must be blocked.
 */
int task_start(struct task *t, sd_event *event, sd_bus *bus, const char *name, const char **argv,
	       task_done_fn done, void *userdata, struct error *e);

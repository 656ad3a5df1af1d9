#pragma once
/*
 * What was asked of the machine, one after the other: each request waits for its turn, runs as a
 * task, and is answered; none is lost, and at most REQUESTS_MAX wait.
 */
#include "daemon/task.h"

struct manager;
struct bus_side;

enum request_kind {
	REQUEST_APPLY,	       /* argument: "reboot" or NULL */
	REQUEST_APPLY_RUNTIME, /* what a repair needs and the daemon itself may not do */
	REQUEST_REVERT,	       /* argument: a setting, or NULL: all */
	REQUEST_REVERT_RESUME,
	REQUEST_MEASURE, /* argument: a profile, or NULL */
	_REQUEST_KIND_MAX
};

#define REQUESTS_MAX 16

struct request {
	enum request_kind kind;
	char *argument;
	sd_bus_message *call; /* answered with "is" (exit code, output's end) at the end; or NULL */
	struct request *next;
};

struct requests {
	struct request *first; /* the one that runs, if task.running */
	size_t n;
	struct task task;
	sd_event_source *retry; /* the unit of an earlier daemon is in the way */
	struct bus_side *side;	/* daemon/bus.c's: calls that are no requests yet */
};

void requests_init(struct requests *q);
/* Who still waits is told that it will not be; what runs in a unit goes on. */
void requests_done(struct requests *q);
/* @call: answered when it has ended; NULL: nobody waits, and one of this kind and argument that
 * still waits will do. -EBUSY: too many wait; -ESHUTDOWN; -EROFS with --root. */
int requests_add(struct manager *m, enum request_kind kind, const char *argument,
		 sd_bus_message *call, struct error *e);
/* Starts the first if nothing runs and nothing forbids it (a segment is measured in this guest). */
void requests_go(struct manager *m);
bool requests_running(const struct requests *q, enum request_kind kind);

#pragma once
/*
 * What takes long or changes the machine runs in a child process, so that the daemon's loop answers
 * meanwhile and a crash in there is not the daemon's. One struct child is one such process at a
 * time.
 */
#include <limits.h>
#include <systemd/sd-event.h>

#include "state/error.h"

#define CHILD_TAIL_SIZE 2048

/* The last bytes of what a program printed. */
struct tail {
	char text[CHILD_TAIL_SIZE];
	size_t n;
};

static inline void tail_clear(struct tail *t)
{
	t->n = 0;
	t->text[0] = '\0';
}
void tail_add(struct tail *t, const char *text, size_t n);
/* Takes in what @fd, which does not block, has now. As read(2) says at its end: 0 is the end. */
ssize_t tail_drain(struct tail *t, int fd);

/* @status: the exit code, or 128 + the signal that ended it. @tail: the end of its output. */
typedef void (*child_done_fn)(int status, const char *tail, void *userdata);

struct child {
	sd_event_source *exit_source, *output_source;
	int output;
	struct tail tail;
	bool running;
	pid_t pid; /* while it runs */
	child_done_fn done;
	void *userdata;
};

void child_close(struct child *c);
/* Sends @signal to it if it runs. */
void child_signal(struct child *c, int signal);

/* Starts latencyctl with @argv (argv[0] is replaced by its path). SIGCHLD must be blocked. -EBUSY:
 * one runs. */
int child_start_latencyctl(struct child *c, sd_event *event, const char **argv, child_done_fn done,
			   void *userdata, struct error *e);

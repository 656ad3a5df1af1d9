#pragma once
/*
 * Runs a measuring program: a process group of its own, a clean environment, a deadline, and a call
 * back about once a second while it runs.
 */
#include <stdint.h>
#include <sys/types.h>

#include "state/error.h"

/* Called about once a second; anything but 0 asks the tool (SIGINT) to stop early. */
typedef int (*tool_tick_fn)(unsigned elapsed_s, void *userdata);

struct tool_run {
	const char *path; /* absolute */
	char *const *argv;
	int output_fd;	     /* takes stdout and stderr */
	unsigned deadline_s; /* then it is killed */
	tool_tick_fn tick;   /* may be NULL */
	void *userdata;
	const char *cgroup_procs; /* the file of a cgroup that it joins before it begins; or NULL */
};

struct tool_outcome {
	int spawn_error;     /* positive errno: it did not run */
	int wait_status;     /* as of waitpid() */
	bool timed_out;	     /* killed at the deadline */
	int stopped;	     /* what tick() said, if it asked to stop */
	uint64_t elapsed_ms; /* from start to end, CLOCK_MONOTONIC */
};

/* *ret says how it went; an error (-ENOMEM, -EMFILE, ...) only when nothing could be tried. */
int tool_run(const struct tool_run *run, struct tool_outcome *ret, struct error *e);

/* Only begins it (no deadline, no ticks): 0 and its pid, which leads its process group, or the
 * positive errno of what failed. The caller reaps it. */
int tool_spawn(const struct tool_run *run, pid_t *ret_pid);

/*
 * Runs it like tool_run() and gives what it printed (malloc()ed, at most 1 MiB). -ENOENT and the
 * like when it cannot be started, -ETIMEDOUT.
 */
int tool_output(const char *path, char *const *argv, unsigned deadline_s, char **ret,
		struct error *e);

/* The absolute path of a program in the system's folders, malloc()ed; -ENOENT, -ENOMEM. */
int tool_find(const char *name, char **ret);

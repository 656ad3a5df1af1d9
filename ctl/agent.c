/*
 * `pkttyagent --notify-fd FD --fallback` for its parent, which is us. It closes FD once it is
 * registered; only then may the call go out, or polkit finds nobody to ask.
 */
#include "ctl/agent.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#define AGENT		 "/usr/bin/pkttyagent"
#define AGENT_TIMEOUT_MS 5000
#define AGENT_FD	 3

static int spawn_agent(int ready, pid_t *ret)
{
	static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
	char *argv[] = { AGENT, "--notify-fd", "3", "--fallback", NULL };
	char *environment[] = { path, NULL };
	posix_spawn_file_actions_t actions;
	int r;

	if (posix_spawn_file_actions_init(&actions) != 0)
		return -1;
	r = posix_spawn_file_actions_adddup2(&actions, ready, AGENT_FD);
	/* It speaks with the user through the terminal; where there is no polkit it complains. */
	if (r == 0)
		r = posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY,
						     0);
	if (r == 0)
		r = posix_spawn(ret, AGENT, &actions, NULL, argv, environment);
	posix_spawn_file_actions_destroy(&actions);
	return r == 0 ? 0 : -1;
}

void agent_open(struct agent *a)
{
	struct pollfd ready = { .events = POLLHUP };
	int pipe_fds[2];

	a->pid = -1;
	if (geteuid() == 0 || !isatty(STDIN_FILENO) || !isatty(STDERR_FILENO) ||
	    pipe2(pipe_fds, O_CLOEXEC) < 0)
		return;
	if (spawn_agent(pipe_fds[1], &a->pid) < 0)
		a->pid = -1;
	close(pipe_fds[1]);
	ready.fd = pipe_fds[0];
	if (a->pid > 0)
		(void)poll(&ready, 1, AGENT_TIMEOUT_MS);
	close(pipe_fds[0]);
}

void agent_close(struct agent *a)
{
	if (a->pid <= 0)
		return;
	(void)kill(a->pid, SIGTERM);
	(void)kill(a->pid, SIGCONT); /* it may have been stopped for reading from the terminal */
	(void)waitpid(a->pid, NULL, 0);
	a->pid = -1;
}

/*
 * `pkttyagent --notify-fd FD` for its parent, which is us. It closes FD once it is registered; only
 * then may the call go out, or polkit finds nobody to ask. Not with --fallback: polkit asks a
 * fallback only of a caller that is in a session of logind's.
 */
#include "ctl/agent.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define AGENT		 "/usr/bin/pkttyagent"
#define AGENT_TIMEOUT_MS 25000 /* what its own call to polkit may take, which may start that */

/* In the child. It ends with us however we end: on its own it would keep the terminal, and keep it
 * from showing what is typed. */
static void __attribute__((noreturn)) become_agent(int ready, pid_t parent)
{
	static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
	char *environment[] = { path, NULL };
	char ready_number[16];
	char *argv[] = { (char *)AGENT, (char *)"--notify-fd", ready_number, NULL };
	int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	snprintf(ready_number, sizeof(ready_number), "%d", ready);
	/* It speaks with the user through the terminal; where there is no polkit it complains. */
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) == 0 && getppid() == parent && null_fd >= 0 &&
	    dup2(null_fd, STDERR_FILENO) >= 0 && fcntl(ready, F_SETFD, 0) == 0)
		execve(AGENT, argv, environment);
	_exit(127);
}

void agent_open(struct agent *a)
{
	struct pollfd ready = { .events = POLLHUP };
	pid_t parent = getpid();
	int pipe_fds[2];

	a->pid = -1;
	if (geteuid() == 0 || !isatty(STDIN_FILENO) || !isatty(STDERR_FILENO) ||
	    pipe2(pipe_fds, O_CLOEXEC) < 0)
		return;
	a->pid = fork();
	if (a->pid == 0)
		become_agent(pipe_fds[1], parent);
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

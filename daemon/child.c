/*
 * The child's stdout and stderr are one pipe into the loop; its last bytes are kept for whoever
 * asked for the run. The run is over when the process has ended: a grandchild that keeps the pipe
 * open (a service started by a package) does not hold it up.
 */
#include "daemon/child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "guest/self.h"

void child_close(struct child *c)
{
	c->exit_source = sd_event_source_unref(c->exit_source);
	c->output_source = sd_event_source_unref(c->output_source);
	closep_(&c->output);
	c->output = -1;
	c->running = false;
}

void child_signal(struct child *c, int signal)
{
	/* Not reaped before on_exit_of_child() has run: the pid is still its own. */
	if (c->running)
		(void)kill(c->pid, signal);
}

void tail_add(struct tail *t, const char *text, size_t n)
{
	size_t room = sizeof(t->text) - 1, drop;

	if (n > room) {
		text += n - room;
		n = room;
	}
	drop = t->n + n > room ? t->n + n - room : 0;
	memmove(t->text, t->text + drop, t->n - drop);
	t->n -= drop;
	memcpy(t->text + t->n, text, n);
	t->n += n;
	t->text[t->n] = '\0';
}

ssize_t tail_drain(struct tail *t, int fd)
{
	char buffer[1024];
	ssize_t n;

	while ((n = read(fd, buffer, sizeof(buffer))) > 0)
		tail_add(t, buffer, (size_t)n);
	return n;
}

static int on_output(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct child *c = userdata;

	(void)fd;
	(void)revents;
	if (tail_drain(&c->tail, c->output) == 0)
		(void)sd_event_source_set_enabled(s, SD_EVENT_OFF);
	return 0;
}

static int on_exit_of_child(sd_event_source *s, const siginfo_t *si, void *userdata)
{
	int status = si->si_code == CLD_EXITED ? si->si_status : 128 + si->si_status;
	struct child *c = userdata;

	(void)s;
	(void)tail_drain(&c->tail, c->output);
	child_close(c);
	c->done(status, c->tail.text, c->userdata);
	return 0;
}

/* In the child, between fork and its work: neither the loop's signal mask nor the daemon's umask is
 * the child's. */
static void become_child(int output)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	umask(022);
	(void)dup2(output, STDOUT_FILENO);
	(void)dup2(output, STDERR_FILENO);
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

static int watch(struct child *c, sd_event *event, pid_t pid, struct error *e)
{
	int r;

	r = sd_event_add_child(event, &c->exit_source, pid, WEXITED, on_exit_of_child, c);
	if (r >= 0)
		r = sd_event_add_io(event, &c->output_source, c->output, EPOLLIN, on_output, c);
	if (r >= 0)
		return 0;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	child_close(c);
	return error_set(e, r, "cannot watch a child process: %s", strerror(-r));
}

/* Forks; 0 in the child, its pid in the daemon, both with the pipe in place. */
static pid_t fork_with_pipe(struct child *c, struct error *e)
{
	int pipe_fds[2];
	pid_t pid;

	if (c->running)
		return error_set(e, -EBUSY, "another change of this machine is running");
	if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return error_set(e, -errno, "cannot make a pipe: %s", strerror(errno));
	pid = fork();
	if (pid < 0) {
		close(pipe_fds[0]);
		close(pipe_fds[1]);
		return error_set(e, -errno, "cannot start a process: %s", strerror(errno));
	}
	if (pid == 0) {
		(void)fcntl(pipe_fds[1], F_SETFL, 0); /* the child's writes wait */
		become_child(pipe_fds[1]);
		return 0;
	}
	close(pipe_fds[1]);
	c->output = pipe_fds[0];
	tail_clear(&c->tail);
	c->running = true;
	c->pid = pid;
	return pid;
}

int child_start_latencyctl(struct child *c, sd_event *event, const char **argv, child_done_fn done,
			   void *userdata, struct error *e)
{
	char path[PATH_MAX];
	pid_t pid;
	int r;

	r = find_latencyctl(path, e);
	if (r < 0)
		return r;
	pid = fork_with_pipe(c, e);
	if (pid < 0)
		return pid;
	if (pid == 0) {
		argv[0] = path;
		execv(path, (char *const *)argv);
		dprintf(STDERR_FILENO, "cannot run %s: %s\n", path, strerror(errno));
		_exit(127);
	}
	c->done = done;
	c->userdata = userdata;
	return watch(c, event, pid, e);
}

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
#include <sys/wait.h>

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

static void keep_tail(struct child *c, const char *text, size_t n)
{
	size_t room = sizeof(c->tail) - 1, drop;

	if (n > room) {
		text += n - room;
		n = room;
	}
	drop = c->n_tail + n > room ? c->n_tail + n - room : 0;
	memmove(c->tail, c->tail + drop, c->n_tail - drop);
	c->n_tail -= drop;
	memcpy(c->tail + c->n_tail, text, n);
	c->n_tail += n;
	c->tail[c->n_tail] = '\0';
}

/* Everything there is now. */
static ssize_t drain(struct child *c)
{
	char buffer[1024];
	ssize_t n;

	while ((n = read(c->output, buffer, sizeof(buffer))) > 0)
		keep_tail(c, buffer, (size_t)n);
	return n;
}

static int on_output(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct child *c = userdata;

	(void)fd;
	(void)revents;
	if (drain(c) == 0)
		(void)sd_event_source_set_enabled(s, SD_EVENT_OFF);
	return 0;
}

static int on_exit_of_child(sd_event_source *s, const siginfo_t *si, void *userdata)
{
	int status = si->si_code == CLD_EXITED ? si->si_status : 128 + si->si_status;
	struct child *c = userdata;

	(void)s;
	(void)drain(c);
	child_close(c);
	c->done(status, c->tail, c->userdata);
	return 0;
}

/* In the child, between fork and its work: the loop's signal mask must not be inherited. */
static void become_child(int output)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
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
	c->n_tail = 0;
	c->tail[0] = '\0';
	c->running = true;
	c->pid = pid;
	return pid;
}

/* Beside this program, as the build tree and a private prefix have it, or in the bin folder beside
 * the sbin folder. */
static int find_latencyctl(char path[PATH_MAX])
{
	static const char *const places[] = { "latencyctl", "../bin/latencyctl" };
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (n < 0)
		return -errno;
	self[n] = '\0';
	slash = strrchr(self, '/');
	if (!slash)
		return -ENOENT;
	*slash = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		int length = snprintf(path, PATH_MAX, "%s/%s", self, places[i]);

		if (length > 0 && length < PATH_MAX && access(path, X_OK) == 0)
			return 0;
	}
	return -ENOENT;
}

int child_start_latencyctl(struct child *c, sd_event *event, const char **argv, child_done_fn done,
			   void *userdata, struct error *e)
{
	char path[PATH_MAX];
	pid_t pid;
	int r;

	r = find_latencyctl(path);
	if (r < 0)
		return error_set(e, r, "cannot find latencyctl beside latencyd: %s", strerror(-r));
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

int child_start_function(struct child *c, sd_event *event, int (*fn)(void), child_done_fn done,
			 void *userdata, struct error *e)
{
	pid_t pid = fork_with_pipe(c, e);

	if (pid < 0)
		return pid;
	if (pid == 0)
		_exit(fn());
	c->done = done;
	c->userdata = userdata;
	return watch(c, event, pid, e);
}

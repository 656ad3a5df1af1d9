/*
 * A program that we start may outlive us (kill -9): dpkg or update-grub must then neither die of a
 * broken pipe nor race with the next apply. So its output goes to a memfd, it has its own session,
 * and it inherits the machine lock, which is free again only when it has ended.
 */
#include "actuators/run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#include "actuators/lock.h"
#include "actuators/root.h"

#define OUTPUT_MAX    65536
#define KILL_GRACE_MS 5000

static const char *const base_environment[] = {
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	"LANG=C",
	"LC_ALL=C",
	"HOME=/root",
};

static int spawn(const char *path, const char *const argv[], char **environment, int output,
		 pid_t *ret)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int lock = lock_fd(), r;

	sigemptyset(&none);
	sigfillset(&all);
	r = posix_spawn_file_actions_init(&actions);
	if (r != 0)
		return -r;
	r = posix_spawnattr_init(&attr);
	if (r != 0) {
		posix_spawn_file_actions_destroy(&actions);
		return -r;
	}
	if ((r = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)) == 0 &&
	    (r = posix_spawn_file_actions_adddup2(&actions, output, 1)) == 0 &&
	    (r = posix_spawn_file_actions_adddup2(&actions, output, 2)) == 0 &&
	    /* onto itself: clears close-on-exec */
	    (lock < 0 || (r = posix_spawn_file_actions_adddup2(&actions, lock, lock)) == 0) &&
	    (r = posix_spawnattr_setsigmask(&attr, &none)) == 0 &&
	    (r = posix_spawnattr_setsigdefault(&attr, &all)) == 0 &&
	    (r = posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK |
							 POSIX_SPAWN_SETSIGDEF)) == 0)
		r = posix_spawn(ret, path, &actions, &attr, (char *const *)argv, environment);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	return -r;
}

/* 1: it ended; 0: the time is over. */
static int wait_end(pid_t pid, int timeout_ms)
{
	_cleanup_close_ int fd = pidfd_open(pid, 0);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int r;

	if (fd < 0)
		return -errno;
	do {
		r = poll(&p, 1, timeout_ms);
	} while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

static int finish(pid_t pid, unsigned timeout_s)
{
	int status, r = wait_end(pid, (int)timeout_s * 1000);

	if (r <= 0) {
		kill(-pid, SIGTERM);
		if (wait_end(pid, KILL_GRACE_MS) <= 0)
			kill(-pid, SIGKILL);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (r < 0)
		return r;
	if (r == 0)
		return -ETIMEDOUT;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static char *read_tail(int fd)
{
	off_t size = lseek(fd, 0, SEEK_END);
	off_t from = size > OUTPUT_MAX ? size - OUTPUT_MAX : 0;
	_cleanup_free_ char *text = NULL;
	ssize_t n;

	if (size < 0)
		return NULL;
	text = malloc((size_t)(size - from) + 1);
	if (!text)
		return NULL;
	n = pread(fd, text, (size_t)(size - from), from);
	text[n < 0 ? 0 : n] = '\0';
	return take_ptr(text);
}

int run_program(const char *const argv[], const char *const environment[], unsigned timeout_s,
		char **ret_output, struct error *e)
{
	_cleanup_close_ int output = memfd_create("latencyd-output", MFD_CLOEXEC);
	_cleanup_free_ char *path = root_outer_path(argv[0]);
	_cleanup_free_ char **env = NULL;
	size_t n = 0, n_extra = 0;
	pid_t pid;
	int r;

	while (environment && environment[n_extra])
		n_extra++;
	env = calloc(ARRAY_SIZE(base_environment) + n_extra + 1, sizeof(*env));
	if (output < 0 || !path || !env)
		return error_set(e, -ENOMEM, "cannot run %s: out of memory", argv[0]);
	for (size_t i = 0; i < ARRAY_SIZE(base_environment); i++)
		env[n++] = (char *)base_environment[i];
	for (size_t i = 0; i < n_extra; i++)
		env[n++] = (char *)environment[i];
	r = spawn(path, argv, env, output, &pid);
	if (r < 0)
		return error_set(e, r, "cannot run %s: %s", argv[0], strerror(-r));
	r = finish(pid, timeout_s);
	if (r == -ETIMEDOUT)
		return error_set(e, r, "%s did not end within %u s and was stopped", argv[0],
				 timeout_s);
	if (r < 0)
		return error_set(e, r, "cannot wait for %s: %s", argv[0], strerror(-r));
	if (ret_output) {
		*ret_output = read_tail(output);
		if (!*ret_output)
			return error_set(e, -ENOMEM, "cannot read what %s printed", argv[0]);
	}
	return r;
}

const char *run_last_line(char *output)
{
	size_t n = strlen(output);
	char *line;

	while (n > 0 && strchr(" \t\r\n", output[n - 1]))
		output[--n] = '\0';
	line = strrchr(output, '\n');
	return line ? line + 1 : output;
}

/*
 * The model: fork, then exec; the child reports a failed exec through a close-on-exec pipe, so that
 * "it did not run" is never mistaken for "it ran and said nothing". The tool is told to end when we
 * die (a real-time thread must not outlive who watches over it), and what it may have started in
 * its process group is killed with it before the leader is reaped, while the group's number cannot
 * be used again.
 */
#include "measure/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define OUTPUT_MAX     (1U << 20)
#define FILE_MAX_BYTES (64U << 20) /* of the tool's files: a broken one must not fill the disk */
#define TERM_GRACE_MS  5000

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static int join_cgroup(const char *procs)
{
	int fd = open(procs, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "0", 1) != 1) /* itself */
		return -1;
	return close(fd);
}

/* Between fork and exec: nothing here may allocate. */
static void child(const struct tool_run *run, int null_fd, int error_fd, pid_t parent)
{
	static char *const environment[] = { "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:"
					     "/usr/bin:/sbin:/bin",
					     "LC_ALL=C", "TZ=UTC", NULL };
	const struct rlimit limit = { .rlim_cur = FILE_MAX_BYTES, .rlim_max = FILE_MAX_BYTES };
	sigset_t none;
	int error;

	sigemptyset(&none);
	if (setpgid(0, 0) < 0 || prctl(PR_SET_PDEATHSIG, SIGTERM) < 0)
		goto fail;
	if (getppid() != parent) /* it died before it could be watched */
		_exit(127);
	if (run->cgroup_procs && join_cgroup(run->cgroup_procs) < 0)
		goto fail;
	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_DFL);
	if (sigprocmask(SIG_SETMASK, &none, NULL) < 0 || setrlimit(RLIMIT_FSIZE, &limit) < 0)
		goto fail;
	umask(022);
	if (dup2(null_fd, 0) < 0 || dup2(run->output_fd, 1) < 0 || dup2(run->output_fd, 2) < 0)
		goto fail;
	execve(run->path, run->argv, environment);
fail:
	error = errno;
	if (write(error_fd, &error, sizeof(error)) < 0)
		_exit(126);
	_exit(127);
}

int tool_spawn(const struct tool_run *run, pid_t *ret_pid)
{
	_cleanup_close_ int null_fd = -1, read_fd = -1, write_fd = -1;
	int fds[2], error = 0;
	pid_t parent = getpid(), pid;
	ssize_t n;

	null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (null_fd < 0 || pipe2(fds, O_CLOEXEC) < 0)
		return errno;
	read_fd = fds[0];
	write_fd = fds[1];
	pid = fork();
	if (pid < 0)
		return errno;
	if (pid == 0)
		child(run, null_fd, write_fd, parent);
	close(take_fd(&write_fd));
	do
		n = read(read_fd, &error, sizeof(error));
	while (n < 0 && errno == EINTR);
	if (n == (ssize_t)sizeof(error) && error) {
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
		return error;
	}
	*ret_pid = pid;
	return 0;
}

/* Waits until the process ended or @until_ms: true when it ended. */
static bool wait_until(int pid_fd, uint64_t until_ms)
{
	struct pollfd p = { .fd = pid_fd, .events = POLLIN };

	for (;;) {
		uint64_t now = now_ms();
		uint64_t left = until_ms > now ? until_ms - now : 0;
		int r = poll(&p, 1, left > 1000 ? 1000 : (int)left);

		if (r > 0)
			return true;
		if (!left)
			return false;
	}
}

static void end_group(int pid_fd, pid_t pid, int sig)
{
	kill(-pid, sig);
	if (!wait_until(pid_fd, now_ms() + TERM_GRACE_MS)) {
		kill(-pid, SIGKILL);
		wait_until(pid_fd, now_ms() + TERM_GRACE_MS);
	}
}

static void watch(const struct tool_run *run, int pid_fd, pid_t pid, uint64_t start,
		  struct tool_outcome *out)
{
	uint64_t deadline = start + (uint64_t)run->deadline_s * 1000;

	for (;;) {
		uint64_t next = now_ms() + 1000;

		if (wait_until(pid_fd, next < deadline ? next : deadline))
			return;
		if (now_ms() >= deadline) {
			out->timed_out = true;
			end_group(pid_fd, pid, SIGTERM);
			return;
		}
		if (run->tick)
			out->stopped =
				run->tick((unsigned)((now_ms() - start) / 1000), run->userdata);
		if (out->stopped) {
			end_group(pid_fd, pid, SIGINT); /* cyclictest still writes its result */
			return;
		}
	}
}

int tool_run(const struct tool_run *run, struct tool_outcome *ret, struct error *e)
{
	struct tool_outcome out = { 0 };
	uint64_t start = now_ms();
	siginfo_t info = { 0 };
	pid_t pid = -1;
	int pid_fd;

	out.spawn_error = tool_spawn(run, &pid);
	if (out.spawn_error) {
		*ret = out;
		return 0;
	}
	pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pid_fd < 0) {
		int r = -errno;

		kill(-pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return error_set(e, r, "watching %s: pidfd_open: %s", run->path, strerror(-r));
	}
	watch(run, pid_fd, pid, start, &out);
	while (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR)
		;
	out.elapsed_ms = now_ms() - start;
	kill(-pid, SIGKILL);
	while (waitpid(pid, &out.wait_status, 0) < 0 && errno == EINTR)
		;
	close(pid_fd);
	*ret = out;
	return 0;
}

static int read_back(int fd, char **ret)
{
	struct stat st;
	size_t n = 0;
	char *text;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size > OUTPUT_MAX)
		st.st_size = OUTPUT_MAX;
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return -ENOMEM;
	while (n < (size_t)st.st_size) {
		ssize_t r = pread(fd, text + n, (size_t)st.st_size - n, (off_t)n);

		if (r <= 0)
			break;
		n += (size_t)r;
	}
	text[n] = 0;
	*ret = text;
	return 0;
}

int tool_output(const char *path, char *const *argv, unsigned deadline_s, char **ret,
		struct error *e)
{
	_cleanup_close_ int fd = memfd_create("tool-output", MFD_CLOEXEC);
	struct tool_outcome out;
	struct tool_run run = {
		.path = path, .argv = argv, .output_fd = fd, .deadline_s = deadline_s
	};
	int r;

	if (fd < 0)
		return error_set(e, -errno, "running %s: %s", path, strerror(errno));
	r = tool_run(&run, &out, e);
	if (r < 0)
		return r;
	if (out.spawn_error)
		return error_set(e, -out.spawn_error, "running %s: %s", path,
				 strerror(out.spawn_error));
	if (out.timed_out)
		return error_set(e, -ETIMEDOUT, "%s did not end within %u s", path, deadline_s);
	return read_back(fd, ret);
}

int tool_find(const char *name, char **ret)
{
	static const char *const folders[] = { "/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
					       "/usr/bin",	  "/sbin",	    "/bin" };

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		_cleanup_free_ char *path = NULL;

		if (asprintf(&path, "%s/%s", folders[i], name) < 0) {
			path = NULL;
			return -ENOMEM;
		}
		if (access(path, X_OK) == 0) {
			*ret = take_ptr(path);
			return 0;
		}
	}
	return -ENOENT;
}

/*
 * QEMU without systemd: forked twice, so that it is nobody's child and no zombie is left to us, in
 * its own session. The one in the middle lives until its parent holds a pidfd: until then QEMU's
 * pid cannot be another's.
 *
 * After fork() only calls are made that signal-safety(7) allows: the caller may have threads.
 */
#include "guest/launch_ways.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "guest/files.h"

static char *const environment[] = {
	(char *)"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	(char *)"LANG=C",
	NULL,
};

struct start {
	const char *const *argv;
	int log, null, talk;
	cpu_set_t *cpus; /* NULL: as the parent has them */
	size_t cpus_size;
};

/* What the children say: the pid, then (only when it could not be run) an errno. */
struct word {
	pid_t pid;
	int error;
};

static void say(int fd, pid_t pid, int error)
{
	const struct word word = { .pid = pid, .error = error };

	(void)!send(fd, &word, sizeof(word), MSG_NOSIGNAL);
}

static void reset_signals(void)
{
	sigset_t none;

	for (int s = 1; s < NSIG; s++)
		(void)signal(s, SIG_DFL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Without CAP_SYS_RESOURCE as much as there is: QEMU says itself when it does not suffice. */
static int allow_locking(void)
{
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };

	if (setrlimit(RLIMIT_MEMLOCK, &limit) == 0)
		return 0;
	if (errno != EPERM || getrlimit(RLIMIT_MEMLOCK, &limit) < 0)
		return -1;
	limit.rlim_cur = limit.rlim_max;
	return setrlimit(RLIMIT_MEMLOCK, &limit);
}

static _Noreturn void become_qemu(const struct start *s)
{
	/* Above 0, 1 and 2, which are replaced. All close by themselves when QEMU is there. */
	int talk = fcntl(s->talk, F_DUPFD_CLOEXEC, 3), null = fcntl(s->null, F_DUPFD_CLOEXEC, 3);
	int log = fcntl(s->log, F_DUPFD_CLOEXEC, 3);

	reset_signals();
	(void)setsid();
	if (talk < 0 || null < 0 || log < 0 || chdir("/") < 0 || allow_locking() < 0 ||
	    (s->cpus && sched_setaffinity(0, s->cpus_size, s->cpus) < 0) || dup2(null, 0) < 0 ||
	    dup2(log, 1) < 0 || dup2(log, 2) < 0 || close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		say(talk < 0 ? s->talk : talk, 0, errno);
	else {
		execve(s->argv[0], (char *const *)s->argv, environment);
		say(talk, 0, errno);
	}
	_exit(127);
}

static _Noreturn void be_in_the_middle(const struct start *s)
{
	pid_t pid = fork();
	char byte;

	if (pid == 0)
		become_qemu(s);
	say(s->talk, pid, pid < 0 ? errno : 0);
	/* Until the parent has the pidfd, or is gone itself. */
	(void)!read(s->talk, &byte, 1);
	_exit(0);
}

static int receive(int fd, struct word *ret)
{
	ssize_t n;

	do {
		n = recv(fd, ret, sizeof(*ret), 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return n == 0 ? 0 : n == sizeof(*ret) ? 1 : -EBADMSG;
}

/* @fd: our end. Returns QEMU's pidfd. */
static int follow(int fd, pid_t middle)
{
	_cleanup_close_ int pidfd = -1;
	struct word word;
	int r = 1;

	/* The middle one speaks first or second: QEMU's failure may come before it. */
	for (int error = 0; r > 0 && pidfd < 0;) {
		r = receive(fd, &word);
		if (r > 0 && word.error)
			error = word.error;
		else if (r > 0 && (pidfd = pidfd_open(word.pid, 0)) < 0)
			r = -errno;
		if (r > 0 && error)
			r = -error;
	}
	(void)!send(fd, "", 1, MSG_NOSIGNAL);
	while (waitpid(middle, NULL, 0) < 0 && errno == EINTR)
		;
	if (r <= 0)
		return r < 0 ? r : -ECHILD;
	r = receive(fd, &word);
	if (r != 0)
		return r < 0 ? r : -word.error;
	return take_fd(&pidfd);
}

static int set_cpus(const struct cpuset *cpus, struct start *s)
{
	long last = cpuset_last(cpus);

	if (last < 0)
		return 0;
	s->cpus = CPU_ALLOC((size_t)last + 1);
	s->cpus_size = CPU_ALLOC_SIZE((size_t)last + 1);
	if (!s->cpus)
		return -ENOMEM;
	CPU_ZERO_S(s->cpus_size, s->cpus);
	cpuset_for_each (cpu, cpus)
		CPU_SET_S((size_t)cpu, s->cpus_size, s->cpus);
	return 0;
}

static int start(struct start *s, int ours, int theirs)
{
	pid_t middle = fork();

	if (middle < 0)
		return -errno;
	if (middle == 0) {
		/* So that the middle one sees the end when we die. */
		(void)close(ours);
		s->talk = theirs;
		be_in_the_middle(s);
	}
	(void)close(theirs);
	return follow(ours, middle);
}

int launch_child(const struct desired_guest *g, const char *const *argv, int *ret_pidfd,
		 struct error *e)
{
	_cleanup_close_ int log = guest_log_open(g->name), ours = -1;
	_cleanup_close_ int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct start s = { .argv = argv, .log = log, .null = null };
	int pair[2], r = log < 0 ? log : null < 0 ? -EIO : 0;

	if (r == 0)
		r = set_cpus(&g->emulator, &s);
	if (r == 0 && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		r = -errno;
	if (r == 0) {
		ours = pair[0];
		r = start(&s, pair[0], pair[1]);
	}
	CPU_FREE(s.cpus);
	if (r < 0)
		return error_set(e, r, "cannot run %s for the guest %s: %s", argv[0], g->name,
				 strerror(-r));
	*ret_pidfd = r;
	return 0;
}

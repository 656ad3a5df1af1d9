/*
 * guest prepare, outside: is the image one that can be prepared now, the child that does it, and
 * the rename at the end. Signals that end us are waited for, so that they end the child first; the
 * child is the first process of its own pid namespace, so that its end is the end of all of it.
 *
 * Opens absolute paths: the image that was named, and what lies in the folder of the work.
 */
#include "ctl/prepare.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <jansson.h>

#include "actuators/run.h"
#include "ctl/ctl.h"

void prepare_tell(const struct prepare *p, const char *what)
{
	if (!p->quiet)
		fprintf(stderr, "%4" PRId64 " s  %s\n", ctl_seconds() - p->started, what);
}

int prepare_run(const char *const argv[], unsigned timeout_s, char **ret_output, struct error *e)
{
	static const char *const environment[] = { "DEBIAN_FRONTEND=noninteractive",
						   "DEBCONF_NOWARNINGS=yes", NULL };
	_cleanup_free_ char *output = NULL;
	int r = run_program(argv, environment, timeout_s, &output, e);

	if (r < 0)
		return r;
	if (r > 0)
		return error_set(e, -EIO, "%s failed (%d): %s", argv[0], r, run_last_line(output));
	if (ret_output)
		*ret_output = take_ptr(output);
	return 0;
}

/* A write lease is given on a file that nobody else has open; QEMU's own lock is seen by qemu-img,
 * also from another machine. */
static int check_unused(const struct prepare *p, struct error *e)
{
	_cleanup_close_ int fd = open(p->image, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;

	if (fd < 0) {
		error_set(e, -errno, "cannot open the image %s: %s", p->image,
			  errno == ELOOP ? "it is a symbolic link" : strerror(errno));
		return error_todo(e, "give the path of a disk image, qcow2 or raw");
	}
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return error_set(e, -EINVAL, "%s is not a regular file", p->image);
	/* Who opens it just now breaks the lease: its signal, SIGIO, would be our end. */
	fcntl(fd, F_SETSIG, SIGURG);
	if (fcntl(fd, F_SETLEASE, F_WRLCK) < 0) {
		if (errno != EAGAIN && errno != EBUSY)
			return 0; /* a file system without leases: QEMU's lock is left */
		error_set(e, -EBUSY, "the image %s is in use: a process has it open", p->image);
		return error_todo(e, "shut the guest down first; fuser -v %s shows who it is",
				  p->image);
	}
	fcntl(fd, F_SETLEASE, F_UNLCK);
	return 0;
}

static int read_format(struct prepare *p, struct error *e)
{
	const char *const argv[] = { "/usr/bin/qemu-img", "info", "--output=json", p->image, NULL };
	_cleanup_free_ char *output = NULL;
	const char *format;
	json_t *info;
	int r;

	r = prepare_run(argv, 60, &output, e);
	if (r == -ENOENT)
		return error_todo(e, "install qemu-utils");
	if (r < 0) {
		error_prefix(e, "cannot read the image %s", p->image);
		return error_todo(e, "shut down whatever uses it; it must be qcow2 or raw");
	}
	info = json_loads(output, 0, NULL);
	format = json_string_value(json_object_get(info, "format"));
	if (!format || (!streq(format, "qcow2") && !streq(format, "raw"))) {
		error_set(e, -EINVAL, "%s is no qcow2 or raw image", p->image);
		r = error_todo(e, "convert it: qemu-img convert -O qcow2 %s NEW", p->image);
	} else if (json_object_get(info, "backing-filename") ||
		   json_object_get(info, "snapshots")) {
		error_set(e, -EINVAL,
			  "%s stands on another image or has snapshots inside, "
			  "which preparing would lose",
			  p->image);
		r = error_todo(e, "make one image of it: qemu-img convert -O qcow2 %s NEW",
			       p->image);
	} else {
		p->format = strdup(format);
		r = p->format ? 0 : error_set(e, -ENOMEM, "out of memory");
	}
	json_decref(info);
	return r;
}

/* The error goes into @fd: what, a NUL, todo. */
_Noreturn static void child(const struct prepare *p, int fd)
{
	_cleanup_error_ struct error e = { 0 };
	int r;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	r = prepare_inside(p, &e);
	if (r < 0)
		dprintf(fd, "%s%c%s", e.what ? e.what : strerror(-r), 0, e.todo ? e.todo : "");
	_exit(r < 0 ? PREPARE_FAILED : r);
}

static int start_child(const struct prepare *p, int fd, pid_t *ret, struct error *e)
{
	pid_t pid;

	fflush(NULL);
	/* fork(), but with namespaces that are the child's alone: we clean up in ours. */
	pid = (pid_t)syscall(SYS_clone, CLONE_NEWNS | CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0);
	if (pid < 0)
		return error_set(e, -errno, "cannot start a process with its own mounts: %s",
				 strerror(errno));
	if (pid == 0)
		child(p, fd);
	*ret = pid;
	return 0;
}

/* Its exit status, or -EINTR after a signal that asked us to end. */
static int wait_child(pid_t pid, const sigset_t *signals, struct error *e)
{
	int number = 0, status = 0, r;

	while ((r = waitpid(pid, &status, WNOHANG)) == 0) {
		number = sigwaitinfo(signals, NULL);
		if (number < 0 || number == SIGCHLD)
			continue;
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		return error_set(e, -EINTR, "interrupted (%s): the image is as it was",
				 strsignal(number));
	}
	if (r < 0)
		return error_set(e, -errno, "cannot wait for the work: %s", strerror(errno));
	if (!WIFEXITED(status))
		return error_set(e, -EIO, "the work was ended by signal %d", WTERMSIG(status));
	return WEXITSTATUS(status);
}

static int read_error(int fd, struct error *e)
{
	char text[4096] = "";
	ssize_t n = pread(fd, text, sizeof(text) - 2, 0);
	const char *todo = text + strlen(text) + 1;

	error_set(e, -EIO, "%s", n > 0 ? text : "the work failed without a word");
	if (n > 0 && *todo)
		error_todo(e, "%s", todo);
	return -EIO;
}

static int supervise(struct prepare *p, struct error *e)
{
	_cleanup_close_ int words = memfd_create("latencyctl-prepare", MFD_CLOEXEC);
	sigset_t signals;
	pid_t pid = 0;
	int r;

	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	if (words < 0)
		return error_set(e, -errno, "cannot start: %s", strerror(errno));
	r = start_child(p, words, &pid, e);
	if (r < 0)
		return r;
	r = wait_child(pid, &signals, e);
	return r == PREPARE_FAILED ? read_error(words, e) : r;
}

/* The new image has the old one's owner and mode, and is on the disk before it has its name. */
static int commit(const struct prepare *p, struct error *e)
{
	_cleanup_free_ char *new = NULL;
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (asprintf(&new, "%s/new", p->work) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	fd = open(new, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || stat(p->image, &st) < 0 || fchown(fd, st.st_uid, st.st_gid) < 0 ||
	    fchmod(fd, st.st_mode & 07777) < 0 || fsync(fd) < 0)
		return error_set(e, -errno, "cannot finish %s: %s", new, strerror(errno));
	if (rename(new, p->image) < 0)
		return error_set(e, -errno, "cannot put the prepared image in place of %s: %s",
				 p->image, strerror(errno));
	return 0;
}

static int work(struct prepare *p, struct error *e)
{
	int r = supervise(p, e);

	if (r == PREPARE_SAME) {
		prepare_tell(p, "the image is prepared already: it stays as it is");
		return 0;
	}
	if (r < 0)
		return r;
	r = check_unused(p, e); /* may have been started meanwhile */
	if (r == 0)
		r = commit(p, e);
	if (r == 0)
		prepare_tell(p, "done: the next boot of the image has latencyd");
	return r;
}

int prepare_image(struct prepare *p, struct error *e)
{
	int r;

	p->started = ctl_seconds();
	p->work_fd = -1;
	r = check_unused(p, e);
	if (r == 0)
		r = read_format(p, e);
	if (r == 0)
		r = prepare_work_make(p, e);
	if (r == 0)
		r = work(p, e);
	prepare_work_remove(p);
	free(p->format);
	return r;
}

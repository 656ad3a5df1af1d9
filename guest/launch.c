/*
 * A launch leaves either a QEMU that answers on QMP, or nothing: whatever goes wrong on the way,
 * the process is ended and its folder emptied, and the error carries what QEMU said last.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <time.h>

#include "guest/files.h"
#include "guest/launch_ways.h"
#include "guest/qmp.h"
#include "guest/running.h"
#include "guest/step.h"
#include "probes/sysroot.h"
#include "state/guest_argv.h"

#define START_TIMEOUT_MS 60000
#define POLL_MS		 50
#define QMP_TIMEOUT_MS	 2000
#define KILL_TIMEOUT_MS	 10000

static uint64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- the files that QEMU is given ---- */

static int check_magic(int fd, const char *path, struct error *e)
{
	static const char magic[4] = { 'Q', 'F', 'I', '\xfb' };
	char start[4];
	ssize_t n = pread(fd, start, sizeof(start), 0);

	if (n == sizeof(start) && memcmp(start, magic, sizeof(magic)) == 0)
		return 0;
	error_set(e, -EBADMSG, "the disk image %s is corrupt: it does not begin as qcow2 does",
		  path);
	return error_todo(e, "restore it, or see: qemu-img check %s", path);
}

static int check_file(const struct sysroot *root, const char *what, const char *path, bool disk,
		      struct error *e)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (!path)
		return 0;
	fd = sysroot_openat(root, path, O_RDONLY | O_NONBLOCK);
	if (fd < 0) {
		error_set(e, fd, "cannot open the %s %s: %s", what, path, strerror(-fd));
		return error_todo(e, fd == -ENOENT ? "make it, or correct the path in the document"
						   : "it must be readable for root");
	}
	if (fstat(fd, &st) < 0 || !(S_ISREG(st.st_mode) || (disk && S_ISBLK(st.st_mode))))
		return error_set(e, -EINVAL, "the %s %s is not a file%s", what, path,
				 disk ? " and no block device" : "");
	return disk && guest_disk_is_qcow2(path) ? check_magic(fd, path, e) : 0;
}

static int check_files(const struct desired_launch *l, struct error *e)
{
	_cleanup_sysroot_ struct sysroot root = { .fd = -1 };
	int r = sysroot_open(NULL, &root, e);

	if (r == 0)
		r = check_file(&root, "disk image", l->disk, true, e);
	if (r == 0)
		r = check_file(&root, "kernel", l->kernel, false, e);
	if (r == 0)
		r = check_file(&root, "initrd", l->initrd, false, e);
	return r;
}

/* ---- the start ---- */

struct launch {
	const struct desired_guest *guest;
	char *qmp;
	bool unit;
	int pidfd; /* of the child way */
};

/* Waits for POLL_MS at most. 1: QEMU lives; 0: it has ended. */
static int is_alive(const struct launch *l)
{
	const struct timespec pause = { .tv_nsec = POLL_MS * 1000 * 1000 };
	struct pollfd p = { .fd = l->pidfd, .events = POLLIN };

	if (!l->unit)
		return poll(&p, 1, POLL_MS) <= 0;
	(void)nanosleep(&pause, NULL);
	return launch_unit_alive(l->guest->name);
}

/* -ECHILD: it ended. */
static int wait_for_qmp(const struct launch *l, struct error *e)
{
	uint64_t deadline = now_ms() + START_TIMEOUT_MS;

	do {
		_cleanup_(qmp_closep) struct qmp *qmp = NULL;
		int r = qmp_open(l->qmp, QMP_TIMEOUT_MS, &qmp, NULL);

		if (r == 0)
			return 0;
		r = is_alive(l);
		if (r < 0)
			return error_set(e, r, "cannot ask systemd about the guest %s: %s",
					 l->guest->name, strerror(-r));
		if (r == 0)
			return error_set(e, -ECHILD, "the QEMU of the guest %s ended at its start",
					 l->guest->name);
	} while (now_ms() < deadline);
	return error_set(e, -ETIMEDOUT,
			 "the QEMU of the guest %s did not answer on QMP within %d s",
			 l->guest->name, START_TIMEOUT_MS / 1000);
}

/* QEMU ends with its process; the folder is emptied when that is sure. */
static void undo(const struct launch *l)
{
	struct pollfd p = { .fd = l->pidfd, .events = POLLIN };
	bool ended;

	if (l->unit) {
		ended = launch_unit_stop(l->guest->name, NULL) == 0;
	} else {
		(void)pidfd_send_signal(l->pidfd, SIGKILL, NULL, 0);
		ended = poll(&p, 1, KILL_TIMEOUT_MS) > 0;
	}
	if (ended)
		guest_folder_clear(l->guest->name);
}

static int say_words(const struct launch *l, int r, struct error *e)
{
	_cleanup_free_ char *words = guest_log_words(l->guest->name);
	_cleanup_free_ char *what = e && e->what ? strdup(e->what) : NULL;

	if (r == -ECHILD)
		r = -EIO;
	error_set(e, r, "%s%s%s", what ? what : "the guest could not be started", words ? ": " : "",
		  words ? words : "");
	return error_todo(e, "correct the guest's `launch:` in the document, then apply again");
}

static int start(struct launch *l, const char *const *argv, struct error *e)
{
	int r = l->unit ? launch_unit(l->guest, argv, e)
			: launch_child(l->guest, argv, &l->pidfd, e);

	if (r < 0) {
		guest_folder_clear(l->guest->name);
		return r;
	}
	r = wait_for_qmp(l, e);
	if (r == 0) {
		r = guest_running(l->guest, e);
		if (r > 0)
			return 1;
		if (r == 0)
			r = error_set(e, -ESRCH,
				      "the QEMU of the guest %s answers, but its pid file names "
				      "another process",
				      l->guest->name);
	}
	r = say_words(l, r, e);
	undo(l);
	return r;
}

/* Does the command line @line of @size bytes consist of @argv? */
static bool is_line(const char *line, size_t size, const char *const *argv)
{
	const char *end = line + size;

	for (size_t i = 0; argv[i]; i++) {
		size_t n = strlen(argv[i]) + 1;

		if ((size_t)(end - line) < n || memcmp(line, argv[i], n) != 0)
			return false;
		line += n;
	}
	return line == end;
}

/* It runs: as it is wanted, or is it to be stopped first? */
static int check_line(const struct desired_guest *g, int pid, const char *const *argv,
		      struct error *e)
{
	_cleanup_free_ char *line = NULL;
	size_t size;
	int r = guest_command_line(pid, &line, &size);

	if (r < 0)
		return error_set(e, r, "cannot read the command line of the guest %s: %s", g->name,
				 strerror(-r));
	if (is_line(line, size, argv))
		return 0;
	error_set(e, -EBUSY, "the guest %s runs with another command line", g->name);
	return error_todo(e, "it must be stopped first: allow it to be restarted");
}

int guest_launch(const struct desired_guest *g, const char *const *argv, struct error *e)
{
	_cleanup_error_ struct error local = { 0 };
	struct launch l = { .guest = g, .pidfd = -1 };
	struct arena a = { 0 };
	int r;

	if (g->origin != GUEST_LAUNCH)
		return error_set(e, -EPERM, "the guest %s is adopted: latencyd never starts it",
				 g->name);
	r = guest_running(g, &local);
	if (r > 0)
		r = check_line(g, r, argv, &local);
	else if (r == 0 && (r = check_files(&g->launch, &local)) == 0 &&
		 (r = guest_folder_make(g->name, &local)) == 0) {
		l.qmp = (char *)guest_path(&a, g->name, GUEST_QMP);
		l.unit = launch_has_systemd();
		r = l.qmp ? start(&l, argv, &local) : error_set(&local, -ENOMEM, "out of memory");
	}
	if (l.pidfd >= 0)
		(void)close(l.pidfd);
	arena_free(&a);
	if (r < 0)
		error_move(e, &local);
	return r;
}

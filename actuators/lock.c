/*
 * One process changes the machine at a time: an flock on /run/latencyd/lock. Programs that we start
 * inherit the fd, so the lock is held until the last of them has ended even if we were killed:
 * whoever finds a dead holder waits for those, instead of failing.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "actuators/execute.h"
#include "actuators/lock.h"
#include "actuators/root.h"

#define LOCK_FILE     "/run/latencyd/lock"
#define ORPHAN_WAIT_S 1800 /* apt-get's own time limit */

static int held = -1;
static dev_t held_device;
static ino_t held_inode;

int lock_fd(void)
{
	struct stat st;

	/* The caller closes the fd to let go; its number may be another file's by now. */
	if (held >= 0 &&
	    (fstat(held, &st) < 0 || st.st_dev != held_device || st.st_ino != held_inode))
		held = -1;
	return held;
}

static long holder(int fd)
{
	char text[32] = "";

	if (pread(fd, text, sizeof(text) - 1, 0) <= 0)
		return 0;
	return strtol(text, NULL, 10);
}

/* A killed process that its parent has not waited for holds nothing any more. */
static bool is_zombie(long pid)
{
	_cleanup_free_ char *path = NULL, *text = NULL;
	const char *end;

	if (asprintf(&path, "/proc/%ld/stat", pid) < 0 || root_read(path, &text, NULL) < 0)
		return false;
	end = strrchr(text, ')');
	return end && (after_prefix(end, ") Z") || after_prefix(end, ") X"));
}

static bool alive(long pid)
{
	return pid > 0 && (kill((pid_t)pid, 0) == 0 || errno == EPERM) && !is_zombie(pid);
}

static int busy(long pid, struct error *e)
{
	error_set(e, -EBUSY, "another latencyd program (pid %ld) is changing this machine", pid);
	error_todo(e, "wait until it has ended, or see what it does: systemctl status %ld", pid);
	return -EBUSY;
}

static int take(int fd, struct error *e)
{
	const struct timespec pause = { .tv_nsec = 200 * 1000 * 1000 };

	for (unsigned waited_ms = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; waited_ms += 200) {
		long pid = holder(fd);

		if (errno == EINTR)
			continue;
		if (errno != EWOULDBLOCK)
			return error_set(e, -errno, "cannot lock " LOCK_FILE ": %m");
		/* An empty file: its owner is between taking the lock and writing its pid. */
		if (alive(pid) || (pid == 0 && waited_ms > 5000) ||
		    waited_ms > ORPHAN_WAIT_S * 1000)
			return busy(pid, e);
		nanosleep(&pause, NULL);
	}
	return 0;
}

int machine_lock(struct error *e)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r = root_mkdir_p("/run/latencyd", 0755);

	if (r < 0)
		return error_set(e, r, "cannot make /run/latencyd: %s", strerror(-r));
	fd = root_open(LOCK_FILE, O_RDWR | O_CREAT, 0644);
	if (fd < 0)
		return error_set(e, fd, "cannot open " LOCK_FILE ": %s", strerror(-fd));
	r = take(fd, e);
	if (r < 0)
		return r;
	if (ftruncate(fd, 0) < 0 || dprintf(fd, "%d\n", getpid()) < 0 || fstat(fd, &st) < 0)
		return error_set(e, -errno, "cannot write " LOCK_FILE ": %m");
	held = fd;
	held_device = st.st_dev;
	held_inode = st.st_ino;
	return take_fd(&fd);
}

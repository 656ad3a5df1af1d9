/*
 * Writes below /run/latencyd/guests: makes the guest's folder when there is none (an adopted guest)
 * and a lock file in it. flock(2) has no deadline, so it is tried again and again.
 */
#include "guest/channel_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "state/guest_argv.h"

#define TRY_AGAIN_MS 10

uint64_t channel_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static int make_folder(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		int r;

		*slash = '\0';
		r = mkdir(path, strlen(path) > strlen(GUEST_RUN_DIRECTORY) ? 0700 : 0755);
		*slash = '/';
		if (r < 0 && errno != EEXIST)
			return -errno;
	}
	return 0;
}

static int wait_for_lock(int fd, uint64_t deadline)
{
	const struct timespec pause = { .tv_nsec = TRY_AGAIN_MS * 1000000 };

	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		if (channel_now() >= deadline)
			return -ETIMEDOUT;
		(void)nanosleep(&pause, NULL);
	}
	return 0;
}

int channel_lock(const char *guest, uint64_t deadline, struct error *e)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int fd = -1;
	int r;

	if (asprintf(&path, GUEST_RUN_DIRECTORY "/%s/channel.lock", guest) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	r = make_folder(path);
	if (r >= 0) {
		fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
		r = fd < 0 ? -errno : wait_for_lock(fd, deadline);
	}
	if (r == -ETIMEDOUT)
		return error_set(e, r, "the channel of the guest %s was in use all the time",
				 guest);
	if (r < 0)
		return error_set(e, r, "cannot take the lock %s: %s", path, strerror(-r));
	return take_fd(&fd);
}

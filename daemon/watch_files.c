/*
 * Writes to kernel files: one fanotify group with a mark on each filesystem that is a procfs or a
 * sysfs, which sees writers in every mount namespace, through bind mounts, and after caches were
 * dropped (inode marks would not). fanotify(7), fanotify_init(2).
 *
 * FAN_MODIFY says that a write succeeded; FAN_CLOSE_WRITE alone, that one was tried. An event comes
 * with an fd of the file; for a file that cannot be read (mode 0200) the kernel has none to give
 * and read(2) fails with EACCES: that event is lost, and nothing else.
 *
 * A storm is bounded by watch_may_turn(), and the kernel merges equal events meanwhile. Its queue
 * overflows at 16,384: then everything is looked at.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/fanotify.h>

#include "daemon/watch_parts.h"

#ifndef FAN_REPORT_PIDFD
#define FAN_REPORT_PIDFD	  0x00000080
#define FAN_EVENT_INFO_TYPE_PIDFD 4
struct fanotify_event_info_pidfd {
	struct fanotify_event_info_header hdr;
	__s32 pidfd;
};
#endif

#define FLAGS	    (FAN_CLASS_NOTIF | FAN_NONBLOCK | FAN_CLOEXEC)
#define EVENT_FLAGS (O_RDONLY | O_LARGEFILE | O_CLOEXEC | O_NONBLOCK)
#define BATCH_SIZE  4096
#define BATCHES	    4 /* in a turn of the loop */

static int pidfd_of(const struct fanotify_event_metadata *event)
{
	const char *p = (const char *)event + event->metadata_len;
	const char *end = (const char *)event + event->event_len;

	while (p + sizeof(struct fanotify_event_info_header) <= end) {
		const struct fanotify_event_info_header *h = (const void *)p;

		if (h->len == 0)
			break;
		if (h->info_type == FAN_EVENT_INFO_TYPE_PIDFD)
			return ((const struct fanotify_event_info_pidfd *)h)->pidfd;
		p += h->len;
	}
	return -1;
}

/* The path of an event's file as everybody knows it. */
static bool path_of(const struct watch *w, int fd, char *ret, size_t size)
{
	char link[64], path[PATH_MAX];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n <= 0)
		return false;
	path[n] = '\0';
	return watch_known_path(w, fd, path, ret, size);
}

static void take_event(struct watch *w, const struct fanotify_event_metadata *event)
{
	_cleanup_close_ int fd = event->fd;
	_cleanup_close_ int pidfd = pidfd_of(event);
	char path[PATH_MAX];

	if (event->mask & FAN_Q_OVERFLOW) {
		watch_stir(w, "event queue overflow");
		return;
	}
	if (event->pid == w->self || fd < 0 || !path_of(w, fd, path, sizeof(path)))
		return;
	watch_deliver(w, path, event->pid, pidfd, event->mask & FAN_MODIFY);
}

/* One read. 1: there was something; 0: there is nothing now. */
static int take_batch(struct watch *w)
{
	_Alignas(struct fanotify_event_metadata) char buffer[BATCH_SIZE];
	const struct fanotify_event_metadata *event = (const void *)buffer;
	ssize_t n = read(w->files, buffer, sizeof(buffer));

	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM))
		watch_stir(w, "an event was lost: %s", strerror(errno));
	for (; FAN_EVENT_OK(event, n); event = FAN_EVENT_NEXT(event, n))
		if (event->vers == FANOTIFY_METADATA_VERSION)
			take_event(w, event);
	return 1;
}

static int on_files(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct watch *w = userdata;

	(void)s;
	(void)fd;
	(void)revents;
	if (!watch_may_turn(w))
		return 0;
	for (int i = 0; i < BATCHES && take_batch(w) > 0; i++)
		;
	return 0;
}

int watch_files_mark(struct watch *w, const char *path)
{
	return fanotify_mark(w->files, FAN_MARK_ADD | FAN_MARK_FILESYSTEM,
			     FAN_MODIFY | FAN_CLOSE_WRITE, AT_FDCWD, path) < 0
		       ? -errno
		       : 0;
}

/* Without pidfds (before 5.15) a writer's pid may be another's by the time it is looked up; its
 * start time tells. */
static int open_group(struct watch *w)
{
	w->files = fanotify_init(FLAGS | FAN_REPORT_PIDFD, EVENT_FLAGS);
	w->pidfds = w->files >= 0;
	if (w->files < 0 && errno == EINVAL)
		w->files = fanotify_init(FLAGS, EVENT_FLAGS);
	return w->files < 0 ? -errno : 0;
}

int watch_files_open(struct watch *w)
{
	int r = open_group(w);

	if (r < 0) {
		watch_reason(w, "writes to kernel files are not seen: fanotify is refused (%s)",
			     strerror(-r));
		return r == -ENOMEM ? r : 0;
	}
	r = watch_mounts_open(w);
	if (r >= 0)
		r = sd_event_add_io(w->event, &w->files_source, w->files, EPOLLIN, on_files, w);
	if (r >= 0) /* before anything is looked at */
		r = sd_event_source_set_priority(w->files_source, SD_EVENT_PRIORITY_NORMAL - 1);
	return r;
}

void watch_files_close(struct watch *w)
{
	w->files_source = sd_event_source_disable_unref(w->files_source);
	closep_(&w->files);
	w->files = -1;
}

/*
 * Writes to boot and configuration files: a second fanotify group with marks on their folders,
 * which reports names (FAN_REPORT_DFID_NAME), because such files are replaced by a rename more
 * often than written. A file counts when its writer closes it: half a document is no document.
 * Folders that come later are found by the event in the folder above, which is why /etc is here;
 * what was written in them before their mark asks for a look at everything.
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
#endif

#define FLAGS (FAN_CLASS_NOTIF | FAN_NONBLOCK | FAN_CLOEXEC | FAN_REPORT_DFID_NAME)
#define MASK                                                                                     \
	(FAN_CREATE | FAN_DELETE | FAN_MOVED_FROM | FAN_MOVED_TO | FAN_CLOSE_WRITE | FAN_ONDIR | \
	 FAN_EVENT_ON_CHILD)
#define BATCH_SIZE 4096

static const char *const folders[] = {
	"/etc",	 "/etc/latencyd", "/etc/latencyd/latencyd.d", "/etc/default", "/etc/default/grub.d",
	"/boot", "/boot/grub",
};

/* The same folder has the same handle. FNV-1a: a collision would only ask for a look in vain. */
static unsigned long long hash_handle(const struct file_handle *h)
{
	unsigned long long hash = 14695981039346656037ULL;

	for (unsigned i = 0; i < h->handle_bytes; i++)
		hash = (hash ^ (unsigned char)h->f_handle[i]) * 1099511628211ULL;
	return (hash ^ (unsigned)h->handle_type) * 1099511628211ULL;
}

static unsigned long long handle_of(int fd)
{
	union {
		struct file_handle h;
		char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} u = { .h.handle_bytes = MAX_HANDLE_SZ };
	int mount_id;

	return name_to_handle_at(fd, "", &u.h, &mount_id, AT_EMPTY_PATH) < 0 ? 0
									     : hash_handle(&u.h);
}

#define UNSEEN "writes to files in %s are not seen: "

static void refused(struct watch *w, const struct watched_folder *f)
{
	watch_reason(w, UNSEEN "its mark is refused (%s)", f->path, strerror(errno));
}

/* Marks what is there and not marked yet. */
static void mark_folders(struct watch *w)
{
	for (size_t i = 0; i < w->n_folders; i++) {
		struct watched_folder *f = &w->folder[i];
		_cleanup_close_ int fd = sysroot_openat(w->root, f->path, O_RDONLY | O_DIRECTORY);
		unsigned long long handle = fd < 0 ? 0 : handle_of(fd);

		if (fd < 0 || (handle && handle == f->handle))
			continue;
		if (!handle || fanotify_mark(w->folders, FAN_MARK_ADD, MASK, fd, NULL) < 0) {
			refused(w, f);
			continue;
		}
		f->handle = handle;
		watch_reason_gone(w, UNSEEN, f->path);
		if (w->folders_source)
			watch_stir(w, "folder %s came", f->path);
	}
}

struct found {
	const char *name;
	unsigned long long handle;
	int pidfd;
};

static void read_info(const struct fanotify_event_metadata *event, const char *at,
		      struct found *ret)
{
	const char *p = at + event->metadata_len, *end = at + event->event_len;

	*ret = (struct found){ .pidfd = -1 };
	while (p + sizeof(struct fanotify_event_info_header) <= end) {
		const struct fanotify_event_info_header *h = (const void *)p;

		if (h->len == 0)
			break;
		if (h->info_type == FAN_EVENT_INFO_TYPE_DFID_NAME) {
			const struct fanotify_event_info_fid *fid = (const void *)p;
			const struct file_handle *handle = (const void *)fid->handle;

			ret->handle = hash_handle(handle);
			ret->name = (const char *)handle->f_handle + handle->handle_bytes;
		} else if (h->info_type == FAN_EVENT_INFO_TYPE_PIDFD) {
			memcpy(&ret->pidfd, p + sizeof(*h), sizeof(ret->pidfd));
		}
		p += h->len;
	}
}

/* @at: where the event stands in the buffer, unaligned. */
static void take_event(struct watch *w, const struct fanotify_event_metadata *event, const char *at)
{
	_cleanup_close_ int pidfd = -1;
	char path[PATH_MAX];
	struct found found;

	if (event->mask & FAN_Q_OVERFLOW) {
		watch_stir(w, "event queue overflow");
		return;
	}
	read_info(event, at, &found);
	pidfd = found.pidfd;
	if (!(event->mask & ~(uint64_t)FAN_CREATE) || (event->mask & FAN_ONDIR))
		return;
	for (size_t i = 0; found.name && i < w->n_folders; i++) {
		if (w->folder[i].handle != found.handle)
			continue;
		snprintf(path, sizeof(path), "%s/%s", w->folder[i].path, found.name);
		watch_deliver(w, path, event->pid, pidfd, true);
	}
}

static int on_folders(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct watch *w = userdata;
	_Alignas(8) char buffer[BATCH_SIZE];
	bool folder_came = false;
	ssize_t n;

	(void)s;
	(void)revents;
	if (!watch_may_turn(w))
		return 0;
	n = read(fd, buffer, sizeof(buffer));
	for (ssize_t at = 0; at + (ssize_t)sizeof(struct fanotify_event_metadata) <= n;) {
		struct fanotify_event_metadata event;

		memcpy(&event, buffer + at, sizeof(event)); /* names leave the next unaligned */
		folder_came |= (event.mask & FAN_ONDIR) != 0;
		take_event(w, &event, buffer + at);
		at += event.event_len;
	}
	if (folder_came)
		mark_folders(w);
	return 0;
}

int watch_folders_open(struct watch *w)
{
	int r;

	w->folder = calloc(ARRAY_SIZE(folders), sizeof(*w->folder));
	if (!w->folder)
		return -ENOMEM;
	w->n_folders = ARRAY_SIZE(folders);
	for (size_t i = 0; i < w->n_folders; i++)
		w->folder[i].path = folders[i];
	w->folders = fanotify_init(FLAGS | FAN_REPORT_PIDFD, O_RDONLY | O_CLOEXEC);
	if (w->folders < 0 && errno == EINVAL)
		w->folders = fanotify_init(FLAGS, O_RDONLY | O_CLOEXEC);
	if (w->folders < 0) {
		watch_reason(w,
			     "writes to boot and configuration files are not seen: fanotify is "
			     "refused (%s)",
			     strerror(errno));
		return 0;
	}
	mark_folders(w);
	r = sd_event_add_io(w->event, &w->folders_source, w->folders, EPOLLIN, on_folders, w);
	if (r >= 0)
		r = sd_event_source_set_priority(w->folders_source, SD_EVENT_PRIORITY_NORMAL - 1);
	return r;
}

void watch_folders_close(struct watch *w)
{
	w->folders_source = sd_event_source_disable_unref(w->folders_source);
	closep_(&w->folders);
	w->folders = -1;
	free(take_ptr(w->folder));
	w->n_folders = 0;
}

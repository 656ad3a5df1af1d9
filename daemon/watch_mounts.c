/*
 * Which filesystems are watched, and what their files are called. On the live machine every procfs,
 * sysfs and debugfs of our mount namespace, as /proc/self/mountinfo lists them; it polls as
 * readable when that changes, so that a procfs mounted later is marked too (each has a superblock
 * of its own since Linux 5.8). Below another root its proc/ and sys/, on whatever they are.
 *
 * Each mount stands for a place that everybody knows: /mnt/bound may be /proc/sys/kernel. Which
 * kind of filesystem a file is on is asked of its fd, never of its path: when the mount namespace
 * of its writer has ended, /proc/sys/vm/swappiness reads "/sys/vm/swappiness".
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <sys/epoll.h>
#include <sys/vfs.h>

#include "daemon/watch_parts.h"

#define MOUNTINFO "/proc/self/mountinfo"

static const struct {
	const char *type, *known;
	long magic;
} kinds[] = {
	{ "proc", "/proc", PROC_SUPER_MAGIC },
	{ "sysfs", "/sys", SYSFS_MAGIC },
	{ "debugfs", "/sys/kernel/debug", DEBUGFS_MAGIC },
};

/* What follows @folder in @path: "" or "/...", or NULL: it is not below it. */
static const char *below(const char *path, const char *folder)
{
	const char *rest = after_prefix(path, folder);

	return rest && (*rest == '\0' || *rest == '/') ? rest : NULL;
}

static bool join(char *ret, size_t size, const char *known, const char *rest)
{
	int n = snprintf(ret, size, "%s%s", known, rest);

	return n > 0 && (size_t)n < size;
}

static long magic_of(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) < 0 ? 0 : (long)fs.f_type;
}

/* A mount of another namespace: below that one's root, or of one that has ended, from the mount's
 * own root. */
static bool known_by_kind(long magic, const char *path, char *ret, size_t size)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		char folder[32];
		const char *at;

		if (magic != kinds[i].magic)
			continue;
		snprintf(folder, sizeof(folder), "%s/", kinds[i].known);
		at = strstr(path, folder);
		return at ? join(ret, size, at, "") : join(ret, size, kinds[i].known, path);
	}
	return false;
}

bool watch_known_path(const struct watch *w, int fd, const char *path, char *ret, size_t size)
{
	long magic = w->root->live ? magic_of(fd) : 0;
	const struct watched_mount *best = NULL;
	const char *rest = NULL;

	for (size_t i = 0; i < w->n_mounts; i++) {
		const struct watched_mount *m = &w->mounts[i];
		const char *r = m->magic == magic ? below(path, m->target) : NULL;

		if (r && (!best || strlen(m->target) >= strlen(best->target))) {
			best = m;
			rest = r;
		}
	}
	if (best)
		return join(ret, size, best->known, rest);
	return known_by_kind(magic, path, ret, size);
}

/* ---- the list ---- */

static void free_mount(struct watched_mount *m)
{
	free(m->target);
	free(m->known);
}

/* Takes the strings over. */
static int add_mount(struct watch *w, int id, long magic, char *target, char *known, bool refused)
{
	struct watched_mount *grown = NULL;

	if (target && known)
		grown = realloc(w->mounts, (w->n_mounts + 1) * sizeof(*grown));
	if (!grown) {
		free(target);
		free(known);
		return -ENOMEM;
	}
	w->mounts = grown;
	grown[w->n_mounts++] = (struct watched_mount){
		.id = id,
		.magic = magic,
		.target = target,
		.known = known,
		.seen = true,
		.refused = refused,
	};
	return 0;
}

#define UNSEEN "writes below %s are not seen: "

/* False: it is refused. */
static bool mark(struct watch *w, const char *target)
{
	int r = watch_files_mark(w, target);

	if (r >= 0 || r == -ENOENT)
		return true;
	watch_reason(w, UNSEEN "its mark is refused (%s)", target, strerror(-r));
	return false;
}

/* Another mount, or another try: what was refused may be granted now. */
static void mark_again(struct watch *w, struct watched_mount *m)
{
	if (!m->refused || !mark(w, m->target))
		return;
	m->refused = false;
	watch_reason_gone(w, UNSEEN, m->target);
}

static struct watched_mount *find_mount(struct watch *w, int id, const char *target)
{
	for (size_t i = 0; i < w->n_mounts; i++)
		if (w->mounts[i].id == id && streq(w->mounts[i].target, target))
			return &w->mounts[i];
	return NULL;
}

/* "\040" is a blank. */
static void unescape(char *text)
{
	char *out = text;

	for (; *text; text++)
		if (text[0] == '\\' && text[1] && text[2] && text[3]) {
			*out++ = (char)((text[1] - '0') * 64 + (text[2] - '0') * 8 + text[3] - '0');
			text += 3;
		} else {
			*out++ = *text;
		}
	*out = '\0';
}

/* "36 35 98:0 /root /target rw,... shared:1 - type source options" */
static int take_line(struct watch *w, char *line)
{
	char *type = strstr(line, " - "), *field[5], *known;
	struct watched_mount *m;

	for (size_t i = 0; i < ARRAY_SIZE(field); i++)
		field[i] = strsep(&line, " ");
	if (!type || !field[4])
		return 0;
	type += strlen(" - ");
	type[strcspn(type, " ")] = '\0';
	unescape(field[3]);
	unescape(field[4]);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (!streq(type, kinds[i].type))
			continue;
		m = find_mount(w, atoi(field[0]), field[4]);
		if (m) {
			m->seen = true;
			mark_again(w, m);
			return 0;
		}
		if (asprintf(&known, "%s%s", kinds[i].known, streq(field[3], "/") ? "" : field[3]) <
		    0)
			known = NULL;
		return add_mount(w, atoi(field[0]), kinds[i].magic, strdup(field[4]), known,
				 !mark(w, field[4]));
	}
	return 0;
}

static void drop_unseen(struct watch *w)
{
	size_t n = 0;

	for (size_t i = 0; i < w->n_mounts; i++)
		if (w->mounts[i].seen) {
			w->mounts[n++] = w->mounts[i];
		} else {
			if (w->mounts[i].refused)
				watch_reason_gone(w, UNSEEN, w->mounts[i].target);
			free_mount(&w->mounts[i]);
		}
	w->n_mounts = n;
}

static int read_mounts(struct watch *w)
{
	_cleanup_free_ char *text = NULL;
	char *rest, *line;
	int r = sysroot_read(&w->live, MOUNTINFO, &text, NULL);

	if (r < 0)
		return r;
	for (size_t i = 0; i < w->n_mounts; i++)
		w->mounts[i].seen = false;
	rest = text;
	while (r >= 0 && (line = strsep(&rest, "\n")))
		r = take_line(w, line);
	drop_unseen(w);
	return r;
}

#define UNFOLLOWED "mounts cannot be followed: " MOUNTINFO " cannot be read"

static int on_mounts(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct watch *w = userdata;

	(void)s;
	(void)fd;
	(void)revents;
	if (read_mounts(w) < 0)
		watch_reason(w, UNFOLLOWED);
	else
		watch_reason_gone(w, UNFOLLOWED);
	return 0;
}

static int open_tree(struct watch *w)
{
	static const char *const known[] = { "/proc", "/sys" };
	char link[64], root[PATH_MAX];
	ssize_t n;
	int r = 0;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", w->root->fd);
	n = readlink(link, root, sizeof(root) - 1);
	if (n <= 0)
		return 0;
	root[n] = '\0';
	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(known); i++) {
		char *target;

		if (asprintf(&target, "%s%s", root, known[i]) < 0)
			return -ENOMEM;
		r = add_mount(w, 0, 0, target, strdup(known[i]), !mark(w, target));
	}
	return r;
}

int watch_mounts_open(struct watch *w)
{
	int r;

	if (!w->root->live)
		return open_tree(w);
	w->mountinfo = sysroot_openat(&w->live, MOUNTINFO, O_RDONLY);
	r = w->mountinfo < 0 ? w->mountinfo : read_mounts(w);
	if (r < 0) {
		watch_reason(w, UNFOLLOWED " (%s)", strerror(-r));
		return r == -ENOMEM ? r : 0;
	}
	return sd_event_add_io(w->event, &w->mounts_source, w->mountinfo, EPOLLPRI, on_mounts, w);
}

void watch_mounts_close(struct watch *w)
{
	w->mounts_source = sd_event_source_disable_unref(w->mounts_source);
	closep_(&w->mountinfo);
	w->mountinfo = -1;
	for (size_t i = 0; i < w->n_mounts; i++)
		free_mount(&w->mounts[i]);
	free(w->mounts);
	w->mounts = NULL;
	w->n_mounts = 0;
}

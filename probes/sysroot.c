/*
 * Every path is resolved with openat2(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS) below one directory
 * fd, the live machine's "/" included: absolute links and ".." stay inside, /proc/PID/fd links are
 * not followed.
 *
 * Files are opened with O_NONBLOCK, so that a FIFO in a hostile tree cannot hold a reader up; what
 * reads as empty and is not a regular file is then refused, because "nothing there" would pass for
 * an answer. Sizes from stat() mean nothing in procfs and kernfs: only what read() returns counts.
 */
#include "probes/sysroot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define READ_MAX   ((size_t)64 << 20)
#define READ_FIRST ((size_t)16 << 10)
#define OPEN_FILE  (O_RDONLY | O_NONBLOCK | O_NOCTTY)
/* openat2(2): EAGAIN when a rename or mount somewhere races with a ".."; "may be retried". */
#define OPEN_TRIES 64

int sysroot_open(const char *path, struct sysroot *ret, struct error *e)
{
	_cleanup_free_ char *copy = NULL;
	int fd;

	if (!path)
		path = "/";
	copy = strdup(path);
	if (!copy)
		return -ENOMEM;
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		int r = -errno;

		error_set(e, r, "cannot open the root folder %s: %s", path, strerror(-r));
		error_todo(e, "name an existing folder with --root");
		return r;
	}
	*ret = (struct sysroot){
		.fd = fd,
		.live = *path && path[strspn(path, "/")] == '\0',
		.path = take_ptr(copy),
	};
	return 0;
}

void sysroot_close(struct sysroot *r)
{
	if (!r)
		return;
	if (r->path) /* a zeroed handle has no fd to close */
		close(r->fd);
	free(r->path);
	*r = (struct sysroot){ .fd = -1 };
}

struct sysroot sysroot_unrecorded(const struct sysroot *r)
{
	struct sysroot view = *r;

	view.recorder = NULL;
	return view;
}

void sysroot_saw_file(const struct sysroot *r, const char *path, const char *data, size_t size)
{
	if (r->recorder)
		r->recorder->file(r->recorder, path, data, size);
}

void sysroot_saw_folder(const struct sysroot *r, const char *path)
{
	if (r->recorder)
		r->recorder->folder(r->recorder, path);
}

static bool is_absence(int error)
{
	return error == ENOENT || error == ENODEV || error == ENOTDIR;
}

static void saw_failure(const struct sysroot *r, const char *path, int result)
{
	if (r->recorder && !is_absence(-result))
		r->recorder->failed(r->recorder, path, -result);
}

int sysroot_openat(const struct sysroot *r, const char *path, int flags)
{
	struct open_how how = {
		.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	long fd = -1;

	path += r->skip;
	path += strspn(path, "/");
	if (!*path)
		path = ".";
	for (int i = 0; i < OPEN_TRIES; i++) {
		fd = syscall(SYS_openat2, r->fd, path, &how, sizeof(how));
		if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
			break;
	}
	return fd < 0 ? -errno : (int)fd;
}

int sysroot_view(const struct sysroot *r, const char *folder, struct sysroot *ret)
{
	int fd = sysroot_openat(r, folder, O_PATH | O_DIRECTORY);

	if (fd < 0)
		return fd;
	*ret = *r;
	ret->fd = fd;
	ret->skip = strlen(folder);
	return 0;
}

static ssize_t read_some(int fd, char *buffer, size_t size)
{
	ssize_t n;

	do {
		n = read(fd, buffer, size);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* Only a regular file may be empty: a FIFO without a writer reads as empty too. */
static int check_empty(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) ? 0 : -EBADMSG;
}

/* Until read() says 0: a seq_file of many records gives them in pieces of any size. */
static int read_whole(int fd, char **ret, size_t *ret_size)
{
	_cleanup_free_ char *buffer = NULL;
	size_t room = 0, size = 0;
	ssize_t n;

	do {
		if (room - size < 2) {
			size_t larger = room ? room * 2 : READ_FIRST;
			char *p;

			if (size > READ_MAX)
				return -EFBIG;
			p = realloc(buffer, larger);
			if (!p)
				return -ENOMEM;
			buffer = p;
			room = larger;
		}
		n = read_some(fd, buffer + size, room - size - 1);
		if (n < 0)
			return (int)n;
		size += (size_t)n;
	} while (n > 0);
	if (size > READ_MAX)
		return -EFBIG;
	if (size == 0 && check_empty(fd) < 0)
		return -EBADMSG;
	buffer[size] = '\0';
	*ret = take_ptr(buffer);
	*ret_size = size;
	return 0;
}

int sysroot_read(const struct sysroot *r, const char *path, char **ret, size_t *ret_size)
{
	_cleanup_close_ int fd = sysroot_openat(r, path, OPEN_FILE);
	char *text;
	size_t size;
	int result;

	result = fd < 0 ? fd : read_whole(fd, &text, &size);
	if (result < 0) {
		saw_failure(r, path, result);
		return result;
	}
	sysroot_saw_file(r, path, text, size);
	*ret = text;
	if (ret_size)
		*ret_size = size;
	return 0;
}

struct fact sysroot_outcome(struct arena *a, const char *path, int result, const char *text)
{
	struct fact f = { .path = arena_strdup(a, path) };

	if (f.path && result >= 0) {
		f.text = arena_strdup(a, text);
		if (f.text) {
			f.state = FACT_KNOWN;
			return f;
		}
	}
	if (!f.path || result >= 0)
		result = -ENOMEM;
	if (is_absence(-result)) {
		f.state = FACT_ABSENT;
		return f;
	}
	f.state = result == -EACCES || result == -EPERM ? FACT_DENIED : FACT_UNREADABLE;
	f.error = -result;
	return f;
}

static struct fact text_fact(struct arena *a, const char *path, char *text, size_t size)
{
	if (memchr(text, '\0', size))
		return sysroot_outcome(a, path, -EBADMSG, NULL);
	if (size > 0 && text[size - 1] == '\n')
		size--;
	text[size] = '\0';
	return sysroot_outcome(a, path, 0, text);
}

ssize_t sysroot_read_once(const struct sysroot *r, const char *path, char *buffer, size_t size)
{
	_cleanup_close_ int fd = sysroot_openat(r, path, OPEN_FILE);
	ssize_t n;

	n = fd < 0 ? fd : read_some(fd, buffer, size - 1);
	if (n == 0 && check_empty(fd) < 0)
		n = -EBADMSG;
	if (n < 0) {
		saw_failure(r, path, (int)n);
		return n;
	}
	if ((size_t)n == size - 1)
		return -EFBIG;
	sysroot_saw_file(r, path, buffer, (size_t)n);
	buffer[n] = '\0';
	return n;
}

struct fact sysroot_fact(const struct sysroot *r, struct arena *a, const char *path)
{
	_cleanup_free_ char *large = NULL;
	char buffer[4096];
	size_t size;
	ssize_t n;

	n = sysroot_read_once(r, path, buffer, sizeof(buffer));
	if (n >= 0)
		return text_fact(a, path, buffer, (size_t)n);
	if (n == -EFBIG)
		n = sysroot_read(r, path, &large, &size);
	if (n < 0)
		return sysroot_outcome(a, path, (int)n, NULL);
	return text_fact(a, path, large, size);
}

int sysroot_exists(const struct sysroot *r, const char *path)
{
	_cleanup_close_ int fd = sysroot_openat(r, path, O_PATH);
	struct stat st;

	if (fd < 0) {
		saw_failure(r, path, fd);
		return is_absence(-fd) ? 0 : fd;
	}
	if (r->recorder) {
		if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
			sysroot_saw_folder(r, path);
		else
			sysroot_saw_file(r, path, "", 0);
	}
	return 1;
}

/* A folder being read: getdents64() itself, since a DIR costs four more system calls. */
struct listing {
	int fd;
	ssize_t size, at;
	_Alignas(struct dirent64) char entries[16384];
};

static void listing_close(struct listing *l)
{
	closep_(&l->fd);
}

static int listing_open(const struct sysroot *r, const char *path, struct listing *l)
{
	l->size = l->at = 0;
	l->fd = sysroot_openat(r, path, O_RDONLY | O_DIRECTORY);
	if (l->fd < 0) {
		saw_failure(r, path, l->fd);
		return l->fd;
	}
	sysroot_saw_folder(r, path);
	return 0;
}

/* 1 and the next name that is not a dot file; 0 at the end; negative errno. */
static int listing_next(struct listing *l, const char **ret)
{
	const struct dirent64 *entry;

	do {
		if (l->at == l->size) {
			l->at = 0;
			l->size = getdents64(l->fd, l->entries, sizeof(l->entries));
			if (l->size <= 0)
				return l->size < 0 ? -errno : 0;
		}
		entry = (const struct dirent64 *)(l->entries + l->at);
		l->at += entry->d_reclen;
	} while (entry->d_name[0] == '.');
	*ret = entry->d_name;
	return 1;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int sysroot_list(const struct sysroot *r, struct arena *a, const char *path, char ***ret,
		 size_t *ret_n)
{
	_cleanup_(listing_close) struct listing l;
	char **names = NULL, **slot;
	const char *name = NULL;
	size_t n = 0;
	int result;

	result = listing_open(r, path, &l);
	if (result < 0)
		return result;
	while ((result = listing_next(&l, &name)) > 0) {
		slot = arena_grow(a, &names, &n, sizeof(*names));
		if (!slot)
			return -ENOMEM;
		*slot = arena_strdup(a, name);
		if (!*slot)
			return -ENOMEM;
	}
	if (result < 0)
		return result;
	if (n > 0)
		qsort(names, n, sizeof(*names), compare_names);
	*ret = names;
	*ret_n = n;
	return 0;
}

/* 1 and *ret when @name is PREFIX<number>SUFFIX with a number in its canonical form. */
static int name_number(const char *name, const char *prefix, const char *suffix, unsigned *ret)
{
	const char *p = after_prefix(name, prefix);
	uint64_t number = 0;
	size_t digits;

	if (!p)
		return 0;
	digits = strspn(p, "0123456789");
	if (digits == 0 || digits > 10 || (digits > 1 && *p == '0') || !streq(p + digits, suffix))
		return 0;
	for (size_t i = 0; i < digits; i++)
		number = number * 10 + (uint64_t)(p[i] - '0');
	if (number > UINT32_MAX)
		return 0;
	*ret = (unsigned)number;
	return 1;
}

static int compare_numbers(const void *a, const void *b)
{
	unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;

	return (x > y) - (x < y);
}

int sysroot_numbers(const struct sysroot *r, const char *path, const char *prefix,
		    const char *suffix, unsigned **ret, size_t *ret_n)
{
	_cleanup_(listing_close) struct listing l;
	_cleanup_free_ unsigned *numbers = NULL;
	size_t n = 0, room = 0;
	const char *name = NULL;
	int result;

	result = listing_open(r, path, &l);
	if (result < 0)
		return result;
	while ((result = listing_next(&l, &name)) > 0) {
		if (n == room) {
			unsigned *p = realloc(numbers, (room + 64) * 2 * sizeof(*numbers));

			if (!p)
				return -ENOMEM;
			numbers = p;
			room = (room + 64) * 2;
		}
		n += (size_t)name_number(name, prefix, suffix, &numbers[n]);
	}
	if (result < 0)
		return result;
	if (n > 0)
		qsort(numbers, n, sizeof(*numbers), compare_numbers);
	*ret = take_ptr(numbers);
	*ret_n = n;
	return 0;
}

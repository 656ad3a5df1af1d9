/*
 * Every path of this folder is resolved below one directory fd, so that the code that changes a
 * machine runs unchanged on a fake tree. RESOLVE_IN_ROOT makes absolute links and `..` stay inside
 * it; for the live machine the root is "/" and the rule costs nothing.
 */
#include "actuators/root.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static int root_fd = -1;
static char *root_path; /* NULL: "/" */

int actuators_set_root(const char *path)
{
	_cleanup_free_ char *copy = strdup(path);
	_cleanup_close_ int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (!copy)
		return -ENOMEM;
	if (root_fd >= 0)
		close(root_fd);
	free(root_path);
	root_fd = take_fd(&fd);
	root_path = streq(path, "/") ? NULL : take_ptr(copy);
	return 0;
}

bool root_is_live(void)
{
	return !root_path;
}

char *root_outer_path(const char *path)
{
	char *s;

	return asprintf(&s, "%s%s", root_path ? root_path : "", path) < 0 ? NULL : s;
}

int root_open(const char *path, int flags, mode_t mode)
{
	struct open_how how = {
		.flags = (uint64_t)(flags | O_CLOEXEC),
		.mode = flags & O_CREAT ? mode : 0,
		.resolve = RESOLVE_IN_ROOT,
	};
	int tries = 0, r;
	long fd;

	if (root_fd < 0 && (r = actuators_set_root("/")) < 0)
		return r;
	do { /* EAGAIN: something was renamed while `..` was resolved */
		fd = syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
	} while (fd < 0 && (errno == EINTR || (errno == EAGAIN && ++tries < 100)));
	return fd < 0 ? -errno : (int)fd;
}

int root_read(const char *path, char **ret, size_t *ret_size)
{
	_cleanup_close_ int fd = root_open(path, O_RDONLY, 0);
	_cleanup_free_ char *text = NULL;
	size_t size = 0, room = 0;

	if (fd < 0)
		return fd;
	for (;;) {
		ssize_t n;

		if (room - size < 4096) {
			char *more = realloc(text, room = room ? room * 2 : 8192);

			if (!more)
				return -ENOMEM;
			text = more;
		}
		n = read(fd, text + size, room - size - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		size += (size_t)n;
	}
	text[size] = '\0';
	*ret = take_ptr(text);
	if (ret_size)
		*ret_size = size;
	return 0;
}

int root_read_line(const char *path, char **ret)
{
	size_t n;
	int r = root_read(path, ret, &n);

	if (r < 0)
		return r;
	while (n > 0 && strchr(" \t\n", (*ret)[n - 1]))
		(*ret)[--n] = '\0';
	return 0;
}

int root_exists(const char *path)
{
	_cleanup_close_ int fd = root_open(path, O_PATH, 0);

	if (fd >= 0)
		return 1;
	return fd == -ENOENT || fd == -ENOTDIR ? 0 : fd;
}

/* Splits "/a/b/c" into an fd of "/a/b" and "c" (inside @path). */
static int open_parent(const char *path, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *parent = NULL;
	int fd;

	if (!slash || !slash[1])
		return -EINVAL;
	parent = slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
	if (!parent)
		return -ENOMEM;
	fd = root_open(parent, O_RDONLY | O_DIRECTORY, 0);
	if (fd >= 0)
		*ret_name = slash + 1;
	return fd;
}

int root_mkdir_p(const char *path, mode_t mode)
{
	_cleanup_free_ char *copy = strdup(path);

	if (!copy)
		return -ENOMEM;
	for (char *p = copy; p;) {
		_cleanup_close_ int parent = -1;
		const char *name;

		p = strchr(p + 1, '/');
		if (p)
			*p = '\0';
		parent = open_parent(copy, &name);
		if (parent < 0)
			return parent;
		/* The mode that is asked for, whatever the umask. */
		if (mkdirat(parent, name, mode) == 0 ? fchmodat(parent, name, mode, 0) < 0
						     : errno != EEXIST)
			return -errno;
		if (p)
			*p = '/';
	}
	return 0;
}

int root_rmdir(const char *path)
{
	const char *name;
	_cleanup_close_ int parent = open_parent(path, &name);

	if (parent < 0)
		return parent;
	return unlinkat(parent, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

static int write_all(int fd, const char *data, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, data, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		size -= (size_t)n;
	}
	return 0;
}

static int replace(const char *path, const void *data, size_t size, mode_t mode, bool sync)
{
	const char *name;
	_cleanup_close_ int parent = open_parent(path, &name), fd = -1;
	_cleanup_free_ char *temporary = NULL;
	int r;

	if (parent < 0)
		return parent;
	/* One fixed name: what a killed writer left is overwritten, never piled up. The machine
	 * lock keeps a second writer away. The dot keeps it out of `*.cfg`. */
	if (asprintf(&temporary, ".%s.latencyd-new", name) < 0)
		return -ENOMEM;
	if (unlinkat(parent, temporary, 0) < 0 && errno != ENOENT)
		return -errno;
	fd = openat(parent, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0)
		return -errno;
	r = write_all(fd, data, size);
	if (r == 0 &&
	    (fchmod(fd, mode) < 0 || (sync && fsync(fd) < 0) ||
	     renameat(parent, temporary, parent, name) < 0 || (sync && fsync(parent) < 0)))
		r = -errno;
	if (r < 0)
		unlinkat(parent, temporary, 0);
	return r;
}

static int replace_or_say(const char *path, const void *data, size_t size, mode_t mode, bool sync,
			  struct error *e)
{
	int r = replace(path, data, size, mode, sync);

	if (r < 0)
		return error_set(e, r, "cannot write %s: %s", path, strerror(-r));
	return 0;
}

int root_replace(const char *path, const void *data, size_t size, mode_t mode, struct error *e)
{
	return replace_or_say(path, data, size, mode, true, e);
}

int root_replace_unsynced(const char *path, const void *data, size_t size, mode_t mode,
			  struct error *e)
{
	return replace_or_say(path, data, size, mode, false, e);
}

int root_remove(const char *path, struct error *e)
{
	const char *name;
	_cleanup_close_ int parent = open_parent(path, &name);

	if (parent == -ENOENT)
		return 0;
	if (parent < 0)
		return error_set(e, parent, "cannot remove %s: %s", path, strerror(-parent));
	if (unlinkat(parent, name, 0) < 0) {
		if (errno == ENOENT)
			return 0;
		return error_set(e, -errno, "cannot remove %s: %m", path);
	}
	if (fsync(parent) < 0)
		return error_set(e, -errno, "cannot sync the folder of %s: %m", path);
	return 0;
}

static void closedirp_(DIR **d)
{
	if (*d)
		closedir(*d);
}

int root_each(const char *path, int (*fn)(const char *name, void *userdata), void *userdata)
{
	_cleanup_(closedirp_) DIR *dir = NULL;
	int fd = root_open(path, O_RDONLY | O_DIRECTORY, 0), r;

	if (fd < 0)
		return fd;
	dir = fdopendir(fd);
	if (!dir) {
		r = -errno;
		close(fd);
		return r;
	}
	for (;;) {
		struct dirent *entry;

		errno = 0;
		entry = readdir(dir);
		if (!entry)
			return -errno;
		if (entry->d_name[0] == '.')
			continue;
		r = fn(entry->d_name, userdata);
		if (r != 0)
			return r;
	}
}

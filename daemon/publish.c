/*
 * A reader finds the old text or the new one, never a part. The temporary file's name is fixed:
 * there is one daemon, and what a killed one left behind is simply overwritten.
 */
#include "daemon/publish.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

/* What is published is for everybody, whatever the umask. */
static int make_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *folder = slash ? strndup(path, (size_t)(slash - path)) : NULL;

	if (!folder)
		return -ENOMEM;
	if (mkdir(folder, 0755) < 0)
		return errno == EEXIST ? 0 : -errno;
	return chmod(folder, 0755) < 0 ? -errno : 0;
}

static int write_all(int fd, const char *text, size_t n)
{
	while (n > 0) {
		ssize_t written = write(fd, text, n);

		if (written < 0 && errno != EINTR)
			return -errno;
		if (written > 0) {
			text += written;
			n -= (size_t)written;
		}
	}
	return 0;
}

int publish(const char *path, const char *text, struct error *e)
{
	_cleanup_free_ char *temporary = NULL;
	_cleanup_close_ int fd = -1;
	int r;

	r = make_folder(path);
	if (r < 0)
		return error_set(e, r, "cannot make the folder of %s: %s", path, strerror(-r));
	if (asprintf(&temporary, "%s.new", path) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	r = fd < 0 || fchmod(fd, 0644) < 0 ? -errno : write_all(fd, text, strlen(text));
	if (r == 0 && rename(temporary, path) < 0)
		r = -errno;
	if (r < 0) {
		(void)unlink(temporary);
		return error_set(e, r, "cannot write %s: %s", path, strerror(-r));
	}
	return 0;
}

/*
 * The one place where launching and stopping guests writes below /run, always the live machine's:
 * a fake root has no guests. Only files that we or our QEMU make are removed, by name; the lock of
 * the channel stays, for who waits for it holds the file and not its name.
 */
#include "guest/files.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "state/guest_argv.h"

#define FORWARDS_MARK "/run/latencyd/forwards"
#define WORDS_MAX     600

static const char *const names[] = {
	"qemu.pid", GUEST_QMP, "agent.sock", GUEST_LOG, "console.log", "verified",
};

static char *path_of(const char *guest, const char *file)
{
	char *path;

	return asprintf(&path, "%s/%s%s%s", GUEST_RUN_DIRECTORY, guest, *file ? "/" : "", file) < 0
		       ? NULL
		       : path;
}

static int make_one(const char *path, mode_t mode)
{
	return mkdir(path, mode) < 0 && errno != EEXIST ? -errno : 0;
}

static int remove_files(const char *guest)
{
	int result = 0;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_free_ char *path = path_of(guest, names[i]);

		if (!path)
			return -ENOMEM;
		if (unlink(path) < 0 && errno != ENOENT && errno != ENOTDIR)
			result = -errno;
	}
	return result;
}

int guest_folder_make(const char *name, struct error *e)
{
	_cleanup_free_ char *path = path_of(name, ""), *parent = NULL;
	int r = path ? 0 : -ENOMEM;

	for (const char *at = path ? strchr(path + 1, '/') : NULL; r == 0 && at;
	     at = strchr(at + 1, '/')) {
		free(parent);
		parent = strndup(path, (size_t)(at - path));
		r = parent ? make_one(parent, 0755) : -ENOMEM;
	}
	if (r == 0)
		r = make_one(path, 0700);
	if (r == 0 && chmod(path, 0700) < 0)
		r = -errno;
	if (r == 0)
		r = remove_files(name);
	if (r == 0)
		return 0;
	return error_set(e, r, "cannot make the folder %s/%s: %s", GUEST_RUN_DIRECTORY, name,
			 strerror(-r));
}

void guest_folder_clear(const char *name)
{
	_cleanup_free_ char *path = path_of(name, "");

	(void)remove_files(name);
	if (path)
		(void)rmdir(path);
}

int guest_log_open(const char *name)
{
	_cleanup_free_ char *path = path_of(name, GUEST_LOG);
	int fd;

	if (!path)
		return -ENOMEM;
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	return fd < 0 ? -errno : fd;
}

char *guest_log_words(const char *name)
{
	_cleanup_free_ char *path = path_of(name, GUEST_LOG), *text = malloc(WORDS_MAX + 1);
	_cleanup_close_ int fd = path ? open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC) : -1;
	off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
	ssize_t n;

	if (size <= 0 || !text)
		return NULL;
	n = pread(fd, text, WORDS_MAX, size > WORDS_MAX ? size - WORDS_MAX : 0);
	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == ' '))
		n--;
	if (n <= 0)
		return NULL;
	text[n] = '\0';
	for (char *at = text; *at; at++)
		if (*at == '\n')
			*at = ' ';
		else if (*at < ' ' || *at > '~')
			*at = '?';
	return take_ptr(text);
}

int forwards_mark(bool set)
{
	_cleanup_close_ int fd = -1;
	int r;

	if (!set)
		return unlink(FORWARDS_MARK) == 0 || errno == ENOENT ? 0 : -errno;
	r = make_one("/run/latencyd", 0755);
	if (r < 0)
		return r;
	fd = open(FORWARDS_MARK, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
	return fd < 0 ? -errno : 0;
}

bool forwards_marked(void)
{
	return access(FORWARDS_MARK, F_OK) == 0;
}

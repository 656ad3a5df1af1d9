/*
 * A capture is a recording: observe() runs with a recorder in its sysroot, which writes every file
 * into the target as it was read. So the list of files is the probes' own, and what a probe takes
 * only a part of (one dpkg paragraph, the hugetlbfs mounts) is captured as that part.
 *
 * Below the target every path is resolved with RESOLVE_BENEATH and without links: names come from
 * a machine that may be hostile.
 */
#include "probes/observe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "probes/probe.h"

#define DOCUMENT_FOLDER "/etc/latencyd"
#define DOCUMENT_PARTS	"/etc/latencyd/latencyd.d"

struct capture {
	struct sysroot_recorder recorder; /* first: the callbacks get its address */
	int fd;				  /* the target */
	size_t n_files, n_left_out;
	int result; /* the first failure to write, negative errno */
	char *result_path;
};

static void fail(struct capture *c, const char *path, int result)
{
	if (c->result < 0)
		return;
	c->result = result;
	c->result_path = strdup(path);
}

static int open_below(const struct capture *c, const char *path, int flags, mode_t mode)
{
	struct open_how how = {
		.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
		.mode = mode,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
	};
	long fd = syscall(SYS_openat2, c->fd, path, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

/* 0755 whatever the umask. */
static int make_folder(int at, const char *name)
{
	if (mkdirat(at, name, 0755) < 0)
		return errno == EEXIST ? 0 : -errno;
	return fchmodat(at, name, 0755, 0) < 0 ? -errno : 0;
}

/* Makes the folder @path (relative) and those above it. */
static int make_folders(const struct capture *c, const char *path)
{
	_cleanup_free_ char *copy = strdup(path);
	_cleanup_close_ int at = -1;
	char *name = copy;

	if (!copy)
		return -ENOMEM;
	while (*name) {
		char *end = name + strcspn(name, "/");
		const char separator = *end;
		int r;

		*end = '\0';
		r = make_folder(at < 0 ? c->fd : at, name);
		closep_(&at);
		at = r < 0 ? r : open_below(c, copy, O_PATH | O_DIRECTORY, 0);
		if (at < 0)
			return at;
		*end = separator;
		name = end + strspn(end, "/");
	}
	return 0;
}

static int make_parents(const struct capture *c, const char *path)
{
	_cleanup_free_ char *folder = strdup(path);
	char *slash;

	if (!folder)
		return -ENOMEM;
	slash = strrchr(folder, '/');
	if (!slash)
		return 0;
	*slash = '\0';
	return make_folders(c, folder);
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

/* grub.cfg may hold `password USER SECRET` or `password_pbkdf2 USER HASH`: blanked out. */
static void hide_passwords(char *text)
{
	for (char *line = text; *line;) {
		char *word = line + strspn(line, " \t"), *end = line + strcspn(line, "\n");

		if (after_prefix(word, "password"))
			memset(word, '#', (size_t)(end - word));
		line = *end ? end + 1 : end;
	}
}

static int write_file(struct capture *c, const char *path, const char *data, size_t size)
{
	_cleanup_free_ char *copy = NULL;
	_cleanup_close_ int fd = -1;
	int r;

	fd = open_below(c, path, O_WRONLY | O_CREAT | O_EXCL, 0644);
	if (fd == -ENOENT) {
		r = make_parents(c, path);
		if (r < 0)
			return r;
		fd = open_below(c, path, O_WRONLY | O_CREAT | O_EXCL, 0644);
	}
	if (fd < 0)
		return fd == -EEXIST ? 0 : fd; /* two rows may read the same file */
	c->n_files++;
	if (after_prefix(path, "boot/grub")) {
		copy = strndup(data, size);
		if (!copy)
			return -ENOMEM;
		hide_passwords(copy);
		data = copy;
		size = strlen(copy);
	}
	if (fchmod(fd, 0644) < 0) /* whatever the umask */
		return -errno;
	return write_all(fd, data, size);
}

static void saw_file(struct sysroot_recorder *rec, const char *path, const char *data, size_t size)
{
	struct capture *c = (struct capture *)rec;
	int r = write_file(c, path + strspn(path, "/"), data, size);

	if (r < 0)
		fail(c, path, r);
}

static void saw_folder(struct sysroot_recorder *rec, const char *path)
{
	struct capture *c = (struct capture *)rec;
	int r = make_folders(c, path + strspn(path, "/"));

	if (r < 0)
		fail(c, path, r);
}

static void saw_failure(struct sysroot_recorder *rec, const char *path, int error)
{
	struct capture *c = (struct capture *)rec;

	(void)path;
	(void)error;
	c->n_left_out++;
}

/* The document and its parts, whatever of them can be read. */
static int capture_documents(const struct sysroot *root)
{
	static const char *const folders[] = { DOCUMENT_FOLDER, DOCUMENT_PARTS };
	struct arena a = { 0 };
	int r = 0;

	for (size_t i = 0; r != -ENOMEM && i < ARRAY_SIZE(folders); i++) {
		char **names = NULL;
		size_t n = 0;

		r = sysroot_list(root, &a, folders[i], &names, &n);
		for (size_t j = 0; r != -ENOMEM && j < n; j++) {
			_cleanup_free_ char *path = NULL, *text = NULL;
			const char *dot = strrchr(names[j], '.');

			if (!dot || !streq(dot, ".yaml"))
				continue;
			if (asprintf(&path, "%s/%s", folders[i], names[j]) < 0)
				path = NULL;
			r = path ? sysroot_read(root, path, &text, NULL) : -ENOMEM;
		}
	}
	arena_free(&a);
	return r == -ENOMEM ? r : 0;
}

static bool folder_is_empty(int fd)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;
	bool empty = d != NULL;

	if (!d) {
		closep_(&copy);
		return false;
	}
	while (empty && (entry = readdir(d)))
		empty = streq(entry->d_name, ".") || streq(entry->d_name, "..");
	closedir(d);
	return empty;
}

static int open_target(const char *target, struct error *e)
{
	_cleanup_close_ int fd = -1;
	int r;

	if (mkdir(target, 0755) < 0 && errno != EEXIST) {
		r = -errno;
		error_set(e, r, "cannot make the folder %s: %s", target, strerror(-r));
		error_todo(e, "name a folder that can be made");
		return r;
	}
	fd = open(target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		r = -errno;
		return error_set(e, r, "cannot open the folder %s: %s", target, strerror(-r));
	}
	if (!folder_is_empty(fd)) {
		error_set(e, -EEXIST, "%s exists and is not empty", target);
		error_todo(e, "name a new folder: a capture never mixes with other files");
		return -EEXIST;
	}
	if (fchmod(fd, 0755) < 0) {
		r = -errno;
		return error_set(e, r, "cannot set the mode of %s: %s", target, strerror(-r));
	}
	return take_fd(&fd);
}

int capture(const struct sysroot *root, const char *target, size_t *ret_files, size_t *ret_left_out,
	    struct error *e)
{
	struct capture c = {
		.recorder = { .file = saw_file, .folder = saw_folder, .failed = saw_failure },
	};
	_cleanup_observed_ struct observed o = { 0 };
	struct sysroot recording = *root;
	int r;

	c.fd = open_target(target, e);
	if (c.fd < 0)
		return c.fd;
	recording.recorder = &c.recorder;
	r = observe(&recording, NULL, &o);
	if (r >= 0)
		r = capture_documents(&recording);
	close(c.fd);
	if (r < 0) {
		error_set(e, r, "cannot capture into %s: %s", target, strerror(-r));
	} else if (c.result < 0) {
		r = error_set(e, c.result, "cannot write %s%s: %s", target,
			      c.result_path ? c.result_path : "", strerror(-c.result));
		error_todo(e, "remove %s and capture again where there is room", target);
	} else {
		*ret_files = c.n_files;
		*ret_left_out = c.n_left_out;
	}
	free(c.result_path);
	return r;
}

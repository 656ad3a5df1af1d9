/*
 * The model: runs/.ID.partial is written file by file, each under another name first, synced,
 * renamed, and its folder synced; in the end the run is renamed to runs/ID and runs is synced. A
 * reader sees a whole run or none; what a crash leaves begins with a dot, holds whole files only
 * (beside ".tmp"), and can be taken up again by who holds the lock.
 */
#include "measure/keep.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#define HIDDEN_SUFFIX ".partial"
#define READ_MAX      (64 << 20)

static int make_folders(const char *path)
{
	_cleanup_free_ char *p = strdup(path);

	if (!p)
		return -ENOMEM;
	for (char *end = p + 1;; end++) {
		char c = *end;

		if (c && c != '/')
			continue;
		*end = 0;
		if (mkdir(p, 0755) < 0 && errno != EEXIST)
			return -errno;
		if (!c)
			break;
		*end = c;
	}
	return 0;
}

/* Calls @fn for each name in the folder; dot names too. */
static int each_name(int dir_fd, int (*fn)(int dir_fd, const char *name))
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	const struct dirent *de;
	DIR *dir;

	if (fd < 0)
		return -errno;
	dir = fdopendir(fd);
	if (!dir) {
		r = -errno;
		close(fd);
		return r;
	}
	while (r == 0 && (de = readdir(dir))) {
		if (!streq(de->d_name, ".") && !streq(de->d_name, ".."))
			r = fn(dir_fd, de->d_name);
	}
	closedir(dir);
	return r;
}

/* @name in the folder, with all that is below it. */
static int remove_tree(int dir_fd, const char *name)
{
	_cleanup_close_ int fd = -1;
	int r;

	if (unlinkat(dir_fd, name, 0) == 0)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = each_name(fd, remove_tree);
	if (r < 0)
		return r;
	return unlinkat(dir_fd, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

static bool is_hidden(const char *name)
{
	size_t n = strlen(name), suffix = strlen(HIDDEN_SUFFIX);

	return *name == '.' && n > suffix && streq(name + n - suffix, HIDDEN_SUFFIX);
}

/* A leftover that cannot be removed is in nobody's way. */
static int remove_leftover(int runs_fd, const char *name)
{
	if (is_hidden(name))
		(void)remove_tree(runs_fd, name);
	return 0;
}

static int take_lock(struct keep *k, struct error *e)
{
	k->lock_fd = openat(k->runs_fd, ".lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (k->lock_fd < 0)
		return error_set(e, -errno, "opening %s/.lock: %s", k->directory, strerror(errno));
	if (flock(k->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno != EWOULDBLOCK)
		return error_set(e, -errno, "locking %s/.lock: %s", k->directory, strerror(errno));
	error_set(e, -EBUSY,
		  "another measurement is running: two on the same CPUs spoil each other");
	error_todo(e, "wait for it to end");
	return -EBUSY;
}

static int make_run(struct keep *k, const char *profile, time_t now)
{
	char stamp[sizeof("20261122T164500Z")];
	struct tm tm;

	if (!gmtime_r(&now, &tm) || !strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &tm))
		return -EOVERFLOW;
	for (unsigned i = 1;; i++) {
		free(k->id);
		k->id = NULL;
		if ((i == 1 ? asprintf(&k->id, "%s-%s", stamp, profile)
			    : asprintf(&k->id, "%s-%s-%u", stamp, profile, i)) < 0) {
			k->id = NULL;
			return -ENOMEM;
		}
		if (faccessat(k->runs_fd, k->id, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
			break;
	}
	if (errno != ENOENT)
		return -errno;
	if (asprintf(&k->hidden, ".%s" HIDDEN_SUFFIX, k->id) < 0) {
		k->hidden = NULL;
		return -ENOMEM;
	}
	if (mkdirat(k->runs_fd, k->hidden, 0755) < 0)
		return -errno;
	k->run_fd = openat(k->runs_fd, k->hidden, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return k->run_fd < 0 ? -errno : 0;
}

static int open_runs(const char *directory, struct keep *k, struct error *e)
{
	int r = make_folders(directory);

	if (r < 0)
		return error_set(e, r, "making %s: %s", directory, strerror(-r));
	k->directory = strdup(directory);
	if (!k->directory)
		return -ENOMEM;
	k->runs_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (k->runs_fd < 0)
		return error_set(e, -errno, "opening %s: %s", directory, strerror(errno));
	return take_lock(k, e);
}

int keep_open(const char *directory, const char *profile, time_t now, struct keep *ret,
	      struct error *e)
{
	_cleanup_keep_ struct keep k = KEEP_INIT;
	int r = open_runs(directory, &k, e);

	if (r < 0)
		return r;
	r = make_run(&k, profile, now);
	if (r < 0)
		return error_set(e, r, "making a folder for the run in %s: %s", directory,
				 strerror(-r));
	*ret = k;
	k = (struct keep)KEEP_INIT;
	return 0;
}

char *keep_interrupted(const char *directory)
{
	_cleanup_free_ char *latest = NULL;
	const struct dirent *de;
	DIR *dir = opendir(directory);

	while (dir && (de = readdir(dir))) {
		if (!is_hidden(de->d_name) || (latest && strverscmp(de->d_name, latest) < 0))
			continue;
		free(latest);
		latest = strdup(de->d_name);
	}
	if (dir)
		closedir(dir);
	return latest ? strndup(latest + 1, strlen(latest) - 1 - strlen(HIDDEN_SUFFIX)) : NULL;
}

int keep_resume(const char *directory, const char *id, struct keep *ret, struct error *e)
{
	_cleanup_keep_ struct keep k = KEEP_INIT;
	int r = open_runs(directory, &k, e);

	if (r < 0)
		return r;
	k.id = streq(id, "latest") ? keep_interrupted(directory) : strdup(id);
	if (!k.id || strchr(k.id, '/') || asprintf(&k.hidden, ".%s" HIDDEN_SUFFIX, k.id) < 0)
		k.hidden = NULL;
	else
		k.run_fd = openat(k.runs_fd, k.hidden,
				  O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (k.run_fd < 0) {
		error_set(e, -ENOENT, "there is no interrupted run%s%s to resume",
			  streq(id, "latest") ? "" : " ", streq(id, "latest") ? "" : id);
		error_todo(e, "measure without --resume");
		return -ENOENT;
	}
	k.worth = true;
	*ret = k;
	k = (struct keep)KEEP_INIT;
	return 0;
}

void keep_close(struct keep *k)
{
	if (!k)
		return;
	if (k->hidden && !k->committed && !k->worth)
		(void)remove_tree(k->runs_fd, k->hidden);
	closep_(&k->run_fd);
	closep_(&k->lock_fd);
	closep_(&k->runs_fd);
	free(k->hidden);
	free(k->id);
	free(k->directory);
	*k = (struct keep)KEEP_INIT;
}

char *keep_path(const struct keep *k, const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s/%s", k->directory, k->hidden, name) < 0 ? NULL : path;
}

int keep_read(const struct keep *k, const char *name, char **ret, size_t *ret_size)
{
	_cleanup_close_ int fd =
		openat(k->run_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	_cleanup_free_ char *text = NULL;
	struct stat st;
	size_t n = 0;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (st.st_size > READ_MAX)
		return -EFBIG;
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return -ENOMEM;
	while (n < (size_t)st.st_size) {
		ssize_t r = read(fd, text + n, (size_t)st.st_size - n);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if (r == 0)
			break;
		n += (size_t)r;
	}
	text[n] = 0;
	*ret = take_ptr(text);
	if (ret_size)
		*ret_size = n;
	return 0;
}

static int write_all(int fd, const char *text, size_t n)
{
	while (n) {
		ssize_t r = write(fd, text, n);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		text += r;
		n -= (size_t)r;
	}
	return 0;
}

/* The folders of @name, below the run's. */
static int make_parents(const struct keep *k, const char *name)
{
	for (const char *slash = name; (slash = strchr(slash, '/')); slash++) {
		_cleanup_free_ char *folder = strndup(name, (size_t)(slash - name));

		if (!folder)
			return -ENOMEM;
		if (mkdirat(k->run_fd, folder, 0755) < 0 && errno != EEXIST)
			return -errno;
	}
	return 0;
}

static int sync_folder(const struct keep *k, const char *name)
{
	const char *slash = strrchr(name, '/');
	_cleanup_free_ char *folder = slash ? strndup(name, (size_t)(slash - name)) : strdup(".");
	_cleanup_close_ int fd = -1;

	if (!folder)
		return -ENOMEM;
	fd = openat(k->run_fd, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

static int write_file(const struct keep *k, const char *name, const char *text)
{
	_cleanup_free_ char *other = NULL;
	_cleanup_close_ int fd = -1;
	int r = make_parents(k, name);

	if (r == 0 && asprintf(&other, "%s.tmp", name) < 0) {
		other = NULL;
		r = -ENOMEM;
	}
	if (r < 0)
		return r;
	fd = openat(k->run_fd, other, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	r = fd < 0 ? -errno : write_all(fd, text, strlen(text));
	if (r == 0 && (fsync(fd) < 0 || renameat(k->run_fd, other, k->run_fd, name) < 0))
		r = -errno;
	return r < 0 ? r : sync_folder(k, name);
}

int keep_write(const struct keep *k, const char *name, const char *text, struct error *e)
{
	int r = write_file(k, name, text);

	if (r < 0)
		return error_set(e, r, "writing %s/%s/%s: %s", k->directory, k->hidden, name,
				 strerror(-r));
	return 0;
}

int keep_commit(struct keep *k, struct error *e)
{
	int r = fsync(k->run_fd) < 0 || renameat(k->runs_fd, k->hidden, k->runs_fd, k->id) < 0
			? -errno
			: 0;

	if (r == 0) {
		k->committed = true;
		(void)each_name(k->runs_fd, remove_leftover);
		if (fsync(k->runs_fd) < 0)
			r = -errno;
	}
	if (r < 0)
		return error_set(e, r, "keeping the result in %s/%s: %s", k->directory, k->id,
				 strerror(-r));
	return 0;
}

/*
 * The folder of everything half-finished, beside the image. Whoever works in it holds flock(2) on
 * the folder itself, and so does its child: the kernel gives the lock back when the last of them is
 * dead, however it died. So a folder that can be locked is what a killed guest prepare left, and
 * the next one beside it removes it. The folder above is locked while one is made or looked for,
 * so that a new one is never taken for a dead one.
 *
 * Opens absolute paths: all of them are the folder of the image or below it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "actuators/run.h"
#include "ctl/prepare.h"

#define WORK_PREFIX ".latencyd-prepare-"

/* The loop device goes with its mount; one that was not yet mounted stays behind. */
static void detach_loops(const char *raw)
{
	const char *const find[] = { "/usr/sbin/losetup", "-n", "-O", "NAME", "-j", raw, NULL };
	_cleanup_free_ char *output = NULL;
	char *rest, *name;

	if (run_program(find, NULL, 30, &output, NULL) != 0)
		return;
	for (name = strtok_r(output, "\n ", &rest); name; name = strtok_r(NULL, "\n ", &rest)) {
		const char *const detach[] = { "/usr/sbin/losetup", "-d", name, NULL };

		run_program(detach, NULL, 30, NULL, NULL);
	}
}

/* The work's mounts are its child's alone and end with it; this is for a machine where they did
 * not. */
static void unmount_all(const char *work)
{
	static const char *const names[] = { "root", "dev" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_free_ char *path = NULL;

		if (asprintf(&path, "%s/%s", work, names[i]) < 0) {
			path = NULL;
			return;
		}
		while (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
			;
	}
}

/* 0 when the folder is gone, else the exit code of rm or -errno. */
static int remove_folder(const char *work)
{
	const char *const argv[] = { "/usr/bin/rm", "-rf", "--one-file-system", work, NULL };
	_cleanup_free_ char *raw = NULL;

	unmount_all(work);
	if (asprintf(&raw, "%s/raw", work) < 0) {
		raw = NULL;
		return -ENOMEM;
	}
	detach_loops(raw);
	return run_program(argv, NULL, 120, NULL, NULL);
}

/* A folder that only a guest prepare of ours makes, and that no process holds any more. */
static bool is_dead(int above, const char *name)
{
	_cleanup_close_ int fd =
		openat(above, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == geteuid() &&
	       (st.st_mode & 07777) == 0700 && flock(fd, LOCK_EX | LOCK_NB) == 0;
}

static void tell_removed(const struct prepare *p, const char *path, int r)
{
	_cleanup_free_ char *text = NULL;

	if (asprintf(&text, "%s %s, which a guest prepare left that was killed",
		     r == 0 ? "removed" : "cannot remove", path) < 0)
		text = NULL;
	if (text)
		prepare_tell(p, text);
}

static void remove_dead(const struct prepare *p, int above, const char *folder)
{
	int fd = openat(above, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((entry = readdir(dir))) {
		_cleanup_free_ char *path = NULL;

		if (!after_prefix(entry->d_name, WORK_PREFIX) || !is_dead(above, entry->d_name))
			continue;
		if (asprintf(&path, "%s/%s", folder, entry->d_name) < 0) {
			path = NULL;
			break;
		}
		tell_removed(p, path, remove_folder(path));
	}
	closedir(dir);
}

/* The lock lasts as long as the fd is open in any process. A file system without flock(2) has
 * nothing that can be told dead either. */
static int make_folder(struct prepare *p, const char *folder, struct error *e)
{
	_cleanup_free_ char *work = NULL;

	if (asprintf(&work, "%s/" WORK_PREFIX "XXXXXX", folder) < 0) {
		work = NULL;
		return error_set(e, -ENOMEM, "out of memory");
	}
	if (!mkdtemp(work))
		return error_set(e, -errno, "cannot make a folder beside %s: %s", p->image,
				 strerror(errno));
	p->work_fd = open(work, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p->work_fd >= 0)
		(void)!flock(p->work_fd, LOCK_EX | LOCK_NB);
	p->work = take_ptr(work);
	return 0;
}

int prepare_work_make(struct prepare *p, struct error *e)
{
	const char *slash = strrchr(p->image, '/');
	_cleanup_free_ char *above = NULL, *folder = NULL;
	_cleanup_close_ int fd = -1;

	above = slash ? strndup(p->image, (size_t)(slash - p->image) + 1) : strdup(".");
	if (!above)
		return error_set(e, -ENOMEM, "out of memory");
	folder = realpath(above, NULL);
	fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (fd < 0)
		return error_set(e, -errno, "cannot open the folder of %s: %s", p->image,
				 strerror(errno));
	if (flock(fd, LOCK_EX) == 0)
		remove_dead(p, fd, folder);
	return make_folder(p, folder, e);
}

void prepare_work_remove(struct prepare *p)
{
	if (p->work)
		(void)remove_folder(p->work);
	closep_(&p->work_fd);
	free(p->work);
	p->work = NULL;
}

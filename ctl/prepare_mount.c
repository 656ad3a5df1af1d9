/*
 * The root file system of the copied image, mounted for this process alone. /dev is a small one of
 * our own, and the file system's device has the name a guest's disk has there: update-grub writes
 * no entry for a root on /dev/loopN, and names it by UUID only if /dev/disk/by-uuid has it.
 *
 * Opens absolute paths: loop devices and the folder of the work. All within the image goes through
 * the sysroot of its mount, so that no link of the image leads out of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/loop.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include <jansson.h>

#include "actuators/run.h"
#include "ctl/prepare.h"

#define ROOT_DEVICE "/dev/vda"

void prepare_root_done(struct prepare_root *r)
{
	sysroot_close(&r->root);
	free(r->path);
	free(r->uuid);
	*r = (struct prepare_root){ .root.fd = -1 };
}

static int make_folder(const struct prepare *p, const char *name, char **ret, struct error *e)
{
	_cleanup_free_ char *path = NULL;

	if (asprintf(&path, "%s/%s", p->work, name) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return error_set(e, -errno, "cannot make %s: %s", path, strerror(errno));
	*ret = take_ptr(path);
	return 0;
}

static int do_mount(const char *source, const char *target, const char *type, unsigned long flags,
		    struct error *e)
{
	if (mount(source, target, type, flags, NULL) < 0)
		return error_set(e, -errno, "cannot mount %s on %s: %s", source, target,
				 strerror(errno));
	return 0;
}

/* Inside the image, whatever links it has: the target is found below its root. */
static int mount_inside(const struct sysroot *root, const char *source, const char *target,
			const char *type, unsigned long flags, struct error *e)
{
	_cleanup_close_ int fd = sysroot_openat(root, target, O_PATH);
	char path[32];

	if (fd < 0)
		return error_set(e, fd, "the image has no folder %s: %s", target, strerror(-fd));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return do_mount(source, path, type, flags, e);
}

/* ---- the small /dev ---- */

static int make_nodes(int fd, dev_t root_device)
{
	static const struct {
		const char *name;
		unsigned minor;
	} nodes[] = {
		{ "null", 3 }, { "zero", 5 }, { "full", 7 }, { "random", 8 }, { "urandom", 9 }
	};
	mode_t mask = umask(0);
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(nodes); i++)
		r = mknodat(fd, nodes[i].name, S_IFCHR | 0666, makedev(1, nodes[i].minor));
	if (r == 0)
		r = mknodat(fd, "tty", S_IFCHR | 0666, makedev(5, 0));
	if (r == 0)
		r = mknodat(fd, strrchr(ROOT_DEVICE, '/') + 1, S_IFBLK | 0660, root_device);
	umask(mask);
	return r < 0 ? -errno : 0;
}

static int make_links(int fd, const char *uuid)
{
	_cleanup_free_ char *by_uuid = NULL;

	if (asprintf(&by_uuid, "disk/by-uuid/%s", uuid) < 0)
		return -ENOMEM;
	if (mkdirat(fd, "disk", 0755) < 0 || mkdirat(fd, "disk/by-uuid", 0755) < 0 ||
	    mkdirat(fd, "shm", 01777) < 0 || symlinkat("../../vda", fd, by_uuid) < 0 ||
	    symlinkat("/proc/self/fd", fd, "fd") < 0 ||
	    symlinkat("/proc/self/fd/0", fd, "stdin") < 0 ||
	    symlinkat("/proc/self/fd/1", fd, "stdout") < 0 ||
	    symlinkat("/proc/self/fd/2", fd, "stderr") < 0)
		return -errno;
	return 0;
}

static int make_dev(const struct prepare *p, const char *uuid, dev_t root_device, struct error *e)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int fd = -1;
	int r = make_folder(p, "dev", &path, e);

	if (r == 0)
		r = do_mount("tmpfs", path, "tmpfs", MS_NOEXEC, e);
	if (r < 0)
		return r;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = fd < 0 ? -errno : make_nodes(fd, root_device);
	if (r == 0)
		r = make_links(fd, uuid);
	if (r < 0)
		return error_set(e, r, "cannot fill %s: %s", path, strerror(-r));
	return do_mount(path, "/dev", NULL, MS_BIND, e);
}

/* ---- the root file system ---- */

static int attach(const struct prepare *p, uint64_t offset, uint64_t size, char **ret,
		  struct error *e)
{
	_cleanup_free_ char *raw = NULL, *from = NULL, *limit = NULL, *output = NULL;
	int r;

	if (asprintf(&raw, "%s/raw", p->work) < 0 ||
	    asprintf(&from, "--offset=%" PRIu64, offset) < 0 ||
	    asprintf(&limit, "--sizelimit=%" PRIu64, size) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	r = prepare_run((const char *const[]){ "/usr/sbin/losetup", "--show", "-f", from, limit,
					       raw, NULL },
			60, &output, e);
	if (r < 0)
		return error_todo(e, "loop devices are needed: modprobe loop");
	output[strcspn(output, "\n")] = '\0';
	*ret = take_ptr(output);
	return 0;
}

/* What the loop device holds: "" when it is nothing known. */
static int probe(const char *device, const char *tag, char **ret, struct error *e)
{
	int r = run_program((const char *const[]){ "/usr/sbin/blkid", "-p", "-s", tag, "-o",
						   "value", device, NULL },
			    NULL, 60, ret, e);

	if (r >= 0)
		(*ret)[strcspn(*ret, "\n")] = '\0';
	return r < 0 ? r : 0;
}

/* 1: @device is the root of a Debian system and is mounted on @path. */
static int try_root(const char *device, const char *path, struct sysroot *ret, struct error *e)
{
	_cleanup_sysroot_ struct sysroot root = { .fd = -1 };
	_cleanup_free_ char *type = NULL;
	int r = probe(device, "TYPE", &type, e);

	if (r < 0 || !streq(type, "ext4"))
		return r;
	r = do_mount(device, path, "ext4", MS_RDONLY, e);
	if (r == 0)
		r = sysroot_open(path, &root, e);
	if (r < 0)
		return r;
	if (sysroot_exists(&root, "/etc/os-release") == 1 &&
	    sysroot_exists(&root, "/usr/bin/apt-get") == 1) {
		*ret = root;
		root = (struct sysroot){ .fd = -1 };
		return 1;
	}
	sysroot_close(&root);
	root = (struct sysroot){ .fd = -1 };
	return umount(path) < 0
		       ? error_set(e, -errno, "cannot unmount %s: %s", path, strerror(errno))
		       : 0;
}

/* Mounted again from the small /dev, so that the mount has the name of the guest's disk. */
static int mount_for_work(const struct prepare *p, const char *device, struct prepare_root *r,
			  struct error *e)
{
	_cleanup_close_ int loop = open(device, O_RDONLY | O_CLOEXEC);
	struct stat st;
	int result;

	if (loop < 0 || fstat(loop, &st) < 0)
		return error_set(e, -errno, "cannot open %s: %s", device, strerror(errno));
	result = probe(device, "UUID", &r->uuid, e);
	if (result == 0 && !*r->uuid)
		result = error_set(e, -EINVAL, "the image's root file system has no UUID");
	sysroot_close(&r->root);
	r->root = (struct sysroot){ .fd = -1 };
	if (result == 0 && umount(r->path) < 0)
		result = error_set(e, -errno, "cannot unmount %s: %s", r->path, strerror(errno));
	if (result == 0)
		result = make_dev(p, r->uuid, st.st_rdev, e);
	if (result == 0)
		result = do_mount(ROOT_DEVICE, r->path, "ext4", 0, e);
	/* From now on the device goes with its mount, however we end. */
	if (result == 0)
		ioctl(loop, LOOP_CLR_FD);
	return result < 0 ? result : sysroot_open(r->path, &r->root, e);
}

static int try_part(const struct prepare *p, uint64_t offset, uint64_t size, struct prepare_root *r,
		    struct error *e)
{
	_cleanup_free_ char *device = NULL;
	int result = attach(p, offset, size, &device, e);

	if (result < 0)
		return result;
	result = try_root(device, r->path, &r->root, e);
	if (result == 0)
		run_program((const char *const[]){ "/usr/sbin/losetup", "-d", device, NULL }, NULL,
			    60, NULL, NULL);
	if (result <= 0)
		return result;
	r->offset = offset;
	result = mount_for_work(p, device, r, e);
	return result < 0 ? result : 1;
}

/* Every partition of the table, or the whole disk where there is none. */
static int find_root(const struct prepare *p, const char *raw, struct prepare_root *r,
		     struct error *e)
{
	_cleanup_free_ char *output = NULL;
	const json_t *parts, *part;
	int result = 0;
	json_t *table;
	size_t i;

	result = run_program((const char *const[]){ "/usr/sbin/sfdisk", "--json", raw, NULL }, NULL,
			     60, &output, e);
	if (result < 0)
		return result;
	if (result > 0)
		return try_part(p, 0, 0, r, e);
	result = 0;
	table = json_loads(output, 0, NULL);
	parts = json_object_get(json_object_get(table, "partitiontable"), "partitions");
	json_array_foreach(parts, i, part)
	{
		json_int_t start = json_integer_value(json_object_get(part, "start"));
		json_int_t size = json_integer_value(json_object_get(part, "size"));

		if (result == 0 && start > 0 && size > 0)
			result = try_part(p, (uint64_t)start * 512, (uint64_t)size * 512, r, e);
	}
	json_decref(table);
	return result;
}

int prepare_mount(const struct prepare *p, struct prepare_root *ret, struct error *e)
{
	_cleanup_prepare_root_ struct prepare_root root = { .root.fd = -1 };
	_cleanup_free_ char *raw = NULL;
	int r;

	r = do_mount("none", "/", NULL, MS_REC | MS_PRIVATE, e);
	if (r == 0)
		r = make_folder(p, "root", &root.path, e);
	if (r < 0)
		return r;
	if (asprintf(&raw, "%s/raw", p->work) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	r = find_root(p, raw, &root, e);
	if (r == 0) {
		error_set(e, -ENOENT, "%s has no ext4 file system with a Debian system", p->image);
		return error_todo(e, "give the disk image of an installed Debian guest");
	}
	if (r > 0)
		r = mount_inside(&root.root, "/dev", "/dev", NULL, MS_BIND, e);
	if (r == 0)
		r = mount_inside(&root.root, "proc", "/proc", "proc", 0, e);
	if (r == 0)
		r = mount_inside(&root.root, "sysfs", "/sys", "sysfs", MS_RDONLY, e);
	if (r == 0)
		r = mount_inside(&root.root, "tmpfs", "/run", "tmpfs", 0, e);
	if (r < 0)
		return r;
	*ret = root;
	root = (struct prepare_root){ .root.fd = -1 };
	return 0;
}

int prepare_unmount(const struct prepare *p, struct prepare_root *r, struct error *e)
{
	static const char *const folders[] = { "run", "sys", "proc", "dev", "" };
	_cleanup_free_ char *disk = NULL;

	/* We are the first process of our pid namespace: these are the work's processes only. */
	kill(-1, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0)
		;
	sysroot_close(&r->root);
	r->root = (struct sysroot){ .fd = -1 };
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		_cleanup_free_ char *path = NULL;

		if (asprintf(&path, "%s/%s", r->path, folders[i]) < 0)
			return error_set(e, -ENOMEM, "out of memory");
		if (umount(path) < 0)
			return error_set(e, -errno, "cannot unmount %s: %s", path, strerror(errno));
	}
	if (asprintf(&disk, "%s/raw?offset=%" PRIu64, p->work, r->offset) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	if (prepare_run((const char *const[]){ "/usr/sbin/e2fsck", "-f", "-n", disk, NULL }, 600,
			NULL, e) < 0)
		return error_prefix(e, "the prepared file system is not sound");
	return 0;
}

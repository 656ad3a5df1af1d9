/*
 * guest prepare, inside: the steps on the copy. Debian's own tools of the image do the work, in a
 * chroot; what they must not see or do (start a service, the machine's own resolver missing) is set
 * aside before and put back after. Everything of the image is opened below its mount (r->root); the
 * chroot and qemu-img are handed absolute paths of the work's folder.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "ctl/prepare.h"

#define CONVERT_S 3600
#define APT_S	  3600
#define DEB_NAME  "/run/latencyd.deb"
#define ASIDE	  ".before-prepare"

static int convert(const char *from_format, const char *from, const char *to_format, const char *to,
		   struct error *e)
{
	return prepare_run((const char *const[]){ "/usr/bin/qemu-img", "convert", "-f", from_format,
						  "-O", to_format, from, to, NULL },
			   CONVERT_S, NULL, e);
}

/* ---- what is set aside ---- */

struct replaced {
	const char *folder, *name;
	const char *text; /* NULL: the machine's own file of that name */
	mode_t mode;
};

static const struct replaced replaced[] = {
	{ "/usr/sbin", "policy-rc.d", "#!/bin/sh\nexit 101\n", 0755 },
	{ "/etc", "resolv.conf", NULL, 0644 },
};

static int write_into(int folder, const struct replaced *f, const char *text)
{
	_cleanup_close_ int fd =
		openat(folder, f->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, f->mode);
	size_t size = strlen(text);

	if (fd < 0)
		return -errno;
	if (write(fd, text, size) != (ssize_t)size || fchmod(fd, f->mode) < 0)
		return -errno;
	return 0;
}

static int set_aside(const struct prepare_root *r, const struct replaced *f, struct error *e)
{
	_cleanup_close_ int folder = sysroot_openat(&r->root, f->folder, O_RDONLY | O_DIRECTORY);
	_cleanup_sysroot_ struct sysroot here = { .fd = -1 };
	_cleanup_free_ char *aside = NULL, *text = NULL;
	int result = folder;

	if (asprintf(&aside, "%s" ASIDE, f->name) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	if (result >= 0 && renameat(folder, f->name, folder, aside) < 0 && errno != ENOENT)
		result = -errno;
	if (result >= 0 && !f->text) {
		result = sysroot_open(NULL, &here, e);
		/* without one there is no name service here either, which apt will say if it needs
		 * it */
		if (result >= 0 && sysroot_read(&here, "/etc/resolv.conf", &text, NULL) < 0)
			return 0;
	}
	if (result >= 0)
		result = write_into(folder, f, f->text ? f->text : text);
	return result < 0 ? error_set(e, result, "cannot replace %s/%s in the image: %s", f->folder,
				      f->name, strerror(-result))
			  : 0;
}

static int put_back(const struct prepare_root *r, const struct replaced *f, struct error *e)
{
	_cleanup_close_ int folder = sysroot_openat(&r->root, f->folder, O_RDONLY | O_DIRECTORY);
	_cleanup_free_ char *aside = NULL;
	int result = folder;

	if (asprintf(&aside, "%s" ASIDE, f->name) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	if (result >= 0 && unlinkat(folder, f->name, 0) < 0 && errno != ENOENT)
		result = -errno;
	if (result >= 0 && renameat(folder, aside, folder, f->name) < 0 && errno != ENOENT)
		result = -errno;
	return result < 0 ? error_set(e, result, "cannot restore %s/%s in the image: %s", f->folder,
				      f->name, strerror(-result))
			  : 0;
}

/* ---- in the chroot ---- */

#define CHROOT "/usr/sbin/chroot", r->path

static int apt_install(const struct prepare_root *r, const char *const packages[], struct error *e)
{
	const char *argv[16] = {
		CHROOT, "apt-get", "-q", "-y", "--no-install-recommends", "install"
	};
	size_t n = 7;

	for (size_t i = 0; packages[i] && n < ARRAY_SIZE(argv) - 1; i++)
		argv[n++] = packages[i];
	return prepare_run(argv, APT_S, NULL, e);
}

static int install(const struct prepare *p, const struct prepare_root *r, struct error *e)
{
	_cleanup_free_ char *deb = NULL;
	int result;

	if (asprintf(&deb, "%s" DEB_NAME, r->path) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	prepare_tell(p, "packing latencyd's files");
	result = prepare_package(p, deb, e);
	if (result < 0)
		return result;
	prepare_tell(p, "reading the image's package sources");
	result = prepare_run((const char *const[]){ CHROOT, "apt-get", "-q", "update", NULL },
			     APT_S, NULL, e);
	if (result < 0) {
		error_prefix(e, "the image's package sources");
		return error_todo(e, "they are those of the image's /etc/apt; can this machine "
				     "reach them?");
	}
	prepare_tell(p, "installing latencyd, the RT kernel, rt-tests and stress-ng");
	/*
	 * Ours first: dpkg takes a package without files of its own, as a trimmed kernel's
	 * metapackage is, for one that the package unpacked after it has replaced.
	 */
	result = apt_install(r, (const char *const[]){ DEB_NAME, NULL }, e);
	if (result == 0)
		result = apt_install(
			r, (const char *const[]){ p->package, "rt-tests", "stress-ng", NULL }, e);
	if (result < 0) {
		error_prefix(e, "apt-get install in the image");
		return error_todo(e,
				  "the image's package sources must have %s, rt-tests, stress-ng "
				  "and latencyd's libraries, and its disk room for them",
				  p->package);
	}
	return prepare_run(
		(const char *const[]){ CHROOT, "systemctl", "enable", "latencyd.service", NULL },
		60, NULL, e);
}

/* The next boot must find its root by UUID: a name of ours would not be there. */
static int check_grub(const struct prepare_root *r, struct error *e)
{
	_cleanup_free_ char *text = NULL, *want = NULL;
	int result = sysroot_read(&r->root, "/boot/grub/grub.cfg", &text, NULL);

	if (result < 0) {
		error_set(e, result, "the image has no /boot/grub/grub.cfg: %s", strerror(-result));
		return error_todo(e, "the image must boot through GRUB; a /boot of its own is not "
				     "supported");
	}
	if (asprintf(&want, "root=UUID=%s", r->uuid) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	if (!strstr(text, want) || strstr(text, "root=/dev/") || strstr(text, "/dev/loop"))
		return error_set(e, -EINVAL,
				 "update-grub in the image did not name its root by UUID %s",
				 r->uuid);
	return 0;
}

/* dpkg's own record and the enabled unit: what says that there was nothing to do. */
static char *installed(const struct prepare_root *r)
{
	_cleanup_free_ char *status = NULL;
	char *text = NULL;
	int enabled = sysroot_exists(
		&r->root, "/etc/systemd/system/multi-user.target.wants/latencyd.service");

	if (sysroot_read(&r->root, "/var/lib/dpkg/status", &status, NULL) < 0 ||
	    asprintf(&text, "%d\n%s", enabled, status) < 0)
		return NULL;
	return text;
}

static int change(const struct prepare *p, const struct prepare_root *r, struct error *e)
{
	_cleanup_free_ char *before = installed(r), *after = NULL;
	int result = 0;

	for (size_t i = 0; result == 0 && i < ARRAY_SIZE(replaced); i++)
		result = set_aside(r, &replaced[i], e);
	if (result == 0)
		result = install(p, r, e);
	for (size_t i = 0; result == 0 && i < ARRAY_SIZE(replaced); i++)
		result = put_back(r, &replaced[i], e);
	if (result == 0)
		result = check_grub(r, e);
	if (result < 0)
		return result;
	after = installed(r);
	return before && after && streq(before, after) ? PREPARE_SAME : PREPARE_CHANGED;
}

int prepare_inside(const struct prepare *p, struct error *e)
{
	_cleanup_prepare_root_ struct prepare_root root = { .root.fd = -1 };
	_cleanup_free_ char *raw = NULL, *new = NULL;
	int changed, r;

	if (asprintf(&raw, "%s/raw", p->work) < 0 || asprintf(&new, "%s/new", p->work) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	prepare_tell(p, "copying the image");
	r = convert(p->format, p->image, "raw", raw, e);
	if (r == 0)
		r = prepare_mount(p, &root, e);
	if (r < 0)
		return r;
	changed = change(p, &root, e);
	if (changed != PREPARE_CHANGED)
		return changed;
	prepare_tell(p, "checking the file system");
	r = prepare_unmount(p, &root, e);
	if (r < 0)
		return r;
	prepare_tell(p, "writing the image");
	r = convert("raw", raw, p->format, new, e);
	return r < 0 ? r : PREPARE_CHANGED;
}

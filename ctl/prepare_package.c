/*
 * latencyd as a Debian package, from the files that are installed here: `make install` leaves their
 * list. The version follows the newest file, so that the same build is "already the newest" to apt
 * and a newer one is an upgrade. The files are read below the sysroot they are from; absolute paths
 * are written only in the folder of the work and below the image's mount.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "ctl/prepare.h"

#define MANIFEST PKGDATADIR "/manifest"

/* The same libraries as latencyd is linked with, and what it runs. */
#define DEPENDS                                                                                   \
	"libjansson4, libsmartcols1, libsystemd0, libyaml-0-2, libnftables1, libnl-3-200, dbus, " \
	"rt-tests, "                                                                              \
	"stress-ng"

/* The newest of the files; -errno for one that is missing. */
static int newest_file(const struct prepare *p, const char *manifest, time_t *ret, struct error *e)
{
	_cleanup_free_ char *lines = strdup(manifest);
	time_t newest = 0;
	char *rest, *path;

	if (!lines)
		return error_set(e, -ENOMEM, "out of memory");
	for (path = strtok_r(lines, "\n", &rest); path; path = strtok_r(NULL, "\n", &rest)) {
		_cleanup_close_ int fd = sysroot_openat(p->from, path, O_PATH);
		struct stat st;

		if (fd < 0 || fstat(fd, &st) < 0) {
			error_set(e, fd < 0 ? fd : -errno, "%s of latencyd's own files is missing",
				  path);
			return error_todo(e, "install latencyd again");
		}
		if (st.st_mtime > newest)
			newest = st.st_mtime;
	}
	*ret = newest;
	return 0;
}

static int write_file(const char *path, const char *text, struct error *e)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	size_t size = strlen(text);

	if (fd < 0 || write(fd, text, size) != (ssize_t)size)
		return error_set(e, -errno, "cannot write %s: %s", path, strerror(errno));
	return 0;
}

/* The manifest's paths are absolute; tar is given them relative to the root they are below. */
static int copy_files(const struct prepare *p, const char *tree, const char *manifest,
		      struct error *e)
{
	_cleanup_free_ char *list = NULL, *archive = NULL, *text = NULL;
	const char *from = p->from->live ? "/" : p->from->path;
	char *out;
	int r;

	text = strdup(manifest);
	if (!text || asprintf(&list, "%s/files", p->work) < 0 ||
	    asprintf(&archive, "%s/files.tar", p->work) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	out = text;
	for (const char *c = manifest; *c; c++)
		if (*c != '/' || (c != manifest && c[-1] != '\n'))
			*out++ = *c;
	*out = '\0';
	r = write_file(list, text, e);
	if (r == 0)
		r = prepare_run((const char *const[]){ "/usr/bin/tar", "-C", from, "-cf", archive,
						       "--no-recursion", "-T", list, NULL },
				120, NULL, e);
	if (r == 0)
		r = prepare_run((const char *const[]){ "/usr/bin/tar", "-C", tree, "-xf", archive,
						       "--no-same-owner", NULL },
				120, NULL, e);
	return r;
}

static int write_control(const char *tree, time_t newest, struct error *e)
{
	_cleanup_free_ char *path = NULL, *folder = NULL, *text = NULL, *architecture = NULL;
	int r;

	r = prepare_run((const char *const[]){ "/usr/bin/dpkg", "--print-architecture", NULL }, 60,
			&architecture, e);
	if (r < 0)
		return r;
	architecture[strcspn(architecture, "\n")] = '\0';
	if (asprintf(&folder, "%s/DEBIAN", tree) < 0 || asprintf(&path, "%s/control", folder) < 0 ||
	    asprintf(&text,
		     "Package: latencyd\nVersion: %s+%lld\nArchitecture: %s\n"
		     "Maintainer: latencyctl guest prepare <root@localhost>\n"
		     "Depends: %s\nDescription: keeps this machine's latency promise\n",
		     PACKAGE_VERSION, (long long)newest, architecture, DEPENDS) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	if (mkdir(folder, 0755) < 0)
		return error_set(e, -errno, "cannot make %s: %s", folder, strerror(errno));
	return write_file(path, text, e);
}

int prepare_package(const struct prepare *p, const char *path, struct error *e)
{
	_cleanup_free_ char *manifest = NULL, *tree = NULL;
	time_t newest = 0;
	int r;

	r = sysroot_read(p->from, MANIFEST, &manifest, NULL);
	if (r < 0) {
		error_set(e, r, "cannot read the list of latencyd's files, %s: %s", MANIFEST,
			  strerror(-r));
		return error_todo(e, "install latencyd with make install");
	}
	if (asprintf(&tree, "%s/package", p->work) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	if (mkdir(tree, 0755) < 0)
		return error_set(e, -errno, "cannot make %s: %s", tree, strerror(errno));
	r = newest_file(p, manifest, &newest, e);
	if (r == 0)
		r = copy_files(p, tree, manifest, e);
	if (r == 0)
		r = write_control(tree, newest, e);
	if (r < 0)
		return r;
	return prepare_run((const char *const[]){ "/usr/bin/dpkg-deb", "--root-owner-group", "-b",
						  tree, path, NULL },
			   120, NULL, e);
}

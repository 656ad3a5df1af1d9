/*
 * The document as a file: where it lies and who may have written it. What it says is state/'s.
 */
#include "probes/observe.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

/* A relative path of the live machine is the caller's, as every program takes it. */
static int absolute_path(const struct sysroot *root, const char *path, char **ret)
{
	_cleanup_free_ char *folder = NULL;

	if (root->live && *path != '/') {
		folder = getcwd(NULL, 0);
		if (!folder)
			return -errno;
	}
	if (asprintf(ret, "%s%s%s", folder ? folder : "", *path == '/' ? "" : "/", path) < 0)
		return -ENOMEM;
	return 0;
}

/* Whoever writes the document commands root's actions: that must be root and nobody else. */
static int check_owner(const struct sysroot *root, const char *path, struct error *e)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r;

	if (!root->live)
		return 0;
	fd = sysroot_openat(root, path, O_PATH);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_uid == 0 && !(st.st_mode & (S_IWGRP | S_IWOTH)))
		return 0;
	r = error_set(e, -EPERM, "%s is refused: %s", path,
		      st.st_uid != 0 ? "it does not belong to root"
				     : "others than root may write it");
	error_todo(e, "chown root:root %s && chmod 0644 %s", path, path);
	return r;
}

int document_load(const struct sysroot *root, const char *path, struct desired *ret,
		  struct error *e)
{
	_cleanup_free_ char *absolute = NULL, *text = NULL;
	size_t size;
	int r;

	r = absolute_path(root, path ? path : DOCUMENT_PATH, &absolute);
	if (r < 0)
		return r;
	r = check_owner(root, absolute, e);
	if (r == -EPERM)
		return r;
	if (r >= 0)
		r = sysroot_read(root, absolute, &text, &size);
	if (r < 0) {
		error_set(e, r, "cannot read the document %s%s%s: %s", absolute,
			  root->live ? "" : " below ", root->live ? "" : root->path, strerror(-r));
		if (r == -ENOENT)
			error_todo(e, "write the desired state there, see latencyd.yaml(5), or "
				      "name another file with --document");
		return r;
	}
	return document_parse(absolute, text, size, ret, e);
}

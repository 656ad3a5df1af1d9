#pragma once
/*
 * guest prepare: makes a disk image one whose next boot has latencyd, the RT kernel and the tools
 * that measure. The image is never worked on: a copy is, by a child with its own mounts and its own
 * processes, and the copy takes the image's name when everything is done. So whatever ends the work
 * early, the image is as it was; killing the child ends every process and mount of the work. A
 * folder that a killed one left is removed by the next.
 */
#include "probes/sysroot.h"

#define PREPARE_PACKAGE_DEFAULT "linux-image-rt-amd64"

struct prepare {
	const struct sysroot *from; /* latencyd's own files are taken from below it */
	const char *image, *package;
	bool quiet;
	char *format;	 /* qcow2 or raw */
	char *work;	 /* the folder of everything half-finished, beside the image */
	int work_fd;	 /* locked: somebody works there */
	int64_t started; /* ctl_seconds() */
};

/* What the child answers with, as its exit status. */
enum { PREPARE_CHANGED, PREPARE_SAME, PREPARE_FAILED };

int prepare_image(struct prepare *p, struct error *e);

/* Runs one program; whatever it says is in @e when it fails. A positive exit code is -EIO. */
int prepare_run(const char *const argv[], unsigned timeout_s, char **ret_output, struct error *e);
void prepare_tell(const struct prepare *p, const char *what);

/* prepare_work.c: makes p->work, and removes beside it what killed ones left. */
int prepare_work_make(struct prepare *p, struct error *e);
/* Also when none was made. */
void prepare_work_remove(struct prepare *p);

/* prepare_inside.c: in the child. PREPARE_CHANGED: WORK/new is the prepared image; PREPARE_SAME:
 * there was nothing to do; negative errno. */
int prepare_inside(const struct prepare *p, struct error *e);

/* prepare_package.c: latencyd's files as the Debian package @path. */
int prepare_package(const struct prepare *p, const char *path, struct error *e);

/* prepare_mount.c */
struct prepare_root {
	struct sysroot root; /* the image's root file system */
	char *path;	     /* where it is mounted */
	char *uuid;
	uint64_t offset; /* of the file system in WORK/raw */
};
#define _cleanup_prepare_root_ _cleanup_(prepare_root_done)
/* Finds the image's root file system and mounts it with /proc, /sys and /dev of its own. */
int prepare_mount(const struct prepare *p, struct prepare_root *ret, struct error *e);
/* Ends every process of the work, unmounts, checks the file system. */
int prepare_unmount(const struct prepare *p, struct prepare_root *r, struct error *e);
void prepare_root_done(struct prepare_root *r);

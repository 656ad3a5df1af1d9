#pragma once
/*
 * The one choke point for writes into /proc and /sys: read first, skip when equal by kind, one
 * unbuffered write, read back, and an error that says what is really in the way.
 */
#include "state/error.h"
#include "state/plan.h"

/* What an errno of a kernel write means for the caller. */
enum errno_class {
	ERRNO_TRANSIENT, /* EAGAIN EBUSY EINTR: was retried */
	ERRNO_CAPACITY,	 /* ENOSPC ENOMEM: no vectors, no pages left */
	ERRNO_REFUSED,	 /* EPERM EACCES EIO EROFS: the kernel will not have it */
	ERRNO_GONE,	 /* ENOENT ESRCH ENODEV */
	ERRNO_INVALID,	 /* EINVAL ERANGE EOVERFLOW */
	ERRNO_OTHER,
};
enum errno_class errno_class(int r); /* @r negative or positive */

/* Are two texts the same value of that kind? */
bool kernel_value_equal(enum value_kind kind, const char *now, const char *want);

/* The value inside of what the file reads: for VALUE_CHOICE the bracketed word. malloc()ed. */
char *kernel_value_plain(enum value_kind kind, const char *now);

/*
 * One write with bounded retries on transient errnos, nothing else: for the actuators that judge
 * the result themselves. The errno as it came; no *e.
 */
int kernel_file_put(const char *path, const char *text);

/*
 * Makes @path read @want. 0: it did already, nothing was opened for writing; 1: written and read
 * back; negative errno with *e (-EPROTO: the write was taken but another value reads back).
 */
int kernel_file_set(const char *path, enum value_kind kind, const char *want, struct error *e);

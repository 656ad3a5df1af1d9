#pragma once
/*
 * The folder of one run: written under a hidden name, shown under its ID only when it is complete
 * and on disk.
 */
#include <time.h>

#include "state/error.h"

struct keep {
	char *directory; /* of all runs */
	char *id;
	char *hidden;	/* name inside @directory while the run lasts */
	int runs_fd;	/* @directory */
	int run_fd;	/* the run's folder */
	int lock_fd;	/* one measurement at a time */
	bool committed; /* else keep_close() removes the folder */
};

#define _cleanup_keep_ _cleanup_(keep_close)
#define KEEP_INIT                                          \
	{                                                  \
		.runs_fd = -1, .run_fd = -1, .lock_fd = -1 \
	}

/*
 * Makes @directory when missing, takes its lock (-EBUSY: another measurement is running), removes
 * what an interrupted run left, and makes the folder of a new run whose ID is
 * "20261122T164500Z-@profile", with "-2" and so on when that one is taken. *ret is initialised.
 */
int keep_open(const char *directory, const char *profile, time_t now, struct keep *ret,
	      struct error *e);
/* Removes the run unless it was committed. */
void keep_close(struct keep *k);

/* The absolute path of @name in the run's folder as long as it is hidden; malloc()ed. */
char *keep_path(const struct keep *k, const char *name);
/* A new file in the run's folder. fd or -errno. */
int keep_create(const struct keep *k, const char *name);
/* The whole file (malloc()ed, NUL-terminated), at most 64 MiB; -ENOENT, -EFBIG, -EINVAL (no file).
 */
int keep_read(const struct keep *k, const char *name, char **ret, size_t *ret_size);
/* Writes @text as a new file. */
int keep_write(const struct keep *k, const char *name, const char *text, struct error *e);
/* fsync of every file and folder, then the rename to the ID: all or nothing after a crash. */
int keep_commit(struct keep *k, struct error *e);

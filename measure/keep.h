#pragma once
/*
 * The folder of one run: written under a hidden name, shown under its ID only when it is complete
 * and on disk. One that was interrupted stays hidden, to be resumed, until a later one is complete.
 */
#include <time.h>

#include "state/error.h"

struct keep {
	char *directory; /* of all runs */
	char *id;
	char *hidden; /* name inside @directory while the run lasts */
	int runs_fd;  /* @directory */
	int run_fd;   /* the run's folder */
	int lock_fd;  /* one measurement at a time */
	bool committed;
	bool worth; /* something in it is worth resuming: keep_close() leaves it */
};

#define _cleanup_keep_ _cleanup_(keep_close)
#define KEEP_INIT                                          \
	{                                                  \
		.runs_fd = -1, .run_fd = -1, .lock_fd = -1 \
	}

/*
 * Makes @directory when missing, takes its lock (-EBUSY: another measurement is running), and makes
 * the folder of a new run whose ID is "20261122T164500Z-@profile", with "-2" and so on when that
 * one is taken. *ret is initialised.
 */
int keep_open(const char *directory, const char *profile, time_t now, struct keep *ret,
	      struct error *e);
/* The same for the interrupted run @id, or the latest one ("latest"). -ENOENT: there is none. */
int keep_resume(const char *directory, const char *id, struct keep *ret, struct error *e);
/* The ID of the latest interrupted run (malloc()ed), or NULL. */
char *keep_interrupted(const char *directory);
/* Removes the run unless it was committed or is worth resuming. */
void keep_close(struct keep *k);

/* The absolute path of @name in the run's folder as long as it is hidden; malloc()ed. */
char *keep_path(const struct keep *k, const char *name);
/* The whole file (malloc()ed, NUL-terminated), at most 64 MiB; -ENOENT, -EFBIG, -EINVAL (no file).
 */
int keep_read(const struct keep *k, const char *name, char **ret, size_t *ret_size);
/* Writes @text as the file @name, making its folders; it is there whole and on disk, or not. */
int keep_write(const struct keep *k, const char *name, const char *text, struct error *e);
/* The rename to the ID: all or nothing after a crash. Then interrupted runs are removed. */
int keep_commit(struct keep *k, struct error *e);

#pragma once
/*
 * The machine that is acted on: a directory fd under which every path is resolved (openat2 with
 * RESOLVE_IN_ROOT). It is "/" except in tests, which act on a fake tree. No other file of this
 * folder opens an absolute path.
 */
#include <sys/types.h>

#include "state/error.h"

/* Tests only: act on the tree @path from now on. 0 or negative errno. */
int actuators_set_root(const char *path);
bool root_is_live(void);
/* malloc()ed path of @path as the caller's own file system sees it, for exec and mount. */
char *root_outer_path(const char *path);

/* An fd with O_CLOEXEC, or negative errno. @mode for O_CREAT. */
int root_open(const char *path, int flags, mode_t mode);
/* The whole file, NUL-terminated and malloc()ed. */
int root_read(const char *path, char **ret, size_t *ret_size);
/* As root_read(), with blanks and newlines at the end cut: for kernel files. */
int root_read_line(const char *path, char **ret);
/* 1, 0 or negative errno. */
int root_exists(const char *path);
int root_mkdir_p(const char *path, mode_t mode);
int root_rmdir(const char *path);

/*
 * Replaces @path by @data: a temporary file beside it, fsync, rename, fsync of the folder. Whoever
 * is killed in between leaves either the old file or the new one.
 */
int root_replace(const char *path, const void *data, size_t size, mode_t mode, struct error *e);
/* The same without waiting for a disk: safe against a killed writer, not against a lost machine. */
int root_replace_unsynced(const char *path, const void *data, size_t size, mode_t mode,
			  struct error *e);
/* Removes @path (a missing one is fine) and syncs its folder. */
int root_remove(const char *path, struct error *e);

/* Calls @fn for each name of the folder @path (no dot files) until it returns non-zero, which is
 * then returned. */
int root_each(const char *path, int (*fn)(const char *name, void *userdata), void *userdata);

#pragma once
/* The kept runs, found again. */
#include "probes/sysroot.h"

struct json_t;

/*
 * The result of the run @id, or of the newest one for "latest" or NULL; *ret_id is its ID
 * (malloc()ed). -ENOENT: there is no such run; -EINVAL: @id is no ID; -EBADMSG: its result cannot
 * be read.
 */
int runs_find(const struct sysroot *root, const char *id, char **ret_id, struct json_t **ret,
	      struct error *e);
/* The run's folder, to write its reports into: an fd, or a negative errno with *e set. */
int runs_open(const struct sysroot *root, const char *id, struct error *e);
/* Where it is, as text (malloc()ed); NULL: out of memory. */
char *runs_path(const char *id);

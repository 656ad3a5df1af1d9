#pragma once
/*
 * A folder of its own for a test, made below $TMPDIR (or /dev/shm, or /tmp) and removed with all it
 * holds. Every function aborts the test program when the file system refuses.
 */
#include "state/base.h"

struct scratch {
	char *path;
};

void scratch_make(struct scratch *s);
void scratch_remove(struct scratch *s);
#define _cleanup_scratch_ _cleanup_(scratch_remove)

/* @path is relative to the scratch folder; parents are made. */
void scratch_write(const struct scratch *s, const char *path, const char *text);
void scratch_write_bytes(const struct scratch *s, const char *path, const char *data, size_t size);
void scratch_folder(const struct scratch *s, const char *path);
void scratch_link(const struct scratch *s, const char *path, const char *target);
void scratch_fifo(const struct scratch *s, const char *path);
void scratch_delete(const struct scratch *s, const char *path);
/* PATH/path, malloc()ed. */
char *scratch_path(const struct scratch *s, const char *path);

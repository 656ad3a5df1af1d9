#pragma once
/*
 * One pass over a machine: everything the desired settings need, read once. Read-only.
 */
#include "probes/sysroot.h"
#include "state/desired.h"
#include "state/observed.h"

/*
 * Fills *ret (written on success only). @d decides which fact groups are read and which CPUs are
 * watched; NULL reads everything. What cannot be read becomes a fact that says so, never an error:
 * only -ENOMEM is returned.
 */
int observe(const struct sysroot *root, const struct desired *d, struct observed *ret);

/* Reads and parses the document below the root; -EPERM when it is not root's or others may write
 * it (checked on the live machine only). @path NULL: /etc/latencyd/latencyd.yaml. */
int document_load(const struct sysroot *root, const char *path, struct desired *ret,
		  struct error *e);
#define DOCUMENT_PATH "/etc/latencyd/latencyd.yaml"

/*
 * Copies every file that observe() may read (and /etc/latencyd) into the new folder @target, so
 * that `--root @target` judges this machine elsewhere. Refuses an existing, non-empty @target
 * (-EEXIST). What cannot be read is left out; *ret_files and *ret_left_out count.
 */
int capture(const struct sysroot *root, const char *target, size_t *ret_files, size_t *ret_left_out,
	    struct error *e);

#pragma once
/* A temporary folder for a test, with files in it, removed at the end. */
#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "state/base.h"

static inline char *tmp_make(void)
{
	char *folder = strdup("/tmp/latencyd-test.XXXXXX");

	assert_non_null(folder);
	assert_non_null(mkdtemp(folder));
	return folder;
}

/* Writes @text as @folder@path, making the folders on the way. */
static inline void tmp_put(const char *folder, const char *path, const char *text)
{
	_cleanup_free_ char *full = NULL;
	char *slash;
	FILE *f;

	assert_true(asprintf(&full, "%s%s", folder, path) > 0);
	for (slash = full + strlen(folder) + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
		*slash = 0;
		mkdir(full, 0755);
	}
	f = fopen(full, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static inline int tmp_remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

/* Frees @folder too. */
static inline void tmp_remove(char *folder)
{
	nftw(folder, tmp_remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(folder);
}

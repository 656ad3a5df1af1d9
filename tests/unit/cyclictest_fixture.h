#pragma once
/* The recorded results of cyclictest under tests/unit/data/cyclictest, for several tests. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "state/base.h"

/* malloc()ed; make check sets TEST_DATA; without it the current folder is the top. */
static inline char *fixture(const char *name, size_t *ret_size)
{
	const char *data = getenv("TEST_DATA");
	_cleanup_fclose_ FILE *f = NULL;
	_cleanup_free_ char *path = NULL;
	char *text = calloc(1, 1 << 16);
	size_t n;

	if (asprintf(&path, "%s/cyclictest/%s", data ? data : "tests/unit/data", name) < 0)
		path = NULL;
	assert_non_null(path);
	assert_non_null(text);
	f = fopen(path, "r");
	if (!f)
		fail_msg("%s: %s", path, strerror(errno));
	n = fread(text, 1, (1 << 16) - 1, f);
	if (ret_size)
		*ret_size = n;
	return text;
}

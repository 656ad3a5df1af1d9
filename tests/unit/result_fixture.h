#pragma once
/* The result.json files of tests/unit/data/results. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "state/error.h"

static inline json_t *result_fixture(const char *name)
{
	_cleanup_free_ char *path = NULL;
	json_error_t je;
	json_t *v;

	assert_true(asprintf(&path, "%s/results/%s", getenv("TEST_DATA"), name) > 0);
	v = json_load_file(path, JSON_REJECT_DUPLICATES, &je);
	if (!v)
		fail_msg("%s: %s", path, je.text);
	return v;
}

/* The object at @way ("cells", "0", "threads"): array members by their number. */
static inline json_t *result_at(json_t *v, const char *const *way)
{
	for (; *way; way++)
		v = json_is_array(v) ? json_array_get(v, (size_t)atoi(*way))
				     : json_object_get(v, *way);
	assert_non_null(v);
	return v;
}
#define RESULT_AT(v, ...) result_at(v, (const char *const[]){ __VA_ARGS__, NULL })

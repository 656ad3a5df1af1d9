/*
 * The kept results are read through the sysroot like any other fact, so that a captured machine's
 * runs can be listed too. A result that cannot be read is shown as that, not left out: it was a
 * run.
 */
#include <errno.h>

#include "measure/json_text.h"
#include "measure/run.h"

static json_t *unreadable(const char *id, const char *why)
{
	_cleanup_free_ char *sentence = NULL;

	if (asprintf(&sentence, "bad_json: its result.json cannot be read: %s", why) < 0) {
		sentence = NULL;
		return NULL;
	}
	return json_pack("{s:i, s:o, s:s, s:[s], s:o}", "version", RUN_RESULT_VERSION, "id",
			 json_text(id), "verdict", run_verdict_name(RUN_ERROR), "reasons",
			 run_reason_name(REASON_BAD_JSON), "sentence", json_text(sentence));
}

static json_t *read_result(const struct sysroot *root, const char *id)
{
	_cleanup_free_ char *path = NULL, *text = NULL;
	json_error_t je;
	size_t size;
	json_t *v;
	int r;

	if (asprintf(&path, RUNS_DIRECTORY "/%s/result.json", id) < 0) {
		path = NULL;
		return NULL;
	}
	r = sysroot_read(root, path, &text, &size);
	if (r == -ENOMEM)
		return NULL;
	if (r < 0)
		return unreadable(id, strerror(-r));
	v = json_loadb(text, size, JSON_REJECT_DUPLICATES, &je);
	if (!v)
		return unreadable(id, je.text);
	if (!json_is_object(v) || !json_is_string(json_object_get(v, "verdict"))) {
		json_decref(v);
		return unreadable(id, "it is not a result");
	}
	return v;
}

/* IDs begin with the time; "-2" of the same second sorts behind by strverscmp. */
static int compare_ids(const void *a, const void *b)
{
	return strverscmp(*(const char *const *)a, *(const char *const *)b);
}

int runs_list(const struct sysroot *root, struct json_t **ret, struct error *e)
{
	_cleanup_(arena_free) struct arena a = { 0 };
	char **names = NULL;
	size_t n = 0;
	json_t *list;
	int r;

	r = sysroot_list(root, &a, RUNS_DIRECTORY, &names, &n);
	if (r < 0 && r != -ENOENT)
		return error_set(e, r, "listing %s: %s", RUNS_DIRECTORY, strerror(-r));
	if (n)
		qsort(names, n, sizeof(*names), compare_ids);
	list = json_array();
	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		if (json_array_append_new(list, read_result(root, names[i])) < 0) {
			json_decref(list);
			return error_set(e, -ENOMEM, "listing %s: out of memory", RUNS_DIRECTORY);
		}
	}
	*ret = list;
	return 0;
}

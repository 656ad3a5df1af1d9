/*
 * The kept results are read through the sysroot like any other fact, so that a captured machine's
 * runs can be listed too. A result that cannot be read is shown as that, not left out: it was a
 * run.
 */
#include "measure/runs.h"

#include <errno.h>
#include <fcntl.h>

#include "measure/json_text.h"
#include "measure/run.h"

static json_t *unreadable(const char *id, const char *why)
{
	_cleanup_free_ char *sentence = NULL;

	if (asprintf(&sentence, "bad_json: its result.json cannot be read: %s", why) < 0) {
		sentence = NULL;
		return NULL;
	}
	return json_pack("{s:i, s:o, s:s, s:[{s:s, s:o}], s:o}", "version", RUN_RESULT_VERSION,
			 "id", json_text(id), "verdict", run_verdict_name(RUN_ERROR), "reasons",
			 "code", run_reason_name(REASON_BAD_JSON), "what", json_text(why),
			 "sentence", json_text(sentence));
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

/* The newest run's ID in @a; NULL: none is kept. */
static int newest(const struct sysroot *root, struct arena *a, const char **ret, struct error *e)
{
	char **names = NULL;
	size_t n = 0;
	int r = sysroot_list(root, a, RUNS_DIRECTORY, &names, &n);

	if (r < 0 && r != -ENOENT)
		return error_set(e, r, "listing %s: %s", RUNS_DIRECTORY, strerror(-r));
	if (n == 0) {
		error_set(e, -ENOENT, "no run is kept in %s", RUNS_DIRECTORY);
		error_todo(e, "latencyctl measure");
		return -ENOENT;
	}
	qsort(names, n, sizeof(*names), compare_ids);
	*ret = names[n - 1];
	return 0;
}

static int load_result(const struct sysroot *root, const char *id, json_t **ret, struct error *e)
{
	_cleanup_free_ char *path = NULL, *text = NULL;
	json_error_t je;
	size_t size;
	int r;

	if (asprintf(&path, RUNS_DIRECTORY "/%s/result.json", id) < 0) {
		path = NULL;
		return error_set(e, -ENOMEM, "reading the run %s: out of memory", id);
	}
	r = sysroot_read(root, path, &text, &size);
	if (r < 0) {
		error_set(e, r, "reading %s: %s", path, strerror(-r));
		error_todo(e, "latencyctl runs lists the kept runs");
		return r;
	}
	*ret = json_loadb(text, size, JSON_REJECT_DUPLICATES, &je);
	return *ret ? 0
		    : error_set(e, -EBADMSG, "reading %s: it is not JSON: %s, line %d", path,
				je.text, je.line);
}

int runs_find(const struct sysroot *root, const char *id, char **ret_id, struct json_t **ret,
	      struct error *e)
{
	_cleanup_(arena_free) struct arena a = { 0 };
	_cleanup_free_ char *found = NULL;
	int r;

	if (!id || streq(id, "latest")) {
		r = newest(root, &a, &id, e);
		if (r < 0)
			return r;
	}
	if (!*id || *id == '.' || strchr(id, '/')) {
		error_set(e, -EINVAL, "\"%s\" is not the ID of a run", id);
		error_todo(e, "latencyctl runs lists the kept runs");
		return -EINVAL;
	}
	found = strdup(id);
	if (!found)
		return error_set(e, -ENOMEM, "reading the run %s: out of memory", id);
	r = load_result(root, id, ret, e);
	if (r == 0)
		*ret_id = take_ptr(found);
	return r;
}

char *runs_path(const char *id)
{
	char *path;

	return asprintf(&path, RUNS_DIRECTORY "/%s", id) < 0 ? NULL : path;
}

int runs_open(const struct sysroot *root, const char *id, struct error *e)
{
	_cleanup_free_ char *path = runs_path(id);
	int fd;

	if (!path)
		return error_set(e, -ENOMEM, "opening the run %s: out of memory", id);
	fd = sysroot_openat(root, path, O_RDONLY | O_DIRECTORY);
	return fd < 0 ? error_set(e, fd, "opening %s: %s", path, strerror(-fd)) : fd;
}

/*
 * Two writers are the same when the program is the same, not the process: a shell loop is a new
 * process each time, and so is a service that was restarted.
 */
#include "state/writer.h"

#include <errno.h>
#include <stdint.h>

#include <jansson.h>

#include "state/base.h"
#include "state/error.h"

void writer_done(struct writer *w)
{
	if (!w)
		return;
	free(w->comm);
	free(w->exe);
	free(w->unit);
	free(w->container);
	*w = (struct writer){ .uid = -1 };
}

static int copy_text(const char *from, char **to)
{
	*to = from ? strdup(from) : NULL;
	return from && !*to ? -ENOMEM : 0;
}

int writer_copy(const struct writer *w, struct writer *ret)
{
	_cleanup_writer_ struct writer copy = {
		.pid = w->pid,
		.uid = w->uid,
		.gone = w->gone,
		.own = w->own,
	};

	if (copy_text(w->comm, &copy.comm) < 0 || copy_text(w->exe, &copy.exe) < 0 ||
	    copy_text(w->unit, &copy.unit) < 0 || copy_text(w->container, &copy.container) < 0)
		return -ENOMEM;
	*ret = copy;
	copy = (struct writer){ 0 };
	return 0;
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? streq(a, b) : a == b;
}

bool writer_same(const struct writer *a, const struct writer *b)
{
	if (a->gone || b->gone || !(a->exe || a->comm) || !(b->exe || b->comm))
		return false;
	if (!same_text(a->container, b->container) || !same_text(a->unit, b->unit))
		return false;
	return a->exe || b->exe ? same_text(a->exe, b->exe) : streq(a->comm, b->comm);
}

static uint64_t add_to_hash(uint64_t hash, char kind, const char *text)
{
	hash = (hash ^ (unsigned char)kind) * 1099511628211ULL;
	for (; text && *text; text++)
		hash = (hash ^ (unsigned char)*text) * 1099511628211ULL;
	return hash;
}

uint64_t writer_program(const struct writer *w)
{
	uint64_t hash = 14695981039346656037ULL; /* FNV-1a */

	if (w->gone || !(w->exe || w->comm))
		return 0;
	hash = add_to_hash(hash, 'm', w->container);
	hash = add_to_hash(hash, 'u', w->unit);
	hash = w->exe ? add_to_hash(hash, 'e', w->exe) : add_to_hash(hash, 'c', w->comm);
	return hash ? hash : 1;
}

char *writer_text(struct arena *a, const struct writer *w)
{
	const char *where = w->container ? w->container : w->unit;
	const char *name = w->comm ? w->comm : w->exe;

	if (w->pid <= 0)
		return arena_strdup(a, "a process outside of this PID namespace");
	if (w->gone)
		return arena_printf(a, "pid %d, which exited before it could be named", w->pid);
	if (w->container)
		return arena_printf(a, "%s (pid %d, container %.12s)", name ? name : "?", w->pid,
				    w->container);
	return arena_printf(a, "%s (pid %d%s%s)", name ? name : "?", w->pid, where ? ", " : "",
			    where ? where : "");
}

/* ---- JSON ---- */

static json_t *text_or_null(const char *s)
{
	json_t *text = s ? json_string(s) : json_null();

	return text ? text : json_string("?"); /* not UTF-8 */
}

json_t *writer_to_json(const struct writer *w)
{
	return json_pack("{s:i, s:I, s:o, s:o, s:o, s:o, s:b}", "pid", w->pid, "uid",
			 (json_int_t)w->uid, "comm", text_or_null(w->comm), "exe",
			 text_or_null(w->exe), "unit", text_or_null(w->unit), "container",
			 text_or_null(w->container), "gone", (int)w->gone);
}

static int read_text(const json_t *object, const char *key, char **ret)
{
	int r = copy_text(json_string_value(json_object_get(object, key)), ret);

	if (r >= 0 && *ret)
		text_defuse(*ret);
	return r;
}

int writer_from_json(const json_t *object, struct writer *ret)
{
	_cleanup_writer_ struct writer w = { .uid = -1 };
	const json_t *uid = json_object_get(object, "uid");
	json_int_t pid = json_integer_value(json_object_get(object, "pid"));

	if (!json_is_object(object))
		return -EINVAL;
	w.pid = pid > 0 && pid <= INT32_MAX ? (int)pid : 0;
	if (json_is_integer(uid))
		w.uid = json_integer_value(uid);
	w.gone = json_is_true(json_object_get(object, "gone"));
	if (read_text(object, "comm", &w.comm) < 0 || read_text(object, "exe", &w.exe) < 0 ||
	    read_text(object, "unit", &w.unit) < 0 ||
	    read_text(object, "container", &w.container) < 0)
		return -ENOMEM;
	*ret = w;
	w = (struct writer){ 0 };
	return 0;
}

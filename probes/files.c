/*
 * The files that the settings' rows name. A `*` in a row's path stands for a number, so it is
 * resolved against the folder's listing, component by component. What a listing cannot answer is
 * a fact as well, under the path as far as it was resolved: absent when nothing is there.
 *
 * A path that ends in "/" asks for the folder itself: known with an empty text, or absent.
 */
#include "probes/probe.h"

#include <errno.h>

#include "state/settings.h"

/* desired_resolve() proposes `isolated: auto` from these. */
#define SIBLINGS "/sys/devices/system/cpu/cpu*/topology/thread_siblings_list"

struct pattern_list {
	const char **items;
	size_t n;
};

static int add_pattern(struct arena *a, struct pattern_list *list, const char *pattern)
{
	const char **slot;

	for (size_t i = 0; i < list->n; i++)
		if (streq(list->items[i], pattern))
			return 0;
	slot = arena_grow(a, &list->items, &list->n, sizeof(*slot));
	if (!slot)
		return -ENOMEM;
	*slot = pattern;
	return 0;
}

static int add_setting(struct arena *a, struct pattern_list *list, const struct setting *s)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && s->files && s->files[i]; i++)
		r = add_pattern(a, list, s->files[i]);
	for (size_t i = 0; r >= 0 && s->knobs && s->knobs[i].path; i++)
		r = add_pattern(a, list, s->knobs[i].path);
	return r;
}

static int add_fact(struct observed *o, struct fact f)
{
	struct fact *slot;

	if (fact_check(&f) < 0)
		return -ENOMEM;
	slot = arena_grow(&o->arena, &o->files, &o->n_files, sizeof(*slot));
	if (!slot)
		return -ENOMEM;
	*slot = f;
	return 0;
}

static int add_plain(const struct sysroot *root, struct observed *o, const char *path)
{
	int r;

	if (path[strlen(path) - 1] != '/')
		return add_fact(o, sysroot_fact(root, &o->arena, path));
	r = sysroot_exists(root, path);
	return add_fact(o, sysroot_outcome(&o->arena, path, r == 0 ? -ENOENT : r, ""));
}

/* The path component around a pattern's first `*`: FOLDER/PREFIX*SUFFIX REST. */
struct split {
	char *folder, *prefix, *suffix;
	const char *rest; /* with its slash, or "" */
};

static int split_pattern(struct arena *a, const char *pattern, struct split *ret)
{
	const char *star = strchr(pattern, '*');
	const char *begin = star, *end = star + strcspn(star, "/");

	while (begin > pattern && begin[-1] != '/')
		begin--;
	*ret = (struct split){
		.folder = arena_strndup(a, pattern, (size_t)(begin - pattern)),
		.prefix = arena_strndup(a, begin, (size_t)(star - begin)),
		.suffix = arena_strndup(a, star + 1, (size_t)(end - star - 1)),
		.rest = end,
	};
	return ret->folder && ret->prefix && ret->suffix ? 0 : -ENOMEM;
}

/* Patterns have one or two stars (cpuN/cpuidle/stateM): the recursion is as deep as that. */
static int add_pattern_files(const struct sysroot *root, struct observed *o, const char *pattern)
{
	_cleanup_free_ unsigned *numbers = NULL;
	struct split s;
	size_t n = 0;
	int r;

	if (!strchr(pattern, '*'))
		return add_plain(root, o, pattern);
	r = split_pattern(&o->arena, pattern, &s);
	if (r < 0)
		return r;
	r = sysroot_numbers(root, s.folder, s.prefix, s.suffix, &numbers, &n);
	if (r < 0 || n == 0)
		return add_fact(o, sysroot_outcome(&o->arena, pattern, r < 0 ? r : -ENOENT, NULL));
	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *path = NULL;

		if (asprintf(&path, "%s%s%u%s%s", s.folder, s.prefix, numbers[i], s.suffix,
			     s.rest) < 0) {
			path = NULL;
			return -ENOMEM;
		}
		if (*s.rest && root->recorder) {
			size_t item = strlen(path) - strlen(s.rest);

			path[item] = '\0';
			sysroot_saw_folder(root, path);
			path[item] = '/';
		}
		r = add_pattern_files(root, o, path);
		if (r < 0)
			return r;
	}
	return 0;
}

static int compare_path(const void *a, const void *b)
{
	return strcmp(((const struct fact *)a)->path, ((const struct fact *)b)->path);
}

/* A path that two patterns name is kept once. */
static void sort_files(struct observed *o)
{
	size_t kept = 0;

	if (o->n_files == 0)
		return;
	qsort(o->files, o->n_files, sizeof(*o->files), compare_path);
	for (size_t i = 0; i < o->n_files; i++)
		if (i == 0 || !streq(o->files[kept - 1].path, o->files[i].path))
			o->files[kept++] = o->files[i];
	o->n_files = kept;
}

int probe_files(const struct sysroot *root, const struct desired *d, struct observed *o)
{
	struct pattern_list list = { 0 };
	int r = 0;

	for (size_t i = 0; r >= 0 && i < n_settings; i++)
		if (!d || d->values[i])
			r = add_setting(&o->arena, &list, settings[i]);
	if (r >= 0 && (!d || d->isolated_auto))
		r = add_pattern(&o->arena, &list, SIBLINGS);
	for (size_t i = 0; r >= 0 && i < list.n; i++)
		r = add_pattern_files(root, o, list.items[i]);
	sort_files(o);
	return r;
}

/*
 * The files that grub-mkconfig sources: /etc/default/grub, then the .cfg files of
 * /etc/default/grub.d in the order of the C locale. They are shell, which is not run here: only
 * plain assignments at the beginning of a line are looked at, and only to name the file that is in
 * the way.
 */
#include "actuators/grub_sources.h"

#include <errno.h>

#include "actuators/root.h"

struct grub_sources {
	char **paths;
	size_t n_paths;
};

#define MAIN_FILE "/etc/default/grub"
#define FOLDER	  "/etc/default/grub.d"

static int add_path(struct grub_sources *s, char *path)
{
	char **more = path ? realloc(s->paths, (s->n_paths + 1) * sizeof(*more)) : NULL;

	if (!more) {
		free(path);
		return -ENOMEM;
	}
	s->paths = more;
	s->paths[s->n_paths++] = path;
	return 0;
}

static int add_name(const char *name, void *userdata)
{
	size_t n = strlen(name);
	char *path;

	if (n < 4 || !streq(name + n - 4, ".cfg"))
		return 0;
	return add_path(userdata, asprintf(&path, FOLDER "/%s", name) < 0 ? NULL : path);
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void grub_sources_done(struct grub_sources *s)
{
	for (size_t i = 0; i < s->n_paths; i++)
		free(s->paths[i]);
	free(s->paths);
	*s = (struct grub_sources){ 0 };
}

static int grub_sources_list(struct grub_sources *ret)
{
	_cleanup_(grub_sources_done) struct grub_sources s = { 0 };
	int r = add_path(&s, strdup(MAIN_FILE));

	if (r == 0)
		r = root_each(FOLDER, add_name, &s);
	if (r < 0 && r != -ENOENT)
		return r;
	qsort(s.paths + 1, s.n_paths - 1, sizeof(*s.paths), compare);
	*ret = s;
	s = (struct grub_sources){ 0 };
	return 0;
}

/* The value part of `VARIABLE=...` or `VARIABLE+=...` (*ret_adds) at the line, or NULL. */
static const char *assignment(const char *line, const char *variable, bool *ret_adds)
{
	const char *at;

	line += strspn(line, " \t");
	at = after_prefix(line, "export ");
	at = after_prefix(at ? at : line, variable);
	if (!at)
		return NULL;
	*ret_adds = *at == '+';
	at += *ret_adds;
	return *at == '=' ? at + 1 : NULL;
}

static bool refers_to(const char *value, size_t n, const char *variable)
{
	size_t k = strlen(variable);

	for (const char *p = value; (p = memchr(p, '$', n - (size_t)(p - value))); p++) {
		const char *name = p + 1 + (p[1] == '{');

		if ((size_t)(name - value) + k <= n && strncmp(name, variable, k) == 0 &&
		    name[k] != '_')
			return true;
	}
	return false;
}

static bool text_replaces(const char *text, const char *variable)
{
	bool replaced = false;

	for (const char *line = text; line; line = strchr(line, '\n')) {
		const char *value;
		bool adds;

		line += *line == '\n';
		value = assignment(line, variable, &adds);
		if (value && !adds && !refers_to(value, strcspn(value, "\n"), variable))
			replaced = true;
	}
	return replaced;
}

static bool is_word(const char *at, const char *text, size_t n)
{
	return (at == text || strchr(" \t\"'=", at[-1])) && strchr(" \t\"'=\n", at[n]);
}

static bool text_has_key(const char *text, const char *key)
{
	size_t n = strlen(key);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		size_t size;

		line += *line == '\n';
		size = strcspn(line, "\n");
		if (!after_prefix(line + strspn(line, " \t"), "GRUB_CMDLINE_LINUX"))
			continue;
		for (const char *p = line; (p = strstr(p, key)) && p < line + size; p++)
			if (is_word(p, line, n))
				return true;
	}
	return false;
}

int grub_source_after(const char *path, const char *variable, char **ret)
{
	_cleanup_(grub_sources_done) struct grub_sources s = { 0 };
	int r = grub_sources_list(&s);

	for (size_t i = 0; r >= 0 && i < s.n_paths; i++) {
		_cleanup_free_ char *text = NULL;

		if (i == 0 || strcmp(s.paths[i], path) <= 0 ||
		    root_read(s.paths[i], &text, NULL) < 0 || !text_replaces(text, variable))
			continue;
		*ret = take_ptr(s.paths[i]);
		return 1;
	}
	return r < 0 ? r : 0;
}

int grub_source_with_key(const char *except, const char *key, char **ret)
{
	_cleanup_(grub_sources_done) struct grub_sources s = { 0 };
	int r = grub_sources_list(&s);

	for (size_t i = 0; r >= 0 && i < s.n_paths; i++) {
		_cleanup_free_ char *text = NULL;

		if (streq(s.paths[i], except) || root_read(s.paths[i], &text, NULL) < 0 ||
		    !text_has_key(text, key))
			continue;
		*ret = take_ptr(s.paths[i]);
		return 1;
	}
	return r < 0 ? r : 0;
}

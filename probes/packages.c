/*
 * Is a package installed, from dpkg's own status file (man 5 deb-control, dpkg-query(1)): the third
 * word of its Status says so; the first word is only what somebody wants to happen to it.
 */
#include "probes/probe.h"

#include <errno.h>

#define DPKG_STATUS "/var/lib/dpkg/status"

struct paragraph {
	const char *begin;
	size_t size; /* without the blank line */
};

static bool next_paragraph(const char **text, struct paragraph *ret)
{
	const char *p = *text + strspn(*text, "\n"), *end;

	if (!*p)
		return false;
	end = strstr(p, "\n\n");
	*ret = (struct paragraph){ .begin = p, .size = end ? (size_t)(end - p) : strlen(p) };
	*text = p + ret->size;
	return true;
}

/* The value of "FIELD: value" in the paragraph, not terminated; NULL without it. */
static const char *field(const struct paragraph *p, const char *name, size_t *ret_size)
{
	const char *line = p->begin, *end = p->begin + p->size;
	size_t n = strlen(name);

	while (line < end) {
		const char *next = memchr(line, '\n', (size_t)(end - line));
		size_t size = (size_t)((next ? next : end) - line);

		if (size > n && line[n] == ':' && memcmp(line, name, n) == 0) {
			const char *value = line + n + 1;

			while (value < line + size && *value == ' ')
				value++;
			*ret_size = (size_t)(line + size - value);
			return value;
		}
		line += size + 1;
	}
	return NULL;
}

static bool field_is(const struct paragraph *p, const char *name, const char *value)
{
	size_t size;
	const char *v = field(p, name, &size);

	return v && size == strlen(value) && memcmp(v, value, size) == 0;
}

static bool is_installed(const struct paragraph *p)
{
	size_t size;
	const char *v = field(p, "Status", &size);
	const size_t n = strlen(" installed");

	return v && size > n && memcmp(v + size - n, " installed", n) == 0;
}

/* What a capture keeps of dpkg's list: kernel packages, each with three fields. */
static int record_kernels(const struct sysroot *root, const char *text)
{
	static const char *const kept[] = { "Package", "Status", "Version" };
	_cleanup_free_ char *out = NULL;
	_cleanup_fclose_ FILE *f = NULL;
	struct paragraph p;
	size_t out_size;

	f = open_memstream(&out, &out_size);
	if (!f)
		return -ENOMEM;
	while (next_paragraph(&text, &p)) {
		size_t size;
		const char *name = field(&p, "Package", &size);

		if (!name || !after_prefix(name, "linux-image"))
			continue;
		for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
			const char *value = field(&p, kept[i], &size);

			if (value)
				fprintf(f, "%s: %.*s\n", kept[i], (int)size, value);
		}
		fputc('\n', f);
	}
	if (fflush(f) != 0)
		return -ENOMEM;
	sysroot_saw_file(root, DPKG_STATUS, out, out_size);
	return 0;
}

static int find_package(struct observed *o, const char *text, const char *package)
{
	struct paragraph p;

	while (next_paragraph(&text, &p)) {
		const char *version;
		size_t size;

		if (!field_is(&p, "Package", package) || !is_installed(&p))
			continue;
		version = field(&p, "Version", &size);
		o->package = sysroot_outcome(&o->arena, DPKG_STATUS, 0, "");
		o->package.text =
			arena_strndup(&o->arena, version ? version : "", version ? size : 0);
		return o->package.text ? fact_check(&o->package) : -ENOMEM;
	}
	o->package = sysroot_outcome(&o->arena, DPKG_STATUS, -ENOENT, NULL);
	return fact_check(&o->package);
}

int probe_package(const struct sysroot *root, const char *package, struct observed *o)
{
	struct sysroot quiet = sysroot_unrecorded(root);
	_cleanup_free_ char *text = NULL;
	int r;

	if (!package && !root->recorder)
		return 0;
	r = sysroot_read(&quiet, DPKG_STATUS, &text, NULL);
	if (r >= 0 && root->recorder)
		r = record_kernels(root, text);
	if (!package)
		return r == -ENOMEM ? r : 0;
	if (r >= 0)
		return find_package(o, text, package);
	o->package = sysroot_outcome(&o->arena, DPKG_STATUS, r, NULL);
	return fact_check(&o->package);
}

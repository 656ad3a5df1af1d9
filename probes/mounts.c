/*
 * hugetlbfs mounts of /proc/self/mounts (man 5 fstab for the escapes, Documentation/admin-guide/mm/
 * hugetlbpage.rst for pagesize=). The kernel prints pagesize= always since 4.x ("2M", "1024M"); a
 * mount without it has the default size.
 */
#include "probes/probe.h"

#include <errno.h>

#include "state/cmdline.h"

#define MOUNTS "/proc/self/mounts"

static bool is_octal(char c)
{
	return c >= '0' && c <= '7';
}

/* "\040" and its like, as the kernel writes blanks, tabs, newlines, backslashes and #. In place. */
static void unescape(char *s)
{
	char *out = s;

	while (*s) {
		if (s[0] == '\\' && is_octal(s[1]) && is_octal(s[2]) && is_octal(s[3])) {
			*out++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 4;
		} else {
			*out++ = *s++;
		}
	}
	*out = '\0';
}

/* The value of pagesize= among comma-separated options, in KiB; 0 without it. */
static int parse_page_size(char *options, uint64_t *ret)
{
	char *option;

	*ret = 0;
	while ((option = strsep(&options, ","))) {
		const char *value = after_prefix(option, "pagesize=");

		if (value && parse_size_kib(value, ret) < 0)
			return -EBADMSG;
	}
	return 0;
}

/* 1 when the line is a hugetlbfs mount and was added. The line is cut up. */
static int add_mount(struct observed *o, char *line)
{
	struct observed_mount *mount;
	char *fields[4];
	uint64_t size;
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		fields[i] = strsep(&line, " ");
		if (!fields[i])
			return -EBADMSG;
	}
	if (!streq(fields[2], "hugetlbfs"))
		return 0;
	r = parse_page_size(fields[3], &size);
	if (r < 0)
		return r;
	unescape(fields[1]);
	mount = arena_grow(&o->arena, &o->mounts, &o->n_mounts, sizeof(*mount));
	if (!mount)
		return -ENOMEM;
	mount->target = arena_strdup(&o->arena, fields[1]);
	mount->page_size_kib = size;
	return mount->target ? 1 : -ENOMEM;
}

/* A capture gets the hugetlbfs lines only: other mounts' options may hold secrets. */
static int parse_mounts(struct observed *o, char *text, char *kept)
{
	char *line;

	while ((line = strsep(&text, "\n"))) {
		char *end;
		int r;

		if (!*line)
			continue;
		end = stpcpy(kept, line);
		r = add_mount(o, line);
		if (r < 0)
			return r;
		if (r > 0) {
			*end++ = '\n';
			kept = end;
		}
	}
	*kept = '\0';
	return 0;
}

int probe_mounts(const struct sysroot *root, struct observed *o)
{
	struct sysroot quiet = sysroot_unrecorded(root);
	_cleanup_free_ char *text = NULL, *kept = NULL;
	size_t size;
	int r;

	r = sysroot_read(&quiet, MOUNTS, &text, &size);
	if (r >= 0) {
		kept = malloc(size + 2);
		if (!kept)
			return -ENOMEM;
		r = parse_mounts(o, text, kept);
		if (r >= 0)
			sysroot_saw_file(root, MOUNTS, kept, strlen(kept));
	}
	o->mounts_fact = sysroot_outcome(&o->arena, MOUNTS, r, "");
	return fact_check(&o->mounts_fact);
}

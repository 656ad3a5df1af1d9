/*
 * What GRUB makes of its environment block and of a menu: the next boot's entry is found level by
 * level as grub-core/normal/menu.c does it (get_entry_number, grub_menu_execute_entry).
 *
 * Invariant of the walk: `items[i].parent < i`, so that it goes down and ends.
 */
#include "state/grub.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>

#define SIGNATURE "# GRUB Environment Block\n"

/* The value that begins at @p ends at a newline not escaped by `\`. */
static char *copy_value(const char *p)
{
	char *value = malloc(strlen(p) + 1), *out = value;

	if (!value)
		return NULL;
	while (*p && *p != '\n') {
		if (*p == '\\' && p[1])
			p++;
		*out++ = *p++;
	}
	*out = '\0';
	return value;
}

static const char *next_line(const char *p)
{
	while (*p && *p != '\n')
		p += *p == '\\' && p[1] ? 2 : 1;
	return *p ? p + 1 : p;
}

char *grubenv_get(const char *grubenv, const char *name)
{
	const char *found = NULL, *p = after_prefix(grubenv, SIGNATURE);

	for (; p && *p; p = next_line(p)) {
		const char *value = *p == '#' ? NULL : after_prefix(p, name);

		if (value && *value == '=')
			found = value + 1;
	}
	return found ? copy_value(found) : NULL;
}

/* Is @name what the first part of @spec says? There, `>>` is a `>` and `>` ends the part. */
static bool part_equal(const char *name, const char *spec)
{
	for (;; name++, spec++) {
		if (*spec == '>' && spec[1] != '>')
			return *name == '\0';
		if (*spec == '>')
			spec++;
		if (*name != *spec)
			return false;
		if (*name == '\0')
			return true;
	}
}

/* What follows the first part, or NULL. */
static const char *after_part(const char *spec)
{
	for (; *spec; spec++) {
		if (*spec != '>')
			continue;
		if (spec[1] != '>')
			return spec[1] ? spec + 1 : NULL;
		spec++;
	}
	return NULL;
}

/* A spec that begins as a number is a number, whatever follows: GRUB asks strtoul() first. */
static bool is_number(const char *spec, unsigned long *ret)
{
	while (isspace((unsigned char)*spec))
		spec++;
	if (!isdigit((unsigned char)*spec))
		return false;
	errno = 0;
	*ret = strtoul(spec, NULL, 0);
	if (errno || *ret > INT_MAX)
		*ret = INT_MAX;
	return true;
}

/* The item of the menu @parent that @spec names (NULL: nothing), else its first, else NULL. */
static const struct grub_item *find_item(const struct grub_config *c, size_t parent,
					 const char *spec)
{
	const struct grub_item *first = NULL;
	unsigned long number = 0, position = 0;
	bool by_number = spec && is_number(spec, &number);

	for (size_t i = 0; i < c->n_items; i++) {
		const struct grub_item *item = &c->items[i];

		if (item->parent != parent)
			continue;
		if (!first)
			first = item;
		if (by_number
			    ? position == number
			    : spec && (part_equal(item->title, spec) || part_equal(item->id, spec)))
			return item;
		position++;
	}
	return first;
}

static const struct grub_entry *find_entry(const struct grub_config *c, const char *spec)
{
	size_t menu = GRUB_TOP;

	for (;;) {
		const struct grub_item *item = find_item(c, menu, spec);

		if (!item)
			return &c->entries[0]; /* an empty submenu: GRUB shows the menu again */
		if (item->entry != GRUB_SUBMENU)
			return &c->entries[item->entry];
		menu = (size_t)(item - c->items);
		spec = spec ? after_part(spec) : NULL;
	}
}

const struct grub_entry *grub_next_entry(const struct grub_config *c, const char *grubenv)
{
	_cleanup_free_ char *next = grubenv ? grubenv_get(grubenv, "next_entry") : NULL;
	_cleanup_free_ char *saved = NULL;
	const char *spec = c->default_entry;

	if (c->n_entries == 0)
		return NULL;
	if (grubenv && c->default_is_saved)
		saved = grubenv_get(grubenv, "saved_entry");
	if (next && *next)
		spec = next;
	else if (saved && *saved)
		spec = saved;
	return find_entry(c, spec);
}

const char *grub_kernel_version(const char *kernel)
{
	static const char *const names[] = { "vmlinuz-", "vmlinux-" };
	const char *slash = strrchr(kernel, '/');
	const char *base = slash ? slash + 1 : kernel;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *version = after_prefix(base, names[i]);

		if (version && *version)
			return version;
	}
	return NULL;
}

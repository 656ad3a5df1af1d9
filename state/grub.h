#pragma once
/*
 * grub.cfg as GRUB reads it, as far as Debian's and Fedora's grub-mkconfig write it: the default
 * entry, entries with their ids inside submenus, and the rendered `linux` lines. Rules: GRUB manual
 * ("Writing your own scripts", "default", "The GRUB environment block"), util/grub.d/00_header.in,
 * 10_linux.in.
 */
#include <stdint.h>

#include "state/arena.h"

struct grub_entry {
	const char *id; /* own id (--id or $menuentry_id_option), or the title without one */
	const char *title;
	const char *path;    /* "submenu-id>id", or the id alone at top level; a `>` of an id is
			      * doubled */
	const char *index;   /* "1>2": positions, as GRUB_DEFAULT may use them */
	const char *kernel;  /* "/boot/vmlinuz-6.1.0-56-rt-amd64"; NULL without a linux line */
	const char *cmdline; /* what follows the kernel on the linux line, GRUB's quoting undone; a
			      * variable whose value cannot be told is "${name}" */
	bool recovery;	     /* its arguments contain `single` or `recovery` */
};

/* One line of a menu: a submenu or an entry. */
struct grub_item {
	const char *id; /* the title without one */
	const char *title;
	size_t parent; /* items[] of the submenu that holds it, or GRUB_TOP */
	size_t entry;  /* entries[], or GRUB_SUBMENU */
};
#define GRUB_TOP     SIZE_MAX
#define GRUB_SUBMENU SIZE_MAX

struct grub_config {
	struct arena arena;
	struct grub_entry *entries; /* in order of appearance, submenus flattened */
	size_t n_entries;
	struct grub_item *items; /* submenus and entries, in order of appearance */
	size_t n_items;
	const char *default_entry; /* text given to `set default=` in the branch without next_entry;
				    * "${saved_entry}" if that is all */
	bool default_is_saved;	   /* `set default="${saved_entry}"`; default_entry is then for an
				    * environment without saved_entry */
};

#define _cleanup_grub_ _cleanup_(grub_config_done)

void grub_config_done(struct grub_config *c);

/* -EINVAL with *e for text that has no menu entry, unbalanced blocks or quotes, or that takes its
 * entries from BLS files (`blscfg`); -ENOMEM. Files it sources are not seen, and entries inside
 * `if` are taken as there. */
struct error;
int grub_config_parse(const char *text, struct grub_config *ret, struct error *e);

/*
 * The entry that the next boot takes, given grubenv's text (NULL: none): next_entry wins, then
 * saved_entry where the default is the saved one, then the default; by path, id, title, or index;
 * the first entry when the name matches nothing (GRUB does so too). NULL only without entries.
 */
const struct grub_entry *grub_next_entry(const struct grub_config *c, const char *grubenv);

/* The value of a variable in a grubenv block (malloc()ed), or NULL: not set, out of memory, or no
 * block that GRUB would load (its first line is missing). */
char *grubenv_get(const char *grubenv, const char *name);

/* "6.1.0-56-rt-amd64" from "/boot/vmlinuz-6.1.0-56-rt-amd64" (or /vmlinuz-...); NULL if it is not
 * of that form. Points into @kernel. */
const char *grub_kernel_version(const char *kernel);

#pragma once
/*
 * The next boot's entry against what the settings want in it. One owner per key: a key that the
 * administrator's own GRUB files set is never doubled; equal, it satisfies; different, it is a
 * conflict that names the file.
 */
#include "state/cmdline.h"
#include "state/plan.h"

struct boot_view {
	bool known;	     /* the next boot's arguments could be read */
	struct cmdline next; /* them */
	struct cmdline ours; /* the arguments of our drop-in; empty without one */
	const char
		*ours_default; /* its GRUB_DEFAULT, or NULL; lives in the observed arena's text */
	struct arena arena;
};

enum boot_key {
	BOOT_KEY_OK,	   /* the next boot has exactly what is wanted */
	BOOT_KEY_MISSING,  /* it has not, and we may set it */
	BOOT_KEY_CONFLICT, /* it has another value, from a file that is not ours */
};

#define _cleanup_boot_view_ _cleanup_(boot_view_done)
void boot_view_done(struct boot_view *view);
/* -ENOMEM only; what does not parse leaves view->known false. */
int boot_view_init(const struct observed *o, struct boot_view *ret);

/* How @key of the intent stands. *ret_source (may be NULL): the foreign file that sets it, or NULL.
 */
enum boot_key boot_key_state(const struct boot_view *view, const struct boot_intent *b,
			     const struct observed *o, const char *key, const char **ret_source);

/* The file among GRUB's sources (not our drop-in) that sets @key in a GRUB_CMDLINE_LINUX*
 * variable, or NULL. Comments do not count. */
const char *boot_foreign_source(const struct observed *o, const char *key);

/* Would booting the next entry change anything of @b's keys: another kernel, or arguments that the
 * running one was not booted with? 1, 0 (it would not), -ENODATA (cannot tell) or -ENOMEM. */
int boot_would_change(const struct boot_view *view, const struct boot_intent *b,
		      const struct observed *o);
/* Was the running kernel booted with all of @b's arguments? 1, 0, -ENODATA or -ENOMEM. */
int boot_runs_all(const struct boot_intent *b, const struct observed *o);

/* "key=a key=b" of every argument of @key, "" when there is none; NULL when out of memory. */
const char *boot_key_text(struct arena *a, const struct cmdline_arg *args, size_t n_args,
			  const char *key);

/* Is this the first argument of its key in the intent? For walking keys once. */
bool boot_first_of_key(const struct boot_intent *b, size_t i);

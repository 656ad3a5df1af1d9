#pragma once
/* GRUB's files as Debian sets them up: our drop-in, update-grub, and the grub.cfg it renders. */
#include "actuators/originals.h"
#include "state/grub.h"
#include "state/plan.h"

/* Keeps our drop-in and the rendered grub.cfg as they are now, before whoever touches them. */
int grub_keep_originals(struct originals *o, struct error *e);

/* malloc()ed text of the drop-in, NULL when there is none. */
int grub_read_drop_in(char **ret, struct error *e);
/* NULL removes it. Written only when it differs: 1, else 0. */
int grub_write_drop_in(const char *text, struct error *e);

/* Renders grub.cfg anew: 10 to 30 s on a slow machine. */
int grub_update(struct error *e);

/* Path of the rendered file, "/boot/grub/grub.cfg". */
const char *grub_config_path(void);
int grub_load(struct grub_config *ret, struct error *e);
/* The entry that the next boot takes; it lives as long as @c. NULL with *e when there is none. */
const struct grub_entry *grub_next(const struct grub_config *c, struct error *e);
/* The path of the normal entry of that kernel version, or NULL; lives as long as @c. */
const char *grub_entry_of_kernel(const struct grub_config *c, const char *version);

/*
 * Does the rendered next entry have each of the intent's arguments exactly as often as intended
 * and with an equal value, and is it the default that is intended? -EPROTO with *e naming the key
 * and the file in the way; *ret_key (may be NULL) is that key, of the intent, or NULL when it is
 * the entry.
 */
int grub_check(const struct boot_intent *b, const char **ret_key, struct error *e);

/*
 * Would a file that is sourced after our drop-in throw away what it sets? -EEXIST with *e naming
 * it. Known before anything is written.
 */
int grub_check_sources(const struct boot_intent *b, struct error *e);

/* Do two rendered files have the same entries, kernels, arguments and default? */
bool grub_same_meaning(const char *a, const char *b);

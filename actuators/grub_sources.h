#pragma once
/* Who else sets something in the files that grub-mkconfig sources. */
#include "state/error.h"

/*
 * The first file sourced after the drop-in @path that assigns @variable without referring to its
 * old value, and so throws away what the drop-in put into it. 1 with *ret malloc()ed, 0: none.
 */
int grub_source_after(const char *path, const char *variable, char **ret);

/* The first file but @except that has @key in a GRUB_CMDLINE_LINUX* assignment. As above. */
int grub_source_with_key(const char *except, const char *key, char **ret);

#pragma once
/*
 * The variables of a grub.cfg whose values are certain: set outside of any condition. TuneD, for
 * one, keeps boot arguments in one and adds "$tuned_params" to each linux line. Used by grub.c
 * only.
 */
#include "state/grub_lexer.h"

struct grub_variable {
	const char *name;
	const char *value; /* NULL: not certain */
};

struct grub_variables {
	struct grub_variable *items;
	size_t n_items;
};

/* Remembers an assignment "NAME=VALUE" (no other text does anything); what it is when it is not
 * @certain cannot be told any more. @text must live as long as @a. -ENOMEM. */
int grub_variables_assign(struct grub_variables *v, struct arena *a, const char *text,
			  bool certain);

/*
 * @words with the certain variables filled in; outside of quotes, blanks in a value part words.
 * "${name}" stays where the value is not certain. -E2BIG for more text than a kernel takes,
 * -ENOMEM.
 */
int grub_variables_expand(const struct grub_variables *v, struct arena *a,
			  const struct grub_word *words, size_t n_words, struct grub_word **ret,
			  size_t *ret_n);

#pragma once
/*
 * GRUB's script language cut into commands. Rules: GRUB manual ("Shell-like scripting"),
 * grub-core/script/yylex.l. Used by grub.c only.
 */
#include "state/arena.h"

struct grub_word {
	char *text;  /* quoting undone; a variable is "${name}" however it was written */
	bool quoted; /* some of it was: it is no reserved word */
};

/* What ended a command. */
enum grub_end {
	GRUB_END_LINE,	/* newline, `;`, `|`, `&`, `<`, `>` */
	GRUB_END_OPEN,	/* `{` */
	GRUB_END_CLOSE, /* `}` */
	GRUB_END_TEXT,
};

struct grub_command {
	struct grub_word *words;
	size_t n_words; /* may be 0 */
	enum grub_end end;
	size_t line; /* of its end, from 1 */
};

struct grub_lexer {
	const char *p;
	char *out; /* where the next word's text goes */
	size_t line;
};

/* @text must outlive the lexer; the words live in @a. -ENOMEM. */
int grub_lexer_init(struct grub_lexer *l, const char *text, struct arena *a);

/* The next command, its words in @a. -EINVAL for a quote that never closes, -ENOMEM. */
int grub_lexer_next(struct grub_lexer *l, struct arena *a, struct grub_command *ret);

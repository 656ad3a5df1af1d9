#pragma once
/*
 * The context that travels with a negative errno: what was attempted, on what, why it failed and
 * what to do about it. Functions take a `struct error *` that may be NULL; the outermost caller
 * prints it once.
 */
#include "state/base.h"

struct error {
	int code;   /* the negative errno, 0 when nothing is set */
	char *what; /* what was attempted, on what, and why it failed: one sentence */
	char *todo; /* what the operator can do next, or NULL */
};

#define _cleanup_error_ _cleanup_(error_clear)

/* Makes text of unknown origin fit for terminals and journals: control characters become '?', the
 * text stays UTF-8. */
void text_defuse(char *text);

void error_clear(struct error *e);

/* Sets @e (if not NULL, and replacing what it held) and returns @code, a negative errno. */
int error_set(struct error *e, int code, const char *fmt, ...) printf_like(3, 4);

/* Adds (or replaces) the advice of @e. Returns e->code. */
int error_todo(struct error *e, const char *fmt, ...) printf_like(2, 3);

/* Puts "<fmt>: " before what @e already says. Returns e->code. */
int error_prefix(struct error *e, const char *fmt, ...) printf_like(2, 3);

/* Moves *@from into *@to (if @to is not NULL), leaving @from empty. Returns the code. */
int error_move(struct error *to, struct error *from);

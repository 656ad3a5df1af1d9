#pragma once
/*
 * One entry for the journal, field by field. Where there is no journal, and for a machine below
 * another root, its message goes to stderr as one line with its priority.
 */
#include "state/arena.h"

struct iovec;

struct journal_entry {
	struct arena arena;
	struct iovec *fields;
	size_t n_fields;
};

/* Adds "NAME=value", made harmless. Without memory the field is lost, never the entry. */
void journal_field(struct journal_entry *e, const char *fmt, ...) printf_like(2, 3);
/* The same unless @value is NULL. */
void journal_text(struct journal_entry *e, const char *name, const char *value);
/* Sends and frees it. */
void journal_send(struct journal_entry *e, int priority, const char *message_id,
		  const char *message);

#pragma once
/*
 * What the files of the reconcile memory share. One step first makes a list of changes, which may
 * run out of memory, and then takes them all in, which may not fail.
 */
#include "state/reconcile.h"
#include "state/settings.h"

/* One row of a report, and the entry as it will be. */
struct change {
	const char *guest; /* as the report names it; NULL: the machine */
	size_t at;	   /* the entry's place; behind the others: a new one */
	bool fresh;
	bool drop; /* the row is not managed any more */
	/* Borrows the strings of the entry as it is, but for what these say. */
	struct reconcile_entry entry;
	bool own_guest, own_writer, own_unit; /* own_unit: the last of the counts */
	struct setting_verdict *v;	      /* in the report */
	const struct touch *touch;	      /* that it drifted by, in this step */
	const char *reason; /* why it is contested, or NULL; in the report's arena */
	bool alerted;
	struct alert alert;
	bool repair;
};

static inline bool verdict_right(enum verdict v)
{
	return v == VERDICT_CONVERGED || v == VERDICT_NOT_APPLICABLE;
}

/* Frees what only the change owns. */
void change_undo(struct change *c);
/*
 * What @c->v makes of @c->entry: drifts, fights, retries, what is to be said. -ENOMEM: undo it.
 */
int change_judge(struct change *c, const struct reconcile_step *s, struct report *report);

void entry_done(struct reconcile_entry *e);
/* A repair of it has ended. */
void entry_mended(struct reconcile_entry *e, uint64_t now_us);

struct json_t;
/* @text as JSON, null for NULL; bytes of a text that is not UTF-8 come out as '?'. */
struct json_t *json_any_text(const char *text);
/* _VERDICT_MAX: there is no such verdict. */
enum verdict verdict_from_json(const struct json_t *text);

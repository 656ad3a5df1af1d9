/*
 * Printing. Tables are libsmartcols': it measures columns, folds them on a terminal only, and
 * escapes what would move the cursor. Colour only on a terminal and without NO_COLOR.
 */
#include "ctl/ctl.h"

#include <ctype.h>
#include <errno.h>

#include <jansson.h>
#include <libsmartcols/libsmartcols.h>

void print_text(FILE *f, const char *text)
{
	for (; *text; text++)
		fputc(iscntrl((unsigned char)*text) ? '?' : *text, f);
}

void print_lines(FILE *f, const char *text)
{
	while (*text) {
		size_t n = strcspn(text, "\n");
		_cleanup_free_ char *line = strndup(text, n);

		print_text(f, line ? line : "");
		fputc('\n', f);
		text += n;
		text += *text == '\n';
	}
}

void show_error(const struct error *e, int code)
{
	fflush(stdout);
	fputs("latencyctl: ", stderr);
	print_text(stderr, e->what ? e->what : strerror(-code));
	fputc('\n', stderr);
	if (e->todo) {
		fputs("  → ", stderr);
		print_text(stderr, e->todo);
		fputc('\n', stderr);
	}
}

int print_json(json_t *object, struct error *e)
{
	int r;

	if (!object)
		return error_set(e, -ENOMEM, "out of memory while making the JSON output");
	r = json_dumpf(object, stdout, JSON_INDENT(2));
	json_decref(object);
	putchar('\n');
	return r < 0 ? error_set(e, -EIO, "cannot write the JSON output") : 0;
}

struct table {
	struct libscols_table *table;
	struct libscols_line *line;
	bool failed;
};

static bool colour_wanted(void)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no_color && *no_color) && term && !streq(term, "dumb");
}

static bool add_columns(struct libscols_table *t, const struct column *columns, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int flags = (columns[i].wraps ? SCOLS_FL_WRAP : 0) |
			    (columns[i].right ? SCOLS_FL_RIGHT : 0);

		if (!scols_table_new_column(t, columns[i].name, columns[i].wraps ? 0.1 : 0, flags))
			return false;
	}
	return true;
}

struct table *table_new(const struct column *columns, size_t n_columns)
{
	struct table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->table = scols_new_table();
	if (!t->table || !add_columns(t->table, columns, n_columns))
		t->failed = true;
	else if (colour_wanted())
		scols_table_enable_colors(t->table, 1);
	return t;
}

void table_row(struct table *t)
{
	if (!t || t->failed)
		return;
	t->line = scols_table_new_line(t->table, NULL);
	t->failed = !t->line;
}

void table_cell(struct table *t, size_t column, const char *text)
{
	if (!t || t->failed)
		return;
	t->failed = scols_line_set_data(t->line, column, text && *text ? text : "-") != 0;
}

void table_color(struct table *t, size_t column, const char *color)
{
	if (!t || t->failed || !color)
		return;
	t->failed = scols_cell_set_color(scols_line_get_cell(t->line, column), color) != 0;
}

void table_free(struct table *t)
{
	if (t)
		scols_unref_table(t->table);
	free(t);
}

int table_print(struct table *t, struct error *e)
{
	int r = !t || t->failed ? -ENOMEM : scols_print_table(t->table);

	table_free(t);
	return r < 0 ? error_set(e, r, "cannot print the table: %s", strerror(-r)) : 0;
}

/*
 * compare: the verdict of measure/compare.h, with its numbers. Exit code 0 same or better, 1 worse,
 * 3 cannot tell.
 */
#include "measure/compare.h"

#include <errno.h>

#include "ctl/ctl.h"
#include "measure/runs.h"

static const char *string(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "-";
}

static const char *in_words(const char *verdict)
{
	return streq(verdict, "cannot_tell") ? "cannot tell" : verdict;
}

/* "12 -> 15" in column @column. */
static void change_cell(struct table *t, size_t column, const json_t *a, const json_t *b)
{
	char text[80], from[32] = "-", to[32] = "-";

	if (json_is_number(a))
		snprintf(from, sizeof(from), "%.10g", json_number_value(a));
	if (json_is_number(b))
		snprintf(to, sizeof(to), "%.10g", json_number_value(b));
	snprintf(text, sizeof(text), "%s -> %s", from, to);
	table_cell(t, column, text);
}

static void add_cpu(struct table *t, const char *cell, const json_t *cpu)
{
	const json_t *a = json_object_get(cpu, "a"), *b = json_object_get(cpu, "b");
	const char *verdict = string(cpu, "verdict");
	char number[32];

	snprintf(number, sizeof(number), "%lld",
		 (long long)json_integer_value(json_object_get(cpu, "cpu")));
	table_row(t);
	table_cell(t, 0, cell);
	table_cell(t, 1, number);
	table_cell(t, 2, in_words(verdict));
	if (streq(verdict, "worse"))
		table_color(t, 2, "red");
	change_cell(t, 3, json_object_get(a, "max_us"), json_object_get(b, "max_us"));
	change_cell(t, 4, json_object_get(json_object_get(a, "percentiles_us"), "p999"),
		    json_object_get(json_object_get(b, "percentiles_us"), "p999"));
	change_cell(t, 5, json_object_get(a, "exceedances"), json_object_get(b, "exceedances"));
	table_cell(t, 6, string(cpu, "why"));
}

static int print_cells(const json_t *comparison, struct error *e)
{
	static const struct column columns[] = {
		{ .name = "CELL" },
		{ .name = "CPU", .right = true },
		{ .name = "SECOND RUN" },
		{ .name = "MAX us", .right = true },
		{ .name = "P99.9 us", .right = true },
		{ .name = "ABOVE LIMIT", .right = true },
		{ .name = "WHY", .wraps = true },
	};
	struct table *t = table_new(columns, ARRAY_SIZE(columns));
	const json_t *cell, *cpu;
	size_t i, k;

	json_array_foreach(json_object_get(comparison, "cells"), i, cell)
	{
		json_array_foreach(json_object_get(cell, "cpus"), k, cpu)
			add_cpu(t, string(cell, "name"), cpu);
	}
	return table_print(t, e);
}

static void leaf_cell(struct table *t, size_t column, const json_t *leaf)
{
	_cleanup_free_ char *text = NULL;

	if (json_is_string(leaf)) {
		table_cell(t, column, json_string_value(leaf));
		return;
	}
	text = json_is_null(leaf) ? NULL : json_dumps(leaf, JSON_ENCODE_ANY | JSON_COMPACT);
	table_cell(t, column, text);
}

static int print_fingerprint(const json_t *comparison, struct error *e)
{
	static const struct column columns[] = { { .name = "DIFFERS" },
						 { .name = "FIRST", .wraps = true },
						 { .name = "SECOND", .wraps = true } };
	const json_t *list = json_object_get(comparison, "fingerprint"), *d;
	struct table *t;
	size_t i;

	if (json_array_size(list) == 0) {
		printf("no difference between the fingerprints\n");
		return 0;
	}
	t = table_new(columns, ARRAY_SIZE(columns));
	json_array_foreach(list, i, d)
	{
		table_row(t);
		table_cell(t, 0, string(d, "key"));
		leaf_cell(t, 1, json_object_get(d, "a"));
		leaf_cell(t, 2, json_object_get(d, "b"));
	}
	return table_print(t, e);
}

static int print_comparison(const json_t *comparison, struct error *e)
{
	int r = 0;

	for (size_t i = 0; i < 2; i++) {
		const json_t *run = json_array_get(json_object_get(comparison, "runs"), i);

		printf("%s  ", i ? "second" : "first ");
		print_text(stdout, string(run, "id"));
		printf("  %s", string(run, "verdict"));
		if (json_is_integer(json_object_get(run, "max_us")))
			printf(", max %lld us",
			       (long long)json_integer_value(json_object_get(run, "max_us")));
		putchar('\n');
	}
	if (json_array_size(json_object_get(comparison, "cells")))
		r = print_cells(comparison, e);
	if (r >= 0)
		r = print_fingerprint(comparison, e);
	if (r < 0)
		return r;
	printf("%s: %s\n", in_words(string(comparison, "verdict")), string(comparison, "why"));
	if (json_integer_value(json_object_get(comparison, "tests")) > 0)
		printf("  (5 %% two-sided for all %lld tests together)\n",
		       (long long)json_integer_value(json_object_get(comparison, "tests")));
	return 0;
}

static int exit_code(const json_t *comparison)
{
	const char *verdict = string(comparison, "verdict");

	return streq(verdict, "worse") ? 1 : streq(verdict, "cannot_tell") ? 3 : 0;
}

int command_compare(struct ctl *c, struct error *e)
{
	json_t *runs[2] = { NULL, NULL }, *comparison = NULL;
	int r = 0, code = 0;

	for (size_t i = 0; r == 0 && i < 2; i++) {
		_cleanup_free_ char *id = NULL;

		r = runs_find(&c->root, c->args[i], &id, &runs[i], e);
	}
	if (r == 0)
		r = compare_runs(runs[0], runs[1], &comparison, e);
	if (r == 0)
		code = exit_code(comparison);
	if (r == 0 && c->json)
		r = print_json(json_incref(comparison), e);
	else if (r == 0 && !c->quiet)
		r = print_comparison(comparison, e);
	json_decref(comparison);
	json_decref(runs[0]);
	json_decref(runs[1]);
	return r < 0 ? r : code;
}

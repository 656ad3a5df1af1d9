/*
 * runs: the kept measurements, oldest first. Also one that cannot be read is a run, and shown.
 */
#include "measure/measure.h"

#include <errno.h>

#include <jansson.h>

#include "ctl/ctl.h"

static const char *text(const json_t *run, const char *key)
{
	return json_string_value(json_object_get(run, key));
}

/* Version 2 has it in its cells; what has none has no number. */
static bool greatest(const json_t *run, double *ret)
{
	const json_t *cell, *thread;
	bool any = false;
	size_t i, k;

	json_array_foreach(json_object_get(run, "cells"), i, cell)
	{
		json_array_foreach(json_object_get(cell, "threads"), k, thread)
		{
			const json_t *max = json_object_get(thread, "max_us");

			if (!json_is_number(max) || (any && json_number_value(max) <= *ret))
				continue;
			*ret = json_number_value(max);
			any = true;
		}
	}
	return any;
}

static void number_cell(struct table *t, size_t column, double number)
{
	char number_text[32];

	snprintf(number_text, sizeof(number_text), "%.0f", number);
	table_cell(t, column, number_text);
}

static void add_run(struct table *t, const json_t *run)
{
	const json_t *seconds = json_object_get(json_object_get(run, "request"), "duration_s");
	double max;

	table_row(t);
	table_cell(t, 0, text(run, "id"));
	table_cell(t, 1, text(run, "on"));
	table_cell(t, 2, text(run, "profile"));
	table_cell(t, 3, text(run, "verdict"));
	if (json_is_number(seconds))
		number_cell(t, 4, json_number_value(seconds));
	if (greatest(run, &max))
		number_cell(t, 5, max);
	table_cell(t, 6, text(run, "sentence"));
}

static int print_runs(const json_t *runs, struct error *e)
{
	static const struct column columns[] = {
		{ .name = "RUN" },
		{ .name = "ON" },
		{ .name = "PROFILE" },
		{ .name = "VERDICT" },
		{ .name = "SECONDS", .right = true },
		{ .name = "MAX us", .right = true },
		{ .name = "SAYS", .wraps = true },
	};
	struct table *t = table_new(columns, ARRAY_SIZE(columns));
	const json_t *run;
	size_t i;

	json_array_foreach(runs, i, run) add_run(t, run);
	return table_print(t, e);
}

int command_runs(struct ctl *c, struct error *e)
{
	json_t *runs = NULL;
	int r;

	r = runs_list(&c->root, &runs, e);
	if (r < 0)
		return r;
	if (c->json)
		return print_json(json_pack("{s:i, s:o}", "version", 1, "runs", runs), e);
	if (!c->quiet && json_array_size(runs) == 0)
		printf("no run is kept\n");
	else if (!c->quiet)
		r = print_runs(runs, e);
	json_decref(runs);
	return r;
}

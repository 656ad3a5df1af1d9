/*
 * measure and runs: the run itself and its verdict are measure/'s; this prints them.
 */
#include "measure/measure.h"

#include <errno.h>

#include <jansson.h>

#include "ctl/ctl.h"

static void cell_number(struct table *t, size_t column, const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	char text[32];

	if (!json_is_number(value))
		return;
	snprintf(text, sizeof(text), json_is_integer(value) ? "%.0f" : "%.1f",
		 json_number_value(value));
	table_cell(t, column, text);
}

static int print_threads(const json_t *result, struct error *e)
{
	static const struct column columns[] = {
		{ .name = "CPU", .right = true },    { .name = "MIN us", .right = true },
		{ .name = "AVG us", .right = true }, { .name = "MAX us", .right = true },
		{ .name = "CYCLES", .right = true }, { .name = "EXPECTED", .right = true },
		{ .name = "MISSED", .right = true },
	};
	static const char *const keys[] = { "cpu",    "min_us",		 "avg_us",	 "max_us",
					    "cycles", "expected_cycles", "missed_cycles" };
	const json_t *threads = json_object_get(result, "threads"), *thread;
	struct table *t;
	size_t i;

	if (json_array_size(threads) == 0)
		return 0;
	t = table_new(columns, ARRAY_SIZE(columns));
	json_array_foreach(threads, i, thread)
	{
		table_row(t);
		for (size_t k = 0; k < ARRAY_SIZE(keys); k++)
			cell_number(t, k, thread, keys[k]);
	}
	return table_print(t, e);
}

static int print_run(const struct ctl *c, const struct run *run, struct error *e)
{
	int r;

	if (c->json)
		return print_json(json_incref(run->result), e);
	if (c->quiet)
		return 0;
	r = print_threads(run->result, e);
	if (r < 0)
		return r;
	printf("%s: ", run_verdict_name(run->verdict));
	print_text(stdout, run->sentence ? run->sentence : "");
	printf("\n  kept in %s\n", run->directory);
	return 0;
}

int command_measure(struct ctl *c, struct error *e)
{
	struct progress progress = { .quiet = c->quiet };
	_cleanup_(run_done) struct run run = { 0 };
	_cleanup_desired_ struct desired d = { 0 };
	_cleanup_look_ struct look l = { 0 };
	int r;

	r = ctl_document(c, true, &d, e);
	if (r >= 0)
		r = ctl_look(c, &d, &l, e);
	if (r < 0)
		return r;
	r = measure_run(&c->root, &d, c->duration_s, progress_measure, &progress, &run, e);
	progress_clear(&progress);
	if (r == -EPERM) {
		print_error(e, r);
		return EXIT_MEASURE_REFUSED;
	}
	if (r >= 0)
		r = print_run(c, &run, e);
	return r < 0 ? r : run_verdict_exit_code(run.verdict);
}

static int print_runs(const json_t *runs, struct error *e)
{
	static const struct column columns[] = {
		{ .name = "RUN" },
		{ .name = "VERDICT" },
		{ .name = "SECONDS", .right = true },
		{ .name = "SAYS", .wraps = true },
	};
	struct table *t = table_new(columns, ARRAY_SIZE(columns));
	const json_t *run;
	size_t i;

	json_array_foreach(runs, i, run)
	{
		table_row(t);
		table_cell(t, 0, json_string_value(json_object_get(run, "id")));
		table_cell(t, 1, json_string_value(json_object_get(run, "verdict")));
		cell_number(t, 2, run, "duration_s");
		table_cell(t, 3, json_string_value(json_object_get(run, "sentence")));
	}
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

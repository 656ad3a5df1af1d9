/*
 * measure: the run itself and its verdict are measure/'s; this chooses the machines and
 * prints what came out.
 */
#include "measure/measure.h"

#include <errno.h>

#include <jansson.h>

#include "ctl/ctl.h"
#include "ctl/published.h"
#include "daemon/guest_target.h"

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
		{ .name = "LOAD" },
		{ .name = "CPU", .right = true },
		{ .name = "MIN us", .right = true },
		{ .name = "AVG us", .right = true },
		{ .name = "MAX us", .right = true },
		{ .name = "CYCLES", .right = true },
		{ .name = "MISSED", .right = true },
		{ .name = "OVERFLOW", .right = true },
	};
	static const char *const keys[] = { "cpu",    "min_us",	       "avg_us",  "max_us",
					    "cycles", "missed_cycles", "overflow" };
	const json_t *cells = json_object_get(result, "cells"), *cell, *thread;
	struct table *t = table_new(columns, ARRAY_SIZE(columns));
	size_t i, j;

	json_array_foreach(cells, i, cell)
	{
		json_array_foreach(json_object_get(cell, "threads"), j, thread)
		{
			table_row(t);
			table_cell(t, 0, json_string_value(json_object_get(cell, "name")));
			for (size_t k = 0; k < ARRAY_SIZE(keys); k++)
				cell_number(t, k + 1, thread, keys[k]);
		}
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
	printf("%s: %s: ", json_string_value(json_object_get(run->result, "on")),
	       run_verdict_name(run->verdict));
	print_text(stdout, run->sentence ? run->sentence : "");
	printf("\n  kept in %s\n", run->directory);
	return 0;
}

/* What becomes of a run that was cut off: it is never lost without a word. */
static void mention_interrupted(const struct ctl *c)
{
	_cleanup_free_ char *id = c->resume || c->quiet ? NULL : measure_interrupted();

	if (id)
		fprintf(stderr,
			"run %s was interrupted: latencyctl measure --resume %s continues it; it "
			"is removed when this one is kept\n",
			id, id);
}

static int overlay(const struct sysroot *root, const struct desired *d, struct report *r)
{
	_cleanup_published_ struct published p = { 0 };

	published_load(root, d, &p);
	return published_overlay(&p, r);
}

static int measure_on(const struct ctl *c, struct desired *d, const struct look *l, const char *on,
		      struct run *ret, struct error *e)
{
	struct progress progress = { .quiet = c->quiet };
	const char *guest = after_prefix(on, "guest/");
	struct target target = target_host;
	struct measure_options options = {
		.profile = c->profile,
		.duration_s = c->duration_s,
		.resume = c->resume,
		.target = &target,
		.observe = look_observe,
		.overlay = overlay,
	};
	int r = 0;

	if (guest)
		r = guest_target_make(d, &l->observed, guest, &target, e);
	else if (!streq(on, "host"))
		return ctl_usage("--on host or --on guest/NAME", "there is no machine \"%s\"", on);
	if (r < 0)
		return r;
	r = measure_run(&c->root, d, &options, progress_measure, &progress, ret, e);
	progress_clear(&progress);
	if (guest)
		guest_target_done(&target);
	return r;
}

/* One run and what it says; the exit code. */
static int measure_one(const struct ctl *c, struct desired *d, const struct look *l, const char *on,
		       struct error *e)
{
	_cleanup_(run_done) struct run run = { 0 };
	int r = measure_on(c, d, l, on, &run, e);

	if (r == -EPERM) {
		show_error(e, r);
		error_clear(e);
		return EXIT_MEASURE_REFUSED;
	}
	if (r == 0)
		r = print_run(c, &run, e);
	return r < 0 ? r : run.result ? run_verdict_exit_code(run.verdict) : EXIT_USAGE;
}

/* The machines to measure, in @a: --on, else the document's, else its guests, else this one. */
static int choose_machines(const struct ctl *c, const struct desired *d, struct arena *a,
			   const char ***ret, size_t *ret_n)
{
	const char **names = NULL, **name;
	size_t n = 0;

	for (size_t i = 0; !c->on && i < d->measure.n_on; i++) {
		name = arena_grow(a, &names, &n, sizeof(*name));
		if (!name)
			return -ENOMEM;
		*name = d->measure.on[i];
	}
	for (size_t i = 0; !c->on && !d->measure.n_on && i < d->n_guests; i++) {
		if (!d->guests[i].state)
			continue;
		name = arena_grow(a, &names, &n, sizeof(*name));
		if (!name || !(*name = arena_printf(a, "guest/%s", d->guests[i].name)))
			return -ENOMEM;
	}
	if (!n) {
		name = arena_grow(a, &names, &n, sizeof(*name));
		if (!name)
			return -ENOMEM;
		*name = c->on ? c->on : "host";
	}
	*ret = names;
	*ret_n = n;
	return 0;
}

/* Of several runs the exit code of the worst: FAIL, ERROR, INCONCLUSIVE, WARN. */
static int worse(int a, int b)
{
	static const int rank[] = { [0] = 0, [4] = 1, [3] = 2, [2] = 3, [1] = 4 };

	return rank[a] > rank[b] ? a : b;
}

int command_measure(struct ctl *c, struct error *e)
{
	_cleanup_(arena_free) struct arena a = { 0 };
	_cleanup_desired_ struct desired d = { 0 };
	_cleanup_look_ struct look l = { 0 };
	const char **machines;
	size_t n;
	int r, code = 0;

	r = ctl_document(c, true, &d, e);
	if (r >= 0)
		r = ctl_look(c, &d, &l, e);
	if (r >= 0)
		r = choose_machines(c, &d, &a, &machines, &n);
	if (r < 0)
		return r;
	mention_interrupted(c);
	for (size_t i = 0; i < n; i++) {
		r = measure_one(c, &d, &l, machines[i], e);
		if (r < 0)
			return r;
		code = worse(code, r);
	}
	return code;
}

/*
 * The model: a difference is said only when a test finds it, and "same" only when a test could have
 * found one. Tests, for each CPU of each cell: wake-ups above the common limit (where both runs
 * declare the same), wake-ups above the 99.9th percentile of both together (which counts only when
 * the two percentiles are at least SHIFT_US apart: with millions of samples the tool's own rounding
 * becomes significant), and the segments' maxima. The 5 % are for the whole comparison: they are
 * divided by the number of tests, so that 64 CPUs do not find a difference by chance.
 */
#include "measure/compare.h"

#include <errno.h>
#include <math.h>

#include "measure/json_flat.h"
#include "measure/run_view.h"

#define ALPHA	     0.05
#define SEGMENTS_MIN 8
#define SHIFT_US     2
#define TAIL	     0.001

enum compared { CMP_SAME, CMP_BETTER, CMP_CANNOT_TELL, CMP_WORSE };
static const char *const compared_names[] = { "same", "better", "cannot_tell", "worse" };

struct test {
	double p;  /* -1: it could not be made */
	int worse; /* its direction: 1, -1, 0 */
};

enum { TEST_EXCEEDANCES, TEST_TAIL, TEST_SEGMENTS, _TEST_MAX };

struct cpu_comparison {
	const struct thread_view *a, *b; /* NULL: not in that run */
	double limit_us;		 /* -1: no common one */
	int64_t above_a, above_b;
	struct test tests[_TEST_MAX];
};

struct side {
	const struct run_view *run;
	const struct cell_view *cell;
	const struct thread_view *thread;
};

static int sign(double d)
{
	return (d > 0) - (d < 0);
}

static struct test test_rates(double k_a, const struct thread_view *a, double k_b,
			      const struct thread_view *b)
{
	double n_a = (double)a->cycles, n_b = (double)b->cycles;

	if (k_a < 0 || k_b < 0 || n_a <= 0 || n_b <= 0)
		return (struct test){ .p = -1 };
	return (struct test){ .p = rate_ratio_p(k_a, n_a, k_b, n_b),
			      .worse = sign(k_b / n_b - k_a / n_a) };
}

/* The smallest µs with at most a thousandth of both runs' wake-ups above it; -1: not known. */
static double pooled_tail_us(const struct side *a, const struct side *b)
{
	const struct thread_view *x = a->thread, *y = b->thread;
	double allowed = TAIL * ((double)x->cycles + (double)y->cycles), above;
	size_t i = x->n_bars, k = y->n_bars;
	int64_t us = a->run->histogram_us;

	above = (double)x->overflow + (double)y->overflow;
	if (x->overflow < 0 || y->overflow < 0 || allowed < 20 || above > allowed)
		return -1;
	while (i || k) {
		us = i && (!k || x->bars[i - 1].us >= y->bars[k - 1].us) ? x->bars[i - 1].us
									 : y->bars[k - 1].us;
		if (i && x->bars[i - 1].us == us)
			above += (double)x->bars[--i].count;
		if (k && y->bars[k - 1].us == us)
			above += (double)y->bars[--k].count;
		if (above > allowed)
			return (double)us;
	}
	return -1;
}

static double p999(const struct thread_view *t)
{
	const json_t *v = json_object_get(t->percentiles, "p999");

	return json_is_number(v) ? json_number_value(v) : -1;
}

static struct test test_tail(const struct side *a, const struct side *b)
{
	double us = pooled_tail_us(a, b), before = p999(a->thread), after = p999(b->thread);
	struct test t = { .p = -1 };

	if (us < 0 || before < 0 || after < 0)
		return t;
	t = test_rates((double)thread_above(a->thread, us, a->run->histogram_us), a->thread,
		       (double)thread_above(b->thread, us, b->run->histogram_us), b->thread);
	if (fabs(after - before) < SHIFT_US && t.p >= 0)
		t = (struct test){ .p = 1 };
	return t;
}

/* This CPU's maxima of the segments without trouble, malloc()ed; *ret_n is 0 when there are few. */
static int64_t *maxima(const struct side *s, size_t *ret_n)
{
	int64_t *values = calloc(s->cell->n_segments ? s->cell->n_segments : 1, sizeof(*values));
	char cpu[24];

	*ret_n = 0;
	snprintf(cpu, sizeof(cpu), "%lld", (long long)s->thread->cpu);
	for (size_t i = 0; values && i < s->cell->n_segments; i++) {
		const json_t *v = json_object_get(s->cell->segments[i].maxima, cpu);

		if (json_is_integer(v) && !*s->cell->segments[i].trouble)
			values[(*ret_n)++] = json_integer_value(v);
	}
	return values;
}

static struct test test_segments(const struct side *a, const struct side *b)
{
	size_t n_a, n_b;
	_cleanup_free_ int64_t *x = maxima(a, &n_a);
	_cleanup_free_ int64_t *y = maxima(b, &n_b);
	double p, shift = 0;

	if (n_a < SEGMENTS_MIN || n_b < SEGMENTS_MIN)
		return (struct test){ .p = -1 };
	p = mann_whitney_p(x, n_a, y, n_b, &shift);
	return (struct test){ .p = isnan(p) ? -1 : p, .worse = sign(shift) };
}

static struct cpu_comparison compare_cpu(const struct side *a, const struct side *b)
{
	double limit = cell_limit_us(a->cell);
	struct cpu_comparison c = { .a = a->thread, .b = b->thread, .limit_us = -1 };

	c.above_a = c.above_b = -1;
	for (int i = 0; i < _TEST_MAX; i++)
		c.tests[i].p = -1;
	if (!a->thread || !b->thread)
		return c;
	if (limit >= 0 && limit == cell_limit_us(b->cell)) {
		c.limit_us = limit;
		c.above_a = thread_above(a->thread, limit, a->run->histogram_us);
		c.above_b = thread_above(b->thread, limit, b->run->histogram_us);
		c.tests[TEST_EXCEEDANCES] =
			test_rates((double)c.above_a, a->thread, (double)c.above_b, b->thread);
	}
	c.tests[TEST_TAIL] = test_tail(a, b);
	c.tests[TEST_SEGMENTS] = test_segments(a, b);
	return c;
}

static enum compared judge_cpu(const struct cpu_comparison *c, double alpha, const char **ret_why)
{
	bool worse = false, better = false, any = false;

	for (int i = 0; i < _TEST_MAX; i++) {
		any = any || c->tests[i].p >= 0;
		if (c->tests[i].p < 0 || c->tests[i].p >= alpha)
			continue;
		worse = worse || c->tests[i].worse > 0;
		better = better || c->tests[i].worse < 0;
	}
	*ret_why = !c->a || !c->b ? "this CPU was measured in one run only"
		   : !any ? "there is too little to test: no common limit, too few samples and "
			    "segments"
		   : worse && better ? "the tests contradict each other"
		   : worse || better ? "the difference is significant"
				     : "no significant difference";
	if (!any || (worse && better))
		return CMP_CANNOT_TELL;
	return worse ? CMP_WORSE : better ? CMP_BETTER : CMP_SAME;
}

static json_t *number_or_null(double d)
{
	return d < 0 ? json_null() : json_real(d);
}

static json_t *count_or_null(int64_t n)
{
	return n < 0 ? json_null() : json_integer(n);
}

static json_t *figures_json(const struct thread_view *t, int64_t above)
{
	json_t *percentiles;

	if (!t)
		return json_null();
	percentiles = t->percentiles ? json_incref((json_t *)t->percentiles) : json_null();
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "min_us", count_or_null(t->min_us),
			 "avg_us", number_or_null(t->avg_us), "max_us", count_or_null(t->max_us),
			 "cycles", count_or_null(t->cycles), "overflow", count_or_null(t->overflow),
			 "exceedances", count_or_null(above), "percentiles_us", percentiles);
}

static json_t *cpu_json(const struct cpu_comparison *c, enum compared verdict, const char *why)
{
	return json_pack("{s:I, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "cpu",
			 (json_int_t)(c->a ? c->a->cpu : c->b->cpu), "verdict",
			 compared_names[verdict], "why", why, "limit_us",
			 number_or_null(c->limit_us), "a", figures_json(c->a, c->above_a), "b",
			 figures_json(c->b, c->above_b), "p_exceedances",
			 number_or_null(c->tests[TEST_EXCEEDANCES].p), "p_tail",
			 number_or_null(c->tests[TEST_TAIL].p), "p_segments",
			 number_or_null(c->tests[TEST_SEGMENTS].p));
}

/* What all cells or CPUs together say: one that is worse makes it worse. */
static enum compared combine(enum compared a, enum compared b)
{
	return a > b ? a : b;
}

struct pair {
	const struct cell_view *a, *b; /* NULL: not in that run */
	struct cpu_comparison *cpus;
	size_t n_cpus;
};

struct comparison {
	struct run_view a, b;
	struct pair *cells;
	size_t n_cells;
	unsigned tests;
};

static void comparison_done(struct comparison *c)
{
	for (size_t i = 0; i < c->n_cells; i++)
		free(c->cells[i].cpus);
	free(c->cells);
	run_view_done(&c->a);
	run_view_done(&c->b);
}

static const struct cell_view *find_cell(const struct run_view *v, const char *name)
{
	for (size_t i = 0; i < v->n_cells; i++)
		if (streq(v->cells[i].name, name))
			return &v->cells[i];
	return NULL;
}

/* Both are sorted by CPU: walks them like a merge. */
static int compare_cell(struct comparison *cmp, struct pair *p)
{
	size_t n_a = p->a ? p->a->n_threads : 0, n_b = p->b ? p->b->n_threads : 0;

	p->cpus = calloc(n_a + n_b ? n_a + n_b : 1, sizeof(*p->cpus));
	if (!p->cpus)
		return -ENOMEM;
	for (size_t i = 0, k = 0; i < n_a || k < n_b;) {
		struct side a = { .run = &cmp->a, .cell = p->a },
			    b = { .run = &cmp->b, .cell = p->b };
		int64_t cpu_a = i < n_a ? p->a->threads[i].cpu : INT64_MAX;
		int64_t cpu_b = k < n_b ? p->b->threads[k].cpu : INT64_MAX;
		struct cpu_comparison *c = &p->cpus[p->n_cpus++];

		a.thread = cpu_a <= cpu_b ? &p->a->threads[i++] : NULL;
		b.thread = cpu_b <= cpu_a ? &p->b->threads[k++] : NULL;
		if (a.cell && b.cell) {
			*c = compare_cpu(&a, &b);
		} else {
			*c = (struct cpu_comparison){ .a = a.thread,
						      .b = b.thread,
						      .limit_us = -1 };
			c->above_a = c->above_b = -1;
			for (int t = 0; t < _TEST_MAX; t++)
				c->tests[t].p = -1;
		}
		for (int t = 0; t < _TEST_MAX; t++)
			cmp->tests += c->tests[t].p >= 0;
	}
	return 0;
}

static int pair_cells(struct comparison *c)
{
	c->cells = calloc(c->a.n_cells + c->b.n_cells + 1, sizeof(*c->cells));
	if (!c->cells)
		return -ENOMEM;
	for (size_t i = 0; i < c->a.n_cells; i++)
		c->cells[c->n_cells++] = (struct pair){ .a = &c->a.cells[i],
							.b = find_cell(&c->b, c->a.cells[i].name) };
	for (size_t i = 0; i < c->b.n_cells; i++)
		if (!find_cell(&c->a, c->b.cells[i].name))
			c->cells[c->n_cells++] = (struct pair){ .b = &c->b.cells[i] };
	for (size_t i = 0; i < c->n_cells; i++)
		if (compare_cell(c, &c->cells[i]) < 0)
			return -ENOMEM;
	return 0;
}

static bool conclusive(const char *verdict)
{
	return streq(verdict, "PASS") || streq(verdict, "FAIL") || streq(verdict, "WARN");
}

/* Were the two machines put to one test? Both hashes have to be known, and equal. */
static bool comparable(const json_t *a, const json_t *b)
{
	const char *x = json_string_value(json_object_get(a, "comparable"));
	const char *y = json_string_value(json_object_get(b, "comparable"));

	return x && y && streq(x, y);
}

/* Why these two cannot be compared at all; NULL: they can. */
static const char *runs_differ(const struct run_view *a, const struct run_view *b)
{
	if (!conclusive(a->verdict))
		return "the first run is INCONCLUSIVE or ERROR";
	if (!conclusive(b->verdict))
		return "the second run is INCONCLUSIVE or ERROR";
	if (!streq(a->on, b->on))
		return "they were not measured on the same machine";
	if (a->interval_us < 0 || a->interval_us != b->interval_us)
		return "their intervals differ";
	if (!comparable(a->fingerprint_host, b->fingerprint_host))
		return "the hosts are not comparable (hardware, CPUs or test differ, or are not "
		       "known)";
	if ((a->fingerprint_guest || b->fingerprint_guest) &&
	    !comparable(a->fingerprint_guest, b->fingerprint_guest))
		return "the guests are not comparable (hardware, CPUs or test differ, or are not "
		       "known)";
	return a->n_cells || b->n_cells ? NULL : "nothing was measured";
}

static const char *cells_differ(const struct pair *p)
{
	if (!p->a || !p->b)
		return "this cell is in one run only";
	if (!conclusive(p->a->verdict) || !conclusive(p->b->verdict))
		return "the cell is INCONCLUSIVE or ERROR in one run";
	if (p->a->duration_s < 0 || p->a->duration_s != p->b->duration_s)
		return "the durations differ: a longer run sees greater latencies";
	return p->n_cpus ? NULL : "no CPU was measured";
}

/* @blocked: why nothing at all can be told; NULL. */
static json_t *cell_json(const struct pair *p, double alpha, const char *blocked,
			 enum compared *verdict)
{
	json_t *cpus = json_array();
	const char *why = blocked ? blocked : cells_differ(p);
	enum compared cell = why ? CMP_CANNOT_TELL : CMP_SAME;

	for (size_t i = 0; i < p->n_cpus; i++) {
		const char *cpu_why = why;
		enum compared cpu = why ? CMP_CANNOT_TELL : judge_cpu(&p->cpus[i], alpha, &cpu_why);

		cell = combine(cell, cpu);
		json_array_append_new(cpus, cpu_json(&p->cpus[i], cpu, cpu_why));
	}
	*verdict = combine(*verdict, cell);
	return json_pack("{s:s, s:s, s:s, s:o}", "name", p->a ? p->a->name : p->b->name, "verdict",
			 compared_names[cell], "why", why ? why : "by its CPUs", "cpus", cpus);
}

static json_t *run_json(const struct run_view *v)
{
	const struct thread_view *worst = NULL;

	for (size_t i = 0; i < v->n_cells; i++) {
		const struct thread_view *t = cell_worst(&v->cells[i]);

		if (t && (!worst || t->max_us > worst->max_us))
			worst = t;
	}
	return json_pack("{s:s, s:s, s:o}", "id", v->id, "verdict", v->verdict, "max_us",
			 worst ? json_integer(worst->max_us) : json_null());
}

static const char *summary(enum compared verdict)
{
	static const char *const text[] = { "no significant difference", "the second run is better",
					    "it cannot be told everywhere",
					    "the second run is worse" };

	return text[verdict];
}

static json_t *comparison_json(const struct comparison *c)
{
	const char *blocked = runs_differ(&c->a, &c->b);
	double alpha = ALPHA / (c->tests ? c->tests : 1);
	enum compared verdict = blocked ? CMP_CANNOT_TELL : CMP_SAME;
	json_t *cells = json_array(), *fingerprint;

	for (size_t i = 0; i < c->n_cells; i++)
		json_array_append_new(cells, cell_json(&c->cells[i], alpha, blocked, &verdict));
	fingerprint = json_differences(json_object_get(c->a.result, "fingerprint"),
				       json_object_get(c->b.result, "fingerprint"));
	return json_pack("{s:i, s:s, s:s, s:s, s:s, s:[o, o], s:i, s:f, s:o, s:o}", "version",
			 COMPARE_VERSION, "a", c->a.id, "b", c->b.id, "verdict",
			 compared_names[verdict], "why", blocked ? blocked : summary(verdict),
			 "runs", run_json(&c->a), run_json(&c->b), "tests",
			 blocked ? 0 : (int)c->tests, "alpha", alpha, "cells", cells, "fingerprint",
			 fingerprint);
}

int compare_runs(const json_t *a, const json_t *b, json_t **ret, struct error *e)
{
	_cleanup_(comparison_done) struct comparison c = { 0 };
	json_t *json;
	int r = run_view_make(a, &c.a, e);

	if (r < 0)
		return error_prefix(e, "the first run");
	r = run_view_make(b, &c.b, e);
	if (r < 0)
		return error_prefix(e, "the second run");
	r = pair_cells(&c);
	json = r < 0 ? NULL : comparison_json(&c);
	if (!json)
		return error_set(e, -ENOMEM, "comparing two runs: out of memory");
	*ret = json;
	return 0;
}

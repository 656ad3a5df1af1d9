/*
 * JUnit: a suite for the run, a case for each limit of each cell, and one for the run's own
 * verdict. The model: a case is green only for what was judged and met; INCONCLUSIVE and ERROR are
 * errors, because a CI that reads "skipped" calls the build good. An exceeded limit is a failure
 * even in an incomplete run, but under `action: monitor` it is skipped: it was only to be watched.
 */
#include "measure/report_text.h"

enum case_result { CASE_OK, CASE_FAILURE, CASE_ERROR, CASE_SKIPPED, _CASE_MAX };

struct tally {
	const struct run_view *v;
	FILE *f; /* NULL: only count */
	unsigned n[_CASE_MAX];
};

static bool is_bad(const char *verdict)
{
	return streq(verdict, "INCONCLUSIVE") || streq(verdict, "ERROR");
}

static void put_case(struct tally *t, const char *class, const char *name, double seconds,
		     enum case_result result, const char *message)
{
	static const char *const tags[] = { "system-out", "failure", "error", "skipped" };
	FILE *f = t->f;

	t->n[result]++;
	if (!f)
		return;
	fputs("  <testcase classname=\"", f);
	write_escaped(f, class);
	fputs("\" name=\"", f);
	write_escaped(f, name);
	fprintf(f, "\" time=\"%.3f\">\n    <%s", seconds < 0 ? 0 : seconds, tags[result]);
	if (result != CASE_OK) {
		fputs(" message=\"", f);
		write_escaped(f, message);
		fputc('"', f);
	}
	fputs(">", f);
	write_escaped(f, message);
	fprintf(f, "</%s>\n  </testcase>\n", tags[result]);
}

static enum case_result sla_result(const struct tally *t, const struct cell_view *c,
				   const struct sla_view *s)
{
	if (streq(s->verdict, "exceeded"))
		return streq(t->v->action, "monitor") ? CASE_SKIPPED : CASE_FAILURE;
	if (s->limit < 0)
		return CASE_SKIPPED;
	if (is_bad(c->verdict) || is_bad(t->v->verdict) || !streq(s->verdict, "met"))
		return CASE_ERROR;
	return CASE_OK;
}

static void put_sla(struct tally *t, const struct cell_view *c, const struct sla_view *s)
{
	_cleanup_free_ char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return;
	if (s->limit < 0)
		fprintf(f, "not declared");
	else
		fprintf(f, "limit %.6g %s", s->limit, s->unit);
	if (s->measured >= 0)
		fprintf(f, ", measured %.6g %s", s->measured, s->unit);
	else
		fputs(", nothing measured", f);
	if (s->cpu >= 0)
		fprintf(f, " on CPU %lld", (long long)s->cpu);
	fprintf(f, ": %s. %s: %s", s->verdict, c->verdict, c->sentence);
	if (fclose(f) == 0)
		put_case(t, c->name, s->key, c->measured_s, sla_result(t, c, s), text);
}

static void put_cases(struct tally *t)
{
	const struct run_view *v = t->v;
	enum case_result result = is_bad(v->verdict)	      ? CASE_ERROR
				  : streq(v->verdict, "FAIL") ? CASE_FAILURE
							      : CASE_OK;

	for (size_t i = 0; i < v->n_cells; i++)
		for (size_t k = 0; k < v->cells[i].n_sla; k++)
			put_sla(t, &v->cells[i], &v->cells[i].sla[k]);
	put_case(t, "run", "verdict", 0, result, v->sentence);
}

void report_junit(const struct run_view *v, FILE *f)
{
	struct tally count = { .v = v }, t = { .v = v, .f = f };
	double seconds = 0;
	unsigned cases = 0;

	put_cases(&count);
	for (int i = 0; i < _CASE_MAX; i++)
		cases += count.n[i];
	for (size_t i = 0; i < v->n_cells; i++)
		seconds += v->cells[i].measured_s > 0 ? v->cells[i].measured_s : 0;
	fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"latencyd ", f);
	write_escaped(f, v->id);
	fprintf(f, "\" tests=\"%u\" failures=\"%u\" errors=\"%u\" skipped=\"%u\" time=\"%.3f\"",
		cases, count.n[CASE_FAILURE], count.n[CASE_ERROR], count.n[CASE_SKIPPED], seconds);
	if (*v->started) {
		fputs(" timestamp=\"", f);
		write_escaped(f, v->started);
		fputc('"', f);
	}
	if (*v->on) {
		fputs(" hostname=\"", f);
		write_escaped(f, v->on);
		fputc('"', f);
	}
	fputs(">\n", f);
	put_cases(&t);
	fputs("</testsuite>\n", f);
}

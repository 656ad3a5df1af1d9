/*
 * The text that `cyclictest -h` of rt-tests 2.4 prints, for the plotters made for it: a row a µs, a
 * column a thread in the order of the CPUs. A run of several cells is one such text after another.
 */
#include <inttypes.h>

#include "measure/report_text.h"

static int64_t total(const struct thread_view *t)
{
	int64_t n = 0;

	for (size_t i = 0; i < t->n_bars; i++)
		n += t->bars[i].count;
	return n;
}

/* Without a sample cyclictest prints its starting values: 1000000, 0, 0. */
static int64_t min_or_start(const struct thread_view *t)
{
	return t->min_us < 0 ? 1000000 : t->min_us;
}
static int64_t avg_or_zero(const struct thread_view *t)
{
	return t->avg_us < 0 ? 0 : (int64_t)t->avg_us;
}
static int64_t max_or_zero(const struct thread_view *t)
{
	return t->max_us < 0 ? 0 : t->max_us;
}
static int64_t overflow_or_zero(const struct thread_view *t)
{
	return t->overflow < 0 ? 0 : t->overflow;
}

static int64_t count_at(const struct thread_view *t, int64_t us)
{
	size_t low = 0, high = t->n_bars;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (t->bars[middle].us < us)
			low = middle + 1;
		else
			high = middle;
	}
	return low < t->n_bars && t->bars[low].us == us ? t->bars[low].count : 0;
}

static void write_rows(const struct run_view *v, const struct cell_view *c, FILE *f)
{
	for (int64_t us = 0; us < v->histogram_us; us++) {
		fprintf(f, "%06" PRId64 " ", us);
		for (size_t i = 0; i < c->n_threads; i++)
			fprintf(f, "%s%06" PRId64, i ? "\t" : "", count_at(&c->threads[i], us));
		fputc('\n', f);
	}
}

static void write_cell(const struct run_view *v, const struct cell_view *c, FILE *f)
{
	static const struct {
		const char *title;
		int width;
		int64_t (*value)(const struct thread_view *t);
	} lines[] = {
		{ "# Total:", 9, total },
		{ "# Min Latencies:", 5, min_or_start },
		{ "# Avg Latencies:", 5, avg_or_zero },
		{ "# Max Latencies:", 5, max_or_zero },
		{ "# Histogram Overflows:", 5, overflow_or_zero },
	};

	fputs("# Histogram\n", f);
	write_rows(v, c, f);
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		fputs(lines[i].title, f);
		for (size_t k = 0; k < c->n_threads; k++)
			fprintf(f, " %0*" PRId64, lines[i].width, lines[i].value(&c->threads[k]));
		fputc('\n', f);
	}
}

/* A comment must stay one line whatever a name holds. */
static void write_comment(FILE *f, const char *title, const char *text)
{
	fprintf(f, "# %s: ", title);
	for (; *text; text++)
		fputc((unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text, f);
	fputc('\n', f);
}

void report_histogram(const struct run_view *v, FILE *f)
{
	for (size_t i = 0; i < v->n_cells; i++) {
		const struct cell_view *c = &v->cells[i];

		write_comment(f, "Run", v->id);
		write_comment(f, "Cell", c->name);
		write_comment(f, "Verdict", c->verdict);
		fputs("# CPUs:", f);
		for (size_t k = 0; k < c->n_threads; k++)
			fprintf(f, " %" PRId64, c->threads[k].cpu);
		fputc('\n', f);
		write_cell(v, c, f);
		fputc('\n', f);
	}
}

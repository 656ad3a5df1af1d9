/*
 * One cell on the page: what it says, its drawings, a row for every CPU, and what proves its loads.
 * Of many CPUs the worst are drawn at once and the others behind a fold; none is left out.
 */
#include "measure/report_cell.h"

#include <inttypes.h>
#include <time.h>

#define CHARTS_AT_ONCE 8

static void write_bound(FILE *f, const struct cell_view *c)
{
	double limit = cell_limit_us(c);

	fputs("<dt>Exceedances</dt><dd>", f);
	if (limit < 0) {
		fputs("no limit of the maximum is declared, so none can be counted", f);
	} else if (c->exceedances < 0) {
		fputs("not known", f);
	} else {
		write_count(f, c->exceedances);
		fputs(" above ", f);
		write_number(f, limit);
		fputs(" µs in ", f);
		write_duration(f, c->measured_s);
		if (c->bound_per_hour >= 0) {
			fputs(": at most ", f);
			write_number(f, c->bound_per_hour);
			fputs(" an hour, at 95 %", f);
		} else {
			fputs("; no upper bound is proven", f);
		}
	}
	fputs("</dd>\n<dt>Detection</dt><dd>", f);
	if (c->probability >= 0) {
		fputs("one single stall of ", f);
		write_number(f, c->stall_us);
		fputs(" µs would have been seen with a probability of ", f);
		write_number(f, c->probability * 100);
		fputs(" %", f);
	} else {
		fputs("not computed", f);
	}
	fputs("</dd>\n", f);
}

static void write_cell_facts(FILE *f, const struct cell_view *c)
{
	fputs("<dl>\n<dt>Load</dt><dd>host ", f);
	write_escaped(f, *c->host_load ? c->host_load : "not known");
	fputs(", guest ", f);
	write_escaped(f, *c->guest_load ? c->guest_load : "none");
	fputs("</dd>\n<dt>Measured</dt><dd>", f);
	write_duration(f, c->measured_s);
	fputs(" of ", f);
	write_duration(f, c->duration_s);
	fputs("; not measured between segments: ", f);
	write_duration(f, c->not_measured_s);
	fputs("</dd>\n", f);
	write_bound(f, c);
	fputs("</dl>\n", f);
}

static int by_max(const void *a, const void *b)
{
	const struct thread_view *x = *(const struct thread_view *const *)a;
	const struct thread_view *y = *(const struct thread_view *const *)b;

	if (x->max_us != y->max_us)
		return x->max_us < y->max_us ? 1 : -1;
	return (x->cpu > y->cpu) - (x->cpu < y->cpu);
}

static void write_charts(FILE *f, const struct run_view *v, const struct cell_view *c,
			 const struct thread_view *const *threads, size_t n)
{
	fputs("<div class=\"charts\">\n", f);
	for (size_t i = 0; i < n; i++) {
		fputs("<figure>", f);
		svg_histogram(v, c, threads[i], f);
		fputs("</figure>\n", f);
	}
	fputs("</div>\n", f);
}

static void write_histograms(FILE *f, const struct run_view *v, const struct cell_view *c)
{
	_cleanup_free_ const struct thread_view **threads =
		calloc(c->n_threads ? c->n_threads : 1, sizeof(*threads));

	if (!threads) {
		fputs("<p>Out of memory: the histograms are not drawn.</p>\n", f);
		return;
	}
	for (size_t i = 0; i < c->n_threads; i++)
		threads[i] = &c->threads[i];
	if (c->n_threads <= CHARTS_AT_ONCE) {
		write_charts(f, v, c, threads, c->n_threads);
		return;
	}
	qsort(threads, c->n_threads, sizeof(*threads), by_max);
	fprintf(f, "<p>The %d CPUs with the greatest latency:</p>\n", CHARTS_AT_ONCE);
	write_charts(f, v, c, threads, CHARTS_AT_ONCE);
	fprintf(f, "<details><summary>The other %zu CPUs</summary>\n",
		c->n_threads - CHARTS_AT_ONCE);
	write_charts(f, v, c, threads + CHARTS_AT_ONCE, c->n_threads - CHARTS_AT_ONCE);
	fputs("</details>\n", f);
}

/* When drift was seen, in seconds of this cell; -1 when not in it. */
static double drift_at(const struct run_view *v, const struct cell_view *c)
{
	const char *at = json_string_value(json_object_get(v->drift, "at"));
	struct tm tm = { 0 };
	double s;

	if (!at || c->started < 0 || !strptime(at, "%Y-%m-%dT%H:%M:%S", &tm))
		return -1;
	s = (double)((int64_t)timegm(&tm) - c->started);
	return s <= (c->duration_s > 0 ? c->duration_s + c->not_measured_s + 60 : 0) ? s : -1;
}

static void write_timeline(FILE *f, const struct run_view *v, const struct cell_view *c)
{
	if (!c->n_segments)
		return;
	fputs("<figure class=\"wide\">", f);
	svg_timeline(c, drift_at(v, c), f);
	fputs("<figcaption>Grey: time that was not measured. Red with “!”: a segment with "
	      "trouble.</figcaption></figure>\n<ul>\n",
	      f);
	fprintf(f, "<li>%zu segment%s</li>\n", c->n_segments, c->n_segments == 1 ? "" : "s");
	for (size_t i = 0; i < c->n_segments; i++) {
		if (!*c->segments[i].trouble)
			continue;
		fprintf(f, "<li>segment %" PRId64 ": ", c->segments[i].index);
		write_escaped(f, c->segments[i].trouble);
		fputs("</li>\n", f);
	}
	fputs("</ul>\n", f);
}

static const struct percentile {
	const char *key, *title;
} percentiles[] = { { "p50", "p50" },	   { "p99", "p99" },	    { "p999", "p99.9" },
		    { "p9999", "p99.99" }, { "p99999", "p99.999" }, { "p999999", "p99.9999" } };

static void write_percentiles(FILE *f, const json_t *values)
{
	for (size_t i = 0; i < ARRAY_SIZE(percentiles); i++) {
		const json_t *value = json_object_get(values, percentiles[i].key);

		if (json_is_number(value)) {
			fputs("<td class=\"n\">", f);
			write_number(f, json_number_value(value));
		} else {
			fputs("<td class=\"n few\">insufficient samples", f);
		}
		fputs("</td>", f);
	}
}

static void write_thread(FILE *f, const struct thread_view *t)
{
	const int64_t counts[] = { t->cpu, t->expected_cycles, t->cycles, t->missed_cycles,
				   t->overflow };

	fputs("<tr>", f);
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		fputs("<td class=\"n\">", f);
		write_count(f, counts[i]);
		fputs("</td>", f);
	}
	fputs("<td class=\"n\">", f);
	write_count(f, t->min_us);
	fputs("</td><td class=\"n\">", f);
	write_number(f, t->avg_us);
	fputs("</td><td class=\"n\">", f);
	write_count(f, t->max_us);
	fputs("</td>", f);
	write_percentiles(f, t->percentiles);
	fputs("</tr>\n", f);
}

static void write_percentile_heads(FILE *f)
{
	for (size_t i = 0; i < ARRAY_SIZE(percentiles); i++)
		fprintf(f, "<th class=\"n\">%s</th>", percentiles[i].title);
	fputs("</tr></thead><tbody>\n", f);
}

static void write_corrected(FILE *f, const struct cell_view *c)
{
	fputs("<details><summary>Percentiles with the missed wake-ups counted as late (corrected "
	      "for "
	      "coordinated omission), µs</summary>\n<div class=\"scroll\"><table><thead><tr><th "
	      "class=\"n\">CPU</th>",
	      f);
	write_percentile_heads(f);
	for (size_t i = 0; i < c->n_threads; i++) {
		fputs("<tr><td class=\"n\">", f);
		write_count(f, c->threads[i].cpu);
		fputs("</td>", f);
		write_percentiles(f, c->threads[i].corrected);
		fputs("</tr>\n", f);
	}
	fputs("</tbody></table></div></details>\n", f);
}

static void write_threads(FILE *f, const struct cell_view *c)
{
	if (!c->n_threads) {
		fputs("<p>No CPU was measured.</p>\n", f);
		return;
	}
	fputs("<h3>Every CPU (wake-ups; latencies in µs)</h3>\n<div class=\"scroll\"><table><thead>"
	      "<tr><th class=\"n\">CPU</th><th class=\"n\">expected</th><th "
	      "class=\"n\">observed</th>"
	      "<th class=\"n\">missed</th><th class=\"n\">overflow</th><th class=\"n\">min</th><th "
	      "class=\"n\">avg</th><th class=\"n\">max</th>",
	      f);
	write_percentile_heads(f);
	for (size_t i = 0; i < c->n_threads; i++)
		write_thread(f, &c->threads[i]);
	fputs("</tbody></table></div>\n", f);
	write_corrected(f, c);
}

static void write_load(FILE *f, const char *where, const json_t *load)
{
	if (!load || json_is_null(load))
		return;
	fprintf(f, "<h3>Load on the %s, as proven</h3>\n", where);
	if (json_is_object(load)) {
		write_flat(f, load);
		return;
	}
	fputs("<p>", f);
	write_json_text(f, load);
	fputs("</p>\n", f);
}

void write_cell(FILE *f, const struct run_view *v, const struct cell_view *c)
{
	fputs("<section>\n<h2>", f);
	write_escaped(f, c->name);
	fprintf(f, " <span class=\"chip %s\">%s</span></h2>\n<p>", c->verdict, c->verdict);
	write_escaped(f, c->sentence);
	fputs("</p>\n", f);
	write_reasons(f, c->reasons);
	write_cell_facts(f, c);
	write_histograms(f, v, c);
	write_timeline(f, v, c);
	write_threads(f, c);
	write_load(f, "host", c->load_host);
	write_load(f, "guest", c->load_guest);
	fputs("</section>\n", f);
}

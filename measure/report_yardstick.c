/*
 * Yardstick's records as its file dispatcher wrote them: one JSON object a line, one line a cell.
 * It knew one thread; here the figures are those of the CPU with the greatest maximum. They are
 * zero-padded strings, as the benchmark script cut them out of cyclictest's text. A run that does
 * not count says so in "errors", which its CI compares with "".
 */
#include <inttypes.h>

#include "measure/report_text.h"

static void set_figure(json_t *data, const char *key, int64_t us)
{
	char text[24];

	snprintf(text, sizeof(text), "%05" PRId64, us);
	json_object_set_new(data, key, json_string(text));
}

/* @worst NULL: nothing was measured, and that is an error. */
static json_t *record(const struct thread_view *worst, const char *errors, json_t *timestamp,
		      size_t sequence)
{
	json_t *data = json_object();

	if (worst) {
		set_figure(data, "min", worst->min_us < 0 ? 0 : worst->min_us);
		set_figure(data, "avg", worst->avg_us < 0 ? 0 : (int64_t)worst->avg_us);
		set_figure(data, "max", worst->max_us);
	}
	return json_pack("{s:i, s:{s:o, s:s, s:o, s:i}}", "runner_id", 1, "benchmark", "timestamp",
			 timestamp, "errors", errors, "data", data, "sequence", (int)sequence);
}

static const char *words(const char *sentence, const char *verdict)
{
	return *sentence ? sentence : verdict;
}

static json_t *cell_record(const struct run_view *v, const struct cell_view *c, size_t sequence)
{
	const struct thread_view *worst = cell_worst(c);
	bool run_counts = !streq(v->verdict, "ERROR") && !streq(v->verdict, "INCONCLUSIVE");
	const char *errors = "";

	if (!worst || !streq(c->verdict, "PASS"))
		errors = words(c->sentence, c->verdict);
	else if (!run_counts)
		errors = words(v->sentence, v->verdict);
	return record(worst, errors,
		      c->started < 0 ? json_string(v->started) : json_real((double)c->started),
		      sequence);
}

static void write_line(FILE *f, json_t *line)
{
	json_dumpf(line, f, JSON_COMPACT);
	json_decref(line);
	fputc('\n', f);
}

void report_yardstick(const struct run_view *v, FILE *f)
{
	for (size_t i = 0; i < v->n_cells; i++)
		write_line(f, cell_record(v, &v->cells[i], i + 1));
	if (!v->n_cells)
		write_line(f, record(NULL, words(v->sentence, v->verdict), json_string(v->started),
				     1));
}

/*
 * One self-contained page: no script, no reference to anything outside. The model: what the run
 * proves comes first, in words and then in colour; after it the evidence, in the order of the
 * result. Every text in a result may be a guest's, so all of it goes through write_escaped(); class
 * names come from our own lists only.
 */
#include <math.h>

#include "measure/json_flat.h"
#include "measure/report_cell.h"
#include "measure/report_style.h"
#include "measure/report_text.h"

static const char *verdict_means(const char *verdict)
{
	static const struct {
		const char *verdict, *means;
	} meanings[] = {
		{ "PASS", "Every limit was met by every CPU, and nothing stands against the run." },
		{ "FAIL", "A declared limit was exceeded." },
		{ "WARN", "This is not a full pass: read the reasons." },
		{ "INCONCLUSIVE",
		  "This is NOT a pass: the run does not prove what it was to prove." },
		{ "ERROR", "This is NOT a pass: the measurement itself did not work." },
	};

	for (size_t i = 0; i < ARRAY_SIZE(meanings); i++)
		if (streq(meanings[i].verdict, verdict))
			return meanings[i].means;
	return "";
}

static void write_head(const struct run_view *v, FILE *f)
{
	fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
	      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<title>",
	      f);
	fprintf(f, "%s: ", v->verdict);
	write_escaped(f, v->id);
	fprintf(f, "</title>\n<style>%s</style>\n</head>\n<body>\n<main>\n", report_style);
	fprintf(f, "<header class=\"banner %s\"><h1><span class=\"word\">%s:</span> ", v->verdict,
		v->verdict);
	write_escaped(f, v->sentence);
	fprintf(f, "</h1><p>%s</p></header>\n", verdict_means(v->verdict));
}

static void write_fact(FILE *f, const char *name, const char *text)
{
	fprintf(f, "<dt>%s</dt><dd>", name);
	write_escaped(f, *text ? text : "not known");
	fputs("</dd>\n", f);
}

static void write_facts(const struct run_view *v, FILE *f)
{
	fputs("<dl>\n", f);
	write_fact(f, "Run", v->id);
	write_fact(f, "Measured on", v->on);
	write_fact(f, "CPUs", v->cpus);
	write_fact(f, "Profile", v->profile);
	fputs("<dt>Each cell</dt><dd>", f);
	write_duration(f, (double)v->duration_s);
	fputs(", a wake-up every ", f);
	write_count(f, v->interval_us);
	fputs(" µs, in segments of ", f);
	write_duration(f, (double)v->segment_s);
	fputs("</dd>\n<dt>Time</dt><dd>", f);
	write_escaped(f, v->started);
	fputs(" to ", f);
	write_escaped(f, v->ended);
	if (v->resumed > 0)
		fprintf(f, ", interrupted and resumed %lld time%s", (long long)v->resumed,
			v->resumed == 1 ? "" : "s");
	fputs("</dd>\n", f);
	write_fact(f, "latencyd", v->version);
	fputs("</dl>\n", f);
}

void write_reasons(FILE *f, const json_t *reasons)
{
	const json_t *reason;
	size_t i;

	if (json_array_size(reasons) == 0)
		return;
	fputs("<ul>\n", f);
	json_array_foreach(reasons, i, reason)
	{
		const json_t *code = json_object_get(reason, "code");

		fputs("<li><strong>", f);
		write_json_text(f, code ? code : reason);
		fputs("</strong>", f);
		if (json_object_get(reason, "what")) {
			fputs(": ", f);
			write_json_text(f, json_object_get(reason, "what"));
		}
		fputs("</li>\n", f);
	}
	fputs("</ul>\n", f);
}

static void write_sla_row(FILE *f, const struct cell_view *c, const struct sla_view *s)
{
	fputs("<tr><td>", f);
	write_escaped(f, c->name);
	fputs("</td><td>", f);
	write_escaped(f, s->key);
	fputs("</td>", f);
	if (s->limit < 0) {
		fputs("<td class=\"n\">not declared</td>", f);
	} else {
		fputs("<td class=\"n\">≤ ", f);
		write_number(f, s->limit);
		fprintf(f, " %s</td>", s->unit);
	}
	fputs("<td class=\"n\">", f);
	write_number(f, s->measured);
	fprintf(f, "%s%s</td><td class=\"n\">", s->measured < 0 ? "" : " ",
		s->measured < 0 ? "" : s->unit);
	write_count(f, s->cpu);
	fprintf(f, "</td><td class=\"chip %s\">%s</td></tr>\n", s->verdict,
		s->limit < 0			? "–"
		: streq(s->verdict, "met")	? "met"
		: streq(s->verdict, "exceeded") ? "EXCEEDED"
						: "not judged");
}

static void write_sla_cell(FILE *f, const struct cell_view *c)
{
	static const char *const usual[] = { "max_min_latency_us", "max_avg_latency_us",
					     "max_max_latency_us" };

	for (size_t i = 0; i < c->n_sla; i++)
		write_sla_row(f, c, &c->sla[i]);
	for (size_t k = 0; k < ARRAY_SIZE(usual); k++) {
		const struct sla_view none = { .key = usual[k],
					       .unit = "",
					       .limit = -1,
					       .measured = -1,
					       .cpu = -1,
					       .verdict = "" };
		bool there = false;

		for (size_t i = 0; i < c->n_sla; i++)
			there = there || streq(c->sla[i].key, usual[k]);
		if (!there)
			write_sla_row(f, c, &none);
	}
}

static void write_sla(const struct run_view *v, FILE *f)
{
	bool declared = json_object_size(json_object_get(v->request, "sla")) > 0;

	fputs("<h2>Limits</h2>\n", f);
	for (size_t i = 0; i < v->n_cells; i++)
		for (size_t k = 0; k < v->cells[i].n_sla; k++)
			declared = declared || v->cells[i].sla[k].limit >= 0;
	if (!declared)
		fputs("<p>No limit is declared: figures can be shown, but nothing can be "
		      "passed.</p>\n",
		      f);
	if (streq(v->action, "monitor"))
		fputs("<p>The limits are only watched (action: monitor).</p>\n", f);
	if (!v->n_cells)
		return;
	fputs("<p>Measured is the figure of the worst CPU, which is named.</p>\n"
	      "<div class=\"scroll\"><table><thead><tr><th>Cell</th><th>Key</th><th "
	      "class=\"n\">Limit</th><th class=\"n\">Measured</th><th "
	      "class=\"n\">CPU</th><th>Verdict</th></tr></thead><tbody>\n",
	      f);
	for (size_t i = 0; i < v->n_cells; i++)
		write_sla_cell(f, &v->cells[i]);
	fputs("</tbody></table></div>\n", f);
}

void write_flat(FILE *f, const json_t *tree)
{
	json_t *flat = json_flat(tree), *leaf;
	const char *key;

	fputs("<table class=\"flat\"><tbody>\n", f);
	json_object_foreach(flat, key, leaf)
	{
		fputs("<tr><td>", f);
		write_escaped(f, key);
		fputs("</td><td>", f);
		write_json_text(f, leaf);
		fputs("</td></tr>\n", f);
	}
	fputs("</tbody></table>\n", f);
	json_decref(flat);
}

static void write_differences(FILE *f, const json_t *list)
{
	const json_t *d;
	size_t i;

	fputs("<div class=\"scroll\"><table class=\"flat\"><thead><tr><th>Changed</th><th>Before"
	      "</th><th>After</th></tr></thead><tbody>\n",
	      f);
	json_array_foreach(list, i, d)
	{
		fputs("<tr><td>", f);
		write_json_text(f, json_object_get(d, "key"));
		fputs("</td><td>", f);
		write_json_text(f, json_object_get(d, "a"));
		fputs("</td><td>", f);
		write_json_text(f, json_object_get(d, "b"));
		fputs("</td></tr>\n", f);
	}
	fputs("</tbody></table></div>\n", f);
}

/* One machine's, and what was otherwise after the run: @after may not have it. */
static void write_fingerprint(FILE *f, const char *title, const json_t *before, const json_t *after)
{
	json_t *list;

	if (!before)
		return;
	fprintf(f, "<h3>%s</h3>\n", title);
	if (json_is_object(after)) {
		list = json_differences(before, after);
		if (json_array_size(list) > 0)
			write_differences(f, list);
		else
			fputs("<p>Equal before and after the run.</p>\n", f);
		json_decref(list);
	} else {
		fputs("<p>No other fingerprint is recorded from after the run.</p>\n", f);
	}
	write_flat(f, before);
}

static void write_fingerprints(const struct run_view *v, FILE *f)
{
	fputs("<h2>Fingerprint</h2>\n", f);
	if (!v->fingerprint_host && !v->fingerprint_guest)
		fputs("<p>None is recorded.</p>\n", f);
	write_fingerprint(f, "Host", v->fingerprint_host,
			  json_object_get(v->fingerprint_after, "host"));
	write_fingerprint(f, "Guest", v->fingerprint_guest,
			  json_object_get(v->fingerprint_after, "guest"));
}

static void write_state(const struct run_view *v, FILE *f)
{
	const json_t *after = json_object_get(v->state, "after");

	fputs("<h2>State of the machine</h2>\n", f);
	if (v->drift && !json_is_null(v->drift)) {
		fputs("<p class=\"chip INCONCLUSIVE\">It did not stay as declared during the "
		      "run:</p>\n",
		      f);
		if (json_is_object(v->drift)) {
			write_flat(f, v->drift);
		} else {
			fputs("<p>", f);
			write_json_text(f, v->drift);
			fputs("</p>\n", f);
		}
	} else if (!after || json_is_null(after)) {
		fputs("<p>No drift is recorded, but the state after the run is not known.</p>\n",
		      f);
	} else {
		fputs("<p>No drift was seen during the run.</p>\n", f);
	}
	fputs("<details><summary>Before and after</summary>\n", f);
	write_flat(f, v->state);
	fputs("</details>\n", f);
}

static void write_raw(const struct run_view *v, FILE *f)
{
	char *text = json_dumps(v->result, JSON_INDENT(1));

	fputs("<h2>Raw result</h2>\n<details><summary>Tool</summary>\n", f);
	write_flat(f, v->tool);
	fputs("</details>\n<details><summary>result.json</summary><pre>", f);
	write_escaped(f, text ? text : "");
	fputs("</pre></details>\n", f);
	free(text);
}

void report_html(const struct run_view *v, FILE *f)
{
	write_head(v, f);
	write_facts(v, f);
	write_reasons(f, v->reasons);
	write_sla(v, f);
	for (size_t i = 0; i < v->n_cells; i++)
		write_cell(f, v, &v->cells[i]);
	if (!v->n_cells)
		fputs("<h2>Figures</h2>\n<p>Nothing was measured.</p>\n", f);
	write_state(v, f);
	write_fingerprints(v, f);
	write_raw(v, f);
	fputs("</main>\n</body>\n</html>\n", f);
}

/*
 * The text format's rules: HELP and TYPE once before a metric's samples, a backslash, a quote and a
 * newline in a label's value escaped, UTF-8 only, and no series twice: one broken line, and the
 * collector drops the whole file.
 */
#include "daemon/metrics.h"

#include <inttypes.h>

#include "measure/json_text.h"
#include "state/settings.h"

static void write_header(FILE *f, const char *name, const char *type, const char *help)
{
	fprintf(f, "# HELP latencyd_%s %s\n# TYPE latencyd_%s %s\n", name, help, name, type);
}

static void write_value(FILE *f, const char *name, const char *help, uint64_t value)
{
	write_header(f, name, "gauge", help);
	fprintf(f, "latencyd_%s %" PRIu64 "\n", name, value);
}

/* As a label's value may be: UTF-8. malloc()ed. */
static char *label_text(const char *value)
{
	json_t *valid = json_text(value ? value : "");
	char *text = valid ? strdup(json_string_value(valid)) : NULL;

	json_decref(valid);
	return text;
}

static void write_label(FILE *f, const char *name, const char *value)
{
	_cleanup_free_ char *text = label_text(value);

	fprintf(f, "%s=\"", name);
	for (const char *p = text ? text : "?"; *p; p++) {
		if (*p == '\n')
			fputs("\\n", f);
		else
			fprintf(f, "%s%c", *p == '\\' || *p == '"' ? "\\" : "", *p);
	}
	fputc('"', f);
}

static void write_state(FILE *f, enum machine_verdict now)
{
	write_header(f, "state", "gauge",
		     "1 for the machine's verdict, 0 for the others that it could have.");
	/* MACHINE_UNKNOWN is for guests alone. */
	for (enum machine_verdict v = 0; v < MACHINE_UNKNOWN; v++)
		fprintf(f, "latencyd_state{state=\"%s\"} %d\n", machine_verdict_name(v), v == now);
}

static void write_setting(FILE *f, const char *metric, const struct reconcile_entry *e)
{
	fprintf(f, "latencyd_%s{", metric);
	write_label(f, "guest", e->guest);
	fputc(',', f);
	write_label(f, "setting", e->setting->name);
	fputc(',', f);
}

static void write_verdicts(FILE *f, const struct reconcile *memory)
{
	write_header(
		f, "setting_verdict", "gauge",
		"1 for the verdict of each managed setting; guest is empty for this machine's.");
	for (size_t i = 0; i < memory->n_entries; i++) {
		const struct reconcile_entry *e = &memory->entries[i];

		write_setting(f, "setting_verdict", e);
		write_label(f, "verdict", verdict_name(e->said));
		fputs("} 1\n", f);
	}
}

static bool same_label(const char *a, const char *b)
{
	_cleanup_free_ char *one = label_text(a), *other = label_text(b);

	return one && other && streq(one, other);
}

/* The drifts by the unit of count @i and by all that look like it as labels; 0 when an earlier
 * count has told them. */
static uint64_t drifts_by(const struct reconcile_entry *e, size_t i)
{
	uint64_t n = 0;

	for (size_t j = 0; j < e->n_counts; j++) {
		if (!same_label(e->counts[i].unit, e->counts[j].unit))
			continue;
		if (j < i)
			return 0;
		n += e->counts[j].n;
	}
	return n;
}

static void write_drifts(FILE *f, const struct reconcile *memory)
{
	write_header(f, "drifts_total", "counter",
		     "How often a setting drifted, by the systemd unit of who did it; empty: not "
		     "known.");
	for (size_t i = 0; i < memory->n_entries; i++) {
		const struct reconcile_entry *e = &memory->entries[i];

		for (size_t j = 0; j < e->n_counts; j++) {
			uint64_t n = drifts_by(e, j);

			if (n == 0)
				continue;
			write_setting(f, "drifts_total", e);
			write_label(f, "unit", e->counts[j].unit);
			fprintf(f, "} %" PRIu64 "\n", n);
		}
	}
}

static void write_all(FILE *f, const struct metrics *m)
{
	write_header(f, "info", "gauge", "Always 1; the version of latencyd.");
	fputs("latencyd_info{", f);
	write_label(f, "version", m->version);
	fputs("} 1\n", f);
	write_state(f, m->verdict);
	write_verdicts(f, m->memory);
	write_drifts(f, m->memory);
	write_value(f, "last_verified_timestamp_seconds",
		    "When the machine was last seen verified, in seconds since 1970; 0: never.",
		    (uint64_t)(m->last_verified_s > 0 ? m->last_verified_s : 0));
	write_header(f, "pass_duration_seconds", "gauge", "How long the last full look took.");
	fprintf(f, "latencyd_pass_duration_seconds %" PRIu64 ".%06" PRIu64 "\n",
		m->pass_us / 1000000, m->pass_us % 1000000);
	write_value(f, "pass_interval_seconds",
		    "Between two full looks; this file is as old at most.", m->pass_interval_s);
	write_value(f, "generation", "Counts changes of the machine's verdict.", m->generation);
	write_value(f, "paused", "1: a person has paused repairing.", m->paused);
	write_value(f, "watching",
		    "1: changes are seen at once; 0: some only by the next full look.",
		    m->watching);
	write_value(f, "persistent",
		    "1: what is known is kept over a restart; 0: it cannot be written.",
		    m->persistent);
}

char *metrics_render(const struct metrics *m)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	write_all(f, m);
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

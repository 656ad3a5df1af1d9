/*
 * explain: what a setting is, from its row, and what the machine says about it now. The first half
 * needs no document and no machine.
 */
#include "ctl/ctl.h"

#include <jansson.h>

#include "state/report_json.h"
#include "state/settings.h"

static const char *scope_name(enum scope s)
{
	static const char *const names[] = {
		[SCOPE_BOOT] = "boot",
		[SCOPE_RUNTIME] = "run time",
		[SCOPE_BOTH] = "boot and run time",
	};

	return names[s];
}

static int print_all(struct error *e)
{
	static const struct column columns[] = {
		{ .name = "SETTING" },
		{ .name = "TAKES EFFECT AT" },
		{ .name = "DISRUPTION" },
		{ .name = "WHAT IT IS", .wraps = true },
	};
	struct table *t = table_new(columns, ARRAY_SIZE(columns));

	for (size_t i = 0; i < n_settings; i++) {
		table_row(t);
		table_cell(t, 0, settings[i]->name);
		table_cell(t, 1, scope_name(settings[i]->scope));
		table_cell(t, 2, disruption_name(settings[i]->disruption));
		table_cell(t, 3, settings[i]->summary);
	}
	return table_print(t, e);
}

static json_t *row_to_json(const struct setting *s)
{
	return json_pack("{s:s, s:s?, s:s, s:s, s:s, s:s?, s:s?}", "name", s->name, "summary",
			 s->summary, "scope", scope_name(s->scope), "disruption",
			 disruption_name(s->disruption), "severity",
			 s->severity == SEVERITY_ADVISORY ? "advisory" : "required", "values",
			 s->values, "documentation", s->doc);
}

static int print_all_json(struct error *e)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n_settings; i++)
		if (json_array_append_new(list, row_to_json(settings[i])) < 0) {
			json_decref(list);
			list = NULL;
		}
	return print_json(json_pack("{s:i, s:o}", "version", 1, "settings", list), e);
}

static void print_row(const struct setting *s)
{
	printf("%s: %s\n", s->name, s->summary);
	printf("  values:        %s\n", s->values ? s->values : "-");
	printf("  takes effect:  at %s\n", scope_name(s->scope));
	printf("  disruption:    %s\n", disruption_name(s->disruption));
	printf("  severity:      %s\n", s->severity == SEVERITY_ADVISORY ? "advisory" : "required");
	printf("  documentation: %s\n", s->doc ? s->doc : "-");
	for (size_t i = 0; s->files && s->files[i]; i++)
		printf("  reads:         %s\n", s->files[i]);
	for (size_t i = 0; s->knobs && s->knobs[i].path; i++)
		printf("  reads, writes: %s\n", s->knobs[i].path);
}

static void print_field(const char *label, const char *text)
{
	if (!text)
		return;
	printf("  %s", label);
	print_text(stdout, text);
	printf("\n");
}

static void print_now(const struct setting_verdict *v)
{
	printf("\nNow: %s", verdict_name(v->verdict));
	printf(v->since ? " since %s\n" : "\n", v->since);
	print_field("want:          ", v->want);
	print_field("live:          ", v->live);
	print_field("next boot:     ", v->next_boot);
	print_field("why:           ", v->reason);
	for (size_t i = 0; i < v->n_evidence; i++) {
		printf("  read:          %s: ", v->evidence[i].path);
		print_text(stdout, v->evidence[i].value ? v->evidence[i].value : "-");
		printf("\n");
	}
	for (size_t i = 0; i < v->n_items; i++) {
		const struct verdict_item *item = &v->items[i];

		printf("  %-14s ", verdict_name(item->verdict));
		print_text(stdout, item->id);
		printf(" ");
		print_text(stdout, item->name ? item->name : "");
		printf(": ");
		print_text(stdout, item->live ? item->live : "-");
		printf(", want ");
		print_text(stdout, item->want ? item->want : "-");
		if (item->reason) {
			printf(": ");
			print_text(stdout, item->reason);
		}
		printf("\n");
	}
}

/* The row with the setting's part of the status, null when the machine could not be judged. */
static int print_one_json(const struct setting *s, const struct desired *d, const struct look *l,
			  struct error *e)
{
	json_t *row = row_to_json(s), *status = NULL, *now = NULL;

	if (l) {
		status = report_to_json(d, &l->observed, &l->report);
		now = json_array_get(json_object_get(status, "settings"), setting_index(s));
		if (!now) {
			json_decref(row);
			row = NULL;
		}
	}
	if (row && json_object_set(row, "now", now ? now : json_null()) < 0) {
		json_decref(row);
		row = NULL;
	}
	json_decref(status);
	if (row)
		(void)json_object_set_new(row, "version", json_integer(1));
	return print_json(row, e);
}

static int explain(const struct ctl *c, const struct setting *s, struct error *e)
{
	_cleanup_error_ struct error why = { 0 };
	_cleanup_desired_ struct desired d = { 0 };
	_cleanup_look_ struct look l = { 0 };
	int r;

	r = ctl_document(c, false, &d, &why);
	if (r >= 0)
		r = ctl_look(c, &d, &l, &why);
	if (c->json)
		return print_one_json(s, &d, r < 0 ? NULL : &l, e);
	print_row(s);
	if (r >= 0) {
		print_now(&l.report.settings[setting_index(s)]);
		return 0;
	}
	printf("\nNow: not judged: ");
	print_text(stdout, why.what ? why.what : strerror(-r));
	printf("\n");
	return 0;
}

int command_explain(struct ctl *c, struct error *e)
{
	const struct setting *s;

	if (c->n_args == 0)
		return c->json ? print_all_json(e) : print_all(e);
	s = setting_by_name(c->args[0]);
	if (!s)
		return ctl_usage("latencyctl explain lists the settings",
				 "there is no setting \"%s\"", c->args[0]);
	return explain(c, s, e);
}

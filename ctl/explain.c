/*
 * explain: what a setting is, from its row, and what the machine says about it now; a setting of
 * guests, for each guest. The first half needs no document and no machine.
 */
#include "ctl/ctl.h"

#include <jansson.h>

#include "ctl/published.h"
#include "state/guest.h"
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

/* The @i-th row of all: those of machines, then those of guests; NULL at the end. */
static const struct setting *row_at(size_t i)
{
	if (i < n_settings)
		return settings[i];
	return i - n_settings < n_guest_settings ? guest_settings[i - n_settings] : NULL;
}

const struct setting *row_by_name(const char *name)
{
	const struct setting *s;

	for (size_t i = 0; (s = row_at(i)); i++)
		if (streq(s->name, name))
			return s;
	return NULL;
}

static const struct setting_verdict *verdict_in(const struct setting_verdict *list, size_t n,
						const struct setting *s)
{
	for (size_t i = 0; i < n; i++)
		if (list[i].setting == s)
			return &list[i];
	return NULL;
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
	const struct setting *s;

	for (size_t i = 0; (s = row_at(i)); i++) {
		table_row(t);
		table_cell(t, 0, s->name);
		table_cell(t, 1, scope_name(s->scope));
		table_cell(t, 2, disruption_name(s->disruption));
		table_cell(t, 3, s->summary);
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
	const struct setting *s;

	for (size_t i = 0; (s = row_at(i)); i++)
		if (json_array_append_new(list, row_to_json(s)) < 0) {
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

/* @guest: "" for the machine itself. */
static void print_now(const struct setting_verdict *v, const char *guest, const struct published *p)
{
	_cleanup_free_ char *cause = published_cause(p, guest, v);

	printf("\nNow%s%s: %s", *guest ? ", guest " : "", guest, verdict_name(v->verdict));
	printf(v->since ? " since %s\n" : "\n", v->since);
	print_field("want:          ", v->want);
	print_field("live:          ", v->live);
	print_field("next boot:     ", v->next_boot);
	print_field("why:           ", v->reason);
	print_field("changed by:    ", cause);
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

/* What a status object, or a guest in it, says of the setting. Borrowed; NULL: nothing. */
static json_t *now_in(const json_t *machine, const char *name)
{
	json_t *entry;
	size_t i;

	json_array_foreach(json_object_get(machine, "settings"), i, entry)
	{
		const char *its_name = json_string_value(json_object_get(entry, "name"));

		if (its_name && streq(its_name, name))
			return entry;
	}
	return NULL;
}

/* {guest: what is known of the setting there} */
static json_t *guests_now(const json_t *status, const char *name)
{
	json_t *guests = json_object(), *guest;
	size_t i;

	json_array_foreach(json_object_get(status, "guests"), i, guest)
	{
		json_t *now = now_in(guest, name);

		if (now &&
		    json_object_set(guests, json_string_value(json_object_get(guest, "name")),
				    now) < 0) {
			json_decref(guests);
			return NULL;
		}
	}
	return guests;
}

/* The row with the setting's part of the status, null when the machine could not be judged. */
static int print_one_json(const struct setting *s, const struct desired *d, const struct look *l,
			  const struct published *p, struct error *e)
{
	json_t *row = row_to_json(s), *status = NULL, *now;

	if (l)
		status = status_json(d, l, p);
	now = now_in(status, s->name);
	if (row && (json_object_set(row, "now", now ? now : json_null()) < 0 ||
		    json_object_set_new(row, "guests", guests_now(status, s->name)) < 0 ||
		    json_object_set_new(row, "version", json_integer(1)) < 0)) {
		json_decref(row);
		row = NULL;
	}
	json_decref(status);
	return print_json(row, e);
}

/* The machine's own state of the setting, then its guests'. */
static void print_all_now(const struct report *r, const struct setting *s,
			  const struct published *p)
{
	const struct setting_verdict *v = verdict_in(r->settings, r->n_settings, s);

	if (v)
		print_now(v, "", p);
	for (size_t i = 0; i < r->n_guests; i++) {
		const struct guest_report *g = &r->guests[i];

		v = verdict_in(g->settings, g->n_settings, s);
		if (v)
			print_now(v, g->name, p);
	}
}

static int explain(const struct ctl *c, const struct setting *s, struct error *e)
{
	_cleanup_published_ struct published p = { 0 };
	_cleanup_error_ struct error why = { 0 };
	_cleanup_desired_ struct desired d = { 0 };
	_cleanup_look_ struct look l = { 0 };
	int r;

	r = ctl_document(c, false, &d, &why);
	if (r >= 0)
		r = ctl_look_published(c, &d, &l, &p, &why);
	if (c->json)
		return print_one_json(s, &d, r < 0 ? NULL : &l, &p, e);
	print_row(s);
	if (r >= 0) {
		print_all_now(&l.report, s, &p);
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
	s = row_by_name(c->args[0]);
	if (!s)
		return ctl_usage("latencyctl explain lists the settings",
				 "there is no setting \"%s\"", c->args[0]);
	return explain(c, s, e);
}

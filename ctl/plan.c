/*
 * plan: the steps as data, printed. Nothing here decides anything.
 */
#include "ctl/ctl.h"

#include <errno.h>

#include "state/report_json.h"
#include "state/settings.h"

char *step_text(const struct step *s)
{
	char *text;
	int r;

	if (s->name && *s->name)
		r = asprintf(&text, "%s %s (%s): %s -> %s", step_kind_name(s->kind),
			     s->target ? s->target : "-", s->name, s->now ? s->now : "-",
			     s->want ? s->want : "removed");
	else if (s->kind == STEP_PACKAGE || s->kind == STEP_SERVICE)
		r = asprintf(&text, "%s %s", step_kind_name(s->kind), s->target ? s->target : "-");
	else
		r = asprintf(&text, "%s %s: %s -> %s", step_kind_name(s->kind),
			     s->target ? s->target : "-", s->now ? s->now : "-",
			     s->want ? s->want : "removed");
	return r < 0 ? NULL : text;
}

int print_steps(const struct plan *p, struct error *e)
{
	static const struct column columns[] = {
		{ .name = "STEP" },
		{ .name = "SETTING" },
		{ .name = "TARGET", .wraps = true },
		{ .name = "NOW", .wraps = true },
		{ .name = "WANT", .wraps = true },
		{ .name = "DISRUPTION" },
	};
	struct table *t = table_new(columns, ARRAY_SIZE(columns));

	for (size_t i = 0; i < p->n_steps; i++) {
		const struct step *s = &p->steps[i];

		table_row(t);
		table_cell(t, 0, step_kind_name(s->kind));
		table_cell(t, 1, s->setting ? s->setting->name : NULL);
		table_cell(t, 2, s->target);
		table_cell(t, 3, s->now);
		table_cell(t, 4, s->want);
		table_cell(t, 5, disruption_name(s->disruption));
	}
	return table_print(t, e);
}

static int print_plan(const struct plan *p, struct error *e)
{
	int r = 0;

	if (p->n_steps == 0) {
		printf("nothing to do\n");
		return 0;
	}
	r = print_steps(p, e);
	if (r < 0)
		return r;
	printf("\n%zu step%s%s\n", p->n_steps, p->n_steps == 1 ? "" : "s",
	       p->needs_reboot ? ", ending in a reboot" : "");
	printf("  → latencyctl apply%s\n", p->needs_reboot ? " --reboot" : "");
	return 0;
}

int command_plan(struct ctl *c, struct error *e)
{
	_cleanup_desired_ struct desired d = { 0 };
	_cleanup_plan_ struct plan p = { 0 };
	_cleanup_look_ struct look l = { 0 };
	int r;

	r = ctl_document(c, false, &d, e);
	if (r >= 0)
		r = ctl_look(c, &d, &l, e);
	if (r < 0)
		return r;
	r = plan_make(&d, &l.observed, &p);
	if (r < 0)
		return error_set(e, r, "out of memory while planning");
	if (c->json)
		return print_json(plan_to_json(&p), e);
	return c->quiet ? 0 : print_plan(&p, e);
}

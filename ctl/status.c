/*
 * status and verify: what the machine and its guests are against what they should be. A table has
 * every setting of one of them; below it stands why a setting is not converged, with the parts
 * (IRQs, threads) that are not and who made it so. The exit code is that of the worst of them.
 */
#include "ctl/ctl.h"

#include <jansson.h>

#include "ctl/published.h"
#include "state/report_json.h"
#include "state/settings.h"

#define ITEMS_SHOWN 10

/* The host or one of its guests: both are printed the same way. */
struct machine_view {
	const char *kind; /* "host", "guest" */
	const char *name; /* "" for the host */
	enum machine_verdict verdict;
	const struct setting_verdict *settings;
	size_t n_settings;
};

static struct machine_view view_of_host(const struct desired *d, const struct report *r)
{
	return (struct machine_view){
		.kind = d->role == ROLE_GUEST ? "guest" : "host",
		.name = "",
		.verdict = r->verdict,
		.settings = r->settings,
		.n_settings = r->n_settings,
	};
}

static struct machine_view view_of_guest(const struct guest_report *g)
{
	return (struct machine_view){
		.kind = "guest ",
		.name = g->name,
		.verdict = g->verdict,
		.settings = g->settings,
		.n_settings = g->n_settings,
	};
}

static const char *verdict_color(enum verdict v)
{
	switch (v) {
	case VERDICT_CONVERGED:
		return "green";
	case VERDICT_DRIFTED:
	case VERDICT_PENDING_REBOOT:
		return "yellow";
	case VERDICT_NOT_APPLICABLE:
	case VERDICT_UNMANAGED:
		return NULL;
	default:
		return "red";
	}
}

bool verdict_settled(enum verdict v)
{
	return v == VERDICT_CONVERGED || v == VERDICT_NOT_APPLICABLE || v == VERDICT_UNMANAGED;
}

static const char *advice(enum machine_verdict v)
{
	switch (v) {
	case MACHINE_DRIFTED:
		return "latencyctl plan shows the steps that would mend it, latencyctl apply takes "
		       "them";
	case MACHINE_PENDING_REBOOT:
		return "a reboot is needed: latencyctl apply --reboot";
	case MACHINE_DEGRADED:
	case MACHINE_UNKNOWN:
		return "latencyctl explain SETTING says more about a setting";
	default:
		return NULL;
	}
}

static void print_items(const struct setting_verdict *v)
{
	size_t shown = 0, n = 0;

	for (size_t i = 0; i < v->n_items; i++) {
		const struct verdict_item *item = &v->items[i];

		if (verdict_settled(item->verdict) || ++n > ITEMS_SHOWN)
			continue;
		shown++;
		printf("    ");
		print_text(stdout, item->id);
		if (item->name && *item->name) {
			printf(" (");
			print_text(stdout, item->name);
			printf(")");
		}
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
	if (n > shown)
		printf("    and %zu more: --json lists all\n", n - shown);
}

static void print_cause(const struct published *p, const char *guest,
			const struct setting_verdict *v)
{
	_cleanup_free_ char *cause = p ? published_cause(p, guest, v) : NULL;

	if (!cause)
		return;
	printf("    changed by ");
	print_text(stdout, cause);
	printf("\n");
}

static void print_reasons(const struct machine_view *m, const struct published *p)
{
	for (size_t i = 0; i < m->n_settings; i++) {
		const struct setting_verdict *v = &m->settings[i];

		if (verdict_settled(v->verdict))
			continue;
		printf("  %s: %s", v->setting->name, verdict_name(v->verdict));
		if (v->since)
			printf(" since %s", v->since);
		if (v->reason) {
			printf(": ");
			print_text(stdout, v->reason);
		}
		printf("\n");
		print_cause(p, m->name, v);
		print_items(v);
	}
}

static void print_verdict_line(const struct machine_view *m)
{
	size_t n[_VERDICT_MAX] = { 0 };
	const char *separator = " (";

	for (size_t i = 0; i < m->n_settings; i++)
		n[m->settings[i].verdict]++;
	printf("%s%s: %s", m->kind, m->name, machine_verdict_name(m->verdict));
	for (size_t v = 0; v < _VERDICT_MAX; v++)
		if (n[v]) {
			printf("%s%zu %s", separator, n[v], verdict_name((enum verdict)v));
			separator = ", ";
		}
	printf("%s\n", *separator == ',' ? ")" : "");
}

static void print_advice(const struct report *r)
{
	const char *todo = advice(report_worst(r));

	if (todo)
		printf("  → %s\n", todo);
}

void print_verdict(const struct desired *d, const struct report *r, const struct published *p)
{
	struct machine_view m = view_of_host(d, r);

	print_verdict_line(&m);
	print_reasons(&m, p);
	for (size_t i = 0; i < r->n_guests; i++) {
		m = view_of_guest(&r->guests[i]);
		print_verdict_line(&m);
		print_reasons(&m, p);
	}
	print_advice(r);
}

static void print_machine(const struct desired *d, const struct observed *o)
{
	_cleanup_free_ char *online = cpuset_format_list(&o->online);
	_cleanup_free_ char *isolated = cpuset_format_list(&d->isolated);
	_cleanup_free_ char *housekeeping = cpuset_format_list(&d->housekeeping);

	printf("kernel: ");
	print_text(stdout, fact_known(&o->kernel_release) ? o->kernel_release.text : "not known");
	if (online && isolated && housekeeping)
		printf(", CPUs %s online: %s isolated, %s housekeeping", online,
		       *isolated ? isolated : "none", housekeeping);
	printf("\n");
}

/* A guest's table leaves out what its document does not name. */
static int print_table(const struct machine_view *m, bool unmanaged, struct error *e)
{
	static const struct column columns[] = {
		{ .name = "SETTING" },
		{ .name = "VERDICT" },
		{ .name = "LIVE", .wraps = true },
		{ .name = "WANT", .wraps = true },
		{ .name = "NEXT BOOT", .wraps = true },
	};
	struct table *t = table_new(columns, ARRAY_SIZE(columns));

	for (size_t i = 0; i < m->n_settings; i++) {
		const struct setting_verdict *v = &m->settings[i];

		if (v->verdict == VERDICT_UNMANAGED && !unmanaged)
			continue;
		table_row(t);
		table_cell(t, 0, v->setting->name);
		table_cell(t, 1, verdict_name(v->verdict));
		table_color(t, 1, verdict_color(v->verdict));
		table_cell(t, 2, v->live);
		table_cell(t, 3, v->want);
		table_cell(t, 4, v->next_boot);
	}
	return table_print(t, e);
}

json_t *status_json(const struct desired *d, const struct look *l, const struct published *p)
{
	json_t *status = report_to_json(d, &l->observed, &l->report);

	if (status && p && published_merge(p, status) < 0) {
		json_decref(status);
		return NULL;
	}
	return status;
}

static int print_guest(const struct guest_report *g, const struct published *p, struct error *e)
{
	const struct machine_view m = view_of_guest(g);
	int r;

	printf("\n");
	print_verdict_line(&m);
	if (g->kernel_release) {
		printf("kernel: ");
		print_text(stdout, g->kernel_release);
		printf("\n");
	}
	printf("\n");
	fflush(stdout);
	r = print_table(&m, false, e);
	if (r < 0)
		return r;
	printf("\n");
	print_reasons(&m, p);
	return 0;
}

int print_status(const struct desired *d, const struct look *l, const struct published *p,
		 struct error *e)
{
	const struct machine_view m = view_of_host(d, &l->report);
	int r = 0;

	print_verdict_line(&m);
	print_machine(d, &l->observed);
	if (p)
		published_print(p);
	fflush(stdout);
	if (!d->no_machine) {
		printf("\n");
		fflush(stdout);
		r = print_table(&m, true, e);
		if (r < 0)
			return r;
		printf("\n");
		print_reasons(&m, p);
	}
	for (size_t i = 0; i < l->report.n_guests && r >= 0; i++)
		r = print_guest(&l->report.guests[i], p, e);
	if (r < 0)
		return r;
	print_advice(&l->report);
	return 0;
}

static int print_look(const struct ctl *c, const struct desired *d, const struct look *l,
		      const struct published *p, struct error *e)
{
	if (c->json)
		return print_json(status_json(d, l, p), e);
	return c->quiet ? 0 : print_status(d, l, p, e);
}

int command_status(struct ctl *c, struct error *e)
{
	_cleanup_published_ struct published p = { 0 };
	_cleanup_desired_ struct desired d = { 0 };
	_cleanup_look_ struct look l = { 0 };
	int r;

	if (c->watch)
		return watch_status(c, e);
	r = ctl_document(c, false, &d, e);
	if (r < 0) {
		status_in_force(c);
		return r;
	}
	r = ctl_look_published(c, &d, &l, &p, e);
	if (r >= 0)
		r = print_look(c, &d, &l, &p, e);
	return r < 0 ? r : machine_verdict_exit_code(report_worst(&l.report));
}

static void print_waiting(const struct ctl *c, struct progress *p, const struct report *r,
			  int64_t left_s)
{
	if (c->quiet || !isatty(STDERR_FILENO))
		return;
	progress_clear(p);
	fprintf(stderr, "waiting, %lld s at most: %s", (long long)left_s,
		machine_verdict_name(report_worst(r)));
	p->shown = true;
}

/* Looks until the machine is verified or the time is over. */
static int wait_verified(const struct ctl *c, struct desired *d, struct look *l,
			 struct published *p, struct error *e)
{
	int64_t end = ctl_seconds() + c->wait_s;
	struct progress progress = { .quiet = c->quiet };
	int r;

	for (;;) {
		r = ctl_look_published(c, d, l, p, e);
		if (r < 0 || report_worst(&l->report) == MACHINE_VERIFIED || ctl_seconds() >= end)
			break;
		print_waiting(c, &progress, &l->report, end - ctl_seconds());
		look_done(l);
		*l = (struct look){ 0 };
		published_done(p);
		*p = (struct published){ 0 };
		sleep(1);
	}
	progress_clear(&progress);
	return r;
}

int command_verify(struct ctl *c, struct error *e)
{
	_cleanup_published_ struct published p = { 0 };
	_cleanup_desired_ struct desired d = { 0 };
	_cleanup_look_ struct look l = { 0 };
	int r;

	r = ctl_document(c, false, &d, e);
	if (r >= 0)
		r = wait_verified(c, &d, &l, &p, e);
	if (r < 0)
		return r;
	if (c->json)
		r = print_json(status_json(&d, &l, &p), e);
	else if (!c->quiet)
		print_verdict(&d, &l.report, &p);
	return r < 0 ? r : machine_verdict_exit_code(report_worst(&l.report));
}

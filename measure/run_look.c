/*
 * One look: an observation, judged. Of the guests only the one that is measured counts; a guest
 * that does not answer is not verified, and neither is a document that says nothing about it.
 */
#include "measure/run.h"

#include <errno.h>

#include "measure/fingerprint.h"
#include "measure/target.h"
#include "state/settings.h"

void look_state_done(struct look_state *l)
{
	json_decref(l->state);
	json_decref(l->fingerprint);
	free(l->unverified);
	free(l->guest_boot_id);
	*l = (struct look_state){ 0 };
}

static bool stands_in_the_way(const struct setting_verdict *v)
{
	return v->setting->severity == SEVERITY_REQUIRED && v->verdict != VERDICT_CONVERGED &&
	       v->verdict != VERDICT_NOT_APPLICABLE && v->verdict != VERDICT_UNMANAGED;
}

static bool says_the_same(const struct setting_verdict *a, const struct setting_verdict *b)
{
	return a->verdict == b->verdict &&
	       streq(a->reason ? a->reason : "", b->reason ? b->reason : "");
}

/* "watchdogs, tsc are unknown (the guest does not answer)": the setting at @i, which stands in the
 * way, and those behind it that say the same. Returns where another one may follow. */
static size_t write_alike(FILE *f, const struct setting_verdict *settings, size_t n, size_t i)
{
	const struct setting_verdict *first = &settings[i];
	size_t n_names = 0;

	for (; i < n; i++) {
		if (!stands_in_the_way(&settings[i]))
			continue;
		if (!says_the_same(first, &settings[i]))
			break;
		fprintf(f, "%s%s", n_names++ ? ", " : "", settings[i].setting->name);
	}
	fprintf(f, " %s %s", n_names > 1 ? "are" : "is", verdict_name(first->verdict));
	if (first->reason)
		fprintf(f, " (%s)", first->reason);
	return i;
}

/* "irq_affinity is drifted (IRQ 24 is on CPU 3); watchdogs is unknown", each behind @of; NULL when
 * out of memory. */
static char *unverified_text(const char *of, const struct setting_verdict *settings,
			     size_t n_settings, enum machine_verdict verdict)
{
	char *text = NULL;
	size_t size, n = 0, i = 0;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	while (i < n_settings) {
		if (!stands_in_the_way(&settings[i])) {
			i++;
			continue;
		}
		fprintf(f, "%s%s", n++ ? "; " : "", of);
		i = write_alike(f, settings, n_settings, i);
	}
	if (!n)
		fprintf(f, "%sthe machine is %s", of, machine_verdict_name(verdict));
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

/* Also NULL: out of memory. */
static json_t *settings_json(const struct setting_verdict *settings, size_t n)
{
	json_t *object = json_object();

	for (size_t i = 0; i < n; i++)
		json_object_set_new(object, settings[i].setting->name,
				    json_string(verdict_name(settings[i].verdict)));
	return object;
}

static const struct guest_report *find_guest(const struct report *report, const char *name)
{
	for (size_t i = 0; i < report->n_guests; i++)
		if (streq(report->guests[i].name, name))
			return &report->guests[i];
	return NULL;
}

static int add_unverified(struct look_state *l, const char *of,
			  const struct setting_verdict *settings, size_t n,
			  enum machine_verdict verdict)
{
	_cleanup_free_ char *text = unverified_text(of, settings, n, verdict);
	char *both;

	if (!text || asprintf(&both, "%s%s%s", l->unverified ? l->unverified : "",
			      l->unverified ? "; " : "", text) < 0)
		return -ENOMEM;
	free(l->unverified);
	l->unverified = both;
	return 0;
}

static int look_at_guest(const struct report *report, const char *name, struct look_state *l)
{
	const struct guest_report *g = find_guest(report, name);
	_cleanup_free_ char *of = NULL;
	json_t *guest;

	if (asprintf(&of, "guest %s: ", name) < 0) {
		of = NULL;
		return -ENOMEM;
	}
	l->guest_unknown = !g || g->verdict == MACHINE_UNKNOWN;
	if (!g || g->verdict != MACHINE_VERIFIED) {
		int r = add_unverified(l, of, g ? g->settings : NULL, g ? g->n_settings : 0,
				       g ? g->verdict : MACHINE_UNKNOWN);
		if (r < 0)
			return r;
	}
	if (!g)
		return 0;
	if (g->boot_id && !(l->guest_boot_id = strdup(g->boot_id)))
		return -ENOMEM;
	guest = json_pack("{s:s, s:s, s:o}", "name", name, "verdict",
			  machine_verdict_name(g->verdict), "settings",
			  settings_json(g->settings, g->n_settings));
	return json_object_set_new(l->state, "guest", guest) < 0 ? -ENOMEM : 0;
}

int look_state_take(const struct look_request *rq, struct look_state *ret)
{
	_cleanup_observed_ struct observed o = { 0 };
	_cleanup_report_ struct report report = { 0 };
	_cleanup_(look_state_done) struct look_state l = { 0 };
	const char *guest = rq->options->target->guest;
	char at[ISO_TIME_SIZE];
	int r = rq->options->observe(rq->root, rq->d, &o);

	if (r == 0)
		r = rq->hooks->judge(rq->d, &o, &report);
	if (r == 0 && rq->test && rq->options->overlay)
		r = rq->options->overlay(rq->root, rq->d, &report);
	if (r == 0 && rq->test)
		r = fingerprint_make(rq->root, rq->d, &o, rq->test, &l.fingerprint);
	if (r < 0)
		return r;
	iso_time(time(NULL), at);
	l.state = json_pack("{s:s, s:s, s:o}", "at", at, "verdict",
			    machine_verdict_name(report.verdict), "settings",
			    settings_json(report.settings, report.n_settings));
	if (!l.state)
		return -ENOMEM;
	if (report.verdict != MACHINE_VERIFIED)
		r = add_unverified(&l, "", report.settings, report.n_settings, report.verdict);
	if (r == 0 && guest)
		r = look_at_guest(&report, guest, &l);
	if (r < 0)
		return r;
	*ret = l;
	l = (struct look_state){ 0 };
	return 0;
}

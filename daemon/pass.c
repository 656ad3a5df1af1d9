/*
 * Looking: a pass at everything, or a look at the settings that somebody wrote to. Both end alike:
 * judged, held against the memory of the loop, alerted, and made the status; only a difference is
 * written, announced or logged. Between looks nothing of an observation is kept, only the status
 * text: the daemon's idle memory does not depend on the machine's size.
 */
#include <errno.h>
#include <malloc.h>
#include <time.h>

#include <jansson.h>
#include <systemd/sd-daemon.h>

#include "daemon/bus.h"
#include "daemon/fingerprint.h"
#include "daemon/journal.h"
#include "daemon/manager.h"
#include "daemon/metrics.h"
#include "daemon/pin.h"
#include "daemon/publish.h"
#include "state/plan.h"
#include "state/report_json.h"

/* Off the isolated CPUs, again if somebody moved us. */
static void keep_off_isolated(struct manager *m, const struct observed *o)
{
	_cleanup_cpuset_ struct cpuset wanted = { 0 }, now = { 0 };
	_cleanup_error_ struct error e = { 0 };
	int r;

	r = cpuset_copy(&wanted, &m->desired.housekeeping);
	if (r < 0)
		return;
	cpuset_and(&wanted, &o->online);
	if (pinned_to(&now) == 0 && cpuset_subset(&now, &wanted))
		return;
	r = pin_to(&wanted, &e);
	if (r < 0)
		manager_complain_of(m, &e, r);
}

static bool any_drifted(const struct report *r)
{
	for (size_t i = 0; i < r->n_settings; i++)
		if (r->settings[i].verdict == VERDICT_DRIFTED)
			return true;
	return false;
}

/* What was said last: by this daemon, or by the one before it in this boot. */
static json_t *previous_status(struct manager *m)
{
	return m->status ? json_loads(m->status, 0, NULL) : look_previous(&m->root);
}

/* ---- saying it ---- */

/* What the daemon knows beside the verdicts. */
static int add_own_state(struct manager *m, json_t *status)
{
	const char *until = NULL;
	bool paused = manager_paused(m, &until);
	const char *lost = m->alerts.lost, *verified = m->alerts.last_verified;
	int r = 0;

	r |= json_object_set_new(status, "paused_until", paused ? json_string(until) : json_null());
	r |= json_object_set_new(status, "watching",
				 m->watch ? watch_to_json(m->watch) : json_null());
	r |= json_object_set_new(status, "persistence", json_string(lost ? lost : "ok"));
	r |= json_object_set_new(status, "last_verified",
				 verified ? json_string(verified) : json_null());
	r |= json_object_set_new(status, "document_state",
				 json_string(m->document_state ? m->document_state : "in-force"));
	return r ? -ENOMEM : 0;
}

/* Takes the status object in. Returns its text, NULL when it is the same as before. */
static char *changed_text(struct manager *m, json_t *status)
{
	char *text = add_own_state(m, status) == 0 ? json_dumps(status, JSON_COMPACT) : NULL;

	json_decref(status);
	if (text && m->status && streq(text, m->status)) {
		free(text);
		return NULL;
	}
	return text;
}

static void write_metrics(struct manager *m)
{
	_cleanup_error_ struct error e = { 0 };
	const struct metrics metrics = {
		.verdict = m->verdict,
		.memory = &m->memory,
		.version = PACKAGE_VERSION,
		.last_verified_s = iso_time_seconds(m->alerts.last_verified),
		.pass_us = m->pass_us,
		.pass_interval_s = m->has_document ? m->desired.drift.pass_interval_s
						   : (unsigned)(PASS_INTERVAL_US / 1000000),
		.generation = m->generation,
		.paused = manager_paused(m, NULL),
		.watching = m->watch && !watch_trouble(m->watch),
		.persistent = !m->alerts.lost,
	};

	bool wanted = !m->has_document || (m->desired.drift.alert & ALERT_METRICS);

	if (!m->root.live)
		return;
	if ((wanted ? metrics_write(&metrics, &e) : metrics_remove(&e)) < 0)
		manager_complain_of(m, &e, e.code);
}

/* @before: the verdict's name as it was, NULL: none. @status is taken over. */
static void say(struct manager *m, const char *before, json_t *status, const char *why)
{
	const char *now = machine_verdict_name(m->verdict);
	_cleanup_error_ struct error e = { 0 };
	bool turned = !before || !streq(before, now);
	char *text;

	if (turned) {
		journal_verdict(m->verdict, before, status, why);
		(void)sd_notifyf(false, "STATUS=%s%s%s", now, why ? ": " : "", why ? why : "");
	}
	text = changed_text(m, status);
	if (m->root.live)
		verified_target_set(m, m->verdict == MACHINE_VERIFIED);
	if (!text)
		return;
	free(m->status);
	m->status = text;
	if (m->root.live && publish(STATUS_PATH, text, &e) < 0)
		manager_complain_of(m, &e, e.code);
	write_metrics(m);
	bus_announce(m);
}

/* ---- judging ---- */

static void wake_at(struct manager *m, uint64_t when_us, uint64_t settings)
{
	m->wake = when_us ? settings : 0;
	if (!when_us) {
		(void)sd_event_source_set_enabled(m->wake_timer, SD_EVENT_OFF);
		return;
	}
	(void)sd_event_source_set_time(m->wake_timer, when_us);
	(void)sd_event_source_set_enabled(m->wake_timer, SD_EVENT_ONESHOT);
}

/*
 * Holds the report against what was said before: alerts go out, contested settings are called so,
 * and what is to be mended is noted. While a boot is being settled what differs is nobody's doing
 * and no news.
 */
static int take_in(struct manager *m, struct report *report, uint64_t looked)
{
	char now[ISO_TIME_SIZE];
	struct reconcile_step s = {
		.d = &m->desired,
		.looked = looked,
		.touches = &m->touches,
		.now_us = manager_now_us(),
		.now = iso_time(time(NULL), now),
	};
	int r;

	if (m->settling)
		return 0;
	r = reconcile_take(&m->memory, report, &s);
	if (r < 0)
		return r;
	m->repair = (m->repair & ~looked) | s.repair;
	wake_at(m, s.wake_us, s.wake);
	if (s.n_alerts)
		alerts_send(m, s.alerts, s.n_alerts);
	reconcile_step_done(&s);
	return 0;
}

/* "Verified" stands on a kernel, a microcode, a set of CPUs: on another one it begins anew. */
static void note_verified(struct manager *m, const struct observed *o)
{
	_cleanup_free_ char *now = NULL;
	struct alerts *a = &m->alerts;
	char text[ISO_TIME_SIZE];

	if (m->verdict != MACHINE_VERIFIED || m->settling)
		return;
	free(a->last_verified);
	a->last_verified = strdup(iso_time(time(NULL), text));
	now = fingerprint(&m->root, o);
	if (!now || (a->fingerprint && streq(a->fingerprint, now)))
		return;
	if (a->fingerprint) {
		journal_requalify(a->fingerprint, now);
		m->generation++;
	}
	free(a->fingerprint);
	a->fingerprint = take_ptr(now);
	alerts_keep(m);
}

static json_t *judged(struct manager *m, struct look *l, const json_t *previous)
{
	char now[ISO_TIME_SIZE];

	m->resolved = true;
	if (m->root.live) {
		keep_off_isolated(m, &l->observed);
		keeper_look(m, l);
	}
	m->drifted = any_drifted(&l->report);
	if (take_in(m, &l->report, ALL_SETTINGS) < 0)
		return NULL;
	m->verdict = l->report.verdict;
	if (report_carry(&l->report, previous, iso_time(time(NULL), now)) < 0)
		return NULL;
	m->generation = l->report.generation;
	note_verified(m, &l->observed);
	l->report.generation = m->generation;
	return report_to_json(&m->desired, &l->observed, &l->report);
}

/* Without a document there is still a kernel to tell of. */
static json_t *unjudged(struct manager *m, const json_t *previous, const struct error *e)
{
	_cleanup_observed_ struct observed o = { 0 };
	const char *document = m->has_document ? m->desired.source : DOCUMENT_PATH;
	int r = observe(&m->root, m->has_document ? &m->desired : NULL, &o);

	keeper_blind(&m->keeper);
	m->drifted = m->resolved = false;
	m->repair = 0;
	m->verdict = MACHINE_DEGRADED;
	m->generation = generation_after(previous, m->verdict);
	return unjudged_to_json(document, r < 0 ? NULL : &o, e, m->generation);
}

static const char *verdict_in(const json_t *status)
{
	return json_string_value(json_object_get(status, "verdict"));
}

/* Only the first look, before the daemon says that it is ready, waits for its guests. */
static int take_look(struct manager *m, struct look *ret, struct error *e)
{
	struct guest_source source = { 0 };
	int r = manager_load_document(m, e);

	if (m->status)
		source = guest_asker_source(&m->asker);
	if (r >= 0)
		r = look_take_from(&m->root, &m->desired, &source, ret, e);
	if (r != -EINPROGRESS)
		guest_asker_done(&m->asker);
	return r;
}

/* False: not yet. */
static bool look(struct manager *m)
{
	_cleanup_error_ struct error e = { 0 };
	_cleanup_look_ struct look l = { 0 };
	json_t *previous, *status;
	int r;

	r = take_look(m, &l, &e);
	if (r == -EINPROGRESS)
		return false;
	if (r < 0)
		manager_complain_of(m, &e, r);
	previous = previous_status(m);
	status = r < 0 ? unjudged(m, previous, &e) : judged(m, &l, previous);
	if (status)
		say(m, verdict_in(previous), status,
		    r < 0 ? (e.what ? e.what : strerror(-r)) : NULL);
	json_decref(previous);
	return true;
}

bool manager_pass(struct manager *m)
{
	uint64_t began_us = manager_now_us();

	if (!m->asker.waiting)
		manager_forget_complaints(m);
	m->pass_due = false;
	(void)bus_connect(m);
	if (m->root.live)
		peer_open(&m->peer);
	if (!look(m))
		return false;
	m->touched = 0;
	if (m->root.live)
		verified_target_check(m);
	touches_forget(&m->touches, began_us);
	if (m->verdict == MACHINE_VERIFIED)
		m->converge_left = 0;
	m->pass_us = manager_now_us() - began_us;
	alerts_keep(m);
	write_metrics(m);
	(void)malloc_trim(0);
	return true;
}

/* ---- a part of it ---- */

static bool was_verified(const json_t *status)
{
	const char *verdict = verdict_in(status);

	return verdict && streq(verdict, machine_verdict_name(MACHINE_VERIFIED));
}

static json_t *judged_part(struct manager *m, const struct desired *part, uint64_t settings,
			   json_t *previous)
{
	_cleanup_look_ struct look l = { 0 };
	char now[ISO_TIME_SIZE];

	if (observe(&m->root, part, &l.observed) < 0 || judge(part, &l.observed, &l.report) < 0 ||
	    take_in(m, &l.report, settings) < 0)
		return NULL;
	m->verdict = l.report.verdict;
	if (report_carry(&l.report, previous, iso_time(time(NULL), now)) < 0)
		return NULL;
	m->generation = l.report.generation;
	/* What is verified again may be another machine by now. */
	if (!was_verified(previous))
		note_verified(m, &l.observed);
	l.report.generation = m->generation;
	return status_replace(previous, &l.report, settings) < 0 ? NULL : previous;
}

void manager_look_at(struct manager *m, uint64_t settings)
{
	_cleanup_free_ char *before = NULL;
	struct desired part;
	json_t *previous;

	/* Nothing is known of the rest, or only what was so before a boot. */
	if (!m->has_document || !m->resolved || !m->memory.whole || !m->status) {
		manager_pass_soon(m);
		return;
	}
	part = look_part(&m->desired, settings);
	previous = previous_status(m);
	before = strdup(machine_verdict_name(m->verdict));
	if (previous && before && judged_part(m, &part, settings, previous)) {
		say(m, before, previous, NULL);
		alerts_keep(m);
		return;
	}
	json_decref(previous);
	manager_pass_soon(m);
}

int manager_plan(struct manager *m, char **ret_json, struct error *e)
{
	_cleanup_look_ struct look l = { 0 };
	_cleanup_plan_ struct plan p = { 0 };
	json_t *json;
	int r;

	if (!m->has_document)
		return error_set(e, -ENOENT, "there is no document in force");
	r = look_take(&m->root, &m->desired, &l, e);
	if (r >= 0)
		r = plan_make(&m->desired, &l.observed, &p);
	json = r < 0 ? NULL : plan_to_json(&p);
	*ret_json = json ? json_dumps(json, JSON_COMPACT) : NULL;
	json_decref(json);
	return r < 0 ? r : *ret_json ? 0 : error_set(e, -ENOMEM, "out of memory");
}

/*
 * A pass: look, judge, compare with what was last said. Only a difference is written, announced or
 * logged. Between passes nothing of an observation is kept, only the status text: the daemon's idle
 * memory does not depend on the machine's size.
 *
 * The daemon itself changes nothing on the machine but its own affinity, its status file, marks of
 * its own and latency-verified.target: an apply, the rest of a revert or a measurement runs in a
 * child.
 */
#include "daemon/manager.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <time.h>

#include <jansson.h>
#include <systemd/sd-daemon.h>

#include "actuators/execute.h"
#include "daemon/bus.h"
#include "daemon/journal.h"
#include "daemon/pin.h"
#include "daemon/publish.h"
#include "state/report_json.h"

/* Was @line said in this pass or the one before? Lines end in a newline. */
static bool was_said(const struct manager *m, const char *line)
{
	return (m->complaints && strstr(m->complaints, line)) ||
	       (m->complaints_before && strstr(m->complaints_before, line));
}

static void forget_complaints(struct manager *m)
{
	free(m->complaints_before);
	m->complaints_before = take_ptr(m->complaints);
}

void manager_complain(struct manager *m, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL, *line = NULL;
	char *all;
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (r < 0 || asprintf(&line, "%s\n", text) < 0)
		return;
	if (!was_said(m, line))
		fprintf(stderr, SD_WARNING "%s", line);
	if (asprintf(&all, "%s%s", m->complaints ? m->complaints : "", line) < 0)
		return;
	free(m->complaints);
	m->complaints = all;
}

static void complain_of(struct manager *m, const struct error *e, int r)
{
	const char *what = e->what ? e->what : strerror(-r);

	if (e->todo)
		manager_complain(m, "%s; %s", what, e->todo);
	else
		manager_complain(m, "%s", what);
}

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
		complain_of(m, &e, r);
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

/* Takes the status object in. Returns its text, NULL when it is the same as before. */
static char *changed_text(struct manager *m, json_t *status)
{
	char *text = status ? json_dumps(status, JSON_COMPACT) : NULL;

	json_decref(status);
	if (text && m->status && streq(text, m->status)) {
		free(text);
		return NULL;
	}
	return text;
}

static void say(struct manager *m, const json_t *previous, json_t *status, const char *why)
{
	const char *before = json_string_value(json_object_get(previous, "verdict"));
	const char *now = machine_verdict_name(m->verdict);
	_cleanup_error_ struct error e = { 0 };
	bool turned = !before || !streq(before, now);
	char *text;

	if (turned)
		journal_verdict(m->verdict, before, status, why);
	text = changed_text(m, status);
	(void)sd_notifyf(false, "STATUS=%s%s%s", now, why ? ": " : "", why ? why : "");
	if (!text)
		return;
	free(m->status);
	m->status = text;
	if (m->root.live && publish(STATUS_PATH, text, &e) < 0)
		complain_of(m, &e, e.code);
	if (turned)
		bus_announce(m);
}

static json_t *judged(struct manager *m, struct look *l, const json_t *previous)
{
	char now[ISO_TIME_SIZE];

	if (m->root.live) {
		keep_off_isolated(m, &l->observed);
		keeper_look(m, l);
	}
	m->drifted = any_drifted(&l->report);
	m->verdict = l->report.verdict;
	if (report_carry(&l->report, previous, iso_time(time(NULL), now)) < 0)
		return NULL;
	m->generation = l->report.generation;
	return report_to_json(&m->desired, &l->observed, &l->report);
}

/* Without a document there is still a kernel to tell of. */
static json_t *unjudged(struct manager *m, const json_t *previous, const struct error *e)
{
	_cleanup_observed_ struct observed o = { 0 };
	const char *document = m->has_document ? m->desired.source : DOCUMENT_PATH;
	int r = observe(&m->root, m->has_document ? &m->desired : NULL, &o);

	keeper_blind(&m->keeper);
	m->drifted = false;
	m->verdict = MACHINE_DEGRADED;
	m->generation = generation_after(previous, m->verdict);
	return unjudged_to_json(document, r < 0 ? NULL : &o, e, m->generation);
}

static int load_document(struct manager *m, struct error *e)
{
	int r;

	if (m->has_document)
		return 0;
	r = document_load(&m->root, NULL, &m->desired, e);
	m->has_document = r >= 0;
	if (r == -ENOENT && peer_has_host(&m->peer)) {
		r = error_set(e, r, "no document yet: waiting for the host");
		error_todo(e, "its latencyd gives this guest one, or write it to " DOCUMENT_PATH);
	}
	return r;
}

static void look(struct manager *m)
{
	_cleanup_error_ struct error e = { 0 };
	_cleanup_look_ struct look l = { 0 };
	json_t *previous = previous_status(m), *status;
	int r;

	r = load_document(m, &e);
	if (r >= 0)
		r = look_take(&m->root, &m->desired, &l, &e);
	if (r < 0)
		complain_of(m, &e, r);
	status = r < 0 ? unjudged(m, previous, &e) : judged(m, &l, previous);
	if (status)
		say(m, previous, status, r < 0 ? (e.what ? e.what : strerror(-r)) : NULL);
	json_decref(previous);
}

void manager_pass(struct manager *m)
{
	forget_complaints(m);
	(void)bus_connect(m);
	if (m->root.live)
		peer_open(&m->peer);
	look(m);
	if (m->verdict == MACHINE_VERIFIED)
		m->converge_left = 0;
	if (m->root.live)
		bus_set_target(m, m->verdict == MACHINE_VERIFIED);
	(void)malloc_trim(0);
}

/* The new document counts only when this machine can be judged by it. */
static int reload_document(struct manager *m, struct error *e)
{
	_cleanup_desired_ struct desired d = { 0 };
	_cleanup_look_ struct look l = { 0 };
	int r;

	r = document_load(&m->root, NULL, &d, e);
	if (r >= 0)
		r = look_take(&m->root, &d, &l, e);
	if (r < 0)
		return r;
	desired_done(&m->desired);
	m->desired = d;
	m->has_document = true;
	d = (struct desired){ 0 };
	return 0;
}

void manager_pass_soon(struct manager *m)
{
	(void)sd_event_source_set_time_accuracy(m->pass_timer, 1);
	(void)sd_event_source_set_time_relative(m->pass_timer, 0);
	(void)sd_event_source_set_enabled(m->pass_timer, SD_EVENT_ONESHOT);
}

static void schedule_pass(struct manager *m)
{
	uint64_t interval = m->keeper.unsettled ? KEEPER_INTERVAL_US : PASS_INTERVAL_US;

	(void)sd_event_source_set_time_accuracy(m->pass_timer, interval / 6);
	(void)sd_event_source_set_time_relative(m->pass_timer, interval);
	(void)sd_event_source_set_enabled(m->pass_timer, SD_EVENT_ONESHOT);
}

void manager_refresh(struct manager *m)
{
	_cleanup_error_ struct error e = { 0 };
	int r = m->has_document ? reload_document(m, &e) : 0; /* a first one is the pass's */

	if (r < 0) {
		error_prefix(&e, "the new document is refused, the old one stays");
		complain_of(m, &e, r);
	}
	manager_pass(m);
	schedule_pass(m);
}

static void finish_if_stopping(struct manager *m)
{
	if (m->stopping && !m->child.running && !m->role.segment.running &&
	    !m->keeper.measure.running)
		(void)sd_event_exit(m->event, 0);
}

void manager_child_ended(struct manager *m)
{
	manager_pass_soon(m);
	finish_if_stopping(m);
}

static void answer_apply(struct manager *m, int status, const char *tail)
{
	if (!m->apply_call)
		return;
	(void)sd_bus_reply_method_return(m->apply_call, "is", status, tail);
	m->apply_call = sd_bus_message_unref(m->apply_call);
}

static void on_applied(int status, const char *tail, void *userdata)
{
	struct manager *m = userdata;
	bool refused = status == EXIT_FAILURE || status == 2 || status > 5;

	if (refused)
		manager_complain(m, "latencyctl apply failed (%d): %s", status, tail);
	answer_apply(m, status, tail);
	manager_refresh(m); /* the child went by the document as it is now */
	guest_role_converge(&m->role);
	keeper_act(m);
	finish_if_stopping(m);
}

int manager_apply(struct manager *m, bool reboot, sd_bus_message *call, struct error *e)
{
	const char *argv[] = { "latencyctl", "apply", "--quiet", reboot ? "--reboot" : NULL, NULL };
	int r;

	if (!m->root.live)
		return error_set(e, -EROFS, "this latencyd only watches %s", m->root.path);
	if (m->stopping)
		return error_set(e, -ESHUTDOWN, "latencyd is stopping");
	if (m->role.segment.running)
		return error_set(e, -EBUSY, "the host measures in this guest");
	r = child_start_latencyctl(&m->child, m->event, argv, on_applied, m, e);
	if (r >= 0 && call)
		m->apply_call = sd_bus_message_ref(call);
	return r;
}

static int resume_revert(void)
{
	_cleanup_error_ struct error e = { 0 };
	_cleanup_close_ int lock = machine_lock(&e);
	int r = lock < 0 ? lock : revert_resume(&e);

	if (r < 0)
		fprintf(stderr, "%s", e.what ? e.what : strerror(-r));
	return r < 0 ? EXIT_FAILURE : 0;
}

static void on_reverted(int status, const char *tail, void *userdata)
{
	struct manager *m = userdata;

	if (status != 0)
		manager_complain(m, "the pending revert could not be finished: %s", tail);
	manager_pass(m);
	finish_if_stopping(m);
}

/* The run-time half of what was applied is gone after a boot. A machine that was never applied to,
 * or was reverted, is only watched. */
static void converge_again(struct manager *m)
{
	_cleanup_error_ struct error e = { 0 };
	bool reverting = false;

	if (m->converge_left == 0 || !m->drifted || m->child.running || m->stopping ||
	    m->role.segment.running || m->keeper.measure.running ||
	    originals_exist(&reverting) <= 0 || reverting)
		return;
	m->converge_left--;
	if (manager_apply(m, false, NULL, &e) < 0)
		complain_of(m, &e, e.code);
}

/* What may be mended without being asked. */
static void mend(struct manager *m)
{
	converge_again(m);
	keeper_act(m);
}

/* What a boot leaves to do: the rest of a revert, or the run-time settings. */
static void settle(struct manager *m)
{
	_cleanup_error_ struct error e = { 0 };
	bool reverting = false;
	int r = originals_exist(&reverting);

	if (r < 0)
		error_set(&e, r, "cannot read the kept originals: %s", strerror(-r));
	else if (r > 0 && reverting)
		r = child_start_function(&m->child, m->event, resume_revert, on_reverted, m, &e);
	else
		mend(m);
	if (r < 0)
		complain_of(m, &e, r);
}

static int on_pass_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct manager *m = userdata;

	(void)s;
	(void)usec;
	manager_pass(m);
	if (m->root.live)
		mend(m);
	schedule_pass(m);
	return 0;
}

static int on_terminate(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata)
{
	struct manager *m = userdata;

	(void)s;
	(void)si;
	m->stopping = true;
	guest_role_stop_segment(&m->role);
	child_signal(&m->keeper.measure, SIGINT);
	(void)sd_notify(false, "STOPPING=1");
	finish_if_stopping(m);
	return 0;
}

static int on_reload(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata)
{
	struct manager *m = userdata;
	struct timespec now;

	(void)s;
	(void)si;
	clock_gettime(CLOCK_MONOTONIC, &now);
	(void)sd_notifyf(false, "RELOADING=1\nMONOTONIC_USEC=%lld",
			 (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
	forget_complaints(m); /* whoever asks anew is answered anew */
	forget_complaints(m);
	manager_refresh(m);
	(void)sd_notify(false, "READY=1");
	return 0;
}

static int add_sources(struct manager *m)
{
	int r;

	r = sd_event_add_signal(m->event, NULL, SIGTERM, on_terminate, m);
	if (r >= 0)
		r = sd_event_add_signal(m->event, NULL, SIGINT, on_terminate, m);
	if (r >= 0)
		r = sd_event_add_signal(m->event, NULL, SIGHUP, on_reload, m);
	if (r >= 0)
		r = sd_event_add_time_relative(m->event, &m->pass_timer, CLOCK_MONOTONIC,
					       PASS_INTERVAL_US, PASS_INTERVAL_US / 6,
					       on_pass_timer, m);
	if (r >= 0)
		r = sd_event_set_watchdog(m->event, true);
	return r;
}

int manager_init(struct manager *m, const char *root_path, struct error *e)
{
	sigset_t handled;
	int r;

	*m = (struct manager){
		.root.fd = -1,
		.child.output = -1,
		.target = -1,
		.converge_left = BOOT_CONVERGE_TRIES,
		.peer.port = -1,
		.peer.listener = -1,
		.role.segment.output = -1,
	};
	keeper_init(&m->keeper);
	sigemptyset(&handled);
	sigaddset(&handled, SIGTERM);
	sigaddset(&handled, SIGINT);
	sigaddset(&handled, SIGHUP);
	sigaddset(&handled, SIGCHLD);
	sigprocmask(SIG_BLOCK, &handled, NULL);
	r = sysroot_open(root_path, &m->root, e);
	if (r < 0)
		return r;
	r = sd_event_default(&m->event);
	if (r >= 0)
		r = add_sources(m);
	if (r >= 0)
		r = guest_role_init(&m->role, m);
	if (r >= 0)
		peer_init(&m->peer, m->event, &m->root, guest_role_export, m);
	return r < 0 ? error_set(e, r, "cannot set up the event loop: %s", strerror(-r)) : 0;
}

void manager_done(struct manager *m)
{
	sd_bus_message_unref(m->apply_call);
	child_close(&m->child);
	peer_done(&m->peer);
	guest_role_done(&m->role);
	keeper_done(&m->keeper);
	bus_close(m);
	sd_event_source_unref(m->pass_timer);
	sd_event_unref(m->event);
	desired_done(&m->desired);
	sysroot_close(&m->root);
	free(m->status);
	free(m->complaints);
	free(m->complaints_before);
}

int manager_run(struct manager *m, struct error *e)
{
	int r;

	manager_pass(m);
	(void)sd_notify(false, "READY=1");
	if (m->root.live)
		settle(m);
	r = sd_event_loop(m->event);
	return r < 0 ? error_set(e, r, "the event loop ended: %s", strerror(-r)) : 0;
}

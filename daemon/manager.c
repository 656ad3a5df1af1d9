/*
 * The loop: a slow pass for what the kernel changes by itself, a look after each batch of events,
 * signals, and the queue of what was asked for.
 *
 * The daemon itself changes nothing on the machine but its own affinity, its status file, marks of
 * its own, latency-verified.target, and the kernel files, IRQs and threads that it mends;
 * everything else runs as a task.
 */
#include "daemon/manager.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <time.h>

#include <systemd/sd-daemon.h>

#include "actuators/root.h"
#include "daemon/bus.h"
#include "daemon/journal.h"
#include "daemon/pause.h"

uint64_t manager_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

bool manager_busy(const struct manager *m)
{
	return m->requests.task.running || m->role.segment.running || m->keeper.measure.running;
}

/* ---- when to look ---- */

void manager_pass_soon(struct manager *m)
{
	m->pass_due = true;
	(void)sd_event_source_set_time_accuracy(m->pass_timer, 1);
	(void)sd_event_source_set_time_relative(m->pass_timer, 0);
	(void)sd_event_source_set_enabled(m->pass_timer, SD_EVENT_ONESHOT);
}

/* The pass may come later by a sixth: nothing waits for it. */
static void schedule_pass(struct manager *m)
{
	uint64_t interval =
		m->has_document ? m->desired.drift.pass_interval_s * 1000000ULL : PASS_INTERVAL_US;

	if (m->pass_due)
		return;
	if (m->keeper.unsettled && interval > KEEPER_INTERVAL_US)
		interval = KEEPER_INTERVAL_US;
	(void)sd_event_source_set_time_accuracy(m->pass_timer, interval / 6);
	(void)sd_event_source_set_time_relative(m->pass_timer, interval);
	(void)sd_event_source_set_enabled(m->pass_timer, SD_EVENT_ONESHOT);
}

void manager_look_soon(struct manager *m, uint64_t settings)
{
	m->touched |= settings;
	(void)sd_event_source_set_enabled(m->look_source, SD_EVENT_ONESHOT);
}

static void make_pass(void *userdata)
{
	struct manager *m = userdata;

	if (!manager_pass(m))
		return;
	manager_mend(m);
	schedule_pass(m);
}

static int on_pass_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
	(void)s;
	(void)usec;
	make_pass(userdata);
	return 0;
}

static int on_look(sd_event_source *s, void *userdata)
{
	struct manager *m = userdata;
	uint64_t settings = m->touched;

	(void)s;
	m->touched = 0;
	if (m->document_touched)
		manager_check_document(m);
	if (settings == 0)
		return 0;
	manager_look_at(m, settings);
	manager_mend(m);
	return 0;
}

static int on_wake(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct manager *m = userdata;

	(void)s;
	(void)usec;
	manager_look_at(m, m->wake);
	manager_mend(m);
	return 0;
}

/* ---- what the watch tells ---- */

static bool is_document(const char *path)
{
	return streq(path, DOCUMENT_PATH);
}

static bool on_concerns(const char *path, void *userdata)
{
	const struct manager *m = userdata;

	return is_document(path) || (m->has_document && settings_touched(&m->desired, path));
}

static void on_written(const char *path, const struct writer *w, bool changed, void *userdata)
{
	struct manager *m = userdata;
	uint64_t settings = m->has_document ? settings_touched(&m->desired, path) : 0;

	if (!changed)
		return; /* closed, or a write that failed: as it was */
	if (is_document(path))
		m->document_touched = true;
	if (settings)
		(void)touches_add(&m->touches, settings, path, w, manager_now_us());
	manager_look_soon(m, settings);
}

static void on_stirred(const char *what, void *userdata)
{
	(void)what;
	manager_pass_soon(userdata);
}

static void on_watch_changed(void *userdata)
{
	struct manager *m = userdata;
	const char *trouble = watch_trouble(m->watch);

	journal_watching(trouble);
	manager_pass_soon(m);
}

/* ---- requests, tasks, pauses ---- */

static void finish_if_stopping(struct manager *m)
{
	bool in_unit = m->requests.task.unit != NULL; /* it goes on without us */

	if (m->stopping && (!m->requests.task.running || in_unit) && !m->role.segment.running &&
	    !m->keeper.measure.running)
		(void)sd_event_exit(m->event, 0);
}

void manager_task_ended(struct manager *m)
{
	requests_go(m);
	manager_pass_soon(m);
	finish_if_stopping(m);
}

static bool refused(int status)
{
	return status == EXIT_FAILURE || status == 2 || status > 5;
}

void manager_request_ended(struct manager *m, const struct request *r, int status, const char *tail)
{
	static const char *const names[_REQUEST_KIND_MAX] = {
		[REQUEST_APPLY] = "apply",
		[REQUEST_APPLY_RUNTIME] = "apply --runtime",
		[REQUEST_REVERT] = "revert",
		[REQUEST_REVERT_RESUME] = "revert, after its reboot,",
		[REQUEST_MEASURE] = "measure",
	};

	if (refused(status))
		manager_complain(m, "latencyctl %s failed (%d): %s", names[r->kind], status, tail);
	if (r->kind == REQUEST_MEASURE)
		return;
	manager_refresh(m); /* it went by the document as it is now */
	guest_role_converge(&m->role);
	if (!m->settling || !m->drifted)
		manager_mend(m);
	schedule_pass(m);
	finish_if_stopping(m);
}

bool manager_paused(struct manager *m, const char **ret_until)
{
	int64_t until_s;

	if (!m->root.live || !pause_holds(time(NULL), &until_s))
		return false;
	if (until_s == 0)
		(void)snprintf(m->paused_until, sizeof(m->paused_until), "until-resumed");
	else
		(void)iso_time(until_s, m->paused_until);
	if (ret_until)
		*ret_until = m->paused_until;
	return true;
}

int manager_pause(struct manager *m, uint64_t seconds, struct error *e)
{
	bool ends = seconds == UINT64_MAX;
	const char *until = NULL;
	int r;

	if (!m->root.live)
		return error_set(e, -EROFS, "this latencyd only watches %s", m->root.path);
	r = ends ? pause_end(e) : pause_set(seconds ? time(NULL) + (int64_t)seconds : 0, e);
	if (r < 0)
		return r;
	journal_pause(manager_paused(m, &until) ? until : NULL);
	manager_pass_soon(m);
	return 0;
}

/* ---- signals ---- */

static int on_terminate(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata)
{
	struct manager *m = userdata;

	(void)s;
	(void)si;
	m->stopping = true;
	guest_role_stop_segment(&m->role);
	task_signal(&m->keeper.measure, SIGINT);
	(void)sd_notify(false, "STOPPING=1");
	finish_if_stopping(m);
	return 0;
}

static int on_reload(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata)
{
	struct manager *m = userdata;

	(void)s;
	(void)si;
	(void)sd_notifyf(false, "RELOADING=1\nMONOTONIC_USEC=%llu",
			 (unsigned long long)manager_now_us());
	manager_forget_complaints(m); /* whoever asks anew is answered anew */
	manager_forget_complaints(m);
	manager_refresh(m);
	manager_mend(m);
	schedule_pass(m);
	(void)sd_notify(false, "READY=1");
	return 0;
}

/* ---- its life ---- */

/* Events are all taken in before anything is looked at: what a look finds has its writer known. */
static int add_look_sources(struct manager *m)
{
	int r;

	r = sd_event_add_defer(m->event, &m->look_source, on_look, m);
	if (r >= 0)
		r = sd_event_source_set_priority(m->look_source, SD_EVENT_PRIORITY_NORMAL + 1);
	if (r >= 0)
		r = sd_event_source_set_enabled(m->look_source, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_time(m->event, &m->wake_timer, CLOCK_MONOTONIC, UINT64_MAX, 0,
				      on_wake, m);
	if (r >= 0)
		r = sd_event_source_set_enabled(m->wake_timer, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_source_set_priority(m->wake_timer, SD_EVENT_PRIORITY_NORMAL + 1);
	if (r >= 0)
		r = sd_event_add_time_relative(m->event, &m->pass_timer, CLOCK_MONOTONIC,
					       PASS_INTERVAL_US, PASS_INTERVAL_US / 6,
					       on_pass_timer, m);
	if (r >= 0)
		r = sd_event_source_set_priority(m->pass_timer, SD_EVENT_PRIORITY_NORMAL + 1);
	return r;
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
		r = add_look_sources(m);
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
		.target = VERIFIED_TARGET_INIT,
		.converge_left = BOOT_CONVERGE_TRIES,
		.peer.port = -1,
		.peer.listener = -1,
	};
	guest_asker_init(&m->asker);
	requests_init(&m->requests);
	task_init(&m->role.segment);
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
	m->settling = m->root.live && root_exists(SETTLED_FILE) <= 0;
	r = sd_event_default(&m->event);
	if (r >= 0)
		r = add_sources(m);
	if (r >= 0)
		r = guest_asker_open(&m->asker, m->event, make_pass, m);
	if (r >= 0)
		r = guest_role_init(&m->role, m);
	if (r >= 0)
		peer_init(&m->peer, m->event, &m->root, guest_role_export, m);
	return r < 0 ? error_set(e, r, "cannot set up the event loop: %s", strerror(-r)) : 0;
}

void manager_done(struct manager *m)
{
	requests_done(&m->requests);
	m->watch = watch_free(m->watch);
	peer_done(&m->peer);
	guest_role_done(&m->role);
	keeper_done(&m->keeper);
	guest_asker_close(&m->asker);
	bus_close(m);
	sd_event_source_unref(m->pass_timer);
	sd_event_source_unref(m->look_source);
	sd_event_source_unref(m->wake_timer);
	sd_event_unref(m->event);
	alerts_done(&m->alerts);
	reconcile_done(&m->memory);
	touches_done(&m->touches);
	desired_done(&m->desired);
	sysroot_close(&m->root);
	free(m->document_state);
	free(m->status);
	free(m->complaints);
	free(m->complaints_before);
}

int manager_run(struct manager *m, struct error *e)
{
	const struct watch_ops ops = {
		.concerns = on_concerns,
		.written = on_written,
		.stirred = on_stirred,
		.changed = on_watch_changed,
		.userdata = m,
	};
	int r;

	alerts_load(m, &m->alerts, &m->memory);
	r = watch_new(m->event, &m->root, &ops, &m->watch); /* before the first look */
	if (r < 0)
		return error_set(e, r, "out of memory");
	if (watch_trouble(m->watch))
		journal_watching(watch_trouble(m->watch));
	manager_pass(m);
	(void)sd_notify(false, "READY=1");
	if (m->root.live)
		manager_settle(m);
	schedule_pass(m);
	r = sd_event_loop(m->event);
	alerts_keep_last(m);
	return r < 0 ? error_set(e, r, "the event loop ended: %s", strerror(-r)) : 0;
}

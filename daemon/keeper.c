/*
 * Level-triggered like everything here: each look says anew what is to do, and only the count of
 * tries is remembered. What is to do is compared as text, threads by their ids, so that a guest
 * that was started again is a new task with new tries.
 */
#include "daemon/keeper.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/syscall.h>

#include "actuators/root.h"
#include "daemon/applied.h"
#include "daemon/converge.h"
#include "daemon/manager.h"
#include "state/guest.h"
#include "state/guest_argv.h"

/* Lost with the boot, as it must be. */
#define MEASURED_FILE "/run/latencyd/measured-on-verified"

void keeper_init(struct keeper *k)
{
	*k = (struct keeper){ 0 };
	task_init(&k->measure);
}

static void unwatch(struct keeper_watch *w)
{
	w->source = sd_event_source_disable_unref(w->source);
	closep_(&w->fd);
	w->fd = -1;
	w->pid = 0;
}

void keeper_blind(struct keeper *k)
{
	free(take_ptr(k->wanted));
	free(take_ptr(k->left_alone));
	k->unsettled = k->measure_due = false;
}

void keeper_done(struct keeper *k)
{
	for (size_t i = 0; i < k->n_watches; i++) {
		unwatch(&k->watches[i]);
		free(k->watches[i].name);
	}
	free(k->watches);
	keeper_blind(k);
	free(k->tried);
	task_close(&k->measure);
}

/* ---- QEMU processes ---- */

static int on_qemu_ended(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct manager *m = userdata;

	(void)fd;
	(void)revents;
	(void)sd_event_source_set_enabled(s, SD_EVENT_OFF);
	manager_pass_soon(m);
	return 0;
}

static struct keeper_watch *find_watch(struct keeper *k, const char *name)
{
	for (size_t i = 0; i < k->n_watches; i++)
		if (streq(k->watches[i].name, name))
			return &k->watches[i];
	return NULL;
}

static struct keeper_watch *new_watch(struct keeper *k, const char *name)
{
	struct keeper_watch *grown = realloc(k->watches, (k->n_watches + 1) * sizeof(*k->watches));

	if (!grown)
		return NULL;
	k->watches = grown;
	grown[k->n_watches] = (struct keeper_watch){ .name = strdup(name), .fd = -1 };
	return grown[k->n_watches].name ? &grown[k->n_watches++] : NULL;
}

/* A process that is gone by now is found so by the next pass. */
static void watch_process(struct manager *m, const char *name, int pid)
{
	struct keeper_watch *w = find_watch(&m->keeper, name);

	if (w && w->pid == pid)
		return;
	if (!w && pid > 0)
		w = new_watch(&m->keeper, name);
	if (!w)
		return;
	unwatch(w);
	if (pid == 0)
		return;
	w->pid = pid;
	w->fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (w->fd >= 0)
		(void)sd_event_add_io(m->event, &w->source, w->fd, EPOLLIN, on_qemu_ended, m);
}

/* Guests that the document no longer has are forgotten. */
static void drop_watches(struct keeper *k, const struct desired *d)
{
	size_t n = 0;

	for (size_t i = 0; i < k->n_watches; i++)
		if (desired_guest(d, k->watches[i].name)) {
			k->watches[n++] = k->watches[i];
		} else {
			unwatch(&k->watches[i]);
			free(k->watches[i].name);
		}
	k->n_watches = n;
}

/* ---- verdicts ---- */

static const struct guest_report *guest_report(const struct report *r, const char *name)
{
	for (size_t i = 0; i < r->n_guests; i++)
		if (streq(r->guests[i].name, name))
			return &r->guests[i];
	return NULL;
}

static bool guest_verified(const struct report *r, const char *name)
{
	const struct guest_report *g = guest_report(r, name);

	return g && g->verdict == MACHINE_VERIFIED;
}

static int mark_verified(const struct observed_guest *g, struct error *e)
{
	_cleanup_free_ char *folder = NULL, *path = NULL, *pid = NULL;
	int r;

	if (asprintf(&folder, GUEST_RUN_DIRECTORY "/%s", g->name) < 0)
		folder = NULL;
	if (!folder || asprintf(&path, "%s/verified", folder) < 0)
		path = NULL;
	if (!path || asprintf(&pid, "%d\n", g->pid) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	r = root_exists(folder);
	if (r == 0) {
		r = root_mkdir_p(GUEST_RUN_DIRECTORY, 0755);
		if (r >= 0)
			r = root_mkdir_p(folder, 0700);
	}
	if (r < 0)
		return error_set(e, r, "cannot make %s: %s", folder, strerror(-r));
	return root_replace(path, pid, strlen(pid), 0644, e);
}

static void look_at_guest(struct manager *m, const struct observed_guest *g, const struct report *r)
{
	_cleanup_error_ struct error e = { 0 };
	bool verified = guest_verified(r, g->name);

	watch_process(m, g->name, g->pid);
	if (g->pid == 0)
		return;
	m->keeper.unsettled |= !verified;
	if (verified && !g->was_verified && mark_verified(g, &e) < 0)
		manager_complain(m, "%s", e.what);
}

/* ---- steps ---- */

static bool is_guest_step(const struct step *s)
{
	switch (s->kind) {
	case STEP_FORWARD:
	case STEP_GUEST_STOP:
	case STEP_GUEST_LAUNCH:
	case STEP_GUEST_DOCUMENT:
		return true;
	case STEP_THREAD:
		return s->transient;
	default:
		return false;
	}
}

static int add_step(char **text, const struct step *s)
{
	_cleanup_free_ char *before = take_ptr(*text);

	return asprintf(text, "%s%s %s %u %s -> %s\n", before ? before : "",
			step_kind_name(s->kind), s->target ? s->target : "", s->number,
			s->now ? s->now : "", s->want ? s->want : "") < 0
		       ? -ENOMEM
		       : 0;
}

static bool ended_while_watched(struct keeper *k, const char *name)
{
	const struct keeper_watch *w = find_watch(k, name);

	return w && w->pid == 0;
}

/* Starting a guest again that was shut down, or died, under our eyes is a person's decision: an
 * apply would, so there is none while such a guest is down. */
static int list_steps(struct keeper *k, const struct plan *p)
{
	for (size_t i = 0; i < p->n_steps; i++) {
		const struct step *s = &p->steps[i];

		if (!is_guest_step(s) || !step_consented(s, 0))
			continue;
		if (s->kind == STEP_GUEST_LAUNCH && ended_while_watched(k, s->target)) {
			free(k->left_alone);
			k->left_alone = strdup(s->target);
		}
		if (add_step(&k->wanted, s) < 0) {
			k->wanted = NULL;
			return -ENOMEM;
		}
	}
	return 0;
}

/* ---- the measurement ---- */

static bool measured_one_verified(const char *on, const struct report *r)
{
	const char *guest = after_prefix(on, "guest/");

	return !guest || guest_verified(r, guest); /* the machine itself is looked at anyway */
}

static bool measure_due(const struct desired *d, const struct report *r)
{
	_cleanup_free_ char *done = NULL;
	size_t size;

	if (!d->measure.declared || !d->measure.on_verified || r->verdict != MACHINE_VERIFIED)
		return false;
	for (size_t i = 0; i < d->measure.n_on; i++)
		if (!measured_one_verified(d->measure.on[i], r))
			return false;
	for (size_t i = 0; d->measure.n_on == 0 && i < d->n_guests; i++)
		if (d->guests[i].state && !guest_verified(r, d->guests[i].name))
			return false;
	return root_read(MEASURED_FILE, &done, &size) < 0 || !streq(done, d->digest);
}

static void on_measured(int status, const char *tail, void *userdata)
{
	struct manager *m = userdata;

	/* 1 and 2: it could not run; the verdicts of a run are in its report. */
	if (status == EXIT_FAILURE || status == 2 || status > 5)
		manager_complain(m, "latencyctl measure failed (%d): %s", status, tail);
	manager_task_ended(m);
}

/* Once in a boot for a document, however it ends: a run that fails would fail again and again. */
static void start_measuring(struct manager *m)
{
	const char *argv[] = { "latencyctl", "measure", "--quiet", NULL };
	_cleanup_error_ struct error e = { 0 };
	const char *digest = m->desired.digest;
	int r;

	m->keeper.measure_due = false;
	r = root_replace(MEASURED_FILE, digest, strlen(digest), 0644, &e);
	if (r >= 0)
		r = task_start(&m->keeper.measure, m->event, m->bus, "measure", argv, on_measured,
			       m, &e);
	if (r < 0)
		manager_complain(m, "cannot measure: %s", e.what ? e.what : strerror(-r));
}

/* ---- both ---- */

void keeper_look(struct manager *m, const struct look *l)
{
	_cleanup_plan_ struct plan p = { 0 };
	struct keeper *k = &m->keeper;

	keeper_blind(k);
	drop_watches(k, &m->desired);
	for (size_t i = 0; i < l->observed.n_guests; i++)
		look_at_guest(m, &l->observed.guests[i], &l->report);
	k->measure_due = m->desired.role == ROLE_HOST && measure_due(&m->desired, &l->report);
	if (plan_make(&m->desired, &l->observed, &p) >= 0)
		(void)list_steps(k, &p);
}

static uint64_t now_us(const struct manager *m)
{
	uint64_t t = 0;

	(void)sd_event_now(m->event, CLOCK_MONOTONIC, &t);
	return t;
}

bool keeper_may_try(struct keeper *k, uint64_t now)
{
	unsigned late;

	if (!k->tried || !streq(k->tried, k->wanted)) {
		free(k->tried);
		k->tried = strdup(k->wanted);
		k->n_tries = 0;
		k->not_before = 0;
	}
	if (now < k->not_before)
		return false;
	k->n_tries++;
	late = k->n_tries > KEEPER_TRIES ? k->n_tries - KEEPER_TRIES : 0;
	if (k->n_tries >= KEEPER_TRIES)
		k->not_before = now + (KEEPER_BACK_OFF_US << (late < 5 ? late : 5));
	return true;
}

void keeper_act(struct manager *m)
{
	_cleanup_error_ struct error e = { 0 };
	struct keeper *k = &m->keeper;

	if (manager_busy(m) || m->stopping || applied_to_machine() <= 0)
		return;
	if (k->wanted && k->left_alone)
		manager_complain(m,
				 "the guest %s has ended and is left alone; latencyctl apply "
				 "starts it again",
				 k->left_alone);
	else if (k->wanted && keeper_may_try(k, now_us(m))) {
		if (requests_add(m, REQUEST_APPLY, NULL, NULL, &e) < 0)
			manager_complain(m, "%s", e.what);
	} else if (!k->wanted && k->measure_due)
		start_measuring(m);
}

/*
 * What latencyd does without being asked: the run-time half of what was applied, after a boot; what
 * drifted, as far as the document's `drift:` allows; what guests need (daemon/keeper.c). Only on a
 * machine that a person has applied to, never while paused, never beside another change.
 *
 * A drifted kernel file, IRQ or thread is mended here and now, in milliseconds. Everything else (a
 * mount, a service, huge pages that need their time, boot files) is a task: the daemon itself has
 * not the right to do it.
 */
#include <errno.h>

#include "actuators/execute.h"
#include "actuators/root.h"
#include "daemon/applied.h"
#include "daemon/converge.h"
#include "daemon/manager.h"
#include "state/settings.h"

static bool done_here(enum step_kind kind)
{
	return kind == STEP_KERNEL_FILE || kind == STEP_IRQ || kind == STEP_THREAD;
}

static bool of_boot(enum step_kind kind)
{
	return kind == STEP_PACKAGE || kind == STEP_BOOT_DEFAULT || kind == STEP_BOOT_ARG;
}

static uint64_t bit_of(const struct setting *s)
{
	return s ? UINT64_C(1) << setting_index(s) : 0;
}

struct sorted {
	struct step *here;
	size_t n_here;
	bool task, task_all;
};

/* Of the steps for @settings: what is done here, and what takes a task. */
static int sort_steps(const struct desired *d, const struct plan *p, uint64_t settings,
		      struct sorted *s)
{
	s->here = calloc(p->n_steps ? p->n_steps : 1, sizeof(*s->here));
	if (!s->here)
		return -ENOMEM;
	for (size_t i = 0; i < p->n_steps; i++) {
		const struct step *step = &p->steps[i];

		if (!(bit_of(step->setting) & settings) || !step_consented(step, 0))
			continue;
		if (done_here(step->kind))
			s->here[s->n_here++] = *step;
		else if (!of_boot(step->kind))
			s->task = true;
		else if (d->drift.repair[setting_index(step->setting)] == REPAIR_ALL)
			s->task_all = true;
	}
	return 0;
}

static int execute_here(const struct plan *p, const struct sorted *s, struct error *e)
{
	struct outcome *outcomes = NULL;
	struct plan part = *p;
	int r;

	if (s->n_here == 0)
		return 0;
	part.steps = s->here;
	part.n_steps = s->n_here;
	part.needs_reboot = false;
	r = plan_execute(&part, NULL, NULL, NULL, &outcomes, e);
	if (r >= 0)
		outcomes_free(outcomes, s->n_here);
	return r;
}

/* Under the lock, by a plan that was made under it. */
static int repair_locked(struct manager *m, uint64_t settings, struct error *e)
{
	const struct desired part = look_part(&m->desired, settings);
	_cleanup_observed_ struct observed o = { 0 };
	_cleanup_plan_ struct plan p = { 0 };
	struct sorted s = { 0 };
	int r;

	r = observe(&m->root, &part, &o);
	if (r >= 0)
		r = plan_make(&part, &o, &p);
	if (r >= 0)
		r = sort_steps(&m->desired, &p, settings, &s);
	if (r >= 0)
		r = execute_here(&p, &s, e);
	/* A task would go by the document on disk. */
	if (r >= 0 && (s.task || s.task_all) && !m->document_state)
		r = requests_add(m, s.task_all ? REQUEST_APPLY : REQUEST_APPLY_RUNTIME, NULL, NULL,
				 e);
	free(s.here);
	return r;
}

static void repair(struct manager *m)
{
	_cleanup_error_ struct error e = { 0 };
	_cleanup_close_ int lock = -1;
	uint64_t settings = m->repair;
	int r;

	m->repair = 0;
	lock = machine_lock(&e);
	if (lock < 0)
		return; /* somebody applies: its end, or the next pass, looks again */
	r = repair_locked(m, settings, &e);
	if (r < 0)
		manager_complain_of(m, &e, r);
	closep_(&lock);
	lock = -1;
	reconcile_repaired(&m->memory, settings, manager_now_us());
	manager_look_at(m, settings);
}

/* ---- after a boot ---- */

static void settled(struct manager *m)
{
	_cleanup_error_ struct error e = { 0 };

	if (!m->settling)
		return;
	m->settling = false;
	if (root_mkdir_p("/run/latencyd", 0755) < 0 ||
	    root_replace(SETTLED_FILE, "", 0, 0644, &e) < 0)
		manager_complain(m, "cannot write " SETTLED_FILE ": %s", e.what ? e.what : "");
	manager_pass_soon(m); /* and now the memory begins */
}

/* The run-time half of what was applied is gone after a boot. A machine that was never applied to,
 * or was reverted, is only watched. */
static void converge_again(struct manager *m)
{
	_cleanup_error_ struct error e = { 0 };
	bool reverting = false;

	if (m->converge_left == 0 || !m->drifted || originals_exist(&reverting) <= 0 || reverting) {
		settled(m);
		return;
	}
	m->converge_left--;
	if (requests_add(m, REQUEST_APPLY, NULL, NULL, &e) < 0)
		manager_complain_of(m, &e, e.code);
}

void manager_mend(struct manager *m)
{
	if (!m->root.live || m->stopping || manager_busy(m) || manager_paused(m, NULL))
		return;
	if (!m->settling && m->repair && applied_to_machine() > 0)
		repair(m);
	if (m->asker.waiting)
		return; /* a pass is on its way, and says what is still to do */
	if (m->settling)
		converge_again(m);
	keeper_act(m);
}

void manager_settle(struct manager *m)
{
	_cleanup_error_ struct error e = { 0 };
	bool reverting = false;
	int r = originals_exist(&reverting);

	if (r < 0)
		error_set(&e, r, "cannot read the kept originals: %s", strerror(-r));
	else if (r > 0 && reverting)
		r = requests_add(m, REQUEST_REVERT_RESUME, NULL, NULL, &e);
	else
		manager_mend(m);
	if (r < 0)
		manager_complain_of(m, &e, r);
}

/*
 * guest_vcpus and guest_emulator: where the threads of a guest's QEMU run and how. A vCPU has one
 * host CPU and its real-time priority; every other thread stays on housekeeping CPUs. Thread ids
 * live as long as their QEMU: a guest that was started again is judged and pinned anew.
 */
#include <errno.h>

#include "state/guest_row.h"

#define POLICY_OTHER 0
#define POLICY_FIFO  1

static const char *policy_text(struct arena *a, int policy, int priority)
{
	static const char *const names[] = { "other", "FIFO", "RR", "batch" };
	const char *name =
		policy >= 0 && (size_t)policy < ARRAY_SIZE(names) ? names[policy] : "policy";

	if (policy == POLICY_FIFO || policy == 2)
		return arena_printf(a, "%s %d", name, priority);
	return name;
}

/* "CPUs 2, FIFO 1" */
static const char *thread_live(struct arena *a, const struct observed_thread *t)
{
	const char *policy = policy_text(a, t->policy, t->priority);

	return policy ? arena_printf(a, "CPUs %s, %s", fact_show(a, &t->allowed), policy) : NULL;
}

static const char *vcpu_want(struct arena *a, const struct desired_vcpu *w)
{
	if (w->priority)
		return arena_printf(a, "CPUs %u, FIFO %u", w->cpu, w->priority);
	return arena_printf(a, "CPUs %u, other", w->cpu);
}

/* 1, 0, -ENODATA when its CPUs are not known, -ENOMEM. */
static int is_pinned(const struct observed_thread *t, unsigned n_cpus, unsigned cpu)
{
	_cleanup_cpuset_ struct cpuset allowed = { 0 };
	int r = fact_list(&t->allowed, n_cpus, &allowed);

	if (r < 0)
		return r == -ENOMEM ? r : -ENODATA;
	return cpuset_has(&allowed, cpu) && cpuset_count(&allowed) == 1;
}

static bool policy_right(const struct observed_thread *t, const struct desired_vcpu *w)
{
	if (w->priority == 0)
		return t->policy == POLICY_OTHER;
	return t->policy == POLICY_FIFO && t->priority == (int)w->priority;
}

static const struct observed_thread *vcpu_thread(const struct observed_guest *seen, size_t vcpu)
{
	for (size_t i = 0; i < seen->n_threads; i++)
		if (seen->threads[i].vcpu == (int)vcpu)
			return &seen->threads[i].thread;
	return NULL;
}

/* A QEMU that starts makes one thread after the other; its monitor answers when all are there. */
static void judge_missing(const struct observed_guest *seen, struct verdict_item *item)
{
	bool told = streq(seen->vcpus_by.text, "qmp");

	item->verdict = told ? VERDICT_UNFIXABLE : VERDICT_UNKNOWN;
	item->reason = told ? "the guest was started with fewer vCPUs"
			    : "no thread has its name, and QEMU's monitor does not answer";
}

static int judge_vcpu(const struct observed *o, const struct observed_guest *seen,
		      const struct desired_vcpu *w, const struct observed_thread *t,
		      struct report *r, struct verdict_item *item)
{
	int k;

	item->want = vcpu_want(&r->arena, w);
	item->live = t ? thread_live(&r->arena, t) : "no such thread";
	item->name = t ? t->comm : "";
	item->verdict = VERDICT_CONVERGED;
	if (!item->want || !item->live)
		return -ENOMEM;
	if (!t) {
		judge_missing(seen, item);
		return 0;
	}
	k = is_pinned(t, o->n_cpus, w->cpu);
	if (k == -ENOMEM)
		return k;
	if (k < 0)
		item->verdict = VERDICT_UNKNOWN;
	else if (!k || !policy_right(t, w))
		item->verdict = VERDICT_DRIFTED;
	if (!cpuset_has(&o->online, w->cpu)) {
		item->verdict = VERDICT_UNFIXABLE;
		item->reason = "its CPU is offline";
	}
	return 0;
}

/* vCPUs that were plugged in and have no place in the document. */
static int judge_extra(const struct desired_guest *g, const struct observed_guest *seen,
		       struct report *r, struct setting_verdict *v)
{
	for (size_t i = 0; i < seen->n_threads; i++) {
		const struct observed_guest_thread *t = &seen->threads[i];
		struct verdict_item *item;

		if (t->vcpu < 0 || (size_t)t->vcpu < g->n_vcpus)
			continue;
		item = verdict_item_add(r, v);
		if (!item)
			return -ENOMEM;
		*item = (struct verdict_item){
			.id = arena_printf(&r->arena, "%d", t->vcpu),
			.name = t->thread.comm,
			.live = thread_live(&r->arena, &t->thread),
			.want = "no such vCPU",
			.verdict = VERDICT_UNFIXABLE,
			.reason = "it was plugged in: give it a CPU in the document",
		};
		if (!item->id || !item->live)
			return -ENOMEM;
	}
	return 0;
}

static int judge_items(const struct desired_guest *g, const struct observed *o,
		       const struct observed_guest *seen, struct report *r,
		       struct setting_verdict *v)
{
	for (size_t i = 0; i < g->n_vcpus; i++) {
		struct verdict_item *item = verdict_item_add(r, v);
		int k;

		if (!item)
			return -ENOMEM;
		item->id = arena_printf(&r->arena, "%zu", i);
		if (!item->id)
			return -ENOMEM;
		k = judge_vcpu(o, seen, &g->vcpus[i], vcpu_thread(seen, i), r, item);
		if (k < 0)
			return k;
	}
	return judge_extra(g, seen, r, v);
}

/* The setting is as good as the worst of its items. */
static int settle_items(struct report *r, struct setting_verdict *v, const char *what)
{
	size_t wrong = 0;

	for (size_t i = 0; i < v->n_items; i++) {
		const struct verdict_item *item = &v->items[i];
		int k;

		if (item->verdict == VERDICT_CONVERGED)
			continue;
		wrong++;
		k = verdict_worsen(r, v, item->verdict, "%s %s: %s, want %s%s%s", what, item->id,
				   item->live, item->want, item->reason ? ": " : "",
				   item->reason ? item->reason : "");
		if (k < 0)
			return k;
	}
	v->live = arena_printf(&r->arena, "%zu of %zu as wanted", v->n_items - wrong, v->n_items);
	return v->live ? 0 : -ENOMEM;
}

/* The running guest whose threads are told apart, or NULL: then there is nothing to pin. */
static const struct observed_guest *known_threads(const struct desired_guest *g,
						  const struct observed *o)
{
	const struct observed_guest *seen = observed_guest(o, g->name);

	return seen && fact_known(&seen->process) && fact_known(&seen->vcpus_by) ? seen : NULL;
}

/* The same for a judge; without one the verdict says why. */
static const struct observed_guest *known_threads_or_say(const struct desired_guest *g,
							 const struct observed *o, struct report *r,
							 struct setting_verdict *v, int *ret_error)
{
	const struct observed_guest *seen = guest_running_or_say(g, o, r, v, ret_error);

	if (!seen || fact_known(&seen->vcpus_by))
		return seen;
	*ret_error = verdict_unknown(r, v, &seen->vcpus_by);
	return NULL;
}

static int judge_vcpus(const struct setting *s, const void *value, const struct desired *d,
		       const struct observed *o, struct report *r, struct setting_verdict *v)
{
	const struct desired_guest *g = value;
	const struct observed_guest *seen;
	int k;

	(void)s;
	(void)d;
	v->want = arena_printf(&r->arena, "%zu pinned", g->n_vcpus);
	if (!v->want)
		return -ENOMEM;
	seen = known_threads_or_say(g, o, r, v, &k);
	if (!seen)
		return k;
	k = judge_items(g, o, seen, r, v);
	return k < 0 ? k : settle_items(r, v, "vCPU");
}

static struct step *thread_step(struct plan *p, const struct setting *s, const char *target,
				const struct observed_thread *t, const char *now, const char *want)
{
	struct step *step = plan_step(p, s, STEP_THREAD, target, now, want);

	if (!step)
		return NULL;
	step->number = (unsigned)t->pid;
	step->name = arena_strdup(&p->arena, t->comm);
	step->transient = true;
	return step->name ? step : NULL;
}

static int plan_affinity(const struct setting *s, const char *target,
			 const struct observed_thread *t, const struct cpuset *want, struct plan *p)
{
	const char *text = list_text(&p->arena, want);
	struct step *step =
		text ? thread_step(p, s, target, t, fact_show(&p->arena, &t->allowed), text) : NULL;

	if (!step)
		return -ENOMEM;
	step->set_affinity = true;
	return 0;
}

static int plan_vcpu(const struct setting *s, const struct desired_guest *g, size_t i,
		     const struct observed_thread *t, const struct observed *o, struct plan *p)
{
	const char *target = arena_printf(&p->arena, "guest %s vCPU %zu", g->name, i);
	const struct desired_vcpu *w = &g->vcpus[i];
	_cleanup_cpuset_ struct cpuset want = { 0 };
	struct step *step;
	int k = is_pinned(t, o->n_cpus, w->cpu);

	if (!target || k == -ENOMEM || cpuset_add(&want, w->cpu) < 0)
		return -ENOMEM;
	if (k == 0 && plan_affinity(s, target, t, &want, p) < 0)
		return -ENOMEM;
	if (policy_right(t, w))
		return 0;
	step = thread_step(p, s, target, t, policy_text(&p->arena, t->policy, t->priority),
			   w->priority ? policy_text(&p->arena, POLICY_FIFO, (int)w->priority)
				       : "other");
	if (!step)
		return -ENOMEM;
	step->policy = w->priority ? POLICY_FIFO : POLICY_OTHER;
	step->priority = (int)w->priority;
	return 0;
}

static int plan_vcpus(const struct setting *s, const void *value, const struct desired *d,
		      const struct observed *o, struct plan *p)
{
	const struct desired_guest *g = value;
	const struct observed_guest *seen = known_threads(g, o);

	(void)d;
	if (!seen)
		return 0;
	for (size_t i = 0; i < g->n_vcpus; i++) {
		const struct observed_thread *t = vcpu_thread(seen, i);
		int r;

		if (!t || !cpuset_has(&o->online, g->vcpus[i].cpu))
			continue;
		r = plan_vcpu(s, g, i, t, o, p);
		if (r < 0)
			return r;
	}
	return 0;
}

const struct setting setting_guest_vcpus = {
	.name = "guest_vcpus",
	.summary = "Each vCPU's thread runs on its own CPU with its real-time priority",
	.doc = "sched(7); QEMU QMP query-cpus-fast",
	.values = "vcpus: [{cpu: N, priority: 0 to 98}]",
	.scope = SCOPE_RUNTIME,
	.judge = judge_vcpus,
	.plan = plan_vcpus,
};

/* ---- the other threads ---- */

/* The CPUs that they may use: the document's, else the housekeeping ones. */
static const struct cpuset *emulator_cpus(const struct desired_guest *g, const struct desired *d)
{
	return cpuset_empty(&g->emulator) ? &d->housekeeping : &g->emulator;
}

/* 1, 0, -ENODATA, -ENOMEM */
static int stays_off(const struct observed_thread *t, const struct observed *o,
		     const struct cpuset *want)
{
	_cleanup_cpuset_ struct cpuset allowed = { 0 };
	int r = fact_list(&t->allowed, o->n_cpus, &allowed);

	if (r < 0)
		return r == -ENOMEM ? r : -ENODATA;
	return cpuset_subset(&allowed, want);
}

static int judge_other(const struct observed_thread *t, const struct observed *o,
		       const struct cpuset *want, struct report *r, struct setting_verdict *v)
{
	int k = stays_off(t, o, want);
	struct verdict_item *item;

	if (k == -ENOMEM || k > 0)
		return k > 0 ? 0 : k;
	/* A worker that ended while we looked runs nowhere. */
	if (k < 0 && t->allowed.state == FACT_ABSENT)
		return 0;
	item = verdict_item_add(r, v);
	if (!item)
		return -ENOMEM;
	*item = (struct verdict_item){
		.id = arena_printf(&r->arena, "%d", t->pid),
		.name = t->comm,
		.live = thread_live(&r->arena, t),
		.want = list_text(&r->arena, want),
		.verdict = k < 0 ? VERDICT_UNKNOWN : VERDICT_DRIFTED,
	};
	return item->id && item->live && item->want ? 0 : -ENOMEM;
}

static int judge_emulator(const struct setting *s, const void *value, const struct desired *d,
			  const struct observed *o, struct report *r, struct setting_verdict *v)
{
	const struct desired_guest *g = value;
	const struct cpuset *want = emulator_cpus(g, d);
	const struct observed_guest *seen;
	size_t n = 0;
	int k;

	(void)s;
	v->want = list_text(&r->arena, want);
	if (!v->want)
		return -ENOMEM;
	seen = known_threads_or_say(g, o, r, v, &k);
	if (!seen)
		return k;
	for (size_t i = 0; i < seen->n_threads; i++) {
		if (seen->threads[i].vcpu >= 0)
			continue;
		n++;
		k = judge_other(&seen->threads[i].thread, o, want, r, v);
		if (k < 0)
			return k;
	}
	k = settle_items(r, v, "thread");
	v->live = arena_printf(&r->arena, "%zu of %zu threads outside", v->n_items, n);
	return k < 0 ? k : v->live ? 0 : -ENOMEM;
}

static int plan_emulator(const struct setting *s, const void *value, const struct desired *d,
			 const struct observed *o, struct plan *p)
{
	const struct desired_guest *g = value;
	const struct cpuset *want = emulator_cpus(g, d);
	const struct observed_guest *seen = known_threads(g, o);

	if (!seen)
		return 0;
	for (size_t i = 0; i < seen->n_threads; i++) {
		const struct observed_thread *t = &seen->threads[i].thread;
		const char *target;
		int k;

		if (seen->threads[i].vcpu >= 0)
			continue;
		k = stays_off(t, o, want);
		if (k == -ENOMEM)
			return k;
		if (k != 0)
			continue;
		target = arena_printf(&p->arena, "guest %s %s", g->name, t->comm);
		if (!target || plan_affinity(s, target, t, want, p) < 0)
			return -ENOMEM;
	}
	return 0;
}

const struct setting setting_guest_emulator = {
	.name = "guest_emulator",
	.summary = "The guest's other threads (emulator, I/O, vhost) run on housekeeping CPUs",
	.doc = "sched(7); QEMU docs/devel/multiple-iothreads.txt",
	.values = "emulator: housekeeping or a CPU list",
	.scope = SCOPE_RUNTIME,
	.judge = judge_emulator,
	.plan = plan_emulator,
};

/*
 * guest_launch and guest_memory: the guest's QEMU runs, was started as the document says, and its
 * memory really lies where it was asked to. What QEMU was started with can only be changed by
 * starting it again.
 */
#include <errno.h>
#include <inttypes.h>

#include "state/cmdline.h"
#include "state/guest_argv.h"
#include "state/guest_row.h"

/* KVM and vsock may have come or gone since it was started: what it has is then no difference. */
int guest_started_otherwise(const struct desired_guest *g, const struct observed *o,
			    struct arena *a)
{
	const struct observed_guest *seen = observed_guest(o, g->name);
	struct observed then = *o; /* borrows everything; only the two facts are changed */

	if (g->origin != GUEST_LAUNCH || !seen || !fact_known(&seen->process) ||
	    !fact_known(&seen->argv))
		return 0;
	for (unsigned had = 0; had < 4; had++) {
		const char *const *argv;

		then.kvm.state = had & 1 ? FACT_KNOWN : FACT_ABSENT;
		then.vhost_vsock.state = had & 2 ? FACT_KNOWN : FACT_ABSENT;
		argv = guest_argv(g, &then, a);
		if (!argv)
			return -ENOMEM;
		if (guest_argv_same(seen->argv.text, argv))
			return 0;
	}
	return 1;
}

/* KVM is asked for, and whether it works could not be told. */
static bool kvm_unknown(const struct desired_guest *g, const struct observed *o)
{
	return g->launch.accel == GUEST_ACCEL_KVM &&
	       (o->kvm.state == FACT_DENIED || o->kvm.state == FACT_UNREADABLE);
}

/* Why it surely cannot be started at all, or NULL. */
static const char *cannot_start(const struct desired_guest *g, const struct observed *o)
{
	if (o->qemu.state == FACT_ABSENT)
		return "there is no " GUEST_QEMU ": install the package qemu-system-x86";
	if (g->launch.accel == GUEST_ACCEL_KVM && o->kvm.state == FACT_ABSENT)
		return "KVM does not answer on /dev/kvm: turn virtualization on in the firmware "
		       "and load kvm_intel or kvm_amd, or write accel: tcg";
	return NULL;
}

static int judge_kvm_unknown(const struct observed *o, struct report *r, struct setting_verdict *v)
{
	int k = verdict_evidence(r, v, &o->kvm);

	if (k < 0)
		return k;
	if (o->kvm.state == FACT_DENIED)
		return verdict_set(r, v, VERDICT_UNKNOWN,
				   "it does not run, and whether KVM works cannot be told: opening "
				   "%s failed: %s; run this as root, let the container or device "
				   "policy give access to it, or write accel: tcg",
				   o->kvm.path, strerror(o->kvm.error));
	return verdict_set(r, v, VERDICT_UNKNOWN,
			   "it does not run, and whether KVM works cannot be told: %s: %s; the "
			   "kernel's log (dmesg) may say why, or write accel: tcg",
			   o->kvm.path, strerror(o->kvm.error));
}

static int judge_stopped(const struct desired_guest *g, const struct observed *o,
			 const struct observed_guest *seen, struct report *r,
			 struct setting_verdict *v)
{
	const char *words = seen->exit_words, *why = cannot_start(g, o);

	v->live = "does not run";
	if (g->origin == GUEST_ADOPT)
		return verdict_set(r, v, VERDICT_UNFIXABLE,
				   "it does not run, and an adopted guest is never started: start "
				   "it by what runs it");
	if (why)
		return verdict_set(r, v, VERDICT_UNFIXABLE, "%s", why);
	if (kvm_unknown(g, o))
		return judge_kvm_unknown(o, r, v);
	return verdict_set(r, v, VERDICT_DRIFTED, "it does not run%s%s",
			   words ? "; the last words of its QEMU: " : "", words ? words : "");
}

static int judge_accel(const struct desired_guest *g, const struct observed *o,
		       const struct observed_guest *seen, struct report *r,
		       struct setting_verdict *v)
{
	bool kvm = fact_known(&seen->accel) && streq(seen->accel.text, "kvm");

	if (!fact_known(&seen->accel))
		return verdict_unknown(r, v, &seen->accel);
	v->live = kvm ? arena_printf(&r->arena, "pid %d, KVM", seen->pid)
		      : arena_printf(&r->arena,
				     "pid %d, under TCG emulation: its latencies mean nothing",
				     seen->pid);
	if (!v->live)
		return -ENOMEM;
	if (g->origin == GUEST_LAUNCH && g->launch.accel == GUEST_ACCEL_KVM && !kvm)
		return verdict_set(r, v, VERDICT_UNFIXABLE, "%s",
				   cannot_start(g, o) ? cannot_start(g, o) : "it runs without KVM");
	return 0;
}

/* Is @word one of the blank-separated words? */
static bool has_word(const char *words, const char *word)
{
	size_t n = strlen(word);

	for (const char *at = strstr(words, word); at; at = strstr(at + 1, word))
		if ((at == words || at[-1] == ' ') && (!at[n] || at[n] == ' '))
			return true;
	return false;
}

/* Without the TSC deadline timer each timer of the guest costs exits. An invariant TSC is the
 * processor's to have: its lack is said, and is the business of the guest's `tsc`. */
static int judge_cpu_model(const struct observed_guest *seen, struct report *r,
			   struct setting_verdict *v)
{
	static const char *const features[] = { "tsc-deadline", "invtsc" };

	if (!fact_known(&seen->cpu_model))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
		bool has = has_word(seen->cpu_model.text, features[i]);
		struct verdict_item *item = verdict_item_add(r, v);

		if (!item)
			return -ENOMEM;
		*item = (struct verdict_item){
			.id = features[i],
			.name = "CPU model",
			.live = has ? "yes" : "no",
			.want = "yes",
			.verdict = has ? VERDICT_CONVERGED : VERDICT_UNFIXABLE,
			.reason = has ? NULL : "this host's processor or KVM does not offer it",
		};
	}
	if (has_word(seen->cpu_model.text, "tsc-deadline"))
		return 0;
	return verdict_set(r, v, VERDICT_UNFIXABLE, "its vCPUs have no TSC deadline timer");
}

static int judge_launch(const struct setting *s, const void *value, const struct desired *d,
			const struct observed *o, struct report *r, struct setting_verdict *v)
{
	const struct observed_guest *seen;
	const struct desired_guest *g = value;
	int k;

	(void)s;
	(void)d;
	v->want = g->origin == GUEST_ADOPT ? "runs" : "runs as the document says";
	seen = observed_guest(o, g->name);
	if (seen && seen->process.state == FACT_ABSENT)
		return judge_stopped(g, o, seen, r, v);
	seen = guest_running_or_say(g, o, r, v, &k);
	if (!seen)
		return k;
	k = judge_accel(g, o, seen, r, v);
	if (k >= 0 && v->verdict == VERDICT_CONVERGED && streq(seen->accel.text, "kvm"))
		k = judge_cpu_model(seen, r, v);
	if (k < 0 || v->verdict != VERDICT_CONVERGED)
		return k;
	if (g->origin == GUEST_LAUNCH && !fact_known(&seen->argv))
		return verdict_unknown(r, v, &seen->argv);
	k = guest_started_otherwise(g, o, &r->arena);
	if (k <= 0)
		return k;
	return verdict_set(r, v, VERDICT_DRIFTED,
			   "it was started otherwise than the document says now: apply --allow "
			   "guest-restart starts it again");
}

static bool memory_wrong(const struct desired_guest *g, const struct observed_guest *seen)
{
	return fact_known(&seen->process) && guest_memory_right(g, seen) == 0;
}

static int plan_start(const struct setting *s, const struct desired_guest *g,
		      const struct observed *o, enum disruption disruption, struct plan *p)
{
	struct step *step = plan_step(p, s, STEP_GUEST_LAUNCH, g->name, NULL, "running");

	if (!step)
		return -ENOMEM;
	step->guest = g;
	step->disruption = disruption;
	step->argv = guest_argv(g, o, &p->arena);
	return step->argv ? 0 : -ENOMEM;
}

static int plan_launch(const struct setting *s, const void *value, const struct desired *d,
		       const struct observed *o, struct plan *p)
{
	const struct desired_guest *g = value;
	const struct observed_guest *seen = observed_guest(o, g->name);
	struct step *stop;
	int k;

	(void)d;
	if (g->origin != GUEST_LAUNCH || !seen || cannot_start(g, o) || kvm_unknown(g, o))
		return 0;
	if (seen->process.state == FACT_ABSENT)
		return plan_start(s, g, o, DISRUPTION_NONE, p);
	k = guest_started_otherwise(g, o, &p->arena);
	if (k < 0)
		return k;
	if (k == 0) {
		if (!memory_wrong(g, seen))
			return 0;
		s = &setting_guest_memory;
	}
	stop = plan_step(p, s, STEP_GUEST_STOP, g->name, "running", "stopped");
	if (!stop)
		return -ENOMEM;
	stop->guest = g;
	return plan_start(s, g, o, DISRUPTION_GUEST_RESTART, p);
}

const struct setting setting_guest_launch = {
	.name = "guest_launch",
	.summary = "The guest runs, started as the document says",
	.doc = "QEMU docs/system/invocation.html; Linux Documentation/virt/kvm/",
	.values = "launch: or adopt: of the guest",
	.scope = SCOPE_RUNTIME,
	.disruption = DISRUPTION_GUEST_RESTART,
	.judge = judge_launch,
	.plan = plan_launch,
};

/* ---- memory ---- */

static uint64_t wanted_page_kib(const struct desired_guest *g)
{
	return g->origin == GUEST_LAUNCH ? g->launch.page_size_kib : 0;
}

static bool on_wanted_node(const struct desired_guest *g, const struct observed_guest_memory *m)
{
	int node = g->origin == GUEST_LAUNCH ? g->launch.node : -1;

	return node < 0 || (cpuset_has(&m->nodes, (unsigned)node) && cpuset_count(&m->nodes) == 1);
}

static bool all_present(const struct desired_guest *g, const struct observed_guest_memory *m)
{
	return g->origin == GUEST_ADOPT || m->total_kib >= g->launch.memory_kib;
}

int guest_memory_right(const struct desired_guest *g, const struct observed_guest *seen)
{
	const struct observed_guest_memory *m = &seen->memory;
	uint64_t page_kib = wanted_page_kib(g);

	if (!fact_known(&m->fact))
		return -ENODATA;
	return (!page_kib || page_kib == m->page_size_kib) && on_wanted_node(g, m) &&
	       all_present(g, m) && m->locked_kib >= m->total_kib;
}

static const char *memory_live(struct arena *a, const struct observed_guest_memory *m)
{
	const char *pages = m->page_size_kib ? format_size_kib(a, m->page_size_kib) : "ordinary";
	const char *nodes = list_text(a, &m->nodes);

	if (!pages || !nodes)
		return NULL;
	return arena_printf(a, "%" PRIu64 " MiB in %s pages on node %s, %s", m->total_kib / 1024,
			    pages, nodes, m->locked_kib >= m->total_kib ? "locked" : "not locked");
}

static const char *memory_want(struct arena *a, const struct desired_guest *g)
{
	const struct desired_launch *l = &g->launch;
	const char *pages, *node = "";

	if (g->origin == GUEST_ADOPT)
		return "locked";
	pages = l->page_size_kib ? format_size_kib(a, l->page_size_kib) : "ordinary";
	if (l->node >= 0)
		node = arena_printf(a, " on node %d", l->node);
	if (!pages || !node)
		return NULL;
	return arena_printf(a, "%" PRIu64 " MiB in %s pages%s, locked", l->memory_kib / 1024, pages,
			    node);
}

static int judge_memory(const struct setting *s, const void *value, const struct desired *d,
			const struct observed *o, struct report *r, struct setting_verdict *v)
{
	const struct desired_guest *g = value;
	const struct observed_guest *seen;
	int k;

	(void)s;
	(void)d;
	v->want = memory_want(&r->arena, g);
	if (!v->want)
		return -ENOMEM;
	seen = guest_running_or_say(g, o, r, v, &k);
	if (!seen)
		return k;
	if (!fact_known(&seen->memory.fact))
		return verdict_unknown(r, v, &seen->memory.fact);
	v->live = memory_live(&r->arena, &seen->memory);
	if (!v->live || verdict_evidence(r, v, &seen->memory.fact) < 0)
		return -ENOMEM;
	if (guest_memory_right(g, seen) > 0)
		return 0;
	if (g->origin == GUEST_ADOPT)
		return verdict_set(r, v, VERDICT_UNFIXABLE,
				   "its memory can be swapped out: start its QEMU with -overcommit "
				   "mem-lock=on, in libvirt <memoryBacking><locked/>");
	return verdict_set(
		r, v, VERDICT_DRIFTED,
		"its memory is not what it was started with: apply --allow guest-restart "
		"starts it again");
}

const struct setting setting_guest_memory = {
	.name = "guest_memory",
	.summary = "The guest's memory is present, locked, of the asked page size, on its node",
	.doc = "Linux Documentation/filesystems/proc.rst (numa_maps), "
	       "admin-guide/mm/hugetlbpage.rst",
	.values = "launch: {memory, page_size, node}",
	.scope = SCOPE_RUNTIME,
	.disruption = DISRUPTION_GUEST_RESTART,
	.judge = judge_memory,
};

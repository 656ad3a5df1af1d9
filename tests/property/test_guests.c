/*
 * The properties of judge and plan about guests, on random documents with simulated guests:
 *
 *  1. convergence: after at most five plans that have steps none is left, and every guest is
 *     verified but where something that the test knows is in the way;
 *  2. truth: at every look a guest is verified exactly if it really is as the document asks;
 *  3. a plan keeps off what is not its own: no adopted guest is started or stopped, what is
 *     stopped is started again, a vCPU goes to its own CPU;
 *  4. whatever guests say, the host's verdicts and the steps about everything but their documents
 *     stay the same, and no guest is better than what its host sees.
 *
 * PROPERTY_RUNS (default 2,000) pairs from PROPERTY_SEED (default: the time) on; PROPERTY_SEED=N
 * PROPERTY_RUNS=1 repeats one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <inttypes.h>
#include <time.h>

#include "state/guest_argv.h"
#include "state/guest_row.h"
#include "tests/property/sim.h"

#define CPUS	    16
#define ALL_CPUS    0xffffU
#define GUESTS_MAX  4
#define THREADS_MAX 12
#define ROUNDS_MAX  5

enum property { CONVERGENCE, TRUTH, OWN_THINGS, LIES, _N_PROPERTIES };
static unsigned violations[_N_PROPERTIES];
static unsigned n_refused, n_verified, n_guests_seen;

struct sim_guest_thread {
	int pid, vcpu, policy, priority;
	unsigned cpus; /* bits */
};

enum inner { INNER_CONVERGED, INNER_DRIFTED, INNER_PENDING };

struct sim_guest {
	const struct desired_guest *want;
	bool running, was_verified;
	const char *argv;
	bool kvm;
	struct sim_guest_thread threads[THREADS_MAX];
	size_t n_threads;
	int next_pid;
	uint64_t page_kib, memory_kib, locked_kib;
	unsigned node;
	bool mute, no_channel; /* there is no latencyd in it; it has no channel */
	unsigned booting;      /* looks until it answers */
	const char *digest;
	enum inner inner;
};

struct run {
	uint64_t seed;
	struct rng rng;
	struct arena arena;
	struct desired d;
	struct observed machine; /* what stays the same at every look */
	struct sim_guest guests[GUESTS_MAX];
	size_t n;
	bool kvm, vsock, qemu;
	enum fact_state forwards_state;
	const char *forwards;
	const char *document;
};

printf_like(3, 4) static void violated(const struct run *run, enum property p, const char *fmt, ...)
{
	va_list ap;

	if (violations[p]++ > 4)
		return;
	fprintf(stderr, "# violated: PROPERTY_SEED=%" PRIu64 " PROPERTY_RUNS=1: ", run->seed);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n");
	if (getenv("PROPERTY_SHOW"))
		fprintf(stderr, "%s", run->document);
}

static const char *pick(struct run *run, const char *const *words, unsigned n)
{
	return words[rng_below(&run->rng, n)];
}

/* ---- the document ---- */

static const char *gen_launch(struct run *run, bool tap)
{
	static const char *const sizes[] = { "", ", page_size: none", ", page_size: 2M",
					     ", page_size: 1G" };
	static const char *const nodes[] = { "", ", node: 0", ", node: 1" };
	static const char *const accels[] = { "", ", accel: auto", ", accel: kvm", ", accel: tcg",
					      ", accel: tcg" };
	static const char *const boots[] = { "disk: /g.qcow2", "disk: /g.raw",
					     "kernel: /k, initrd: /i, append: quiet x=1",
					     "kernel: /k, disk: /g.raw" };

	return arena_printf(&run->arena, "    launch: {%s, memory: %uG%s%s%s%s}\n",
			    pick(run, boots, 4), 1 + rng_below(&run->rng, 2), pick(run, sizes, 4),
			    pick(run, nodes, 3), pick(run, accels, 5),
			    tap ? ", network: {tap: tap0}" : "");
}

static const char *gen_vcpus(struct run *run, unsigned n, unsigned *next_cpu, bool real_time)
{
	const char *text = "";

	for (unsigned i = 0; i < n; i++)
		text = arena_printf(
			&run->arena, "%s%s{cpu: %u, priority: %u}", text, i ? ", " : "",
			(*next_cpu)++,
			real_time || rng_percent(&run->rng, 70) ? 1 + rng_below(&run->rng, 98) : 0);
	return arena_printf(&run->arena, "    vcpus: [%s]\n", text);
}

static const char *gen_guest(struct run *run, unsigned i, unsigned *next_cpu)
{
	static const char *const adopts[] = { "{domain: d, channel: /c}", "{pid_file: /p}" };
	static const char *const emulators[] = { "", "    emulator: housekeeping\n",
						 "    emulator: 0\n", "    emulator: 0-1\n" };
	bool adopted = rng_percent(&run->rng, 30), tap = rng_percent(&run->rng, 20);
	bool has_state = rng_percent(&run->rng, 60);
	unsigned n = 1 + rng_below(&run->rng, 3);
	const char *ssh = "", *state = "";

	if (rng_percent(&run->rng, 60))
		ssh = arena_printf(&run->arena, "    ssh: {host_port: %u%s%s}\n",
				   1000 + rng_below(&run->rng, 60000) / GUESTS_MAX * GUESTS_MAX + i,
				   adopted || tap ? ", guest_address: 192.0.2.9" : "",
				   rng_percent(&run->rng, 50) ? ", from: [192.0.2.0/24]" : "");
	if (has_state && n > 1)
		state = arena_printf(&run->arena,
				     "    state: {cpus: {isolated: %u}, cpu_isolation: [domain], "
				     "tick_offload: isolated, watchdogs: off}\n",
				     n - 1);
	else if (has_state)
		state = "    state: {watchdogs: off, timer_migration: off}\n";
	return arena_printf(
		&run->arena, "  - name: g%u\n%s%s%s%s%s", i,
		adopted ? arena_printf(&run->arena, "    adopt: %s\n", pick(run, adopts, 2))
			: gen_launch(run, tap),
		gen_vcpus(run, n, next_cpu, has_state), pick(run, emulators, 4), ssh, state);
}

static void gen_document_text(struct run *run)
{
	static const char *const policies[] = { "manual", "when-asked", "automatic" };
	unsigned n = 1 + rng_below(&run->rng, GUESTS_MAX), next_cpu = 2;
	const char *text = rng_percent(&run->rng, 50) ? "version: 1\n"
						      : "version: 1\nhost:\n  cpus: {isolated: "
							"2-15}\n  watchdogs: off\n";

	text = arena_printf(&run->arena, "%sguests:\n", text);
	for (unsigned i = 0; i < n; i++)
		text = arena_printf(&run->arena, "%s%s", text, gen_guest(run, i, &next_cpu));
	run->document =
		arena_printf(&run->arena, "%sreboot: {policy: %s}\n", text, pick(run, policies, 3));
}

/* ---- the machine and its guests ---- */

static struct fact known(const char *text)
{
	return (struct fact){ .state = FACT_KNOWN, .path = "/fact", .text = text };
}

static struct fact in_state(enum fact_state state)
{
	return (struct fact){ .state = state, .path = "/fact", .text = NULL };
}

static void make_machine(struct run *run)
{
	struct observed *o = &run->machine;

	o->n_cpus = CPUS;
	o->cpu_possible = o->cpu_present = o->cpu_online = known("0-15");
	assert_int_equal(cpuset_add_range(&o->possible, 0, CPUS - 1), 0);
	assert_int_equal(cpuset_copy(&o->present, &o->possible), 0);
	assert_int_equal(cpuset_copy(&o->online, &o->possible), 0);
	run->kvm = rng_percent(&run->rng, 60);
	run->vsock = rng_percent(&run->rng, 50);
	run->qemu = rng_percent(&run->rng, 90);
	o->kvm = run->kvm ? known("12") : in_state(FACT_ABSENT);
	o->vhost_vsock = run->vsock ? known("") : in_state(FACT_ABSENT);
	o->qemu = run->qemu ? known("") : in_state(FACT_ABSENT);
}

static unsigned gen_cpus(struct run *run)
{
	return rng_percent(&run->rng, 40) ? ALL_CPUS : 1 + rng_below(&run->rng, ALL_CPUS);
}

static void add_thread(struct sim_guest *g, int vcpu, unsigned cpus, int priority)
{
	assert_true(g->n_threads < THREADS_MAX);
	g->threads[g->n_threads++] = (struct sim_guest_thread){
		.pid = g->next_pid++,
		.vcpu = vcpu,
		.cpus = cpus,
		.policy = priority > 0,
		.priority = priority,
	};
}

static const char *joined(struct arena *a, const char *const *argv)
{
	const char *text = argv[0];

	for (size_t i = 1; argv[i]; i++)
		text = arena_printf(a, "%s %s", text, argv[i]);
	return text;
}

/* A process that has just started: nothing is pinned, the memory is as its command line says. */
static void start(struct run *run, struct sim_guest *g, const char *argv)
{
	const struct desired_launch *l = &g->want->launch;

	g->running = true;
	g->was_verified = false;
	g->argv = argv;
	g->kvm = strstr(argv, "-accel kvm") != NULL;
	g->n_threads = 0;
	add_thread(g, -1, ALL_CPUS, 0);
	for (size_t i = 0; i < g->want->n_vcpus; i++)
		add_thread(g, (int)i, ALL_CPUS, 0);
	add_thread(g, -1, ALL_CPUS, 0);
	g->page_kib = l->page_size_kib;
	g->memory_kib = g->locked_kib = l->memory_kib;
	g->node = l->node >= 0 ? (unsigned)l->node : rng_below(&run->rng, 2);
	g->booting = 1 + rng_below(&run->rng, 2);
	if (guest_boots_from_host(g->want) && g->inner == INNER_PENDING)
		g->inner = INNER_CONVERGED;
}

/* Somebody was at its threads and its memory. */
static void disturb(struct run *run, struct sim_guest *g)
{
	for (size_t i = 0; i < g->n_threads; i++) {
		struct sim_guest_thread *t = &g->threads[i];
		bool right = t->vcpu >= 0 && rng_percent(&run->rng, 50);

		t->cpus = right ? 1U << g->want->vcpus[t->vcpu].cpu : gen_cpus(run);
		t->priority =
			(int)(right ? g->want->vcpus[t->vcpu].priority : rng_below(&run->rng, 5));
		t->policy = t->vcpu >= 0 && t->priority > 0;
	}
	if (rng_percent(&run->rng, 10))
		g->locked_kib = 0;
	if (rng_percent(&run->rng, 10))
		g->node ^= 1;
	if (rng_percent(&run->rng, 5))
		g->page_kib = 0;
	if (rng_percent(&run->rng, 5))
		add_thread(g, (int)g->want->n_vcpus, ALL_CPUS, 0);
	else if (rng_percent(&run->rng, 5))
		g->threads[1].vcpu = -1;
	g->booting = 0;
	g->was_verified = rng_percent(&run->rng, 50);
}

static void gen_sim_guest(struct run *run, struct sim_guest *g, const struct desired_guest *want)
{
	struct observed then = run->machine;
	const char *argv;

	*g = (struct sim_guest){ .want = want, .next_pid = 1000 * (int)(want - run->d.guests + 1) };
	g->mute = rng_percent(&run->rng, 15);
	g->no_channel = want->origin == GUEST_ADOPT && !want->adopt.channel;
	g->digest = rng_percent(&run->rng, 50)	 ? want->digest
		    : rng_percent(&run->rng, 50) ? "0123456789abcdef"
						 : NULL;
	g->inner = (enum inner)rng_below(&run->rng, 3);
	if (rng_percent(&run->rng, 30))
		return;
	then.kvm = rng_percent(&run->rng, 50) ? known("12") : in_state(FACT_ABSENT);
	argv = want->origin == GUEST_ADOPT
		       ? (rng_percent(&run->rng, 50) ? "qemu -accel kvm" : "qemu")
		       : joined(&run->arena, guest_argv(want, &then, &run->arena));
	if (rng_percent(&run->rng, 25))
		argv = arena_printf(&run->arena, "%s -usb", argv);
	start(run, g, argv);
	if (rng_percent(&run->rng, 80))
		disturb(run, g);
}

static void gen_forwards(struct run *run)
{
	static const char *const odd[] = { "7 from 10.0.0.0/8", "",
					   "1000 from ::1\n1000 from ::1" };

	run->forwards_state = rng_percent(&run->rng, 10)   ? FACT_DENIED
			      : rng_percent(&run->rng, 40) ? FACT_ABSENT
							   : FACT_KNOWN;
	run->forwards = rng_percent(&run->rng, 60) ? forwards_wanted(&run->d, &run->arena)
						   : pick(run, odd, 3);
}

/* ---- looking ---- */

static const char *bits_text(struct arena *a, unsigned bits)
{
	const char *text = "";

	for (unsigned i = 0; i < CPUS; i++)
		if (bits & 1U << i)
			text = arena_printf(a, "%s%s%u", text, *text ? "," : "", i);
	return text;
}

static const char *status_text(struct arena *a, const struct sim_guest *g, const char *digest)
{
	static const char *const machine[] = { "verified", "drifted", "pending-reboot" };
	static const char *const verdicts[] = { "converged", "drifted", "pending-reboot" };
	const char *text = "";

	for (size_t i = 0; i < n_settings; i++)
		if (g->want->state->values[i])
			text = arena_printf(a, "%s%s{\"name\":\"%s\",\"verdict\":\"%s\"}", text,
					    *text ? "," : "", settings[i]->name,
					    verdicts[g->inner]);
	return arena_printf(a,
			    "{\"version\":1,\"machine\":\"guest\",\"verdict\":\"%s\","
			    "\"document_digest\":%s%s%s,\"settings\":[%s]}",
			    machine[g->inner], digest ? "\"" : "", digest ? digest : "null",
			    digest ? "\"" : "", text);
}

static bool answers(const struct sim_guest *g)
{
	return g->want->state && !g->mute && !g->no_channel && !g->booting;
}

static void render_guest(const struct sim_guest *g, struct arena *a, struct observed_guest *seen)
{
	*seen = (struct observed_guest){ .name = g->want->name,
					 .process = in_state(FACT_ABSENT),
					 .channel = in_state(FACT_UNREADABLE) };
	if (!g->running)
		return;
	seen->process = known("1");
	seen->pid = g->threads[0].pid;
	seen->argv = known(g->argv);
	seen->accel = known(g->kvm ? "kvm" : "tcg");
	seen->cpu_model = g->kvm ? known("tsc-deadline invtsc") : in_state(FACT_ABSENT);
	seen->vcpus_by = known("thread names");
	seen->was_verified = g->was_verified;
	seen->n_threads = g->n_threads;
	seen->threads = arena_alloc(a, g->n_threads * sizeof(*seen->threads));
	for (size_t i = 0; i < g->n_threads; i++)
		seen->threads[i] = (struct observed_guest_thread){
			.thread = { .pid = g->threads[i].pid,
				    .comm = "thread",
				    .policy = g->threads[i].policy,
				    .priority = g->threads[i].priority,
				    .allowed = known(bits_text(a, g->threads[i].cpus)) },
			.vcpu = g->threads[i].vcpu,
		};
	seen->memory.fact = known("");
	seen->memory.page_size_kib = g->page_kib;
	seen->memory.total_kib = g->memory_kib;
	seen->memory.locked_kib = g->locked_kib;
	assert_int_equal(cpuset_add(&seen->memory.nodes, g->node), 0);
	if (answers(g))
		seen->channel = known(status_text(a, g, g->digest));
	else if (g->no_channel)
		seen->channel = in_state(FACT_ABSENT);
}

struct look {
	struct observed o;
	struct observed_guest guests[GUESTS_MAX];
	struct arena arena;
	struct report r;
	struct plan p;
};

static void look_done(struct look *l)
{
	plan_done(&l->p);
	report_done(&l->r);
	observed_guests_done(&l->o); /* the rest is the run's */
	arena_free(&l->arena);
}

static void look_take(struct run *run, struct look *l)
{
	*l = (struct look){ .o = run->machine };
	l->o.guests = l->guests;
	l->o.n_guests = run->n;
	l->o.forwards = run->forwards_state == FACT_KNOWN ? known(run->forwards)
							  : in_state(run->forwards_state);
	for (size_t i = 0; i < run->n; i++)
		render_guest(&run->guests[i], &l->arena, &l->guests[i]);
}

static void look_think(struct run *run, struct look *l)
{
	assert_int_equal(judge(&run->d, &l->o, &l->r), 0);
	assert_int_equal(plan_make(&run->d, &l->o, &l->p), 0);
}

/* ---- acting ---- */

static struct sim_guest *guest_of(struct run *run, const struct step *s)
{
	for (size_t i = 0; i < run->n; i++)
		if (s->guest == run->guests[i].want)
			return &run->guests[i];
	return NULL;
}

static void execute_thread(struct run *run, const struct step *s)
{
	_cleanup_cpuset_ struct cpuset want = { 0 };
	struct sim_guest_thread *t = NULL;

	for (size_t i = 0; i < run->n; i++)
		for (size_t k = 0; run->guests[i].running && k < run->guests[i].n_threads; k++)
			if (run->guests[i].threads[k].pid == (int)s->number)
				t = &run->guests[i].threads[k];
	if (!t || !s->transient) {
		violated(run, OWN_THINGS, "a step about thread %u", s->number);
		return;
	}
	if (!s->set_affinity) {
		t->policy = s->policy;
		t->priority = s->priority;
		return;
	}
	assert_int_equal(cpuset_parse_list(s->want, CPUS, &want), 0);
	t->cpus = 0;
	cpuset_for_each (cpu, &want)
		t->cpus |= 1U << cpu;
	if (t->vcpu >= 0 && (t->cpus & (t->cpus - 1)))
		violated(run, OWN_THINGS, "a vCPU on the CPUs %s", s->want);
}

static void execute_guest(struct run *run, const struct step *s)
{
	struct sim_guest *g = guest_of(run, s);
	bool process = s->kind == STEP_GUEST_STOP || s->kind == STEP_GUEST_LAUNCH;

	if (!g || !streq(g->want->name, s->target) || (process && g->want->origin == GUEST_ADOPT) ||
	    g->running != (s->kind != STEP_GUEST_LAUNCH)) {
		violated(run, OWN_THINGS, "%s of %s", step_kind_name(s->kind), s->target);
	} else if (s->kind == STEP_GUEST_STOP) {
		g->running = false;
	} else if (s->kind == STEP_GUEST_LAUNCH) {
		start(run, g, joined(&run->arena, s->argv));
	} else {
		g->digest = arena_strdup(&run->arena, s->want);
		if (g->inner == INNER_PENDING && s->reboot)
			g->booting = 1;
		if (g->inner == INNER_DRIFTED || s->reboot)
			g->inner = INNER_CONVERGED;
	}
}

static void execute(struct run *run, const struct plan *p)
{
	for (size_t i = 0; i < p->n_steps; i++) {
		const struct step *s = &p->steps[i];

		if (s->kind == STEP_THREAD) {
			execute_thread(run, s);
		} else if (s->kind == STEP_FORWARD) {
			run->forwards_state = s->want ? FACT_KNOWN : FACT_ABSENT;
			run->forwards = s->want ? arena_strdup(&run->arena, s->want) : NULL;
		} else if (s->kind == STEP_GUEST_STOP || s->kind == STEP_GUEST_LAUNCH ||
			   s->kind == STEP_GUEST_DOCUMENT) {
			execute_guest(run, s);
		} else {
			violated(run, OWN_THINGS, "a step of the kind %s", step_kind_name(s->kind));
		}
	}
}

/* ---- what is true, told by other means than the rows' ---- */

static bool memory_true(const struct sim_guest *g)
{
	const struct desired_launch *l = &g->want->launch;

	if (g->locked_kib < g->memory_kib)
		return false;
	return g->want->origin == GUEST_ADOPT ||
	       ((!l->page_size_kib || l->page_size_kib == g->page_kib) &&
		(l->node < 0 || (unsigned)l->node == g->node));
}

static bool has_each_vcpu_once(const struct sim_guest *g)
{
	unsigned seen = 0, n = 0;

	for (size_t i = 0; i < g->n_threads; i++)
		if (g->threads[i].vcpu >= 0) {
			seen |= 1U << g->threads[i].vcpu;
			n++;
		}
	return n == g->want->n_vcpus && seen == (1U << n) - 1;
}

static bool threads_true(const struct run *run, const struct sim_guest *g)
{
	unsigned house = run->d.no_machine ? ALL_CPUS : 3;

	if (!cpuset_empty(&g->want->emulator))
		house = cpuset_has(&g->want->emulator, 1) ? 3 : 1;
	for (size_t i = 0; i < g->n_threads; i++) {
		const struct sim_guest_thread *t = &g->threads[i];
		const struct desired_vcpu *w = &g->want->vcpus[t->vcpu < 0 ? 0 : t->vcpu];

		if (t->vcpu < 0 ? (t->cpus & ~house) != 0
				: t->cpus != 1U << w->cpu || t->policy != (w->priority > 0) ||
					  t->priority != (int)w->priority)
			return false;
	}
	return true;
}

static bool forward_true(const struct run *run, const struct sim_guest *g)
{
	const char *port = arena_printf((struct arena *)&run->arena, "%u ", g->want->ssh.host_port);

	return !g->want->ssh.host_port ||
	       (run->forwards_state == FACT_KNOWN &&
		streq(run->forwards, forwards_wanted(&run->d, (struct arena *)&run->arena)) &&
		strstr(run->forwards, port));
}

static bool outer_true(const struct run *run, const struct sim_guest *g)
{
	return g->running && memory_true(g) && has_each_vcpu_once(g) && threads_true(run, g) &&
	       (g->want->origin == GUEST_ADOPT || !strstr(g->argv, "-usb"));
}

static bool all_true(const struct run *run, const struct sim_guest *g)
{
	return outer_true(run, g) &&
	       (!g->want->state || (answers(g) && g->digest && streq(g->digest, g->want->digest) &&
				    g->inner == INNER_CONVERGED));
}

/* The forwards of others may be wrong while this guest's line is right: the table is one, so only
 * a table that is wholly right tells. */
static void check_truth(const struct run *run, const struct look *l)
{
	for (size_t i = 0; i < run->n; i++) {
		const struct sim_guest *g = &run->guests[i];
		bool verified = l->r.guests[i].verdict == MACHINE_VERIFIED;

		if (verified && !all_true(run, g))
			violated(run, TRUTH, "%s is verified, but is not right", g->want->name);
		if (!verified && all_true(run, g) && forward_true(run, g))
			violated(run, TRUTH, "%s is right, but %s", g->want->name,
				 machine_verdict_name(l->r.guests[i].verdict));
	}
}

static void check_order(const struct run *run, const struct look *l)
{
	for (size_t i = 0; i < l->p.n_steps; i++) {
		const struct step *s = &l->p.steps[i];
		bool again = s->kind != STEP_GUEST_STOP;

		for (size_t k = i + 1; k < l->p.n_steps; k++)
			again |= l->p.steps[k].kind == STEP_GUEST_LAUNCH &&
				 l->p.steps[k].guest == s->guest &&
				 l->p.steps[k].disruption == DISRUPTION_GUEST_RESTART;
		if (!again)
			violated(run, OWN_THINGS, "%s is stopped and not started", s->target);
		if (i && s->kind < s[-1].kind)
			violated(run, OWN_THINGS, "the steps are out of order");
	}
}

/* What the test knows to be in the way of a guest. */
static bool may_stay(const struct run *run, const struct sim_guest *g)
{
	const struct desired_guest *w = g->want;
	bool startable = run->qemu && (w->launch.accel != GUEST_ACCEL_KVM || run->kvm);

	if (w->ssh.host_port && run->forwards_state == FACT_DENIED)
		return true;
	if (w->state && (g->mute || g->no_channel))
		return true;
	if (w->origin == GUEST_ADOPT ? !g->running || !memory_true(g) || !has_each_vcpu_once(g)
				     : !startable || !has_each_vcpu_once(g))
		return true;
	return w->state && g->inner == INNER_PENDING &&
	       (guest_boots_from_host(w) || run->d.reboot_policy == REBOOT_MANUAL ||
		(run->d.reboot_policy == REBOOT_WHEN_ASKED && g->was_verified));
}

static bool wait_for_guests(struct run *run)
{
	bool waited = false;

	for (size_t i = 0; i < run->n; i++)
		if (run->guests[i].booting) {
			run->guests[i].booting--;
			waited = true;
		}
	return waited;
}

static void converge(struct run *run)
{
	unsigned rounds = 0;

	for (;;) {
		_cleanup_(look_done) struct look l;

		look_take(run, &l);
		look_think(run, &l);
		check_truth(run, &l);
		check_order(run, &l);
		if (l.p.n_steps && rounds++ == ROUNDS_MAX) {
			violated(run, CONVERGENCE, "still %s %s", step_kind_name(l.p.steps[0].kind),
				 l.p.steps[0].target);
			return;
		}
		execute(run, &l.p);
		if (l.p.n_steps || wait_for_guests(run))
			continue;
		for (size_t i = 0; i < run->n; i++) {
			bool verified = l.r.guests[i].verdict == MACHINE_VERIFIED;

			n_guests_seen++;
			n_verified += verified;
			if (!verified && !may_stay(run, &run->guests[i]))
				violated(run, CONVERGENCE, "%s stays %s", run->guests[i].want->name,
					 machine_verdict_name(l.r.guests[i].verdict));
		}
		return;
	}
}

/* ---- lies ---- */

static const char *gen_lie(struct run *run, struct arena *a, const struct sim_guest *g)
{
	static const char *const rubbish[] = {
		"", "{", "[[[", "null", "{\"version\":1}", "\x1b[2J"
	};
	struct sim_guest said = *g;
	char *text;

	if (!g->want->state || rng_percent(&run->rng, 30))
		return pick(run, rubbish, 6);
	said.inner = (enum inner)rng_below(&run->rng, 3);
	text = arena_strdup(a, status_text(a, &said, g->want->digest));
	if (rng_percent(&run->rng, 50))
		text[rng_below(&run->rng, (unsigned)strlen(text))] =
			(char)(1 + rng_below(&run->rng, 255));
	return text;
}

static size_t count_others(const struct plan *p)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n_steps; i++)
		n += p->steps[i].kind != STEP_GUEST_DOCUMENT;
	return n;
}

static void check_lies(struct run *run)
{
	_cleanup_(look_done) struct look honest, lying;

	look_take(run, &honest);
	look_think(run, &honest);
	look_take(run, &lying);
	for (size_t i = 0; i < run->n; i++)
		if (run->guests[i].running)
			lying.guests[i].channel =
				known(gen_lie(run, &lying.arena, &run->guests[i]));
	look_think(run, &lying);
	if (honest.r.verdict != lying.r.verdict)
		violated(run, LIES, "the host is %s", machine_verdict_name(lying.r.verdict));
	for (size_t i = 0; i < n_settings; i++)
		if (honest.r.settings[i].verdict != lying.r.settings[i].verdict)
			violated(run, LIES, "the host's %s differs", settings[i]->name);
	if (count_others(&honest.p) != count_others(&lying.p))
		violated(run, LIES, "there are other steps");
	for (size_t i = 0; i < run->n; i++)
		if (lying.r.guests[i].verdict == MACHINE_VERIFIED &&
		    !outer_true(run, &run->guests[i]))
			violated(run, LIES, "%s is verified by its own word",
				 run->guests[i].want->name);
}

/* ---- runs ---- */

static void run_pair(uint64_t seed)
{
	struct run run = { .seed = seed, .rng = { .state = seed * 2654435769U + 1 } };
	_cleanup_error_ struct error e = { 0 };
	int r;

	gen_document_text(&run);
	make_machine(&run);
	r = document_parse("random.yaml", run.document, strlen(run.document), &run.d, &e);
	if (r >= 0)
		r = desired_resolve(&run.d, &run.machine, &e);
	if (r < 0) {
		if (!n_refused++)
			fprintf(stderr, "# the first one that is refused: %s\n", e.what);
	} else {
		run.n = run.d.n_guests;
		for (size_t i = 0; i < run.n; i++)
			gen_sim_guest(&run, &run.guests[i], &run.d.guests[i]);
		gen_forwards(&run);
		check_lies(&run);
		converge(&run);
		check_lies(&run);
	}
	desired_done(&run.d);
	observed_done(&run.machine);
	arena_free(&run.arena);
}

static uint64_t from_env(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

static int run_pairs(void **state)
{
	uint64_t runs = from_env("PROPERTY_RUNS", 2000);
	uint64_t seed = from_env("PROPERTY_SEED", (uint64_t)time(NULL) << 20);

	(void)state;
	fprintf(stderr, "# PROPERTY_SEED=%" PRIu64 " PROPERTY_RUNS=%" PRIu64 "\n", seed, runs);
	for (uint64_t i = 0; i < runs; i++)
		run_pair(seed + i);
	fprintf(stderr, "# %" PRIu64 " documents, %u refused; %u of %u guests verified\n", runs,
		n_refused, n_verified, n_guests_seen);
	/* A generator that makes nothing but nonsense would prove nothing. */
	return runs >= 1000 && (n_refused > runs / 3 || n_verified < n_guests_seen / 5) ? -1 : 0;
}

/* The backtraces of many small allocations take a third of the time. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "malloc_context_size=2";
}

#define PROPERTY_TEST(name, property)                      \
	static void name(void **state)                     \
	{                                                  \
		(void)state;                               \
		assert_int_equal(violations[property], 0); \
	}

PROPERTY_TEST(every_guest_converges_as_far_as_it_can, CONVERGENCE)
PROPERTY_TEST(a_guest_is_verified_exactly_if_it_is_right, TRUTH)
PROPERTY_TEST(a_plan_keeps_to_its_own_things, OWN_THINGS)
PROPERTY_TEST(what_guests_say_touches_nothing_else, LIES)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_guest_converges_as_far_as_it_can),
		cmocka_unit_test(a_guest_is_verified_exactly_if_it_is_right),
		cmocka_unit_test(a_plan_keeps_to_its_own_things),
		cmocka_unit_test(what_guests_say_touches_nothing_else),
	};

	return cmocka_run_group_tests_name("guests", tests, run_pairs, NULL);
}

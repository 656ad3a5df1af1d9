/* See sim_guests.h. */
#include "tests/property/sim_guests.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "state/guest_argv.h"
#include "state/guest_row.h"

static const char *pick(struct guests_sim *run, const char *const *words, unsigned n)
{
	return words[rng_below(&run->rng, n)];
}

/* ---- the document ---- */

/* @host: its document manages the machine, and reserves no huge pages. */
static const char *gen_launch(struct guests_sim *run, bool host, bool tap)
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
			    pick(run, boots, 4), 1 + rng_below(&run->rng, 2),
			    pick(run, sizes, host ? 2 : 4), pick(run, nodes, 3),
			    pick(run, accels, 5), tap ? ", network: {tap: tap0}" : "");
}

static const char *gen_vcpus(struct guests_sim *run, unsigned n, unsigned *next_cpu, bool real_time)
{
	const char *text = "";

	for (unsigned i = 0; i < n; i++)
		text = arena_printf(
			&run->arena, "%s%s{cpu: %u, priority: %u}", text, i ? ", " : "",
			(*next_cpu)++,
			real_time || rng_percent(&run->rng, 70) ? 1 + rng_below(&run->rng, 98) : 0);
	return arena_printf(&run->arena, "    vcpus: [%s]\n", text);
}

static const char *gen_guest(struct guests_sim *run, bool host, unsigned i, unsigned *next_cpu)
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
				   rng_percent(&run->rng, 50) || adopted || tap
					   ? ", from: [192.0.2.0/24]"
					   : "");
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
			: gen_launch(run, host, tap),
		gen_vcpus(run, n, next_cpu, has_state), pick(run, emulators, 4), ssh, state);
}

static void gen_document_text(struct guests_sim *run)
{
	static const char *const policies[] = { "manual", "when-asked", "automatic" };
	unsigned n = 1 + rng_below(&run->rng, GUESTS_MAX), next_cpu = 2;
	static const char *const drifts[] = {
		"",
		"drift: {}\n",
		"drift: {repair: none, alert: [journal, dbus, metrics]}\n",
		"drift: {repair: runtime}\n",
		"drift: {repair: all, alert: [unit], pass_interval: 1h}\n",
		"drift: {alert: [], pass_interval: 7}\n",
	};
	bool host = rng_percent(&run->rng, 50), own = host && rng_percent(&run->rng, 20);
	const char *text = "version: 1\n";

	if (host)
		text = "version: 1\nhost:\n  cpus: {isolated: 2-15}\n  watchdogs: off\n";
	text = arena_printf(&run->arena, "%sguests:\n", text);
	for (unsigned i = 0; i < n; i++)
		text = arena_printf(&run->arena, "%s%s", text, gen_guest(run, host, i, &next_cpu));
	run->document = arena_printf(
		&run->arena, "%sreboot: {policy: %s}\n%s", text, pick(run, policies, 3),
		own ? "drift: {repair: runtime, settings: {watchdogs: {repair: all}}}\n"
		    : pick(run, drifts, ARRAY_SIZE(drifts)));
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

static void make_machine(struct guests_sim *run)
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

static unsigned gen_cpus(struct guests_sim *run)
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
static void start(struct guests_sim *run, struct sim_guest *g, const char *argv)
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
static void disturb(struct guests_sim *run, struct sim_guest *g)
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
	g->inner = (enum inner)rng_below(&run->rng, 3);
}

static void gen_sim_guest(struct guests_sim *run, struct sim_guest *g,
			  const struct desired_guest *want)
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

static void gen_forwards(struct guests_sim *run)
{
	static const char *const odd[] = { "7 from 10.0.0.0/8", "",
					   "1000 from ::1\n1000 from ::1" };

	run->forwards_state = rng_percent(&run->rng, 10)   ? FACT_DENIED
			      : rng_percent(&run->rng, 40) ? FACT_ABSENT
							   : FACT_KNOWN;
	run->forwards = rng_percent(&run->rng, 60) ? forwards_wanted(&run->d, &run->arena)
						   : pick(run, odd, 3);
}

void guests_gen(struct guests_sim *run, uint64_t seed)
{
	run->seed = seed;
	run->rng.state = seed * 2654435769U + 1;
	gen_document_text(run);
	make_machine(run);
}

void guests_gen_seen(struct guests_sim *run)
{
	run->n = run->d.n_guests;
	for (size_t i = 0; i < run->n; i++)
		gen_sim_guest(run, &run->guests[i], &run->d.guests[i]);
	gen_forwards(run);
}

void guests_done(struct guests_sim *run)
{
	desired_done(&run->d);
	observed_done(&run->machine);
	arena_free(&run->arena);
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

const char *guest_status_text(struct arena *a, const struct sim_guest *g, const char *digest)
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

bool guest_answers(const struct sim_guest *g)
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
	if (guest_answers(g))
		seen->channel = known(guest_status_text(a, g, g->digest));
	else if (g->no_channel)
		seen->channel = in_state(FACT_ABSENT);
}

void guests_observe(const struct guests_sim *run, struct arena *a,
		    struct observed_guest guests[GUESTS_MAX], struct observed *ret)
{
	*ret = run->machine;
	ret->guests = guests;
	ret->n_guests = run->n;
	ret->forwards = run->forwards_state == FACT_KNOWN ? known(run->forwards)
							  : in_state(run->forwards_state);
	for (size_t i = 0; i < run->n; i++)
		render_guest(&run->guests[i], a, &guests[i]);
}

/* ---- acting ---- */

printf_like(2, 3) static void complain(struct guests_sim *run, const char *fmt, ...)
{
	char text[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	run->complaint = arena_strdup(&run->arena, text);
}

static struct sim_guest *guest_of(struct guests_sim *run, const struct step *s)
{
	for (size_t i = 0; i < run->n; i++)
		if (s->guest == run->guests[i].want)
			return &run->guests[i];
	return NULL;
}

static void execute_thread(struct guests_sim *run, const struct step *s)
{
	_cleanup_cpuset_ struct cpuset want = { 0 };
	struct sim_guest_thread *t = NULL;

	for (size_t i = 0; i < run->n; i++)
		for (size_t k = 0; run->guests[i].running && k < run->guests[i].n_threads; k++)
			if (run->guests[i].threads[k].pid == (int)s->number)
				t = &run->guests[i].threads[k];
	if (!t || !s->transient) {
		complain(run, "a step about thread %u", s->number);
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
		complain(run, "a vCPU on the CPUs %s", s->want);
}

static void execute_guest(struct guests_sim *run, const struct step *s)
{
	struct sim_guest *g = guest_of(run, s);
	bool process = s->kind == STEP_GUEST_STOP || s->kind == STEP_GUEST_LAUNCH;

	if (!g || !streq(g->want->name, s->target) || (process && g->want->origin == GUEST_ADOPT) ||
	    g->running != (s->kind != STEP_GUEST_LAUNCH)) {
		complain(run, "%s of %s", step_kind_name(s->kind), s->target);
	} else if (s->kind == STEP_GUEST_STOP) {
		g->running = false;
	} else if (s->kind == STEP_GUEST_LAUNCH) {
		start(run, g, joined(&run->arena, s->argv));
	} else {
		g->digest = arena_strdup(&run->arena, s->want);
		if (g->inner == INNER_PENDING && s->reboot)
			g->booting = 1;
		/* a reboot inside brings no other arguments than its QEMU has */
		if (g->inner == INNER_DRIFTED || (s->reboot && !guest_boots_from_host(g->want)))
			g->inner = INNER_CONVERGED;
	}
}

void guests_execute(struct guests_sim *run, const struct plan *p)
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
			complain(run, "a step of the kind %s", step_kind_name(s->kind));
		}
	}
}

bool guests_wait(struct guests_sim *run)
{
	bool waited = false;

	for (size_t i = 0; i < run->n; i++)
		if (run->guests[i].booting) {
			run->guests[i].booting--;
			waited = true;
		}
	return waited;
}

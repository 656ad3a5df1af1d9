/*
 * The properties of judge and plan about guests, on random documents with simulated guests:
 *
 *  1. convergence: after at most five plans that have steps none is left, and every guest is
 *     verified but where something that the test knows is in the way;
 *  2. truth: at every look a guest is verified exactly if it really is as the document asks;
 *  3. a plan keeps off what is not its own: no adopted guest is started or stopped, what is
 *     stopped is started again, a vCPU goes to its own CPU;
 *  4. whatever guests say, the host's verdicts and the steps about everything but their documents
 *     stay the same, and no guest is better than what its host sees;
 *  5. one document: what a guest is given says of its state, its boot, its reboots and its drifts
 *     what the host's document says, and is the same text each time.
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

#include "state/guest_row.h"
#include "tests/property/sim_guests.h"

#define ROUNDS_MAX 5

enum property { CONVERGENCE, TRUTH, OWN_THINGS, LIES, ONE_DOCUMENT, _N_PROPERTIES };
static unsigned violations[_N_PROPERTIES];
static unsigned n_refused, n_verified, n_guests_seen;

printf_like(3, 4) static void violated(const struct guests_sim *run, enum property p,
				       const char *fmt, ...)
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

static void look_take(struct guests_sim *run, struct look *l)
{
	*l = (struct look){ 0 };
	guests_observe(run, &l->arena, l->guests, &l->o);
}

static void look_think(struct guests_sim *run, struct look *l)
{
	assert_int_equal(judge(&run->d, &l->o, &l->r), 0);
	assert_int_equal(plan_make(&run->d, &l->o, &l->p), 0);
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

static bool threads_true(const struct guests_sim *run, const struct sim_guest *g)
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

static bool forward_true(const struct guests_sim *run, const struct sim_guest *g)
{
	const char *port = arena_printf((struct arena *)&run->arena, "%u ", g->want->ssh.host_port);

	return !g->want->ssh.host_port ||
	       (run->forwards_state == FACT_KNOWN &&
		streq(run->forwards, forwards_wanted(&run->d, (struct arena *)&run->arena)) &&
		strstr(run->forwards, port));
}

static bool outer_true(const struct guests_sim *run, const struct sim_guest *g)
{
	return g->running && memory_true(g) && has_each_vcpu_once(g) && threads_true(run, g) &&
	       (g->want->origin == GUEST_ADOPT || !strstr(g->argv, "-usb"));
}

static bool all_true(const struct guests_sim *run, const struct sim_guest *g)
{
	return outer_true(run, g) && (!g->want->state || (guest_answers(g) && g->digest &&
							  streq(g->digest, g->want->digest) &&
							  g->inner == INNER_CONVERGED));
}

/* The forwards of others may be wrong while this guest's line is right: the table is one, so only
 * a table that is wholly right tells. */
static void check_truth(const struct guests_sim *run, const struct look *l)
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

static void check_order(const struct guests_sim *run, const struct look *l)
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
static bool may_stay(const struct guests_sim *run, const struct sim_guest *g)
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

static void converge(struct guests_sim *run)
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
		guests_execute(run, &l.p);
		if (run->complaint) {
			violated(run, OWN_THINGS, "%s", run->complaint);
			return;
		}
		if (l.p.n_steps || guests_wait(run))
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

static const char *gen_lie(struct guests_sim *run, struct arena *a, const struct sim_guest *g)
{
	static const char *const rubbish[] = {
		"", "{", "[[[", "null", "{\"version\":1}", "\x1b[2J"
	};
	struct sim_guest said = *g;
	char *text;

	if (!g->want->state || rng_percent(&run->rng, 30))
		return rubbish[rng_below(&run->rng, ARRAY_SIZE(rubbish))];
	said.inner = (enum inner)rng_below(&run->rng, 3);
	text = arena_strdup(a, guest_status_text(a, &said, g->want->digest));
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

static void check_lies(struct guests_sim *run)
{
	_cleanup_(look_done) struct look honest, lying;

	look_take(run, &honest);
	look_think(run, &honest);
	look_take(run, &lying);
	for (size_t i = 0; i < run->n; i++)
		if (run->guests[i].running)
			lying.guests[i].channel = (struct fact){
				.state = FACT_KNOWN,
				.path = "/channel",
				.text = gen_lie(run, &lying.arena, &run->guests[i]),
			};
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

/* ---- 5. one document ---- */

static bool says_the_same(const struct desired *a, const struct desired *b)
{
	for (size_t i = 0; i < n_settings; i++)
		if (!a->values[i] != !b->values[i] || a->drift.repair[i] != b->drift.repair[i])
			return false;
	return cpuset_equal(&a->isolated, &b->isolated) && a->role == b->role &&
	       a->boot_by_host == b->boot_by_host && a->reboot_policy == b->reboot_policy &&
	       a->drift.alert == b->drift.alert &&
	       a->drift.pass_interval_s == b->drift.pass_interval_s && streq(a->digest, b->digest);
}

/* The same as the host's, where the guest has the setting. */
static bool governed(const struct desired *host, const struct desired *inner)
{
	for (size_t i = 0; i < n_settings; i++)
		if (inner->values[i] && inner->drift.repair[i] != host->drift.repair[i])
			return false;
	return inner->drift.alert == host->drift.alert &&
	       inner->drift.pass_interval_s == host->drift.pass_interval_s;
}

static void check_guest_document(const struct guests_sim *run, const struct desired_guest *g,
				 const struct desired_guest *again)
{
	_cleanup_desired_ struct desired inner = { 0 };
	_cleanup_error_ struct error e = { 0 };

	if (!streq(g->document, again->document))
		violated(run, ONE_DOCUMENT, "%s has two documents", g->name);
	if (document_parse("guest", g->document, strlen(g->document), &inner, &e) < 0)
		violated(run, ONE_DOCUMENT, "the document of %s is refused: %s", g->name, e.what);
	else if (!says_the_same(&inner, g->state) || !governed(&run->d, &inner))
		violated(run, ONE_DOCUMENT, "the document of %s says something else:\n%s", g->name,
			 g->document);
}

static void check_documents(const struct guests_sim *run)
{
	_cleanup_desired_ struct desired again = { 0 };

	if (document_parse("again.yaml", run->document, strlen(run->document), &again, NULL) < 0)
		return violated(run, ONE_DOCUMENT, "the document is refused the second time");
	for (size_t i = 0; i < run->d.n_guests; i++)
		if (run->d.guests[i].state)
			check_guest_document(run, &run->d.guests[i], &again.guests[i]);
}

/* ---- runs ---- */

static void run_pair(uint64_t seed)
{
	_cleanup_(guests_done) struct guests_sim run = { 0 };
	_cleanup_error_ struct error e = { 0 };
	int r;

	guests_gen(&run, seed);
	r = document_parse("random.yaml", run.document, strlen(run.document), &run.d, &e);
	if (r >= 0)
		r = desired_resolve(&run.d, &run.machine, &e);
	if (r < 0) {
		if (!n_refused++)
			fprintf(stderr, "# the first one that is refused: %s\n", e.what);
		return;
	}
	check_documents(&run);
	guests_gen_seen(&run);
	check_lies(&run);
	converge(&run);
	check_lies(&run);
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
PROPERTY_TEST(a_guests_document_says_what_the_hosts_says, ONE_DOCUMENT)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_guest_converges_as_far_as_it_can),
		cmocka_unit_test(a_guest_is_verified_exactly_if_it_is_right),
		cmocka_unit_test(a_plan_keeps_to_its_own_things),
		cmocka_unit_test(what_guests_say_touches_nothing_else),
		cmocka_unit_test(a_guests_document_says_what_the_hosts_says),
	};

	return cmocka_run_group_tests_name("guests", tests, run_pairs, NULL);
}

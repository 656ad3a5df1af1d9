/*
 * The guests of a document, as their host judges and plans them: a guest that is as wanted, and
 * then with one thing otherwise. The machine's own settings are not managed but where the test is
 * about both.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "state/guest_argv.h"
#include "state/guest_row.h"
#include "tests/unit/sim_fixture.h"

#define DISK  "launch: {disk: /g.qcow2, memory: 2G, page_size: 1G, node: 0, accel: tcg}"
#define VCPUS "vcpus: [{cpu: 4, priority: 3}, {cpu: 5}]"
#define STATE "state: {cpus: {isolated: 1}, watchdogs: off}"
#define SSH   "ssh: {host_port: 5555}"

#define LAUNCHED "guests: [{name: vnf0, " DISK ", " VCPUS ", " SSH ", " STATE "}]\n"
#define ADOPTED                                                                                  \
	"guests: [{name: vnf0, adopt: {domain: d0, channel: /c}, " VCPUS ", emulator: 0, " STATE \
	"}]\n"

struct fixture {
	struct desired d;
	struct observed o;
	struct report r;
	struct plan p;
	struct observed_guest guests[2];
	struct observed_guest *seen; /* the first */
};

static struct fact known(const char *text)
{
	return (struct fact){ .state = FACT_KNOWN, .path = "/fact", .text = text };
}

static struct fact not_known(enum fact_state state)
{
	return (struct fact){ .state = state, .path = "/fact", .error = EIO };
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->o.n_cpus = 8;
	f->o.cpu_possible = f->o.cpu_present = f->o.cpu_online = known("0-7");
	assert_int_equal(cpuset_add_range(&f->o.possible, 0, 7), 0);
	assert_int_equal(cpuset_add_range(&f->o.present, 0, 7), 0);
	assert_int_equal(cpuset_add_range(&f->o.online, 0, 7), 0);
	f->o.qemu = known("");
	f->o.kvm = f->o.vhost_vsock = f->o.forwards = not_known(FACT_ABSENT);
	f->o.guests = f->guests;
	f->seen = f->guests;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	plan_done(&f->p);
	report_done(&f->r);
	observed_done(&f->o);
	desired_done(&f->d);
	free(f);
	return 0;
}

static void parse(struct fixture *f, const char *text)
{
	_cleanup_error_ struct error e = { 0 };

	desired_done(&f->d);
	if (document_parse("d.yaml", text, strlen(text), &f->d, &e) < 0)
		fail_msg("%s", e.what);
}

static void read_document(struct fixture *f, const char *guests)
{
	_cleanup_error_ struct error e = { 0 };

	parse(f, arena_printf(&f->o.arena, "version: 1\n%s", guests));
	if (desired_resolve(&f->d, &f->o, &e) < 0)
		fail_msg("%s", e.what);
}

static const struct desired_guest *wanted(const struct fixture *f)
{
	return &f->d.guests[0];
}

static const char *joined(struct arena *a, const char *const *argv)
{
	const char *text = argv[0];

	for (size_t i = 1; argv[i]; i++)
		text = arena_printf(a, "%s %s", text, argv[i]);
	return text;
}

static const char *status_text(struct fixture *f, const char *machine, const char *digest,
			       const char *verdict, const char *watchdogs)
{
	return arena_printf(&f->o.arena,
			    "{\"version\":1,\"machine\":\"%s\",\"verdict\":\"%s\","
			    "\"document_digest\":%s%s%s,\"boot_id\":\"b-1\","
			    "\"kernel\":{\"release\":\"6.1.0-rt\"},"
			    "\"settings\":[{\"name\":\"watchdogs\",\"verdict\":\"%s\","
			    "\"live\":\"0\",\"reason\":\"so it says\"}]}",
			    machine, verdict, digest ? "\"" : "", digest ? digest : "null",
			    digest ? "\"" : "", watchdogs);
}

static void says(struct fixture *f, const char *digest, const char *verdict, const char *watchdogs)
{
	f->seen->channel = known(status_text(f, "guest", digest, verdict, watchdogs));
}

static struct observed_guest_thread thread(int pid, const char *comm, int vcpu, const char *cpus,
					   int priority)
{
	return (struct observed_guest_thread){
		.thread = { .pid = pid,
			    .comm = comm,
			    .policy = priority ? 1 : 0,
			    .priority = priority,
			    .allowed = known(cpus) },
		.vcpu = vcpu,
	};
}

static void add_thread(struct fixture *f, struct observed_guest_thread t)
{
	struct observed_guest_thread *place =
		arena_grow(&f->o.arena, &f->seen->threads, &f->seen->n_threads, sizeof(*place));

	assert_non_null(place);
	*place = t;
}

/* As the document wants it. */
static void run(struct fixture *f)
{
	const struct desired_guest *g = wanted(f);
	struct observed_guest *seen = f->seen;

	f->o.n_guests = 1;
	cpuset_done(&seen->memory.nodes);
	*seen = (struct observed_guest){
		.name = "vnf0",
		.process = known("100"),
		.pid = 100,
		.accel = known("tcg"),
		.cpu_model = not_known(FACT_ABSENT),
		.vcpus_by = known("qmp"),
		.memory = { .fact = known(""),
			    .page_size_kib = 1 << 20,
			    .total_kib = 2 << 20,
			    .locked_kib = 2 << 20 },
	};
	if (g->origin == GUEST_LAUNCH)
		seen->argv = known(joined(&f->o.arena, guest_argv(g, &f->o, &f->o.arena)));
	assert_int_equal(cpuset_add(&seen->memory.nodes, 0), 0);
	add_thread(f, thread(100, "qemu-system-x86", -1, "0", 0));
	add_thread(f, thread(101, "CPU 0/TCG", 0, "4", 3));
	add_thread(f, thread(102, "CPU 1/TCG", 1, "5", 1));
	f->o.forwards = known("5555 from 127.0.0.0/8, ::1");
	if (g->state)
		says(f, g->digest, "verified", "converged");
}

static void run_launched(struct fixture *f)
{
	read_document(f, LAUNCHED);
	run(f);
}

static void run_adopted(struct fixture *f)
{
	read_document(f, ADOPTED);
	run(f);
}

static const struct guest_report *judged(struct fixture *f)
{
	report_done(&f->r);
	assert_int_equal(judge(&f->d, &f->o, &f->r), 0);
	return f->r.n_guests ? &f->r.guests[0] : NULL;
}

static const struct setting_verdict *verdict_of(struct fixture *f, const char *name)
{
	const struct guest_report *g = judged(f);

	for (size_t i = 0; i < g->n_settings; i++)
		if (streq(g->settings[i].setting->name, name))
			return &g->settings[i];
	fail_msg("there is no %s", name);
	return NULL;
}

static void assert_verdict(struct fixture *f, const char *name, enum verdict want,
			   const char *reason)
{
	const struct setting_verdict *v = verdict_of(f, name);

	if (v->verdict != want)
		fail_msg("%s is %s (%s), not %s", name, verdict_name(v->verdict), v->reason,
			 verdict_name(want));
	if (reason && (!v->reason || !strstr(v->reason, reason)))
		fail_msg("%s: the reason is \"%s\", without \"%s\"", name, v->reason, reason);
}

static void assert_machine(struct fixture *f, enum machine_verdict want)
{
	assert_string_equal(machine_verdict_name(judged(f)->verdict), machine_verdict_name(want));
}

/* Plans; each step as "kind target: now -> want". */
static void assert_steps(struct fixture *f, const char *want)
{
	const char *text = "";

	plan_done(&f->p);
	assert_int_equal(plan_make(&f->d, &f->o, &f->p), 0);
	for (size_t i = 0; i < f->p.n_steps; i++) {
		const struct step *s = &f->p.steps[i];

		text = arena_printf(&f->o.arena, "%s%s %s: %s -> %s\n", text,
				    step_kind_name(s->kind), s->target, s->now ? s->now : "-",
				    s->want ? s->want : "-");
	}
	assert_string_equal(text, want);
}

static void a_guest_as_wanted_is_verified_and_left_alone(void **state)
{
	struct fixture *f = *state;
	const struct guest_report *g;

	run_launched(f);
	g = judged(f);
	for (size_t i = 0; i < g->n_settings; i++)
		if (g->settings[i].verdict != VERDICT_CONVERGED &&
		    g->settings[i].verdict != VERDICT_UNMANAGED)
			fail_msg("%s: %s", g->settings[i].setting->name, g->settings[i].reason);
	assert_int_equal(g->verdict, MACHINE_VERIFIED);
	assert_string_equal(g->name, "vnf0");
	assert_string_equal(g->kernel_release, "6.1.0-rt");
	assert_string_equal(g->boot_id, "b-1");
	assert_int_equal(report_worst(&f->r), MACHINE_VERIFIED);
	assert_steps(f, "");
}

static void a_guest_without_a_state_is_only_pinned(void **state)
{
	struct fixture *f = *state;

	read_document(f, "guests: [{name: vnf0, " DISK ", " VCPUS "}]\n");
	run(f);
	f->o.forwards = not_known(FACT_ABSENT);
	f->seen->channel = not_known(FACT_UNREADABLE);
	assert_verdict(f, "guest_agent", VERDICT_UNMANAGED, NULL);
	assert_verdict(f, "guest_ssh", VERDICT_UNMANAGED, NULL);
	assert_machine(f, MACHINE_VERIFIED);
	assert_int_equal(f->r.guests[0].n_settings, n_guest_settings);
	assert_steps(f, "");
}

/* ---- running or not ---- */

static void a_stopped_guest_is_started(void **state)
{
	struct fixture *f = *state;

	run_launched(f);
	f->seen->process = not_known(FACT_ABSENT);
	f->seen->exit_words = "no such disk";
	assert_verdict(f, "guest_launch", VERDICT_DRIFTED, "no such disk");
	assert_verdict(f, "guest_vcpus", VERDICT_DRIFTED, "does not run");
	assert_verdict(f, "guest_agent", VERDICT_DRIFTED, "does not run");
	assert_machine(f, MACHINE_DRIFTED);
	assert_int_equal(report_worst(&f->r), MACHINE_DRIFTED);
	assert_steps(f, "guest-launch vnf0: - -> running\n");
	assert_int_equal(f->p.steps[0].disruption, DISRUPTION_NONE);
	assert_ptr_equal(f->p.steps[0].guest, wanted(f));
	assert_string_equal(f->p.steps[0].argv[0], GUEST_QEMU);
}

static void a_stopped_adopted_guest_is_never_started(void **state)
{
	struct fixture *f = *state;

	run_adopted(f);
	f->seen->process = not_known(FACT_ABSENT);
	assert_verdict(f, "guest_launch", VERDICT_UNFIXABLE, "never started");
	assert_machine(f, MACHINE_UNKNOWN);
	f->o.forwards = not_known(FACT_ABSENT);
	assert_steps(f, "");
}

static void an_adopted_guest_is_judged_and_pinned(void **state)
{
	struct fixture *f = *state;

	run_adopted(f);
	f->o.forwards = not_known(FACT_ABSENT);
	assert_machine(f, MACHINE_VERIFIED);
	assert_steps(f, "");
	f->seen->threads[1].thread.allowed = known("0-7");
	assert_machine(f, MACHINE_DRIFTED);
	assert_steps(f, "thread guest vnf0 vCPU 0: 0-7 -> 4\n");
}

static void without_a_look_nothing_is_known(void **state)
{
	static const enum fact_state states[] = { FACT_UNPROBED, FACT_DENIED, FACT_UNREADABLE };
	struct fixture *f = *state;

	run_launched(f);
	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		f->seen->process = not_known(states[i]);
		assert_verdict(f, "guest_launch", VERDICT_UNKNOWN, NULL);
		assert_verdict(f, "guest_memory", VERDICT_UNKNOWN, NULL);
		assert_verdict(f, "guest_vcpus", VERDICT_UNKNOWN, NULL);
		assert_verdict(f, "guest_emulator", VERDICT_UNKNOWN, NULL);
		assert_machine(f, MACHINE_UNKNOWN);
		assert_steps(f, "");
	}
	f->o.n_guests = 0;
	assert_machine(f, MACHINE_UNKNOWN);
	assert_steps(f, "");
	f->o.n_guests = 1;
}

static void another_command_line_restarts_the_guest(void **state)
{
	struct fixture *f = *state;

	run_launched(f);
	f->seen->argv.text = arena_printf(&f->o.arena, "%s -balloon", f->seen->argv.text);
	assert_verdict(f, "guest_launch", VERDICT_DRIFTED, "--allow guest-restart");
	assert_steps(f, "guest-stop vnf0: running -> stopped\n"
			"guest-launch vnf0: - -> running\n");
	assert_int_equal(f->p.steps[0].disruption, DISRUPTION_GUEST_RESTART);
	assert_int_equal(f->p.steps[1].disruption, DISRUPTION_GUEST_RESTART);
	assert_ptr_equal(f->p.steps[0].guest, wanted(f));
	f->seen->argv = not_known(FACT_UNREADABLE);
	assert_verdict(f, "guest_launch", VERDICT_UNKNOWN, NULL);
	assert_machine(f, MACHINE_UNKNOWN);
	assert_steps(f, "");
}

static void kvm_and_vsock_that_came_later_restart_nothing(void **state)
{
	struct fixture *f = *state;

	read_document(f, "guests: [{name: vnf0, launch: {disk: /g.raw, memory: 2G, page_size: 1G, "
			 "node: 0}, " VCPUS ", " SSH ", " STATE "}]\n");
	run(f);
	f->o.kvm = f->o.vhost_vsock = known("");
	assert_verdict(f, "guest_launch", VERDICT_CONVERGED, NULL);
	assert_non_null(strstr(verdict_of(f, "guest_launch")->live, "mean nothing"));
	assert_steps(f, "");
}

static void kvm_that_is_missing_is_said(void **state)
{
	struct fixture *f = *state;

	read_document(f, "guests: [{name: vnf0, launch: {disk: /g.raw, memory: 2G, page_size: 1G, "
			 "node: 0, accel: kvm}, " VCPUS ", " SSH "}]\n");
	run(f);
	assert_verdict(f, "guest_launch", VERDICT_UNFIXABLE, "KVM does not answer");
	assert_machine(f, MACHINE_DEGRADED);
	f->seen->process = not_known(FACT_ABSENT);
	assert_verdict(f, "guest_launch", VERDICT_UNFIXABLE, "KVM does not answer");
	assert_steps(f, "");
}

static void a_missing_qemu_is_said_with_its_package(void **state)
{
	struct fixture *f = *state;

	run_launched(f);
	f->o.qemu = not_known(FACT_ABSENT);
	f->seen->process = not_known(FACT_ABSENT);
	assert_verdict(f, "guest_launch", VERDICT_UNFIXABLE, "qemu-system-x86");
	assert_steps(f, "");
}

static void under_kvm_the_deadline_timer_counts(void **state)
{
	struct fixture *f = *state;

	run_adopted(f);
	f->seen->accel = known("kvm");
	f->seen->cpu_model = known("tsc-deadline invtsc");
	assert_verdict(f, "guest_launch", VERDICT_CONVERGED, NULL);
	f->seen->cpu_model = known("tsc-deadline");
	assert_verdict(f, "guest_launch", VERDICT_CONVERGED, NULL);
	f->seen->cpu_model = known("tsc-deadlines invtsc");
	assert_verdict(f, "guest_launch", VERDICT_UNFIXABLE, "TSC deadline timer");
	f->seen->accel = not_known(FACT_UNREADABLE);
	assert_verdict(f, "guest_launch", VERDICT_UNKNOWN, NULL);
}

/* ---- memory ---- */

static void assert_memory_restarts(struct fixture *f)
{
	assert_verdict(f, "guest_memory", VERDICT_DRIFTED, "--allow guest-restart");
	assert_steps(f, "guest-stop vnf0: running -> stopped\n"
			"guest-launch vnf0: - -> running\n");
	assert_string_equal(f->p.steps[0].setting->name, "guest_memory");
	assert_int_equal(f->p.steps[0].disruption, DISRUPTION_GUEST_RESTART);
}

static void memory_that_is_not_as_asked_needs_a_restart(void **state)
{
	struct fixture *f = *state;
	struct observed_guest_memory *m;

	run_launched(f);
	m = &f->seen->memory;
	m->locked_kib = m->total_kib - 4;
	assert_memory_restarts(f);
	m->locked_kib = m->total_kib;
	m->page_size_kib = 0;
	assert_memory_restarts(f);
	m->page_size_kib = 1 << 20;
	m->total_kib -= 1 << 20;
	assert_memory_restarts(f);
	m->total_kib = 2 << 20;
	assert_int_equal(cpuset_add(&m->nodes, 1), 0);
	assert_memory_restarts(f);
	cpuset_remove(&m->nodes, 0);
	assert_memory_restarts(f);
	m->fact = not_known(FACT_DENIED);
	assert_verdict(f, "guest_memory", VERDICT_UNKNOWN, NULL);
	assert_steps(f, "");
}

static void an_adopted_guests_memory_has_only_to_be_locked(void **state)
{
	struct fixture *f = *state;

	run_adopted(f);
	f->o.forwards = not_known(FACT_ABSENT);
	f->seen->memory.page_size_kib = 0;
	assert_int_equal(cpuset_add(&f->seen->memory.nodes, 1), 0);
	assert_verdict(f, "guest_memory", VERDICT_CONVERGED, NULL);
	f->seen->memory.locked_kib = 0;
	assert_verdict(f, "guest_memory", VERDICT_UNFIXABLE, "mem-lock");
	assert_steps(f, "");
}

/* ---- threads ---- */

static void a_vcpu_is_pinned_to_one_cpu_with_its_priority(void **state)
{
	struct fixture *f = *state;
	const struct step *s;

	run_launched(f);
	f->seen->threads[1] = thread(101, "CPU 0/TCG", 0, "0-7", 0);
	f->seen->threads[2] = thread(102, "CPU 1/TCG", 1, "4-5", 2);
	assert_verdict(f, "guest_vcpus", VERDICT_DRIFTED,
		       "vCPU 0: CPUs 0-7, other, want CPUs 4, FIFO 3");
	assert_string_equal(verdict_of(f, "guest_vcpus")->live, "0 of 2 as wanted");
	assert_steps(f, "thread guest vnf0 vCPU 0: 0-7 -> 4\n"
			"thread guest vnf0 vCPU 0: other -> FIFO 3\n"
			"thread guest vnf0 vCPU 1: 4-5 -> 5\n"
			"thread guest vnf0 vCPU 1: FIFO 2 -> FIFO 1\n");
	s = &f->p.steps[0];
	assert_true(s->transient && s->set_affinity);
	assert_int_equal(s->number, 101);
	assert_string_equal(s->name, "CPU 0/TCG");
	s = &f->p.steps[1];
	assert_true(s->transient && !s->set_affinity);
	assert_int_equal(s->policy, 1);
	assert_int_equal(s->priority, 3);
}

static void priority_zero_is_no_real_time_thread(void **state)
{
	struct fixture *f = *state;

	read_document(f, "guests: [{name: vnf0, " DISK ", vcpus: [{cpu: 4, priority: 0}, "
			 "{cpu: 5}]}]\n");
	run(f);
	f->o.forwards = not_known(FACT_ABSENT);
	assert_steps(f, "thread guest vnf0 vCPU 0: FIFO 3 -> other\n");
	assert_int_equal(f->p.steps[0].policy, 0);
	assert_int_equal(f->p.steps[0].priority, 0);
	f->seen->threads[1].thread.policy = 2; /* SCHED_RR is not it either */
	assert_verdict(f, "guest_vcpus", VERDICT_DRIFTED, "RR 3, want CPUs 4, other");
}

static void a_vcpu_whose_cpus_are_not_known_is_unknown(void **state)
{
	struct fixture *f = *state;

	run_launched(f);
	f->seen->threads[1].thread.allowed = not_known(FACT_UNREADABLE);
	assert_verdict(f, "guest_vcpus", VERDICT_UNKNOWN, "vCPU 0");
	assert_steps(f, "");
	f->seen->threads[1].thread.allowed = known("rubbish");
	assert_verdict(f, "guest_vcpus", VERDICT_UNKNOWN, "vCPU 0");
	f->seen->vcpus_by = not_known(FACT_UNREADABLE);
	assert_verdict(f, "guest_vcpus", VERDICT_UNKNOWN, NULL);
	assert_verdict(f, "guest_emulator", VERDICT_UNKNOWN, NULL);
	assert_steps(f, "");
}

static void plugged_and_missing_vcpus_are_named(void **state)
{
	struct fixture *f = *state;

	run_launched(f);
	add_thread(f, thread(103, "CPU 2/TCG", 2, "0-7", 0));
	assert_verdict(f, "guest_vcpus", VERDICT_UNFIXABLE, "vCPU 2: CPUs 0-7, other");
	assert_machine(f, MACHINE_DEGRADED);
	assert_steps(f, "");
	f->seen->n_threads = 2;
	assert_verdict(f, "guest_vcpus", VERDICT_UNFIXABLE, "fewer vCPUs");
	assert_steps(f, "");
}

static void a_vcpu_is_not_pinned_to_an_offline_cpu(void **state)
{
	struct fixture *f = *state;

	run_launched(f);
	f->seen->threads[1].thread.allowed = known("0-3");
	cpuset_remove(&f->o.online, 4);
	assert_verdict(f, "guest_vcpus", VERDICT_UNFIXABLE, "offline");
	assert_steps(f, "");
}

static void emulator_threads_go_to_their_cpus(void **state)
{
	struct fixture *f = *state;

	read_document(f, "guests: [{name: vnf0, " DISK ", " VCPUS ", emulator: 0-1}]\n");
	run(f);
	f->o.forwards = not_known(FACT_ABSENT);
	assert_verdict(f, "guest_emulator", VERDICT_CONVERGED, NULL);
	add_thread(f, thread(104, "IO disk-io", -1, "1-4", 0));
	add_thread(f, thread(105, "worker", -1, "1", 0));
	assert_verdict(f, "guest_emulator", VERDICT_DRIFTED, "thread 104");
	assert_string_equal(verdict_of(f, "guest_emulator")->live, "1 of 3 threads outside");
	assert_steps(f, "thread guest vnf0 IO disk-io: 1-4 -> 0-1\n");
	assert_true(f->p.steps[0].transient && f->p.steps[0].set_affinity);
	f->seen->threads[3].thread.allowed = not_known(FACT_ABSENT); /* it has ended */
	assert_verdict(f, "guest_emulator", VERDICT_CONVERGED, NULL);
	f->seen->threads[3].thread.allowed = not_known(FACT_DENIED);
	assert_verdict(f, "guest_emulator", VERDICT_UNKNOWN, NULL);
	assert_steps(f, "");
}

/* ---- ssh ---- */

static void the_forward_is_there_once(void **state)
{
	static const char rule[] = "5555 from 127.0.0.0/8, ::1";
	struct fixture *f = *state;

	run_launched(f);
	f->o.forwards = not_known(FACT_ABSENT);
	assert_verdict(f, "guest_ssh", VERDICT_DRIFTED, "no rule");
	assert_steps(f, arena_printf(&f->o.arena, "forward table inet latencyd: - -> %s\n", rule));
	f->o.forwards = known(arena_printf(&f->o.arena, "%s\n%s", rule, rule));
	assert_verdict(f, "guest_ssh", VERDICT_DRIFTED, "there twice");
	assert_steps(f, arena_printf(&f->o.arena, "forward table inet latencyd: %s -> %s\n",
				     f->o.forwards.text, rule));
	f->o.forwards = known("5555 from 127.0.0.0/8, ::1, 10.0.0.0/8");
	assert_verdict(f, "guest_ssh", VERDICT_DRIFTED, "another");
	f->o.forwards = not_known(FACT_DENIED);
	assert_verdict(f, "guest_ssh", VERDICT_UNKNOWN, NULL);
	assert_steps(f, "");
	f->o.forwards = not_known(FACT_UNREADABLE);
	f->o.forwards.error = EEXIST;
	assert_verdict(f, "guest_ssh", VERDICT_DRIFTED, "not ours");
	assert_steps(f, arena_printf(&f->o.arena, "forward table inet latencyd: - -> %s\n", rule));
}

static void a_dropped_guests_forward_is_removed(void **state)
{
	struct fixture *f = *state;

	run_launched(f);
	f->o.forwards = known("5555 from 127.0.0.0/8, ::1\n6666 from 10.0.0.0/8");
	assert_verdict(f, "guest_ssh", VERDICT_CONVERGED, NULL);
	assert_steps(f, arena_printf(&f->o.arena, "forward table inet latencyd: %s -> %s\n",
				     f->o.forwards.text, "5555 from 127.0.0.0/8, ::1"));
	desired_done(&f->d);
	f->d = (struct desired){ .no_machine = true };
	assert_steps(f, arena_printf(&f->o.arena, "forward table inet latencyd: %s -> -\n",
				     f->o.forwards.text));
	f->o.forwards = not_known(FACT_ABSENT);
	assert_steps(f, "");
	/* what is not surely ours stays */
	f->o.forwards = not_known(FACT_UNREADABLE);
	assert_steps(f, "");
}

static void forwards_stand_by_port_whatever_the_documents_order(void **state)
{
	struct fixture *f = *state;
	struct arena a = { 0 };

	read_document(f, "guests:\n"
			 "  - {name: a, launch: {disk: /a, memory: 1G}, vcpus: [{cpu: 1}], ssh: "
			 "{host_port: 10022, from: [192.0.2.0/24]}}\n"
			 "  - {name: b, adopt: {domain: b}, vcpus: [{cpu: 2}], ssh: {host_port: "
			 "5555, guest_address: 192.0.2.9, from: [\"::1\"]}}\n");
	assert_string_equal(forwards_wanted(&f->d, &a), "5555 to 192.0.2.9 from ::1\n"
							"10022 from 192.0.2.0/24");
	arena_free(&a);
}

static void networks_are_worded_as_the_kernel_gives_them_back(void **state)
{
	struct fixture *f = *state;
	struct arena a = { 0 };

	read_document(f,
		      "guests: [{name: a, launch: {disk: /a, memory: 1G}, vcpus: [{cpu: 1}], ssh: "
		      "{host_port: 22, from: [10.1.2.3/8, 192.0.2.1/32, 0.0.0.0/0, "
		      "\"2001:DB8:0::1/33\", \"0:0::1\"]}}]\n");
	assert_string_equal(forwards_wanted(&f->d, &a), "22 from 10.0.0.0/8, 192.0.2.1, 0.0.0.0/0, "
							"2001:db8::/33, ::1");
	arena_free(&a);
}

/* ---- the guest's own word ---- */

static void a_silent_guest_is_unknown_and_nothing_is_touched(void **state)
{
	struct fixture *f = *state;

	run_launched(f);
	f->seen->channel = not_known(FACT_UNREADABLE);
	f->seen->channel_trouble = "no answer in 2 s";
	assert_verdict(f, "guest_agent", VERDICT_UNKNOWN, "no answer in 2 s");
	assert_verdict(f, "watchdogs", VERDICT_UNKNOWN, "does not answer");
	assert_verdict(f, "idle", VERDICT_UNMANAGED, NULL);
	assert_machine(f, MACHINE_UNKNOWN);
	assert_int_equal(report_worst(&f->r), MACHINE_UNKNOWN);
	assert_int_equal(machine_verdict_exit_code(MACHINE_UNKNOWN), 5);
	assert_steps(f, "");
}

static void a_guest_without_a_channel_is_advised(void **state)
{
	struct fixture *f = *state;

	run_adopted(f);
	f->seen->channel = not_known(FACT_ABSENT);
	assert_verdict(f, "guest_agent", VERDICT_UNFIXABLE, "org.latencyd1.0");
	assert_machine(f, MACHINE_DEGRADED);
}

static void a_lying_guest_is_unknown(void **state)
{
	static const char *const lies[] = { "",	      "{",   "[]", "{}", "7", "{\"version\":1}",
					    "\"ok\"", "null" };
	struct fixture *f = *state;

	run_launched(f);
	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		f->seen->channel = known(lies[i]);
		assert_verdict(f, "guest_agent", VERDICT_UNKNOWN, "no latencyd's status");
		assert_verdict(f, "watchdogs", VERDICT_UNKNOWN, "no latencyd's status");
		assert_machine(f, MACHINE_UNKNOWN);
		assert_steps(f, "");
	}
}

static void what_a_guest_says_never_betters_what_its_host_sees(void **state)
{
	struct fixture *f = *state;

	run_launched(f);
	f->seen->threads[1].thread.priority = 1;
	assert_machine(f, MACHINE_DRIFTED);
	/* nor can it leave out what the document asks for */
	run_launched(f);
	f->seen->channel.text = arena_printf(&f->o.arena,
					     "{\"version\":1,\"machine\":\"guest\",\"verdict\":"
					     "\"verified\",\"document_digest\":\"%s\","
					     "\"settings\":[]}",
					     wanted(f)->digest);
	assert_verdict(f, "watchdogs", VERDICT_UNKNOWN, "does not say");
	assert_machine(f, MACHINE_DEGRADED);
}

static void a_guest_that_says_it_is_not_verified_is_not(void **state)
{
	struct fixture *f = *state;

	run_launched(f);
	says(f, wanted(f)->digest, "degraded", "converged");
	assert_machine(f, MACHINE_DEGRADED);
	says(f, wanted(f)->digest, "unknown", "converged");
	assert_machine(f, MACHINE_UNKNOWN);
}

static void a_guest_with_another_document_is_sent_its_own(void **state)
{
	static const char *const digests[] = { "0123", NULL };
	struct fixture *f = *state;

	run_launched(f);
	for (size_t i = 0; i < ARRAY_SIZE(digests); i++) {
		says(f, digests[i], "verified", "converged");
		assert_verdict(f, "guest_agent", VERDICT_DRIFTED, digests[i] ? "another" : "no ");
		assert_verdict(f, "watchdogs", VERDICT_UNKNOWN, "another document");
		assert_machine(f, MACHINE_DRIFTED);
		assert_steps(f, arena_printf(&f->o.arena, "guest-document vnf0: %s -> %s\n",
					     digests[i] ? digests[i] : "-", wanted(f)->digest));
		assert_ptr_equal(f->p.steps[0].guest, wanted(f));
		assert_true(f->p.steps[0].reboot);
	}
	/* a latencyd that has had no guest's document yet */
	f->seen->channel = known("{\"version\":1,\"machine\":\"host\",\"verdict\":\"degraded\","
				 "\"document_digest\":null,\"settings\":[]}");
	assert_verdict(f, "guest_agent", VERDICT_DRIFTED, "no document");
	assert_steps(
		f, arena_printf(&f->o.arena, "guest-document vnf0: - -> %s\n", wanted(f)->digest));
}

static void a_guests_drift_is_its_own_to_mend(void **state)
{
	struct fixture *f = *state;

	run_launched(f);
	says(f, wanted(f)->digest, "drifted", "drifted");
	assert_verdict(f, "watchdogs", VERDICT_DRIFTED, "so it says");
	assert_machine(f, MACHINE_DRIFTED);
	assert_steps(f, arena_printf(&f->o.arena, "guest-document vnf0: %s -> %s\n",
				     wanted(f)->digest, wanted(f)->digest));
}

static void a_verified_guest_is_not_rebooted_unasked(void **state)
{
	struct fixture *f = *state;

	run_launched(f);
	says(f, wanted(f)->digest, "pending-reboot", "pending-reboot");
	assert_machine(f, MACHINE_PENDING_REBOOT);
	plan_done(&f->p);
	assert_int_equal(plan_make(&f->d, &f->o, &f->p), 0);
	assert_int_equal(f->p.n_steps, 1);
	assert_true(f->p.steps[0].reboot);
	f->seen->was_verified = true;
	assert_steps(f, "");
	f->d.reboot_policy = REBOOT_AUTOMATIC;
	plan_done(&f->p);
	assert_int_equal(plan_make(&f->d, &f->o, &f->p), 0);
	assert_int_equal(f->p.n_steps, 1);
	f->seen->was_verified = false;
	f->d.reboot_policy = REBOOT_MANUAL;
	assert_steps(f, "");
}

static void a_guest_that_its_host_boots_is_not_told_to_reboot(void **state)
{
	struct fixture *f = *state;

	read_document(f, "guests: [{name: vnf0, launch: {kernel: /k, memory: 2G, page_size: 1G, "
			 "node: 0, accel: tcg}, " VCPUS ", " SSH ", " STATE "}]\n");
	run(f);
	says(f, wanted(f)->digest, "pending-reboot", "pending-reboot");
	assert_machine(f, MACHINE_PENDING_REBOOT);
	assert_steps(f, "");
}

/* ---- host and guests ---- */

static void the_hosts_verdict_is_not_about_its_guests(void **state)
{
	struct fixture *f = *state;

	run_launched(f);
	f->seen->process = not_known(FACT_ABSENT);
	(void)judged(f);
	assert_int_equal(f->r.verdict, MACHINE_VERIFIED);
	assert_int_equal(report_worst(&f->r), MACHINE_DRIFTED);
	for (size_t i = 0; i < f->r.n_settings; i++)
		assert_int_equal(f->r.settings[i].verdict, VERDICT_UNMANAGED);
	assert_int_equal(f->r.n_settings, n_settings);
}

static void the_worst_is_told(void **state)
{
	/* best first */
	static const enum machine_verdict order[] = { MACHINE_VERIFIED, MACHINE_PENDING_REBOOT,
						      MACHINE_DRIFTED, MACHINE_UNKNOWN,
						      MACHINE_DEGRADED };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		for (size_t j = 0; j < ARRAY_SIZE(order); j++) {
			struct guest_report g = { .verdict = order[i] };
			struct report r = { .verdict = order[j], .guests = &g, .n_guests = 1 };

			assert_int_equal(report_worst(&r), order[i > j ? i : j]);
		}
}

struct both {
	struct sim sim;
	struct desired d;
	struct observed o;
};

static void look_at(struct both *b, bool converged, const char *text)
{
	gen_full_machine(&b->sim, 4);
	sim_read_document(&b->sim, &b->d, text);
	if (converged)
		sim_converge(&b->sim, &b->d);
	sim_observe(&b->sim, &b->o);
}

static void both_done(struct both *b)
{
	observed_done(&b->o);
	desired_done(&b->d);
	sim_done(&b->sim);
}

static const struct step *step_of(const struct plan *p, enum step_kind kind)
{
	for (size_t i = 0; i < p->n_steps; i++)
		if (p->steps[i].kind == kind)
			return &p->steps[i];
	return NULL;
}

static void launches_wait_for_the_hosts_reboot(void **state)
{
	struct arena a = { 0 };
	const char *text = arena_printf(
		&a,
		"%sguests: [{name: vnf0, launch: {disk: /g.raw, memory: 1G}, vcpus: [{cpu: 2}]}]\n",
		gen_full_document);
	struct observed_guest seen = { .name = "vnf0", .process = { .state = FACT_ABSENT } };

	(void)state;
	for (int converged = 0; converged < 2; converged++) {
		_cleanup_(both_done) struct both b = { 0 };
		_cleanup_plan_ struct plan p = { 0 };

		look_at(&b, converged, text);
		b.o.guests = &seen;
		b.o.n_guests = 1;
		b.o.qemu.state = FACT_KNOWN;
		assert_int_equal(plan_make(&b.d, &b.o, &p), 0);
		assert_int_equal(!step_of(&p, STEP_REBOOT), converged);
		assert_int_equal(!!step_of(&p, STEP_GUEST_LAUNCH), converged);
		assert_null(step_of(&p, STEP_GUEST_STOP));
	}
	arena_free(&a);
}

/* gen_full_document as a guest's. */
static char *guest_document(struct arena *a, const char *more)
{
	const char *at = strstr(gen_full_document, "host:");

	return arena_printf(a, "%.*sguest:%s%s", (int)(at - gen_full_document), gen_full_document,
			    at + strlen("host:"), more);
}

static void a_guest_leaves_the_iommu_to_its_host(void **state)
{
	_cleanup_(both_done) struct both b = { 0 };
	_cleanup_report_ struct report r = { 0 };
	_cleanup_plan_ struct plan p = { 0 };
	struct arena a = { 0 };
	const struct setting_verdict *v;

	(void)state;
	look_at(&b, false, guest_document(&a, ""));
	assert_int_equal(judge(&b.d, &b.o, &r), 0);
	v = &r.settings[setting_index(setting_by_name("iommu"))];
	assert_int_equal(v->verdict, VERDICT_NOT_APPLICABLE);
	assert_string_equal(v->reason, "its host does this");
	assert_int_equal(plan_make(&b.d, &b.o, &p), 0);
	for (size_t i = 0; i < p.n_steps; i++)
		assert_false(p.steps[i].setting && p.steps[i].setting->host_only);
	for (size_t i = 0; i < p.boot.n_args; i++)
		assert_false(p.boot.owners[i] && p.boot.owners[i]->host_only);
	assert_non_null(step_of(&p, STEP_BOOT_ARG));
	assert_non_null(step_of(&p, STEP_REBOOT));
	arena_free(&a);
}

/* Converged under a boot loader of its own, seen without one: as under -kernel. */
static void look_without_a_loader(struct both *b, struct arena *a)
{
	look_at(b, true, guest_document(a, ""));
	b->d.boot_by_host = true;
	b->o.boot = (struct observed_boot){
		.grub_cfg = { .state = FACT_ABSENT, .path = "/boot/grub/grub.cfg" },
		.next_cmdline = { .state = FACT_ABSENT, .path = "/boot/grub/grub.cfg" },
		.next_kernel = { .state = FACT_ABSENT, .path = "/boot/grub/grub.cfg" },
		.drop_in = { .state = FACT_ABSENT, .path = BOOT_DROP_IN },
		.kernels = b->o.boot.kernels,
		.n_kernels = b->o.boot.n_kernels,
	};
}

static void assert_no_boot_step(const struct both *b)
{
	_cleanup_plan_ struct plan p = { 0 };

	assert_int_equal(plan_make(&b->d, &b->o, &p), 0);
	assert_false(p.needs_reboot);
	assert_null(step_of(&p, STEP_REBOOT));
	assert_null(step_of(&p, STEP_BOOT_ARG));
	assert_null(step_of(&p, STEP_BOOT_DEFAULT));
	assert_null(step_of(&p, STEP_PACKAGE));
}

static void a_guest_without_a_boot_loader_is_verified_by_what_runs(void **state)
{
	_cleanup_(both_done) struct both b = { 0 };
	_cleanup_report_ struct report r = { 0 };
	_cleanup_plan_ struct plan p = { 0 };
	struct arena a = { 0 };

	(void)state;
	look_without_a_loader(&b, &a);
	b.o.package = (struct fact){ .state = FACT_ABSENT, .path = "/var/lib/dpkg/status" };
	assert_int_equal(judge(&b.d, &b.o, &r), 0);
	for (size_t i = 0; i < r.n_settings; i++)
		if (r.settings[i].verdict != VERDICT_CONVERGED &&
		    r.settings[i].verdict != VERDICT_NOT_APPLICABLE)
			fail_msg("%s is %s: %s", r.settings[i].setting->name,
				 verdict_name(r.settings[i].verdict), r.settings[i].reason);
	assert_int_equal(r.verdict, MACHINE_VERIFIED);
	assert_int_equal(plan_make(&b.d, &b.o, &p), 0);
	assert_int_equal(p.n_steps, 0);
	arena_free(&a);
}

static void arguments_that_the_host_did_not_give_wait_for_it(void **state)
{
	_cleanup_(both_done) struct both b = { 0 };
	_cleanup_report_ struct report r = { 0 };
	const struct setting_verdict *v;
	struct arena a = { 0 };
	const char *at;

	(void)state;
	look_without_a_loader(&b, &a);
	at = strstr(b.o.cmdline.text, "rcu_nocbs=");
	assert_non_null(at);
	b.o.cmdline.text = arena_printf(&a, "%.*s%s", (int)(at - b.o.cmdline.text),
					b.o.cmdline.text, at + strcspn(at, " "));
	assert_int_equal(judge(&b.d, &b.o, &r), 0);
	v = &r.settings[setting_index(setting_by_name("rcu_offload"))];
	assert_string_equal(verdict_name(v->verdict), "pending-reboot");
	assert_non_null(strstr(v->reason, "apply there"));
	assert_false(v->needs_boot);
	assert_int_equal(r.verdict, MACHINE_PENDING_REBOOT);
	assert_no_boot_step(&b);
	arena_free(&a);
}

static void what_all_arguments_cannot_give_waits_for_no_boot(void **state)
{
	_cleanup_(both_done) struct both b = { 0 };
	_cleanup_report_ struct report r = { 0 };
	const struct setting_verdict *v;
	struct arena a = { 0 };

	(void)state;
	look_without_a_loader(&b, &a);
	b.o.cpu_isolated.text = "";
	assert_int_equal(judge(&b.d, &b.o, &r), 0);
	v = &r.settings[setting_index(setting_by_name("cpu_isolation"))];
	assert_string_equal(verdict_name(v->verdict), "unfixable");
	assert_non_null(strstr(v->reason, "booted with all it takes"));
	assert_no_boot_step(&b);
	arena_free(&a);
}

static void an_ordinary_kernel_is_the_hosts_to_replace(void **state)
{
	_cleanup_(both_done) struct both b = { 0 };
	_cleanup_report_ struct report r = { 0 };
	const struct setting_verdict *v;
	struct arena a = { 0 };

	(void)state;
	look_without_a_loader(&b, &a);
	b.o.kernel_version.text = "#1 SMP PREEMPT_DYNAMIC Debian";
	b.o.package = (struct fact){ .state = FACT_ABSENT, .path = "/var/lib/dpkg/status" };
	assert_int_equal(judge(&b.d, &b.o, &r), 0);
	v = &r.settings[setting_index(setting_by_name("kernel"))];
	assert_string_equal(verdict_name(v->verdict), "unfixable");
	assert_non_null(strstr(v->reason, "name a real-time one there"));
	assert_no_boot_step(&b);
	arena_free(&a);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_guest_as_wanted_is_verified_and_left_alone),
		T(a_guest_without_a_state_is_only_pinned),
		T(a_stopped_guest_is_started),
		T(a_stopped_adopted_guest_is_never_started),
		T(an_adopted_guest_is_judged_and_pinned),
		T(without_a_look_nothing_is_known),
		T(another_command_line_restarts_the_guest),
		T(kvm_and_vsock_that_came_later_restart_nothing),
		T(kvm_that_is_missing_is_said),
		T(a_missing_qemu_is_said_with_its_package),
		T(under_kvm_the_deadline_timer_counts),
		T(memory_that_is_not_as_asked_needs_a_restart),
		T(an_adopted_guests_memory_has_only_to_be_locked),
		T(a_vcpu_is_pinned_to_one_cpu_with_its_priority),
		T(priority_zero_is_no_real_time_thread),
		T(a_vcpu_whose_cpus_are_not_known_is_unknown),
		T(plugged_and_missing_vcpus_are_named),
		T(a_vcpu_is_not_pinned_to_an_offline_cpu),
		T(emulator_threads_go_to_their_cpus),
		T(the_forward_is_there_once),
		T(a_dropped_guests_forward_is_removed),
		T(forwards_stand_by_port_whatever_the_documents_order),
		T(networks_are_worded_as_the_kernel_gives_them_back),
		T(a_silent_guest_is_unknown_and_nothing_is_touched),
		T(a_guest_without_a_channel_is_advised),
		T(a_lying_guest_is_unknown),
		T(what_a_guest_says_never_betters_what_its_host_sees),
		T(a_guest_that_says_it_is_not_verified_is_not),
		T(a_guest_with_another_document_is_sent_its_own),
		T(a_guests_drift_is_its_own_to_mend),
		T(a_verified_guest_is_not_rebooted_unasked),
		T(a_guest_that_its_host_boots_is_not_told_to_reboot),
		T(the_hosts_verdict_is_not_about_its_guests),
		cmocka_unit_test(the_worst_is_told),
		cmocka_unit_test(launches_wait_for_the_hosts_reboot),
		cmocka_unit_test(a_guest_leaves_the_iommu_to_its_host),
		cmocka_unit_test(a_guest_without_a_boot_loader_is_verified_by_what_runs),
		cmocka_unit_test(arguments_that_the_host_did_not_give_wait_for_it),
		cmocka_unit_test(what_all_arguments_cannot_give_waits_for_no_boot),
		cmocka_unit_test(an_ordinary_kernel_is_the_hosts_to_replace),
	};

	return cmocka_run_group_tests_name("guest_rows", tests, NULL, NULL);
}

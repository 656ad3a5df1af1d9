/*
 * The guests of a document, as their host judges and plans them: a guest that is as wanted, and
 * then with one thing otherwise: its QEMU, its memory, the latencyd inside.
 */
#include "tests/unit/guest_rows_fixture.h"

#include "state/guest_argv.h"

static void a_guest_as_wanted_is_verified_and_left_alone(void **state)
{
	struct fixture *f = *state;
	const struct guest_report *g;

	rows_run_launched(f);
	g = rows_judged(f);
	for (size_t i = 0; i < g->n_settings; i++)
		if (g->settings[i].verdict != VERDICT_CONVERGED &&
		    g->settings[i].verdict != VERDICT_UNMANAGED)
			fail_msg("%s: %s", g->settings[i].setting->name, g->settings[i].reason);
	assert_int_equal(g->verdict, MACHINE_VERIFIED);
	assert_string_equal(g->name, "vnf0");
	assert_string_equal(g->kernel_release, "6.1.0-rt");
	assert_string_equal(g->boot_id, "b-1");
	assert_int_equal(report_worst(&f->r), MACHINE_VERIFIED);
	rows_assert_steps(f, "");
}

static void a_guest_without_a_state_is_only_pinned(void **state)
{
	struct fixture *f = *state;

	rows_read_document(f, "guests: [{name: vnf0, " DISK ", " VCPUS "}]\n");
	rows_run(f);
	f->o.forwards = rows_not_known(FACT_ABSENT);
	f->seen->channel = rows_not_known(FACT_UNREADABLE);
	rows_assert_verdict(f, "guest_agent", VERDICT_UNMANAGED, NULL);
	rows_assert_verdict(f, "guest_ssh", VERDICT_UNMANAGED, NULL);
	rows_assert_machine(f, MACHINE_VERIFIED);
	assert_int_equal(f->r.guests[0].n_settings, n_guest_settings);
	rows_assert_steps(f, "");
}

/* ---- running or not ---- */

static void a_stopped_guest_is_started(void **state)
{
	struct fixture *f = *state;

	rows_run_launched(f);
	f->seen->process = rows_not_known(FACT_ABSENT);
	f->seen->exit_words = "no such disk";
	rows_assert_verdict(f, "guest_launch", VERDICT_DRIFTED, "no such disk");
	rows_assert_verdict(f, "guest_vcpus", VERDICT_DRIFTED, "does not run");
	rows_assert_verdict(f, "guest_agent", VERDICT_DRIFTED, "does not run");
	rows_assert_machine(f, MACHINE_DRIFTED);
	assert_int_equal(report_worst(&f->r), MACHINE_DRIFTED);
	rows_assert_steps(f, "guest-launch vnf0: - -> running\n");
	assert_int_equal(f->p.steps[0].disruption, DISRUPTION_NONE);
	assert_ptr_equal(f->p.steps[0].guest, rows_wanted(f));
	assert_string_equal(f->p.steps[0].argv[0], GUEST_QEMU);
}

static void a_stopped_adopted_guest_is_never_started(void **state)
{
	struct fixture *f = *state;

	rows_run_adopted(f);
	f->seen->process = rows_not_known(FACT_ABSENT);
	rows_assert_verdict(f, "guest_launch", VERDICT_UNFIXABLE, "never started");
	rows_assert_machine(f, MACHINE_UNKNOWN);
	f->o.forwards = rows_not_known(FACT_ABSENT);
	rows_assert_steps(f, "");
}

static void an_adopted_guest_is_judged_and_pinned(void **state)
{
	struct fixture *f = *state;

	rows_run_adopted(f);
	f->o.forwards = rows_not_known(FACT_ABSENT);
	rows_assert_machine(f, MACHINE_VERIFIED);
	rows_assert_steps(f, "");
	f->seen->threads[1].thread.allowed = rows_known("0-7");
	rows_assert_machine(f, MACHINE_DRIFTED);
	rows_assert_steps(f, "thread guest vnf0 vCPU 0: 0-7 -> 4\n");
}

static void without_a_look_nothing_is_known(void **state)
{
	static const enum fact_state states[] = { FACT_UNPROBED, FACT_DENIED, FACT_UNREADABLE };
	struct fixture *f = *state;

	rows_run_launched(f);
	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		f->seen->process = rows_not_known(states[i]);
		rows_assert_verdict(f, "guest_launch", VERDICT_UNKNOWN, NULL);
		rows_assert_verdict(f, "guest_memory", VERDICT_UNKNOWN, NULL);
		rows_assert_verdict(f, "guest_vcpus", VERDICT_UNKNOWN, NULL);
		rows_assert_verdict(f, "guest_emulator", VERDICT_UNKNOWN, NULL);
		rows_assert_machine(f, MACHINE_UNKNOWN);
		rows_assert_steps(f, "");
	}
	f->o.n_guests = 0;
	rows_assert_machine(f, MACHINE_UNKNOWN);
	rows_assert_steps(f, "");
	f->o.n_guests = 1;
}

static void another_command_line_restarts_the_guest(void **state)
{
	struct fixture *f = *state;

	rows_run_launched(f);
	f->seen->argv.text = arena_printf(&f->o.arena, "%s -balloon", f->seen->argv.text);
	rows_assert_verdict(f, "guest_launch", VERDICT_DRIFTED, "--allow guest-restart");
	rows_assert_steps(f, "guest-stop vnf0: running -> stopped\n"
			     "guest-launch vnf0: - -> running\n");
	assert_int_equal(f->p.steps[0].disruption, DISRUPTION_GUEST_RESTART);
	assert_int_equal(f->p.steps[1].disruption, DISRUPTION_GUEST_RESTART);
	assert_ptr_equal(f->p.steps[0].guest, rows_wanted(f));
	f->seen->argv = rows_not_known(FACT_UNREADABLE);
	rows_assert_verdict(f, "guest_launch", VERDICT_UNKNOWN, NULL);
	rows_assert_machine(f, MACHINE_UNKNOWN);
	rows_assert_steps(f, "");
}

static void kvm_and_vsock_that_came_later_restart_nothing(void **state)
{
	struct fixture *f = *state;

	rows_read_document(
		f, "guests: [{name: vnf0, launch: {disk: /g.raw, memory: 2G, page_size: 1G, "
		   "node: 0}, " VCPUS ", " SSH ", " STATE "}]\n");
	rows_run(f);
	f->o.kvm = f->o.vhost_vsock = rows_known("");
	rows_assert_verdict(f, "guest_launch", VERDICT_CONVERGED, NULL);
	assert_non_null(strstr(rows_verdict_of(f, "guest_launch")->live, "mean nothing"));
	rows_assert_steps(f, "");
}

static void kvm_that_is_missing_is_said(void **state)
{
	struct fixture *f = *state;

	rows_read_document(
		f, "guests: [{name: vnf0, launch: {disk: /g.raw, memory: 2G, page_size: 1G, "
		   "node: 0, accel: kvm}, " VCPUS ", " SSH "}]\n");
	rows_run(f);
	rows_assert_verdict(f, "guest_launch", VERDICT_UNFIXABLE, "KVM does not answer");
	rows_assert_machine(f, MACHINE_DEGRADED);
	f->seen->process = rows_not_known(FACT_ABSENT);
	rows_assert_verdict(f, "guest_launch", VERDICT_UNFIXABLE, "KVM does not answer");
	rows_assert_steps(f, "");
}

/* A device that may not be opened says nothing of what the processor can do. */
static void kvm_that_could_not_be_asked_is_unknown(void **state)
{
	struct fixture *f = *state;

	rows_read_document(
		f, "guests: [{name: vnf0, launch: {disk: /g.raw, memory: 2G, page_size: 1G, "
		   "node: 0, accel: kvm}, " VCPUS ", " SSH "}]\n");
	rows_run(f);
	f->seen->process = rows_not_known(FACT_ABSENT);
	f->o.kvm = (struct fact){ .state = FACT_DENIED, .error = EPERM, .path = "/dev/kvm" };
	rows_assert_verdict(f, "guest_launch", VERDICT_UNKNOWN, "Operation not permitted; run");
	rows_assert_machine(f, MACHINE_UNKNOWN);
	rows_assert_steps(f, "");
	f->o.kvm = (struct fact){ .state = FACT_UNREADABLE, .error = EMFILE, .path = "/dev/kvm" };
	rows_assert_verdict(f, "guest_launch", VERDICT_UNKNOWN, "/dev/kvm: Too many open files");
	rows_assert_steps(f, "");
	/* what runs without KVM is seen to */
	rows_run(f);
	rows_assert_verdict(f, "guest_launch", VERDICT_UNFIXABLE, "it runs without KVM");
	/* and who did not ask for it is started */
	rows_run_launched(f);
	f->seen->process = rows_not_known(FACT_ABSENT);
	rows_assert_verdict(f, "guest_launch", VERDICT_DRIFTED, "does not run");
}

static void a_missing_qemu_is_said_with_its_package(void **state)
{
	struct fixture *f = *state;

	rows_run_launched(f);
	f->o.qemu = rows_not_known(FACT_ABSENT);
	f->seen->process = rows_not_known(FACT_ABSENT);
	rows_assert_verdict(f, "guest_launch", VERDICT_UNFIXABLE, "qemu-system-x86");
	rows_assert_steps(f, "");
}

static void under_kvm_the_deadline_timer_counts(void **state)
{
	struct fixture *f = *state;

	rows_run_adopted(f);
	f->seen->accel = rows_known("kvm");
	f->seen->cpu_model = rows_known("tsc-deadline invtsc");
	rows_assert_verdict(f, "guest_launch", VERDICT_CONVERGED, NULL);
	f->seen->cpu_model = rows_known("tsc-deadline");
	rows_assert_verdict(f, "guest_launch", VERDICT_CONVERGED, NULL);
	f->seen->cpu_model = rows_known("tsc-deadlines invtsc");
	rows_assert_verdict(f, "guest_launch", VERDICT_UNFIXABLE, "TSC deadline timer");
	f->seen->accel = rows_not_known(FACT_UNREADABLE);
	rows_assert_verdict(f, "guest_launch", VERDICT_UNKNOWN, NULL);
}

/* ---- memory ---- */

static void assert_memory_restarts(struct fixture *f)
{
	rows_assert_verdict(f, "guest_memory", VERDICT_DRIFTED, "--allow guest-restart");
	rows_assert_steps(f, "guest-stop vnf0: running -> stopped\n"
			     "guest-launch vnf0: - -> running\n");
	assert_string_equal(f->p.steps[0].setting->name, "guest_memory");
	assert_int_equal(f->p.steps[0].disruption, DISRUPTION_GUEST_RESTART);
}

static void memory_that_is_not_as_asked_needs_a_restart(void **state)
{
	struct fixture *f = *state;
	struct observed_guest_memory *m;

	rows_run_launched(f);
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
	m->fact = rows_not_known(FACT_DENIED);
	rows_assert_verdict(f, "guest_memory", VERDICT_UNKNOWN, NULL);
	rows_assert_steps(f, "");
}

static void an_adopted_guests_memory_has_only_to_be_locked(void **state)
{
	struct fixture *f = *state;

	rows_run_adopted(f);
	f->o.forwards = rows_not_known(FACT_ABSENT);
	f->seen->memory.page_size_kib = 0;
	assert_int_equal(cpuset_add(&f->seen->memory.nodes, 1), 0);
	rows_assert_verdict(f, "guest_memory", VERDICT_CONVERGED, NULL);
	f->seen->memory.locked_kib = 0;
	rows_assert_verdict(f, "guest_memory", VERDICT_UNFIXABLE, "mem-lock");
	rows_assert_steps(f, "");
}

/* ---- threads ---- */

static void a_silent_guest_is_unknown_and_nothing_is_touched(void **state)
{
	struct fixture *f = *state;

	rows_run_launched(f);
	f->seen->channel = rows_not_known(FACT_UNREADABLE);
	f->seen->channel_trouble = "no answer in 2 s";
	rows_assert_verdict(f, "guest_agent", VERDICT_UNKNOWN, "no answer in 2 s");
	rows_assert_verdict(f, "watchdogs", VERDICT_UNKNOWN, "does not answer");
	rows_assert_verdict(f, "idle", VERDICT_UNMANAGED, NULL);
	rows_assert_machine(f, MACHINE_UNKNOWN);
	assert_int_equal(report_worst(&f->r), MACHINE_UNKNOWN);
	assert_int_equal(machine_verdict_exit_code(MACHINE_UNKNOWN), 5);
	rows_assert_steps(f, "");
}

static void a_guest_without_a_channel_is_advised(void **state)
{
	struct fixture *f = *state;

	rows_run_adopted(f);
	f->seen->channel = rows_not_known(FACT_ABSENT);
	rows_assert_verdict(f, "guest_agent", VERDICT_UNFIXABLE, "org.latencyd1.0");
	rows_assert_machine(f, MACHINE_DEGRADED);
}

static void a_lying_guest_is_unknown(void **state)
{
	static const char *const lies[] = { "",	      "{",   "[]", "{}", "7", "{\"version\":1}",
					    "\"ok\"", "null" };
	struct fixture *f = *state;

	rows_run_launched(f);
	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		f->seen->channel = rows_known(lies[i]);
		rows_assert_verdict(f, "guest_agent", VERDICT_UNKNOWN, "no latencyd's status");
		rows_assert_verdict(f, "watchdogs", VERDICT_UNKNOWN, "no latencyd's status");
		rows_assert_machine(f, MACHINE_UNKNOWN);
		rows_assert_steps(f, "");
	}
}

static void what_a_guest_says_never_betters_what_its_host_sees(void **state)
{
	struct fixture *f = *state;

	rows_run_launched(f);
	f->seen->threads[1].thread.priority = 1;
	rows_assert_machine(f, MACHINE_DRIFTED);
	/* nor can it leave out what the document asks for */
	rows_run_launched(f);
	f->seen->channel.text = arena_printf(&f->o.arena,
					     "{\"version\":1,\"machine\":\"guest\",\"verdict\":"
					     "\"verified\",\"document_digest\":\"%s\","
					     "\"settings\":[]}",
					     rows_wanted(f)->digest);
	rows_assert_verdict(f, "watchdogs", VERDICT_UNKNOWN, "does not say");
	rows_assert_machine(f, MACHINE_DEGRADED);
}

static void a_guest_that_says_it_is_not_verified_is_not(void **state)
{
	struct fixture *f = *state;

	rows_run_launched(f);
	rows_says(f, rows_wanted(f)->digest, "degraded", "converged");
	rows_assert_machine(f, MACHINE_DEGRADED);
	rows_says(f, rows_wanted(f)->digest, "unknown", "converged");
	rows_assert_machine(f, MACHINE_UNKNOWN);
}

static void a_guest_with_another_document_is_sent_its_own(void **state)
{
	static const char *const digests[] = { "0123", NULL };
	struct fixture *f = *state;

	rows_run_launched(f);
	for (size_t i = 0; i < ARRAY_SIZE(digests); i++) {
		rows_says(f, digests[i], "verified", "converged");
		rows_assert_verdict(f, "guest_agent", VERDICT_DRIFTED,
				    digests[i] ? "another" : "no ");
		rows_assert_verdict(f, "watchdogs", VERDICT_UNKNOWN, "another document");
		rows_assert_machine(f, MACHINE_DRIFTED);
		rows_assert_steps(f, arena_printf(&f->o.arena, "guest-document vnf0: %s -> %s\n",
						  digests[i] ? digests[i] : "-",
						  rows_wanted(f)->digest));
		assert_ptr_equal(f->p.steps[0].guest, rows_wanted(f));
		assert_true(f->p.steps[0].reboot);
	}
	/* a latencyd that has had no guest's document yet */
	f->seen->channel =
		rows_known("{\"version\":1,\"machine\":\"host\",\"verdict\":\"degraded\","
			   "\"document_digest\":null,\"settings\":[]}");
	rows_assert_verdict(f, "guest_agent", VERDICT_DRIFTED, "no document");
	rows_assert_steps(f, arena_printf(&f->o.arena, "guest-document vnf0: - -> %s\n",
					  rows_wanted(f)->digest));
}

static void a_guests_drift_is_its_own_to_mend(void **state)
{
	struct fixture *f = *state;

	rows_run_launched(f);
	rows_says(f, rows_wanted(f)->digest, "drifted", "drifted");
	rows_assert_verdict(f, "watchdogs", VERDICT_DRIFTED, "so it says");
	rows_assert_machine(f, MACHINE_DRIFTED);
	rows_assert_steps(f, arena_printf(&f->o.arena, "guest-document vnf0: %s -> %s\n",
					  rows_wanted(f)->digest, rows_wanted(f)->digest));
}

static void a_verified_guest_is_not_rebooted_unasked(void **state)
{
	struct fixture *f = *state;

	rows_run_launched(f);
	rows_says(f, rows_wanted(f)->digest, "pending-reboot", "pending-reboot");
	rows_assert_machine(f, MACHINE_PENDING_REBOOT);
	plan_done(&f->p);
	assert_int_equal(plan_make(&f->d, &f->o, &f->p), 0);
	assert_int_equal(f->p.n_steps, 1);
	assert_true(f->p.steps[0].reboot);
	f->seen->was_verified = true;
	rows_assert_steps(f, "");
	f->d.reboot_policy = REBOOT_AUTOMATIC;
	plan_done(&f->p);
	assert_int_equal(plan_make(&f->d, &f->o, &f->p), 0);
	assert_int_equal(f->p.n_steps, 1);
	f->seen->was_verified = false;
	f->d.reboot_policy = REBOOT_MANUAL;
	rows_assert_steps(f, "");
}

static void a_guest_that_its_host_boots_is_not_told_to_reboot(void **state)
{
	struct fixture *f = *state;

	rows_read_document(f,
			   "guests: [{name: vnf0, launch: {kernel: /k, memory: 2G, page_size: 1G, "
			   "node: 0, accel: tcg}, " VCPUS ", " SSH ", " STATE "}]\n");
	rows_run(f);
	rows_says(f, rows_wanted(f)->digest, "pending-reboot", "pending-reboot");
	rows_assert_machine(f, MACHINE_PENDING_REBOOT);
	rows_assert_steps(f, "");
}

/* ---- host and guests ---- */

static void the_hosts_verdict_is_not_about_its_guests(void **state)
{
	struct fixture *f = *state;

	rows_run_launched(f);
	f->seen->process = rows_not_known(FACT_ABSENT);
	(void)rows_judged(f);
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

#define T(name) cmocka_unit_test_setup_teardown(name, rows_setup, rows_teardown)

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
		T(kvm_that_could_not_be_asked_is_unknown),
		T(a_missing_qemu_is_said_with_its_package),
		T(under_kvm_the_deadline_timer_counts),
		T(memory_that_is_not_as_asked_needs_a_restart),
		T(an_adopted_guests_memory_has_only_to_be_locked),
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
	};

	return cmocka_run_group_tests_name("guest_rows", tests, NULL, NULL);
}

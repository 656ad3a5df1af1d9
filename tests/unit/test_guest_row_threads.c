/* A guest's vCPUs and other threads, as their host judges and pins them. */
#include "tests/unit/guest_rows_fixture.h"

static void a_vcpu_is_pinned_to_one_cpu_with_its_priority(void **state)
{
	struct fixture *f = *state;
	const struct step *s;

	rows_run_launched(f);
	f->seen->threads[1] = rows_thread(101, "CPU 0/TCG", 0, "0-7", 0);
	f->seen->threads[2] = rows_thread(102, "CPU 1/TCG", 1, "4-5", 2);
	rows_assert_verdict(f, "guest_vcpus", VERDICT_DRIFTED,
			    "vCPU 0: CPUs 0-7, other, want CPUs 4, FIFO 3");
	assert_string_equal(rows_verdict_of(f, "guest_vcpus")->live, "0 of 2 as wanted");
	rows_assert_steps(f, "thread guest vnf0 vCPU 0: 0-7 -> 4\n"
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

	rows_read_document(f, "guests: [{name: vnf0, " DISK ", vcpus: [{cpu: 4, priority: 0}, "
			      "{cpu: 5}]}]\n");
	rows_run(f);
	f->o.forwards = rows_not_known(FACT_ABSENT);
	rows_assert_steps(f, "thread guest vnf0 vCPU 0: FIFO 3 -> other\n");
	assert_int_equal(f->p.steps[0].policy, 0);
	assert_int_equal(f->p.steps[0].priority, 0);
	f->seen->threads[1].thread.policy = 2; /* SCHED_RR is not it either */
	rows_assert_verdict(f, "guest_vcpus", VERDICT_DRIFTED, "RR 3, want CPUs 4, other");
}

static void a_vcpu_whose_cpus_are_not_known_is_unknown(void **state)
{
	struct fixture *f = *state;

	rows_run_launched(f);
	f->seen->threads[1].thread.allowed = rows_not_known(FACT_UNREADABLE);
	rows_assert_verdict(f, "guest_vcpus", VERDICT_UNKNOWN, "vCPU 0");
	rows_assert_steps(f, "");
	f->seen->threads[1].thread.allowed = rows_known("rubbish");
	rows_assert_verdict(f, "guest_vcpus", VERDICT_UNKNOWN, "vCPU 0");
	f->seen->vcpus_by = rows_not_known(FACT_UNREADABLE);
	rows_assert_verdict(f, "guest_vcpus", VERDICT_UNKNOWN, NULL);
	rows_assert_verdict(f, "guest_emulator", VERDICT_UNKNOWN, NULL);
	rows_assert_steps(f, "");
}

static void plugged_and_missing_vcpus_are_named(void **state)
{
	struct fixture *f = *state;

	rows_run_launched(f);
	rows_add_thread(f, rows_thread(103, "CPU 2/TCG", 2, "0-7", 0));
	rows_assert_verdict(f, "guest_vcpus", VERDICT_UNFIXABLE, "vCPU 2: CPUs 0-7, other");
	rows_assert_machine(f, MACHINE_DEGRADED);
	rows_assert_steps(f, "");
	f->seen->n_threads = 2;
	rows_assert_verdict(f, "guest_vcpus", VERDICT_UNFIXABLE, "fewer vCPUs");
	f->seen->vcpus_by = rows_known("thread names");
	rows_assert_verdict(f, "guest_vcpus", VERDICT_UNKNOWN, "monitor does not answer");
	rows_assert_steps(f, "");
}

static void a_vcpu_is_not_pinned_to_an_offline_cpu(void **state)
{
	struct fixture *f = *state;

	rows_run_launched(f);
	f->seen->threads[1].thread.allowed = rows_known("0-3");
	cpuset_remove(&f->o.online, 4);
	rows_assert_verdict(f, "guest_vcpus", VERDICT_UNFIXABLE, "offline");
	rows_assert_steps(f, "");
}

static void emulator_threads_go_to_their_cpus(void **state)
{
	struct fixture *f = *state;

	rows_read_document(f, "guests: [{name: vnf0, " DISK ", " VCPUS ", emulator: 0-1}]\n");
	rows_run(f);
	f->o.forwards = rows_not_known(FACT_ABSENT);
	rows_assert_verdict(f, "guest_emulator", VERDICT_CONVERGED, NULL);
	rows_add_thread(f, rows_thread(104, "IO disk-io", -1, "1-4", 0));
	rows_add_thread(f, rows_thread(105, "worker", -1, "1", 0));
	rows_assert_verdict(f, "guest_emulator", VERDICT_DRIFTED, "thread 104");
	assert_string_equal(rows_verdict_of(f, "guest_emulator")->live, "1 of 3 threads outside");
	rows_assert_steps(f, "thread guest vnf0 IO disk-io: 1-4 -> 0-1\n");
	assert_true(f->p.steps[0].transient && f->p.steps[0].set_affinity);
	f->seen->threads[3].thread.allowed = rows_not_known(FACT_ABSENT); /* it has ended */
	rows_assert_verdict(f, "guest_emulator", VERDICT_CONVERGED, NULL);
	f->seen->threads[3].thread.allowed = rows_not_known(FACT_DENIED);
	rows_assert_verdict(f, "guest_emulator", VERDICT_UNKNOWN, NULL);
	rows_assert_steps(f, "");
}

/* ---- ssh ---- */

#define T(name) cmocka_unit_test_setup_teardown(name, rows_setup, rows_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_vcpu_is_pinned_to_one_cpu_with_its_priority),
		T(priority_zero_is_no_real_time_thread),
		T(a_vcpu_whose_cpus_are_not_known_is_unknown),
		T(plugged_and_missing_vcpus_are_named),
		T(a_vcpu_is_not_pinned_to_an_offline_cpu),
		T(emulator_threads_go_to_their_cpus),
	};

	return cmocka_run_group_tests_name("guest_row_threads", tests, NULL, NULL);
}

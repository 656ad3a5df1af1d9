/* Verdicts: the table of verdict.c's head, the machine's verdict, refusals, and each row's special
 * cases, on a simulated machine that is converged but for what the test changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "state/settings.h"
#include "tests/unit/sim_fixture.h"

struct fixture {
	struct sim sim;
	struct desired desired;
	struct observed o;
	struct report r;
};

/* A machine that waits for nothing any more. */
static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	gen_full_machine(&f->sim, 4);
	sim_read_document(&f->sim, &f->desired, gen_full_document);
	sim_converge(&f->sim, &f->desired);
	sim_observe(&f->sim, &f->o);
	*state = f;
	return 0;
}

/* The same machine before anybody touched it. */
static int setup_stock(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	gen_full_machine(&f->sim, 4);
	sim_read_document(&f->sim, &f->desired, gen_full_document);
	sim_observe(&f->sim, &f->o);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	report_done(&f->r);
	observed_done(&f->o);
	desired_done(&f->desired);
	sim_done(&f->sim);
	free(f);
	return 0;
}

static const struct setting_verdict *judged(struct fixture *f, const char *name)
{
	report_done(&f->r);
	assert_int_equal(judge(&f->desired, &f->o, &f->r), 0);
	return &f->r.settings[setting_index(setting_by_name(name))];
}

static void assert_verdict(struct fixture *f, const char *name, enum verdict want,
			   const char *reason)
{
	const struct setting_verdict *v = judged(f, name);

	if (v->verdict != want)
		fail_msg("%s is %s (%s), not %s", name, verdict_name(v->verdict), v->reason,
			 verdict_name(want));
	if (reason && (!v->reason || !strstr(v->reason, reason)))
		fail_msg("%s: the reason is \"%s\", without \"%s\"", name, v->reason, reason);
}

static void set_fact(struct fixture *f, const char *path, const char *text)
{
	struct fact *fact;
	size_t n = 0;

	for (size_t i = 0; (fact = sim_fact(&f->o, i)); i++) {
		if (!fact->path || !streq(fact->path, path))
			continue;
		*fact = (struct fact){ .state = FACT_KNOWN, .path = path, .text = text };
		n++;
	}
	assert_true(n > 0);
}

static void next_boot(struct fixture *f, const char *text)
{
	f->o.boot.next_cmdline.text = text;
}

static const char *without(struct fixture *f, const char *text, const char *arg)
{
	const char *at = strstr(text, arg);

	assert_non_null(at);
	return arena_printf(&f->o.arena, "%.*s%s", (int)(at - text), text, at + strlen(arg));
}

static void refuse(struct fixture *f, const char *setting, const char *target, const char *name,
		   int error)
{
	struct observed_refusal *r =
		arena_grow(&f->o.arena, &f->o.refusals, &f->o.n_refusals, sizeof(*r));

	*r = (struct observed_refusal){ .setting = setting,
					.target = target,
					.name = name,
					.error = error,
					.message = "the kernel said no" };
}

static void a_converged_machine_is_verified(void **state)
{
	struct fixture *f = *state;

	judged(f, "kernel");
	assert_int_equal(f->r.verdict, MACHINE_VERIFIED);
	assert_int_equal(machine_verdict_exit_code(f->r.verdict), 0);
	for (size_t i = 0; i < f->r.n_settings; i++) {
		assert_int_equal(f->r.settings[i].verdict, VERDICT_CONVERGED);
		assert_true(f->r.settings[i].want && f->r.settings[i].live);
		assert_false(f->r.settings[i].needs_boot);
	}
}

static void a_stock_machine_has_drifted_with_evidence_and_reasons(void **state)
{
	struct fixture *f = *state;

	judged(f, "kernel");
	assert_int_equal(f->r.verdict, MACHINE_DRIFTED);
	for (size_t i = 0; i < f->r.n_settings; i++) {
		const struct setting_verdict *v = &f->r.settings[i];

		if (streq(v->setting->name, "timer_migration"))
			continue; /* may be off from the start */
		if (v->verdict != VERDICT_DRIFTED || !v->reason || !v->n_evidence)
			fail_msg("%s is %s with %zu pieces of evidence: %s", v->setting->name,
				 verdict_name(v->verdict), v->n_evidence, v->reason);
	}
}

static void right_now_and_lost_at_the_next_boot_is_drifted(void **state)
{
	struct fixture *f = *state;

	next_boot(f, without(f, f->o.boot.next_cmdline.text, " tsc=reliable"));
	assert_verdict(f, "tsc", VERDICT_DRIFTED, "next boot would lose it: tsc=reliable");
}

static void wrong_now_and_right_at_the_next_boot_is_pending(void **state)
{
	struct fixture *f = *state;

	set_fact(f, "/proc/cmdline", without(f, f->o.cmdline.text, " tsc=reliable"));
	assert_verdict(f, "tsc", VERDICT_PENDING_REBOOT, "booted without tsc=reliable");
	assert_true(judged(f, "tsc")->needs_boot);
	assert_int_equal(f->r.verdict, MACHINE_PENDING_REBOOT);
	assert_int_equal(machine_verdict_exit_code(f->r.verdict), 4);
}

static void wrong_now_and_at_the_next_boot_is_drifted(void **state)
{
	struct fixture *f = *state;

	set_fact(f, "/proc/cmdline", without(f, f->o.cmdline.text, " tsc=reliable"));
	next_boot(f, without(f, f->o.boot.next_cmdline.text, " tsc=reliable"));
	assert_verdict(f, "tsc", VERDICT_DRIFTED, NULL);
}

static void a_foreign_key_is_drift_that_names_the_file(void **state)
{
	struct fixture *f = *state;

	f->o.boot.sources[0].text = "GRUB_CMDLINE_LINUX=\"tsc=unstable\"";
	next_boot(f, arena_printf(&f->o.arena, "%s tsc=unstable", f->o.boot.next_cmdline.text));
	assert_verdict(f, "tsc", VERDICT_DRIFTED, "/etc/default/grub sets tsc=");
	assert_false(judged(f, "tsc")->needs_boot);
}

static void a_next_boot_that_cannot_be_read_is_unknown(void **state)
{
	struct fixture *f = *state;

	sim_break_path(&f->o, "/boot/grub/grub.cfg", FACT_UNREADABLE, EIO);
	assert_verdict(f, "tsc", VERDICT_UNKNOWN, "/boot/grub/grub.cfg");
	assert_int_equal(f->r.verdict, MACHINE_DEGRADED);
}

static void booted_with_all_it_takes_and_still_wrong_is_unfixable(void **state)
{
	struct fixture *f = *state;

	set_fact(f, "/sys/kernel/iommu_groups/0/type", "DMA");
	assert_verdict(f, "iommu", VERDICT_UNFIXABLE, "booted with all it takes");
	assert_false(judged(f, "iommu")->needs_boot);
}

static void what_a_step_failed_at_is_failed_with_the_kernels_reason(void **state)
{
	struct fixture *f = *state;

	set_fact(f, "/proc/sys/kernel/sched_rt_runtime_us", "950000");
	refuse(f, "rt_throttling", "/proc/sys/kernel/sched_rt_runtime_us", "", EROFS);
	assert_verdict(f, "rt_throttling", VERDICT_FAILED, "the kernel said no");
	set_fact(f, "/proc/sys/kernel/sched_rt_runtime_us", "-1");
	assert_verdict(f, "rt_throttling", VERDICT_CONVERGED, NULL);
}

static void the_fair_server_is_off_on_isolated_cpus_alone(void **state)
{
	struct fixture *f = *state;

	set_fact(f, "/sys/kernel/debug/sched/fair_server/cpu0/runtime", "50000000");
	assert_verdict(f, "rt_throttling", VERDICT_CONVERGED, NULL);
	set_fact(f, "/sys/kernel/debug/sched/fair_server/cpu2/runtime", "50000000");
	assert_verdict(f, "rt_throttling", VERDICT_DRIFTED, "cpu2/runtime is 50000000, not 0");
	assert_string_equal(judged(f, "rt_throttling")->live, "50000000");
	assert_string_equal(judged(f, "rt_throttling")->want, "0");
}

static void huge_pages_that_memory_did_not_give_wait_for_a_boot(void **state)
{
	const char *path =
		"/sys/devices/system/node/node0/hugepages/hugepages-1048576kB/nr_hugepages";
	struct fixture *f = *state;

	set_fact(f, path, "1");
	refuse(f, "hugepages", path, "", ENOSPC);
	assert_verdict(f, "hugepages", VERDICT_FAILED, NULL);
	assert_false(judged(f, "hugepages")->needs_boot); /* this boot had the arguments */
	set_fact(f, "/proc/cmdline", without(f, f->o.cmdline.text, " hugepages=0:2"));
	assert_true(judged(f, "hugepages")->needs_boot);
}

static void a_managed_irq_is_named_but_no_drift(void **state)
{
	struct fixture *f = *state;
	struct observed_irq *irq = &f->o.irqs[0];
	const struct setting_verdict *v;

	irq->effective.text = "2";
	assert_verdict(f, "irq_affinity", VERDICT_DRIFTED, "goes to CPU 2");
	refuse(f, "irq_affinity", irq->requested.path, irq->name, EIO);
	assert_verdict(f, "irq_affinity", VERDICT_CONVERGED, NULL);
	v = judged(f, "irq_affinity");
	assert_int_equal(v->n_items, 1);
	assert_int_equal(v->items[0].verdict, VERDICT_NOT_APPLICABLE);
	assert_non_null(strstr(v->items[0].reason, "the kernel said no"));
	/* the number was given to another driver since */
	irq->name = "somebody else";
	assert_verdict(f, "irq_affinity", VERDICT_DRIFTED, NULL);
}

static void an_irq_that_waits_for_its_next_firing_to_move_has_drifted(void **state)
{
	struct fixture *f = *state;
	struct observed_irq *irq = &f->o.irqs[0];
	const struct setting_verdict *v;

	irq->effective.text = "1";
	irq->requested.text = "3";
	assert_verdict(f, "irq_affinity", VERDICT_DRIFTED, "goes to CPU 3 when it next fires");
	v = judged(f, "irq_affinity");
	assert_int_equal(v->n_items, 1);
	assert_string_equal(v->items[0].live, "1, then 3");
	irq->requested.text = "0";
	assert_verdict(f, "irq_affinity", VERDICT_CONVERGED, NULL);
	/* the kernel has chosen, and not an isolated one */
	irq->requested.text = "0-3";
	assert_verdict(f, "irq_affinity", VERDICT_CONVERGED, NULL);
	irq->requested.state = FACT_UNREADABLE;
	assert_verdict(f, "irq_affinity", VERDICT_UNKNOWN, "smp_affinity_list");
}

static void an_empty_effective_set_reaches_no_cpu(void **state)
{
	struct fixture *f = *state;

	f->o.irqs[0].effective.text = "";
	assert_verdict(f, "irq_affinity", VERDICT_CONVERGED, NULL);
}

static void irqbalance_that_is_not_told_is_drift(void **state)
{
	struct fixture *f = *state;

	assert_true(fact_known(&f->o.irqbalance_pid));
	f->o.irqbalance_banned.text = "3";
	assert_verdict(f, "irq_affinity", VERDICT_DRIFTED, "leaves alone only CPUs 3");
	f->o.irqbalance_pid.state = FACT_ABSENT;
	assert_verdict(f, "irq_affinity", VERDICT_CONVERGED, NULL);
}

static void the_last_cpus_thread_counts(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < f->o.n_threads; i++)
		if (streq(f->o.threads[i].comm, "ksoftirqd/3"))
			f->o.threads[i].policy = 0;
	assert_verdict(f, "kthread_priority", VERDICT_DRIFTED, "ksoftirqd/3 runs SCHED_OTHER");
}

static void a_missing_ksoftirqd_is_a_failed_reading(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < f->o.n_threads; i++)
		if (streq(f->o.threads[i].comm, "ksoftirqd/3"))
			f->o.threads[i].comm = "rcu_preempt";
	assert_verdict(f, "kthread_priority", VERDICT_UNKNOWN, "no ksoftirqd seen for CPU 3");
}

static void an_rcuo_thread_on_isolated_cpus_is_drift(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < f->o.n_threads; i++)
		if (streq(f->o.threads[i].comm, "rcuop/2"))
			f->o.threads[i].allowed.text = "0-2";
	assert_verdict(f, "rcu_offload", VERDICT_DRIFTED, "rcuop/2 may run on CPUs 0-2");
}

static void no_rcuo_thread_though_booted_for_it_is_unfixable(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < f->o.n_threads; i++)
		if (streq(f->o.threads[i].comm, "rcuop/2"))
			f->o.threads[i].comm = "ktimers/9";
	assert_verdict(f, "rcu_offload", VERDICT_UNFIXABLE, "callbacks of CPU 2");
}

static void a_kernel_without_nohz_full_waits_for_one_that_has_it(void **state)
{
	struct fixture *f = *state;
	struct fact *file =
		(struct fact *)observed_file(&f->o, "/sys/devices/system/cpu/nohz_full");

	file->state = FACT_ABSENT;
	assert_verdict(f, "tick_offload", VERDICT_UNFIXABLE, "CONFIG_NO_HZ_FULL");
	f->o.kernel_release.text = "6.1.0-56-amd64";
	assert_verdict(f, "tick_offload", VERDICT_PENDING_REBOOT, "6.12.9-rt-amd64 has it");
}

static void a_clocksource_that_is_not_offered_is_unfixable(void **state)
{
	const char *folder = "/sys/devices/system/clocksource/clocksource0/";
	struct fixture *f = *state;
	const char *current = arena_printf(&f->o.arena, "%scurrent_clocksource", folder);
	const char *available = arena_printf(&f->o.arena, "%savailable_clocksource", folder);

	set_fact(f, current, "hpet");
	assert_verdict(f, "tsc", VERDICT_DRIFTED, "hpet, not tsc");
	set_fact(f, available, "hpet tsc-early acpi_pm");
	assert_verdict(f, "tsc", VERDICT_UNFIXABLE, "does not offer tsc");
	sim_break_path(&f->o, available, FACT_DENIED, EACCES);
	assert_verdict(f, "tsc", VERDICT_UNKNOWN, "available_clocksource");
}

static void a_tsc_that_may_stop_must_be_accepted_in_so_many_words(void **state)
{
	struct fixture *f = *state;

	set_fact(f, "/proc/cpuinfo", "flags : constant_tsc nonstop_tsc_s3");
	assert_verdict(f, "tsc", VERDICT_UNFIXABLE, "nonstop_tsc");
	sim_read_document(&f->sim, &f->desired,
			  "version: 1\nhost:\n  cpus: {isolated: 2-3}\n"
			  "  tsc: {mode: reliable, invariant: assumed}\n");
	assert_verdict(f, "tsc", VERDICT_CONVERGED, NULL);
}

static void an_rt_kernel_that_is_not_the_default_by_name_is_drift(void **state)
{
	struct fixture *f = *state;

	f->o.boot.next_entry_id = "simple";
	assert_verdict(f, "kernel", VERDICT_DRIFTED, "only until another kernel is installed");
}

static void no_rt_kernel_and_no_package_named_is_unfixable(void **state)
{
	struct fixture *f = *state;

	f->o.boot.n_kernels = 1;
	f->o.boot.next_kernel.text = f->o.kernel_release.text = "6.1.0-56-amd64";
	f->o.kernel_version.text = "#1 SMP PREEMPT_DYNAMIC";
	assert_verdict(f, "kernel", VERDICT_UNFIXABLE, "no real-time kernel");
	assert_false(judged(f, "kernel")->needs_boot);
	f->o.package.state = FACT_ABSENT;
	assert_verdict(f, "kernel", VERDICT_DRIFTED, "linux-image-rt-amd64 is not installed");
	assert_false(judged(f, "kernel")->needs_boot);
}

static void an_unknown_iommu_driver_asks_for_no_reboot(void **state)
{
	struct fixture *f = *state;

	set_fact(f, "/sys/kernel/iommu_groups/0/type", "DMA");
	f->o.acpi_dmar.state = FACT_ABSENT;
	assert_verdict(f, "iommu", VERDICT_UNFIXABLE, "neither Intel's nor AMD's");
	assert_false(judged(f, "iommu")->needs_boot);
}

static void what_the_document_does_not_name_is_unmanaged(void **state)
{
	struct fixture *f = *state;

	sim_read_document(&f->sim, &f->desired,
			  "version: 1\nhost:\n  cpus: {isolated: 2-3}\n  watchdogs: off\n");
	assert_verdict(f, "watchdogs", VERDICT_CONVERGED, NULL);
	assert_verdict(f, "tsc", VERDICT_UNMANAGED, NULL);
	assert_int_equal(f->r.verdict, MACHINE_VERIFIED);
}

static void degraded_outdoes_drifted_which_outdoes_pending(void **state)
{
	struct fixture *f = *state;

	set_fact(f, "/proc/cmdline", without(f, f->o.cmdline.text, " tsc=reliable"));
	judged(f, "tsc");
	assert_int_equal(f->r.verdict, MACHINE_PENDING_REBOOT);
	set_fact(f, "/proc/sys/kernel/watchdog", "1");
	judged(f, "tsc");
	assert_int_equal(f->r.verdict, MACHINE_DRIFTED);
	assert_int_equal(machine_verdict_exit_code(f->r.verdict), 3);
	sim_break_path(&f->o, "/proc/cpuinfo", FACT_DENIED, EACCES);
	judged(f, "tsc");
	assert_int_equal(f->r.verdict, MACHINE_DEGRADED);
	assert_int_equal(machine_verdict_exit_code(f->r.verdict), 5);
}

static void verdicts_have_their_names(void **state)
{
	(void)state;
	assert_string_equal(verdict_name(VERDICT_PENDING_REBOOT), "pending-reboot");
	assert_string_equal(verdict_name(VERDICT_NOT_APPLICABLE), "not-applicable");
	assert_string_equal(verdict_name(_VERDICT_MAX), "?");
	for (int i = 0; i < _MACHINE_VERDICT_MAX; i++)
		assert_int_equal(
			machine_verdict_from_name(machine_verdict_name((enum machine_verdict)i)),
			i);
	assert_int_equal(machine_verdict_from_name("fine"), -EINVAL);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_converged_machine_is_verified),
		cmocka_unit_test_setup_teardown(
			a_stock_machine_has_drifted_with_evidence_and_reasons, setup_stock,
			teardown),
		T(right_now_and_lost_at_the_next_boot_is_drifted),
		T(wrong_now_and_right_at_the_next_boot_is_pending),
		T(wrong_now_and_at_the_next_boot_is_drifted),
		T(a_foreign_key_is_drift_that_names_the_file),
		T(a_next_boot_that_cannot_be_read_is_unknown),
		T(booted_with_all_it_takes_and_still_wrong_is_unfixable),
		T(what_a_step_failed_at_is_failed_with_the_kernels_reason),
		T(huge_pages_that_memory_did_not_give_wait_for_a_boot),
		T(the_fair_server_is_off_on_isolated_cpus_alone),
		T(a_managed_irq_is_named_but_no_drift),
		T(an_irq_that_waits_for_its_next_firing_to_move_has_drifted),
		T(an_empty_effective_set_reaches_no_cpu),
		T(irqbalance_that_is_not_told_is_drift),
		T(the_last_cpus_thread_counts),
		T(a_missing_ksoftirqd_is_a_failed_reading),
		T(an_rcuo_thread_on_isolated_cpus_is_drift),
		T(no_rcuo_thread_though_booted_for_it_is_unfixable),
		T(a_kernel_without_nohz_full_waits_for_one_that_has_it),
		T(a_clocksource_that_is_not_offered_is_unfixable),
		T(a_tsc_that_may_stop_must_be_accepted_in_so_many_words),
		T(an_rt_kernel_that_is_not_the_default_by_name_is_drift),
		T(no_rt_kernel_and_no_package_named_is_unfixable),
		T(an_unknown_iommu_driver_asks_for_no_reboot),
		T(what_the_document_does_not_name_is_unmanaged),
		T(degraded_outdoes_drifted_which_outdoes_pending),
		cmocka_unit_test(verdicts_have_their_names),
	};

	return cmocka_run_group_tests_name("judge", tests, NULL, NULL);
}

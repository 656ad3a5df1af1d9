/*
 * What the engine decides by itself: which steps may run, and when another round is of no use.
 */
#include "daemon/converge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void harmless_steps_need_no_consent(void **state)
{
	struct step file = { .kind = STEP_KERNEL_FILE, .disruption = DISRUPTION_NONE };
	struct step irq = { .kind = STEP_IRQ, .disruption = DISRUPTION_IRQ_RESHUFFLE };
	struct step arg = { .kind = STEP_BOOT_ARG, .disruption = DISRUPTION_REBOOT };

	(void)state;
	assert_true(step_consented(&file, 0));
	assert_true(step_consented(&irq, 0));
	assert_true(step_consented(&arg, 0));
}

static void service_the_document_wants_stopped_is_consented(void **state)
{
	struct step stop = { .kind = STEP_SERVICE, .disruption = DISRUPTION_SERVICE_RESTART };
	struct step other = { .kind = STEP_KERNEL_FILE, .disruption = DISRUPTION_SERVICE_RESTART };

	(void)state;
	assert_true(step_consented(&stop, 0));
	assert_false(step_consented(&other, 0));
	assert_true(step_consented(&other, 1U << DISRUPTION_SERVICE_RESTART));
}

static void each_disruptive_class_needs_its_own_consent(void **state)
{
	struct step nic = { .kind = STEP_KERNEL_FILE, .disruption = DISRUPTION_NIC_RESET };
	struct step guest = { .kind = STEP_KERNEL_FILE, .disruption = DISRUPTION_GUEST_RESTART };

	(void)state;
	assert_false(step_consented(&nic, 1U << DISRUPTION_GUEST_RESTART));
	assert_true(step_consented(&nic, 1U << DISRUPTION_NIC_RESET));
	assert_false(step_consented(&guest, 0));
}

static void a_running_guest_is_restarted_only_with_consent(void **state)
{
	struct step stop = { .kind = STEP_GUEST_STOP, .disruption = DISRUPTION_GUEST_RESTART };
	struct step again = { .kind = STEP_GUEST_LAUNCH, .disruption = DISRUPTION_GUEST_RESTART };
	struct step first = { .kind = STEP_GUEST_LAUNCH, .disruption = DISRUPTION_NONE };
	struct step document = { .kind = STEP_GUEST_DOCUMENT, .disruption = DISRUPTION_NONE };

	(void)state;
	assert_true(step_consented(&first, 0));
	assert_true(step_consented(&document, 0));
	assert_false(step_consented(&stop, 1U << DISRUPTION_REBOOT));
	assert_false(step_consented(&again, 1U << DISRUPTION_REBOOT));
	assert_true(step_consented(&stop, 1U << DISRUPTION_GUEST_RESTART));
	assert_true(step_consented(&again, 1U << DISRUPTION_GUEST_RESTART));
}

static void reboot_is_never_a_step_of_the_engine(void **state)
{
	struct step reboot = { .kind = STEP_REBOOT, .disruption = DISRUPTION_REBOOT };

	(void)state;
	assert_false(step_consented(&reboot, UINT32_MAX));
}

static void plans_are_the_same_when_target_and_values_are(void **state)
{
	struct step a = { .kind = STEP_IRQ, .number = 24, .target = "x", .now = "3", .want = "0" };
	struct step b = a, other_want = a, other_now = a, removed = a;
	struct plan pa = { .steps = &a, .n_steps = 1 }, pb = { .steps = &b, .n_steps = 1 };
	struct plan empty = { 0 };

	(void)state;
	assert_true(plan_same_steps(&pa, &pb));
	assert_false(plan_same_steps(&pa, &empty));
	other_want.want = "1";
	pb.steps = &other_want;
	assert_false(plan_same_steps(&pa, &pb));
	other_now.now = NULL; /* it moved, if not to where it should be: another round may help */
	pb.steps = &other_now;
	assert_false(plan_same_steps(&pa, &pb));
	removed.want = NULL;
	pb.steps = &removed;
	assert_false(plan_same_steps(&pb, &pa));
}

static void reboot_alone_is_nothing_to_execute_and_is_of_use(void **state)
{
	struct step steps[] = { { .kind = STEP_BOOT_ARG }, { .kind = STEP_REBOOT } };
	struct plan both = { .steps = steps, .n_steps = 2, .needs_reboot = true };
	struct plan reboot = { .steps = steps + 1, .n_steps = 1, .needs_reboot = true };

	(void)state;
	assert_int_equal(plan_n_actions(&reboot), 0);
	assert_true(plan_boot_ready(&reboot));
	assert_int_equal(plan_n_actions(&both), 1);
	assert_false(plan_boot_ready(&both));
}

static void at_run_time_only_the_running_machine_is_changed(void **state)
{
	struct step steps[] = {
		{ .kind = STEP_PACKAGE },      { .kind = STEP_BOOT_DEFAULT },
		{ .kind = STEP_BOOT_ARG },     { .kind = STEP_SERVICE },
		{ .kind = STEP_GUEST_STOP },   { .kind = STEP_MOUNT },
		{ .kind = STEP_GUEST_LAUNCH }, { .kind = STEP_GUEST_DOCUMENT, .reboot = true },
		{ .kind = STEP_IRQ },	       { .kind = STEP_REBOOT },
	};
	struct plan p = { .steps = steps,
			  .n_steps = ARRAY_SIZE(steps),
			  .needs_reboot = true,
			  .drops_running_args = true };

	(void)state;
	plan_keep_runtime(&p);
	assert_int_equal(p.n_steps, 3);
	assert_int_equal(p.steps[0].kind, STEP_SERVICE);
	assert_int_equal(p.steps[1].kind, STEP_MOUNT);
	assert_int_equal(p.steps[2].kind, STEP_IRQ);
	assert_false(p.needs_reboot);
	assert_false(p.drops_running_args);
}

static void run_time_only_is_no_consent_to_disruption(void **state)
{
	struct step nic = { .kind = STEP_KERNEL_FILE, .disruption = DISRUPTION_NIC_RESET };

	(void)state;
	assert_false(step_consented(&nic, ALLOW_RUNTIME_ONLY));
	assert_true(step_consented(&nic, ALLOW_RUNTIME_ONLY | 1U << DISRUPTION_NIC_RESET));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(harmless_steps_need_no_consent),
		cmocka_unit_test(service_the_document_wants_stopped_is_consented),
		cmocka_unit_test(each_disruptive_class_needs_its_own_consent),
		cmocka_unit_test(a_running_guest_is_restarted_only_with_consent),
		cmocka_unit_test(reboot_is_never_a_step_of_the_engine),
		cmocka_unit_test(plans_are_the_same_when_target_and_values_are),
		cmocka_unit_test(reboot_alone_is_nothing_to_execute_and_is_of_use),
		cmocka_unit_test(at_run_time_only_the_running_machine_is_changed),
		cmocka_unit_test(run_time_only_is_no_consent_to_disruption),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

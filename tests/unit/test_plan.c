/* The plan as a list of steps: what it holds, in which order, and what it leaves alone. */
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
	struct plan p;
};

static void plan(struct fixture *f)
{
	plan_done(&f->p);
	observed_done(&f->o);
	sim_observe(&f->sim, &f->o);
	assert_int_equal(plan_make(&f->desired, &f->o, &f->p), 0);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	gen_full_machine(&f->sim, 4);
	sim_read_document(&f->sim, &f->desired, gen_full_document);
	plan(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	plan_done(&f->p);
	observed_done(&f->o);
	desired_done(&f->desired);
	sim_done(&f->sim);
	free(f);
	return 0;
}

static const struct step *find_step(const struct fixture *f, enum step_kind kind,
				    const char *target)
{
	for (size_t i = 0; i < f->p.n_steps; i++)
		if (f->p.steps[i].kind == kind && (!target || streq(f->p.steps[i].target, target)))
			return &f->p.steps[i];
	return NULL;
}

static void a_stock_machine_gets_every_kind_of_step_in_order(void **state)
{
	struct fixture *f = *state;

	assert_true(f->p.n_steps > 10);
	for (size_t i = 1; i < f->p.n_steps; i++)
		assert_true(f->p.steps[i - 1].kind <= f->p.steps[i].kind);
	assert_non_null(find_step(f, STEP_BOOT_DEFAULT, "GRUB_DEFAULT"));
	assert_non_null(find_step(f, STEP_BOOT_ARG, "isolcpus"));
	assert_non_null(find_step(f, STEP_IRQBALANCE, NULL));
	assert_non_null(find_step(f, STEP_KERNEL_FILE, "/proc/sys/kernel/watchdog"));
	assert_non_null(find_step(f, STEP_THREAD, "ksoftirqd/3"));
	assert_int_equal(f->p.steps[f->p.n_steps - 1].kind, STEP_REBOOT);
	assert_true(f->p.needs_reboot);
}

static void a_step_says_what_is_now_and_what_is_wanted(void **state)
{
	struct fixture *f = *state;
	const struct step *arg = find_step(f, STEP_BOOT_ARG, "nohz_full");
	const struct step *thread = find_step(f, STEP_THREAD, "ksoftirqd/3");

	assert_null(arg->now);
	assert_string_equal(arg->want, "nohz_full=2-3");
	assert_ptr_equal(arg->setting, setting_by_name("tick_offload"));
	assert_int_equal(arg->disruption, DISRUPTION_NONE);
	assert_string_equal(thread->now, "SCHED_OTHER");
	assert_string_equal(thread->want, "SCHED_FIFO 2");
	assert_string_equal(thread->name, "ksoftirqd/3");
}

static void ranges_are_never_expanded(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < f->p.boot.n_args; i++)
		if (f->p.boot.args[i].value)
			assert_null(strstr(f->p.boot.args[i].value, "2,3"));
}

static void a_converged_machine_gives_no_step(void **state)
{
	struct fixture *f = *state;

	sim_converge(&f->sim, &f->desired);
	plan(f);
	assert_int_equal(f->p.n_steps, 0);
	assert_false(f->p.needs_reboot);
}

static void only_what_differs_gets_a_step(void **state)
{
	struct fixture *f = *state;

	sim_converge(&f->sim, &f->desired);
	f->sim.clocksource = "hpet";
	plan(f);
	assert_int_equal(f->p.n_steps, 1);
	assert_string_equal(f->p.steps[0].want, "tsc");
	assert_int_equal(f->p.steps[0].value_kind, VALUE_TEXT);
}

static void a_missing_package_comes_first(void **state)
{
	struct fixture *f = *state;

	f->sim.package_installed = false;
	plan(f);
	assert_int_equal(f->p.steps[0].kind, STEP_PACKAGE);
	assert_string_equal(f->p.steps[0].target, "linux-image-rt-amd64");
}

static void no_default_size_no_allocation_before_the_boot(void **state)
{
	struct fixture *f = *state;

	assert_null(find_step(f, STEP_HUGEPAGES, NULL));
	sim_converge(&f->sim, &f->desired);
	f->sim.nodes[0].pages[SIM_1G] = 1;
	plan(f);
	assert_string_equal(
		find_step(f, STEP_HUGEPAGES, NULL)->target,
		"/sys/devices/system/node/node0/hugepages/hugepages-1048576kB/nr_hugepages");
	assert_false(f->p.needs_reboot);
}

static void pages_of_any_node_do_not_depend_on_the_first_one(void **state)
{
	struct fixture *f = *state;

	sim_read_document(&f->sim, &f->desired,
			  "version: 1\nhost:\n  cpus: {isolated: 2-3}\n"
			  "  hugepages: [{size: 2M, count: 64}]\n");
	f->sim.nodes[1] = f->sim.nodes[0];
	f->sim.nodes[1].cpus = (struct cpuset){ 0 };
	f->sim.nodes[1].id = 1;
	f->sim.n_nodes = 2;
	f->sim.nodes[0].has_pools = false; /* a node without memory */
	plan(f);
	assert_string_equal(find_step(f, STEP_HUGEPAGES, NULL)->target,
			    "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages");
}

/* All is as wanted but for one IRQ: asked to go to @first to @last, and going to @effective. */
static struct sim_irq *misplace_irq(struct fixture *f, unsigned first, unsigned last,
				    unsigned effective)
{
	struct sim_irq *irq = &f->sim.irqs[0];

	sim_converge(&f->sim, &f->desired);
	cpuset_done(&irq->requested);
	cpuset_done(&irq->effective);
	irq->empty = false;
	assert_int_equal(cpuset_add_range(&irq->requested, first, last), 0);
	assert_int_equal(cpuset_add(&irq->effective, effective), 0);
	return irq;
}

static void an_irq_keeps_what_it_had_of_housekeeping(void **state)
{
	struct fixture *f = *state;
	const struct sim_irq *irq = misplace_irq(f, 1, 3, 3);
	const struct step *step;

	plan(f);
	assert_int_equal(f->p.n_steps, 1);
	step = find_step(f, STEP_IRQ, NULL);
	assert_string_equal(step->want, "1");
	assert_string_equal(step->now, "3");
	assert_int_equal(step->number, irq->number);
	assert_int_equal(step->disruption, DISRUPTION_IRQ_RESHUFFLE);
}

static void an_irq_on_its_way_to_an_isolated_cpu_is_called_back(void **state)
{
	struct fixture *f = *state;

	misplace_irq(f, 3, 3, 1);
	plan(f);
	assert_int_equal(f->p.n_steps, 1);
	assert_string_equal(find_step(f, STEP_IRQ, NULL)->now, "1, then 3");
	sim_execute(&f->sim, &f->p);
	plan(f);
	assert_int_equal(f->p.n_steps, 0);
}

static void a_managed_irq_is_tried_once(void **state)
{
	struct fixture *f = *state;

	sim_converge(&f->sim, &f->desired);
	f->sim.irqs[0].managed = true;
	f->sim.irqs[0].empty = false;
	cpuset_done(&f->sim.irqs[0].effective);
	assert_int_equal(cpuset_add(&f->sim.irqs[0].effective, 2), 0);
	plan(f);
	assert_non_null(find_step(f, STEP_IRQ, NULL));
	sim_execute(&f->sim, &f->p);
	plan(f);
	assert_int_equal(f->p.n_steps, 0);
}

static void irqbalance_is_stopped_only_when_asked(void **state)
{
	struct fixture *f = *state;

	assert_null(find_step(f, STEP_SERVICE, NULL));
	sim_read_document(&f->sim, &f->desired,
			  "version: 1\nhost:\n  cpus: {isolated: 2-3}\n"
			  "  irq_affinity: {cpus: housekeeping, irqbalance: stopped}\n");
	plan(f);
	assert_null(find_step(f, STEP_IRQBALANCE, NULL));
	assert_int_equal(find_step(f, STEP_SERVICE, "irqbalance.service")->disruption,
			 DISRUPTION_SERVICE_RESTART);
}

static void the_administrators_key_is_never_doubled(void **state)
{
	struct fixture *f = *state;

	f->sim.admin_args = "tsc=unstable iommu=pt";
	f->sim.admin_text = "GRUB_CMDLINE_LINUX='tsc=unstable iommu=pt'";
	sim_update_grub(&f->sim);
	plan(f);
	assert_null(find_step(f, STEP_BOOT_ARG, "tsc"));
	assert_null(find_step(f, STEP_BOOT_ARG, "iommu"));
	for (size_t i = 0; i < f->p.boot.n_args; i++)
		assert_false(streq(f->p.boot.args[i].key, "tsc") ||
			     streq(f->p.boot.args[i].key, "iommu"));
	sim_converge(&f->sim, &f->desired);
	plan(f);
	assert_int_equal(f->p.n_steps, 0);
}

static void a_dropped_setting_takes_its_arguments_along(void **state)
{
	struct fixture *f = *state;
	const struct step *step;

	sim_converge(&f->sim, &f->desired);
	sim_read_document(&f->sim, &f->desired,
			  "version: 1\nhost:\n  cpus: {isolated: 2-3}\n  tsc: reliable\n");
	plan(f);
	step = find_step(f, STEP_BOOT_ARG, "nohz_full");
	assert_string_equal(step->now, "nohz_full=2-3");
	assert_null(step->want);
	assert_null(find_step(f, STEP_BOOT_ARG, "tsc"));
	assert_null(find_step(f, STEP_BOOT_DEFAULT, NULL)->want);
	assert_true(f->p.needs_reboot);
	sim_execute(&f->sim, &f->p);
	assert_null(strstr(f->sim.next_cmdline, "nohz_full"));
	assert_non_null(strstr(f->sim.next_cmdline, "tsc=reliable"));
}

static void an_unreadable_boot_configuration_is_left_alone(void **state)
{
	struct fixture *f = *state;

	f->sim.faults[0] = (struct sim_fault){ "/boot/grub/grub.cfg", FACT_UNREADABLE, EIO };
	f->sim.n_faults = 1;
	plan(f);
	assert_null(find_step(f, STEP_BOOT_ARG, NULL));
	assert_null(find_step(f, STEP_BOOT_DEFAULT, NULL));
	assert_non_null(find_step(f, STEP_KERNEL_FILE, NULL));
	assert_false(f->p.needs_reboot);
}

static void boot_steps_that_keep_failing_do_not_hide_the_rest(void **state)
{
	struct fixture *f = *state;

	f->sim.grub_breaks = true;
	sim_execute(&f->sim, &f->p);
	plan(f);
	assert_non_null(find_step(f, STEP_BOOT_ARG, "isolcpus"));
	assert_null(find_step(f, STEP_KERNEL_FILE, "/proc/sys/kernel/watchdog"));
}

static void kinds_and_disruptions_have_their_names(void **state)
{
	(void)state;
	assert_string_equal(step_kind_name(STEP_BOOT_ARG), "boot-arg");
	assert_string_equal(disruption_name(DISRUPTION_IRQ_RESHUFFLE), "irq-reshuffle");
	assert_string_equal(step_kind_name(_STEP_KIND_MAX), "?");
	assert_string_equal(disruption_name(_DISRUPTION_MAX), "?");
	for (int i = 0; i < _STEP_KIND_MAX; i++)
		assert_non_null(step_kind_name((enum step_kind)i));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_stock_machine_gets_every_kind_of_step_in_order),
		T(a_step_says_what_is_now_and_what_is_wanted),
		T(ranges_are_never_expanded),
		T(a_converged_machine_gives_no_step),
		T(only_what_differs_gets_a_step),
		T(a_missing_package_comes_first),
		T(no_default_size_no_allocation_before_the_boot),
		T(pages_of_any_node_do_not_depend_on_the_first_one),
		T(an_irq_keeps_what_it_had_of_housekeeping),
		T(an_irq_on_its_way_to_an_isolated_cpu_is_called_back),
		T(a_managed_irq_is_tried_once),
		T(irqbalance_is_stopped_only_when_asked),
		T(the_administrators_key_is_never_doubled),
		T(a_dropped_setting_takes_its_arguments_along),
		T(an_unreadable_boot_configuration_is_left_alone),
		T(boot_steps_that_keep_failing_do_not_hide_the_rest),
		cmocka_unit_test(kinds_and_disruptions_have_their_names),
	};

	return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}

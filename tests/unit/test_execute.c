/* plan_execute(): every kind of step on a fake machine, what it leaves behind, and what it says. */
#include "fake_machine.h"

#include <errno.h>
#include <sys/file.h>

#include "actuators/execute.h"
#include "actuators/root.h"

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fake_setup, fake_teardown)
#define IRQ_LIST "/proc/irq/24/smp_affinity_list"

static struct outcome *outcomes;
static size_t n_outcomes;

/* Runs the plan; the outcomes stay until drop(). */
static int execute(void)
{
	_cleanup_error_ struct error e = { 0 };
	int r;

	n_outcomes = fake_plan_now()->n_steps;
	r = plan_execute(fake_plan_now(), NULL, NULL, NULL, &outcomes, &e);
	if (r < 0)
		print_message("%s\n", e.what);
	for (size_t i = 0; r > 0 && i < n_outcomes; i++)
		if (outcomes[i].error.what)
			print_message("%s\n", outcomes[i].error.what);
	return r;
}

static void drop(void)
{
	outcomes_free(outcomes, n_outcomes);
	outcomes = NULL;
}

static struct step *irq_step(const char *want)
{
	struct step *s = fake_step(STEP_IRQ, "irq_affinity", IRQ_LIST, want);

	s->number = 24;
	s->name = "virtio1-req.0";
	return s;
}

static struct step *thread_step(unsigned pid, const char *comm)
{
	struct step *s = fake_step(STEP_THREAD, "kthread_priority", comm, "fifo 2");

	s->number = pid;
	s->name = comm;
	s->policy = 1;
	s->priority = 2;
	return s;
}

static void thread(unsigned pid, const char *comm)
{
	char path[64];

	fake_thread(pid, comm, 0, 0);
	snprintf(path, sizeof(path), "/proc/%u/status", pid);
	fake_write(path, "Name:\tx\nCpus_allowed:\tf\nCpus_allowed_list:\t0-3\n");
}

static void kernel_file_is_written_and_its_original_kept(void **state)
{
	_cleanup_free_ char *originals = NULL;

	(void)state;
	fake_write(FAKE_WATCHDOG, "1\n");
	fake_step(STEP_KERNEL_FILE, "watchdogs", FAKE_WATCHDOG, "0");
	assert_int_equal(execute(), 0);
	assert_int_equal(outcomes[0].result, STEP_DONE);
	fake_expect(FAKE_WATCHDOG, "0\n");
	originals = fake_read("/var/lib/latencyd/originals.json");
	assert_non_null(strstr(originals, "\"value\": \"1\""));
	fake_expect("/run/latencyd/refusals.json", NULL);
	drop();
}

static void second_run_changes_no_byte(void **state)
{
	_cleanup_free_ char *before = NULL, *after = NULL;
	size_t writes;

	(void)state;
	fake_write(FAKE_WATCHDOG, "1\n");
	fake_write(FAKE_PAGES, "0\n");
	fake_write(IRQ_LIST, "0-3\n");
	fake_write("/proc/irq/24/effective_affinity_list", "3\n");
	thread(30, "ksoftirqd/3");
	fake_step(STEP_KERNEL_FILE, "watchdogs", FAKE_WATCHDOG, "0");
	fake_step(STEP_HUGEPAGES, "hugepages", FAKE_PAGES, "2");
	fake_step(STEP_MOUNT, "hugepages", "/dev/hugepages-1G", "1G")->size_kib = 1048576;
	thread_step(30, "ksoftirqd/3");
	irq_step("0-1");
	fake_arg("tick_offload", "nohz_full", "2-3");
	assert_int_equal(execute(), 0);
	for (size_t i = 0; i < n_outcomes; i++)
		assert_int_equal(outcomes[i].result, STEP_DONE);
	drop();
	writes = fake_writes();
	before = fake_snapshot();
	assert_int_equal(execute(), 0);
	for (size_t i = 0; i < n_outcomes; i++)
		assert_int_equal(outcomes[i].result, STEP_UNCHANGED);
	drop();
	after = fake_snapshot();
	assert_string_equal(after, before);
	assert_int_equal(fake_writes(), writes);
	assert_int_equal(fake_count("update-grub"), 1);
}

static void managed_irq_is_refused_by_name_and_the_rest_goes_on(void **state)
{
	_cleanup_free_ char *refusals = NULL;

	(void)state;
	fake_write(IRQ_LIST, "3\n");
	fake_write("/proc/irq/24/effective_affinity_list", "3\n");
	fake_write("/sys/kernel/irq/24/chip_name", "IR-PCI-MSIX\n");
	fake_write(FAKE_WATCHDOG, "1\n");
	irq_step("0-1");
	fake_step(STEP_KERNEL_FILE, "watchdogs", FAKE_WATCHDOG, "0");
	fake_fault("/proc/irq/24/", EIO, 1);
	assert_int_equal(execute(), 0);
	assert_int_equal(outcomes[0].result, STEP_REFUSED);
	assert_int_equal(outcomes[0].error.code, -EIO);
	assert_string_equal(outcomes[0].error.what,
			    "IRQ 24 (virtio1-req.0) is managed by its driver: the kernel chooses "
			    "its CPUs");
	assert_string_equal(outcomes[0].error.todo, "boot with isolcpus=managed_irq");
	assert_int_equal(outcomes[1].result, STEP_DONE);
	refusals = fake_read("/run/latencyd/refusals.json");
	assert_non_null(strstr(refusals, "\"error\": 5"));
	assert_non_null(strstr(refusals, "\"target\": \"" IRQ_LIST "\""));
	drop();
}

static void timer_irq_is_not_called_managed(void **state)
{
	(void)state;
	fake_write(IRQ_LIST, "3\n");
	fake_write("/proc/irq/24/effective_affinity_list", "3\n");
	fake_write("/sys/kernel/irq/24/chip_name", "IR-IO-APIC\n");
	irq_step("0-1");
	fake_fault("/proc/irq/24/", EIO, 1);
	assert_int_equal(execute(), 0);
	assert_int_equal(outcomes[0].result, STEP_REFUSED);
	assert_string_equal(outcomes[0].error.what,
			    "IRQ 24 (virtio1-req.0) cannot be moved: the kernel keeps it where it "
			    "is");
	drop();
}

static void irq_without_vectors_left_is_capacity(void **state)
{
	(void)state;
	fake_write(IRQ_LIST, "3\n");
	fake_write("/proc/irq/24/effective_affinity_list", "3\n");
	irq_step("0-1");
	fake_fault("/proc/irq/24/", ENOSPC, 1);
	assert_int_equal(execute(), 1);
	assert_int_equal(outcomes[0].result, STEP_FAILED);
	assert_non_null(strstr(outcomes[0].error.todo, "no interrupt vectors left"));
	drop();
}

static void irq_whose_effective_cpus_already_fit_is_left_alone_when_asked_for(void **state)
{
	(void)state;
	fake_write(IRQ_LIST, "0-1\n");
	fake_write("/proc/irq/24/effective_affinity_list", "1\n");
	irq_step("0-1");
	assert_int_equal(execute(), 0);
	assert_int_equal(outcomes[0].result, STEP_UNCHANGED);
	assert_int_equal(fake_writes(), 0);
	drop();
}

static void success_drops_the_record_of_a_refusal(void **state)
{
	_cleanup_free_ char *refusals = NULL;

	(void)state;
	fake_write(FAKE_WATCHDOG, "1\n");
	fake_step(STEP_KERNEL_FILE, "watchdogs", FAKE_WATCHDOG, "0");
	fake_fault(FAKE_WATCHDOG, EPERM, 1);
	assert_int_equal(execute(), 0);
	assert_int_equal(outcomes[0].result, STEP_REFUSED);
	drop();
	refusals = fake_read("/run/latencyd/refusals.json");
	assert_non_null(strstr(refusals, FAKE_WATCHDOG));
	assert_int_equal(execute(), 0);
	assert_int_equal(outcomes[0].result, STEP_DONE);
	drop();
	free(refusals);
	refusals = fake_read("/run/latencyd/refusals.json");
	assert_null(strstr(refusals, FAKE_WATCHDOG));
}

static void short_huge_page_allocation_says_how_many(void **state)
{
	(void)state;
	fake_write(FAKE_PAGES, "0\n");
	fake_hugepages_max(1);
	fake_step(STEP_HUGEPAGES, "hugepages", FAKE_PAGES, "4");
	assert_int_equal(execute(), 1);
	assert_int_equal(outcomes[0].result, STEP_FAILED);
	assert_int_equal(outcomes[0].error.code, -ENOSPC);
	assert_string_equal(outcomes[0].error.what,
			    FAKE_PAGES ": the kernel gave 1 of 4 huge pages: its free memory is "
				       "fragmented or too small");
	assert_non_null(strstr(outcomes[0].error.todo, "reboot"));
	drop();
}

static void mount_is_not_stacked_on_another_kind(void **state)
{
	(void)state;
	fake_write("/proc/self/mounts", "tmpfs /mnt/huge\\040pages tmpfs rw 0 0\n");
	fake_step(STEP_MOUNT, "hugepages", "/mnt/huge pages", "1G")->size_kib = 1048576;
	assert_int_equal(execute(), 1);
	assert_int_equal(outcomes[0].error.code, -EEXIST);
	assert_string_equal(outcomes[0].error.what,
			    "a tmpfs of another kind is mounted at /mnt/huge pages already");
	drop();
}

static void mount_that_is_there_is_unchanged(void **state)
{
	(void)state;
	fake_write("/proc/self/mounts",
		   "hugetlbfs /mnt/huge hugetlbfs rw,relatime,pagesize=1024M 0 0\n");
	fake_step(STEP_MOUNT, "hugepages", "/mnt/huge", "1G")->size_kib = 1048576;
	assert_int_equal(execute(), 0);
	assert_int_equal(outcomes[0].result, STEP_UNCHANGED);
	drop();
}

static void thread_of_another_name_is_not_touched(void **state)
{
	(void)state;
	thread(30, "bash (x) y");
	thread_step(30, "ksoftirqd/3");
	assert_int_equal(execute(), 1);
	assert_int_equal(outcomes[0].error.code, -ESRCH);
	assert_string_equal(outcomes[0].error.what, "the thread ksoftirqd/3 (pid 30) is gone");
	assert_int_equal(fake_writes(), 0);
	drop();
}

static void bound_thread_is_refused(void **state)
{
	struct step *s;

	(void)state;
	thread(31, "rcuop/3");
	s = fake_step(STEP_THREAD, "rcu_offload", "rcuop/3", "0-1");
	s->number = 31;
	s->name = "rcuop/3";
	s->set_affinity = true;
	fake_fault("affinity", EINVAL, 1);
	assert_int_equal(execute(), 0);
	assert_int_equal(outcomes[0].result, STEP_REFUSED);
	assert_int_equal(outcomes[0].error.code, -EPERM);
	drop();
	assert_int_equal(execute(), 0);
	assert_int_equal(outcomes[0].result, STEP_DONE);
	fake_expect("/proc/31/status", "Name:\tx\nCpus_allowed:\tf\nCpus_allowed_list:\t0-1\n");
	drop();
}

static void package_is_installed_with_its_new_dependencies_kept(void **state)
{
	_cleanup_free_ char *originals = NULL;

	(void)state;
	fake_remove("/lists"); /* apt-get update is needed first */
	fake_step(STEP_PACKAGE, "kernel", "linux-image-rt-amd64", "installed");
	fake_arg("tick_offload", "nohz_full", "2-3");
	assert_int_equal(execute(), 0);
	assert_int_equal(outcomes[0].result, STEP_DONE);
	assert_int_equal(outcomes[1].result, STEP_DONE);
	drop();
	originals = fake_read("/var/lib/latencyd/originals.json");
	assert_non_null(strstr(originals, "package|linux-image-" FAKE_RT_KERNEL "|"));
	assert_non_null(strstr(originals, "package|linux-image-rt-amd64|"));
	assert_null(strstr(originals, "package|tzdata|"));
	assert_non_null(strstr(originals, "\"kernel\": \"" FAKE_KERNEL "\""));
	/* the package's own hook has rendered the drop-in: not a second time */
	assert_int_equal(fake_count("update-grub"), 1);
	fake_plan();
	fake_step(STEP_PACKAGE, "kernel", "linux-image-rt-amd64", "installed");
	assert_int_equal(execute(), 0);
	assert_int_equal(outcomes[0].result, STEP_UNCHANGED);
	drop();
}

static void failing_package_says_what_apt_said(void **state)
{
	(void)state;
	fake_write("/apt-fails", "");
	fake_step(STEP_PACKAGE, "kernel", "linux-image-rt-amd64", "installed");
	assert_int_equal(execute(), 1);
	assert_string_equal(outcomes[0].error.what,
			    "apt-get install linux-image-rt-amd64 failed (exit code 100): E: "
			    "Sub-process /usr/bin/dpkg returned an error code (1)");
	drop();
}

static void damaged_originals_stop_everything(void **state)
{
	_cleanup_error_ struct error e = { 0 };

	(void)state;
	fake_write("/var/lib/latencyd/originals.json", "{\"version\": 1, \"orig");
	fake_write(FAKE_WATCHDOG, "1\n");
	fake_step(STEP_KERNEL_FILE, "watchdogs", FAKE_WATCHDOG, "0");
	assert_int_equal(plan_execute(fake_plan_now(), NULL, NULL, NULL, &outcomes, &e), -EBADMSG);
	assert_non_null(strstr(e.what, "originals.json is damaged"));
	fake_expect(FAKE_WATCHDOG, "1\n");
	fake_expect("/var/lib/latencyd/originals.json", "{\"version\": 1, \"orig");
}

static void guests_thread_is_set_and_no_original_kept(void **state)
{
	struct step *s;

	(void)state;
	thread(30, "CPU 0/TCG");
	s = thread_step(30, "CPU 0/TCG");
	s->transient = true;
	assert_int_equal(execute(), 0);
	assert_int_equal(outcomes[0].result, STEP_DONE);
	drop();
	assert_int_equal(originals_exist(NULL), 0);
}

static void guests_thread_outside_of_its_cpus_is_no_bound_thread(void **state)
{
	struct step *s;

	(void)state;
	thread(31, "CPU 0/TCG");
	s = fake_step(STEP_THREAD, "guest_vcpus", "guest a vCPU 0", "2");
	s->number = 31;
	s->name = "CPU 0/TCG";
	s->set_affinity = s->transient = true;
	fake_fault("affinity", EINVAL, 1);
	(void)execute();
	assert_int_equal(outcomes[0].error.code, -EINVAL);
	assert_non_null(strstr(outcomes[0].error.what, "may not run on CPUs 2"));
	drop();
}

static unsigned n_guest_steps;

static int fake_guests(const struct step *s, struct error *e)
{
	n_guest_steps++;
	switch (s->kind) {
	case STEP_FORWARD:
		return 0;
	case STEP_GUEST_LAUNCH:
		return error_set(e, -EIO, "QEMU said no");
	default:
		return 1;
	}
}

static void guests_steps_go_to_who_knows_guests(void **state)
{
	static const struct {
		enum step_kind kind;
		enum step_result result;
	} expected[] = {
		{ STEP_FORWARD, STEP_UNCHANGED },
		{ STEP_GUEST_STOP, STEP_DONE },
		{ STEP_GUEST_LAUNCH, STEP_FAILED }, /* never "refused": no kernel spoke */
		{ STEP_GUEST_DOCUMENT, STEP_DONE },
	};
	_cleanup_error_ struct error e = { 0 };

	(void)state;
	n_guest_steps = 0;
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++)
		fake_step(expected[i].kind, NULL, "a", NULL);
	assert_int_equal(plan_execute(fake_plan_now(), fake_guests, NULL, NULL, &outcomes, &e), 1);
	n_outcomes = ARRAY_SIZE(expected);
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++)
		assert_int_equal(outcomes[i].result, expected[i].result);
	assert_string_equal(outcomes[2].error.what, "QEMU said no");
	assert_int_equal(n_guest_steps, ARRAY_SIZE(expected));
	drop();
	/* and without it they are left alone */
	assert_int_equal(execute(), 0);
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++)
		assert_int_equal(outcomes[i].result, STEP_SKIPPED);
	drop();
}

static size_t before_calls, after_calls;

static void count(const struct step *s, size_t i, size_t n, const struct outcome *o, void *userdata)
{
	assert_ptr_equal(s, &fake_plan_now()->steps[i]);
	assert_int_equal(n, 2);
	assert_ptr_equal(userdata, &before_calls);
	if (o)
		after_calls++;
	else
		before_calls++;
}

static void progress_is_told_before_and_after(void **state)
{
	(void)state;
	fake_write(FAKE_WATCHDOG, "1\n");
	fake_step(STEP_KERNEL_FILE, "watchdogs", FAKE_WATCHDOG, "0");
	fake_step(STEP_REBOOT, NULL, "this machine", NULL);
	before_calls = after_calls = 0;
	assert_int_equal(plan_execute(fake_plan_now(), NULL, count, &before_calls, &outcomes, NULL),
			 0);
	assert_int_equal(before_calls, 2);
	assert_int_equal(after_calls, 2);
	assert_int_equal(outcomes[1].result, STEP_SKIPPED);
	outcomes_free(outcomes, 2);
}

static void second_lock_is_refused_with_the_holders_pid(void **state)
{
	_cleanup_error_ struct error e = { 0 };
	_cleanup_free_ char *expected = NULL;
	int first, second;

	(void)state;
	first = machine_lock(&e);
	assert_true(first >= 0);
	assert_int_equal(machine_lock(&e), -EBUSY);
	assert_true(asprintf(&expected,
			     "another latencyd program (pid %d) is changing this machine",
			     getpid()) > 0);
	assert_string_equal(e.what, expected);
	close(first);
	second = machine_lock(&e);
	assert_true(second >= 0);
	close(second);
}

static void lock_of_a_dead_holders_child_is_waited_for(void **state)
{
	int fd;

	(void)state;
	/* as after kill -9: the file names a pid that is gone, a child still holds the lock */
	fd = machine_lock(NULL);
	assert_true(fd >= 0);
	fake_write("/run/latencyd/lock", "999999999\n");
	if (fork() == 0) {
		usleep(300 * 1000);
		_exit(0);
	}
	close(fd);
	fd = machine_lock(NULL);
	assert_true(fd >= 0);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(kernel_file_is_written_and_its_original_kept),
		TEST(second_run_changes_no_byte),
		TEST(managed_irq_is_refused_by_name_and_the_rest_goes_on),
		TEST(timer_irq_is_not_called_managed),
		TEST(irq_without_vectors_left_is_capacity),
		TEST(irq_whose_effective_cpus_already_fit_is_left_alone_when_asked_for),
		TEST(success_drops_the_record_of_a_refusal),
		TEST(short_huge_page_allocation_says_how_many),
		TEST(mount_is_not_stacked_on_another_kind),
		TEST(mount_that_is_there_is_unchanged),
		TEST(thread_of_another_name_is_not_touched),
		TEST(bound_thread_is_refused),
		TEST(package_is_installed_with_its_new_dependencies_kept),
		TEST(failing_package_says_what_apt_said),
		TEST(damaged_originals_stop_everything),
		TEST(guests_thread_is_set_and_no_original_kept),
		TEST(guests_thread_outside_of_its_cpus_is_no_bound_thread),
		TEST(guests_steps_go_to_who_knows_guests),
		TEST(progress_is_told_before_and_after),
		TEST(second_lock_is_refused_with_the_holders_pid),
		TEST(lock_of_a_dead_holders_child_is_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* revert_all() and revert_resume(): back to the stock machine, byte for byte, through the reboot.
 */
#include "fake_machine.h"

#include <errno.h>

#include "actuators/execute.h"
#include "actuators/grub_files.h"
#include "actuators/root.h"

#define TEST(fn)  cmocka_unit_test_setup_teardown(fn, fake_setup, fake_teardown)
#define ORIGINALS "/var/lib/latencyd/originals.json"

static void execute(void)
{
	_cleanup_error_ struct error e = { 0 };
	struct outcome *outcomes;
	size_t n = fake_plan_now()->n_steps;
	int r = plan_execute(fake_plan_now(), NULL, NULL, NULL, &outcomes, &e);

	for (size_t i = 0; r > 0 && i < n; i++)
		if (outcomes[i].error.what)
			print_message("%s\n", outcomes[i].error.what);
	assert_int_equal(r, 0);
	outcomes_free(outcomes, n);
}

static int revert(const char *setting)
{
	_cleanup_error_ struct error e = { 0 };
	int r = revert_all(setting, NULL, NULL, &e);

	if (r < 0)
		print_message("%s\n", e.what ? e.what : "no text");
	return r;
}

static void runtime_files(void)
{
	fake_write(FAKE_WATCHDOG, "1\n");
	fake_write(FAKE_THROTTLING, "950000\n");
	fake_write(FAKE_PAGES, "0\n");
	fake_write("/proc/irq/24/smp_affinity_list", "0-3\n");
	fake_write("/proc/irq/24/effective_affinity_list", "3\n");
	fake_write("/proc/irq/24/eth0/.keep", "");
	fake_thread(30, "ksoftirqd/3", 0, 0);
}

static void plan_runtime(void)
{
	fake_runtime_steps();
}

static void plan_boot(void)
{
	fake_arg("cpu_isolation", "isolcpus", "managed_irq,domain,2-3");
	fake_arg("tick_offload", "nohz_full", "2-3");
}

static void runtime_values_and_boot_files_are_as_before(void **state)
{
	_cleanup_free_ char *before = NULL, *after = NULL;

	(void)state;
	runtime_files();
	fake_write("/proc/irq/24/effective_affinity_list", "0-3"); /* as the fake's write has it */
	before = fake_snapshot();
	plan_runtime();
	plan_boot();
	execute();
	fake_expect(FAKE_WATCHDOG, "0\n");
	assert_int_equal(originals_exist(NULL), 1);
	/* not booted with our arguments yet: nothing is left for a reboot */
	assert_int_equal(revert(NULL), 0);
	after = fake_snapshot();
	assert_string_equal(after, before);
	assert_int_equal(originals_exist(NULL), 0);
}

static void reboot_is_asked_for_when_booted_with_our_arguments(void **state)
{
	(void)state;
	plan_boot();
	execute();
	fake_boot(FAKE_KERNEL);
	assert_int_equal(revert(NULL), 1);
	assert_int_equal(originals_exist(NULL), 0);
	fake_expect(BOOT_DROP_IN, NULL);
	assert_int_equal(revert_resume(NULL), 0);
}

static void install_kernel(void)
{
	fake_step(STEP_PACKAGE, "kernel", "linux-image-rt-amd64", "installed");
	execute();
	fake_plan();
	plan_boot();
	fake_plan_now()->boot.default_entry = FAKE_RT_ENTRY;
	fake_step(STEP_BOOT_DEFAULT, "kernel", "GRUB_DEFAULT", FAKE_RT_ENTRY);
	execute();
}

static void kernel_that_runs_is_purged_after_the_reboot(void **state)
{
	_cleanup_free_ char *grub = fake_read("/boot/grub/grub.cfg"), *status = NULL;
	_cleanup_grub_ struct grub_config config = { 0 };
	const struct grub_entry *next;
	bool reverting;

	(void)state;
	status = fake_read("/var/lib/dpkg/status");
	install_kernel();
	fake_boot(FAKE_RT_KERNEL);
	assert_int_equal(revert(NULL), 1);
	assert_int_equal(originals_exist(&reverting), 1);
	assert_true(reverting);
	assert_int_equal(fake_count("apt-get purge"), 0);
	assert_int_equal(grub_load(&config, NULL), 0);
	next = grub_next(&config, NULL);
	assert_string_equal(next->path, FAKE_ENTRY);
	assert_null(strstr(next->cmdline, "isolcpus"));
	/* the daemon before the reboot: still waiting, and nothing is rendered again */
	assert_int_equal(revert_resume(NULL), 1);
	assert_int_equal(fake_count("update-grub"), 3);
	fake_boot(FAKE_KERNEL);
	assert_int_equal(revert_resume(NULL), 0);
	assert_int_equal(fake_count("apt-get purge"), 1);
	fake_expect("/boot/vmlinuz-" FAKE_RT_KERNEL, NULL);
	fake_expect("/boot/grub/grub.cfg", grub);
	fake_expect("/var/lib/dpkg/status", status);
	fake_expect(BOOT_DROP_IN, NULL);
	fake_expect(ORIGINALS, NULL);
	assert_int_equal(revert_resume(NULL), 0);
}

static void kernel_that_does_not_run_is_purged_at_once(void **state)
{
	_cleanup_free_ char *grub = fake_read("/boot/grub/grub.cfg");

	(void)state;
	install_kernel();
	assert_int_equal(revert(NULL), 0);
	assert_int_equal(fake_count("apt-get purge"), 1);
	fake_expect("/boot/grub/grub.cfg", grub);
	fake_expect(ORIGINALS, NULL);
}

/* An edited grub.cfg is no rendering of anything: its bytes are the original all the same. */
static void stock_bytes_come_back_when_the_meaning_is_the_same(void **state)
{
	_cleanup_free_ char *text = fake_read("/boot/grub/grub.cfg"), *edited = NULL;

	(void)state;
	assert_true(asprintf(&edited, "# made by the installer\n%s", text) > 0);
	fake_write("/boot/grub/grub.cfg", edited);
	plan_boot();
	execute();
	assert_int_equal(revert(NULL), 0);
	fake_expect("/boot/grub/grub.cfg", edited);
}

static void change_of_the_administrator_since_is_kept(void **state)
{
	_cleanup_free_ char *text = NULL;

	(void)state;
	plan_boot();
	execute();
	fake_write("/etc/default/grub.d/init.cfg", "GRUB_CMDLINE_LINUX=\"audit=0\"\n");
	assert_int_equal(revert(NULL), 0);
	text = fake_read("/boot/grub/grub.cfg");
	assert_non_null(strstr(text, "audit=0"));
	assert_null(strstr(text, "isolcpus"));
}

static void drop_in_that_was_there_before_comes_back(void **state)
{
	(void)state;
	fake_write(BOOT_DROP_IN, "# of an older installation\n");
	plan_boot();
	execute();
	assert_int_equal(revert(NULL), 0);
	fake_expect(BOOT_DROP_IN, "# of an older installation\n");
}

static void one_setting_is_reverted_and_the_others_stay(void **state)
{
	_cleanup_free_ char *text = NULL;

	(void)state;
	runtime_files();
	plan_runtime();
	plan_boot();
	execute();
	assert_int_equal(revert("watchdogs"), 0);
	fake_expect(FAKE_WATCHDOG, "1\n");
	fake_expect(FAKE_THROTTLING, "-1\n");
	assert_int_equal(revert("tick_offload"), 0);
	text = fake_read("/boot/grub/grub.cfg");
	assert_null(strstr(text, "nohz_full"));
	assert_non_null(strstr(text, "isolcpus=managed_irq,domain,2-3"));
	assert_int_equal(originals_exist(NULL), 1);
	assert_int_equal(revert("cpu_isolation"), 0);
	fake_expect(BOOT_DROP_IN, NULL);
}

static void last_setting_takes_the_originals_with_it(void **state)
{
	(void)state;
	plan_boot();
	execute();
	assert_int_equal(revert("tick_offload"), 0);
	assert_int_equal(originals_exist(NULL), 1);
	assert_int_equal(revert("cpu_isolation"), 0);
	assert_int_equal(originals_exist(NULL), 0);
}

static void kernel_setting_alone_gives_the_default_entry_back(void **state)
{
	_cleanup_grub_ struct grub_config config = { 0 };
	const struct grub_entry *next;

	(void)state;
	install_kernel();
	fake_boot(FAKE_RT_KERNEL);
	assert_int_equal(revert("kernel"), 1);
	assert_int_equal(grub_load(&config, NULL), 0);
	next = grub_next(&config, NULL);
	assert_string_equal(next->path, FAKE_ENTRY);
	/* the other settings' arguments stay, and so does the kernel that runs */
	assert_non_null(strstr(next->cmdline, "nohz_full=2-3"));
	assert_int_equal(fake_count("apt-get purge"), 0);
	fake_boot(FAKE_KERNEL);
	assert_int_equal(revert("kernel"), 0);
	assert_int_equal(fake_count("apt-get purge"), 1);
	fake_expect("/boot/vmlinuz-" FAKE_RT_KERNEL, NULL);
	assert_int_equal(revert(NULL), 1);
	fake_expect(BOOT_DROP_IN, NULL);
}

static size_t shown, finished;

static void show(const struct step *s, size_t i, size_t n, const struct outcome *o, void *userdata)
{
	(void)userdata;
	assert_true(i < n);
	assert_non_null(s->target);
	assert_non_null(s->name);
	if (o)
		finished++;
	else
		assert_int_equal(shown++, i);
}

static void every_restored_thing_is_shown(void **state)
{
	(void)state;
	runtime_files();
	plan_runtime();
	plan_boot();
	execute();
	shown = finished = 0;
	assert_int_equal(revert_all(NULL, show, NULL, NULL), 0);
	assert_int_equal(shown, 7); /* six values and the boot files */
	assert_int_equal(finished, 7);
}

static void unknown_setting_is_refused(void **state)
{
	(void)state;
	assert_int_equal(revert("tick_ofload"), -EINVAL);
}

static void nothing_to_revert_is_done(void **state)
{
	(void)state;
	assert_int_equal(revert(NULL), 0);
	assert_int_equal(revert("watchdogs"), 0);
	assert_int_equal(revert_resume(NULL), 0);
}

static void failing_restore_keeps_its_original_and_goes_on(void **state)
{
	_cleanup_error_ struct error e = { 0 };

	(void)state;
	runtime_files();
	plan_runtime();
	execute();
	fake_fault(FAKE_WATCHDOG, EIO, 2);
	assert_int_equal(revert_all(NULL, NULL, NULL, &e), -EIO);
	assert_non_null(strstr(e.what, FAKE_WATCHDOG));
	fake_expect(FAKE_THROTTLING, "950000\n");
	fake_expect(FAKE_WATCHDOG, "0\n");
	/* the revert is marked: the daemon's next start finishes it */
	assert_int_equal(revert_resume(NULL), 0);
	fake_expect(FAKE_WATCHDOG, "1\n");
	assert_int_equal(originals_exist(NULL), 0);
}

static void irq_of_another_name_after_a_boot_is_left_alone(void **state)
{
	_cleanup_free_ char *have = NULL, *want = NULL;

	(void)state;
	runtime_files();
	plan_runtime();
	execute();
	fake_write("/proc/sys/kernel/random/boot_id", "another\n");
	fake_remove("/proc/irq/24/eth0/.keep");
	assert_int_equal(root_rmdir("/proc/irq/24/eth0"), 0);
	fake_write("/proc/irq/24/nvme0q1/.keep", "");
	fake_thread(30, "bash", 1, 7);
	fake_thread(44, "ksoftirqd/3", 1, 2);
	assert_int_equal(revert(NULL), 0);
	fake_expect("/proc/irq/24/smp_affinity_list", "0-1\n");
	/* the thread is found by name */
	have = fake_read("/proc/44/stat");
	fake_thread(44, "ksoftirqd/3", 0, 0);
	want = fake_read("/proc/44/stat");
	assert_string_equal(have, want);
}

static void apply_after_a_pending_revert_takes_it_back(void **state)
{
	bool reverting;

	(void)state;
	install_kernel();
	fake_boot(FAKE_RT_KERNEL);
	assert_int_equal(revert(NULL), 1);
	execute();
	assert_int_equal(originals_exist(&reverting), 1);
	assert_false(reverting);
	assert_int_equal(revert_resume(NULL), 0);
	fake_expect("/boot/vmlinuz-" FAKE_RT_KERNEL, "");
}

static void original_kernel_that_is_gone_is_told(void **state)
{
	_cleanup_error_ struct error e = { 0 };

	(void)state;
	install_kernel();
	fake_boot(FAKE_RT_KERNEL);
	fake_remove("/boot/vmlinuz-" FAKE_KERNEL);
	assert_int_equal(grub_update(NULL), 0);
	assert_int_equal(revert_all(NULL, NULL, NULL, &e), -ENOENT);
	assert_non_null(strstr(e.what, "the kernel " FAKE_KERNEL ", which ran before"));
	fake_expect("/boot/vmlinuz-" FAKE_RT_KERNEL, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(runtime_values_and_boot_files_are_as_before),
		TEST(reboot_is_asked_for_when_booted_with_our_arguments),
		TEST(kernel_that_runs_is_purged_after_the_reboot),
		TEST(kernel_that_does_not_run_is_purged_at_once),
		TEST(stock_bytes_come_back_when_the_meaning_is_the_same),
		TEST(change_of_the_administrator_since_is_kept),
		TEST(drop_in_that_was_there_before_comes_back),
		TEST(one_setting_is_reverted_and_the_others_stay),
		TEST(last_setting_takes_the_originals_with_it),
		TEST(kernel_setting_alone_gives_the_default_entry_back),
		TEST(every_restored_thing_is_shown),
		TEST(unknown_setting_is_refused),
		TEST(nothing_to_revert_is_done),
		TEST(failing_restore_keeps_its_original_and_goes_on),
		TEST(irq_of_another_name_after_a_boot_is_left_alone),
		TEST(apply_after_a_pending_revert_takes_it_back),
		TEST(original_kernel_that_is_gone_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

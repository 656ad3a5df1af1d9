/*
 * The boot transaction against Debian's way of rendering grub.cfg: what an administrator may have
 * in his files, what update-grub may do, and being killed in between.
 */
#include "fake_machine.h"

#include <errno.h>

#include "actuators/execute.h"
#include "actuators/grub_files.h"
#include "actuators/root.h"

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fake_setup, fake_teardown)
#define GRUB_CFG "/boot/grub/grub.cfg"

static struct outcome *outcomes;
static size_t n_outcomes;

static int execute(void)
{
	_cleanup_error_ struct error e = { 0 };
	int r;

	n_outcomes = fake_plan_now()->n_steps;
	r = plan_execute(fake_plan_now(), NULL, NULL, NULL, &outcomes, &e);
	if (r < 0)
		print_message("%s\n", e.what);
	return r;
}

static void drop(void)
{
	outcomes_free(outcomes, n_outcomes);
	outcomes = NULL;
}

/* The arguments of the entry that boots next; lives until the next call. */
static const char *next_cmdline(void)
{
	static char line[512];
	_cleanup_grub_ struct grub_config config = { 0 };
	const struct grub_entry *next;

	assert_int_equal(grub_load(&config, NULL), 0);
	next = grub_next(&config, NULL);
	assert_non_null(next);
	snprintf(line, sizeof(line), "%s", next->cmdline);
	return line;
}

static void plan_isolation(void)
{
	fake_plan();
	fake_arg("cpu_isolation", "isolcpus", "managed_irq,domain,2-3");
	fake_arg("tick_offload", "nohz_full", "2-3");
	fake_arg("rcu_offload", "rcu_nocb_poll", NULL);
}

static void arguments_reach_the_rendered_entry_once(void **state)
{
	(void)state;
	plan_isolation();
	assert_int_equal(execute(), 0);
	for (size_t i = 0; i < n_outcomes; i++)
		assert_int_equal(outcomes[i].result, STEP_DONE);
	drop();
	assert_string_equal(next_cmdline(), "root=UUID=" FAKE_UUID " ro quiet "
					    "isolcpus=managed_irq,domain,2-3 nohz_full=2-3 "
					    "rcu_nocb_poll");
	assert_int_equal(fake_count("update-grub"), 1);
}

static void removing_a_setting_removes_its_token(void **state)
{
	(void)state;
	plan_isolation();
	assert_int_equal(execute(), 0);
	drop();
	fake_plan();
	assert_int_equal(boot_intent_add(&fake_plan_now()->arena, &fake_plan_now()->boot, NULL,
					 "nohz_full", "2-3"),
			 0);
	fake_step(STEP_BOOT_ARG, NULL, "isolcpus", NULL);
	fake_step(STEP_BOOT_ARG, NULL, "rcu_nocb_poll", NULL);
	assert_int_equal(execute(), 0);
	drop();
	assert_string_equal(next_cmdline(), "root=UUID=" FAKE_UUID " ro quiet nohz_full=2-3");
	fake_plan();
	fake_step(STEP_BOOT_ARG, NULL, "nohz_full", NULL);
	assert_int_equal(execute(), 0);
	drop();
	fake_expect("/etc/default/grub.d/zz-latencyd.cfg", NULL);
	assert_string_equal(next_cmdline(), "root=UUID=" FAKE_UUID " ro quiet");
}

static void default_entry_is_the_one_intended(void **state)
{
	(void)state;
	fake_write("/boot/vmlinuz-" FAKE_RT_KERNEL, "");
	assert_int_equal(grub_update(NULL), 0);
	fake_plan()->boot.default_entry = FAKE_ENTRY;
	fake_step(STEP_BOOT_DEFAULT, "kernel", "GRUB_DEFAULT", FAKE_ENTRY);
	assert_int_equal(execute(), 0);
	assert_int_equal(outcomes[0].result, STEP_DONE);
	drop();
	fake_plan()->boot.default_entry = "gnulinux-none";
	fake_step(STEP_BOOT_DEFAULT, "kernel", "GRUB_DEFAULT", "gnulinux-none");
	assert_int_equal(execute(), 1);
	assert_string_equal(outcomes[0].error.what,
			    "the next boot takes the entry \"gnulinux-simple-" FAKE_UUID
			    "\", not \"gnulinux-none\"");
	drop();
	/* rolled back to what the first transaction made */
	fake_expect("/etc/default/grub.d/zz-latencyd.cfg",
		    "# Written by latencyd from its document. \"latencyctl apply\" changes this "
		    "file,\n# \"latencyctl revert\" removes it; edits are lost.\n"
		    "GRUB_DEFAULT='" FAKE_ENTRY "'\n");
}

static void key_that_is_doubled_is_refused_and_rolled_back(void **state)
{
	_cleanup_free_ char *before = fake_read(GRUB_CFG);

	(void)state;
	fake_write("/etc/default/grub.d/admin.cfg",
		   "GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX isolcpus=1\"\n");
	assert_int_equal(grub_update(NULL), 0);
	free(before);
	before = fake_read(GRUB_CFG);
	plan_isolation();
	assert_int_equal(execute(), 1);
	assert_int_equal(outcomes[0].result, STEP_FAILED);
	assert_string_equal(outcomes[0].error.todo,
			    "/etc/default/grub.d/admin.cfg sets isolcpus too: take it out there, "
			    "so that it has one owner");
	assert_int_equal(outcomes[1].result, STEP_SKIPPED);
	assert_int_equal(outcomes[2].result, STEP_SKIPPED);
	drop();
	fake_expect("/etc/default/grub.d/zz-latencyd.cfg", NULL);
	fake_expect(GRUB_CFG, before);
}

static void comment_and_longer_key_are_not_the_key(void **state)
{
	(void)state;
	fake_write("/etc/default/grub", "# idle=poll, isolcpus=7 as a comment: idle\n"
					"GRUB_CMDLINE_LINUX_DEFAULT=\"quiet iommu.strict=0\"\n"
					"GRUB_CMDLINE_LINUX='audit=0'\n");
	fake_plan();
	fake_arg("iommu", "iommu", "pt");
	fake_arg("idle", "idle", "poll");
	assert_int_equal(execute(), 0);
	drop();
	assert_string_equal(next_cmdline(), "root=UUID=" FAKE_UUID " ro audit=0 quiet "
					    "iommu.strict=0 iommu=pt idle=poll");
}

static void later_drop_in_that_overwrites_is_named_before_anything_is_written(void **state)
{
	(void)state;
	fake_write("/etc/default/grub.d/zzz-site.cfg", "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\n");
	plan_isolation();
	assert_int_equal(execute(), 1);
	assert_string_equal(outcomes[0].error.what,
			    "/etc/default/grub.d/zzz-site.cfg is sourced after " BOOT_DROP_IN
			    " and sets GRUB_CMDLINE_LINUX_DEFAULT anew");
	drop();
	fake_expect("/etc/default/grub.d/zz-latencyd.cfg", NULL);
	assert_int_equal(fake_count("update-grub"), 0);
	/* one that adds is fine */
	fake_write("/etc/default/grub.d/zzz-site.cfg",
		   "GRUB_CMDLINE_LINUX_DEFAULT=\"${GRUB_CMDLINE_LINUX_DEFAULT} audit=0\"\n");
	assert_int_equal(execute(), 0);
	drop();
	assert_non_null(strstr(next_cmdline(), "isolcpus=managed_irq,domain,2-3"));
	assert_non_null(strstr(next_cmdline(), "audit=0"));
}

static void failing_update_grub_is_rolled_back_and_told(void **state)
{
	(void)state;
	fake_write("/grub-fails", "");
	plan_isolation();
	assert_int_equal(execute(), 1);
	assert_non_null(strstr(outcomes[0].error.what,
			       "/usr/sbin/update-grub failed (exit code 1): grub-probe: error: no "
			       "such disk."));
	drop();
	fake_expect("/etc/default/grub.d/zz-latencyd.cfg", NULL);
}

static void one_time_entry_of_grub_reboot_is_named(void **state)
{
	(void)state;
	fake_write("/boot/vmlinuz-" FAKE_RT_KERNEL, "");
	assert_int_equal(grub_update(NULL), 0);
	fake_write("/boot/grub/grubenv",
		   "# GRUB Environment Block\nnext_entry=" FAKE_ENTRY "\n####\n");
	fake_plan()->boot.default_entry = FAKE_RT_ENTRY;
	fake_step(STEP_BOOT_DEFAULT, "kernel", "GRUB_DEFAULT", FAKE_RT_ENTRY);
	assert_int_equal(execute(), 1);
	assert_non_null(strstr(outcomes[0].error.todo, "/boot/grub/grubenv has next_entry="));
	drop();
}

/* kill -9 after the rename and before update-grub. */
static void drop_in_that_was_not_rendered_is_rendered_by_the_next_run(void **state)
{
	struct arena arena = { 0 };
	char *text;

	(void)state;
	plan_isolation();
	text = boot_drop_in_render(&arena, &fake_plan_now()->boot);
	assert_int_equal(grub_write_drop_in(text, NULL), 1);
	arena_free(&arena);
	assert_int_equal(execute(), 0);
	assert_int_equal(outcomes[0].result, STEP_DONE);
	drop();
	assert_int_equal(fake_count("update-grub"), 1);
	assert_non_null(strstr(next_cmdline(), "nohz_full=2-3"));
}

/* kill -9 in the middle of update-grub's own write. */
static void truncated_grub_cfg_is_rendered_anew(void **state)
{
	(void)state;
	plan_isolation();
	assert_int_equal(execute(), 0);
	drop();
	fake_write(GRUB_CFG, "menuentry 'Debian GNU/Linux' {\n\tlinux /boot/vml");
	assert_int_equal(execute(), 0);
	assert_int_equal(outcomes[0].result, STEP_DONE);
	drop();
	assert_non_null(strstr(next_cmdline(), "nohz_full=2-3"));
}

static void repeated_pairs_are_compared_in_order(void **state)
{
	(void)state;
	fake_plan();
	fake_arg("hugepages", "hugepagesz", "1G");
	fake_arg("hugepages", "hugepages", "4");
	fake_arg("hugepages", "hugepagesz", "2M");
	fake_arg("hugepages", "hugepages", "512");
	assert_int_equal(execute(), 0);
	drop();
	assert_non_null(
		strstr(next_cmdline(), "hugepagesz=1G hugepages=4 hugepagesz=2M hugepages=512"));
	assert_int_equal(grub_check(&fake_plan_now()->boot, NULL, NULL), 0);
	fake_plan_now()->boot.args[1].value = "5";
	assert_int_equal(grub_check(&fake_plan_now()->boot, NULL, NULL), -EPROTO);
}

static void originals_are_on_disk_before_the_drop_in(void **state)
{
	_cleanup_free_ char *originals = NULL;

	(void)state;
	/* update-grub fails, but what was before is known */
	fake_write("/grub-fails", "");
	plan_isolation();
	assert_int_equal(execute(), 1);
	drop();
	originals = fake_read("/var/lib/latencyd/originals.json");
	assert_non_null(strstr(originals, "file|/boot/grub/grub.cfg|"));
	assert_non_null(strstr(originals, "file|" BOOT_DROP_IN "|"));
	assert_non_null(strstr(originals, "\"isolcpus\": \"cpu_isolation\""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(arguments_reach_the_rendered_entry_once),
		TEST(removing_a_setting_removes_its_token),
		TEST(default_entry_is_the_one_intended),
		TEST(key_that_is_doubled_is_refused_and_rolled_back),
		TEST(comment_and_longer_key_are_not_the_key),
		TEST(later_drop_in_that_overwrites_is_named_before_anything_is_written),
		TEST(failing_update_grub_is_rolled_back_and_told),
		TEST(one_time_entry_of_grub_reboot_is_named),
		TEST(drop_in_that_was_not_rendered_is_rendered_by_the_next_run),
		TEST(truncated_grub_cfg_is_rendered_anew),
		TEST(repeated_pairs_are_compared_in_order),
		TEST(originals_are_on_disk_before_the_drop_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

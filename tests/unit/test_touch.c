/* From a written path to settings, and from a drifted setting back to who wrote. */
#include "state/touch.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "state/rows.h"
#include "state/settings.h"

#define BIT(s) (UINT64_C(1) << setting_index(&(s)))

static const struct writer somebody = { .pid = 5, .comm = (char *)"sh" };

static void want(struct desired *d, const struct setting *s)
{
	d->values[setting_index(s)] = "managed";
}

static void a_path_touches_the_settings_that_read_it(void **state)
{
	struct desired d = { 0 };

	(void)state;
	want(&d, &setting_watchdogs);
	want(&d, &setting_irq_affinity);
	want(&d, &setting_hugepages);
	want(&d, &setting_rt_throttling);
	assert_int_equal(settings_touched(&d, "/proc/sys/kernel/soft_watchdog"),
			 BIT(setting_watchdogs));
	assert_int_equal(settings_touched(&d, "/proc/irq/24/smp_affinity_list"),
			 BIT(setting_irq_affinity));
	assert_int_equal(settings_touched(&d, "/proc/irq/default_smp_affinity"),
			 BIT(setting_irq_affinity));
	assert_int_equal(settings_touched(&d, "/proc/sys/vm/nr_hugepages"), BIT(setting_hugepages));
	assert_int_equal(settings_touched(&d, "/sys/devices/system/node/node1/hugepages/"
					      "hugepages-2048kB/nr_hugepages"),
			 BIT(setting_hugepages));
	assert_int_equal(settings_touched(&d, "/sys/kernel/debug/sched/fair_server/cpu12/runtime"),
			 BIT(setting_rt_throttling));
}

static void boot_files_touch_the_settings_with_boot_arguments(void **state)
{
	static const char *const files[] = { "/boot/grub/grub.cfg", "/boot/grub/grubenv",
					     "/etc/default/grub", "/etc/default/grub.d/99-x.cfg" };
	struct desired d = { 0 };

	(void)state;
	want(&d, &setting_watchdogs);
	want(&d, &setting_timer_migration);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		assert_int_equal(settings_touched(&d, files[i]), BIT(setting_watchdogs));
}

static void other_paths_touch_nothing(void **state)
{
	static const char *const paths[] = {
		"",
		"/",
		"relative",
		"/proc/sys/",
		"/proc/self/oom_score_adj",
		"/proc/irq/24/",
		"/proc/irq/24/spurious",
		"/proc/irq/x/smp_affinity",
		"/proc/irq//smp_affinity",
		"/proc/sys/kernel/watchdog_",
		"/proc/sys/kernel/hostname",
		"/etc/passwd",
		"/sys/kernel/debug/sched/features",
	};
	struct desired d = { 0 };

	(void)state;
	assert_int_equal(settings_touched(&d, "/proc/sys/kernel/watchdog"), 0);
	for (size_t i = 0; i < n_settings; i++)
		want(&d, settings[i]);
	assert_true(settings_touched(&d, "/proc/sys/kernel/watchdog"));
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		if (settings_touched(&d, paths[i]))
			fail_msg("\"%s\" touches something", paths[i]);
}

static void what_is_the_hosts_touches_no_guest(void **state)
{
	struct desired d = { .role = ROLE_GUEST };

	(void)state;
	want(&d, &setting_iommu);
	assert_true(setting_iommu.host_only);
	assert_int_equal(settings_touched(&d, "/etc/default/grub"), 0);
	d.role = ROLE_HOST;
	assert_int_equal(settings_touched(&d, "/etc/default/grub"), BIT(setting_iommu));
}

/* ---- memory ---- */

static void add(struct touches *t, const struct setting *s, const char *path, uint64_t at_us)
{
	assert_int_equal(touches_add(t, BIT(*s), path, &somebody, at_us), 0);
}

static void a_second_write_replaces_the_first(void **state)
{
	_cleanup_(touches_done) struct touches t = { 0 };

	(void)state;
	add(&t, &setting_watchdogs, "/a", 1);
	add(&t, &setting_watchdogs, "/b", 2);
	add(&t, &setting_watchdogs, "/a", 3);
	assert_int_equal(t.n, 2);
	assert_string_equal(t.list[0].path, "/b");
	assert_int_equal(t.list[1].at_us, 3);
	touches_forget(&t, 3);
	assert_int_equal(t.n, 1);
	assert_string_equal(t.list[0].path, "/a");
}

static void the_oldest_are_forgotten_when_there_are_too_many(void **state)
{
	_cleanup_(touches_done) struct touches t = { 0 };
	char path[16];

	(void)state;
	for (unsigned i = 0; i < TOUCHES_MAX + 10; i++) {
		(void)snprintf(path, sizeof(path), "/%u", i);
		add(&t, &setting_watchdogs, path, i);
	}
	assert_int_equal(t.n, TOUCHES_MAX);
	assert_string_equal(t.list[0].path, "/10");
}

/* ---- blame ---- */

static void who_wrote_another_interrupt_is_not_blamed(void **state)
{
	_cleanup_(touches_done) struct touches t = { 0 };
	struct verdict_item items[] = {
		{ .id = "24", .verdict = VERDICT_DRIFTED },
		{ .id = "30", .verdict = VERDICT_NOT_APPLICABLE },
	};
	struct evidence evidence[] = { { .path = "/proc/irq/24/effective_affinity_list" },
				       { .path = "/proc/irq/default_smp_affinity" } };
	const struct setting_verdict v = { .setting = &setting_irq_affinity,
					   .items = items,
					   .n_items = 2,
					   .evidence = evidence,
					   .n_evidence = 2 };

	(void)state;
	assert_null(touches_find(&t, &v));
	add(&t, v.setting, "/proc/irq/2/smp_affinity", 1);
	add(&t, v.setting, "/proc/irq/240/smp_affinity", 2);
	add(&t, v.setting, "/proc/irq/30/smp_affinity", 3);
	add(&t, v.setting, "/proc/irq/default_smp_affinity", 4);
	assert_null(touches_find(&t, &v));
	add(&t, v.setting, "/proc/irq/24/smp_affinity", 5);
	add(&t, v.setting, "/proc/irq/25/smp_affinity", 6);
	assert_non_null(touches_find(&t, &v));
	assert_string_equal(touches_find(&t, &v)->path, "/proc/irq/24/smp_affinity");
}

static void the_default_is_blamed_when_no_interrupt_is_elsewhere(void **state)
{
	_cleanup_(touches_done) struct touches t = { 0 };
	const struct setting_verdict v = { .setting = &setting_irq_affinity };

	(void)state;
	add(&t, v.setting, "/proc/irq/24/smp_affinity", 1);
	assert_null(touches_find(&t, &v));
	add(&t, v.setting, "/proc/irq/default_smp_affinity", 2);
	assert_non_null(touches_find(&t, &v));
}

#define NODE(n, size) "/sys/devices/system/node/node" n "/hugepages/hugepages-" size "/nr_hugepages"

static void a_pool_is_blamed_on_its_own_node_and_size(void **state)
{
	_cleanup_(touches_done) struct touches t = { 0 };
	struct verdict_item item = { .id = "node1", .name = "2M", .verdict = VERDICT_DRIFTED };
	const struct setting_verdict v = { .setting = &setting_hugepages,
					   .items = &item,
					   .n_items = 1 };

	(void)state;
	add(&t, v.setting, NODE("0", "2048kB"), 1);
	add(&t, v.setting, NODE("10", "2048kB"), 2);
	add(&t, v.setting, NODE("1", "1048576kB"), 3);
	assert_null(touches_find(&t, &v));
	add(&t, v.setting, NODE("1", "2048kB"), 4);
	assert_int_equal(touches_find(&t, &v)->at_us, 4);
	add(&t, v.setting, "/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages", 5);
	assert_int_equal(touches_find(&t, &v)->at_us, 4);
	add(&t, v.setting, "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", 6);
	assert_int_equal(touches_find(&t, &v)->at_us, 6);
	add(&t, v.setting, "/proc/sys/vm/nr_hugepages", 7);
	assert_int_equal(touches_find(&t, &v)->at_us, 7);
	touches_done(&t);
	item.id = "all nodes";
	add(&t, v.setting, NODE("3", "2048kB"), 8);
	assert_non_null(touches_find(&t, &v));
}

static void a_write_to_another_setting_explains_nothing(void **state)
{
	_cleanup_(touches_done) struct touches t = { 0 };
	const struct setting_verdict v = { .setting = &setting_timer_migration };

	(void)state;
	add(&t, &setting_watchdogs, "/proc/sys/kernel/watchdog", 1);
	assert_null(touches_find(&t, &v));
}

static void a_numbered_file_is_blamed_by_the_evidences_folder(void **state)
{
	_cleanup_(touches_done) struct touches t = { 0 };
	struct evidence evidence = { .path = "/sys/kernel/debug/sched/fair_server/cpu1/runtime" };
	const struct setting_verdict v = { .setting = &setting_rt_throttling,
					   .evidence = &evidence,
					   .n_evidence = 1 };

	(void)state;
	add(&t, v.setting, "/sys/kernel/debug/sched/fair_server/cpu12/runtime", 1);
	assert_null(touches_find(&t, &v));
	add(&t, v.setting, evidence.path, 2);
	assert_non_null(touches_find(&t, &v));
}

/* A setting may be wrong now because of one write, and in the next boot because of another. */
static void a_boot_file_is_blamed_for_the_next_boot_only(void **state)
{
	_cleanup_(touches_done) struct touches t = { 0 };
	struct evidence evidence[] = { { .path = "/proc/sys/kernel/watchdog" },
				       { .path = "/boot/grub/grub.cfg" } };
	struct setting_verdict v = { .setting = &setting_watchdogs,
				     .evidence = evidence,
				     .n_evidence = 1 };

	(void)state;
	add(&t, v.setting, "/etc/default/grub", 2);
	assert_null(touches_find(&t, &v));
	v.n_evidence = 2;
	assert_int_equal(touches_find(&t, &v)->at_us, 2);
	v.n_evidence = 1;
	add(&t, v.setting, "/proc/sys/kernel/watchdog", 1);
	assert_int_equal(touches_find(&t, &v)->at_us, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_path_touches_the_settings_that_read_it),
		cmocka_unit_test(boot_files_touch_the_settings_with_boot_arguments),
		cmocka_unit_test(other_paths_touch_nothing),
		cmocka_unit_test(what_is_the_hosts_touches_no_guest),
		cmocka_unit_test(a_second_write_replaces_the_first),
		cmocka_unit_test(the_oldest_are_forgotten_when_there_are_too_many),
		cmocka_unit_test(who_wrote_another_interrupt_is_not_blamed),
		cmocka_unit_test(the_default_is_blamed_when_no_interrupt_is_elsewhere),
		cmocka_unit_test(a_pool_is_blamed_on_its_own_node_and_size),
		cmocka_unit_test(a_write_to_another_setting_explains_nothing),
		cmocka_unit_test(a_numbered_file_is_blamed_by_the_evidences_folder),
		cmocka_unit_test(a_boot_file_is_blamed_for_the_next_boot_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The fingerprint: what is read where, which differences change which hash. */
#include "measure_tmp.h"

#include "measure/fingerprint.h"

#define KNOWN(value)                                                 \
	{                                                            \
		.state = FACT_KNOWN, .path = "test", .text = (value) \
	}

static const char cpuinfo[] = "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\n"
			      "model\t\t: 85\nmodel name\t: Some CPU @ 2.10GHz\nstepping\t: 4\n"
			      "microcode\t: 0x2007006\nflags\t\t: fpu tsc";

struct machine {
	char *folder;
	struct sysroot root;
	struct desired d;
	struct observed o;
	struct fingerprint_test test;
};

static int setup(void **state)
{
	struct machine *m = calloc(1, sizeof(*m));

	assert_non_null(m);
	m->folder = tmp_make();
	tmp_put(m->folder, "/proc/sys/kernel/sched_rt_runtime_us", "-1\n");
	tmp_put(m->folder, "/sys/devices/system/clocksource/clocksource0/current_clocksource",
		"tsc\n");
	tmp_put(m->folder, "/sys/devices/system/cpu/nohz_full", "2-3\n");
	tmp_put(m->folder, "/sys/kernel/mm/transparent_hugepage/enabled",
		"always [madvise] never\n");
	tmp_put(m->folder, "/sys/class/dmi/id/product_name", "Box \xff\n");
	tmp_put(m->folder, "/var/lib/dpkg/status",
		"Package: rt-tests-doc\nStatus: install ok installed\nVersion: 9\n\n"
		"Package: rt-tests\nStatus: install ok installed\nVersion: 2.4-1\nDepends: x\n");
	assert_int_equal(sysroot_open(m->folder, &m->root, NULL), 0);
	m->d.digest = strdup("0123456789abcdef");
	assert_int_equal(cpuset_parse_list("2-3", 4, &m->d.isolated), 0);
	m->o = (struct observed){
		.kernel_release = KNOWN("6.1.0-56-rt-amd64"),
		.kernel_version = KNOWN("#1 SMP PREEMPT_RT"),
		.cmdline = KNOWN("isolcpus=2-3"),
		.boot_id = KNOWN("aaaa"),
		.cpu_possible = KNOWN("0-3"),
		.cpu_isolated = KNOWN("2-3"),
		.cpuinfo = KNOWN(cpuinfo),
		.n_cpus = 4,
	};
	m->test = (struct fingerprint_test){
		.latencyd_version = "1", .profile = "smoke", .interval_us = 200, .duration_s = 10
	};
	*state = m;
	return 0;
}

static int teardown(void **state)
{
	struct machine *m = *state;

	sysroot_close(&m->root);
	cpuset_done(&m->d.isolated);
	free(m->d.digest);
	tmp_remove(m->folder);
	free(m);
	return 0;
}

static json_t *make(struct machine *m)
{
	json_t *fp = NULL;

	assert_int_equal(fingerprint_make(&m->root, &m->d, &m->o, &m->test, &fp), 0);
	return fp;
}

static const char *value(const json_t *fp, const char *group, const char *key)
{
	return json_string_value(json_object_get(json_object_get(fp, group), key));
}

/* Which of the hashes of @before the machine of now has: 1 comparable, 2 full. */
static int same_hashes(const json_t *before, struct machine *m)
{
	json_t *now = make(m);
	int same = 0;

	if (json_equal(json_object_get(before, "comparable"), json_object_get(now, "comparable")))
		same |= 1;
	if (json_equal(json_object_get(before, "full"), json_object_get(now, "full")))
		same |= 2;
	assert_int_equal(fingerprint_equal(before, now), !!(same & 2));
	json_decref(now);
	return same;
}

static void facts_come_from_their_files(void **state)
{
	json_t *fp = make(*state);

	assert_string_equal(value(fp, "hardware", "cpu_model"), "Some CPU @ 2.10GHz");
	assert_string_equal(value(fp, "hardware", "cpu_model_number"), "85");
	assert_string_equal(value(fp, "firmware", "microcode"), "0x2007006");
	assert_string_equal(value(fp, "kernel", "release"), "6.1.0-56-rt-amd64");
	assert_string_equal(value(fp, "kernel", "clocksource"), "tsc");
	assert_string_equal(value(fp, "kernel", "sched_rt_runtime_us"), "-1");
	assert_string_equal(value(fp, "isolation", "nohz_full"), "2-3");
	assert_string_equal(value(fp, "software", "rt-tests"), "2.4-1");
	assert_string_equal(value(fp, "software", "document"), "0123456789abcdef");
	assert_string_equal(value(fp, "test", "cpus"), "2-3");
	assert_int_equal(strlen(json_string_value(json_object_get(fp, "full"))), 16);
	json_decref(fp);
}

static void what_cannot_be_read_is_null_and_bad_bytes_are_kept_out(void **state)
{
	json_t *fp = make(*state);

	assert_true(json_is_null(json_object_get(json_object_get(fp, "firmware"), "bios_version")));
	assert_true(json_is_null(
		json_object_get(json_object_get(fp, "isolation"), "irqs_on_isolated")));
	assert_string_equal(value(fp, "hardware", "system_product"), "Box ?");
	json_decref(fp);
}

static void same_machine_has_the_same_hashes_after_a_reboot(void **state)
{
	struct machine *m = *state;
	json_t *fp = make(m);

	assert_int_equal(same_hashes(fp, m), 3);
	m->o.boot_id.text = "bbbb";
	assert_int_equal(same_hashes(fp, m), 3);
	json_decref(fp);
}

static void software_changes_only_the_full_hash(void **state)
{
	struct machine *m = *state;
	json_t *fp = make(m);

	m->o.cmdline.text = "isolcpus=2-3 quiet";
	assert_int_equal(same_hashes(fp, m), 1);
	m->o.cmdline.text = "isolcpus=2-3";
	tmp_put(m->folder, "/sys/devices/system/clocksource/clocksource0/current_clocksource",
		"hpet\n");
	assert_int_equal(same_hashes(fp, m), 1);
	tmp_put(m->folder, "/sys/devices/system/clocksource/clocksource0/current_clocksource",
		"tsc\n");
	assert_int_equal(same_hashes(fp, m), 3);
	m->d.digest[0] = 'f';
	assert_int_equal(same_hashes(fp, m), 1);
	json_decref(fp);
}

static void hardware_and_test_change_both_hashes(void **state)
{
	struct machine *m = *state;
	json_t *fp = make(m);

	m->o.cpu_possible.text = "0-7";
	assert_int_equal(same_hashes(fp, m), 0);
	m->o.cpu_possible.text = "0-3";
	m->test.interval_us = 1000;
	assert_int_equal(same_hashes(fp, m), 0);
	json_decref(fp);
}

static void only_interrupts_on_isolated_cpus_are_in_it(void **state)
{
	struct observed_irq irqs[] = {
		{ .number = 24, .name = "virtio0", .effective = KNOWN("0") },
		{ .number = 25, .name = "nvme0q3", .effective = KNOWN("3") },
	};
	struct machine *m = *state;
	const json_t *on;
	json_t *fp;

	m->o.groups = FACTS_IRQS;
	m->o.irqs_fact = (struct fact)KNOWN("");
	m->o.irqs = irqs;
	m->o.n_irqs = 2;
	fp = make(m);
	on = json_object_get(json_object_get(fp, "isolation"), "irqs_on_isolated");
	assert_int_equal(json_integer_value(json_object_get(on, "count")), 1);
	irqs[0].effective.text = "1"; /* irqbalance at work */
	assert_int_equal(same_hashes(fp, m), 3);
	irqs[0].effective.text = "2";
	assert_int_equal(same_hashes(fp, m), 1);
	json_decref(fp);
}

static void package_version_is_of_the_installed_package(void **state)
{
	_cleanup_(arena_free) struct arena a = { 0 };
	static const char removed[] =
		"Package: rt-tests\nStatus: deinstall ok config-files\nVersion: 1\n";
	static const char halfway[] = "Package: rt-tests\nStatus: install ok half-installed\n"
				      "Version: 1\n";

	(void)state;
	assert_null(dpkg_version(&a, removed, "rt-tests"));
	assert_null(dpkg_version(&a, halfway, "rt-tests"));
	assert_null(dpkg_version(&a, "", "rt-tests"));
	assert_null(dpkg_version(&a, "Package: rt-tests", "rt-tests"));
	assert_null(cpuinfo_value(&a, cpuinfo, "nothing"));
	assert_null(cpuinfo_value(&a, "", "model"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(facts_come_from_their_files, setup, teardown),
		cmocka_unit_test_setup_teardown(
			what_cannot_be_read_is_null_and_bad_bytes_are_kept_out, setup, teardown),
		cmocka_unit_test_setup_teardown(same_machine_has_the_same_hashes_after_a_reboot,
						setup, teardown),
		cmocka_unit_test_setup_teardown(software_changes_only_the_full_hash, setup,
						teardown),
		cmocka_unit_test_setup_teardown(hardware_and_test_change_both_hashes, setup,
						teardown),
		cmocka_unit_test_setup_teardown(only_interrupts_on_isolated_cpus_are_in_it, setup,
						teardown),
		cmocka_unit_test(package_version_is_of_the_installed_package),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

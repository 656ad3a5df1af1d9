/*
 * The metrics' text and its file. `test_metrics --sample` prints what test metrics.sh gives to
 * promtool: every kind of line, with hostile text in the labels.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "actuators/root.h"
#include "daemon/metrics.h"
#include "state/settings.h"
#include "tests/trees/scratch.h"

/* A quote, a backslash, a newline, bytes that are no UTF-8, and a try to begin another series. */
#define HOSTILE_UNIT "a\"b\\c\nd\xff\xfe\"} 1\nevil_metric 1\n.service"

static struct reconcile_entry entries[3];

static struct metrics sample(void)
{
	static struct reconcile memory = { .entries = entries, .n_entries = 3 };

	entries[0] = (struct reconcile_entry){
		.setting = setting_by_name("irq_affinity"),
		.said = VERDICT_DRIFTED,
		.counts = { { (char *)"irqbalance.service", 7 }, { (char *)"", 2 } },
		.n_counts = 2,
	};
	entries[1] = (struct reconcile_entry){
		.guest = (char *)"vnf0",
		.setting = setting_by_name("irq_affinity"),
		.said = VERDICT_CONTESTED,
		.counts = { { (char *)HOSTILE_UNIT, 4 } },
		.n_counts = 1,
	};
	entries[2] = (struct reconcile_entry){
		.setting = setting_by_name("watchdogs"),
		.said = VERDICT_CONVERGED,
	};
	return (struct metrics){
		.verdict = MACHINE_DRIFTED,
		.memory = &memory,
		.version = "0.1.0",
		.last_verified_s = 1795341600,
		.pass_us = 12345,
		.pass_interval_s = 30,
		.generation = 9,
		.watching = true,
	};
}

static void expect_line(const char *text, const char *line)
{
	_cleanup_free_ char *wanted = NULL;

	assert_true(asprintf(&wanted, "\n%s\n", line) > 0);
	if (!strstr(text, wanted))
		fail_msg("\"%s\" is missing in:\n%s", line, text);
}

static size_t count(const char *text, const char *part)
{
	size_t n = 0;

	for (const char *p = text; (p = strstr(p, part)); p += strlen(part))
		n++;
	return n;
}

static void every_metric_is_there(void **state)
{
	static const char *const lines[] = {
		"latencyd_info{version=\"0.1.0\"} 1",
		"latencyd_state{state=\"verified\"} 0",
		"latencyd_state{state=\"drifted\"} 1",
		"latencyd_state{state=\"pending-reboot\"} 0",
		"latencyd_state{state=\"degraded\"} 0",
		"latencyd_setting_verdict{guest=\"\",setting=\"irq_affinity\",verdict=\"drifted\"} "
		"1",
		"latencyd_setting_verdict{guest=\"vnf0\",setting=\"irq_affinity\",verdict="
		"\"contested\"} 1",
		"latencyd_setting_verdict{guest=\"\",setting=\"watchdogs\",verdict=\"converged\"} "
		"1",
		"latencyd_drifts_total{guest=\"\",setting=\"irq_affinity\",unit=\"irqbalance."
		"service\"} 7",
		"latencyd_drifts_total{guest=\"\",setting=\"irq_affinity\",unit=\"\"} 2",
		"latencyd_last_verified_timestamp_seconds 1795341600",
		"latencyd_pass_duration_seconds 0.012345",
		"latencyd_pass_interval_seconds 30",
		"latencyd_generation 9",
		"latencyd_paused 0",
		"latencyd_watching 1",
		"latencyd_persistent 0",
	};
	struct metrics m = sample();
	_cleanup_free_ char *text = metrics_render(&m);

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		expect_line(text, lines[i]);
	assert_int_equal(count(text, "# HELP "), count(text, "# TYPE "));
	assert_int_equal(count(text, "# TYPE latencyd_drifts_total counter\n"), 1);
}

static void one_state_of_the_machine_is_1(void **state)
{
	(void)state;
	for (enum machine_verdict v = 0; v < MACHINE_UNKNOWN; v++) {
		struct metrics m = sample();
		_cleanup_free_ char *text = NULL, *line = NULL;

		m.verdict = v;
		text = metrics_render(&m);
		assert_true(asprintf(&line, "latencyd_state{state=\"%s\"} 1",
				     machine_verdict_name(v)) > 0);
		expect_line(text, line);
		assert_int_equal(count(text, "latencyd_state{") - count(text, "\"} 0\n"), 1);
	}
}

static void hostile_text_stays_inside_its_label(void **state)
{
	struct metrics m = sample();
	_cleanup_free_ char *text = metrics_render(&m);

	(void)state;
	expect_line(text, "latencyd_drifts_total{guest=\"vnf0\",setting=\"irq_affinity\","
			  "unit=\"a\\\"b\\\\c\\nd??\\\"} 1\\nevil_metric 1\\n.service\"} 4");
	assert_null(strstr(text, "\nevil_metric"));
	assert_null(strchr(text, '\xff'));
}

/* Two that differ in bytes that are no UTF-8 alone would be one series twice. */
static void units_that_look_alike_are_one(void **state)
{
	struct metrics m = sample();
	_cleanup_free_ char *text = NULL;

	(void)state;
	entries[0].counts[0].unit = (char *)"a\xff.service";
	entries[0].counts[1].unit = (char *)"a\xfe.service";
	text = metrics_render(&m);
	expect_line(text, "latencyd_drifts_total{guest=\"\",setting=\"irq_affinity\","
			  "unit=\"a?.service\"} 9");
	assert_int_equal(count(text, "unit=\"a?.service\""), 1);
}

static void a_machine_that_was_never_verified_says_0(void **state)
{
	struct metrics m = sample();
	_cleanup_free_ char *text = NULL;

	(void)state;
	m.last_verified_s = 0;
	m.memory = &(const struct reconcile){ 0 };
	text = metrics_render(&m);
	expect_line(text, "latencyd_last_verified_timestamp_seconds 0");
	assert_null(strstr(text, "latencyd_setting_verdict{"));
}

static struct scratch scratch;

static int setup(void **state)
{
	(void)state;
	scratch_make(&scratch);
	return actuators_set_root(scratch.path);
}

static int teardown(void **state)
{
	(void)state;
	scratch_remove(&scratch);
	return actuators_set_root("/");
}

static void without_a_folder_nothing_is_written(void **state)
{
	struct metrics m = sample();

	(void)state;
	assert_int_equal(metrics_write(&m, NULL), 0);
	assert_int_equal(root_exists("/var"), 0);
	assert_int_equal(metrics_remove(NULL), 0);
}

static int no_temporary(const char *name, void *userdata)
{
	(*(size_t *)userdata)++;
	assert_string_equal(name, "latencyd.prom");
	return 0;
}

static void the_file_is_replaced_and_for_everyone(void **state)
{
	struct metrics m = sample();
	_cleanup_free_ char *text = NULL, *path = root_outer_path(METRICS_PATH);
	_cleanup_free_ char *folder = root_outer_path(METRICS_FOLDER);
	struct stat before, after;
	size_t n = 0;

	(void)state;
	umask(077);
	assert_int_equal(root_mkdir_p(METRICS_FOLDER, 0755), 0);
	assert_int_equal(stat(folder, &before), 0);
	assert_int_equal(before.st_mode & 07777, 0755);
	assert_int_equal(metrics_write(&m, NULL), 1);
	assert_int_equal(stat(path, &before), 0);
	m.generation = 10;
	assert_int_equal(metrics_write(&m, NULL), 1);
	umask(022);
	assert_int_equal(stat(path, &after), 0);
	assert_int_not_equal(before.st_ino, after.st_ino);
	assert_int_equal(after.st_mode & 0777, 0644);
	assert_int_equal(root_read(METRICS_PATH, &text, NULL), 0);
	expect_line(text, "latencyd_generation 10");
	assert_int_equal(root_each(METRICS_FOLDER, no_temporary, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(root_exists(METRICS_FOLDER "/.latencyd.prom.latencyd-new"), 0);
	assert_int_equal(metrics_remove(NULL), 0);
	assert_int_equal(root_exists(METRICS_PATH), 0);
}

static void what_cannot_be_written_is_an_error(void **state)
{
	_cleanup_error_ struct error e = { 0 };
	struct metrics m = sample();

	(void)state;
	assert_int_equal(root_mkdir_p(METRICS_PATH, 0755), 0); /* a folder in its place */
	assert_true(metrics_write(&m, &e) < 0);
	assert_non_null(strstr(e.what, METRICS_PATH));
}

static int print_sample(void)
{
	struct metrics m = sample();
	_cleanup_free_ char *text = metrics_render(&m);

	return text && fputs(text, stdout) >= 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_metric_is_there),
		cmocka_unit_test(one_state_of_the_machine_is_1),
		cmocka_unit_test(hostile_text_stays_inside_its_label),
		cmocka_unit_test(units_that_look_alike_are_one),
		cmocka_unit_test(a_machine_that_was_never_verified_says_0),
		cmocka_unit_test_setup_teardown(without_a_folder_nothing_is_written, setup,
						teardown),
		cmocka_unit_test_setup_teardown(the_file_is_replaced_and_for_everyone, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_cannot_be_written_is_an_error, setup,
						teardown),
	};

	if (argc > 1 && streq(argv[1], "--sample"))
		return print_sample();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

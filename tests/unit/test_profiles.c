/* Profiles, loads and limits, and how the document names them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "state/base.h"
#include "state/desired.h"

static int parse(const char *measure, struct desired *d, struct error *e)
{
	_cleanup_free_ char *text = NULL;

	assert_true(asprintf(&text, "version: 1\nhost:\n  cpus: {isolated: 2-3}\nmeasure:\n%s\n",
			     measure) > 0);
	return document_parse("test", text, strlen(text), d, e);
}

static void assert_refused(const char *measure, const char *why)
{
	_cleanup_desired_ struct desired d = { 0 };
	_cleanup_error_ struct error e = { 0 };

	assert_int_equal(parse(measure, &d, &e), -EINVAL);
	if (!strstr(e.what, why) && !(e.todo && strstr(e.todo, why)))
		fail_msg("no \"%s\" in: %s (%s)", why, e.what, e.todo ? e.todo : "");
}

static void kvm4nfv_is_600000_loops_of_1_ms_under_four_loads(void **state)
{
	const struct measure_profile *p = measure_profile("kvm4nfv");

	(void)state;
	assert_non_null(p);
	assert_int_equal((uint64_t)p->duration_s * 1000000 / p->interval_us, 600000);
	assert_int_equal(p->n_cells, 4);
	assert_string_equal(p->cells[0].name, "idle_idle");
	assert_string_equal(p->cells[1].name, "cpustress_idle");
	assert_string_equal(p->cells[2].name, "memorystress_idle");
	assert_string_equal(p->cells[3].name, "iostress_idle");
}

static void smoke_never_passes_and_segments_follow_the_length(void **state)
{
	(void)state;
	assert_int_equal(measure_profile("smoke")->pass_duration_s, 0);
	assert_null(measure_profile("smok"));
	assert_int_equal(measure_segment_s(10), 10);
	assert_int_equal(measure_segment_s(600), 60);
	assert_int_equal(measure_segment_s(601), 300);
}

static void every_combination_of_loads_has_its_name(void **state)
{
	(void)state;
	for (size_t h = 0; measure_loads[h]; h++)
		for (size_t g = 0; measure_loads[g]; g++) {
			const struct measure_cell *cell;
			char name[64];

			snprintf(name, sizeof(name), "%s_%s", measure_loads[h], measure_loads[g]);
			cell = measure_cell(name);
			assert_non_null(cell);
			assert_string_equal(cell->host_load, measure_loads[h]);
			assert_string_equal(cell->guest_load, measure_loads[g]);
		}
	assert_null(measure_cell("idle"));
}

static void document_chooses_profile_loads_and_limits(void **state)
{
	_cleanup_desired_ struct desired d = { 0 };
	_cleanup_error_ struct error e = { 0 };

	(void)state;
	assert_int_equal(parse("  profile: kvm4nfv\n  duration: 120\n  segment: 30\n"
			       "  loads: [idle_cpustress, idle_idle]\n  on_verified: true\n"
			       "  sla: {max_max_latency: 30, max_avg_latency_us: 10, "
			       "max_p9999_latency_us: 20, max_overflow: 0, action: monitor}",
			       &d, &e),
			 0);
	assert_string_equal(d.measure.profile, "kvm4nfv");
	assert_int_equal(d.measure.duration_s, 120);
	assert_int_equal(d.measure.segment_s, 30);
	assert_int_equal(d.measure.interval_us, 1000);
	assert_int_equal(d.measure.n_cells, 2);
	assert_string_equal(d.measure.cells[0].name, "idle_cpustress");
	assert_true(d.measure.on_verified);
	assert_int_equal(d.measure.limits[SLA_MAX], 30);
	assert_int_equal(d.measure.limits[SLA_AVG], 10);
	assert_int_equal(d.measure.limits[SLA_P9999], 20);
	assert_int_equal(d.measure.limits[SLA_OVERFLOW], 0);
	assert_int_equal(d.measure.limits[SLA_MIN], -1);
	assert_int_equal(d.measure.action, SLA_MONITOR);
}

static void nothing_is_declared_unless_the_document_does(void **state)
{
	_cleanup_desired_ struct desired d = { 0 };
	_cleanup_error_ struct error e = { 0 };

	(void)state;
	assert_int_equal(parse("  profile: kvm4nfv", &d, &e), 0);
	for (size_t i = 0; i < _SLA_KEY_MAX; i++)
		assert_int_equal(d.measure.limits[i], -1);
	assert_int_equal(d.measure.n_on, 0);
	assert_false(d.measure.on_verified);
}

static void what_makes_no_sense_is_refused(void **state)
{
	(void)state;
	assert_refused("  profile: kvm4nvf", "kvm4nfv");
	assert_refused("  loads: [cpustress]", "HOST_GUEST");
	assert_refused("  loads: [idle_idle, idle_idle]", "twice");
	assert_refused("  loads: []", "list of loads");
	assert_refused("  on: [guest/]", "guest/NAME");
	assert_refused("  on: [host, host]", "twice");
	assert_refused("  profile: smoke\n  segment: 11", "segment");
	assert_refused("  sla: {max_max_latency: 3, max_max_latency_us: 4}", "twice");
	assert_refused("  sla: {max_max_latncy_us: 4}", "max_max_latency_us");
	assert_refused("  sla: {max_max_latency_us: 0}", "0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kvm4nfv_is_600000_loops_of_1_ms_under_four_loads),
		cmocka_unit_test(smoke_never_passes_and_segments_follow_the_length),
		cmocka_unit_test(every_combination_of_loads_has_its_name),
		cmocka_unit_test(document_chooses_profile_loads_and_limits),
		cmocka_unit_test(nothing_is_declared_unless_the_document_does),
		cmocka_unit_test(what_makes_no_sense_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

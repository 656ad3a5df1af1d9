/*
 * What is kept of alerts, as text: it comes back as it went, and a damaged file is refused as a
 * whole. And an alert as one line.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/alerts.h"
#include "daemon/journal.h"
#include "state/settings.h"

#define BOOT "11111111-2222-3333-4444-555555555555"

static struct alert drifted(void)
{
	return (struct alert){
		.number = 41,
		.setting = (char *)"irq_affinity",
		.was = VERDICT_CONVERGED,
		.now = VERDICT_DRIFTED,
		.want = (char *)"0-1",
		.found = (char *)"3",
		.path = (char *)"/proc/irq/24/smp_affinity_list",
		.since = (char *)"2026-11-22T10:00:00Z",
		.caused = true,
		.writer = { .pid = 812,
			    .uid = 0,
			    .comm = (char *)"irqbalance",
			    .exe = (char *)"/usr/sbin/irqbalance",
			    .unit = (char *)"irqbalance.service" },
	};
}

/* ---- the file ---- */

static char *sample_text(bool whole)
{
	struct reconcile_entry entry = {
		.setting = setting_by_name("irq_affinity"),
		.said = VERDICT_DRIFTED,
		.counts = { { (char *)"irqbalance.service", 3 } },
		.n_counts = 1,
		.last_writer.uid = -1,
	};
	struct reconcile memory = { .entries = &entry, .n_entries = 1 };
	struct alert pending = drifted();
	struct alerts a = {
		.number = 41,
		.pending = &pending,
		.n_pending = 1,
		.boot_id = (char *)BOOT,
		.fingerprint = (char *)"kernel=6.1",
		.last_verified = (char *)"2026-11-22T09:00:00Z",
	};
	char *text = alerts_to_text(&a, &memory, whole);

	assert_non_null(text);
	return text;
}

static void what_is_kept_comes_back(void **state)
{
	_cleanup_free_ char *text = sample_text(true), *boot_id = NULL;
	struct reconcile memory = { 0 };
	const struct reconcile_entry *entry;
	struct alerts a = { 0 };

	(void)state;
	assert_int_equal(alerts_from_text(text, BOOT, &a, &memory, &boot_id, NULL), 0);
	assert_string_equal(boot_id, BOOT);
	assert_int_equal(a.number, 41);
	assert_string_equal(a.fingerprint, "kernel=6.1");
	assert_string_equal(a.last_verified, "2026-11-22T09:00:00Z");
	assert_int_equal(a.n_pending, 1);
	assert_int_equal(a.pending[0].number, 41);
	assert_int_equal(a.pending[0].now, VERDICT_DRIFTED);
	assert_string_equal(a.pending[0].found, "3");
	assert_string_equal(a.pending[0].writer.unit, "irqbalance.service");
	entry = reconcile_find(&memory, NULL, "irq_affinity");
	assert_non_null(entry);
	assert_int_equal(entry->said, VERDICT_DRIFTED);
	assert_int_equal(entry->counts[0].n, 3);
	alerts_done(&a);
	reconcile_done(&memory);
}

/* Or a pass on a quiet machine would write the file every time. */
static void the_time_of_the_last_look_alone_is_no_change(void **state)
{
	_cleanup_free_ char *part = sample_text(false), *whole = sample_text(true);

	(void)state;
	assert_null(strstr(part, "last_verified"));
	assert_non_null(strstr(whole, "last_verified"));
}

static void a_damaged_file_is_refused_whole(void **state)
{
	_cleanup_free_ char *text = sample_text(true);
	const char *const damaged[] = {
		"",
		"{",
		"[]",
		"null",
		"{}",
		"{\"version\": 1}",
		"{\"version\": 2, \"number\": 1, \"pending\": [], \"memory\": {}}",
		"{\"version\": 1, \"number\": -1, \"pending\": [], \"memory\": {}}",
		"{\"version\": 1, \"number\": \"1\", \"pending\": [], \"memory\": {}}",
		"{\"version\": 1, \"number\": 1, \"pending\": {}, \"memory\": {}}",
		"{\"version\": 1, \"number\": 1, \"pending\": [{}], \"memory\": {}}",
		"{\"version\": 1, \"number\": 1, \"pending\": [null], \"memory\": {}}",
		"{\"version\": 1, \"number\": 1, \"number\": 2, \"pending\": []}",
	};
	struct alerts a = { .number = 7 };
	struct reconcile memory = { 0 };
	char *boot_id = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(damaged); i++) {
		_cleanup_error_ struct error e = { 0 };

		assert_int_equal(alerts_from_text(damaged[i], BOOT, &a, &memory, &boot_id, &e),
				 -EINVAL);
		assert_non_null(e.what);
	}
	for (size_t n = 0; n < strlen(text); n++) { /* a write that stopped anywhere */
		_cleanup_free_ char *part = strndup(text, n);

		assert_int_equal(alerts_from_text(part, BOOT, &a, &memory, &boot_id, NULL),
				 -EINVAL);
	}
	assert_int_equal(a.number, 7);
	assert_null(memory.entries);
	assert_null(boot_id);
}

/* ---- one line ---- */

static void expect_text(const struct alert *a, const char *text)
{
	struct arena arena = { 0 };

	assert_string_equal(alert_text(&arena, a), text);
	arena_free(&arena);
}

static void a_drift_names_what_and_who(void **state)
{
	struct alert a = drifted();

	(void)state;
	expect_text(&a, "irq_affinity drifted: found \"3\", wanted \"0-1\"; changed by irqbalance "
			"(pid 812, irqbalance.service)");
	a.guest = (char *)"vnf0";
	a.caused = false;
	expect_text(&a, "guest vnf0: irq_affinity drifted: found \"3\", wanted \"0-1\"");
	a.found = a.want = NULL;
	a.reason = (char *)"2 IRQs elsewhere";
	expect_text(&a, "guest vnf0: irq_affinity drifted: 2 IRQs elsewhere");
}

static void other_verdicts_give_the_reason(void **state)
{
	struct alert a = drifted();

	(void)state;
	a.now = VERDICT_CONVERGED;
	a.found = (char *)"0-1";
	expect_text(&a, "irq_affinity restored: found \"0-1\"");
	a.now = VERDICT_UNKNOWN;
	a.reason = (char *)"permission denied";
	expect_text(&a, "irq_affinity unknown: permission denied");
	a.now = VERDICT_CONTESTED;
	a.reason = (char *)"it is undone again and again";
	expect_text(&a, "irq_affinity contested: it is undone again and again; changed by "
			"irqbalance (pid 812, irqbalance.service)");
	a.reason = (char *)"irqbalance (pid 812, irqbalance.service) keeps changing it";
	expect_text(&a, "irq_affinity contested: irqbalance (pid 812, irqbalance.service) keeps "
			"changing it");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_kept_comes_back),
		cmocka_unit_test(the_time_of_the_last_look_alone_is_no_change),
		cmocka_unit_test(a_damaged_file_is_refused_whole),
		cmocka_unit_test(a_drift_names_what_and_who),
		cmocka_unit_test(other_verdicts_give_the_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * The memory of the reconcile loop, step by step: what is alerted and what is not, who is blamed,
 * when a program that keeps changing a setting is a fight, and when it is mended. Time is a number
 * here; the report is written by hand. What holds for any sequence is tested in tests/property.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include <jansson.h>

#include "state/guest_row.h"
#include "state/reconcile.h"
#include "state/rows.h"

#define SECOND 1000000ULL
#define BIT(s) (UINT64_C(1) << setting_index(s))

/* Three settings of the machine, and the one that is only advice. */
#define A (&setting_watchdogs)
#define B (&setting_timer_migration)
#define C (&setting_irq_affinity)

struct fixture {
	struct desired d;
	struct desired inner; /* of the guest */
	struct desired_guest guest;
	enum verdict machine[SETTINGS_MAX], outer[16], inside[SETTINGS_MAX];
	struct report r;
	struct touches touches;
	struct reconcile memory;
	struct reconcile_step step;
	uint64_t now_us;
};

static void manage(struct fixture *f, const struct setting *s)
{
	f->d.values[setting_index(s)] = "";
	f->d.drift.repair[setting_index(s)] = REPAIR_RUNTIME;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->now_us = 1000 * SECOND;
	manage(f, A);
	manage(f, B);
	manage(f, C);
	f->guest = (struct desired_guest){ .name = "vnf0", .state = &f->inner };
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	reconcile_step_done(&f->step);
	reconcile_done(&f->memory);
	touches_done(&f->touches);
	report_done(&f->r);
	free(f);
	return 0;
}

/* ---- the report by hand ---- */

static void write_row(struct fixture *f, struct setting_verdict *v, const struct setting *s,
		      enum verdict verdict)
{
	v->setting = s;
	v->verdict = verdict;
	v->want = "0";
	v->live = verdict == VERDICT_CONVERGED ? "0" : "1";
	v->n_evidence = 1;
	v->evidence = arena_alloc(&f->r.arena, sizeof(*v->evidence));
	v->evidence->path = arena_printf(&f->r.arena, "/proc/%s/value", s->name);
	v->evidence->value = v->live;
	if (verdict == VERDICT_UNMANAGED || verdict == VERDICT_UNKNOWN)
		v->live = NULL;
}

static void write_guest(struct fixture *f)
{
	struct guest_report *g = arena_alloc(&f->r.arena, sizeof(*g));

	g->name = "vnf0";
	g->n_settings = n_guest_settings + n_settings;
	g->settings = arena_alloc(&f->r.arena, g->n_settings * sizeof(*g->settings));
	for (size_t i = 0; i < n_guest_settings; i++)
		write_row(f, &g->settings[i], guest_settings[i], f->outer[i]);
	for (size_t i = 0; i < n_settings; i++)
		write_row(f, &g->settings[n_guest_settings + i], settings[i],
			  f->inner.values[i] ? f->inside[i] : VERDICT_UNMANAGED);
	f->r.guests = g;
	f->r.n_guests = 1;
}

static void write_report(struct fixture *f, uint64_t looked)
{
	report_done(&f->r);
	f->r.n_settings = n_settings;
	f->r.settings = arena_alloc(&f->r.arena, n_settings * sizeof(*f->r.settings));
	for (size_t i = 0; i < n_settings; i++)
		write_row(f, &f->r.settings[i], settings[i],
			  f->d.values[i] && (looked >> i & 1) ? f->machine[i] : VERDICT_UNMANAGED);
	if (f->d.n_guests)
		write_guest(f);
}

static struct setting_verdict *row(struct fixture *f, const struct setting *s)
{
	return &f->r.settings[setting_index(s)];
}

static void take_written(struct fixture *f, uint64_t looked)
{
	reconcile_step_done(&f->step);
	f->step = (struct reconcile_step){
		.d = &f->d,
		.looked = looked,
		.touches = &f->touches,
		.now_us = f->now_us,
		.now = "2026-11-22T10:00:00Z",
	};
	assert_int_equal(reconcile_take(&f->memory, &f->r, &f->step), 0);
}

static void take(struct fixture *f, uint64_t looked)
{
	f->now_us += 1000;
	write_report(f, looked);
	take_written(f, looked);
}

static void turn(struct fixture *f, const struct setting *s, enum verdict v)
{
	f->machine[setting_index(s)] = v;
	take(f, BIT(s));
}

static void written_by(struct fixture *f, const struct setting *s, const char *exe, bool gone,
		       bool own)
{
	char path[64];
	const struct writer w = {
		.pid = 812,
		.uid = 0,
		.comm = gone ? NULL : (char *)exe,
		.exe = gone ? NULL : (char *)exe,
		.unit = gone ? NULL : (char *)"some.service",
		.gone = gone,
		.own = own,
	};

	snprintf(path, sizeof(path), "/proc/%s/value", s->name);
	f->now_us += 1000;
	assert_int_equal(touches_add(&f->touches, BIT(s), path, &w, f->now_us), 0);
}

/* Somebody writes, and the look that follows sees it. */
static void drift_by(struct fixture *f, const struct setting *s, const char *exe)
{
	written_by(f, s, exe, false, false);
	turn(f, s, VERDICT_DRIFTED);
}

static void mend(struct fixture *f, const struct setting *s, bool works)
{
	f->now_us += 1000;
	reconcile_repaired(&f->memory, BIT(s), f->now_us);
	turn(f, s, works ? VERDICT_CONVERGED : VERDICT_DRIFTED);
}

/* Drifts, a second apart, each mended at once but the last. */
static void fight(struct fixture *f, const struct setting *s, const char *exe, int n)
{
	for (int i = 0; i < n; i++) {
		if (i)
			mend(f, s, true);
		f->now_us += SECOND;
		drift_by(f, s, exe);
	}
}

static const struct reconcile_entry *entry(struct fixture *f, const struct setting *s)
{
	const struct reconcile_entry *e = reconcile_find(&f->memory, NULL, s->name);

	assert_non_null(e);
	return e;
}

static json_t *to_json(struct fixture *f)
{
	json_t *json = reconcile_to_json(&f->memory);

	assert_non_null(json);
	return json;
}

static void restart(struct fixture *f, bool same_boot)
{
	json_t *json = to_json(f), *again;

	reconcile_done(&f->memory);
	touches_done(&f->touches);
	assert_int_equal(reconcile_from_json(json, same_boot, &f->memory), 0);
	assert_false(f->memory.whole);
	again = to_json(f);
	if (same_boot)
		assert_true(json_equal(json, again));
	json_decref(again);
	json_decref(json);
}

#define expect_silence(f) assert_int_equal((f)->step.n_alerts, 0)

static const struct alert *expect_alert(struct fixture *f, const struct setting *s,
					enum verdict was, enum verdict now)
{
	assert_int_equal(f->step.n_alerts, 1);
	assert_string_equal(f->step.alerts[0].setting, s->name);
	assert_string_equal(verdict_name(f->step.alerts[0].was), verdict_name(was));
	assert_string_equal(verdict_name(f->step.alerts[0].now), verdict_name(now));
	return f->step.alerts;
}

/* ---- alerts ---- */

static void a_first_look_alerts_what_is_wrong_alone(void **state)
{
	struct fixture *f = *state;
	const struct alert *a;

	f->machine[setting_index(B)] = VERDICT_DRIFTED;
	take(f, ALL_SETTINGS);
	a = expect_alert(f, B, VERDICT_UNMANAGED, VERDICT_DRIFTED);
	assert_int_equal(a->number, 0);
	assert_null(a->guest);
	assert_false(a->caused);
	assert_string_equal(a->want, "0");
	assert_string_equal(a->found, "1");
	assert_string_equal(a->path, "/proc/timer_migration/value");
	assert_string_equal(a->since, "2026-11-22T10:00:00Z");
	take(f, ALL_SETTINGS);
	expect_silence(f);
}

static void each_change_is_alerted_once(void **state)
{
	struct fixture *f = *state;

	take(f, ALL_SETTINGS);
	expect_silence(f);
	turn(f, A, VERDICT_DRIFTED);
	expect_alert(f, A, VERDICT_CONVERGED, VERDICT_DRIFTED);
	turn(f, A, VERDICT_DRIFTED);
	expect_silence(f);
	turn(f, A, VERDICT_PENDING_REBOOT);
	expect_alert(f, A, VERDICT_DRIFTED, VERDICT_PENDING_REBOOT);
	turn(f, A, VERDICT_CONVERGED);
	expect_alert(f, A, VERDICT_PENDING_REBOOT, VERDICT_CONVERGED);
	turn(f, A, VERDICT_UNKNOWN);
	expect_alert(f, A, VERDICT_CONVERGED, VERDICT_UNKNOWN);
}

static void failed_and_drifted_by_turns_is_alerted_once(void **state)
{
	struct fixture *f = *state;

	take(f, ALL_SETTINGS);
	turn(f, A, VERDICT_DRIFTED);
	turn(f, A, VERDICT_FAILED);
	expect_alert(f, A, VERDICT_DRIFTED, VERDICT_FAILED);
	for (int i = 0; i < 3; i++) {
		turn(f, A, VERDICT_DRIFTED);
		expect_silence(f);
		assert_int_equal(row(f, A)->verdict, VERDICT_DRIFTED);
		turn(f, A, VERDICT_FAILED);
		expect_silence(f);
	}
	turn(f, A, VERDICT_CONVERGED);
	expect_alert(f, A, VERDICT_FAILED, VERDICT_CONVERGED);
}

static void the_only_wrong_item_is_what_was_found(void **state)
{
	struct fixture *f = *state;
	struct verdict_item *item;

	take(f, ALL_SETTINGS);
	f->machine[setting_index(C)] = VERDICT_DRIFTED;
	write_report(f, BIT(C));
	for (int i = 0; i < 2; i++) {
		item = verdict_item_add(&f->r, row(f, C));
		*item = (struct verdict_item){
			.id = "24",
			.live = i ? "3" : "0",
			.want = "0-1",
			.verdict = i ? VERDICT_DRIFTED : VERDICT_CONVERGED,
		};
	}
	take_written(f, BIT(C));
	expect_alert(f, C, VERDICT_CONVERGED, VERDICT_DRIFTED);
	assert_string_equal(f->step.alerts[0].found, "3");
	assert_string_equal(f->step.alerts[0].want, "0-1");
}

static void what_was_not_looked_at_stays_as_it_was(void **state)
{
	struct fixture *f = *state;

	f->machine[setting_index(B)] = VERDICT_PENDING_REBOOT;
	take(f, ALL_SETTINGS);
	assert_int_equal(f->r.verdict, MACHINE_PENDING_REBOOT);
	turn(f, A, VERDICT_CONVERGED);
	expect_silence(f);
	assert_int_equal(f->r.verdict, MACHINE_PENDING_REBOOT);
	turn(f, A, VERDICT_DRIFTED);
	assert_int_equal(f->r.verdict, MACHINE_DRIFTED);
	assert_int_equal(entry(f, B)->said, VERDICT_PENDING_REBOOT);
	turn(f, B, VERDICT_CONVERGED);
	assert_int_equal(f->r.verdict, MACHINE_DRIFTED);
	turn(f, A, VERDICT_CONVERGED);
	assert_int_equal(f->r.verdict, MACHINE_VERIFIED);
}

static void a_managed_setting_that_was_never_looked_at_is_not_right(void **state)
{
	struct fixture *f = *state;

	turn(f, A, VERDICT_CONVERGED);
	assert_int_equal(f->r.verdict, MACHINE_DEGRADED);
}

static void what_the_document_drops_ends_silently(void **state)
{
	struct fixture *f = *state;

	f->machine[setting_index(A)] = VERDICT_DRIFTED;
	take(f, ALL_SETTINGS);
	assert_int_equal(f->memory.n_entries, 3);
	f->d.values[setting_index(A)] = NULL;
	take(f, BIT(B));
	expect_silence(f);
	assert_null(reconcile_find(&f->memory, NULL, A->name));
	assert_int_equal(f->memory.n_entries, 2);
	assert_int_equal(f->r.verdict, MACHINE_VERIFIED);
	manage(f, A);
	take(f, ALL_SETTINGS);
	expect_alert(f, A, VERDICT_UNMANAGED, VERDICT_DRIFTED);
}

/* ---- who ---- */

static void the_writer_is_named_until_it_is_right_again(void **state)
{
	struct fixture *f = *state;
	const struct alert *a;

	take(f, ALL_SETTINGS);
	drift_by(f, A, "/usr/sbin/sysctl");
	a = expect_alert(f, A, VERDICT_CONVERGED, VERDICT_DRIFTED);
	assert_true(a->caused);
	assert_int_equal(a->writer.pid, 812);
	assert_string_equal(a->writer.exe, "/usr/sbin/sysctl");
	assert_string_equal(a->path, "/proc/watchdogs/value");
	assert_string_equal(row(f, A)->changed_by->exe, "/usr/sbin/sysctl");
	touches_forget(&f->touches, f->now_us + 1);
	turn(f, A, VERDICT_FAILED);
	assert_string_equal(f->step.alerts[0].writer.exe, "/usr/sbin/sysctl");
	assert_string_equal(row(f, A)->changed_by->exe, "/usr/sbin/sysctl");
	turn(f, A, VERDICT_CONVERGED);
	assert_false(f->step.alerts[0].caused);
	assert_null(row(f, A)->changed_by);
	assert_int_equal(entry(f, A)->n_counts, 1);
	assert_string_equal(entry(f, A)->counts[0].unit, "some.service");
	assert_int_equal(entry(f, A)->counts[0].n, 1);
}

static void a_write_that_a_look_found_harmless_is_not_blamed(void **state)
{
	struct fixture *f = *state;

	take(f, ALL_SETTINGS);
	written_by(f, A, "/usr/sbin/sysctl", false, false);
	turn(f, A, VERDICT_CONVERGED);
	turn(f, A, VERDICT_DRIFTED);
	assert_false(f->step.alerts[0].caused);
	assert_null(row(f, A)->changed_by);
	assert_string_equal(entry(f, A)->counts[0].unit, "");
}

static void who_made_an_earlier_drift_is_not_blamed_for_an_unknown(void **state)
{
	struct fixture *f = *state;

	take(f, ALL_SETTINGS);
	drift_by(f, A, "/bin/sh");
	turn(f, A, VERDICT_UNKNOWN);
	assert_string_equal(row(f, A)->changed_by->exe, "/bin/sh"); /* it was not mended yet */
	turn(f, A, VERDICT_CONVERGED);
	turn(f, A, VERDICT_UNKNOWN);
	assert_null(row(f, A)->changed_by);
	assert_false(f->step.alerts[0].caused);
}

static void our_own_write_is_a_drift_of_nobodys(void **state)
{
	struct fixture *f = *state;

	take(f, ALL_SETTINGS);
	for (int i = 0; i < 2 * CONTEST_DRIFTS; i++) {
		written_by(f, A, "/usr/bin/latencyctl", false, true);
		turn(f, A, VERDICT_DRIFTED);
		expect_alert(f, A, VERDICT_CONVERGED, VERDICT_DRIFTED);
		assert_false(f->step.alerts[0].caused);
		turn(f, A, VERDICT_CONVERGED);
	}
	assert_int_equal(entry(f, A)->counts[0].n, 2 * CONTEST_DRIFTS);
}

static void a_drift_behind_an_unknown_still_has_its_writer(void **state)
{
	struct fixture *f = *state;

	take(f, ALL_SETTINGS);
	turn(f, A, VERDICT_UNKNOWN);
	assert_null(row(f, A)->changed_by);
	drift_by(f, A, "/usr/sbin/sysctl");
	expect_alert(f, A, VERDICT_UNKNOWN, VERDICT_DRIFTED);
	assert_true(f->step.alerts[0].caused);
	turn(f, A, VERDICT_UNKNOWN);
	turn(f, A, VERDICT_DRIFTED);
	assert_int_equal(entry(f, A)->counts[0].n, 1);
}

static void units_beyond_the_bound_are_other(void **state)
{
	struct fixture *f = *state;
	char unit[32];

	take(f, ALL_SETTINGS);
	for (int i = 0; i < 3 * DRIFT_UNITS_MAX; i++) {
		snprintf(unit, sizeof(unit), "u%d.service", i);
		f->now_us += 1000;
		assert_int_equal(
			touches_add(&f->touches, BIT(A), "/proc/watchdogs/value",
				    &(struct writer){ .pid = i + 1, .comm = unit, .unit = unit },
				    f->now_us),
			0);
		turn(f, A, VERDICT_DRIFTED);
		turn(f, A, VERDICT_CONVERGED);
	}
	assert_int_equal(entry(f, A)->n_counts, DRIFT_UNITS_MAX + 1);
	assert_string_equal(entry(f, A)->counts[0].unit, "u0.service");
	assert_string_equal(entry(f, A)->counts[DRIFT_UNITS_MAX].unit, "other");
	assert_int_equal(entry(f, A)->counts[DRIFT_UNITS_MAX].n, 2 * DRIFT_UNITS_MAX);
}

/* ---- fights ---- */

static void the_fourth_drift_by_one_program_is_a_fight(void **state)
{
	struct fixture *f = *state;

	take(f, ALL_SETTINGS);
	fight(f, A, "/usr/sbin/irqbalance", CONTEST_DRIFTS - 1);
	expect_alert(f, A, VERDICT_CONVERGED, VERDICT_DRIFTED);
	mend(f, A, true);
	drift_by(f, A, "/usr/sbin/irqbalance");
	expect_alert(f, A, VERDICT_CONVERGED, VERDICT_CONTESTED);
	assert_string_equal(f->step.alerts[0].writer.exe, "/usr/sbin/irqbalance");
	assert_non_null(strstr(f->step.alerts[0].reason, "irqbalance"));
	assert_int_equal(row(f, A)->verdict, VERDICT_CONTESTED);
	assert_non_null(strstr(row(f, A)->reason, "irqbalance"));
	assert_int_equal(f->r.verdict, MACHINE_DEGRADED);
	assert_int_equal(f->step.repair, 0);
	/* and stays one, right or not, in silence; others' looks know of it */
	for (int i = 0; i < 5; i++) {
		turn(f, A, VERDICT_CONVERGED);
		expect_silence(f);
		assert_int_equal(row(f, A)->verdict, VERDICT_CONTESTED);
		turn(f, B, VERDICT_CONVERGED);
		assert_int_equal(f->r.verdict, MACHINE_DEGRADED);
		drift_by(f, A, "/usr/sbin/irqbalance");
		expect_silence(f);
		turn(f, A, VERDICT_UNKNOWN);
		expect_silence(f);
	}
	assert_int_equal(entry(f, A)->counts[0].n, CONTEST_DRIFTS + 5);
}

static void different_programs_are_no_fight(void **state)
{
	struct fixture *f = *state;
	char exe[32];

	take(f, ALL_SETTINGS);
	for (int i = 0; i < 4 * DRIFTS_KEPT; i++) {
		snprintf(exe, sizeof(exe), "/usr/bin/program-%d", i);
		drift_by(f, A, exe);
		expect_alert(f, A, VERDICT_CONVERGED, VERDICT_DRIFTED);
		assert_int_equal(f->step.repair, BIT(A));
		mend(f, A, true);
	}
}

static void programs_that_take_turns_fight_too(void **state)
{
	static const char *const programs[] = { "/bin/sh", "/usr/sbin/sysctl", "/usr/bin/tuned" };
	const int turns = 3 * (CONTEST_DRIFTS - 1);
	struct fixture *f = *state;

	take(f, ALL_SETTINGS);
	for (int i = 0; i < turns; i++) {
		drift_by(f, A, programs[i % 3]);
		expect_alert(f, A, VERDICT_CONVERGED, VERDICT_DRIFTED);
		mend(f, A, true);
		if (i == turns / 2)
			restart(f, true);
	}
	drift_by(f, A, programs[0]);
	expect_alert(f, A, VERDICT_CONVERGED, VERDICT_CONTESTED);
	assert_string_equal(f->step.alerts[0].writer.exe, programs[0]);
	assert_int_equal(f->step.repair, 0);
}

static void a_program_fights_also_beside_one_that_has_no_name(void **state)
{
	struct fixture *f = *state;
	int i = 0;

	take(f, ALL_SETTINGS);
	do {
		mend(f, A, true);
		f->now_us += SECOND;
		written_by(f, A, "/bin/sh", i % 2, false);
		turn(f, A, VERDICT_DRIFTED);
	} while (!entry(f, A)->contested && ++i < 4 * DRIFTS_KEPT);
	assert_int_equal(i, 2 * (CONTEST_DRIFTS - 1));
	assert_string_equal(f->step.alerts[0].writer.exe, "/bin/sh");
}

static void drifts_far_apart_are_no_fight(void **state)
{
	struct fixture *f = *state;

	take(f, ALL_SETTINGS);
	for (int i = 0; i < 4 * CONTEST_DRIFTS; i++) {
		f->now_us += CONTEST_WINDOW_US / (CONTEST_DRIFTS - 1);
		drift_by(f, A, "/usr/sbin/sysctl");
		expect_alert(f, A, VERDICT_CONVERGED, VERDICT_DRIFTED);
		mend(f, A, true);
	}
}

static void a_contested_setting_is_mended_at_growing_intervals(void **state)
{
	struct fixture *f = *state;
	uint64_t wait_us = RETRY_FIRST_US, began_us;

	take(f, ALL_SETTINGS);
	fight(f, A, "/usr/sbin/irqbalance", CONTEST_DRIFTS);
	began_us = f->now_us;
	for (int i = 0; i < 12; i++) {
		assert_int_equal(f->step.repair, 0);
		assert_int_equal(f->step.wake_us, began_us + wait_us);
		assert_int_equal(f->step.wake, BIT(A));
		f->now_us = began_us + wait_us - 2000;
		turn(f, A, VERDICT_DRIFTED);
		assert_int_equal(f->step.repair, 0);
		turn(f, A, VERDICT_DRIFTED);
		assert_int_equal(f->step.repair, BIT(A));
		assert_int_equal(f->step.wake_us, 0);
		mend(f, A, true);
		began_us = f->now_us - 1000; /* when the repair ended */
		drift_by(f, A, "/usr/sbin/irqbalance");
		expect_silence(f);
		wait_us = wait_us * 2 > RETRY_MAX_US ? RETRY_MAX_US : wait_us * 2;
	}
}

static void a_fight_ends_when_it_stays_quiet(void **state)
{
	struct fixture *f = *state;
	uint64_t right_us;

	take(f, ALL_SETTINGS);
	fight(f, A, "/usr/sbin/irqbalance", CONTEST_DRIFTS);
	mend(f, A, true);
	right_us = f->now_us;
	assert_int_equal(f->step.wake_us, right_us + CONTEST_QUIET_US);
	f->now_us = right_us + CONTEST_QUIET_US - 2000;
	turn(f, A, VERDICT_CONVERGED);
	expect_silence(f);
	turn(f, A, VERDICT_CONVERGED);
	expect_alert(f, A, VERDICT_CONTESTED, VERDICT_CONVERGED);
	assert_int_equal(row(f, A)->verdict, VERDICT_CONVERGED);
	assert_int_equal(f->r.verdict, MACHINE_VERIFIED);
	assert_int_equal(f->step.wake_us, 0);
	/* it begins to count anew, and is mended at once */
	drift_by(f, A, "/usr/sbin/irqbalance");
	expect_alert(f, A, VERDICT_CONVERGED, VERDICT_DRIFTED);
	assert_int_equal(f->step.repair, BIT(A));
}

/* No look ever sees it right: the write that undid ours is newer than ours. */
static void a_fight_too_fast_to_be_seen_right_is_a_fight(void **state)
{
	struct fixture *f = *state;

	take(f, ALL_SETTINGS);
	drift_by(f, A, "/bin/sh");
	for (int i = 1; i < CONTEST_DRIFTS; i++) {
		assert_int_equal(f->step.repair, BIT(A));
		mend(f, A, false);
		assert_int_equal(f->step.repair, 0); /* as far as is known yet it failed */
		drift_by(f, A, "/bin/sh");
	}
	expect_alert(f, A, VERDICT_DRIFTED, VERDICT_CONTESTED);
	assert_int_equal(entry(f, A)->counts[0].n, CONTEST_DRIFTS);
	drift_by(f, A, "/bin/sh");
	assert_int_equal(entry(f, A)->counts[0].n, CONTEST_DRIFTS);
}

static void our_own_task_that_could_not_mend_it_undid_nothing(void **state)
{
	struct fixture *f = *state;

	take(f, ALL_SETTINGS);
	drift_by(f, A, "/bin/sh");
	mend(f, A, false);
	written_by(f, A, "/usr/bin/latencyctl", false, true);
	turn(f, A, VERDICT_DRIFTED);
	expect_silence(f);
	assert_int_equal(f->step.repair, 0);
	assert_string_equal(row(f, A)->changed_by->exe, "/bin/sh");
	assert_int_equal(entry(f, A)->counts[0].n, 1);
}

static void what_nobody_named_keeps_undoing_is_mended_ever_more_rarely(void **state)
{
	struct fixture *f = *state;

	take(f, ALL_SETTINGS);
	for (int i = 1; i < CONTEST_DRIFTS + 3; i++) {
		written_by(f, A, NULL, true, false);
		turn(f, A, VERDICT_DRIFTED);
		expect_alert(f, A, VERDICT_CONVERGED, VERDICT_DRIFTED);
		assert_true(f->step.alerts[0].caused);
		assert_true(f->step.alerts[0].writer.gone);
		if (i < CONTEST_DRIFTS) {
			assert_int_equal(f->step.repair, BIT(A));
		} else {
			assert_int_equal(f->step.repair, 0);
			assert_int_equal(f->step.wake_us,
					 f->now_us + (RETRY_FIRST_US << (i - CONTEST_DRIFTS)));
			f->now_us = f->step.wake_us;
		}
		mend(f, A, true);
	}
	/* what lasted for a while was no fight */
	f->now_us += RETRY_FIRST_US;
	written_by(f, A, NULL, true, false);
	turn(f, A, VERDICT_DRIFTED);
	assert_int_equal(f->step.repair, BIT(A));
}

/* ---- mending ---- */

static void a_failing_repair_backs_off_up_to_the_cap(void **state)
{
	struct fixture *f = *state;
	uint64_t wait_us = RETRY_FIRST_US;

	take(f, ALL_SETTINGS);
	turn(f, A, VERDICT_DRIFTED);
	for (int i = 0; i < 12; i++) {
		assert_int_equal(f->step.repair, BIT(A));
		mend(f, A, false);
		assert_int_equal(f->step.repair, 0);
		assert_int_equal(f->step.wake_us, f->now_us - 1000 + wait_us);
		f->now_us = f->step.wake_us - 1000;
		turn(f, A, i % 2 ? VERDICT_DRIFTED : VERDICT_FAILED);
		wait_us = wait_us * 2 > RETRY_MAX_US ? RETRY_MAX_US : wait_us * 2;
	}
	assert_int_equal(wait_us, RETRY_MAX_US);
	mend(f, A, true);
	assert_int_equal(f->step.wake_us, 0);
	turn(f, A, VERDICT_DRIFTED);
	assert_int_equal(f->step.repair, BIT(A));
	mend(f, A, false);
	assert_int_equal(f->step.wake_us, f->now_us - 1000 + RETRY_FIRST_US);
}

static void nothing_is_mended_that_the_document_does_not_allow(void **state)
{
	struct fixture *f = *state;

	f->d.drift.repair[setting_index(A)] = REPAIR_NONE;
	f->machine[setting_index(B)] = VERDICT_PENDING_REBOOT;
	f->machine[setting_index(C)] = VERDICT_UNKNOWN;
	take(f, ALL_SETTINGS);
	turn(f, A, VERDICT_DRIFTED);
	assert_int_equal(f->step.repair, 0);
	assert_int_equal(f->step.wake_us, 0);
	take(f, ALL_SETTINGS);
	assert_int_equal(f->step.repair, 0);
}

static void a_look_that_is_due_is_not_lost_to_another(void **state)
{
	struct fixture *f = *state;
	uint64_t due_us;

	take(f, ALL_SETTINGS);
	turn(f, A, VERDICT_DRIFTED);
	mend(f, A, false);
	due_us = f->step.wake_us;
	turn(f, B, VERDICT_CONVERGED);
	assert_int_equal(f->step.wake_us, due_us);
	f->now_us = due_us + SECOND;
	turn(f, B, VERDICT_CONVERGED);
	assert_int_equal(f->step.wake_us, due_us);
	assert_int_equal(f->step.wake, BIT(A));
	/* once offered, it does not ask for looks: whoever may not mend now is not kept busy */
	turn(f, A, VERDICT_DRIFTED);
	assert_int_equal(f->step.repair, BIT(A));
	turn(f, B, VERDICT_CONVERGED);
	assert_int_equal(f->step.wake_us, 0);
}

static void those_due_together_are_woken_together(void **state)
{
	struct fixture *f = *state;

	take(f, ALL_SETTINGS);
	f->machine[setting_index(A)] = f->machine[setting_index(B)] = VERDICT_DRIFTED;
	take(f, ALL_SETTINGS);
	assert_int_equal(f->step.n_alerts, 2);
	reconcile_repaired(&f->memory, BIT(A) | BIT(B), f->now_us);
	take(f, BIT(A) | BIT(B));
	assert_int_equal(f->step.wake, BIT(A) | BIT(B));
}

/* ---- guests ---- */

static void with_guest(struct fixture *f)
{
	f->d.guests = &f->guest;
	f->d.n_guests = 1;
	f->inner.values[setting_index(A)] = "";
	f->inner.values[setting_index(B)] = "";
	take(f, ALL_SETTINGS);
	expect_silence(f);
}

static void set_outer(struct fixture *f, const struct setting *s, enum verdict v)
{
	for (size_t i = 0; i < n_guest_settings; i++)
		if (guest_settings[i] == s)
			f->outer[i] = v;
}

static void set_inside(struct fixture *f, enum verdict v)
{
	f->inside[setting_index(A)] = f->inside[setting_index(B)] = v;
}

static void a_guests_rows_alert_but_are_never_mended(void **state)
{
	struct fixture *f = *state;

	with_guest(f);
	f->inside[setting_index(A)] = VERDICT_DRIFTED;
	turn(f, B, VERDICT_CONVERGED);
	expect_silence(f); /* a look at a part is no look at guests */
	for (int i = 0; i < 2 * CONTEST_DRIFTS; i++) {
		f->inside[setting_index(A)] = VERDICT_DRIFTED;
		written_by(f, A, "/usr/sbin/sysctl", false, false);
		take(f, ALL_SETTINGS);
		expect_alert(f, A, VERDICT_CONVERGED, VERDICT_DRIFTED);
		assert_string_equal(f->step.alerts[0].guest, "vnf0");
		assert_false(f->step.alerts[0].caused); /* that was the host's file */
		assert_int_equal(f->step.repair, 0);
		assert_int_equal(f->r.verdict, MACHINE_VERIFIED);
		set_inside(f, VERDICT_CONVERGED);
		take(f, ALL_SETTINGS);
		expect_alert(f, A, VERDICT_DRIFTED, VERDICT_CONVERGED);
	}
	assert_int_equal(entry(f, A)->n_counts, 0);
}

static void a_silent_guest_is_one_alert(void **state)
{
	struct fixture *f = *state;

	with_guest(f);
	set_outer(f, &setting_guest_agent, VERDICT_UNKNOWN);
	set_inside(f, VERDICT_UNKNOWN);
	take(f, ALL_SETTINGS);
	expect_alert(f, &setting_guest_agent, VERDICT_CONVERGED, VERDICT_UNKNOWN);
	take(f, ALL_SETTINGS);
	expect_silence(f);
	set_outer(f, &setting_guest_agent, VERDICT_CONVERGED);
	set_inside(f, VERDICT_CONVERGED);
	take(f, ALL_SETTINGS);
	expect_alert(f, &setting_guest_agent, VERDICT_UNKNOWN, VERDICT_CONVERGED);
	/* what it does not know itself is news */
	f->inside[setting_index(B)] = VERDICT_UNKNOWN;
	take(f, ALL_SETTINGS);
	expect_alert(f, B, VERDICT_CONVERGED, VERDICT_UNKNOWN);
}

static void what_a_guest_comes_back_with_is_held_against_what_was_said(void **state)
{
	struct fixture *f = *state;

	with_guest(f);
	set_outer(f, &setting_guest_agent, VERDICT_UNKNOWN);
	set_inside(f, VERDICT_UNKNOWN);
	take(f, ALL_SETTINGS);
	set_outer(f, &setting_guest_agent, VERDICT_CONVERGED);
	f->inside[setting_index(A)] = VERDICT_CONVERGED;
	f->inside[setting_index(B)] = VERDICT_DRIFTED;
	take(f, ALL_SETTINGS);
	assert_int_equal(f->step.n_alerts, 2);
	assert_string_equal(f->step.alerts[1].setting, B->name);
	assert_int_equal(f->step.alerts[1].was, VERDICT_CONVERGED);
	assert_int_equal(f->step.alerts[1].now, VERDICT_DRIFTED);
}

static void a_stopped_guest_is_one_alert(void **state)
{
	struct fixture *f = *state;
	struct guest_report *g;

	with_guest(f);
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < n_guest_settings; i++)
			f->outer[i] = VERDICT_DRIFTED;
		set_inside(f, VERDICT_UNKNOWN);
		write_report(f, ALL_SETTINGS);
		g = f->r.guests;
		for (size_t i = 0; i < n_guest_settings; i++)
			if (guest_settings[i] != &setting_guest_launch)
				g->settings[i].live = NULL;
		take_written(f, ALL_SETTINGS);
		if (round == 0)
			expect_alert(f, &setting_guest_launch, VERDICT_CONVERGED, VERDICT_DRIFTED);
		else
			expect_silence(f);
	}
	for (size_t i = 0; i < n_guest_settings; i++)
		f->outer[i] = VERDICT_CONVERGED;
	set_inside(f, VERDICT_CONVERGED);
	take(f, ALL_SETTINGS);
	expect_alert(f, &setting_guest_launch, VERDICT_DRIFTED, VERDICT_CONVERGED);
}

static void a_guest_that_the_document_drops_ends_silently(void **state)
{
	struct fixture *f = *state;

	with_guest(f);
	set_inside(f, VERDICT_DRIFTED);
	take(f, ALL_SETTINGS);
	assert_int_equal(f->step.n_alerts, 2);
	f->d.n_guests = 0;
	take(f, ALL_SETTINGS);
	expect_silence(f);
	assert_int_equal(f->memory.n_entries, 3);
}

/* ---- restarts ---- */

static void what_was_read_back_is_whole_when_all_was_looked_at(void **state)
{
	struct fixture *f = *state;

	take(f, ALL_SETTINGS);
	assert_true(f->memory.whole);
	restart(f, false);
	turn(f, A, VERDICT_CONVERGED);
	assert_false(f->memory.whole);
	take(f, ALL_SETTINGS);
	assert_true(f->memory.whole);
}

static void a_restart_alerts_nothing_twice(void **state)
{
	struct fixture *f = *state;

	with_guest(f);
	set_inside(f, VERDICT_DRIFTED);
	f->machine[setting_index(B)] = VERDICT_UNKNOWN;
	take(f, ALL_SETTINGS);
	drift_by(f, A, "/bin/sh");
	fight(f, C, "/usr/sbin/irqbalance", CONTEST_DRIFTS);
	for (int i = 0; i < 2; i++) {
		restart(f, true);
		take(f, ALL_SETTINGS);
		expect_silence(f);
		assert_int_equal(row(f, C)->verdict, VERDICT_CONTESTED);
		assert_string_equal(row(f, C)->changed_by->exe, "/usr/sbin/irqbalance");
		assert_string_equal(row(f, A)->changed_by->exe, "/bin/sh");
		assert_int_equal(entry(f, A)->counts[0].n, 1);
		assert_int_equal(entry(f, C)->counts[0].n, CONTEST_DRIFTS);
		assert_false(f->step.repair & BIT(C));
		assert_int_equal(f->step.wake, BIT(C));
	}
	turn(f, A, VERDICT_CONVERGED);
	expect_alert(f, A, VERDICT_DRIFTED, VERDICT_CONVERGED);
}

static void drifts_before_a_restart_count_for_the_fight(void **state)
{
	struct fixture *f = *state;

	take(f, ALL_SETTINGS);
	for (int i = 0; i < CONTEST_DRIFTS - 1; i++) {
		drift_by(f, A, "/bin/sh");
		mend(f, A, true);
		restart(f, true);
	}
	drift_by(f, A, "/bin/sh");
	expect_alert(f, A, VERDICT_CONVERGED, VERDICT_CONTESTED);
}

static void a_repair_that_failed_before_a_restart_is_waited_for(void **state)
{
	struct fixture *f = *state;
	uint64_t due_us;

	take(f, ALL_SETTINGS);
	turn(f, A, VERDICT_DRIFTED);
	mend(f, A, false);
	due_us = f->step.wake_us;
	restart(f, true);
	take(f, ALL_SETTINGS);
	assert_int_equal(f->step.repair, 0);
	assert_int_equal(f->step.wake_us, due_us);
	mend(f, A, false);
	assert_int_equal(f->step.wake_us, f->now_us - 1000 + 2 * RETRY_FIRST_US);
}

static void another_boot_keeps_verdicts_and_counts_only(void **state)
{
	struct fixture *f = *state;

	take(f, ALL_SETTINGS);
	drift_by(f, A, "/bin/sh");
	fight(f, C, "/usr/sbin/irqbalance", CONTEST_DRIFTS);
	restart(f, false);
	f->now_us = SECOND;
	take(f, ALL_SETTINGS);
	expect_alert(f, C, VERDICT_CONTESTED, VERDICT_DRIFTED);
	assert_null(row(f, A)->changed_by);
	assert_int_equal(entry(f, C)->counts[0].n, CONTEST_DRIFTS);
	assert_int_equal(f->step.repair, BIT(A) | BIT(C));
}

static void a_look_that_finds_nothing_new_leaves_the_file_as_it_is(void **state)
{
	struct fixture *f = *state;
	json_t *before, *after;

	take(f, ALL_SETTINGS);
	fight(f, A, "/bin/sh", CONTEST_DRIFTS);
	before = to_json(f);
	f->now_us += SECOND;
	take(f, ALL_SETTINGS);
	after = to_json(f);
	assert_true(json_equal(before, after));
	json_decref(before);
	json_decref(after);
}

static void odd_entries_of_a_file_are_left_out(void **state)
{
	static const char *const odd[] = {
		"{\"settings\": [1, null, [], {}]}",
		"{\"settings\": [{\"setting\": \"nonsense\", \"said\": \"drifted\"}]}",
		"{\"settings\": [{\"setting\": \"watchdogs\", \"said\": \"great\"}]}",
		"{\"settings\": [{\"setting\": \"watchdogs\", \"said\": \"unmanaged\", "
		"\"seen\": \"drifted\"}]}",
		"{\"settings\": [{\"setting\": \"guest_agent\", \"said\": \"unknown\", "
		"\"seen\": \"unknown\"}]}",
	};
	struct reconcile r = { 0 };
	json_t *json;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		json = json_loads(odd[i], 0, NULL);
		assert_int_equal(reconcile_from_json(json, true, &r), 0);
		assert_int_equal(r.n_entries, 0);
		reconcile_done(&r);
		json_decref(json);
	}
	json = json_loads("{\"settings\": {}}", 0, NULL);
	assert_int_equal(reconcile_from_json(json, true, &r), -EINVAL);
	json_decref(json);
	assert_int_equal(reconcile_from_json(NULL, true, &r), -EINVAL);
}

static void an_entry_of_odd_values_is_bounded(void **state)
{
	static const char text[] =
		"{\"settings\": [{\"setting\": \"watchdogs\", \"said\": \"drifted\", \"seen\": "
		"\"drifted\", \"right\": 7, \"contested\": true, \"changed_by\": 5, "
		"\"drifts\": [1, {\"at_us\": -2}, \"x\", {\"program\": \"p\"}], \"retries\": -1, "
		"\"unnamed\": 1e9, "
		"\"retry_us\": 99999999999999999, \"right_since_us\": \"soon\", \"counts\": "
		"[{\"unit\": \"1\", \"n\": 1}, {\"unit\": \"2\"}, {}, 3, {\"unit\": \"3\", \"n\": "
		"-3}, {\"unit\": \"4\"}, {\"unit\": \"5\"}, {\"unit\": \"6\"}, {\"unit\": \"7\"}, "
		"{\"unit\": \"8\"}, {\"unit\": \"9\"}, {\"unit\": \"10\"}]}, {\"setting\": "
		"\"watchdogs\", \"said\": \"unknown\", \"seen\": \"unknown\"}]}";
	struct fixture *f = *state;
	json_t *json = json_loads(text, 0, NULL);

	assert_non_null(json);
	assert_int_equal(reconcile_from_json(json, true, &f->memory), 0);
	json_decref(json);
	assert_int_equal(f->memory.n_entries, 1);
	assert_int_equal(entry(f, A)->n_counts, DRIFT_UNITS_MAX);
	assert_int_equal(entry(f, A)->n_drifts, 4);
	assert_false(entry(f, A)->contested); /* with whom? */
	turn(f, A, VERDICT_CONVERGED);
	turn(f, A, VERDICT_DRIFTED);
	assert_int_equal(f->step.repair, BIT(A));
	assert_string_equal(entry(f, A)->counts[DRIFT_UNITS_MAX].unit, "other");
}

/* ---- alerts as JSON ---- */

static void an_alert_reads_back_as_it_was_written(void **state)
{
	struct fixture *f = *state;
	struct alert back;
	json_t *json;

	take(f, ALL_SETTINGS);
	drift_by(f, A, "/bin/sh");
	f->step.alerts[0].number = 41;
	json = alert_to_json(&f->step.alerts[0]);
	assert_int_equal(alert_from_json(json, &back), 0);
	json_decref(json);
	assert_int_equal(back.number, 41);
	assert_null(back.guest);
	assert_null(back.reason);
	assert_string_equal(back.setting, A->name);
	assert_string_equal(back.found, "1");
	assert_string_equal(back.path, "/proc/watchdogs/value");
	assert_int_equal(back.was, VERDICT_CONVERGED);
	assert_int_equal(back.now, VERDICT_DRIFTED);
	assert_true(back.caused);
	assert_string_equal(back.writer.exe, "/bin/sh");
	alert_done(&back);
	alert_done(&back);
}

static void an_alert_of_text_that_is_not_utf8_is_still_told(void **state)
{
	char setting[] = "watchdogs", found[] = "caf\xe9";
	const struct alert a = { .setting = setting, .found = found, .writer.uid = -1 };
	json_t *json = alert_to_json(&a);

	(void)state;
	assert_non_null(json);
	assert_string_equal(json_string_value(json_object_get(json, "found")), "caf?");
	json_decref(json);
}

static void what_is_no_alert_is_refused(void **state)
{
	static const char *const odd[] = {
		"{}",
		"{\"setting\": \"x\", \"was\": \"drifted\", \"now\": \"gone\"}",
		"{\"was\": \"drifted\", \"now\": \"converged\"}",
		"{\"setting\": \"x\", \"was\": \"drifted\", \"now\": \"failed\", \"number\": -1}",
	};
	struct alert a;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		json_t *json = json_loads(odd[i], 0, NULL);

		assert_int_equal(alert_from_json(json, &a), -EINVAL);
		json_decref(json);
	}
	assert_int_equal(alert_from_json(NULL, &a), -EINVAL);
}

#define with_fixture(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_fixture(a_first_look_alerts_what_is_wrong_alone),
		with_fixture(each_change_is_alerted_once),
		with_fixture(failed_and_drifted_by_turns_is_alerted_once),
		with_fixture(the_only_wrong_item_is_what_was_found),
		with_fixture(what_was_not_looked_at_stays_as_it_was),
		with_fixture(a_managed_setting_that_was_never_looked_at_is_not_right),
		with_fixture(what_the_document_drops_ends_silently),
		with_fixture(the_writer_is_named_until_it_is_right_again),
		with_fixture(a_write_that_a_look_found_harmless_is_not_blamed),
		with_fixture(who_made_an_earlier_drift_is_not_blamed_for_an_unknown),
		with_fixture(our_own_write_is_a_drift_of_nobodys),
		with_fixture(a_drift_behind_an_unknown_still_has_its_writer),
		with_fixture(units_beyond_the_bound_are_other),
		with_fixture(the_fourth_drift_by_one_program_is_a_fight),
		with_fixture(different_programs_are_no_fight),
		with_fixture(programs_that_take_turns_fight_too),
		with_fixture(a_program_fights_also_beside_one_that_has_no_name),
		with_fixture(drifts_far_apart_are_no_fight),
		with_fixture(a_contested_setting_is_mended_at_growing_intervals),
		with_fixture(a_fight_ends_when_it_stays_quiet),
		with_fixture(a_fight_too_fast_to_be_seen_right_is_a_fight),
		with_fixture(our_own_task_that_could_not_mend_it_undid_nothing),
		with_fixture(what_nobody_named_keeps_undoing_is_mended_ever_more_rarely),
		with_fixture(a_failing_repair_backs_off_up_to_the_cap),
		with_fixture(nothing_is_mended_that_the_document_does_not_allow),
		with_fixture(a_look_that_is_due_is_not_lost_to_another),
		with_fixture(those_due_together_are_woken_together),
		with_fixture(a_guests_rows_alert_but_are_never_mended),
		with_fixture(a_silent_guest_is_one_alert),
		with_fixture(what_a_guest_comes_back_with_is_held_against_what_was_said),
		with_fixture(a_stopped_guest_is_one_alert),
		with_fixture(a_guest_that_the_document_drops_ends_silently),
		with_fixture(what_was_read_back_is_whole_when_all_was_looked_at),
		with_fixture(a_restart_alerts_nothing_twice),
		with_fixture(drifts_before_a_restart_count_for_the_fight),
		with_fixture(a_repair_that_failed_before_a_restart_is_waited_for),
		with_fixture(another_boot_keeps_verdicts_and_counts_only),
		with_fixture(a_look_that_finds_nothing_new_leaves_the_file_as_it_is),
		with_fixture(odd_entries_of_a_file_are_left_out),
		with_fixture(an_entry_of_odd_values_is_bounded),
		with_fixture(an_alert_reads_back_as_it_was_written),
		with_fixture(an_alert_of_text_that_is_not_utf8_is_still_told),
		with_fixture(what_is_no_alert_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * The reconcile memory when memory runs out: a step that fails says nothing and forgets nothing.
 * The code under test is compiled into this program with allocations that fail at a chosen one, so
 * that every place is reached.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include <jansson.h>

#include "state/guest_row.h"
#include "state/reconcile_parts.h"
#include "state/rows.h"
#include "state/verdict_guests.h"

static int left = -1; /* allocations until one fails; -1: none does */

static bool fails(void)
{
	return left >= 0 && left-- == 0;
}

#define calloc(n, size)		 (fails() ? NULL : (calloc)(n, size))
#define reallocarray(p, n, size) (fails() ? NULL : (reallocarray)(p, n, size))
#define strdup(s)		 (fails() ? NULL : (strdup)(s))
#define writer_copy(from, to)	 (fails() ? -ENOMEM : (writer_copy)(from, to))
#define writer_text(a, w)	 (fails() ? NULL : (writer_text)(a, w))
#define arena_printf(a, ...)	 (fails() ? NULL : (arena_printf)(a, __VA_ARGS__))

#include "state/reconcile.c"
#include "state/reconcile_entry.c"

#undef calloc

#define SECOND	   1000000ULL
#define A	   (&setting_watchdogs)
#define B	   (&setting_timer_migration)
#define C	   (&setting_irq_affinity)
#define PATH_OF(s) (s == C ? "/proc/irq/default_smp_affinity" : "/proc/sys/kernel/watchdog")

static struct desired d;
static struct desired_guest guest = { .name = "vnf0" };

static void row(struct report *r, struct setting_verdict *v, const struct setting *s,
		enum verdict verdict)
{
	v->setting = s;
	v->verdict = verdict;
	v->want = "0";
	v->live = "1";
	v->reason = "it is 1, not 0";
	v->n_evidence = 1;
	v->evidence = arena_alloc(&r->arena, sizeof(*v->evidence));
	v->evidence->path = PATH_OF(s);
}

/* @b: is B managed, and is there the guest? */
static void write_report(struct report *r, enum verdict a, bool b, enum verdict c)
{
	d.values[setting_index(B)] = b ? "" : NULL;
	d.guests = &guest;
	d.n_guests = b;
	r->n_settings = n_settings;
	r->settings = arena_alloc(&r->arena, n_settings * sizeof(*r->settings));
	for (size_t i = 0; i < n_settings; i++)
		row(r, &r->settings[i], settings[i], VERDICT_UNMANAGED);
	r->settings[setting_index(A)].verdict = a;
	r->settings[setting_index(C)].verdict = c;
	if (!b)
		return;
	r->settings[setting_index(B)].verdict = VERDICT_DRIFTED;
	r->guests = arena_alloc(&r->arena, sizeof(*r->guests));
	r->guests->name = guest.name;
	r->guests->settings = arena_alloc(&r->arena, sizeof(*r->guests->settings));
	row(r, r->guests->settings, &setting_guest_launch, VERDICT_DRIFTED);
	r->guests->n_settings = r->n_guests = 1;
}

static struct reconcile_step step_at(const struct touches *t, uint64_t now_us)
{
	return (struct reconcile_step){
		.d = &d,
		.looked = ALL_SETTINGS,
		.touches = t,
		.now_us = now_us,
		.now = "2026-11-22T10:00:00Z",
	};
}

static void quiet_step(struct reconcile *m, const struct touches *t, uint64_t now_us,
		       enum verdict c)
{
	_cleanup_report_ struct report r = { 0 };
	struct reconcile_step s = step_at(t, now_us);

	write_report(&r, VERDICT_CONVERGED, false, c);
	assert_int_equal(reconcile_take(m, &r, &s), 0);
	reconcile_step_done(&s);
}

static void written_by(struct touches *t, const struct setting *s, const char *exe, uint64_t at_us)
{
	const struct writer w = { .pid = 7, .exe = (char *)exe, .unit = (char *)exe };

	assert_int_equal(touches_add(t, UINT64_C(1) << setting_index(s), PATH_OF(s), &w, at_us), 0);
}

/* A is right, C drifted once less than a fight takes; then A drifts, C too, B is new, and so is a
 * guest. */
static void prepare(struct reconcile *m, struct touches *t, struct report *r)
{
	uint64_t now_us = 1000 * SECOND;

	quiet_step(m, t, now_us, VERDICT_CONVERGED);
	for (int i = 0; i < CONTEST_DRIFTS - 1; i++) {
		written_by(t, C, "/usr/sbin/irqbalance", now_us += SECOND);
		quiet_step(m, t, now_us += SECOND, VERDICT_DRIFTED);
		quiet_step(m, t, now_us += SECOND, VERDICT_CONVERGED);
	}
	written_by(t, C, "/usr/sbin/irqbalance", now_us += SECOND);
	written_by(t, A, "/bin/sh", now_us);
	write_report(r, VERDICT_DRIFTED, true, VERDICT_DRIFTED);
}

static void a_step_out_of_memory_says_nothing_and_forgets_nothing(void **state)
{
	struct reconcile_step s = { 0 };
	int n = 0, k = -ENOMEM;

	(void)state;
	for (; k < 0; n++) {
		_cleanup_report_ struct report r = { 0 };
		struct touches t = { 0 };
		struct reconcile m = { 0 };
		json_t *before, *after;

		prepare(&m, &t, &r);
		before = reconcile_to_json(&m);
		s = step_at(&t, 1011 * SECOND);
		left = n;
		k = reconcile_take(&m, &r, &s);
		left = -1;
		if (k < 0) {
			assert_int_equal(k, -ENOMEM);
			assert_int_equal(s.n_alerts, 0);
			assert_int_equal(r.settings[setting_index(C)].verdict, VERDICT_DRIFTED);
			after = reconcile_to_json(&m);
			assert_true(json_equal(before, after));
			json_decref(after);
			assert_int_equal(reconcile_take(&m, &r, &s), 0);
		}
		assert_int_equal(s.n_alerts, 4);
		assert_int_equal(r.settings[setting_index(C)].verdict, VERDICT_CONTESTED);
		reconcile_step_done(&s);
		reconcile_done(&m);
		touches_done(&t);
		json_decref(before);
	}
	assert_true(n > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_step_out_of_memory_says_nothing_and_forgets_nothing),
	};

	d.values[setting_index(A)] = d.values[setting_index(C)] = "";
	return cmocka_run_group_tests(tests, NULL, NULL);
}

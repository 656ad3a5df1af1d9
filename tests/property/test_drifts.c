/*
 * The memory of the reconcile loop under a million drifts, in virtual time: a machine whose
 * settings random programs turn away and turn back, whose repairs work or do not, with pauses,
 * documents that drop settings, and restarts through JSON at any moment. After each step:
 *
 *  1. alerts: exactly one for each change of what is said, beginning where the last one ended;
 *  2. fights: contested only after CONTEST_DRIFTS writes by one program within the window, and no
 *     longer than until it was found right for CONTEST_QUIET_US;
 *  3. repairs: only what is off and may be mended, never before its time, and what is not mended
 *     now is looked at again in time;
 *  4. memory: what is allocated does not grow with the number of drifts.
 *
 * PROPERTY_RUNS drifts (default 1,000,000; half of that under a sanitizer, which takes ten times as
 * long) from PROPERTY_SEED (default: the time).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <malloc.h>
#include <time.h>

#include <jansson.h>

#include "state/reconcile.h"
#include "state/settings.h"

#define SECOND	   1000000ULL
#define N_PROGRAMS 12 /* more units than are counted apart */
#define LOG	   (16 * CONTEST_DRIFTS)

enum property { ALERTS, FIGHTS, REPAIRS, MEMORY, _N_PROPERTIES };

static const char *const property_names[_N_PROPERTIES] = { "alerts", "fights", "repairs",
							   "memory" };

/* What the test itself knows of a setting. */
struct truth {
	enum verdict judged;
	bool works;	    /* a repair mends it */
	unsigned hostility; /* in a thousand: how likely a repair is undone before it is seen */
	unsigned rival, rivalry; /* the program that writes most, and how often in a thousand */
	enum verdict said;	 /* by the alerts; VERDICT_UNMANAGED: nothing is known */
	struct {
		unsigned program;
		uint64_t at_us;
	} wrongs[LOG]; /* who made it wrong, a ring */
	unsigned n_wrongs;
	uint64_t not_right_us;	 /* the last look that did not find it right */
	uint64_t first_right_us; /* the first look after that; 0: none yet */
	uint64_t mended_us, contested_us;
};

struct world {
	uint64_t rng, seed, now_us, n_drifts, n_alerts, n_contested, n_restarts, n_repairs;
	unsigned violations[_N_PROPERTIES];
	struct desired d;
	struct truth truth[SETTINGS_MAX];
	struct setting_verdict rows[SETTINGS_MAX];
	struct evidence evidence[SETTINGS_MAX];
	char paths[SETTINGS_MAX][64];
	struct touches touches;
	struct reconcile memory;
	uint64_t repair, wake_us, wake;
	bool paused;
	size_t bytes; /* allocated when everything had been seen once */
};

static uint64_t random_of(struct world *w, uint64_t n)
{
	w->rng ^= w->rng << 13;
	w->rng ^= w->rng >> 7;
	w->rng ^= w->rng << 17;
	return (w->rng >> 11) % n;
}

static bool chance(struct world *w, unsigned in_a_thousand)
{
	return random_of(w, 1000) < in_a_thousand;
}

printf_like(3, 4) static void violated(struct world *w, enum property p, const char *fmt, ...)
{
	va_list ap;

	if (w->violations[p]++ > 4)
		return;
	fprintf(stderr, "# %s violated: PROPERTY_SEED=%" PRIu64 ", drift %" PRIu64 ": ",
		property_names[p], w->seed, w->n_drifts);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n");
}

static bool is_right(enum verdict v)
{
	return v == VERDICT_CONVERGED;
}

static bool is_mendable(enum verdict v)
{
	return v == VERDICT_DRIFTED || v == VERDICT_FAILED;
}

/* ---- the properties ---- */

/* The most wrong writes of one program within the window before now. */
static unsigned most_of_one(const struct world *w, const struct truth *t)
{
	unsigned most = 0, counts[N_PROGRAMS] = { 0 };

	for (unsigned i = t->n_wrongs > LOG ? t->n_wrongs - LOG : 0; i < t->n_wrongs; i++) {
		if (w->now_us - t->wrongs[i % LOG].at_us > CONTEST_WINDOW_US)
			continue;
		if (++counts[t->wrongs[i % LOG].program] > most)
			most = counts[t->wrongs[i % LOG].program];
	}
	return most;
}

static void check_contested(struct world *w, size_t i, enum verdict now)
{
	struct truth *t = &w->truth[i];
	bool was = t->contested_us;

	if (is_right(t->judged)) {
		t->first_right_us = t->first_right_us ? t->first_right_us : w->now_us;
	} else {
		t->not_right_us = w->now_us;
		t->first_right_us = 0;
	}
	if (now == VERDICT_CONTESTED && !was) {
		w->n_contested++;
		t->contested_us = w->now_us;
		if (most_of_one(w, t) < CONTEST_DRIFTS)
			violated(w, FIGHTS, "%s is contested after %u drifts by one program",
				 settings[i]->name, most_of_one(w, t));
	}
	if (now != VERDICT_CONTESTED && was) {
		t->contested_us = 0;
		if (w->now_us - t->not_right_us < CONTEST_QUIET_US)
			violated(w, FIGHTS, "%s is not contested any more after %" PRIu64 " us",
				 settings[i]->name, w->now_us - t->not_right_us);
	}
	if (now == VERDICT_CONTESTED && t->first_right_us &&
	    w->now_us - t->first_right_us >= CONTEST_QUIET_US)
		violated(w, FIGHTS, "%s is still contested", settings[i]->name);
}

/* @a: the alert for the setting, NULL: none. */
static void check_alert(struct world *w, size_t i, enum verdict now, const struct alert *a)
{
	struct truth *t = &w->truth[i];
	bool fresh = t->said == VERDICT_UNMANAGED;
	bool latched = t->said == VERDICT_FAILED && now == VERDICT_DRIFTED;
	bool news = fresh ? !is_right(now) : t->said != now && !latched;

	if (news != !!a)
		violated(w, ALERTS, "%s was said %s and is %s: %s", settings[i]->name,
			 verdict_name(t->said), verdict_name(now), a ? "an alert" : "no alert");
	if (a && (a->was != t->said || a->now != now))
		violated(w, ALERTS, "%s: the alert says %s, %s; it was %s, %s", settings[i]->name,
			 verdict_name(a->was), verdict_name(a->now), verdict_name(t->said),
			 verdict_name(now));
	if (!latched)
		t->said = now;
}

static void check_repair(struct world *w, size_t i, const struct reconcile_step *s)
{
	const struct truth *t = &w->truth[i];
	const struct reconcile_entry *e = reconcile_find(&w->memory, NULL, settings[i]->name);
	bool may = is_mendable(t->judged) && w->d.drift.repair[i] != REPAIR_NONE;
	bool bit = s->repair >> i & 1;

	if (!e) {
		violated(w, REPAIRS, "%s is not remembered", settings[i]->name);
		return;
	}
	if (bit && (!may || w->now_us < e->retry_us))
		violated(w, REPAIRS, "%s is to be mended (%s) %s", settings[i]->name,
			 verdict_name(t->judged), may ? "before its time" : "unasked");
	if (bit && t->contested_us &&
	    (w->now_us - t->contested_us < RETRY_FIRST_US ||
	     w->now_us - t->mended_us < RETRY_FIRST_US))
		violated(w, REPAIRS, "%s is contested and mended at once", settings[i]->name);
	if (may && !bit && (e->wake_us <= w->now_us || e->wake_us > w->now_us + RETRY_MAX_US))
		violated(w, REPAIRS, "%s is forgotten", settings[i]->name);
	if (may && !bit && (!s->wake_us || s->wake_us > e->wake_us))
		violated(w, REPAIRS, "nobody wakes for %s", settings[i]->name);
}

static void check_step(struct world *w, const struct report *r, const struct reconcile_step *s)
{
	size_t next = 0;

	for (size_t i = 0; i < n_settings; i++) {
		const struct alert *a = next < s->n_alerts ? &s->alerts[next] : NULL;

		if (!w->d.values[i]) {
			w->truth[i].said = VERDICT_UNMANAGED;
			w->truth[i].contested_us = 0;
			continue;
		}
		if (!(s->looked >> i & 1))
			continue;
		if (a && streq(a->setting, settings[i]->name))
			next++;
		else
			a = NULL;
		check_contested(w, i, r->settings[i].verdict);
		check_alert(w, i, r->settings[i].verdict, a);
		check_repair(w, i, s);
	}
	if (next != s->n_alerts)
		violated(w, ALERTS, "an alert for nothing");
	w->n_alerts += s->n_alerts;
}

/* ---- what happens ---- */

static void take(struct world *w, uint64_t looked)
{
	struct report r = { .settings = w->rows, .n_settings = n_settings };
	struct reconcile_step s = { .d = &w->d, .looked = looked, .touches = &w->touches };

	w->now_us += 1 + random_of(w, 2000);
	s.now_us = w->now_us;
	s.now = "2026-11-22T10:00:00Z";
	for (size_t i = 0; i < n_settings; i++) {
		bool seen = w->d.values[i] && (looked >> i & 1);

		w->rows[i] = (struct setting_verdict){
			.setting = settings[i],
			.verdict = seen ? w->truth[i].judged : VERDICT_UNMANAGED,
			.want = "0",
			.live = "1",
			.evidence = &w->evidence[i],
			.n_evidence = 1,
		};
	}
	assert_int_equal(reconcile_take(&w->memory, &r, &s), 0);
	check_step(w, &r, &s);
	w->repair = (w->repair & ~looked) | s.repair;
	w->wake_us = s.wake_us;
	w->wake = s.wake;
	reconcile_step_done(&s);
	arena_free(&r.arena);
}

/* The last two numbers stand for who cannot be named, and for nobody seen. */
static void touch(struct world *w, size_t i, unsigned program)
{
	char exe[32], unit[32];
	struct writer who = { .pid = 100 + (int)program, .uid = 0 };

	w->now_us += 1 + random_of(w, 500);
	if (program == N_PROGRAMS + 1)
		return;
	if (program == N_PROGRAMS) {
		who.gone = true;
	} else {
		snprintf(exe, sizeof(exe), "/usr/bin/p%u", program);
		snprintf(unit, sizeof(unit), "p%u.service", program);
		who.exe = who.comm = exe;
		who.unit = unit;
	}
	assert_int_equal(touches_add(&w->touches, UINT64_C(1) << i, w->paths[i], &who, w->now_us),
			 0);
}

static void turn_away(struct world *w, size_t i)
{
	struct truth *t = &w->truth[i];
	unsigned program =
		chance(w, t->rivalry) ? t->rival : (unsigned)random_of(w, N_PROGRAMS + 2);

	if (is_right(t->judged))
		w->n_drifts++;
	t->judged = chance(w, 50) ? VERDICT_PENDING_REBOOT : VERDICT_DRIFTED;
	touch(w, i, program);
	if (program >= N_PROGRAMS)
		return;
	t->wrongs[t->n_wrongs % LOG].program = program;
	t->wrongs[t->n_wrongs++ % LOG].at_us = w->now_us;
}

static void mend(struct world *w)
{
	uint64_t settings_mended = w->repair;
	uint64_t undone = 0;

	if (w->paused || !w->repair)
		return;
	w->repair = 0;
	w->now_us += 1 + random_of(w, 3000);
	reconcile_repaired(&w->memory, settings_mended, w->now_us);
	for (size_t i = 0; i < n_settings; i++) {
		struct truth *t = &w->truth[i];

		if (!(settings_mended >> i & 1))
			continue;
		w->n_repairs++;
		t->mended_us = w->now_us;
		t->judged = t->works ? VERDICT_CONVERGED : VERDICT_FAILED;
		if (!t->works || !chance(w, t->hostility))
			continue;
		undone |= UINT64_C(1) << i;
		t->judged = VERDICT_DRIFTED; /* and the event is still in the queue */
	}
	take(w, settings_mended);
	for (size_t i = 0; i < n_settings; i++)
		if (undone >> i & 1)
			w->n_drifts++, turn_away(w, i);
	if (undone)
		take(w, undone);
}

static void restart(struct world *w)
{
	json_t *json = reconcile_to_json(&w->memory);

	assert_non_null(json);
	reconcile_done(&w->memory);
	touches_done(&w->touches);
	assert_int_equal(reconcile_from_json(json, true, &w->memory), 0);
	json_decref(json);
	w->n_restarts++;
	w->repair = 0;
	take(w, ALL_SETTINGS);
}

static void pass(struct world *w)
{
	touches_forget(&w->touches, w->now_us);
	take(w, ALL_SETTINGS);
}

/* Time goes on, to the next wake-up at the most. */
static void rest(struct world *w)
{
	uint64_t until_us =
		w->now_us + (chance(w, 20) ? random_of(w, 400 * SECOND) : random_of(w, 2 * SECOND));

	if (!w->wake_us || w->wake_us > until_us) {
		w->now_us = until_us;
		return;
	}
	if (w->now_us < w->wake_us)
		w->now_us = w->wake_us;
	take(w, w->wake);
}

/* What nobody wrote: a probe that fails, a document, another temper. */
static void turn_odd(struct world *w)
{
	size_t i = random_of(w, n_settings);
	struct truth *t = &w->truth[i];

	switch (random_of(w, 6)) {
	case 0:
		t->judged = VERDICT_UNKNOWN;
		break;
	case 1:
		w->d.values[i] = w->d.values[i] && chance(w, 200) ? NULL : "";
		break;
	case 2:
		t->works = chance(w, 800);
		t->hostility = chance(w, 200) ? 900 : 20;
		break;
	case 3:
		w->d.drift.repair[i] = chance(w, 100) ? REPAIR_NONE : REPAIR_RUNTIME;
		break;
	case 4:
		t->rival = (unsigned)random_of(w, N_PROGRAMS);
		t->rivalry = (unsigned)random_of(w, 1000);
		break;
	default:
		w->paused = chance(w, 200);
	}
	take(w, chance(w, 300) ? ALL_SETTINGS : UINT64_C(1) << i);
}

/* Away from what is wanted; or who wrote it puts it back, or an apply does. */
static void write_one(struct world *w, size_t i)
{
	if (is_right(w->truth[i].judged) || chance(w, 400))
		turn_away(w, i);
	else
		w->truth[i].judged = VERDICT_CONVERGED;
	take(w, UINT64_C(1) << i);
}

static void go_on(struct world *w)
{
	size_t i = random_of(w, n_settings);
	uint64_t what = random_of(w, 1000);

	if (what < 15)
		turn_odd(w);
	else if (what < 60)
		rest(w);
	else if (what < 65)
		pass(w);
	else if (what == 65)
		restart(w);
	else if (w->d.values[i])
		write_one(w, i);
	mend(w);
}

/* ---- running it ---- */

extern size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static size_t allocated(void)
{
	if (__sanitizer_get_current_allocated_bytes)
		return __sanitizer_get_current_allocated_bytes();
	return mallinfo2().uordblks;
}

/* The C library counts what it keeps at hand for the next allocations. */
static size_t slack(void)
{
	return __sanitizer_get_current_allocated_bytes ? 4096 : 65536;
}

static uint64_t default_runs(void)
{
	return __sanitizer_get_current_allocated_bytes ? 500000 : 1000000;
}

/* What a restart leaves is the same as what the drifts built up, and the events are forgotten. */
static size_t measure(struct world *w)
{
	for (size_t i = 0; i < n_settings; i++)
		w->d.values[i] = "";
	restart(w);
	return allocated();
}

static void begin(struct world *w)
{
	for (size_t i = 0; i < n_settings; i++) {
		snprintf(w->paths[i], sizeof(w->paths[i]), "/proc/%s/value", settings[i]->name);
		w->evidence[i] = (struct evidence){ .path = w->paths[i], .value = "1" };
		w->truth[i] = (struct truth){
			.said = VERDICT_UNMANAGED,
			.works = true,
			.rival = (unsigned)random_of(w, N_PROGRAMS),
		};
		w->d.values[i] = "";
		w->d.drift.repair[i] = REPAIR_RUNTIME;
	}
	take(w, ALL_SETTINGS);
}

static uint64_t from_env(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

static int run_drifts(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	uint64_t runs = from_env("PROPERTY_RUNS", default_runs());
	clock_t start = clock();
	size_t end;

	*state = w;
	w->seed = from_env("PROPERTY_SEED", (uint64_t)time(NULL) << 20);
	w->rng = (w->seed + 1) * UINT64_C(0x9e3779b97f4a7c15) | 1;
	w->now_us = 1000 * SECOND;
	fprintf(stderr, "# PROPERTY_SEED=%" PRIu64 " PROPERTY_RUNS=%" PRIu64 "\n", w->seed, runs);
	begin(w);
	while (w->n_drifts < runs / 10)
		go_on(w);
	w->bytes = measure(w);
	while (w->n_drifts < runs)
		go_on(w);
	end = measure(w);
	if (end > w->bytes + slack())
		violated(w, MEMORY, "%zu bytes after a tenth, %zu at the end", w->bytes, end);
	fprintf(stderr,
		"# %" PRIu64 " drifts over %" PRIu64 " s of virtual time: %" PRIu64
		" alerts, %" PRIu64 " fights, %" PRIu64 " repairs, %" PRIu64
		" restarts; %zu bytes, %zu after a tenth; "
		"%.1f s of CPU\n",
		w->n_drifts, (uint64_t)(w->now_us / SECOND), w->n_alerts, w->n_contested,
		w->n_repairs, w->n_restarts, end, w->bytes,
		(double)(clock() - start) / CLOCKS_PER_SEC);
	/* A world in which nothing happens would prove nothing. */
	return runs >= 100000 && (w->n_contested < runs / 10000 || w->n_repairs < runs / 100 ||
				  w->n_alerts < runs / 100)
		       ? -1
		       : 0;
}

static int end_drifts(void **state)
{
	struct world *w = *state;

	reconcile_done(&w->memory);
	touches_done(&w->touches);
	free(w);
	return 0;
}

#define property(name, p)                              \
	static void name(void **state)                 \
	{                                              \
		const struct world *w = *state;        \
                                                       \
		assert_int_equal(w->violations[p], 0); \
	}

property(each_change_of_what_is_said_is_alerted_once, ALERTS)
	property(contested_is_what_one_program_keeps_changing, FIGHTS)
		property(nothing_is_mended_unasked_or_too_soon, REPAIRS)
			property(memory_does_not_grow_with_the_drifts, MEMORY)

				int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_change_of_what_is_said_is_alerted_once),
		cmocka_unit_test(contested_is_what_one_program_keeps_changing),
		cmocka_unit_test(nothing_is_mended_unasked_or_too_soon),
		cmocka_unit_test(memory_does_not_grow_with_the_drifts),
	};

	return cmocka_run_group_tests(tests, run_drifts, end_drifts);
}

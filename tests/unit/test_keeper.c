/*
 * The daemon's care for guests: which steps it takes up, how often, what it leaves to a person,
 * when it measures, and that it notices the end of a QEMU.
 */
#include "daemon/keeper.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "actuators/root.h"
#include "daemon/manager.h"
#include "state/guest.h"
#include "tests/unit/fake_machine.h"

#define SECOND 1000000ULL

static struct manager m;
static struct desired_guest guest;
static struct desired guest_state;
static struct observed_guest seen;
static struct guest_report guest_report;
static struct look l;
static pid_t qemu;

static void take_guest_up(void)
{
	guest = (struct desired_guest){ .name = "vnf0", .state = &guest_state };
	m.desired.guests = &guest;
	m.desired.n_guests = 1;
	m.desired.digest = (char *)"0123456789abcdef";
	m.desired.no_machine = true;
	m.desired.measure.declared = true;
	seen = (struct observed_guest){ .name = "vnf0", .pid = qemu };
	l = (struct look){ 0 };
	l.observed.guests = &seen;
	l.observed.n_guests = 1;
	guest_report = (struct guest_report){ .name = "vnf0", .verdict = MACHINE_DRIFTED };
	l.report.guests = &guest_report;
	l.report.n_guests = 1;
	l.report.verdict = MACHINE_VERIFIED;
}

static int setup(void **state)
{
	int r = fake_setup(state);

	if (r == 0)
		r = manager_init(&m, fake_root(), NULL);
	if (r < 0)
		return r;
	qemu = fork();
	if (qemu == 0) {
		pause();
		_exit(0);
	}
	take_guest_up();
	return qemu < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	kill(qemu, SIGKILL);
	waitpid(qemu, NULL, 0);
	arena_free(&l.observed.arena);
	m.desired = (struct desired){ 0 };
	manager_done(&m);
	return fake_teardown(state);
}

static void the_same_steps_are_tried_thrice_and_then_seldom(void **state)
{
	struct keeper k = { .wanted = (char *)"thread 17" };
	uint64_t now = 1000 * SECOND;

	(void)state;
	for (int i = 0; i < KEEPER_TRIES; i++)
		assert_true(keeper_may_try(&k, now + (uint64_t)i));
	assert_false(keeper_may_try(&k, now + 10 * SECOND));
	assert_true(keeper_may_try(&k, now + 61 * SECOND));
	assert_false(keeper_may_try(&k, now + 122 * SECOND)); /* later and later */
	assert_true(keeper_may_try(&k, now + 200 * SECOND));
	k.wanted = (char *)"thread 18";
	assert_true(keeper_may_try(&k, now + 201 * SECOND)); /* the guest was started again */
	free(k.tried);
}

static void the_end_of_a_qemu_is_a_pass_at_once(void **state)
{
	(void)state;
	keeper_look(&m, &l);
	assert_int_equal(m.keeper.n_watches, 1);
	assert_int_equal(m.keeper.watches[0].pid, qemu);
	assert_null(m.status);
	kill(qemu, SIGKILL);
	/* Far less than an interval: only the death can bring the pass. */
	for (int i = 0; i < 20 && !m.status; i++)
		assert_true(sd_event_run(m.event, 100 * 1000) >= 0);
	assert_non_null(m.status);
}

static void a_guest_that_is_not_verified_is_looked_at_more_often(void **state)
{
	(void)state;
	keeper_look(&m, &l);
	assert_true(m.keeper.unsettled);
	guest_report.verdict = MACHINE_VERIFIED;
	keeper_look(&m, &l);
	assert_false(m.keeper.unsettled);
	guest_report.verdict = MACHINE_DRIFTED;
	seen.pid = 0;
	keeper_look(&m, &l);
	assert_false(m.keeper.unsettled); /* nothing comes of looking at what does not run */
}

static void a_verified_guest_is_marked_with_its_pid(void **state)
{
	_cleanup_free_ char *mark = NULL;

	(void)state;
	keeper_look(&m, &l);
	fake_expect("/run/latencyd/guests/vnf0/verified", NULL);
	guest_report.verdict = MACHINE_VERIFIED;
	keeper_look(&m, &l);
	mark = fake_read("/run/latencyd/guests/vnf0/verified");
	assert_non_null(mark);
	assert_int_equal(atoi(mark), qemu);
}

static void it_measures_once_when_all_are_verified(void **state)
{
	(void)state;
	m.desired.measure.on_verified = true;
	keeper_look(&m, &l);
	assert_false(m.keeper.measure_due);
	guest_report.verdict = MACHINE_VERIFIED;
	l.report.verdict = MACHINE_DRIFTED;
	keeper_look(&m, &l);
	assert_false(m.keeper.measure_due);
	l.report.verdict = MACHINE_VERIFIED;
	keeper_look(&m, &l);
	assert_true(m.keeper.measure_due);
	fake_write("/run/latencyd/measured-on-verified", m.desired.digest);
	keeper_look(&m, &l);
	assert_false(m.keeper.measure_due);
	m.desired.digest = (char *)"fedcba9876543210"; /* another document */
	keeper_look(&m, &l);
	assert_true(m.keeper.measure_due);
	m.desired.measure.on_verified = false;
	keeper_look(&m, &l);
	assert_false(m.keeper.measure_due);
}

static void a_machine_that_was_never_applied_to_is_only_watched(void **state)
{
	(void)state;
	m.keeper.wanted = strdup("thread 17");
	keeper_act(&m);
	assert_false(m.requests.task.running);
	assert_null(m.keeper.tried);
	assert_null(m.complaints);
}

int main(void)
{
#define with_machine(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_steps_are_tried_thrice_and_then_seldom),
		with_machine(the_end_of_a_qemu_is_a_pass_at_once),
		with_machine(a_guest_that_is_not_verified_is_looked_at_more_often),
		with_machine(a_verified_guest_is_marked_with_its_pid),
		with_machine(it_measures_once_when_all_are_verified),
		with_machine(a_machine_that_was_never_applied_to_is_only_watched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

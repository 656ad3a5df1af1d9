/*
 * Guests are asked beside the loop. What a guest answers, and when, the test decides: it stands in
 * for the call itself.
 */
#include "daemon/guest_asker.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

/* The call: it lasts until the test lets it go. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned begun, may_end;
} calls = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

int guest_ask_status(const char *name, const char *address, char **ret, struct error *e)
{
	unsigned number;

	pthread_mutex_lock(&calls.lock);
	number = calls.begun++;
	pthread_cond_broadcast(&calls.changed);
	while (calls.may_end <= number)
		pthread_cond_wait(&calls.changed, &calls.lock);
	pthread_mutex_unlock(&calls.lock);
	if (streq(address, "silent"))
		return error_set(e, -ETIMEDOUT, "%s does not answer", name);
	return asprintf(ret, "%s at %s, call %u", name, address, number) < 0 ? -ENOMEM : 0;
}

static void await_begun(unsigned n)
{
	pthread_mutex_lock(&calls.lock);
	while (calls.begun < n)
		pthread_cond_wait(&calls.changed, &calls.lock);
	pthread_mutex_unlock(&calls.lock);
}

static void let_end(unsigned n)
{
	pthread_mutex_lock(&calls.lock);
	calls.may_end = n;
	pthread_cond_broadcast(&calls.changed);
	pthread_mutex_unlock(&calls.lock);
}

static struct scene {
	sd_event *event;
	struct guest_asker asker;
	unsigned n_answered;
} scene;

static void answered(void *userdata)
{
	((struct scene *)userdata)->n_answered++;
}

static int set_up(void **state)
{
	(void)state;
	scene = (struct scene){ 0 };
	calls.begun = calls.may_end = 0;
	guest_asker_init(&scene.asker);
	assert_true(sd_event_new(&scene.event) >= 0);
	assert_int_equal(guest_asker_open(&scene.asker, scene.event, answered, &scene), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	let_end(UINT32_MAX);
	guest_asker_close(&scene.asker);
	sd_event_unref(scene.event);
	return 0;
}

/* What a look gets for @name: "waits", the error's words, or the answer. */
static void assert_gets(const char *name, const char *address, const char *expected)
{
	const struct guest_source source = guest_asker_source(&scene.asker);
	_cleanup_error_ struct error e = { 0 };
	_cleanup_free_ char *text = NULL;
	int r = source.status(source.userdata, name, address, &text, &e);

	assert_string_equal(r == -EINPROGRESS ? "waits" : r < 0 ? e.what : text, expected);
}

/* Runs the loop until answered() was called once more. */
static void await_answered(void)
{
	unsigned before = scene.n_answered;

	while (scene.n_answered == before)
		assert_true(sd_event_run(scene.event, UINT64_MAX) >= 0);
}

static void a_look_waits_for_all_guests_at_once(void **state)
{
	(void)state;
	assert_gets("a", "/a", "waits");
	assert_gets("b", "silent", "waits");
	await_begun(2); /* neither waits for the other */
	assert_true(scene.asker.waiting);
	assert_int_equal(sd_event_run(scene.event, 0), 0); /* and the loop goes on */
	assert_gets("a", "/a", "waits");
	let_end(2);
	await_answered();
	assert_int_equal(calls.begun, 2);
	assert_gets("b", "silent", "b does not answer");
}

static void the_loop_is_told_when_the_last_has_answered(void **state)
{
	(void)state;
	assert_gets("a", "/a", "waits");
	await_begun(1);
	assert_gets("b", "/b", "waits");
	await_begun(2);
	let_end(1);
	while (sd_event_run(scene.event, 200 * 1000) > 0)
		;
	assert_int_equal(scene.n_answered, 0);
	let_end(2);
	await_answered();
	assert_gets("a", "/a", "a at /a, call 0");
	assert_gets("b", "/b", "b at /b, call 1");
	assert_int_equal(scene.n_answered, 1);
}

static void an_answer_serves_one_look(void **state)
{
	(void)state;
	let_end(1);
	assert_gets("a", "/a", "waits");
	await_answered();
	assert_gets("a", "/a", "a at /a, call 0");
	guest_asker_done(&scene.asker);
	assert_gets("a", "/a", "waits");
	let_end(2);
	await_answered();
	assert_gets("a", "/a", "a at /a, call 1");
}

static void another_address_is_asked_anew(void **state)
{
	(void)state;
	let_end(2);
	assert_gets("a", "/a", "waits");
	await_answered();
	assert_gets("a", "vsock:3", "waits");
	await_answered();
	assert_gets("a", "vsock:3", "a at vsock:3, call 1");
}

static void a_look_that_gave_up_leaves_nobody_waiting(void **state)
{
	(void)state;
	assert_gets("a", "/a", "waits");
	guest_asker_done(&scene.asker);
	let_end(1);
	while (sd_event_run(scene.event, 200 * 1000) > 0)
		;
	assert_int_equal(scene.n_answered, 0);
}

static void a_question_under_way_ends_with_the_asker(void **state)
{
	(void)state;
	assert_gets("a", "/a", "waits");
	await_begun(1);
	let_end(1);
	guest_asker_close(&scene.asker);
	assert_int_equal(scene.asker.n, 0);
	assert_null(guest_asker_source(&scene.asker).status); /* asked in the loop again */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(a_look_waits_for_all_guests_at_once),
		TEST(the_loop_is_told_when_the_last_has_answered),
		TEST(an_answer_serves_one_look),
		TEST(another_address_is_asked_anew),
		TEST(a_look_that_gave_up_leaves_nobody_waiting),
		TEST(a_question_under_way_ends_with_the_asker),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The client of QEMU's monitor against servers that are good, slow, silent, or mean no good. */
#include "guest/qmp.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "qmp_server.h"

/* Short for those that never answer, long for those that must. */
#define SHORT_MS 400
#define LONG_MS	 30000

#define _cleanup_qmp_ _cleanup_(qmp_closep)

static void nap(unsigned ms)
{
	const struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000L };

	(void)nanosleep(&t, NULL);
}

static void open_good(struct qmp_server *s, struct qmp **ret)
{
	_cleanup_error_ struct error e = { 0 };

	if (qmp_open(qmp_server_path(s), LONG_MS, ret, &e) < 0)
		fail_msg("%s", e.what);
}

/* Opens with SHORT_MS and expects @code. */
static void open_bad(struct qmp_server *s, int code)
{
	_cleanup_error_ struct error e = { 0 };
	_cleanup_qmp_ struct qmp *q = NULL;

	assert_int_equal(qmp_open(qmp_server_path(s), SHORT_MS, &q, &e), code);
	assert_null(q);
	assert_non_null(strstr(e.what, qmp_server_path(s)));
}

static void speak_events(struct qmp_server *s)
{
	char line[512];
	long id;

	qmp_server_greet(s);
	id = qmp_server_command(s, line, sizeof(line));
	qmp_server_print(s, "{\"event\": \"RTC_CHANGE\", \"data\": {}}\r\n{\"event\": \"STOP\"}\n");
	qmp_server_print(s, "{\"return\": {\"heard\": %d}, \"id\": %ld}\r\n",
			 !!strstr(line, "\"arguments\":{\"path\":\"/a\"}"), id);
	qmp_server_wait(s);
}

static void test_answer_comes_with_events_passed_over(void **state)
{
	_cleanup_qmp_server_ struct qmp_server *s = qmp_server_start(speak_events);
	_cleanup_qmp_ struct qmp *q = NULL;
	json_t *ret = NULL;

	(void)state;
	open_good(s, &q);
	assert_int_equal(
		qmp_command(q, "qom-get", json_pack("{s:s}", "path", "/a"), LONG_MS, &ret, NULL),
		0);
	assert_int_equal(json_integer_value(json_object_get(ret, "heard")), 1);
	json_decref(ret);
}

static void speak_refusal(struct qmp_server *s)
{
	char line[512];
	long id;

	qmp_server_greet(s);
	id = qmp_server_command(s, line, sizeof(line));
	qmp_server_print(s,
			 "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no \\u001bsuch\"},"
			 " \"id\": %ld}\r\n",
			 id);
	id = qmp_server_command(s, line, sizeof(line));
	qmp_server_print(s, "{\"return\": [], \"id\": %ld}\r\n", id);
	qmp_server_wait(s);
}

static void test_refusal_has_qemus_words_and_the_next_command_works(void **state)
{
	_cleanup_qmp_server_ struct qmp_server *s = qmp_server_start(speak_refusal);
	_cleanup_error_ struct error e = { 0 };
	_cleanup_qmp_ struct qmp *q = NULL;

	(void)state;
	open_good(s, &q);
	assert_int_equal(qmp_command(q, "bogus", NULL, LONG_MS, NULL, &e), -EREMOTEIO);
	assert_string_equal(e.what, "QEMU refuses bogus: no ?such");
	assert_int_equal(qmp_command(q, "stop", NULL, LONG_MS, NULL, NULL), 0);
}

static void test_silent_server_costs_the_timeout(void **state)
{
	_cleanup_qmp_server_ struct qmp_server *s = qmp_server_start(qmp_server_wait);

	(void)state;
	open_bad(s, -ETIMEDOUT);
}

static void speak_drops(struct qmp_server *s)
{
	for (const char *at = QMP_GREETING; *at && qmp_server_say(s, at, 1); at++)
		nap(50);
}

static void test_server_that_drips_does_not_stretch_the_timeout(void **state)
{
	_cleanup_qmp_server_ struct qmp_server *s = qmp_server_start(speak_drops);

	(void)state;
	open_bad(s, -ETIMEDOUT);
}

static void speak_slowly(struct qmp_server *s)
{
	static const char half[] = "{\"return\": {\"a\"";
	char line[512];
	long id;

	nap(100);
	qmp_server_greet(s);
	id = qmp_server_command(s, line, sizeof(line));
	qmp_server_say(s, half, strlen(half));
	nap(100);
	qmp_server_print(s, ": 1}, \"id\": %ld}\r\n", id);
	qmp_server_wait(s);
}

static void test_slow_answer_in_pieces_is_whole(void **state)
{
	_cleanup_qmp_server_ struct qmp_server *s = qmp_server_start(speak_slowly);
	_cleanup_qmp_ struct qmp *q = NULL;
	json_t *ret = NULL;

	(void)state;
	open_good(s, &q);
	assert_int_equal(qmp_command(q, "x", NULL, LONG_MS, &ret, NULL), 0);
	assert_int_equal(json_integer_value(json_object_get(ret, "a")), 1);
	json_decref(ret);
}

static void speak_late(struct qmp_server *s)
{
	char line[512];
	long id;

	qmp_server_greet(s);
	id = qmp_server_command(s, line, sizeof(line));
	nap(SHORT_MS + 300);
	qmp_server_print(s, "{\"return\": \"late\", \"id\": %ld}\r\n", id);
	qmp_server_wait(s);
}

static void test_late_answer_is_never_the_next_ones(void **state)
{
	_cleanup_qmp_server_ struct qmp_server *s = qmp_server_start(speak_late);
	_cleanup_error_ struct error e = { 0 };
	_cleanup_qmp_ struct qmp *q = NULL;
	json_t *ret = NULL;

	(void)state;
	open_good(s, &q);
	assert_int_equal(qmp_command(q, "one", NULL, SHORT_MS, &ret, &e), -ETIMEDOUT);
	assert_non_null(e.todo);
	nap(600);
	assert_int_equal(qmp_command(q, "two", json_object(), LONG_MS, &ret, NULL), -ETIMEDOUT);
	assert_null(ret);
}

static void speak_endlessly(struct qmp_server *s)
{
	char chunk[4096];

	memset(chunk, ' ', sizeof(chunk));
	for (int i = 0; i < 1024 && qmp_server_say(s, chunk, sizeof(chunk)); i++)
		;
	qmp_server_wait(s);
}

static void test_endless_line_is_cut_off(void **state)
{
	_cleanup_qmp_server_ struct qmp_server *s = qmp_server_start(speak_endlessly);
	_cleanup_qmp_ struct qmp *q = NULL;

	(void)state;
	assert_int_equal(qmp_open(qmp_server_path(s), LONG_MS, &q, NULL), -EPROTO);
}

static void speak_html(struct qmp_server *s)
{
	qmp_server_print(s, "<html>\n");
	qmp_server_wait(s);
}

static void speak_other_json(struct qmp_server *s)
{
	qmp_server_print(s, "{\"QGA\": {}}\n");
	qmp_server_wait(s);
}

static void speak_array(struct qmp_server *s)
{
	qmp_server_print(s, "[1]\n");
	qmp_server_wait(s);
}

static void speak_nested(struct qmp_server *s)
{
	_cleanup_free_ char *deep = malloc(200001);

	memset(deep, '[', 200000);
	deep[200000] = '\n';
	qmp_server_say(s, deep, 200001);
	qmp_server_wait(s);
}

static void speak_nothing(struct qmp_server *s)
{
	(void)s;
}

static void test_greetings_that_are_none(void **state)
{
	static const struct {
		void (*speak)(struct qmp_server *s);
		int code;
	} cases[] = {
		{ speak_html, -EPROTO },   { speak_other_json, -EPROTO },  { speak_array, -EPROTO },
		{ speak_nested, -EPROTO }, { speak_nothing, -ECONNRESET },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_qmp_server_ struct qmp_server *s = qmp_server_start(cases[i].speak);
		_cleanup_qmp_ struct qmp *q = NULL;

		assert_int_equal(qmp_open(qmp_server_path(s), LONG_MS, &q, NULL), cases[i].code);
	}
}

/* What the server says instead of the answer to the first command; %ld is its id. */
static const char *bad_answer;

static void speak_bad_answer(struct qmp_server *s)
{
	char line[512];

	qmp_server_greet(s);
	(void)qmp_server_command(s, line, sizeof(line));
	qmp_server_say(s, bad_answer, strlen(bad_answer));
}

static void test_answers_that_are_none(void **state)
{
	static const struct {
		const char *answer;
		int code;
	} cases[] = {
		{ "{\"return\": 1, \"id\": 77}\n", -EPROTO },	 /* another command's */
		{ "{\"return\": 1}\n", -EPROTO },		 /* nobody's */
		{ "{\"return\": 1, \"id\": \"2\"}\n", -EPROTO }, /* of another type */
		{ "{\"id\": 2}\n", -EPROTO },
		{ "{\"event\": \"X\"}\nnoise\n", -EPROTO },
		{ "{\"return\": 1, \"id\"", -ECONNRESET }, /* half of it */
		{ "", -ECONNRESET },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_qmp_server_ struct qmp_server *s = NULL;
		_cleanup_qmp_ struct qmp *q = NULL;
		json_t *ret = NULL;

		bad_answer = cases[i].answer;
		s = qmp_server_start(speak_bad_answer);
		open_good(s, &q);
		assert_int_equal(qmp_command(q, "x", NULL, LONG_MS, &ret, NULL), cases[i].code);
		assert_null(ret);
		qmp_close(take_ptr(q)); /* the server waits for nobody else */
	}
}

static void speak_events_only(struct qmp_server *s)
{
	char line[512];

	qmp_server_greet(s);
	(void)qmp_server_command(s, line, sizeof(line));
	while (qmp_server_print(s, "{\"event\": \"X\"}\n"))
		;
}

static void test_flood_of_events_ends(void **state)
{
	_cleanup_qmp_server_ struct qmp_server *s = qmp_server_start(speak_events_only);
	_cleanup_qmp_ struct qmp *q = NULL;

	(void)state;
	open_good(s, &q);
	assert_int_equal(qmp_command(q, "x", NULL, LONG_MS, NULL, NULL), -EPROTO);
	qmp_close(take_ptr(q));
}

static void speak_to_first(struct qmp_server *s)
{
	qmp_server_greet(s);
	qmp_server_wait(s);
}

static void test_second_client_times_out_and_is_told_why(void **state)
{
	_cleanup_qmp_server_ struct qmp_server *s = qmp_server_start(speak_to_first);
	_cleanup_error_ struct error e = { 0 };
	_cleanup_qmp_ struct qmp *q = NULL, *second = NULL;

	(void)state;
	open_good(s, &q);
	assert_int_equal(qmp_open(qmp_server_path(s), SHORT_MS, &second, &e), -ETIMEDOUT);
	assert_non_null(strstr(e.todo, "one client at a time"));
}

static void test_full_backlog_is_a_timeout_too(void **state)
{
	_cleanup_qmp_server_ struct qmp_server *s = qmp_server_start(speak_to_first);
	_cleanup_qmp_ struct qmp *q = NULL;

	(void)state;
	open_good(s, &q);
	for (int i = 0; i < 4; i++)
		open_bad(s, -ETIMEDOUT);
}

static void test_no_socket(void **state)
{
	_cleanup_qmp_ struct qmp *q = NULL;
	char longer[200];

	(void)state;
	assert_int_equal(qmp_open("/nonexistent/qmp.sock", SHORT_MS, &q, NULL), -ENOENT);
	memset(longer, 'x', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(qmp_open(longer, SHORT_MS, &q, NULL), -ENAMETOOLONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answer_comes_with_events_passed_over),
		cmocka_unit_test(test_refusal_has_qemus_words_and_the_next_command_works),
		cmocka_unit_test(test_silent_server_costs_the_timeout),
		cmocka_unit_test(test_server_that_drips_does_not_stretch_the_timeout),
		cmocka_unit_test(test_slow_answer_in_pieces_is_whole),
		cmocka_unit_test(test_late_answer_is_never_the_next_ones),
		cmocka_unit_test(test_endless_line_is_cut_off),
		cmocka_unit_test(test_greetings_that_are_none),
		cmocka_unit_test(test_answers_that_are_none),
		cmocka_unit_test(test_flood_of_events_ends),
		cmocka_unit_test(test_second_client_times_out_and_is_told_why),
		cmocka_unit_test(test_full_backlog_is_a_timeout_too),
		cmocka_unit_test(test_no_socket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

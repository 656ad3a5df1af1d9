/* Who is the same program, how one is named, and what is taken from a file that says so. */
#include "state/writer.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "state/error.h"

#define IRQBALANCE                                                                          \
	{                                                                                   \
		.pid = 812, .uid = 0, .comm = (char *)"irqbalance",                         \
		.exe = (char *)"/usr/sbin/irqbalance", .unit = (char *)"irqbalance.service" \
	}

/* Both ways to tell programs apart agree. */
static bool same(const struct writer *a, const struct writer *b)
{
	uint64_t program = writer_program(a);

	assert_int_equal(writer_same(a, b), program && program == writer_program(b));
	return writer_same(a, b);
}

static void the_same_program_is_the_same_writer(void **state)
{
	const struct writer a = IRQBALANCE;
	struct writer b = a;

	(void)state;
	b.pid = 900;
	b.comm = (char *)"other-thread";
	assert_true(same(&a, &b));
	b.unit = (char *)"user.slice";
	assert_false(same(&a, &b));
	b = a;
	b.container = (char *)"abc";
	assert_false(same(&a, &b));
	b = a;
	b.exe = NULL;
	assert_false(same(&a, &b));
}

static void without_an_exe_the_comm_decides(void **state)
{
	const struct writer a = { .pid = 1, .comm = (char *)"sh" };
	const struct writer b = { .pid = 2, .comm = (char *)"sh" };
	const struct writer c = { .pid = 3, .comm = (char *)"bash" };

	(void)state;
	assert_true(same(&a, &b));
	assert_false(same(&a, &c));
}

static void who_could_not_be_named_is_like_nobody(void **state)
{
	const struct writer gone = { .pid = 7, .uid = -1, .gone = true };
	const struct writer empty = { .pid = 7, .uid = -1 };

	(void)state;
	assert_false(same(&gone, &gone));
	assert_false(same(&empty, &empty));
}

static void a_writer_is_told_in_words(void **state)
{
	_cleanup_(arena_free) struct arena a = { 0 };
	struct writer w = IRQBALANCE;

	(void)state;
	assert_string_equal(writer_text(&a, &w), "irqbalance (pid 812, irqbalance.service)");
	w.container = (char *)"0123456789abcdef";
	assert_string_equal(writer_text(&a, &w), "irqbalance (pid 812, container 0123456789ab)");
	w = (struct writer){ .pid = 4711, .gone = true };
	assert_string_equal(writer_text(&a, &w), "pid 4711, which exited before it could be named");
	w = (struct writer){ .pid = 0 };
	assert_string_equal(writer_text(&a, &w), "a process outside of this PID namespace");
}

static void json_gives_back_what_it_was_given(void **state)
{
	const struct writer w = IRQBALANCE;
	_cleanup_writer_ struct writer back = { 0 };
	json_t *object = writer_to_json(&w);

	(void)state;
	assert_non_null(object);
	assert_int_equal(writer_from_json(object, &back), 0);
	json_decref(object);
	assert_int_equal(back.pid, 812);
	assert_int_equal(back.uid, 0);
	assert_true(same(&w, &back));
	assert_null(back.container);
	assert_false(back.gone);
}

static void hostile_json_is_taken_as_not_known(void **state)
{
	_cleanup_writer_ struct writer w = { 0 };
	json_t *object = json_pack("{s:s, s:I, s:[], s:s, s:{}, s:i}", "pid", "1", "uid",
				   (json_int_t)-9, "comm", "exe", "a\x1b[2Jb\n", "unit", "gone", 1);

	(void)state;
	assert_non_null(object);
	assert_int_equal(writer_from_json(object, &w), 0);
	json_decref(object);
	assert_int_equal(w.pid, 0);
	assert_null(w.comm);
	assert_null(w.unit);
	assert_false(w.gone);
	assert_non_null(w.exe);
	assert_null(strchr(w.exe, '\x1b'));
	assert_null(strchr(w.exe, '\n'));
	assert_int_equal(writer_from_json(NULL, &w), -EINVAL);
	object = json_array();
	assert_int_equal(writer_from_json(object, &w), -EINVAL);
	json_decref(object);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_program_is_the_same_writer),
		cmocka_unit_test(without_an_exe_the_comm_decides),
		cmocka_unit_test(who_could_not_be_named_is_like_nobody),
		cmocka_unit_test(a_writer_is_told_in_words),
		cmocka_unit_test(json_gives_back_what_it_was_given),
		cmocka_unit_test(hostile_json_is_taken_as_not_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

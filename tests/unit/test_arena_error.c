/* What everything else stands on: the arena and the error that travels with an errno. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "state/arena.h"
#include "state/error.h"

#define _cleanup_arena_ _cleanup_(arena_free)

static void memory_is_zeroed_and_aligned_at_any_size(void **state)
{
	_cleanup_arena_ struct arena a = { 0 };

	(void)state;
	for (size_t size = 0; size < 20000; size = size * 3 + 1) {
		unsigned char *p = arena_alloc(&a, size);

		assert_non_null(p);
		assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
		for (size_t i = 0; i < size; i++)
			assert_int_equal(p[i], 0);
		memset(p, 0xff, size);
	}
}

static void impossible_sizes_give_null(void **state)
{
	_cleanup_arena_ struct arena a = { 0 };

	(void)state;
	assert_null(arena_alloc(&a, SIZE_MAX));
	assert_null(arena_alloc(&a, SIZE_MAX / 2));
}

static void strings_are_copies(void **state)
{
	_cleanup_arena_ struct arena a = { 0 };
	char text[] = "housekeeping";
	char *whole = arena_strdup(&a, text), *part = arena_strndup(&a, text, 5);

	(void)state;
	text[0] = 'x';
	assert_string_equal(whole, "housekeeping");
	assert_string_equal(part, "house");
	assert_string_equal(arena_strndup(&a, "", 0), "");
	assert_string_equal(arena_printf(&a, "%s/%d", whole, 42), "housekeeping/42");
}

static void grown_array_keeps_its_elements(void **state)
{
	_cleanup_arena_ struct arena a = { 0 };
	unsigned *items = NULL;
	size_t n = 0;

	(void)state;
	for (unsigned i = 0; i < 5000; i++) {
		unsigned *new = arena_grow(&a, &items, &n, sizeof(*items));

		assert_non_null(new);
		assert_int_equal(*new, 0);
		*new = i;
		if (i % 7 == 0) /* something in between must not be overwritten */
			assert_string_equal(arena_strdup(&a, "between"), "between");
	}
	assert_int_equal(n, 5000);
	for (unsigned i = 0; i < 5000; i++)
		assert_int_equal(items[i], i);
}

static void array_that_shrank_grows_again_with_clean_elements(void **state)
{
	_cleanup_arena_ struct arena a = { 0 };
	unsigned *items = NULL;
	size_t n = 0;

	(void)state;
	for (size_t shrink_to = 0; shrink_to < 9; shrink_to++) {
		while (n < 9)
			*(unsigned *)arena_grow(&a, &items, &n, sizeof(*items)) = 7;
		n = shrink_to;
		assert_int_equal(*(unsigned *)arena_grow(&a, &items, &n, sizeof(*items)), 0);
	}
}

static void arena_free_allows_reuse(void **state)
{
	struct arena a = { 0 };

	(void)state;
	arena_free(NULL);
	arena_free(&a);
	assert_non_null(arena_alloc(&a, 100000));
	arena_free(&a);
	assert_null(a.chunks);
	assert_non_null(arena_alloc(&a, 1));
	arena_free(&a);
}

static void error_carries_code_reason_and_advice(void **state)
{
	_cleanup_error_ struct error e = { 0 };

	(void)state;
	assert_int_equal(error_set(&e, -ENOENT, "cannot read %s", "/proc/x"), -ENOENT);
	assert_int_equal(error_todo(&e, "mount %s", "proc"), -ENOENT);
	assert_int_equal(error_prefix(&e, "IRQ %d", 24), -ENOENT);
	assert_int_equal(e.code, -ENOENT);
	assert_string_equal(e.what, "IRQ 24: cannot read /proc/x");
	assert_string_equal(e.todo, "mount proc");
}

static void later_error_replaces_all_of_the_earlier(void **state)
{
	_cleanup_error_ struct error e = { 0 };

	(void)state;
	error_set(&e, -EIO, "first");
	error_todo(&e, "advice");
	error_set(&e, -EPERM, "second after %s", e.what); /* may name what it replaces */
	assert_int_equal(e.code, -EPERM);
	assert_string_equal(e.what, "second after first");
	assert_null(e.todo);
}

static void null_error_only_passes_the_code(void **state)
{
	struct error from = { 0 };

	(void)state;
	assert_int_equal(error_set(NULL, -EIO, "unused"), -EIO);
	assert_int_equal(error_todo(NULL, "unused"), 0);
	assert_int_equal(error_prefix(NULL, "unused"), 0);
	error_clear(NULL);
	error_set(&from, -EBUSY, "busy");
	assert_int_equal(error_move(NULL, &from), -EBUSY);
	assert_null(from.what);
}

static void moving_leaves_nothing_behind(void **state)
{
	_cleanup_error_ struct error to = { 0 };
	struct error from = { 0 };

	(void)state;
	error_set(&to, -EIO, "old");
	error_set(&from, -EBUSY, "busy");
	assert_int_equal(error_move(&to, &from), -EBUSY);
	assert_string_equal(to.what, "busy");
	assert_int_equal(to.code, -EBUSY);
	assert_null(from.what);
	assert_int_equal(from.code, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_zeroed_and_aligned_at_any_size),
		cmocka_unit_test(impossible_sizes_give_null),
		cmocka_unit_test(strings_are_copies),
		cmocka_unit_test(grown_array_keeps_its_elements),
		cmocka_unit_test(array_that_shrank_grows_again_with_clean_elements),
		cmocka_unit_test(arena_free_allows_reuse),
		cmocka_unit_test(error_carries_code_reason_and_advice),
		cmocka_unit_test(later_error_replaces_all_of_the_earlier),
		cmocka_unit_test(null_error_only_passes_the_code),
		cmocka_unit_test(moving_leaves_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

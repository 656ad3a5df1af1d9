/*
 * The YAML tree: values, positions, and everything that is refused, each with its place.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "state/document.h"

struct fixture {
	struct arena arena;
	struct error error;
	struct doc doc;
	struct yaml_node *root;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (!f)
		return -1;
	f->doc = (struct doc){ .source = "d.yaml", .arena = &f->arena, .error = &f->error };
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	arena_free(&f->arena);
	error_clear(&f->error);
	free(f);
	return 0;
}

static const struct yaml_node *accept(void **state, const char *text)
{
	struct fixture *f = *state;
	int r = yaml_parse(&f->doc, text, strlen(text), &f->root);

	if (r < 0)
		fail_msg("%s", f->error.what);
	return f->root;
}

static void refuse_bytes(void **state, const char *text, size_t size, const char *what)
{
	struct fixture *f = *state;
	struct yaml_node *untouched = f->root;

	assert_int_equal(yaml_parse(&f->doc, text, size, &f->root), -EINVAL);
	assert_int_equal(f->error.code, -EINVAL);
	assert_string_equal(f->error.what, what);
	assert_ptr_equal(f->root, untouched);
}

static void refuse(void **state, const char *text, const char *what)
{
	refuse_bytes(state, text, strlen(text), what);
}

static void assert_mark(const struct yaml_node *node, unsigned line, unsigned column)
{
	assert_int_equal(node->at.line, line);
	assert_int_equal(node->at.column, column);
}

static void values_have_their_line_and_column(void **state)
{
	const struct yaml_node *root = accept(state, "# comment\na: 1\nb:\n  - x\n  - {c: 'y'}\n");
	const struct yaml_node *b = yaml_get(root, "b");

	assert_int_equal(root->kind, YAML_MAPPING);
	assert_int_equal(root->n_items, 2);
	assert_mark(root, 2, 1);
	assert_mark(root->keys[1], 3, 1);
	assert_string_equal(yaml_get(root, "a")->text, "1");
	assert_true(yaml_get(root, "a")->plain);
	assert_mark(yaml_get(root, "a"), 2, 4);
	assert_int_equal(b->kind, YAML_SEQUENCE);
	assert_int_equal(b->n_items, 2);
	assert_mark(b->items[0], 4, 5);
	assert_string_equal(yaml_get(b->items[1], "c")->text, "y");
	assert_false(yaml_get(b->items[1], "c")->plain);
	assert_mark(yaml_get(b->items[1], "c"), 5, 9);
}

static void a_key_that_is_not_there_is_null(void **state)
{
	assert_null(yaml_get(accept(state, "a: 1\n"), "b"));
	assert_null(yaml_get(accept(state, "[a, b]\n"), "a"));
}

static void columns_count_characters_not_bytes(void **state)
{
	const struct yaml_node *root = accept(state, "{é: 1, b: 2}\n");

	assert_mark(yaml_get(root, "b"), 1, 11);
}

static void a_key_without_value_is_the_empty_text(void **state)
{
	const struct yaml_node *root = accept(state, "a:\n");

	assert_string_equal(yaml_get(root, "a")->text, "");
}

static void one_document_may_have_its_markers(void **state)
{
	assert_non_null(yaml_get(accept(state, "%YAML 1.1\n---\na: 1\n...\n"), "a"));
}

static void anchors_are_refused(void **state)
{
	refuse(state, "a: &x 1\n", "d.yaml:1:4: anchors are not taken: write the value out");
	refuse(state, "a: 1\nb: &x [1]\n",
	       "d.yaml:2:4: anchors are not taken: write the value out");
	refuse(state, "&x {a: 1}\n", "d.yaml:1:1: anchors are not taken: write the value out");
	refuse(state, "&x a: 1\n", "d.yaml:1:1: anchors are not taken: write the value out");
}

static void aliases_are_refused(void **state)
{
	refuse(state, "a: *x\n", "d.yaml:1:4: aliases are not taken: write the value out");
	refuse(state, "*x : 1\n", "d.yaml:1:1: aliases are not taken: write the value out");
}

static void tags_are_refused(void **state)
{
	refuse(state, "a: !!int 1\n", "d.yaml:1:4: tags are not taken: write the plain value");
	refuse(state, "a: !x {b: 1}\n", "d.yaml:1:4: tags are not taken: write the plain value");
	refuse(state, "a: ! b\n", "d.yaml:1:4: tags are not taken: write the plain value");
}

static void a_second_document_is_refused(void **state)
{
	refuse(state, "a: 1\n---\nb: 2\n",
	       "d.yaml:2:1: a second document begins here: one file holds one document");
}

static void an_empty_document_is_refused(void **state)
{
	refuse(state, "", "d.yaml:1:1: the document is empty");
	refuse(state, "# only this\n", "d.yaml:2:1: the document is empty");
}

static void duplicate_keys_are_refused(void **state)
{
	struct fixture *f = *state;

	refuse(state, "a: 1\nb: 2\nc: 3\nb: 4\na: 5\n",
	       "d.yaml:4:1: the key \"b\" is given twice, first in line 2");
	assert_string_equal(f->error.todo, "keep one of the two");
	refuse(state, "x: {a: 1, 'a': 2}\n",
	       "d.yaml:1:11: the key \"a\" is given twice, first in line 1");
	refuse(state, "a: 1\na: 2\na: 3\n",
	       "d.yaml:2:1: the key \"a\" is given twice, first in line 1");
}

static void the_same_key_in_two_mappings_is_no_duplicate(void **state)
{
	assert_int_equal(accept(state, "[{a: 1}, {a: 2}]\n")->n_items, 2);
}

static void keys_that_are_no_words_are_refused(void **state)
{
	refuse(state, "[a]: 1\n", "d.yaml:1:1: a key must be a word, not a list or a mapping");
	refuse(state, "? {a: 1}\n: 2\n",
	       "d.yaml:1:3: a key must be a word, not a list or a mapping");
}

static void sixteen_levels_are_taken_and_seventeen_refused(void **state)
{
	accept(state, "[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]\n");
	refuse(state, "[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]\n",
	       "d.yaml:1:17: nested deeper than 16 levels");
}

static void more_than_a_mebibyte_is_refused(void **state)
{
	size_t size = 1024 * 1024;
	_cleanup_free_ char *text = malloc(size + 1);
	struct fixture *f = *state;

	assert_non_null(text);
	memset(text, '#', size + 1);
	memcpy(text, "a: 1\n", 5);
	assert_int_equal(yaml_parse(&f->doc, text, size, &f->root), 0);
	refuse_bytes(state, text, size + 1, "d.yaml:1:1: the document is larger than 1 MiB");
}

static void a_nul_byte_is_refused(void **state)
{
	refuse_bytes(state, "a: 1\nbc\0d\n", 10, "d.yaml:2:3: a NUL character is not taken");
	refuse(state, "a: \"x\\0y\"\n", "d.yaml:1:4: a NUL character is not taken");
}

static void invalid_utf8_is_refused_where_it_stands(void **state)
{
	refuse(state, "a: 1\nb: x\xff\n", "d.yaml:2:5: not YAML: invalid leading UTF-8 octet");
	refuse_bytes(state,
		     "\xff\xfe"
		     "a\0",
		     4, "d.yaml:1:4: a NUL character is not taken");
}

static void broken_yaml_is_refused_with_libyamls_reason(void **state)
{
	refuse(state, "a: [1, 2\nb: 3\n",
	       "d.yaml:2:2: not YAML: did not find expected ',' or ']', while parsing a flow "
	       "sequence that begins in line 1");
	refuse(state, "a: 1\n\tb: 2\n",
	       "d.yaml:2:1: not YAML: found a tab character that violates indentation, while "
	       "scanning a plain scalar that begins in line 1");
}

static void control_characters_never_reach_the_error(void **state)
{
	refuse(state, "\"a\\e[31m\\x9b\": 1\n\"a\\e[31m\\x9b\": 1\n",
	       "d.yaml:2:1: the key \"a?[31m??\" is given twice, first in line 1");
}

static void an_error_without_an_object_is_still_an_error(void **state)
{
	struct fixture *f = *state;
	struct doc doc = f->doc;

	doc.error = NULL;
	assert_int_equal(yaml_parse(&doc, "a: &x 1", 7, &f->root), -EINVAL);
	assert_int_equal(yaml_parse(&doc, "{a: 1, a: 1}", 12, &f->root), -EINVAL);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(values_have_their_line_and_column),
		T(a_key_that_is_not_there_is_null),
		T(columns_count_characters_not_bytes),
		T(a_key_without_value_is_the_empty_text),
		T(one_document_may_have_its_markers),
		T(anchors_are_refused),
		T(aliases_are_refused),
		T(tags_are_refused),
		T(a_second_document_is_refused),
		T(an_empty_document_is_refused),
		T(duplicate_keys_are_refused),
		T(the_same_key_in_two_mappings_is_no_duplicate),
		T(keys_that_are_no_words_are_refused),
		T(sixteen_levels_are_taken_and_seventeen_refused),
		T(more_than_a_mebibyte_is_refused),
		T(a_nul_byte_is_refused),
		T(invalid_utf8_is_refused_where_it_stands),
		T(broken_yaml_is_refused_with_libyamls_reason),
		T(control_characters_never_reach_the_error),
		T(an_error_without_an_object_is_still_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

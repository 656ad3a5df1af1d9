/*
 * yaml_parse() on any bytes. A tree that comes back is sound: bounded depth, positions inside the
 * text, no duplicate keys, every key findable. A refusal says where, in valid UTF-8 without control
 * characters, and leaves the result alone.
 */
#include <errno.h>
#include <stdint.h>

#include "state/document.h"

#define REQUIRE(condition)        \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_scalar(const struct yaml_node *node)
{
	REQUIRE(node->kind == YAML_SCALAR && node->text);
	REQUIRE(node->n_items == 0);
}

static void check_tree(const struct yaml_node *node, unsigned depth, size_t size)
{
	REQUIRE(node->at.line >= 1 && node->at.line <= size + 2);
	REQUIRE(node->at.column >= 1 && node->at.column <= size + 1);
	if (node->kind == YAML_SCALAR) {
		check_scalar(node);
		return;
	}
	REQUIRE(depth < 16);
	for (size_t i = 0; i < node->n_items; i++) {
		if (node->kind == YAML_MAPPING) {
			check_scalar(node->keys[i]);
			/* The first of that name is itself: no duplicates. Quadratic, so bounded.
			 */
			if (i < 100)
				REQUIRE(yaml_get(node, node->keys[i]->text) == node->items[i]);
		}
		check_tree(node->items[i], depth + 1, size);
	}
}

static void check_error(const struct error *e)
{
	REQUIRE(e->code == -EINVAL && e->what);
	REQUIRE(!strncmp(e->what, "fuzz:", 5));
	for (const char *p = e->what; *p; p++)
		REQUIRE((unsigned char)*p >= 0x20 && *p != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena = { 0 };
	struct error error = { 0 };
	struct doc doc = { .source = "fuzz", .arena = &arena, .error = &error };
	struct yaml_node *root = NULL;
	int r = yaml_parse(&doc, (const char *)data, size, &root);

	REQUIRE(r == 0 || r == -EINVAL);
	REQUIRE((r == 0) == (root != NULL));
	if (root)
		check_tree(root, 0, size);
	else
		check_error(&error);
	arena_free(&arena);
	error_clear(&error);
	return 0;
}

/*
 * The YAML text as a tree with positions, from libyaml's events. The tree is plain data: what makes
 * YAML more than that (anchors, aliases, tags, a second document, keys that are not words) is
 * refused where it stands, so nothing in the document can mean something other than what it says.
 * Every node is at least one byte of input and the depth is bounded, so hostile text costs no more
 * than its size; duplicate keys are found by sorting.
 */
#include "state/document.h"

#include <errno.h>
#include <stdint.h>

#include <yaml.h>

#include "state/document_parts.h"

#define DEPTH_MAX      16
#define SIZE_MAX_BYTES (1024 * 1024)

struct reader {
	struct doc *doc;
	yaml_parser_t parser;
	const char *text;
	size_t size;
};

static struct mark mark_of(const yaml_mark_t *m)
{
	return (struct mark){ .line = (unsigned)m->line + 1, .column = (unsigned)m->column + 1 };
}

/* Columns are characters, as libyaml counts them: continuation bytes do not count. */
static struct mark mark_of_offset(const char *text, size_t size, size_t offset)
{
	struct mark at = { .line = 1, .column = 1 };

	for (size_t i = 0; i < size && i < offset; i++) {
		if (text[i] == '\n')
			at = (struct mark){ .line = at.line + 1, .column = 1 };
		else if (((unsigned char)text[i] & 0xc0) != 0x80)
			at.column++;
	}
	return at;
}

static int refuse_at(struct doc *doc, struct mark at, const char *what)
{
	const struct yaml_node node = { .at = at };

	return doc_error(doc, &node, "%s", what);
}

static int parser_error(struct reader *rd)
{
	const yaml_parser_t *p = &rd->parser;
	const struct yaml_node node = {
		.at = p->error == YAML_READER_ERROR
			      ? mark_of_offset(rd->text, rd->size, p->problem_offset)
			      : mark_of(&p->problem_mark),
	};
	const char *problem = p->problem ? p->problem : "cannot be read as YAML";

	if (p->error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	if (!p->context)
		return doc_error(rd->doc, &node, "not YAML: %s", problem);
	if (p->context_mark.line + 1 >= node.at.line)
		return doc_error(rd->doc, &node, "not YAML: %s, %s", problem, p->context);
	return doc_error(rd->doc, &node, "not YAML: %s, %s that begins in line %zu", problem,
			 p->context, p->context_mark.line + 1);
}

static int next_event(struct reader *rd, yaml_event_t *ret)
{
	return yaml_parser_parse(&rd->parser, ret) ? 0 : parser_error(rd);
}

static int refuse_decoration(struct reader *rd, const yaml_event_t *ev, const yaml_char_t *anchor,
			     const yaml_char_t *tag)
{
	if (anchor)
		return refuse_at(rd->doc, mark_of(&ev->start_mark),
				 "anchors are not taken: write the value out");
	if (tag)
		return refuse_at(rd->doc, mark_of(&ev->start_mark),
				 "tags are not taken: write the plain value");
	return 0;
}

static struct yaml_node *new_node(struct reader *rd, enum yaml_kind kind, const yaml_event_t *ev)
{
	struct yaml_node *node = arena_alloc(rd->doc->arena, sizeof(*node));

	if (!node)
		return NULL;
	node->kind = kind;
	node->at = mark_of(&ev->start_mark);
	return node;
}

static int read_scalar(struct reader *rd, const yaml_event_t *ev, struct yaml_node **ret)
{
	const char *value = (const char *)ev->data.scalar.value;
	size_t length = ev->data.scalar.length;
	struct yaml_node *node;
	int r = refuse_decoration(rd, ev, ev->data.scalar.anchor, ev->data.scalar.tag);

	if (r < 0)
		return r;
	if (memchr(value, '\0', length))
		return refuse_at(rd->doc, mark_of(&ev->start_mark), "a NUL character is not taken");
	node = new_node(rd, YAML_SCALAR, ev);
	if (!node)
		return -ENOMEM;
	node->plain = ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	node->text = arena_strndup(rd->doc->arena, value, length);
	if (!node->text)
		return -ENOMEM;
	*ret = node;
	return 0;
}

static int read_node(struct reader *rd, const yaml_event_t *ev, unsigned depth,
		     struct yaml_node **ret);

static int read_sequence(struct reader *rd, const yaml_event_t *start, unsigned depth,
			 struct yaml_node **ret)
{
	struct yaml_node *node = new_node(rd, YAML_SEQUENCE, start);

	if (!node)
		return -ENOMEM;
	for (;;) {
		_cleanup_(yaml_event_delete) yaml_event_t ev = { 0 };
		struct yaml_node *item, **slot;
		int r = next_event(rd, &ev);

		if (r < 0)
			return r;
		if (ev.type == YAML_SEQUENCE_END_EVENT)
			break;
		r = read_node(rd, &ev, depth + 1, &item);
		if (r < 0)
			return r;
		slot = arena_grow(rd->doc->arena, &node->items, &node->n_items, sizeof(*slot));
		if (!slot)
			return -ENOMEM;
		*slot = item;
	}
	*ret = node;
	return 0;
}

static bool mark_before(const struct mark *a, const struct mark *b)
{
	return a->line != b->line ? a->line < b->line : a->column < b->column;
}

static int compare_keys(const void *a, const void *b)
{
	const struct yaml_node *x = *(struct yaml_node *const *)a;
	const struct yaml_node *y = *(struct yaml_node *const *)b;
	int c = strcmp(x->text, y->text);

	return c ? c : mark_before(&y->at, &x->at) - mark_before(&x->at, &y->at);
}

/* Of several doubled keys the first in the text is named. */
static int refuse_duplicates(struct doc *doc, const struct yaml_node *mapping)
{
	_cleanup_free_ struct yaml_node **sorted = NULL;
	const struct yaml_node *first = NULL, *again = NULL;
	size_t n = mapping->n_items;
	const char *shown;

	if (n < 2)
		return 0;
	sorted = malloc(n * sizeof(*sorted));
	if (!sorted)
		return -ENOMEM;
	memcpy(sorted, mapping->keys, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), compare_keys);
	for (size_t i = 1; i < n; i++) {
		if (!streq(sorted[i - 1]->text, sorted[i]->text))
			continue;
		if (again && mark_before(&again->at, &sorted[i]->at))
			continue;
		first = sorted[i - 1];
		again = sorted[i];
	}
	if (!again)
		return 0;
	shown = doc_show(doc, again);
	if (!shown)
		return -ENOMEM;
	doc_error(doc, again, "the key %s is given twice, first in line %u", shown, first->at.line);
	error_todo(doc->error, "keep one of the two");
	return -EINVAL;
}

static int read_pair(struct reader *rd, struct yaml_node *mapping, size_t *n_keys,
		     const yaml_event_t *key_event, unsigned depth)
{
	_cleanup_(yaml_event_delete) yaml_event_t ev = { 0 };
	struct yaml_node *key, *value, **slot;
	int r;

	if (key_event->type != YAML_SCALAR_EVENT && key_event->type != YAML_ALIAS_EVENT)
		return refuse_at(rd->doc, mark_of(&key_event->start_mark),
				 "a key must be a word, not a list or a mapping");
	r = read_node(rd, key_event, depth, &key);
	if (r >= 0)
		r = next_event(rd, &ev);
	if (r >= 0)
		r = read_node(rd, &ev, depth, &value);
	if (r < 0)
		return r;
	slot = arena_grow(rd->doc->arena, &mapping->keys, n_keys, sizeof(*slot));
	if (!slot)
		return -ENOMEM;
	*slot = key;
	slot = arena_grow(rd->doc->arena, &mapping->items, &mapping->n_items, sizeof(*slot));
	if (!slot)
		return -ENOMEM;
	*slot = value;
	return 0;
}

static int read_mapping(struct reader *rd, const yaml_event_t *start, unsigned depth,
			struct yaml_node **ret)
{
	struct yaml_node *node = new_node(rd, YAML_MAPPING, start);
	size_t n_keys = 0;
	int r;

	if (!node)
		return -ENOMEM;
	for (;;) {
		_cleanup_(yaml_event_delete) yaml_event_t ev = { 0 };

		r = next_event(rd, &ev);
		if (r < 0)
			return r;
		if (ev.type == YAML_MAPPING_END_EVENT)
			break;
		r = read_pair(rd, node, &n_keys, &ev, depth + 1);
		if (r < 0)
			return r;
	}
	r = refuse_duplicates(rd->doc, node);
	if (r < 0)
		return r;
	*ret = node;
	return 0;
}

/* @depth is the number of lists and mappings around this node. */
static int read_node(struct reader *rd, const yaml_event_t *ev, unsigned depth,
		     struct yaml_node **ret)
{
	const yaml_char_t *anchor, *tag;
	int r;

	switch (ev->type) {
	case YAML_SCALAR_EVENT:
		return read_scalar(rd, ev, ret);
	case YAML_SEQUENCE_START_EVENT:
		anchor = ev->data.sequence_start.anchor;
		tag = ev->data.sequence_start.tag;
		break;
	case YAML_MAPPING_START_EVENT:
		anchor = ev->data.mapping_start.anchor;
		tag = ev->data.mapping_start.tag;
		break;
	case YAML_ALIAS_EVENT:
		return refuse_at(rd->doc, mark_of(&ev->start_mark),
				 "aliases are not taken: write the value out");
	default:
		return refuse_at(rd->doc, mark_of(&ev->start_mark), "expected a value");
	}
	r = refuse_decoration(rd, ev, anchor, tag);
	if (r < 0)
		return r;
	if (depth >= DEPTH_MAX)
		return refuse_at(rd->doc, mark_of(&ev->start_mark), "nested deeper than 16 levels");
	if (ev->type == YAML_SEQUENCE_START_EVENT)
		return read_sequence(rd, ev, depth, ret);
	return read_mapping(rd, ev, depth, ret);
}

/* The next event, which must be of @type; @otherwise says what is wrong when it is not. */
static int expect_event(struct reader *rd, yaml_event_type_t type, const char *otherwise)
{
	_cleanup_(yaml_event_delete) yaml_event_t ev = { 0 };
	int r = next_event(rd, &ev);

	if (r < 0)
		return r;
	return ev.type == type ? 0 : refuse_at(rd->doc, mark_of(&ev.start_mark), otherwise);
}

static int read_stream(struct reader *rd, struct yaml_node **ret)
{
	_cleanup_(yaml_event_delete) yaml_event_t ev = { 0 };
	struct yaml_node *root;
	int r = expect_event(rd, YAML_STREAM_START_EVENT, "not YAML");

	if (r >= 0)
		r = expect_event(rd, YAML_DOCUMENT_START_EVENT, "the document is empty");
	if (r >= 0)
		r = next_event(rd, &ev);
	if (r >= 0)
		r = read_node(rd, &ev, 0, &root);
	if (r >= 0)
		r = expect_event(rd, YAML_DOCUMENT_END_EVENT, "expected the end of the document");
	if (r >= 0)
		r = expect_event(rd, YAML_STREAM_END_EVENT,
				 "a second document begins here: one file holds one document");
	if (r < 0)
		return r;
	*ret = root;
	return 0;
}

int yaml_parse(struct doc *doc, const char *text, size_t size, struct yaml_node **ret)
{
	struct reader rd = { .doc = doc, .text = text, .size = size };
	const char *nul;
	int r;

	if (size > SIZE_MAX_BYTES)
		return refuse_at(doc, (struct mark){ 1, 1 }, "the document is larger than 1 MiB");
	nul = size ? memchr(text, '\0', size) : NULL;
	if (nul)
		return refuse_at(doc, mark_of_offset(text, size, (size_t)(nul - text)),
				 "a NUL character is not taken");
	if (!yaml_parser_initialize(&rd.parser))
		return -ENOMEM;
	/* Fixed: otherwise two bytes at the beginning could make it UTF-16. */
	yaml_parser_set_encoding(&rd.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&rd.parser, (const unsigned char *)text, size);
	r = read_stream(&rd, ret);
	yaml_parser_delete(&rd.parser);
	return r;
}

const struct yaml_node *yaml_get(const struct yaml_node *mapping, const char *key)
{
	if (mapping->kind != YAML_MAPPING)
		return NULL;
	for (size_t i = 0; i < mapping->n_items; i++)
		if (streq(mapping->keys[i]->text, key))
			return mapping->items[i];
	return NULL;
}

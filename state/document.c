/*
 * The helpers with which every part of the document is read: each states what it expected where,
 * and offers the nearest valid word. Text from the document may stand in an error only clipped and
 * without control characters: errors reach terminals, the journal and JSON.
 */
#include "state/document.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>

#include "state/cmdline.h"
#include "state/document_parts.h"

/* What of a document's own word is shown; longer ones end in "...". */
#define SHOWN_MAX 60
/* No key of ours is longer. */
#define WORD_MAX 40
/* Fewer letters begin too many words. */
#define PREFIX_MIN 3
/* 16 TiB: no pool or guest is larger, and sums of sizes cannot wrap. */
#define SIZE_LIMIT_KIB (UINT64_C(1) << 34)

int doc_verror(struct doc *doc, struct mark at, const char *fmt, va_list ap)
{
	_cleanup_free_ char *text = NULL;

	if (vasprintf(&text, fmt, ap) < 0) {
		text = NULL;
		return error_set(doc->error, -EINVAL, "%s:%u:%u: refused", doc->source, at.line,
				 at.column);
	}
	text_defuse(text);
	return error_set(doc->error, -EINVAL, "%s:%u:%u: %s", doc->source, at.line, at.column,
			 text);
}

int doc_error(struct doc *doc, const struct yaml_node *node, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = doc_verror(doc, node->at, fmt, ap);
	va_end(ap);
	return r;
}

const char *doc_show(struct doc *doc, const struct yaml_node *node)
{
	size_t n;

	if (node->kind == YAML_SEQUENCE)
		return "a list";
	if (node->kind == YAML_MAPPING)
		return "a mapping";
	if (!*node->text)
		return "nothing";
	n = strlen(node->text);
	if (n <= SHOWN_MAX)
		return arena_printf(doc->arena, "\"%s\"", node->text);
	n = SHOWN_MAX;
	while (n && ((unsigned char)node->text[n] & 0xc0) == 0x80)
		n--;
	return arena_printf(doc->arena, "\"%.*s...\"", (int)n, node->text);
}

static size_t min_of(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* How many letters to insert, drop, change or swap with the next; @b has at most WORD_MAX. */
static size_t edit_distance(const char *a, size_t n_a, const char *b, size_t n_b)
{
	size_t rows[3][WORD_MAX + 1], *before = rows[0], *last = rows[1], *now = rows[2];

	for (size_t j = 0; j <= n_b; j++)
		last[j] = before[j] = j;
	for (size_t i = 1; i <= n_a; i++) {
		size_t *spare = before;

		now[0] = i;
		for (size_t j = 1; j <= n_b; j++) {
			now[j] = min_of(min_of(last[j], now[j - 1]) + 1,
					last[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				now[j] = min_of(now[j], before[j - 2] + 1);
		}
		before = last;
		last = now;
		now = spare;
	}
	return last[n_b];
}

const char *nearest_word(const char *word, const char *const *names, size_t n_names)
{
	size_t n = strlen(word), best = SIZE_MAX;
	const char *nearest = NULL;

	if (n < 2 || n > WORD_MAX)
		return NULL;
	for (size_t i = 0; i < n_names; i++) {
		size_t m = strlen(names[i]), distance;

		if (m > WORD_MAX)
			continue;
		/* A beginning, "auto" for "automatic", is as near as one wrong letter. */
		if (n >= PREFIX_MIN && after_prefix(names[i], word))
			distance = 1;
		else
			distance = edit_distance(word, n, names[i], m);
		/* A word of which a third is wrong is another word. */
		if (distance > best || distance > 1 + min_of(n, m) / 4 || distance >= m)
			continue;
		nearest = distance < best ? names[i] : NULL; /* two as near are no answer */
		best = distance;
	}
	return nearest;
}

/* "a, b, c" in the arena; NULL when out of memory. */
static const char *join(struct arena *a, const char *const *names, size_t n_names)
{
	const char *text = "";

	for (size_t i = 0; text && i < n_names; i++)
		text = arena_printf(a, "%s%s%s", text, i ? ", " : "", names[i]);
	return text;
}

int doc_unknown_key(struct doc *doc, const struct yaml_node *key, const char *const *names,
		    size_t n_names)
{
	const char *near = nearest_word(key->text, names, n_names), *list;
	const char *shown = doc_show(doc, key);

	if (!shown)
		return -ENOMEM;
	doc_error(doc, key, "unknown key %s", *key->text ? shown : "\"\"");
	if (near) {
		error_todo(doc->error, "did you mean \"%s\"?", near);
		return -EINVAL;
	}
	list = join(doc->arena, names, n_names);
	if (list)
		error_todo(doc->error, "valid keys: %s", list);
	return list ? -EINVAL : -ENOMEM;
}

/* "expected WHAT, found ..."; returns -EINVAL, or -ENOMEM. */
static int refuse_value(struct doc *doc, const struct yaml_node *node, const char *what)
{
	const char *shown = doc_show(doc, node);

	return shown ? doc_error(doc, node, "expected %s, found %s", what, shown) : -ENOMEM;
}

/* A number or a truth value in quotes is a string. */
static int refuse_quoted(struct doc *doc, const struct yaml_node *node, const char *what)
{
	int r = refuse_value(doc, node, what);

	if (r == -EINVAL && node->kind == YAML_SCALAR && !node->plain && *node->text)
		error_todo(doc->error, "write it without quotes");
	return r;
}

int doc_choice(struct doc *doc, const struct yaml_node *node, const char *const *names, int *ret)
{
	const char *what, *near;
	size_t n = 0;
	int r;

	for (; names[n]; n++) {
		if (node->kind == YAML_SCALAR && streq(node->text, names[n])) {
			*ret = (int)n;
			return 0;
		}
	}
	what = join(doc->arena, names, n);
	if (what && n > 1)
		what = arena_printf(doc->arena, "one of %s", what);
	else if (what)
		what = arena_printf(doc->arena, "\"%s\"", what);
	if (!what)
		return -ENOMEM;
	r = refuse_value(doc, node, what);
	near = node->kind == YAML_SCALAR ? nearest_word(node->text, names, n) : NULL;
	if (r == -EINVAL && near)
		error_todo(doc->error, "did you mean \"%s\"?", near);
	return r;
}

/* Decimal digits and nothing else: 010 and 0x10 mean different numbers to different readers. */
static bool parse_number(const char *text, uint64_t *ret)
{
	uint64_t n = 0;

	if (!*text || (text[0] == '0' && text[1]))
		return false;
	for (const char *p = text; *p; p++) {
		if (*p < '0' || *p > '9' || __builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(*p - '0'), &n))
			return false;
	}
	*ret = n;
	return true;
}

int doc_unsigned(struct doc *doc, const struct yaml_node *node, uint64_t min, uint64_t max,
		 uint64_t *ret)
{
	const char *what;
	uint64_t n;

	if (node->kind == YAML_SCALAR && node->plain && parse_number(node->text, &n) && n >= min &&
	    n <= max) {
		*ret = n;
		return 0;
	}
	what = arena_printf(doc->arena, "a whole number from %" PRIu64 " to %" PRIu64, min, max);
	return what ? refuse_quoted(doc, node, what) : -ENOMEM;
}

int doc_bool(struct doc *doc, const struct yaml_node *node, bool *ret)
{
	static const char *const words[] = { "false", "true", "no", "yes", "off", "on" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (node->kind == YAML_SCALAR && node->plain && streq(node->text, words[i])) {
			*ret = i % 2;
			return 0;
		}
	}
	return refuse_quoted(doc, node, "true or false");
}

int doc_string(struct doc *doc, const struct yaml_node *node, const char **ret)
{
	if (node->kind != YAML_SCALAR || !*node->text)
		return refuse_value(doc, node, "a text");
	*ret = node->text;
	return 0;
}

int doc_size_kib(struct doc *doc, const struct yaml_node *node, uint64_t *ret)
{
	const char *text = node->kind == YAML_SCALAR ? node->text : "";
	uint64_t kib;

	/* The unit is required: bare, the kernel means bytes and people mean anything. */
	if (!*text || !strchr("kKmMgGtT", text[strlen(text) - 1]) ||
	    parse_size_kib(text, &kib) < 0 || !kib)
		return refuse_value(doc, node, "a size with its unit, such as 2M or 1G");
	if (kib > SIZE_LIMIT_KIB)
		return refuse_value(doc, node, "a size of at most 16T");
	*ret = kib;
	return 0;
}

static int refuse_unknown(struct doc *doc, const struct yaml_node *key, const struct doc_key *keys,
			  size_t n_keys)
{
	const char **names = arena_alloc(doc->arena, n_keys * sizeof(*names));

	if (!names)
		return -ENOMEM;
	for (size_t i = 0; i < n_keys; i++)
		names[i] = keys[i].name;
	return doc_unknown_key(doc, key, names, n_keys);
}

static bool is_key(const char *text, const struct doc_key *keys, size_t n_keys)
{
	for (size_t i = 0; i < n_keys; i++)
		if (streq(keys[i].name, text))
			return true;
	return false;
}

int doc_mapping(struct doc *doc, const struct yaml_node *node, const struct doc_key *keys,
		size_t n_keys, void *target)
{
	if (node->kind != YAML_MAPPING)
		return refuse_value(doc, node, "a mapping (KEY: VALUE)");
	for (size_t i = 0; i < node->n_items; i++)
		if (!is_key(node->keys[i]->text, keys, n_keys))
			return refuse_unknown(doc, node->keys[i], keys, n_keys);
	for (size_t i = 0; i < n_keys; i++) {
		const struct yaml_node *value = yaml_get(node, keys[i].name);
		int r = 0;

		if (value)
			r = keys[i].parse(doc, value, target);
		else if (keys[i].required)
			r = doc_error(doc, node, "the key \"%s\" is missing", keys[i].name);
		if (r < 0)
			return r;
	}
	return 0;
}

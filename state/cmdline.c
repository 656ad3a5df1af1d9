/*
 * The command line is a list of arguments in the order written, `--` and what follows it included,
 * so that formatting gives everything back. But the kernel stops at `--`: looking up, counting and
 * removing see only what is before it, and appending inserts before it.
 *
 * Invariant: every argument in the list can be written such that next_arg() reads the same key and
 * value back. Whatever was parsed has that property; cmdline_append() refuses what has not.
 */
#include "state/cmdline.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>

void cmdline_done(struct cmdline *c)
{
	if (!c)
		return;
	arena_free(&c->arena);
	*c = (struct cmdline){ 0 };
}

/* As the kernel's ctype table has it: the no-break space of Latin-1 counts. */
static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r') || (unsigned char)c == 0xa0;
}

static const char *skip_blanks(const char *s)
{
	while (is_blank(*s))
		s++;
	return s;
}

/* A key and a value inside some text; value is NULL for a bare flag. */
struct token {
	const char *key, *value;
	size_t key_len, value_len;
};

/*
 * lib/cmdline.c next_arg(). Quotes toggle wherever they stand; one at the very begin of the token
 * or of the value is dropped together with the closing one, all others stay in the text.
 * Returns where the token ended, or NULL when a quote is still open there.
 */
static const char *next_token(const char *s, struct token *ret)
{
	bool quoted = *s == '"', in_quote = quoted;
	size_t equals = 0, end, n;

	if (quoted)
		s++;
	for (n = 0; s[n] && (in_quote || !is_blank(s[n])); n++) {
		if (s[n] == '=' && equals == 0)
			equals = n;
		if (s[n] == '"')
			in_quote = !in_quote;
	}
	if (in_quote)
		return NULL;
	end = n;
	*ret = (struct token){ .key = s, .key_len = equals };
	if (equals) {
		ret->value = s + equals + 1;
		if (*ret->value == '"') {
			ret->value++;
			quoted = true;
		}
	}
	if (quoted && end > 0 && s[end - 1] == '"')
		end--;
	if (!equals)
		ret->key_len = end;
	else if (s + end > ret->value) /* `key="`, closed by the quote before key, has no room */
		ret->value_len = (size_t)(s + end - ret->value);
	return s + n;
}

static bool token_is(const struct token *t, const struct cmdline_arg *a)
{
	if (t->key_len != strlen(a->key) || memcmp(t->key, a->key, t->key_len) != 0)
		return false;
	if (!t->value || !a->value)
		return !t->value && !a->value;
	return t->value_len == strlen(a->value) && memcmp(t->value, a->value, t->value_len) == 0;
}

static bool ends_options(const struct cmdline_arg *a)
{
	return !a->value && streq(a->key, "--");
}

/* How many arguments are the kernel's. */
static size_t n_kernel_args(const struct cmdline *c)
{
	size_t n = 0;

	while (n < c->n_args && !ends_options(&c->args[n]))
		n++;
	return n;
}

static int add_copy(struct cmdline *c, const struct token *t)
{
	struct cmdline_arg arg = { .key = arena_strndup(&c->arena, t->key, t->key_len) };
	struct cmdline_arg *new;

	if (t->value)
		arg.value = arena_strndup(&c->arena, t->value, t->value_len);
	if (!arg.key || (t->value && !arg.value))
		return -ENOMEM;
	new = arena_grow(&c->arena, &c->args, &c->n_args, sizeof(*c->args));
	if (!new)
		return -ENOMEM;
	*new = arg;
	return 0;
}

int cmdline_parse(const char *text, struct cmdline *ret)
{
	_cleanup_cmdline_ struct cmdline c = { 0 };
	int r;

	for (const char *p = skip_blanks(text); *p; p = skip_blanks(p)) {
		struct token t;

		p = next_token(p, &t);
		if (!p)
			return -EINVAL;
		r = add_copy(&c, &t);
		if (r < 0)
			return r;
	}
	*ret = c;
	c = (struct cmdline){ 0 };
	return 0;
}

bool cmdline_key_equal(const char *a, const char *b)
{
	for (;; a++, b++) {
		char x = *a == '-' ? '_' : *a, y = *b == '-' ? '_' : *b;

		if (x != y)
			return false;
		if (x == '\0')
			return true;
	}
}

const struct cmdline_arg *cmdline_get(const struct cmdline *c, const char *key)
{
	for (size_t i = n_kernel_args(c); i-- > 0;)
		if (cmdline_key_equal(c->args[i].key, key))
			return &c->args[i];
	return NULL;
}

size_t cmdline_count(const struct cmdline *c, const char *key)
{
	size_t n = n_kernel_args(c), found = 0;

	for (size_t i = 0; i < n; i++)
		found += cmdline_key_equal(c->args[i].key, key);
	return found;
}

/*
 * Writes @a in the first way of quoting that reads back as the same: plain, value quoted, token
 * quoted, and for arguments with quotes of their own the odd mixtures of these. @buf holds
 * arg_size(a) bytes. False if no way exists.
 */
static size_t arg_size(const struct cmdline_arg *a)
{
	return strlen(a->key) + (a->value ? strlen(a->value) : 0) + sizeof("\"=\"\"");
}

static bool write_arg(const struct cmdline_arg *a, char *buf)
{
	enum { CLOSE = 1, VALUE = 2, TOKEN = 4, LAST = CLOSE | VALUE | TOKEN };
	static const unsigned order[] = {
		0,     CLOSE | VALUE, TOKEN | CLOSE, TOKEN, TOKEN | VALUE | CLOSE, TOKEN | VALUE,
		VALUE, CLOSE
	};

	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		unsigned how = order[i];
		struct token t;
		const char *end;

		snprintf(buf, arg_size(a), "%s%s%s%s%s%s", how & TOKEN ? "\"" : "", a->key,
			 a->value ? "=" : "", how & VALUE ? "\"" : "", a->value ? a->value : "",
			 how & CLOSE ? "\"" : "");
		if (!*buf || is_blank(*buf))
			continue;
		end = next_token(buf, &t);
		if (end && !*end && token_is(&t, a))
			return true;
	}
	return false;
}

int cmdline_append(struct cmdline *c, const char *key, const char *value)
{
	struct cmdline_arg arg = { .key = key, .value = value };
	_cleanup_free_ char *buf = malloc(arg_size(&arg));
	struct token t = { .key = key, .key_len = strlen(key), .value = value };
	size_t at = n_kernel_args(c);
	int r;

	if (!buf)
		return -ENOMEM;
	if (ends_options(&arg) || !write_arg(&arg, buf))
		return -EINVAL;
	t.value_len = value ? strlen(value) : 0;
	r = add_copy(c, &t);
	if (r < 0)
		return r;
	arg = c->args[c->n_args - 1];
	memmove(&c->args[at + 1], &c->args[at], (c->n_args - 1 - at) * sizeof(*c->args));
	c->args[at] = arg;
	return 0;
}

size_t cmdline_remove(struct cmdline *c, const char *key)
{
	size_t n = n_kernel_args(c), kept = 0;

	for (size_t i = 0; i < c->n_args; i++)
		if (i >= n || !cmdline_key_equal(c->args[i].key, key))
			c->args[kept++] = c->args[i];
	n = c->n_args - kept;
	c->n_args = kept;
	return n;
}

char *cmdline_format(const struct cmdline *c)
{
	size_t size = 1;
	char *text, *p;

	for (size_t i = 0; i < c->n_args; i++)
		size += arg_size(&c->args[i]);
	p = text = malloc(size);
	if (!text)
		return NULL;
	*p = '\0';
	for (size_t i = 0; i < c->n_args; i++) {
		if (i)
			*p++ = ' ';
		write_arg(&c->args[i], p);
		p += strlen(p);
	}
	return text;
}

/*
 * A word ends at a blank or at one of {}|&;<> outside of quotes. Single quotes protect everything,
 * double quotes all but `$` and `\` before one of $"\ and newline; outside of quotes `\` protects
 * the next character. `#` begins a comment where a word could begin.
 *
 * All words go into one buffer made at the begin: the text of a word is at most twice its source
 * ("$n" comes out as "${n}"), and each takes a NUL.
 */
#include "state/grub_lexer.h"

#include <ctype.h>
#include <errno.h>

static bool ends_word(char c)
{
	return c == '\0' || strchr(" \t\n{}|&;<>", c) != NULL;
}

/* The length of the variable's name at @p, which is behind the `$` or `${`; 0 if there is none. */
static size_t name_length(const char *p)
{
	size_t n = 0;

	if (*p && strchr("?#*@", *p))
		return 1;
	if (isdigit((unsigned char)*p)) {
		while (isdigit((unsigned char)p[n]))
			n++;
		return n;
	}
	while (isalnum((unsigned char)p[n]) || p[n] == '_')
		n++;
	return n;
}

/* At a `$`: writes "${name}" to *out. A lone `$`, an error to GRUB, stays as it is. */
static const char *take_variable(const char *p, char **out)
{
	bool braces = p[1] == '{';
	const char *name = p + 1 + braces;
	size_t n = name_length(name);

	if (n == 0 || (braces && name[n] != '}')) {
		*(*out)++ = '$';
		return p + 1;
	}
	*out = mempcpy(*out, "${", 2);
	*out = mempcpy(*out, name, n);
	*(*out)++ = '}';
	return name + n + braces;
}

/* Behind the opening quote. Returns where the closing one is, or NULL. */
static const char *take_double_quoted(const char *p, char **out)
{
	while (*p != '"') {
		if (*p == '\0')
			return NULL;
		if (*p == '$') {
			p = take_variable(p, out);
			continue;
		}
		if (*p == '\\' && p[1] && strchr("$\"\\\n", p[1])) {
			if (p[1] != '\n')
				*(*out)++ = p[1];
			p += 2;
			continue;
		}
		*(*out)++ = *p++;
	}
	return p;
}

/* One step of a word at @p; NULL for an open quote. */
static const char *take_part(const char *p, char **out, bool *quoted)
{
	const char *close;

	switch (*p) {
	case '\'':
		*quoted = true;
		close = strchr(p + 1, '\'');
		if (!close)
			return NULL;
		*out = mempcpy(*out, p + 1, (size_t)(close - p - 1));
		return close + 1;
	case '"':
		*quoted = true;
		close = take_double_quoted(p + 1, out);
		return close ? close + 1 : NULL;
	case '\\':
		*quoted = true;
		if (p[1] == '\0')
			return p + 1;
		if (p[1] != '\n')
			*(*out)++ = p[1];
		return p + 2;
	case '$':
		if (p[1] == '"') /* a text to be translated */
			return p + 1;
		return take_variable(p, out);
	default:
		*(*out)++ = *p;
		return p + 1;
	}
}

int grub_lexer_init(struct grub_lexer *l, const char *text, struct arena *a)
{
	*l = (struct grub_lexer){ .p = text, .line = 1 };
	l->out = arena_alloc(a, 3 * strlen(text) + 1);
	return l->out ? 0 : -ENOMEM;
}

static void count_lines(struct grub_lexer *l, const char *to)
{
	for (const char *p = l->p; p < to; p++)
		l->line += *p == '\n';
	l->p = to;
}

static int read_word(struct grub_lexer *l, struct grub_word *ret)
{
	struct grub_word word = { .text = l->out };
	const char *p = l->p;

	while (!ends_word(*p)) {
		p = take_part(p, &l->out, &word.quoted);
		if (!p)
			return -EINVAL;
	}
	*l->out++ = '\0';
	count_lines(l, p);
	*ret = word;
	return 0;
}

/* Blanks, escaped newlines and a comment. */
static void skip_space(struct grub_lexer *l)
{
	const char *p = l->p;

	for (;;) {
		if (*p == ' ' || *p == '\t' || *p == '\r')
			p++;
		else if (p[0] == '\\' && p[1] == '\n')
			p += 2;
		else
			break;
	}
	if (*p == '#')
		p += strcspn(p, "\n");
	count_lines(l, p);
}

int grub_lexer_next(struct grub_lexer *l, struct arena *a, struct grub_command *ret)
{
	struct grub_command c = { .end = GRUB_END_TEXT };
	struct grub_word word, *new;
	int r;

	for (skip_space(l); !ends_word(*l->p); skip_space(l)) {
		r = read_word(l, &word);
		if (r < 0)
			return r;
		new = arena_grow(a, &c.words, &c.n_words, sizeof(*c.words));
		if (!new)
			return -ENOMEM;
		*new = word;
	}
	c.line = l->line;
	if (*l->p) {
		c.end = *l->p == '{'   ? GRUB_END_OPEN
			: *l->p == '}' ? GRUB_END_CLOSE
				       : GRUB_END_LINE;
		count_lines(l, l->p + 1);
	}
	*ret = c;
	return 0;
}

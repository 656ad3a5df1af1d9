/*
 * The text of a table of forwards, read strictly: nothing gets into a rule that is not a number or
 * an address.
 */
#include "guest/forward_table.h"

#include <errno.h>

static int parse_port(const char *text, unsigned *ret)
{
	unsigned long value;

	if (!*text || strspn(text, "0123456789") != strlen(text) || strlen(text) > 5)
		return -EINVAL;
	value = strtoul(text, NULL, 10);
	if (value == 0 || value > 65535)
		return -EINVAL;
	*ret = (unsigned)value;
	return 0;
}

int forward_add_source(struct arena *a, struct forward *f, const struct address *address)
{
	struct address *from = arena_grow(a, &f->from, &f->n_from, sizeof(*from));

	if (!from)
		return -ENOMEM;
	*from = *address;
	return 0;
}

int forward_parse_to(struct arena *a, const char *text, struct forward *f)
{
	struct address to;
	int r = strchr(text, '/') ? -EINVAL : address_parse(a, text, &to);

	if (r < 0)
		return r;
	f->to = to.text;
	f->to_ip6 = to.ip6;
	return 0;
}

/* "PORT [to ADDRESS] from SOURCE, SOURCE" */
static int parse_line(struct arena *a, char *line, struct forward *f)
{
	char *from = strstr(line, " from "), *to, *at, *source;
	int r;

	if (!from)
		return -EINVAL;
	*from = '\0';
	to = strstr(line, " to ");
	if (to) {
		*to = '\0';
		r = forward_parse_to(a, to + strlen(" to "), f);
		if (r < 0)
			return r;
	}
	r = parse_port(line, &f->port);
	if (r < 0)
		return r;
	for (source = strtok_r(from + strlen(" from "), ", ", &at); source;
	     source = strtok_r(NULL, ", ", &at)) {
		struct address address;

		r = address_parse(a, source, &address);
		if (r == 0)
			r = forward_add_source(a, f, &address);
		if (r < 0)
			return r;
	}
	return f->n_from ? 0 : -EINVAL;
}

int forward_parse_text(struct arena *a, const char *text, struct table *t)
{
	char *copy = arena_strdup(a, text), *at, *line;

	if (!copy)
		return -ENOMEM;
	for (line = strtok_r(copy, "\n", &at); line; line = strtok_r(NULL, "\n", &at)) {
		struct forward *f =
			arena_grow(a, &t->forwards, &t->n_forwards, sizeof(*t->forwards));
		int r = f ? parse_line(a, line, f) : -ENOMEM;

		if (r < 0)
			return r;
	}
	return 0;
}

const char *forward_table_text(struct arena *a, const struct table *t)
{
	const char *text = "";

	for (size_t i = 0; text && i < t->n_forwards; i++) {
		const struct forward *f = &t->forwards[i];

		text = arena_printf(a, "%s%s%u%s%s from ", text, i ? "\n" : "", f->port,
				    f->to ? " to " : "", f->to ? f->to : "");
		for (size_t k = 0; text && k < f->n_from; k++) {
			const char *source = address_text(a, &f->from[k]);

			text = source ? arena_printf(a, "%s%s%s", text, k ? ", " : "", source)
				      : NULL;
		}
	}
	return text;
}

/*
 * The text of a table of forwards, read strictly: nothing gets into a rule that is not a number or
 * an address that inet_pton(3) knows.
 */
#include "guest/forward_table.h"

#include <arpa/inet.h>
#include <errno.h>

static int parse_number(const char *text, unsigned max, unsigned *ret)
{
	unsigned long value;

	if (!*text || strspn(text, "0123456789") != strlen(text) || strlen(text) > 5)
		return -EINVAL;
	value = strtoul(text, NULL, 10);
	if (value > max)
		return -EINVAL;
	*ret = (unsigned)value;
	return 0;
}

int forward_parse_address(struct arena *a, const char *text, struct address *ret)
{
	struct address address = { .ip6 = strchr(text, ':') };
	unsigned char bytes[16] = { 0 };
	char buffer[INET6_ADDRSTRLEN];
	char *copy = arena_strdup(a, text), *slash = copy ? strchr(copy, '/') : NULL;
	int family = address.ip6 ? AF_INET6 : AF_INET;
	unsigned full = address.ip6 ? 128 : 32;

	if (!copy)
		return -ENOMEM;
	if (slash)
		*slash++ = '\0';
	address.length = full;
	if (inet_pton(family, copy, bytes) != 1 ||
	    (slash && parse_number(slash, full, &address.length) < 0))
		return -EINVAL;
	for (unsigned bit = address.length; bit < full; bit++)
		bytes[bit / 8] &= (unsigned char)~(0x80U >> bit % 8);
	address.text = arena_strdup(a, inet_ntop(family, bytes, buffer, sizeof(buffer)));
	if (!address.text)
		return -ENOMEM;
	*ret = address;
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
	int r = strchr(text, '/') ? -EINVAL : forward_parse_address(a, text, &to);

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
	r = parse_number(line, 65535, &f->port);
	if (r < 0 || f->port == 0)
		return -EINVAL;
	for (source = strtok_r(from + strlen(" from "), ", ", &at); source;
	     source = strtok_r(NULL, ", ", &at)) {
		struct address address;

		r = forward_parse_address(a, source, &address);
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

static const char *address_text(struct arena *a, const struct address *x)
{
	if (x->length == (x->ip6 ? 128U : 32U))
		return x->text;
	return arena_printf(a, "%s/%u", x->text, x->length);
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

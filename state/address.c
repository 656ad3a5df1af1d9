/*
 * Read strictly: an address is what inet_pton(3) knows, a length one to three digits and no longer
 * than the family has bits.
 */
#include "state/address.h"

#include <arpa/inet.h>
#include <errno.h>

static int parse_length(const char *text, unsigned full, unsigned *ret)
{
	size_t n = strlen(text);
	unsigned long value;

	if (!n || n > 3 || strspn(text, "0123456789") != n)
		return -EINVAL;
	value = strtoul(text, NULL, 10);
	if (value > full)
		return -EINVAL;
	*ret = (unsigned)value;
	return 0;
}

int address_parse(struct arena *a, const char *text, struct address *ret)
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
	    (slash && parse_length(slash, full, &address.length) < 0))
		return -EINVAL;
	for (unsigned bit = address.length; bit < full; bit++)
		bytes[bit / 8] &= (unsigned char)~(0x80U >> bit % 8);
	address.text = arena_strdup(a, inet_ntop(family, bytes, buffer, sizeof(buffer)));
	if (!address.text)
		return -ENOMEM;
	*ret = address;
	return 0;
}

const char *address_text(struct arena *a, const struct address *x)
{
	if (x->length == (x->ip6 ? 128U : 32U))
		return x->text;
	return arena_printf(a, "%s/%u", x->text, x->length);
}

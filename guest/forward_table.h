#pragma once
/* A table of forwards between its three forms: our text, what it means, and nftables' JSON. */
#include <jansson.h>

#include "state/address.h"

#define FORWARD_TABLE "latencyd"

struct forward {
	unsigned port;
	const char *to; /* NULL: not translated */
	bool to_ip6;
	struct address *from;
	size_t n_from;
};

struct table {
	struct forward *forwards;
	size_t n_forwards;
};

static inline void json_donep(json_t **j)
{
	json_decref(*j);
}
#define _cleanup_json_ _cleanup_(json_donep)

int forward_add_source(struct arena *a, struct forward *f, const struct address *address);
int forward_parse_to(struct arena *a, const char *text, struct forward *f);
/* Text to table, appended: -EINVAL. And back: NULL when out of memory. */
int forward_parse_text(struct arena *a, const char *text, struct table *t);
const char *forward_table_text(struct arena *a, const struct table *t);

/* The table, its chains, its rules, in the order in which nft lists them. Out of memory shows as a
 * NULL or as a missing element, and then as a difference when the table is read back. */
json_t *forward_render(const struct table *t);
/* Adds to @t what the listed @rule says of ports, sources and destinations; whether it says nothing
 * else is for the caller to ask, by rendering. -EEXIST: it cannot be one of ours. */
int forward_read_rule(struct arena *a, const json_t *rule, struct table *t);
/* Is the member @key of @object the string @want? */
bool forward_is_text(const json_t *object, const char *key, const char *want);

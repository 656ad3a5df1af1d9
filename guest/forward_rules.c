/*
 * Which chains and rules a table of forwards means, in libnftables' JSON (libnftables-json(5)), and
 * what a listed rule says.
 *
 * One rule a source, in the order of the text. Sources that are not named are dropped in `input`;
 * what is translated leaves by `forward`, where it is checked again, so that a connection whose
 * source has been dropped from the list ends with the next packet.
 */
#include "guest/forward_table.h"

#include <errno.h>

#define TABLE	 FORWARD_TABLE
#define SSH_PORT 22

bool forward_is_text(const json_t *object, const char *key, const char *want)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text && streq(text, want);
}

static json_t *match(const char *op, json_t *left, json_t *right)
{
	return json_pack("{s:{s:s, s:o, s:o}}", "match", "op", op, "left", left, "right", right);
}

static json_t *payload_is(const char *protocol, const char *field, json_t *value)
{
	return match(
		"==", json_pack("{s:{s:s, s:s}}", "payload", "protocol", protocol, "field", field),
		value);
}

static json_t *port_is(unsigned port)
{
	return payload_is("tcp", "dport", json_integer(port));
}

static json_t *source_is(const struct address *x)
{
	json_t *value = x->length == (x->ip6 ? 128U : 32U)
				? json_string(x->text)
				: json_pack("{s:{s:s, s:I}}", "prefix", "addr", x->text, "len",
					    (json_int_t)x->length);

	return payload_is(x->ip6 ? "ip6" : "ip", "saddr", value);
}

static json_t *destination_is_ours(void)
{
	return match("==", json_pack("{s:{s:s, s:[s]}}", "fib", "result", "type", "flags", "daddr"),
		     json_string("local"));
}

/* Appends what tells a translated packet of @f to the guest. */
static void add_translated(json_t *expr, const struct forward *f)
{
	json_array_append_new(expr,
			      payload_is(f->to_ip6 ? "ip6" : "ip", "daddr", json_string(f->to)));
	json_array_append_new(expr, port_is(SSH_PORT));
	json_array_append_new(expr, match("in", json_pack("{s:{s:s}}", "ct", "key", "status"),
					  json_string("dnat")));
	json_array_append_new(expr, match("==",
					  json_pack("{s:{s:s, s:s}}", "ct", "key", "proto-dst",
						    "dir", "original"),
					  json_integer(f->port)));
}

static void add_rule(json_t *rules, const char *chain, json_t *expr)
{
	json_array_append_new(rules, json_pack("{s:{s:s, s:s, s:s, s:o}}", "rule", "family", "inet",
					       "table", TABLE, "chain", chain, "expr", expr));
}

static void add_chain(json_t *chains, const char *name, const char *type, int priority)
{
	json_array_append_new(chains,
			      json_pack("{s:{s:s, s:s, s:s, s:s, s:s, s:i, s:s}}", "chain",
					"family", "inet", "table", TABLE, "name", name, "type",
					type, "hook", name, "prio", priority, "policy", "accept"));
}

static void add_input(json_t *rules, const struct forward *f)
{
	for (size_t i = 0; i < f->n_from; i++)
		add_rule(rules, "input",
			 json_pack("[o, o, {s:n}]", source_is(&f->from[i]), port_is(f->port),
				   "accept"));
	add_rule(rules, "input", json_pack("[o, {s:n}]", port_is(f->port), "drop"));
}

/* A source of the other family can never reach the guest's address: it has no rule here. */
static void add_forward(json_t *rules, const struct forward *f)
{
	json_t *expr;

	for (size_t i = 0; f->to && i < f->n_from; i++) {
		if (f->from[i].ip6 != f->to_ip6)
			continue;
		expr = json_pack("[o]", source_is(&f->from[i]));
		add_translated(expr, f);
		json_array_append_new(expr, json_pack("{s:n}", "accept"));
		add_rule(rules, "forward", expr);
	}
	if (!f->to)
		return;
	expr = json_array();
	add_translated(expr, f);
	json_array_append_new(expr, json_pack("{s:n}", "drop"));
	add_rule(rules, "forward", expr);
}

/* Only what is addressed to this machine: what it merely routes is not ours to translate. */
static void add_translation(json_t *rules, const char *chain, const struct forward *f)
{
	for (size_t i = 0; f->to && i < f->n_from; i++)
		if (f->from[i].ip6 == f->to_ip6)
			add_rule(rules, chain,
				 json_pack("[o, o, o, {s:{s:s, s:s, s:i}}]", destination_is_ours(),
					   source_is(&f->from[i]), port_is(f->port), "dnat",
					   "family", f->to_ip6 ? "ip6" : "ip", "addr", f->to,
					   "port", SSH_PORT));
}

static void add_masquerade(json_t *rules, const struct forward *f)
{
	json_t *expr;

	if (!f->to)
		return;
	expr = json_array();
	add_translated(expr, f);
	json_array_append_new(expr, json_pack("{s:n}", "masquerade"));
	add_rule(rules, "postrouting", expr);
}

json_t *forward_render(const struct table *t)
{
	json_t *objects = json_array();
	bool translates = false;

	for (size_t i = 0; i < t->n_forwards; i++)
		translates |= t->forwards[i].to != NULL;
	json_array_append_new(
		objects, json_pack("{s:{s:s, s:s}}", "table", "family", "inet", "name", TABLE));
	add_chain(objects, "input", "filter", 0);
	if (translates) {
		add_chain(objects, "forward", "filter", 0);
		add_chain(objects, "prerouting", "nat", -100);
		add_chain(objects, "output", "nat", -100);
		add_chain(objects, "postrouting", "nat", 100);
	}
	for (size_t i = 0; i < t->n_forwards; i++)
		add_input(objects, &t->forwards[i]);
	for (size_t i = 0; i < t->n_forwards; i++)
		add_forward(objects, &t->forwards[i]);
	for (size_t i = 0; i < t->n_forwards; i++)
		add_translation(objects, "prerouting", &t->forwards[i]);
	for (size_t i = 0; i < t->n_forwards; i++)
		add_translation(objects, "output", &t->forwards[i]);
	for (size_t i = 0; i < t->n_forwards; i++)
		add_masquerade(objects, &t->forwards[i]);
	return objects;
}

/* The right side of the rule's match whose left side is @left's @key @value. */
static const json_t *matched(const json_t *expr, const char *left, const char *key,
			     const char *value)
{
	json_t *item;
	size_t i;

	json_array_foreach(expr, i, item)
	{
		const json_t *m = json_object_get(item, "match");
		const json_t *l = json_object_get(json_object_get(m, "left"), left);

		if (forward_is_text(l, key, value))
			return json_object_get(m, "right");
	}
	return NULL;
}

static const char *read_source(struct arena *a, const json_t *right)
{
	const json_t *prefix = json_object_get(right, "prefix");
	const char *text = json_string_value(prefix ? json_object_get(prefix, "addr") : right);

	if (!text || !prefix)
		return text;
	return arena_printf(a, "%s/%lld", text,
			    (long long)json_integer_value(json_object_get(prefix, "len")));
}

/* The forward of @port that is being read, or a new one. A closing rule ends it. */
static struct forward *forward_of(struct arena *a, struct table *t, unsigned port)
{
	for (size_t i = 0; i < t->n_forwards; i++)
		if (t->forwards[i].port == port)
			return &t->forwards[i];
	return arena_grow(a, &t->forwards, &t->n_forwards, sizeof(*t->forwards));
}

int forward_read_rule(struct arena *a, const json_t *rule, struct table *t)
{
	const json_t *expr = json_object_get(rule, "expr");
	bool input = forward_is_text(rule, "chain", "input");
	const json_t *port = input ? matched(expr, "payload", "field", "dport")
				   : matched(expr, "ct", "key", "proto-dst");
	const char *source = read_source(a, matched(expr, "payload", "field", "saddr"));
	const char *to = json_string_value(matched(expr, "payload", "field", "daddr"));
	json_int_t number = json_integer_value(port);
	struct address address;
	struct forward *f;
	int r = 0;

	if (!input && !forward_is_text(rule, "chain", "postrouting"))
		return 0;
	if (number < 1 || number > 65535)
		return -EEXIST;
	f = forward_of(a, t, (unsigned)number);
	if (!f)
		return -ENOMEM;
	f->port = (unsigned)number;
	if (input && source) {
		r = address_parse(a, source, &address);
		if (r == 0)
			r = forward_add_source(a, f, &address);
	} else if (!input && to) {
		r = forward_parse_to(a, to, f);
	}
	return r == -EINVAL ? -EEXIST : r;
}

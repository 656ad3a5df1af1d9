/*
 * The `measure:` part of the document: how long, how often, and what the result must not exceed.
 * A profile is a row of one table.
 */
#include "state/document_parts.h"

#include <errno.h>
#include <inttypes.h>

#define DURATION_MAX_S (30 * 24 * 3600U)
#define LIMIT_MAX_US   1000000000U

static const struct {
	const char *name;
	unsigned duration_s;
} profiles[] = {
	{ .name = "smoke", .duration_s = 10 },
	{ .name = "quick", .duration_s = 5 * 60 },
	{ .name = "standard", .duration_s = 3600 },
	{ .name = "acceptance", .duration_s = 12 * 3600 },
};
enum { PROFILE_DEFAULT = 1 };

static const char *const profile_names[] = { "smoke", "quick", "standard", "acceptance", NULL };

void measure_defaults(struct desired_measure *m)
{
	*m = (struct desired_measure){
		.profile = profiles[PROFILE_DEFAULT].name,
		.duration_s = profiles[PROFILE_DEFAULT].duration_s,
		.interval_us = 200,
		.max_min_latency_us = -1,
		.max_avg_latency_us = -1,
		.max_max_latency_us = -1,
		.action = SLA_ASSERT,
	};
}

static int parse_profile(struct doc *doc, const struct yaml_node *node, void *target)
{
	struct desired_measure *m = target;
	int choice, r = doc_choice(doc, node, profile_names, &choice);

	if (r < 0)
		return r;
	m->profile = profiles[choice].name;
	m->duration_s = profiles[choice].duration_s;
	return 0;
}

/* "5m" in seconds; 0 when it is no number with a unit of time. */
static uint64_t seconds_of(const char *text)
{
	static const struct {
		const char *unit;
		uint64_t seconds;
	} units[] = {
		{ "s", 1 },    { "sec", 1 },	 { "m", 60 },	 { "min", 60 },
		{ "h", 3600 }, { "hour", 3600 }, { "d", 86400 }, { "day", 86400 },
	};
	uint64_t n = 0;
	size_t digits = strspn(text, "0123456789");

	if (!digits || digits > 9)
		return 0;
	for (size_t i = 0; i < digits; i++)
		n = n * 10 + (uint64_t)(text[i] - '0');
	text += digits + strspn(text + digits, " ");
	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (streq(text, units[i].unit))
			return n * units[i].seconds;
	return 0;
}

static int parse_duration(struct doc *doc, const struct yaml_node *node, void *target)
{
	struct desired_measure *m = target;
	uint64_t n, meant = node->kind == YAML_SCALAR ? seconds_of(node->text) : 0;
	int r;

	if (meant && meant <= DURATION_MAX_S) {
		const char *shown = doc_show(doc, node);

		if (!shown)
			return -ENOMEM;
		doc_error(doc, node, "expected a number of seconds without a unit, found %s",
			  shown);
		error_todo(doc->error, "write %" PRIu64, meant);
		return -EINVAL;
	}
	r = doc_unsigned(doc, node, 1, DURATION_MAX_S, &n);
	if (r < 0)
		return r;
	m->duration_s = (unsigned)n;
	return 0;
}

static int parse_interval(struct doc *doc, const struct yaml_node *node, void *target)
{
	struct desired_measure *m = target;
	uint64_t n;
	int r = doc_unsigned(doc, node, 10, 1000000, &n);

	if (!r)
		m->interval_us = (unsigned)n;
	return r;
}

static int parse_on(struct doc *doc, const struct yaml_node *node, void *target)
{
	static const char *const names[] = { "host", NULL };

	(void)target;
	if (node->kind != YAML_SEQUENCE || !node->n_items)
		return doc_error(doc, node, "expected a list of machines, [host]");
	for (size_t i = 0; i < node->n_items; i++) {
		const struct yaml_node *item = node->items[i];
		int choice, r;

		if (item->kind == YAML_SCALAR && after_prefix(item->text, "guest/"))
			return doc_error(doc, item,
					 "guests are not managed by this version of latencyd");
		r = doc_choice(doc, item, names, &choice);
		if (r < 0)
			return r;
		if (i)
			return doc_error(doc, item, "\"host\" is said twice");
	}
	return 0;
}

static int parse_limit(struct doc *doc, const struct yaml_node *node, int64_t *ret)
{
	uint64_t n;
	int r = doc_unsigned(doc, node, 1, LIMIT_MAX_US, &n);

	if (!r)
		*ret = (int64_t)n;
	return r;
}

static int parse_max_min(struct doc *doc, const struct yaml_node *node, void *target)
{
	return parse_limit(doc, node, &((struct desired_measure *)target)->max_min_latency_us);
}

static int parse_max_avg(struct doc *doc, const struct yaml_node *node, void *target)
{
	return parse_limit(doc, node, &((struct desired_measure *)target)->max_avg_latency_us);
}

static int parse_max_max(struct doc *doc, const struct yaml_node *node, void *target)
{
	return parse_limit(doc, node, &((struct desired_measure *)target)->max_max_latency_us);
}

static int parse_action(struct doc *doc, const struct yaml_node *node, void *target)
{
	static const char *const names[] = { "monitor", "assert", NULL };
	static const enum sla_action actions[] = { SLA_MONITOR, SLA_ASSERT };
	int choice, r = doc_choice(doc, node, names, &choice);

	if (!r)
		((struct desired_measure *)target)->action = actions[choice];
	return r;
}

static int parse_sla(struct doc *doc, const struct yaml_node *node, void *target)
{
	static const struct doc_key keys[] = {
		{ .name = "max_min_latency_us", .parse = parse_max_min },
		{ .name = "max_avg_latency_us", .parse = parse_max_avg },
		{ .name = "max_max_latency_us", .parse = parse_max_max },
		{ .name = "action", .parse = parse_action },
	};

	return doc_mapping(doc, node, keys, ARRAY_SIZE(keys), target);
}

int document_parse_measure(struct doc *doc, const struct yaml_node *node, void *target)
{
	/* The profile first: a duration of its own takes the place of the profile's. */
	static const struct doc_key keys[] = {
		{ .name = "profile", .parse = parse_profile },
		{ .name = "duration", .parse = parse_duration },
		{ .name = "interval", .parse = parse_interval },
		{ .name = "on", .parse = parse_on },
		{ .name = "sla", .parse = parse_sla },
	};
	struct desired *d = target;

	d->measure.declared = true;
	return doc_mapping(doc, node, keys, ARRAY_SIZE(keys), &d->measure);
}

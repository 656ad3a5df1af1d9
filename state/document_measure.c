/*
 * The `measure:` part of the document: how long, how often, under which loads, where, and what the
 * result must not exceed. Profiles, loads and limits are tables.
 */
#include "state/document_parts.h"

#include <errno.h>
#include <inttypes.h>

#define DURATION_MAX_S	(30 * 24 * 3600U)
#define LIMIT_MAX	1000000000U
#define PROFILE_DEFAULT "quick"

void measure_defaults(struct desired_measure *m)
{
	*m = (struct desired_measure){ .action = SLA_ASSERT };
	for (size_t i = 0; i < _SLA_KEY_MAX; i++)
		m->limits[i] = -1;
	measure_set_profile(m, measure_profile(PROFILE_DEFAULT));
}

static int parse_profile(struct doc *doc, const struct yaml_node *node, void *target)
{
	const char **names = arena_alloc(doc->arena, (n_measure_profiles + 1) * sizeof(*names));
	int choice, r;

	if (!names)
		return -ENOMEM;
	for (size_t i = 0; i < n_measure_profiles; i++)
		names[i] = measure_profiles[i].name;
	names[n_measure_profiles] = NULL;
	r = doc_choice(doc, node, names, &choice);
	if (!r)
		measure_set_profile(target, &measure_profiles[choice]);
	return r;
}

uint64_t document_seconds(const char *text)
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

static int parse_seconds(struct doc *doc, const struct yaml_node *node, unsigned *ret)
{
	uint64_t n, meant = node->kind == YAML_SCALAR ? document_seconds(node->text) : 0;
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
	*ret = (unsigned)n;
	return 0;
}

static int parse_duration(struct doc *doc, const struct yaml_node *node, void *target)
{
	struct desired_measure *m = target;
	int r = parse_seconds(doc, node, &m->duration_s);

	if (!r)
		m->segment_s = measure_segment_s(m->duration_s);
	return r;
}

static int parse_segment(struct doc *doc, const struct yaml_node *node, void *target)
{
	struct desired_measure *m = target;
	int r = parse_seconds(doc, node, &m->segment_s);

	if (!r && m->segment_s > m->duration_s)
		return doc_error(doc, node,
				 "a segment is a part of a cell, which lasts %u seconds here",
				 m->duration_s);
	return r;
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

static int parse_loads(struct doc *doc, const struct yaml_node *node, void *target)
{
	struct desired_measure *m = target;
	struct measure_cell *cells = NULL;
	size_t n = 0;

	if (node->kind != YAML_SEQUENCE || !node->n_items)
		return doc_error(doc, node,
				 "expected a list of loads, [idle_idle, cpustress_idle]");
	for (size_t i = 0; i < node->n_items; i++) {
		const struct yaml_node *item = node->items[i];
		const struct measure_cell *known;
		struct measure_cell *cell;

		known = item->kind == YAML_SCALAR ? measure_cell(item->text) : NULL;
		if (!known) {
			doc_error(doc, item, "expected a load of the host and one of the guest");
			error_todo(doc->error, "write HOST_GUEST, each of idle, cpustress, "
					       "memorystress, iostress: cpustress_idle");
			return -EINVAL;
		}
		for (size_t j = 0; j < n; j++)
			if (streq(cells[j].name, known->name))
				return doc_error(doc, item, "\"%s\" is said twice", known->name);
		cell = arena_grow(doc->arena, &cells, &n, sizeof(*cell));
		if (!cell)
			return -ENOMEM;
		*cell = *known;
	}
	m->cells = cells;
	m->n_cells = n;
	return 0;
}

/* That a guest of this name is in the document is checked when all of it is read. */
static int parse_on(struct doc *doc, const struct yaml_node *node, void *target)
{
	struct desired_measure *m = target;
	const char **on = NULL;
	size_t n = 0;

	if (node->kind != YAML_SEQUENCE || !node->n_items)
		return doc_error(doc, node, "expected a list of machines, [host, guest/NAME]");
	for (size_t i = 0; i < node->n_items; i++) {
		const char *name, **place, *guest;
		int r = doc_string(doc, node->items[i], &name);

		if (r < 0)
			return r;
		guest = after_prefix(name, "guest/");
		if (!streq(name, "host") && (!guest || !*guest))
			return doc_error(doc, node->items[i],
					 "expected host or guest/NAME, found \"%s\"", name);
		for (size_t j = 0; j < n; j++)
			if (streq(on[j], name))
				return doc_error(doc, node->items[i], "\"%s\" is said twice", name);
		place = arena_grow(doc->arena, &on, &n, sizeof(*place));
		if (!place)
			return -ENOMEM;
		*place = name;
	}
	m->on = on;
	m->n_on = n;
	return 0;
}

static int parse_on_verified(struct doc *doc, const struct yaml_node *node, void *target)
{
	return doc_bool(doc, node, &((struct desired_measure *)target)->on_verified);
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

/* The row whose key, or Yardstick's name, this is; _SLA_KEY_MAX: none. */
static size_t find_sla(const char *key)
{
	size_t i;

	for (i = 0; i < _SLA_KEY_MAX; i++)
		if (streq(sla_rows[i].key, key) ||
		    (sla_rows[i].yardstick && streq(sla_rows[i].yardstick, key)))
			break;
	return i;
}

static int unknown_sla(struct doc *doc, const struct yaml_node *key)
{
	const char *names[_SLA_KEY_MAX + 1];

	for (size_t i = 0; i < _SLA_KEY_MAX; i++)
		names[i] = sla_rows[i].key;
	names[_SLA_KEY_MAX] = "action";
	return doc_unknown_key(doc, key, names, ARRAY_SIZE(names));
}

static int parse_sla(struct doc *doc, const struct yaml_node *node, void *target)
{
	struct desired_measure *m = target;

	if (node->kind != YAML_MAPPING)
		return doc_mapping(doc, node, NULL, 0, target);
	for (size_t i = 0; i < node->n_items; i++) {
		const struct yaml_node *key = node->keys[i], *value = node->items[i];
		size_t row = find_sla(key->text);
		uint64_t n;
		int r;

		if (streq(key->text, "action")) {
			r = parse_action(doc, value, target);
		} else if (row == _SLA_KEY_MAX) {
			r = unknown_sla(doc, key);
		} else if (m->limits[row] >= 0) {
			r = doc_error(doc, key, "%s is said twice", sla_rows[row].key);
		} else {
			r = doc_unsigned(doc, value, sla_rows[row].zero ? 0 : 1, LIMIT_MAX, &n);
			m->limits[row] = r < 0 ? -1 : (int64_t)n;
		}
		if (r < 0)
			return r;
	}
	return 0;
}

int document_parse_measure(struct doc *doc, const struct yaml_node *node, void *target)
{
	/* The profile first: a duration of its own takes the place of the profile's. */
	static const struct doc_key keys[] = {
		{ .name = "profile", .parse = parse_profile },
		{ .name = "duration", .parse = parse_duration },
		{ .name = "interval", .parse = parse_interval },
		{ .name = "segment", .parse = parse_segment },
		{ .name = "loads", .parse = parse_loads },
		{ .name = "on", .parse = parse_on },
		{ .name = "on_verified", .parse = parse_on_verified },
		{ .name = "sla", .parse = parse_sla },
	};
	struct desired *d = target;

	d->measure.declared = true;
	return doc_mapping(doc, node, keys, ARRAY_SIZE(keys), &d->measure);
}

/*
 * The `drift:` part of the document: what latencyd may mend by itself, whom a change is told to,
 * and how often it looks without being woken. Without it nothing is mended that nobody asked for.
 * It governs the guests of a host too: each finds it in its own document, as far as it means
 * something there, in words that depend on nothing but what it says.
 */
#include <errno.h>

#include "state/document_parts.h"
#include "state/guest.h"
#include "state/settings.h"

#define PASS_DEFAULT_S 30
#define PASS_MIN_S     5
#define PASS_MAX_S     3600
#define ALERTS_DEFAULT (ALERT_JOURNAL | ALERT_DBUS | ALERT_METRICS)

static const char *const repair_names[] = { "none", "runtime", "all", NULL };
static const char *const alert_names[] = { "journal", "dbus", "metrics", "unit", NULL };

void drift_defaults(struct desired_drift *drift)
{
	*drift = (struct desired_drift){
		.alert = ALERTS_DEFAULT,
		.pass_interval_s = PASS_DEFAULT_S,
	};
}

static int read_repair(struct doc *doc, const struct yaml_node *node, enum repair *ret)
{
	int choice, r = doc_choice(doc, node, repair_names, &choice);

	if (!r)
		*ret = (enum repair)choice; /* in the order of the enum */
	return r;
}

static int parse_repair(struct doc *doc, const struct yaml_node *node, void *target)
{
	struct desired *d = target;
	enum repair repair;
	int r = read_repair(doc, node, &repair);

	if (r)
		return r;
	d->drift.repair_otherwise = repair;
	for (size_t i = 0; i < n_settings; i++)
		d->drift.repair[i] = repair;
	return 0;
}

static int parse_its_repair(struct doc *doc, const struct yaml_node *node, void *target)
{
	return read_repair(doc, node, target);
}

static int parse_setting(struct doc *doc, const struct yaml_node *key, const struct yaml_node *node,
			 struct desired *d)
{
	static const struct doc_key keys[] = {
		{ .name = "repair", .parse = parse_its_repair, .required = true },
	};
	const struct setting *s = setting_by_name(key->text);
	const char *names[SETTINGS_MAX];

	for (size_t i = 0; i < n_settings; i++)
		names[i] = settings[i]->name;
	if (!s)
		return doc_unknown_key(doc, key, names, n_settings);
	return doc_mapping(doc, node, keys, ARRAY_SIZE(keys), &d->drift.repair[setting_index(s)]);
}

static int parse_settings(struct doc *doc, const struct yaml_node *node, void *target)
{
	int r = 0;

	if (node->kind != YAML_MAPPING)
		return doc_error(doc, node,
				 "expected settings, as in {irq_affinity: {repair: none}}");
	for (size_t i = 0; !r && i < node->n_items; i++)
		r = parse_setting(doc, node->keys[i], node->items[i], target);
	return r;
}

static int parse_alert(struct doc *doc, const struct yaml_node *node, void *target)
{
	struct desired *d = target;

	if (node->kind != YAML_SEQUENCE)
		return doc_error(doc, node, "expected a list, as in [journal, dbus, metrics]");
	d->drift.alert = 0;
	for (size_t i = 0; i < node->n_items; i++) {
		int choice, r = doc_choice(doc, node->items[i], alert_names, &choice);

		if (r < 0)
			return r;
		d->drift.alert |= 1U << choice; /* in the order of the enum */
	}
	return 0;
}

/* "30s", "2min", or a number of seconds. */
static int parse_interval(struct doc *doc, const struct yaml_node *node, void *target)
{
	uint64_t n = node->kind == YAML_SCALAR ? document_seconds(node->text) : 0;
	struct desired *d = target;

	if (!n) {
		int r = doc_unsigned(doc, node, PASS_MIN_S, PASS_MAX_S, &n);

		if (r < 0)
			return r;
	}
	if (n < PASS_MIN_S || n > PASS_MAX_S)
		return doc_error(doc, node, "expected %u seconds to %u minutes", PASS_MIN_S,
				 PASS_MAX_S / 60);
	d->drift.pass_interval_s = (unsigned)n;
	return 0;
}

int document_parse_drift(struct doc *doc, const struct yaml_node *node, void *target)
{
	/* In this order: a setting's own repair outdoes the one for all. */
	static const struct doc_key keys[] = {
		{ .name = "repair", .parse = parse_repair },
		{ .name = "settings", .parse = parse_settings },
		{ .name = "alert", .parse = parse_alert },
		{ .name = "pass_interval", .parse = parse_interval },
	};

	return doc_mapping(doc, node, keys, ARRAY_SIZE(keys), target);
}

/* ---- against the rest of the document ---- */

/* Does the machine have that setting, or one of its guests? */
static bool is_managed(const struct desired *d, size_t i)
{
	if (d->values[i])
		return true;
	for (const struct desired_guest *g = d->guests; g < d->guests + d->n_guests; g++)
		if (g->state && g->state->values[i])
			return true;
	return false;
}

int document_check_drift(struct doc *doc, const struct yaml_node *root, const struct desired *d)
{
	const struct yaml_node *drift = yaml_get(root, "drift");
	const struct yaml_node *named = drift ? yaml_get(drift, "settings") : NULL;

	for (size_t i = 0; named && i < named->n_items; i++) {
		const struct setting *s = setting_by_name(named->keys[i]->text);

		if (is_managed(d, setting_index(s)))
			continue;
		doc_error(doc, named->keys[i],
			  "the document says nothing of %s, so it cannot drift", s->name);
		error_todo(doc->error, "give it under %s:, or remove it here",
			   d->role == ROLE_GUEST ? "guest"
			   : d->no_machine	 ? "state"
						 : "host");
		return -EINVAL;
	}
	return 0;
}

/* ---- in a guest's document ---- */

void drift_for_guest(const struct desired *d, struct desired *state)
{
	state->drift = d->drift;
	for (size_t i = 0; i < n_settings; i++)
		if (!state->values[i])
			state->drift.repair[i] = d->drift.repair_otherwise;
}

static void emit_repairs(FILE *f, const struct desired_drift *drift)
{
	const char *head = "  settings:\n";

	if (drift->repair_otherwise != REPAIR_NONE)
		fprintf(f, "  repair: %s\n", repair_names[drift->repair_otherwise]);
	for (size_t i = 0; i < n_settings; i++) {
		if (drift->repair[i] == drift->repair_otherwise)
			continue;
		fprintf(f, "%s    %s:\n      repair: %s\n", head, settings[i]->name,
			repair_names[drift->repair[i]]);
		head = "";
	}
}

static void emit_alerts(FILE *f, unsigned alert)
{
	fprintf(f, "  alert:%s\n", alert ? "" : " []");
	for (size_t i = 0; alert_names[i]; i++)
		if (alert >> i & 1)
			fprintf(f, "    - %s\n", alert_names[i]);
}

static bool all_default(const struct desired_drift *drift)
{
	struct desired_drift defaults;

	drift_defaults(&defaults);
	for (size_t i = 0; i < n_settings; i++)
		if (drift->repair[i] != defaults.repair[i])
			return false;
	return drift->repair_otherwise == defaults.repair_otherwise &&
	       drift->alert == defaults.alert && drift->pass_interval_s == defaults.pass_interval_s;
}

void drift_emit(FILE *f, const struct desired *d)
{
	const struct desired_drift *drift = &d->drift;

	if (all_default(drift))
		return;
	fprintf(f, "drift:\n");
	emit_repairs(f, drift);
	if (drift->alert != ALERTS_DEFAULT)
		emit_alerts(f, drift->alert);
	if (drift->pass_interval_s != PASS_DEFAULT_S)
		fprintf(f, "  pass_interval: %u\n", drift->pass_interval_s);
}

/*
 * The memory on disk. It is a file of our own, but what is odd in it (another version's settings, a
 * damaged file) is left out entry by entry: a setting that is not remembered is looked at afresh.
 * What changes with each look (seen_right_us, wake_us) is not kept, so that a look that finds
 * nothing new leaves the same text.
 */
#include <errno.h>

#include <jansson.h>

#include "state/guest.h"
#include "state/reconcile_parts.h"

/* ---- writing ---- */

/* Appends what @value makes to @list; drops the whole list when either is NULL. */
static json_t *appended(json_t *list, json_t *value)
{
	if (json_array_append_new(list, value) == 0)
		return list;
	json_decref(list);
	return NULL;
}

static json_t *counts_to_json(const struct reconcile_entry *e)
{
	json_t *list = json_array();

	for (size_t i = 0; i < e->n_counts; i++)
		list = appended(list,
				json_pack("{s:o, s:I}", "unit", json_any_text(e->counts[i].unit),
					  "n", (json_int_t)e->counts[i].n));
	return list;
}

static unsigned ring_size(const struct reconcile_entry *e)
{
	return e->n_drifts < DRIFTS_KEPT ? e->n_drifts : DRIFTS_KEPT;
}

/* Oldest first. */
static json_t *drifts_to_json(const struct reconcile_entry *e)
{
	json_t *list = json_array();

	for (unsigned i = e->n_drifts - ring_size(e); i != e->n_drifts; i++) {
		const struct past_drift *d = &e->drifts[i % DRIFTS_KEPT];

		list = appended(list, json_pack("{s:I, s:I}", "at_us", (json_int_t)d->at_us,
						"program", (json_int_t)d->program));
	}
	return list;
}

static json_t *entry_to_json(const struct reconcile_entry *e)
{
	return json_pack("{s:o, s:s, s:s, s:s, s:b, s:o, s:o, s:o, s:i, s:b, s:I, s:I, s:i, s:I}",
			 "guest", json_any_text(e->guest), "setting", e->setting->name, "said",
			 verdict_name(e->said), "seen", verdict_name(e->seen), "right", e->right,
			 "counts", counts_to_json(e), "changed_by",
			 e->caused ? writer_to_json(&e->last_writer) : json_null(), "drifts",
			 drifts_to_json(e), "unnamed", (int)e->n_unnamed, "contested", e->contested,
			 "right_since_us", (json_int_t)e->right_since_us, "mended_us",
			 (json_int_t)e->mended_us, "retries", (int)e->n_retries, "retry_us",
			 (json_int_t)e->retry_us);
}

json_t *reconcile_to_json(const struct reconcile *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->n_entries; i++)
		list = appended(list, entry_to_json(&r->entries[i]));
	return json_pack("{s:i, s:o}", "version", 1, "settings", list);
}

/* ---- reading ---- */

static uint64_t number(const json_t *object, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(object, key));

	return n < 0 ? 0 : (uint64_t)n;
}

static unsigned small_number(const json_t *object, const char *key)
{
	uint64_t n = number(object, key);

	return n > INT32_MAX ? INT32_MAX : (unsigned)n;
}

static int counts_from_json(const json_t *list, struct reconcile_entry *e)
{
	const json_t *count;
	size_t i;

	json_array_foreach(list, i, count)
	{
		const char *unit = json_string_value(json_object_get(count, "unit"));

		/* the last place is for the others */
		if (!unit || e->n_counts > DRIFT_UNITS_MAX ||
		    (e->n_counts == DRIFT_UNITS_MAX && !streq(unit, "other")))
			continue;
		e->counts[e->n_counts].unit = strdup(unit);
		if (!e->counts[e->n_counts].unit)
			return -ENOMEM;
		e->counts[e->n_counts++].n = number(count, "n");
	}
	return 0;
}

static int writer_of_drift(const json_t *writer, struct reconcile_entry *e)
{
	int r;

	if (!json_is_object(writer))
		return 0;
	r = writer_from_json(writer, &e->last_writer);
	e->caused = r >= 0;
	return r == -ENOMEM ? r : 0;
}

/* What holds within one boot only: times, and the processes that were. */
static int fight_from_json(const json_t *object, struct reconcile_entry *e)
{
	const json_t *drift;
	size_t i;
	int r;

	r = writer_of_drift(json_object_get(object, "changed_by"), e);
	if (r < 0)
		return r;
	json_array_foreach(json_object_get(object, "drifts"), i, drift)
	{
		json_t *program = json_object_get(drift, "program");

		if (e->n_drifts < DRIFTS_KEPT)
			e->drifts[e->n_drifts++] = (struct past_drift){
				.at_us = number(drift, "at_us"),
				.program = (uint64_t)json_integer_value(program),
			};
	}
	e->n_unnamed = small_number(object, "unnamed");
	e->contested = e->caused && json_is_true(json_object_get(object, "contested"));
	e->right_since_us = number(object, "right_since_us");
	e->mended_us = number(object, "mended_us");
	e->n_retries = small_number(object, "retries");
	e->retry_us = number(object, "retry_us");
	return 0;
}

/* The row of that name: a guest has two kinds. */
static const struct setting *row_of(const char *guest, const char *name)
{
	for (size_t i = 0; guest && i < n_guest_settings; i++)
		if (streq(guest_settings[i]->name, name))
			return guest_settings[i];
	return setting_by_name(name);
}

/* Into the zeroed @e. -EINVAL: not an entry. */
static int entry_from_json(const json_t *object, bool same_boot, struct reconcile_entry *e)
{
	const char *guest = json_string_value(json_object_get(object, "guest"));
	const char *name = json_string_value(json_object_get(object, "setting"));
	int r;

	e->setting = name ? row_of(guest, name) : NULL;
	e->said = verdict_from_json(json_object_get(object, "said"));
	e->seen = verdict_from_json(json_object_get(object, "seen"));
	e->right = json_is_true(json_object_get(object, "right"));
	if (!e->setting || e->said >= VERDICT_UNMANAGED || e->seen >= VERDICT_UNMANAGED)
		return -EINVAL;
	if (guest) {
		e->guest = strdup(guest);
		if (!e->guest)
			return -ENOMEM;
	}
	e->last_writer.uid = -1;
	r = counts_from_json(json_object_get(object, "counts"), e);
	return r < 0 || !same_boot ? r : fight_from_json(object, e);
}

int reconcile_from_json(const json_t *object, bool same_boot, struct reconcile *ret)
{
	const json_t *list = json_object_get(object, "settings");
	struct reconcile r = { 0 };
	const json_t *entry;
	size_t i;

	if (!json_is_array(list))
		return -EINVAL;
	r.entries = calloc(json_array_size(list) + 1, sizeof(*r.entries));
	if (!r.entries)
		return -ENOMEM;
	json_array_foreach(list, i, entry)
	{
		struct reconcile_entry *e = &r.entries[r.n_entries];
		int k = entry_from_json(entry, same_boot, e);

		if (k == -ENOMEM) {
			r.n_entries++;
			reconcile_done(&r);
			return k;
		}
		if (k < 0 || reconcile_find(&r, e->guest, e->setting->name))
			entry_done(e);
		else
			r.n_entries++;
	}
	*ret = r;
	return 0;
}

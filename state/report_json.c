/*
 * One function per object of the JSON shape. A value that cannot be made (out of memory) makes the
 * object around it NULL and so the whole; nothing is ever left out silently. Text comes from the
 * kernel, from drivers and from the document, and need not be UTF-8: json_text() mends it.
 */
#include "state/report_json.h"

#include <errno.h>
#include <stdint.h>

#include <jansson.h>

#include "state/guest.h"
#include "state/settings.h"
#include "state/verdict_guests.h"
#include "state/writer.h"

static const char REPLACEMENT[] = "\xef\xbf\xbd"; /* U+FFFD */

/* The length of the UTF-8 sequence at @s, or 0 when it is none. jansson judges the details
 * (overlong forms, surrogates): this asks it about one sequence at a time. */
static size_t utf8_length(const char *s)
{
	for (size_t n = 1; n <= 4 && s[n - 1]; n++) {
		json_t *one = json_stringn(s, n);

		if (one) {
			json_decref(one);
			return n;
		}
	}
	return 0;
}

static json_t *mended_text(const char *s)
{
	_cleanup_free_ char *mended = malloc(strlen(s) * strlen(REPLACEMENT) + 1);
	char *out = mended;

	if (!mended)
		return NULL;
	while (*s) {
		size_t n = utf8_length(s);

		if (n)
			out = mempcpy(out, s, n);
		else
			out = mempcpy(out, REPLACEMENT, strlen(REPLACEMENT));
		s += n ? n : 1;
	}
	*out = '\0';
	return json_string(mended);
}

/* @s as a JSON string, null for NULL. */
static json_t *json_text(const char *s)
{
	json_t *text;

	if (!s)
		return json_null();
	text = json_string(s);
	return text ? text : mended_text(s);
}

static json_t *json_fact(const struct fact *f)
{
	return fact_known(f) ? json_text(f->text) : json_null();
}

static json_t *json_cpus(const struct cpuset *s)
{
	_cleanup_free_ char *list = cpuset_format_list(s);

	return list ? json_string(list) : NULL;
}

/* The kernel's own word for its preemption model, from the version line ("#1 SMP PREEMPT_RT"). */
static const char *preemption(const struct fact *version)
{
	if (!fact_known(version))
		return NULL;
	if (strstr(version->text, "PREEMPT_RT"))
		return "rt";
	if (strstr(version->text, "PREEMPT_DYNAMIC"))
		return "dynamic";
	return strstr(version->text, "PREEMPT") ? "full" : "none";
}

static json_t *kernel_to_json(const struct observed *o)
{
	if (!o)
		return json_null();
	return json_pack("{s:o, s:o, s:o}", "release", json_fact(&o->kernel_release), "preemption",
			 json_text(preemption(&o->kernel_version)), "cmdline",
			 json_fact(&o->cmdline));
}

static json_t *known_cpus(const struct fact *f, const struct cpuset *s)
{
	return fact_known(f) ? json_cpus(s) : json_null();
}

static json_t *cpus_to_json(const struct desired *d, const struct observed *o)
{
	if (!o)
		return json_null();
	return json_pack("{s:o, s:o, s:o, s:o, s:o}", "possible",
			 known_cpus(&o->cpu_possible, &o->possible), "present",
			 known_cpus(&o->cpu_present, &o->present), "online",
			 known_cpus(&o->cpu_online, &o->online), "isolated",
			 d ? json_cpus(&d->isolated) : json_null(), "housekeeping",
			 d ? json_cpus(&d->housekeeping) : json_null());
}

/* Appends what @value makes to @list; drops the whole list when either is NULL. */
static json_t *appended(json_t *list, json_t *value)
{
	if (json_array_append_new(list, value) == 0)
		return list;
	json_decref(list);
	return NULL;
}

static json_t *evidence_to_json(const struct setting_verdict *v)
{
	json_t *list = json_array();

	for (size_t i = 0; i < v->n_evidence; i++)
		list = appended(list,
				json_pack("{s:o, s:o}", "path", json_text(v->evidence[i].path),
					  "value", json_text(v->evidence[i].value)));
	return list;
}

static json_t *item_to_json(const struct verdict_item *item)
{
	json_t *object = json_pack("{s:o, s:o, s:o, s:o, s:s}", "id", json_text(item->id), "name",
				   json_text(item->name), "live", json_text(item->live), "want",
				   json_text(item->want), "verdict", verdict_name(item->verdict));

	if (object && item->reason &&
	    json_object_set_new(object, "reason", json_text(item->reason)))
		return json_decref(object), NULL;
	return object;
}

static json_t *items_to_json(const struct setting_verdict *v)
{
	json_t *list = json_array();

	for (size_t i = 0; i < v->n_items; i++)
		list = appended(list, item_to_json(&v->items[i]));
	return list;
}

static json_t *setting_to_json(const struct setting_verdict *v)
{
	bool advisory = v->setting->severity == SEVERITY_ADVISORY;

	return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "name",
			 v->setting->name, "verdict", verdict_name(v->verdict), "severity",
			 advisory ? "advisory" : "required", "want", json_text(v->want), "live",
			 json_text(v->live), "next_boot", json_text(v->next_boot), "reason",
			 json_text(v->reason), "since", json_text(v->since), "changed_by",
			 v->changed_by ? writer_to_json(v->changed_by) : json_null(), "evidence",
			 evidence_to_json(v), "items", items_to_json(v));
}

static json_t *settings_to_json(const struct setting_verdict *list, size_t n)
{
	json_t *settings = json_array();

	for (size_t i = 0; i < n; i++)
		settings = appended(settings, setting_to_json(&list[i]));
	return settings;
}

static json_t *guests_to_json(const struct desired *d, const struct report *r)
{
	json_t *guests = json_array();

	for (size_t i = 0; i < r->n_guests; i++) {
		const struct guest_report *g = &r->guests[i];
		const struct desired_guest *want = desired_guest(d, g->name);

		guests = appended(
			guests,
			json_pack("{s:o, s:s, s:s, s:o, s:o, s:o}", "name", json_text(g->name),
				  "verdict", machine_verdict_name(g->verdict), "origin",
				  want && want->origin == GUEST_ADOPT ? "adopt" : "launch",
				  "kernel_release", json_text(g->kernel_release), "boot_id",
				  json_text(g->boot_id), "settings",
				  settings_to_json(g->settings, g->n_settings)));
	}
	return guests;
}

static json_t *status_to_json(const char *document, enum machine_verdict verdict,
			      uint64_t generation, const struct desired *d,
			      const struct observed *o, json_t *settings, json_t *guests)
{
	return json_pack("{s:i, s:s, s:s, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "version", 1,
			 "machine", d && d->role == ROLE_GUEST ? "guest" : "host", "verdict",
			 machine_verdict_name(verdict), "generation", (json_int_t)generation,
			 "document", json_text(document), "document_digest",
			 json_text(d ? d->digest : NULL), "boot_id",
			 o ? json_fact(&o->boot_id) : json_null(), "kernel", kernel_to_json(o),
			 "cpus", cpus_to_json(d, o), "settings", settings, "guests", guests);
}

json_t *report_to_json(const struct desired *d, const struct observed *o, const struct report *r)
{
	return status_to_json(d->source, r->verdict, r->generation, d, o,
			      settings_to_json(r->settings, r->n_settings), guests_to_json(d, r));
}

json_t *unjudged_to_json(const char *document, const struct observed *o, const struct error *e,
			 uint64_t generation)
{
	json_t *status = status_to_json(document, MACHINE_DEGRADED, generation, NULL, o,
					json_array(), json_array());
	json_t *error =
		json_pack("{s:o, s:o}", "what", json_text(e->what), "todo", json_text(e->todo));

	if (json_object_set_new(status, "error", error) == 0)
		return status;
	json_decref(status);
	return NULL;
}

static json_t *step_to_json(const struct step *s)
{
	json_t *object =
		json_pack("{s:s, s:s?, s:s, s:o, s:o, s:o}", "kind", step_kind_name(s->kind),
			  "setting", s->setting ? s->setting->name : NULL, "disruption",
			  disruption_name(s->disruption), "target", json_text(s->target), "now",
			  json_text(s->now), "want", json_text(s->want));
	bool numbered = s->kind == STEP_IRQ || s->kind == STEP_THREAD;

	if (object && numbered &&
	    (json_object_set_new(object, "number", json_integer(s->number)) ||
	     json_object_set_new(object, "name", json_text(s->name))))
		return json_decref(object), NULL;
	return object;
}

static json_t *boot_intent_to_json(const struct boot_intent *b)
{
	json_t *args = json_array();

	for (size_t i = 0; i < b->n_args; i++)
		args = appended(args,
				json_pack("{s:o, s:o, s:s?}", "key", json_text(b->args[i].key),
					  "value", json_text(b->args[i].value), "setting",
					  b->owners[i] ? b->owners[i]->name : NULL));
	return json_pack("{s:o, s:o}", "args", args, "default_entry", json_text(b->default_entry));
}

json_t *plan_to_json(const struct plan *p)
{
	json_t *steps = json_array();

	for (size_t i = 0; i < p->n_steps; i++)
		steps = appended(steps, step_to_json(&p->steps[i]));
	return json_pack("{s:i, s:b, s:o, s:o}", "version", 1, "needs_reboot", p->needs_reboot,
			 "steps", steps, "boot", boot_intent_to_json(&p->boot));
}

/* The entry of that name in the list @key of a status object, or NULL. */
static const json_t *previous_named(const json_t *previous, const char *key, const char *name)
{
	const json_t *list = json_object_get(previous, key);
	const json_t *entry;
	size_t i;

	json_array_foreach(list, i, entry)
	{
		const char *its_name = json_string_value(json_object_get(entry, "name"));

		if (its_name && streq(its_name, name))
			return entry;
	}
	return NULL;
}

static bool has_verdict(const json_t *entry, enum verdict v)
{
	const char *verdict = json_string_value(json_object_get(entry, "verdict"));

	return verdict && streq(verdict, verdict_name(v));
}

uint64_t generation_after(const json_t *previous, enum machine_verdict verdict)
{
	json_int_t generation = json_integer_value(json_object_get(previous, "generation"));
	const char *name = json_string_value(json_object_get(previous, "verdict"));

	if (generation < 0 || generation == INT64_MAX)
		generation = 0;
	if (name && streq(name, machine_verdict_name(verdict)))
		return (uint64_t)generation;
	return (uint64_t)generation + 1;
}

static int arena_text(struct arena *a, const json_t *object, const char *key, char **ret)
{
	const char *text = json_string_value(json_object_get(object, key));

	*ret = text ? arena_strdup(a, text) : NULL;
	if (text && !*ret)
		return -ENOMEM;
	if (text)
		text_defuse(*ret);
	return 0;
}

/* Who it was, into @r's arena: it is never freed by itself. */
static int carry_writer(struct report *r, struct setting_verdict *v, const json_t *object)
{
	_cleanup_writer_ struct writer w = { .uid = -1 };
	struct writer *kept = arena_alloc(&r->arena, sizeof(*kept));
	int k = kept ? writer_from_json(object, &w) : -ENOMEM;

	if (k < 0)
		return k == -ENOMEM ? k : 0;
	*kept = w;
	if (arena_text(&r->arena, object, "comm", &kept->comm) < 0 ||
	    arena_text(&r->arena, object, "exe", &kept->exe) < 0 ||
	    arena_text(&r->arena, object, "unit", &kept->unit) < 0 ||
	    arena_text(&r->arena, object, "container", &kept->container) < 0)
		return -ENOMEM;
	v->changed_by = kept;
	return 0;
}

/* A setting that the daemon calls contested is so for whoever finds it drifted. */
static int carry_contest(struct report *r, struct setting_verdict *v, const json_t *entry)
{
	const char *reason = json_string_value(json_object_get(entry, "reason"));

	if (v->verdict != VERDICT_DRIFTED || !has_verdict(entry, VERDICT_CONTESTED) || !reason)
		return 0;
	v->verdict = VERDICT_CONTESTED;
	v->reason = arena_strdup(&r->arena, reason);
	return v->reason ? 1 : -ENOMEM;
}

/* 1: it is contested, which the judge could not know. */
static int carry_setting(struct report *r, struct setting_verdict *v, const json_t *entry,
			 const char *now)
{
	const char *since = json_string_value(json_object_get(entry, "since"));
	const json_t *writer = json_object_get(entry, "changed_by");
	int contest = carry_contest(r, v, entry);
	bool same = has_verdict(entry, v->verdict);

	if (contest < 0)
		return contest;
	v->since = arena_strdup(&r->arena, same && since ? since : now);
	if (!v->since)
		return -ENOMEM;
	if (same && !v->changed_by && json_is_object(writer) && carry_writer(r, v, writer) < 0)
		return -ENOMEM;
	return contest;
}

/* @previous: the object that has the same settings as they were, NULL: none. 1: one of them is
 * contested. */
static int carry_settings(struct report *r, struct setting_verdict *list, size_t n,
			  const json_t *previous, const char *now)
{
	int contested = 0;

	for (size_t i = 0; i < n; i++) {
		int k = carry_setting(r, &list[i],
				      previous_named(previous, "settings", list[i].setting->name),
				      now);

		if (k < 0)
			return k;
		contested |= k;
	}
	return contested;
}

int report_carry(struct report *r, const json_t *previous, const char *now)
{
	int k = carry_settings(r, r->settings, r->n_settings, previous, now);

	if (k > 0)
		r->verdict = machine_verdict_of(r->settings, r->n_settings);

	for (size_t i = 0; k >= 0 && i < r->n_guests; i++) {
		struct guest_report *g = &r->guests[i];

		k = carry_settings(r, g->settings, g->n_settings,
				   previous_named(previous, "guests", g->name), now);
	}
	r->generation = generation_after(previous, r->verdict);
	return k < 0 ? k : 0;
}

static int replace_setting(json_t *list, const struct setting_verdict *v)
{
	const json_t *entry;
	size_t i;

	json_array_foreach(list, i, entry)
	{
		const char *name = json_string_value(json_object_get(entry, "name"));

		if (name && streq(name, v->setting->name))
			return json_array_set_new(list, i, setting_to_json(v)) < 0 ? -ENOMEM : 0;
	}
	return -EINVAL;
}

int status_replace(json_t *status, const struct report *r, uint64_t looked)
{
	json_t *list = json_object_get(status, "settings");
	const char *verdict = machine_verdict_name(r->verdict);
	int k = json_is_array(list) ? 0 : -EINVAL;

	for (size_t i = 0; k >= 0 && i < r->n_settings; i++)
		if (looked >> i & 1)
			k = replace_setting(list, &r->settings[i]);
	if (k < 0)
		return k;
	if (json_object_set_new(status, "verdict", json_string(verdict)) < 0 ||
	    json_object_set_new(status, "generation", json_integer((json_int_t)r->generation)) < 0)
		return -ENOMEM;
	return 0;
}

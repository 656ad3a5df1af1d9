/*
 * The kernel is asked first, always; from latencyd comes only what the kernel cannot tell. What it
 * said of itself holds while it runs; who caused a drift, as long as the setting has the verdict
 * that it then got. A file that is no status object, or whose keys are odd, says nothing.
 */
#include "ctl/published.h"

#include <errno.h>

#include <jansson.h>

#include "ctl/client.h"
#include "state/settings.h"
#include "state/writer.h"

static const char *const own_keys[] = { "paused_until", "watching", "persistence", "last_verified",
					"document_state" };

void published_done(struct published *p)
{
	json_decref(p->status);
}

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

/* Without a bus nobody can tell, and latencyd does without one too. */
static bool daemon_runs(void)
{
	_cleanup_error_ struct error e = { 0 };
	_cleanup_client_ sd_bus *bus = NULL;

	return client_open(&bus, &e) < 0 || client_daemon_there(bus) != 0;
}

void published_load(const struct sysroot *root, const struct desired *d, struct published *ret)
{
	json_t *status = look_previous(root);
	const char *digest = text_of(status, "document_digest");

	*ret = (struct published){
		.status = status,
		.running = status && (!root->live || daemon_runs()),
		.same_document = !digest || streq(digest, d->digest),
	};
}

static const json_t *named(const json_t *machine, const char *list, const char *name)
{
	const json_t *entry;
	size_t i;

	json_array_foreach(json_object_get(machine, list), i, entry)
	{
		const char *its_name = text_of(entry, "name");

		if (its_name && streq(its_name, name))
			return entry;
	}
	return NULL;
}

static const json_t *machine_of(const struct published *p, const char *guest)
{
	return *guest ? named(p->status, "guests", guest) : p->status;
}

static bool is_verdict(const json_t *entry, enum verdict v)
{
	const char *name = text_of(entry, "verdict");

	return name && streq(name, verdict_name(v));
}

/* ---- contested ---- */

static int contest(const json_t *entry, struct report *r, struct setting_verdict *v)
{
	const char *reason = text_of(entry, "reason");

	v->verdict = VERDICT_CONTESTED;
	v->reason = reason ? arena_strdup(&r->arena, reason) : NULL;
	return reason && !v->reason ? -ENOMEM : 0;
}

int published_overlay(const struct published *p, struct report *r)
{
	if (!p->running || !p->same_document)
		return 0;
	for (size_t i = 0; i < r->n_settings; i++) {
		struct setting_verdict *v = &r->settings[i];
		const json_t *entry = named(p->status, "settings", v->setting->name);

		if (!is_verdict(entry, VERDICT_CONTESTED) ||
		    (v->verdict != VERDICT_DRIFTED && v->verdict != VERDICT_CONVERGED))
			continue;
		if (contest(entry, r, v) < 0)
			return -ENOMEM;
		if (v->setting->severity == SEVERITY_REQUIRED)
			r->verdict = MACHINE_DEGRADED;
	}
	return 0;
}

/* ---- causes ---- */

/* Who is said to have caused @entry's verdict; NULL: nobody is. */
static const json_t *cause_of(const json_t *entry)
{
	const json_t *by = json_object_get(entry, "changed_by");

	return json_is_object(by) ? by : NULL;
}

char *published_cause(const struct published *p, const char *guest, const struct setting_verdict *v)
{
	_cleanup_(arena_free) struct arena a = { 0 };
	_cleanup_writer_ struct writer w = { 0 };
	const json_t *entry, *by;
	const char *who, *since, *path;
	char *text;

	if (!p->same_document)
		return NULL;
	entry = named(machine_of(p, guest), "settings", v->setting->name);
	by = cause_of(entry);
	if (!by || !is_verdict(entry, v->verdict) || writer_from_json(by, &w) < 0)
		return NULL;
	who = writer_text(&a, &w);
	since = text_of(entry, "since");
	path = text_of(by, "path");
	if (!who || asprintf(&text, "%s%s%s%s%s", who, since ? " at " : "", since ? since : "",
			     path ? ", writing " : "", path ? path : "") < 0)
		return NULL;
	return text;
}

static int merge_causes(const json_t *from, const json_t *machine)
{
	json_t *entry;
	size_t i;

	json_array_foreach(json_object_get(machine, "settings"), i, entry)
	{
		const char *name = text_of(entry, "name"), *verdict = text_of(entry, "verdict");
		const json_t *said = name ? named(from, "settings", name) : NULL;
		const char *then = text_of(said, "verdict");
		const json_t *by = cause_of(said);

		if (by && verdict && then && streq(verdict, then) &&
		    json_object_set(entry, "changed_by", (json_t *)by) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* ---- latencyd itself ---- */

static int merge_own(const struct published *p, json_t *status)
{
	for (size_t i = 0; i < ARRAY_SIZE(own_keys); i++) {
		json_t *value = json_object_get(p->status, own_keys[i]);

		if (value && json_object_set(status, own_keys[i], value) < 0)
			return -ENOMEM;
	}
	return 0;
}

int published_merge(const struct published *p, json_t *status)
{
	const json_t *guest;
	size_t i;
	int r = 0;

	if (p->running)
		r = merge_own(p, status);
	if (r < 0 || !p->same_document)
		return r;
	r = merge_causes(p->status, status);
	json_array_foreach(json_object_get(status, "guests"), i, guest)
	{
		const char *name = text_of(guest, "name");

		if (r == 0 && name)
			r = merge_causes(named(p->status, "guests", name), guest);
	}
	return r;
}

static void print_watching(const json_t *watching)
{
	const json_t *reason;
	size_t i;

	json_array_foreach(json_object_get(watching, "reasons"), i, reason)
	{
		if (!json_is_string(reason))
			continue;
		printf("latencyd does not watch everything: ");
		print_text(stdout, json_string_value(reason));
		printf("\n");
	}
}

static void print_paused(const char *until)
{
	if (!until)
		return;
	printf("latencyd is paused, nothing is repaired ");
	if (streq(until, "until-resumed")) {
		printf("until it is told to\n");
	} else {
		printf("before ");
		print_text(stdout, until);
		printf("\n");
	}
	printf("  → latencyctl resume\n");
}

static void print_document(const char *state)
{
	const char *why = state ? after_prefix(state, "invalid") : NULL;

	if (why) {
		printf("the document on disk is wrong, latencyd stays with the one before%s",
		       *why == ':' ? "" : ":");
		print_text(stdout, why);
		printf("\n");
	} else if (state && streq(state, "changed")) {
		printf("the document has been changed, latencyd stays with the one before\n");
		printf("  → systemctl reload latencyd, or latencyctl apply, takes it over\n");
	}
}

void published_print(const struct published *p)
{
	const char *lost = text_of(p->status, "persistence");

	if (!p->status)
		return;
	if (!p->running) {
		printf("latencyd does not run: nobody watches this machine\n");
		printf("  → systemctl start latencyd\n");
		return;
	}
	print_paused(text_of(p->status, "paused_until"));
	print_watching(json_object_get(p->status, "watching"));
	if (lost && !streq(lost, "ok")) {
		printf("latencyd cannot keep what it knows: ");
		print_text(stdout, lost);
		printf("\n");
	}
	print_document(text_of(p->status, "document_state"));
}

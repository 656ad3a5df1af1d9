/*
 * {"version": 1, "boot_id": "...", "refusals": [{"setting", "target", "name", "error", "message"}]}
 *
 * A record belongs to one boot: another kernel may well take what this one refused. The file is
 * only a cache of knowledge, so a damaged one is replaced instead of mended.
 */
#include "actuators/refusals.h"

#include <errno.h>
#include <jansson.h>

#include "actuators/paths.h"
#include "actuators/root.h"
#include "state/settings.h"

void refusals_done(struct refusals *r)
{
	json_decref(r->list);
	free(r->boot_id);
	*r = (struct refusals){ 0 };
}

static bool of_this_boot(const json_t *doc, const char *boot_id)
{
	const char *theirs = json_string_value(json_object_get(doc, "boot_id"));

	return theirs && streq(theirs, boot_id) && json_is_array(json_object_get(doc, "refusals"));
}

int refusals_load(struct refusals *ret)
{
	_cleanup_refusals_ struct refusals r = { 0 };
	_cleanup_free_ char *text = NULL;
	json_t *doc = NULL;

	if (root_read_line(BOOT_ID_FILE, &r.boot_id) < 0) {
		r.boot_id = strdup("");
		if (!r.boot_id)
			return -ENOMEM;
	}
	if (root_read(REFUSALS_FILE, &text, NULL) == 0)
		doc = json_loads(text, 0, NULL);
	if (of_this_boot(doc, r.boot_id))
		r.list = json_incref(json_object_get(doc, "refusals"));
	else
		r.list = json_array();
	json_decref(doc);
	if (!r.list)
		return -ENOMEM;
	*ret = r;
	r = (struct refusals){ 0 };
	return 0;
}

static bool is_member(const json_t *record, const char *name, const char *value)
{
	const char *text = json_string_value(json_object_get(record, name));

	return text && streq(text, value);
}

static size_t find(const struct refusals *r, const struct step *s)
{
	size_t i;
	json_t *record;

	json_array_foreach(r->list, i, record)
	{
		if (is_member(record, "setting", s->setting ? s->setting->name : "") &&
		    is_member(record, "target", s->target) &&
		    is_member(record, "name", s->name ? s->name : ""))
			break;
	}
	return i;
}

static json_t *make_record(const struct step *s, const struct error *e)
{
	_cleanup_free_ char *message = NULL;

	if (asprintf(&message, "%s%s%s", e->what ? e->what : strerror(-e->code),
		     e->todo ? "; " : "", e->todo ? e->todo : "") < 0)
		return NULL;
	return json_pack("{s:s, s:s, s:s, s:i, s:s}", "setting", s->setting ? s->setting->name : "",
			 "target", s->target, "name", s->name ? s->name : "", "error", -e->code,
			 "message", message);
}

int refusals_note(struct refusals *r, const struct step *s, const struct error *e)
{
	size_t at = find(r, s);
	bool known = at < json_array_size(r->list);
	json_t *record;

	if (!e) {
		if (known)
			r->dirty = json_array_remove(r->list, at) == 0;
		return 0;
	}
	record = make_record(s, e);
	if (!record)
		return -ENOMEM;
	if (known && json_equal(record, json_array_get(r->list, at))) {
		json_decref(record);
		return 0;
	}
	r->dirty = true;
	if (known)
		return json_array_set_new(r->list, at, record) < 0 ? -ENOMEM : 0;
	return json_array_append_new(r->list, record) < 0 ? -ENOMEM : 0;
}

int refusals_flush(struct refusals *r, struct error *e)
{
	_cleanup_free_ char *text = NULL;
	json_t *doc;
	int k;

	if (!r->dirty)
		return 0;
	doc = json_pack("{s:i, s:s, s:O}", "version", 1, "boot_id", r->boot_id, "refusals",
			r->list);
	text = doc ? json_dumps(doc, JSON_INDENT(1)) : NULL;
	json_decref(doc);
	if (!text)
		return error_set(e, -ENOMEM, "cannot write " REFUSALS_FILE ": out of memory");
	k = root_mkdir_p(RUN_FOLDER, 0755);
	if (k < 0)
		return error_set(e, k, "cannot make " RUN_FOLDER ": %s", strerror(-k));
	k = root_replace(REFUSALS_FILE, text, strlen(text), 0644, e);
	if (k == 0)
		r->dirty = false;
	return k;
}

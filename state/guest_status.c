/*
 * The guest's status object, member by member. jansson has bounded the nesting and checked the
 * encoding; here every type, word and length is. Texts are shown to people: they are clipped and
 * lose their control characters.
 */
#include "state/guest_status.h"

#include <errno.h>

#include <jansson.h>

#include "state/settings.h"

#define TEXT_MAX	  400
#define WORD_MAX	  64
#define SETTINGS_SAID_MAX 256
#define ITEMS_MAX	  256 /* more are left out: the host shows a few */

struct reader {
	struct arena *a;
	struct error *e;
};

static int refuse(const struct reader *rd, const char *what)
{
	return error_set(rd->e, -EBADMSG, "%s", what);
}

/* A string or null (or nothing at all), fit to be shown. */
static int read_text(const struct reader *rd, const json_t *object, const char *key,
		     const char **ret)
{
	const json_t *value = json_object_get(object, key);
	const char *text = json_string_value(value);
	size_t n = json_string_length(value);
	char *copy;

	*ret = NULL;
	if (!value || json_is_null(value))
		return 0;
	if (!text)
		return refuse(rd, "a text of it is no text");
	if (n > TEXT_MAX) {
		n = TEXT_MAX;
		while (n && ((unsigned char)text[n] & 0xc0) == 0x80)
			n--;
	}
	copy = arena_strndup(rd->a, text, n);
	if (!copy)
		return -ENOMEM;
	text_defuse(copy);
	*ret = copy;
	return 0;
}

/* As read_text(), but of the letters of identifiers, or refused. */
static int read_word(const struct reader *rd, const json_t *object, const char *key,
		     const char **ret)
{
	int r = read_text(rd, object, key, ret);

	if (r < 0 || !*ret)
		return r;
	if (strlen(*ret) > WORD_MAX ||
	    (*ret)[strspn(*ret,
			  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")])
		return refuse(rd, "a word of it is no word");
	return 0;
}

static int read_verdict(const struct reader *rd, const json_t *object, enum verdict *ret)
{
	const char *word = json_string_value(json_object_get(object, "verdict"));

	for (int i = 0; word && i < _VERDICT_MAX; i++)
		if (streq(word, verdict_name((enum verdict)i))) {
			*ret = (enum verdict)i;
			return 0;
		}
	return refuse(rd, "it has a verdict that there is not");
}

static int read_item(const struct reader *rd, const json_t *object, struct verdict_item *item)
{
	int r = json_is_object(object) ? 0 : refuse(rd, "an item of it is no object");

	if (r >= 0)
		r = read_verdict(rd, object, &item->verdict);
	if (r >= 0)
		r = read_text(rd, object, "id", &item->id);
	if (r >= 0)
		r = read_text(rd, object, "name", &item->name);
	if (r >= 0)
		r = read_text(rd, object, "live", &item->live);
	if (r >= 0)
		r = read_text(rd, object, "want", &item->want);
	if (r >= 0)
		r = read_text(rd, object, "reason", &item->reason);
	if (r >= 0 && !item->id)
		item->id = "?";
	return r;
}

static int read_items(const struct reader *rd, const json_t *object, struct setting_verdict *v)
{
	const json_t *items = json_object_get(object, "items"), *entry;
	size_t i;

	if (items && !json_is_array(items))
		return refuse(rd, "the items of a setting are no list");
	json_array_foreach(items, i, entry)
	{
		struct verdict_item *item;
		int r;

		if (i == ITEMS_MAX)
			break;
		item = arena_grow(rd->a, &v->items, &v->n_items, sizeof(*v->items));
		if (!item)
			return -ENOMEM;
		r = read_item(rd, entry, item);
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_setting(const struct reader *rd, const json_t *object, struct guest_status *st,
			bool *seen)
{
	const struct setting *s;
	struct setting_verdict *v;
	const char *name;
	int r = json_is_object(object) ? 0 : refuse(rd, "a setting of it is no object");

	if (r >= 0)
		r = read_word(rd, object, "name", &name);
	if (r >= 0 && !name)
		r = refuse(rd, "a setting of it has no name");
	if (r < 0)
		return r;
	s = setting_by_name(name);
	if (!s) /* of a newer latencyd than ours */
		return 0;
	if (seen[setting_index(s)])
		return refuse(rd, "it names a setting twice");
	seen[setting_index(s)] = true;
	v = &st->settings[setting_index(s)];
	r = read_verdict(rd, object, &v->verdict);
	if (r >= 0)
		r = read_text(rd, object, "want", &v->want);
	if (r >= 0)
		r = read_text(rd, object, "live", &v->live);
	if (r >= 0)
		r = read_text(rd, object, "next_boot", &v->next_boot);
	if (r >= 0)
		r = read_text(rd, object, "reason", &v->reason);
	return r < 0 ? r : read_items(rd, object, v);
}

static int read_settings(const struct reader *rd, const json_t *root, struct guest_status *st)
{
	const json_t *list = json_object_get(root, "settings"), *entry;
	bool seen[SETTINGS_MAX] = { false };
	size_t i;

	if (!json_is_array(list) || json_array_size(list) > SETTINGS_SAID_MAX)
		return refuse(rd, "it has no list of settings, or an endless one");
	st->settings = arena_alloc(rd->a, n_settings * sizeof(*st->settings));
	if (!st->settings)
		return -ENOMEM;
	st->n_settings = n_settings;
	for (i = 0; i < n_settings; i++) {
		st->settings[i].setting = settings[i];
		st->settings[i].verdict = VERDICT_UNKNOWN;
		st->settings[i].reason = "the guest does not say";
	}
	json_array_foreach(list, i, entry)
	{
		int r = read_setting(rd, entry, st, seen);

		if (r < 0)
			return r;
	}
	return 0;
}

static int read_root(const struct reader *rd, const json_t *root, struct guest_status *st)
{
	const char *verdict = json_string_value(json_object_get(root, "verdict"));
	const char *machine = json_string_value(json_object_get(root, "machine"));
	int r;

	if (!json_is_object(root))
		return refuse(rd, "it is no object");
	if (json_integer_value(json_object_get(root, "version")) != 1)
		return refuse(rd, "it is of another version");
	/* "host": it goes by a document of its own, or by none, until it is sent this one */
	if (!machine || !(streq(machine, "guest") || streq(machine, "host")))
		return refuse(rd, "it is no machine's");
	r = verdict ? machine_verdict_from_name(verdict) : -EINVAL;
	if (r < 0)
		return refuse(rd, "it has a verdict that there is not");
	st->verdict = (enum machine_verdict)r;
	r = read_word(rd, root, "document_digest", &st->digest);
	if (r >= 0)
		r = read_word(rd, root, "boot_id", &st->boot_id);
	if (r >= 0)
		r = read_text(rd, json_object_get(root, "kernel"), "release", &st->kernel_release);
	return r < 0 ? r : read_settings(rd, root, st);
}

int guest_status_parse(const char *text, size_t size, struct arena *a, struct guest_status *ret,
		       struct error *e)
{
	const struct reader rd = { .a = a, .e = e };
	struct guest_status st = { 0 };
	json_error_t why;
	json_t *root;
	int r;

	if (size > GUEST_STATUS_SIZE_MAX)
		return refuse(&rd, "it is too long");
	root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &why);
	if (!root)
		return refuse(&rd, "it is no JSON");
	r = read_root(&rd, root, &st);
	json_decref(root);
	if (r < 0)
		return r;
	*ret = st;
	return 0;
}

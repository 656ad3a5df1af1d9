/*
 * The file as JSON: {"version", "boot_id", "number", "pending": [alert], "fingerprint", "memory",
 * "last_verified"}. It is our own, but a disk may hold anything: what is not such an object is
 * refused as a whole, and the daemon begins anew.
 */
#include "daemon/alerts.h"

#include <errno.h>

#include <jansson.h>

#define FILE_VERSION 1

void alerts_forget_pending(struct alerts *a)
{
	for (size_t i = 0; i < a->n_pending; i++)
		alert_done(&a->pending[i]);
	free(take_ptr(a->pending));
	a->n_pending = 0;
}

void alerts_done(struct alerts *a)
{
	alerts_forget_pending(a);
	free(a->lost);
	free(a->last_verified);
	free(a->fingerprint);
	free(a->boot_id);
	free(a->kept);
	*a = (struct alerts){ 0 };
}

static json_t *pending_json(const struct alerts *a)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < a->n_pending; i++)
		if (json_array_append_new(list, alert_to_json(&a->pending[i])) < 0) {
			json_decref(list);
			return NULL;
		}
	return list;
}

char *alerts_to_text(const struct alerts *a, const struct reconcile *memory, bool whole)
{
	json_t *object;
	char *text;

	object = json_pack("{s:i, s:s?, s:I, s:o, s:s?, s:o}", "version", FILE_VERSION, "boot_id",
			   a->boot_id, "number", (json_int_t)a->number, "pending", pending_json(a),
			   "fingerprint", a->fingerprint, "memory", reconcile_to_json(memory));
	if (object && whole && a->last_verified &&
	    json_object_set_new(object, "last_verified", json_string(a->last_verified)) < 0) {
		json_decref(object);
		return NULL;
	}
	text = object ? json_dumps(object, JSON_COMPACT) : NULL;
	json_decref(object);
	return text;
}

static int read_pending(const json_t *list, struct alerts *a)
{
	size_t n = json_array_size(list), i;
	const json_t *item;

	if (!json_is_array(list))
		return -EINVAL;
	a->pending = calloc(n ? n : 1, sizeof(*a->pending));
	if (!a->pending)
		return -ENOMEM;
	json_array_foreach(list, i, item)
	{
		int r = alert_from_json(item, &a->pending[i]);

		if (r < 0)
			return r;
		a->n_pending++;
	}
	return 0;
}

static int copy_text(const json_t *object, const char *key, char **ret)
{
	const char *text = json_string_value(json_object_get(object, key));

	*ret = text ? strdup(text) : NULL;
	return text && !*ret ? -ENOMEM : 0;
}

static int read_object(const json_t *object, const char *boot_id, struct alerts *a,
		       struct reconcile *memory, char **ret_boot_id)
{
	const json_t *number = json_object_get(object, "number");
	int r;

	if (json_integer_value(json_object_get(object, "version")) != FILE_VERSION ||
	    !json_is_integer(number) || json_integer_value(number) < 0)
		return -EINVAL;
	a->number = (uint64_t)json_integer_value(number);
	r = read_pending(json_object_get(object, "pending"), a);
	if (r >= 0)
		r = copy_text(object, "fingerprint", &a->fingerprint);
	if (r >= 0)
		r = copy_text(object, "last_verified", &a->last_verified);
	if (r >= 0)
		r = copy_text(object, "boot_id", ret_boot_id);
	if (r < 0)
		return r;
	return reconcile_from_json(json_object_get(object, "memory"),
				   boot_id && *ret_boot_id && streq(boot_id, *ret_boot_id), memory);
}

int alerts_from_text(const char *text, const char *boot_id, struct alerts *ret,
		     struct reconcile *ret_memory, char **ret_boot_id, struct error *e)
{
	struct reconcile memory = { 0 };
	struct alerts a = { 0 };
	json_error_t where;
	json_t *object = json_loads(text, JSON_REJECT_DUPLICATES, &where);
	char *id = NULL;
	int r;

	if (!object)
		return error_set(e, -EINVAL, "line %i, column %i: %s", where.line, where.column,
				 where.text);
	r = read_object(object, boot_id, &a, &memory, &id);
	json_decref(object);
	if (r < 0) {
		alerts_done(&a);
		reconcile_done(&memory);
		free(id);
		return error_set(e, r, r == -ENOMEM ? "out of memory" : "it is no file of alerts");
	}
	*ret = a;
	*ret_memory = memory;
	*ret_boot_id = id;
	return 0;
}

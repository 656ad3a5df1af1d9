/*
 * Alerts as values: freed, and written as the JSON that the disk and D-Bus have of them.
 */
#include <errno.h>

#include <jansson.h>

#include "state/reconcile_parts.h"

void alert_done(struct alert *a)
{
	if (!a)
		return;
	free(a->guest);
	free(a->setting);
	free(a->want);
	free(a->found);
	free(a->reason);
	free(a->path);
	free(a->since);
	writer_done(&a->writer);
	*a = (struct alert){ .writer.uid = -1 };
}

json_t *json_any_text(const char *text)
{
	_cleanup_free_ char *copy = NULL;
	json_t *json;

	if (!text)
		return json_null();
	json = json_string(text);
	if (json)
		return json;
	copy = strdup(text);
	if (!copy)
		return NULL;
	for (char *p = copy; *p; p++)
		if (*p & 0x80)
			*p = '?';
	return json_string(copy);
}

enum verdict verdict_from_json(const json_t *text)
{
	const char *word = json_string_value(text);
	int i = 0;

	while (i < _VERDICT_MAX && !(word && streq(word, verdict_name((enum verdict)i))))
		i++;
	return (enum verdict)i;
}

json_t *alert_to_json(const struct alert *a)
{
	return json_pack("{s:I, s:o, s:o, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "number",
			 (json_int_t)a->number, "guest", json_any_text(a->guest), "setting",
			 json_any_text(a->setting), "was", verdict_name(a->was), "now",
			 verdict_name(a->now), "want", json_any_text(a->want), "found",
			 json_any_text(a->found), "reason", json_any_text(a->reason), "path",
			 json_any_text(a->path), "since", json_any_text(a->since), "changed_by",
			 a->caused ? writer_to_json(&a->writer) : json_null());
}

/* A text, or null or nothing. */
static int read_text(const json_t *object, const char *key, char **ret)
{
	const char *text = json_string_value(json_object_get(object, key));

	*ret = text ? strdup(text) : NULL;
	return text && !*ret ? -ENOMEM : 0;
}

static int read_texts(const json_t *object, struct alert *a)
{
	const struct {
		const char *key;
		char **to;
	} texts[] = {
		{ "guest", &a->guest }, { "setting", &a->setting }, { "want", &a->want },
		{ "found", &a->found }, { "reason", &a->reason },   { "path", &a->path },
		{ "since", &a->since },
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		int r = read_text(object, texts[i].key, texts[i].to);

		if (r < 0)
			return r;
	}
	return a->setting ? 0 : -EINVAL;
}

int alert_from_json(const json_t *object, struct alert *ret)
{
	const json_t *number = json_object_get(object, "number");
	const json_t *writer = json_object_get(object, "changed_by");
	struct alert a = {
		.was = verdict_from_json(json_object_get(object, "was")),
		.now = verdict_from_json(json_object_get(object, "now")),
		.writer.uid = -1,
	};
	int r;

	if (a.was == _VERDICT_MAX || a.now == _VERDICT_MAX || json_integer_value(number) < 0)
		return -EINVAL;
	a.number = (uint64_t)json_integer_value(number);
	r = read_texts(object, &a);
	if (r >= 0 && json_is_object(writer)) {
		r = writer_from_json(writer, &a.writer);
		a.caused = r >= 0;
	}
	if (r < 0) {
		alert_done(&a);
		return r;
	}
	*ret = a;
	return 0;
}

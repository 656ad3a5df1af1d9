/*
 * What the kernel refused in this boot, as the actuators wrote it down. A file of another boot says
 * nothing about this kernel; a file that is not of the form is as good as none, and its content is
 * bounded, so that a damaged one cannot fill the memory or a terminal.
 */
#include "probes/probe.h"

#include <errno.h>
#include <jansson.h>

#define REFUSALS       "/run/latencyd/refusals.json"
#define SIZE_MAX_BYTES ((size_t)4 << 20)
#define STRING_MAX     ((size_t)4096)
#define ERRNO_MAX      4095

/* Printable text of a bearable length, or NULL. */
static const char *text_of(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	if (!s || strnlen(s, STRING_MAX) == STRING_MAX)
		return NULL;
	for (const char *p = s; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return NULL;
	return s;
}

/* The message may be another program's and of several lines: made one line. */
static char *line_of(struct arena *a, const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));
	char *line = s ? arena_strndup(a, s, strnlen(s, STRING_MAX - 1)) : NULL;

	for (char *p = line; p && *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = ' ';
	return line;
}

static int add_refusal(struct observed *o, const json_t *item)
{
	const char *setting = text_of(item, "setting"), *target = text_of(item, "target");
	const char *name = text_of(item, "name");
	json_int_t error = json_integer_value(json_object_get(item, "error"));
	struct observed_refusal *refusal;

	if (!setting || !target || !json_is_string(json_object_get(item, "message")) || error < 1 ||
	    error > ERRNO_MAX)
		return 0;
	refusal = arena_grow(&o->arena, &o->refusals, &o->n_refusals, sizeof(*refusal));
	if (!refusal)
		return -ENOMEM;
	*refusal = (struct observed_refusal){
		.setting = arena_strdup(&o->arena, setting),
		.target = arena_strdup(&o->arena, target),
		.name = arena_strdup(&o->arena, name ? name : ""),
		.error = (int)error,
		.message = line_of(&o->arena, item, "message"),
	};
	return refusal->setting && refusal->target && refusal->name && refusal->message ? 0
											: -ENOMEM;
}

int refusals_parse(const char *text, size_t size, const char *boot_id, struct observed *o)
{
	_cleanup_(json_decrefp) json_t *top = NULL;
	const char *of_boot;
	json_t *list, *item;
	size_t i;

	if (size > SIZE_MAX_BYTES)
		return 0;
	top = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
	of_boot = text_of(top, "boot_id");
	if (json_integer_value(json_object_get(top, "version")) != 1 || !of_boot ||
	    !streq(of_boot, boot_id))
		return 0;
	list = json_object_get(top, "refusals");
	json_array_foreach(list, i, item)
	{
		int r = add_refusal(o, item);

		if (r < 0)
			return r;
	}
	return 0;
}

int probe_refusals(const struct sysroot *root, struct observed *o)
{
	_cleanup_free_ char *text = NULL;
	size_t size;
	int r;

	if (!fact_known(&o->boot_id))
		return 0;
	r = sysroot_read(root, REFUSALS, &text, &size);
	if (r < 0)
		return r == -ENOMEM ? r : 0;
	return refusals_parse(text, size, o->boot_id.text, o);
}

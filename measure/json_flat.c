/* Leaves are named by the way to them. Arrays are leaves: they are short and read best whole. */
#include "measure/json_flat.h"

#include "state/base.h"

#define DEPTH_MAX 16

static int flatten(const json_t *v, const char *path, unsigned depth, json_t *flat)
{
	const char *key;
	json_t *value;

	if (!json_is_object(v) || depth == DEPTH_MAX)
		return *path ? json_object_set(flat, path, (json_t *)v) : 0;
	json_object_foreach((json_t *)v, key, value)
	{
		_cleanup_free_ char *below = NULL;

		if (asprintf(&below, "%s%s%s", path, *path ? "." : "", key) < 0) {
			below = NULL;
			return -1;
		}
		if (flatten(value, below, depth + 1, flat) < 0)
			return -1;
	}
	return 0;
}

json_t *json_flat(const json_t *v)
{
	json_t *flat = json_object();

	if (flat && flatten(v, "", 0, flat) == 0)
		return flat;
	json_decref(flat);
	return NULL;
}

/* The leaves of @a that @b has otherwise or not at all; with @swapped just the latter. */
static int add_differences(const json_t *a, const json_t *b, bool swapped, json_t *list)
{
	json_t *value, *other, *null = json_null();
	const char *key;

	json_object_foreach((json_t *)a, key, value)
	{
		other = json_object_get(b, key);
		if (swapped ? other != NULL : other && json_equal(value, other))
			continue;
		other = other ? other : null;
		if (json_array_append_new(list, json_pack("{s:s, s:O, s:O}", "key", key, "a",
							  swapped ? other : value, "b",
							  swapped ? value : other)) < 0)
			return -1;
	}
	return 0;
}

json_t *json_differences(const json_t *a, const json_t *b)
{
	json_t *flat_a = json_flat(a), *flat_b = json_flat(b), *list = json_array();

	if (!flat_a || !flat_b || !list || add_differences(flat_a, flat_b, false, list) < 0 ||
	    add_differences(flat_b, flat_a, true, list) < 0) {
		json_decref(list);
		list = NULL;
	}
	json_decref(flat_a);
	json_decref(flat_b);
	return list;
}

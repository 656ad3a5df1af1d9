#pragma once
/* A JSON tree as a list of its leaves, to show it or to tell two apart. */
#include <jansson.h>

/* A new object {"kernel.release": leaf, ...}; what lies too deep is one leaf. NULL: out
 * of memory. */
json_t *json_flat(const json_t *v);
/* A new array of {key, a, b}, one for each leaf that differs; null where a side has none. */
json_t *json_differences(const json_t *a, const json_t *b);

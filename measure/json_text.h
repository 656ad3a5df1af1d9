#pragma once
/* Text of unknown origin as JSON. */
#include <jansson.h>

/* A JSON string, or null for NULL; bytes that are not UTF-8 become '?'. NULL: out of memory. */
json_t *json_text(const char *s);

/*
 * JSON strings are UTF-8; a kernel command line, a firmware string or a program's output need not
 * be. Such bytes must not cost a result that took twelve hours.
 */
#include "measure/json_text.h"

#include "state/base.h"

json_t *json_text(const char *s)
{
	_cleanup_free_ char *ascii = NULL;
	json_t *v;

	if (!s)
		return json_null();
	v = json_string(s);
	if (v)
		return v;
	ascii = strdup(s);
	if (!ascii)
		return NULL;
	for (char *p = ascii; *p; p++) {
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	}
	return json_string(ascii);
}

/*
 * struct error owns its two strings. When memory runs out while an error is being described the
 * code survives and the text is lost: the caller's sign contract never depends on the text.
 */
#include "state/error.h"

#include <stdarg.h>

/* C0, DEL and C1 (which UTF-8 writes as c2 80 to c2 9f) become '?'; the text stays UTF-8. */
void text_defuse(char *text)
{
	for (unsigned char *p = (unsigned char *)text; *p; p++) {
		if (*p < 0x20 || *p == 0x7f)
			*p = '?';
		else if (*p == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f)
			p[0] = p[1] = '?';
	}
}

void error_clear(struct error *e)
{
	if (!e)
		return;
	free(e->what);
	free(e->todo);
	*e = (struct error){ 0 };
}

static char *format(const char *fmt, va_list ap) __attribute__((format(printf, 1, 0)));

static char *format(const char *fmt, va_list ap)
{
	char *s;

	return vasprintf(&s, fmt, ap) < 0 ? NULL : s;
}

int error_set(struct error *e, int code, const char *fmt, ...)
{
	va_list ap;
	char *what;

	if (!e)
		return code;
	va_start(ap, fmt);
	what = format(fmt, ap); /* before the clear: an argument may be e->what */
	va_end(ap);
	error_clear(e);
	e->code = code;
	e->what = what;
	return code;
}

int error_todo(struct error *e, const char *fmt, ...)
{
	va_list ap;
	char *todo;

	if (!e)
		return 0;
	va_start(ap, fmt);
	todo = format(fmt, ap);
	va_end(ap);
	free(e->todo);
	e->todo = todo;
	return e->code;
}

int error_prefix(struct error *e, const char *fmt, ...)
{
	_cleanup_free_ char *prefix = NULL;
	va_list ap;
	char *what;

	if (!e)
		return 0;
	va_start(ap, fmt);
	prefix = format(fmt, ap);
	va_end(ap);
	if (prefix && asprintf(&what, "%s: %s", prefix, e->what ? e->what : "failed") >= 0) {
		free(e->what);
		e->what = what;
	}
	return e->code;
}

int error_move(struct error *to, struct error *from)
{
	int code = from->code;

	if (to) {
		error_clear(to);
		*to = *from;
		*from = (struct error){ 0 };
	} else {
		error_clear(from);
	}
	return code;
}

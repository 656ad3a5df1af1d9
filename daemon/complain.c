/*
 * Warnings, each said once while it lasts: a pass that finds the same trouble as the one before is
 * silent about it.
 */
#include <errno.h>
#include <stdarg.h>

#include <systemd/sd-daemon.h>

#include "daemon/manager.h"

/* Was @line said in this pass or the one before? Lines end in a newline. */
static bool was_said(const struct manager *m, const char *line)
{
	return (m->complaints && strstr(m->complaints, line)) ||
	       (m->complaints_before && strstr(m->complaints_before, line));
}

void manager_forget_complaints(struct manager *m)
{
	free(m->complaints_before);
	m->complaints_before = take_ptr(m->complaints);
}

void manager_complain(struct manager *m, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL, *line = NULL;
	char *all;
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (r < 0 || asprintf(&line, "%s\n", text) < 0)
		return;
	if (!was_said(m, line))
		fprintf(stderr, SD_WARNING "%s", line);
	if (asprintf(&all, "%s%s", m->complaints ? m->complaints : "", line) < 0)
		return;
	free(m->complaints);
	m->complaints = all;
}

void manager_complain_of(struct manager *m, const struct error *e, int r)
{
	const char *what = e->what ? e->what : strerror(-r);

	if (e->todo)
		manager_complain(m, "%s; %s", what, e->todo);
	else
		manager_complain(m, "%s", what);
}

/*
 * libsystemd takes a list of "NAME=value" buffers. It is silent about a journal that is not there,
 * so that is asked before.
 */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include "daemon/journal_entry.h"

#include <stdarg.h>
#include <sys/uio.h>

#include <systemd/sd-journal.h>

#include "actuators/root.h"
#include "daemon/journal.h"
#include "state/error.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

static bool stderr_only;

void journal_to_stderr(void)
{
	stderr_only = true;
}

bool journal_there(void)
{
	return !stderr_only && root_exists(JOURNAL_SOCKET) > 0;
}

static void add(struct journal_entry *e, char *text)
{
	struct iovec *field;

	if (!text)
		return;
	text_defuse(text);
	field = arena_grow(&e->arena, &e->fields, &e->n_fields, sizeof(*field));
	if (field)
		*field = (struct iovec){ .iov_base = text, .iov_len = strlen(text) };
}

void journal_field(struct journal_entry *e, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (r < 0)
		text = NULL;
	else
		add(e, arena_strdup(&e->arena, text));
}

void journal_text(struct journal_entry *e, const char *name, const char *value)
{
	if (value)
		add(e, arena_printf(&e->arena, "%s=%s", name, value));
}

void journal_send(struct journal_entry *e, int priority, const char *message_id,
		  const char *message)
{
	_cleanup_free_ char *line = strdup(message);

	if (line)
		text_defuse(line);
	if (journal_there()) {
		journal_text(e, "MESSAGE", line);
		journal_text(e, "MESSAGE_ID", message_id);
		journal_field(e, "PRIORITY=%i", priority);
		(void)sd_journal_sendv(e->fields, (int)e->n_fields);
	} else {
		fprintf(stderr, "<%i>%s\n", priority, line ? line : "out of memory");
	}
	arena_free(&e->arena);
	*e = (struct journal_entry){ 0 };
}

/*
 * Did an alert go out before a crash? Asked once, at the start of a daemon that finds alerts of
 * which it is not sure. Entries that were sent are not read at once: journald is first made to take
 * in what waits in its socket. Only root's entries count, anybody can write the field.
 */
#include <errno.h>

#include <systemd/sd-journal.h>

#include "actuators/run.h"
#include "daemon/journal.h"

#define SYNC_TIMEOUT_S 10

static void close_journal(sd_journal **j)
{
	sd_journal_close(*j);
}

/* Where it fails the search may miss an entry, and an alert is told twice rather than never. */
static void take_in_what_waits(void)
{
	static const char *const argv[] = { "/usr/bin/journalctl", "--sync", NULL };

	(void)run_program(argv, NULL, SYNC_TIMEOUT_S, NULL, NULL);
}

static int match(sd_journal *j, const char *id)
{
	_cleanup_free_ char *field = NULL;
	int r;

	if (asprintf(&field, "LATENCYD_ALERT=%s", id) < 0)
		return -ENOMEM;
	r = sd_journal_add_match(j, field, 0);
	return r < 0 ? r : sd_journal_add_match(j, "_UID=0", 0);
}

int journal_has(const char *id)
{
	_cleanup_(close_journal) sd_journal *j = NULL;
	int r;

	if (!journal_there())
		return -ENOENT;
	take_in_what_waits();
	r = sd_journal_open(&j, SD_JOURNAL_LOCAL_ONLY | SD_JOURNAL_SYSTEM);
	if (r >= 0)
		r = match(j, id);
	if (r >= 0)
		r = sd_journal_seek_tail(j);
	return r < 0 ? r : sd_journal_previous(j);
}

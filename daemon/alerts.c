/*
 * The order for each batch: numbers, file, everybody but the journal, journal, file. Killed before
 * the first file: nothing was said, and the next look finds the change again. Killed before the
 * second: the alerts are pending there, and those that the journal lacks go out again.
 *
 * The file is not waited for on its way to the disk. A machine that loses power begins another
 * boot, and the boot is part of an alert's id.
 */
#include "daemon/alerts.h"

#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <time.h>

#include "actuators/paths.h"
#include "actuators/root.h"
#include "daemon/bus.h"
#include "daemon/journal.h"
#include "daemon/manager.h"

#define KEEP_INTERVAL_US    1000000
#define ALERT_SINKS_DEFAULT (ALERT_JOURNAL | ALERT_DBUS | ALERT_METRICS)

/* ---- the file ---- */

static void set_lost(struct alerts *a, const char *why)
{
	bool was = a->lost;

	free(a->lost);
	a->lost = why ? strdup(why) : NULL;
	if (was != (why != NULL))
		journal_persistence(why);
}

static int write_file(const char *text, struct error *e)
{
	int r = root_replace_unsynced(ALERTS_FILE, text, strlen(text), 0600, e);

	if (r != -ENOENT)
		return r;
	r = root_mkdir_p(STATE_FOLDER, 0755);
	if (r < 0)
		return error_set(e, r, "cannot make " STATE_FOLDER ": %s", strerror(-r));
	return root_replace_unsynced(ALERTS_FILE, text, strlen(text), 0600, e);
}

static int write_memory(struct alerts *a, const struct reconcile *memory, struct error *e)
{
	_cleanup_free_ char *text = alerts_to_text(a, memory, true);
	int r = text ? write_file(text, e) : error_set(e, -ENOMEM, "out of memory");

	if (r < 0)
		return r;
	free(a->kept);
	a->kept = alerts_to_text(a, memory, false);
	return 0;
}

static void keep(struct manager *m)
{
	_cleanup_error_ struct error e = { 0 };
	int r;

	if (!m->root.live)
		return;
	m->alerts.kept_us = manager_now_us();
	r = write_memory(&m->alerts, &m->memory, &e);
	set_lost(&m->alerts, r < 0 ? (e.what ? e.what : strerror(-r)) : NULL);
}

static bool changed(const struct manager *m)
{
	_cleanup_free_ char *text = alerts_to_text(&m->alerts, &m->memory, false);

	return !text || !m->alerts.kept || !streq(text, m->alerts.kept);
}

void alerts_keep(struct manager *m)
{
	struct alerts *a = &m->alerts;

	if (a->kept_us && manager_now_us() - a->kept_us < KEEP_INTERVAL_US)
		return;
	if (a->lost || changed(m))
		keep(m);
}

void alerts_keep_last(struct manager *m)
{
	keep(m);
}

/* ---- sending ---- */

static void start_unit(struct manager *m, const struct alert *a, const char *id)
{
	_cleanup_error_ struct error e = { 0 };
	char *instance, *environment;

	if (alert_unit_prepare(a, id, &instance, &environment, &e) < 0) {
		manager_complain_of(m, &e, e.code);
		return;
	}
	alert_runs_add(m, instance, environment);
	free(instance);
}

static void tell(struct manager *m, const struct alert *a, const char *id)
{
	unsigned sinks = m->has_document ? m->desired.drift.alert : ALERT_SINKS_DEFAULT;

	if (sinks & ALERT_DBUS)
		bus_signal_alert(m, a);
	if (m->root.live && (sinks & ALERT_UNIT))
		start_unit(m, a, id);
	if (!m->root.live || (sinks & ALERT_JOURNAL))
		journal_alert(a, id);
}

/* "BOOTID:NUMBER", malloc()ed. */
static char *id_of(const char *boot_id, uint64_t number)
{
	char *id;

	return asprintf(&id, "%s:%" PRIu64, boot_id ? boot_id : "unknown-boot", number) < 0 ? NULL
											    : id;
}

static void tell_all(struct manager *m, const struct alert *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *id = id_of(m->alerts.boot_id, list[i].number);

		tell(m, &list[i], id ? id : "");
	}
}

void alerts_send(struct manager *m, struct alert *list, size_t n)
{
	struct alerts *a = &m->alerts;

	for (size_t i = 0; i < n; i++)
		list[i].number = ++a->number;
	a->pending = calloc(n, sizeof(*list));
	if (a->pending) {
		memcpy(a->pending, list, n * sizeof(*list));
		a->n_pending = n;
		keep(m);
	}
	tell_all(m, list, n);
	if (!a->pending)
		for (size_t i = 0; i < n; i++)
			alert_done(&list[i]);
	memset(list, 0, n * sizeof(*list));
	alerts_forget_pending(a);
	keep(m);
}

/* ---- after a restart ---- */

/*
 * A number is never given twice in a boot, not even where a daemon before could not keep how far it
 * was: each daemon begins at the boot's age in milliseconds at least.
 */
static uint64_t first_number(uint64_t kept)
{
	struct timespec now;
	uint64_t age_ms;

	clock_gettime(CLOCK_BOOTTIME, &now);
	age_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
	return kept > age_ms ? kept : age_ms;
}

static char *read_boot_id(const struct sysroot *root)
{
	char text[64];
	ssize_t n = sysroot_read_once(root, BOOT_ID_FILE, text, sizeof(text));

	if (n < 0)
		return NULL;
	text[strcspn(text, "\n")] = '\0';
	return strdup(text);
}

/* *ret_boot_id: of the pending ones. */
static void load(struct manager *m, struct alerts *a, struct reconcile *memory, char **ret_boot_id)
{
	_cleanup_free_ char *text = NULL, *boot_id = read_boot_id(&m->root);
	_cleanup_error_ struct error e = { 0 };
	int r = root_read(ALERTS_FILE, &text, NULL);

	if (r >= 0)
		r = alerts_from_text(text, boot_id, a, memory, ret_boot_id, &e);
	if (r < 0 && r != -ENOENT)
		manager_complain(m,
				 "cannot read " ALERTS_FILE ": %s; what was known of drifts before "
				 "is lost",
				 e.what ? e.what : strerror(-r));
	a->boot_id = take_ptr(boot_id);
	a->number = first_number(a->number);
}

/* What the journal has was sent. Where it cannot be asked it is sent again: rather twice than
 * never. */
static void resend(struct manager *m, const struct alert *a, const char *boot_id)
{
	_cleanup_free_ char *id = id_of(boot_id, a->number);
	int r = id ? journal_has(id) : -ENOMEM;

	if (r > 0)
		return;
	if (r < 0)
		manager_complain(m,
				 "whether alert %s went out before latencyd ended is not known (no "
				 "journal can be asked: %s): it is sent, maybe again",
				 id ? id : "", strerror(-r));
	tell(m, a, id ? id : "");
}

void alerts_load(struct manager *m, struct alerts *a, struct reconcile *memory)
{
	_cleanup_free_ char *boot_id = NULL;

	if (!m->root.live) {
		journal_to_stderr();
		return;
	}
	load(m, a, memory, &boot_id);
	if (a->n_pending == 0)
		return;
	/* Whom the document names, and by the bus. Troubles with either are the pass's to tell. */
	(void)bus_connect(m);
	(void)manager_load_document(m, NULL);
	for (size_t i = 0; i < a->n_pending; i++)
		resend(m, &a->pending[i], boot_id);
	alerts_forget_pending(a);
	keep(m);
}

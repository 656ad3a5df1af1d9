/*
 * status --watch: the state now, then every change, until Ctrl-C. What is shown is always a look at
 * the machine; signals of latencyd only say when to look. Without latencyd or a bus it looks every
 * two seconds; with it now and then too, as a document may have alerts on the bus switched off.
 *
 * On a terminal the whole status is drawn anew in its place; into a pipe goes a line for each
 * changed verdict, or with --json the status object when it is another one. A drift that is
 * repaired before a look can see it is in the lines nevertheless: latencyd's signal names it.
 */
#include "ctl/ctl.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <time.h>

#include <jansson.h>
#include <systemd/sd-event.h>

#include "ctl/client.h"
#include "ctl/published.h"
#include "daemon/bus.h"
#include "daemon/journal.h"

#define LOOK_ALONE_US  (2 * 1000000ULL)
#define LOOK_BESIDE_US (10 * 1000000ULL)
/* Signals come in bursts: looks are no closer to each other than this. */
#define LOOK_GAP_US (200 * 1000ULL)
/* latencyd publishes what it signals a moment later. */
#define LOOK_DELAY_US (50 * 1000ULL)

struct watching {
	const struct ctl *c;
	sd_event *event;
	sd_event_source *timer;
	sd_bus *bus; /* NULL without one */
	bool terminal;
	bool seen;     /* there was a look that could be shown */
	json_t *known; /* {"GUEST/SETTING": the verdict that was shown last} */
	json_t *shown; /* essence of the status object that was shown last */
	char *trouble; /* the error that was shown last */
	int exit_code;
	uint64_t looked_us;
	struct error *e;
};

static void print_now(void)
{
	char now[ISO_TIME_SIZE];

	printf("%s ", iso_time(time(NULL), now));
}

/* ---- lines ---- */

/* Notes that @name now has @verdict. Returns what it had, "" at first; NULL: the same. */
static const char *note(struct watching *w, const char *name, const char *verdict, char *before,
			size_t size)
{
	const char *had = json_string_value(json_object_get(w->known, name));

	if (had && streq(had, verdict))
		return NULL;
	snprintf(before, size, "%s", had ? had : "");
	(void)json_object_set_new(w->known, name, json_string(verdict));
	return before;
}

static void print_change(const char *name, const char *was, const char *now)
{
	print_now();
	print_text(stdout, name);
	printf(": ");
	if (*was) {
		print_text(stdout, was);
		printf(" -> ");
	}
	print_text(stdout, now);
}

static void line_of_setting(struct watching *w, const char *guest, const json_t *entry)
{
	const char *setting = json_string_value(json_object_get(entry, "name"));
	const char *verdict = json_string_value(json_object_get(entry, "verdict"));
	const char *reason = json_string_value(json_object_get(entry, "reason")), *was;
	_cleanup_free_ char *name = NULL;
	bool first = json_object_size(w->shown) == 0;
	char before[32];

	if (!setting || !verdict ||
	    asprintf(&name, "%s%s%s", guest, *guest ? "/" : "", setting) < 0)
		return;
	was = note(w, name, verdict, before, sizeof(before));
	if (!was || (first && (streq(verdict, verdict_name(VERDICT_CONVERGED)) ||
			       streq(verdict, verdict_name(VERDICT_NOT_APPLICABLE)) ||
			       streq(verdict, verdict_name(VERDICT_UNMANAGED)))))
		return;
	print_change(name, was, verdict);
	if (reason) {
		printf(": ");
		print_text(stdout, reason);
	}
	printf("\n");
}

static void lines_of_machine(struct watching *w, const char *name, const char *guest,
			     const json_t *machine)
{
	const char *verdict = json_string_value(json_object_get(machine, "verdict"));
	const json_t *entry;
	char before[32];
	const char *was;
	size_t i;

	was = verdict ? note(w, name, verdict, before, sizeof(before)) : NULL;
	if (was) {
		print_change(name, was, verdict);
		printf("\n");
	}
	json_array_foreach(json_object_get(machine, "settings"), i, entry)
		line_of_setting(w, guest, entry);
}

static void print_lines_of(struct watching *w, const json_t *status)
{
	const char *machine = json_string_value(json_object_get(status, "machine"));
	const json_t *guest;
	size_t i;

	lines_of_machine(w, machine ? machine : "host", "", status);
	json_array_foreach(json_object_get(status, "guests"), i, guest)
	{
		const char *name = json_string_value(json_object_get(guest, "name"));
		_cleanup_free_ char *title = NULL;

		if (name && asprintf(&title, "guest %s", name) >= 0)
			lines_of_machine(w, title, name, guest);
	}
}

/* ---- one look ---- */

static int draw(struct watching *w, const struct desired *d, const struct look *l,
		const struct published *p)
{
	int r;

	fputs("\033[H\033[2J", stdout);
	print_now();
	printf("every change until Ctrl-C\n");
	fflush(stdout);
	r = print_status(d, l, p, w->e);
	fflush(stdout);
	return r;
}

static void strip_details(json_t *machine)
{
	static const char *const details[] = { "evidence", "items", "reason", "since" };
	json_t *entry;
	size_t i;

	json_array_foreach(json_object_get(machine, "settings"), i, entry)
	{
		for (size_t k = 0; k < ARRAY_SIZE(details); k++)
			(void)json_object_del(entry, details[k]);
	}
}

/* @status without what is different at each look: counters in texts, the time of the last pass.
 * NULL: out of memory. */
static json_t *essence(const json_t *status)
{
	json_t *copy = json_deep_copy(status), *guest;
	size_t i;

	(void)json_object_del(copy, "last_verified");
	strip_details(copy);
	json_array_foreach(json_object_get(copy, "guests"), i, guest) strip_details(guest);
	return copy;
}

static int print_changed(struct watching *w, const json_t *status)
{
	json_t *now = essence(status);

	if (!now)
		return error_set(w->e, -ENOMEM, "out of memory");
	if (!w->c->json) {
		print_lines_of(w, status);
	} else if (!json_equal(now, w->shown)) {
		json_dumpf(status, stdout, JSON_COMPACT);
		putchar('\n');
	}
	json_decref(w->shown);
	w->shown = now;
	if (fflush(stdout) != 0)
		return error_set(w->e, -errno, "cannot write the output: %s", strerror(errno));
	return 0;
}

static int show(struct watching *w, const struct desired *d, const struct look *l,
		const struct published *p)
{
	json_t *status;
	int r;

	if (w->c->quiet)
		return 0;
	if (w->terminal && !w->c->json)
		return draw(w, d, l, p);
	status = status_json(d, l, p);
	r = status ? print_changed(w, status) : error_set(w->e, -ENOMEM, "out of memory");
	json_decref(status);
	return r;
}

/* A document that turned wrong is told once and may become right again. */
static void show_trouble(struct watching *w, const struct error *e, int r)
{
	const char *what = e->what ? e->what : strerror(-r);

	w->exit_code = EXIT_FAILURE;
	if (w->trouble && streq(w->trouble, what))
		return;
	free(w->trouble);
	w->trouble = strdup(what);
	show_error(e, r);
}

/* Looks and shows; negative errno when the first look, or the output, fails. *ret_running: latencyd
 * will say when something changes. */
static int look_and_show(struct watching *w, bool *ret_running)
{
	_cleanup_published_ struct published p = { 0 };
	_cleanup_error_ struct error e = { 0 };
	_cleanup_desired_ struct desired d = { 0 };
	_cleanup_look_ struct look l = { 0 };
	int r;

	r = ctl_document(w->c, false, &d, &e);
	if (r >= 0)
		r = ctl_look_published(w->c, &d, &l, &p, &e);
	*ret_running = p.running;
	if (r < 0 && !w->seen)
		return error_move(w->e, &e); /* as status without --watch */
	if (r < 0) {
		show_trouble(w, &e, r);
		return 0;
	}
	w->seen = true;
	free(take_ptr(w->trouble));
	w->exit_code = machine_verdict_exit_code(report_worst(&l.report));
	return show(w, &d, &l, &p);
}

/* ---- when to look ---- */

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void look_soon(struct watching *w)
{
	uint64_t soon = now_us() + LOOK_DELAY_US, when = w->looked_us + LOOK_GAP_US;

	(void)sd_event_source_set_time(w->timer, when > soon ? when : soon);
	(void)sd_event_source_set_enabled(w->timer, SD_EVENT_ONESHOT);
}

static int on_stirred(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	(void)m;
	(void)error;
	look_soon(userdata);
	return 0;
}

/* The alert as latencyd's journal has it. */
static void print_alert(const char *json)
{
	_cleanup_(arena_free) struct arena arena = { 0 };
	json_t *object = json_loads(json, 0, NULL);
	struct alert a = { 0 };

	if (object && alert_from_json(object, &a) >= 0) {
		const char *text = alert_text(&arena, &a);

		print_now();
		print_text(stdout, text ? text : a.setting);
		printf("\n");
		fflush(stdout);
		alert_done(&a);
	}
	json_decref(object);
}

/* SettingChanged(guest, setting, was, now, json). */
static int on_setting(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct watching *w = userdata;
	const char *guest, *setting, *was, *now, *json;
	_cleanup_free_ char *name = NULL;
	char before[32];

	(void)error;
	look_soon(w);
	if (w->terminal || w->c->json || w->c->quiet ||
	    sd_bus_message_read(m, "sssss", &guest, &setting, &was, &now, &json) < 0 ||
	    asprintf(&name, "%s%s%s", guest, *guest ? "/" : "", setting) < 0)
		return 0;
	if (note(w, name, now, before, sizeof(before)))
		print_alert(json);
	return 0;
}

static void bus_drop(struct watching *w)
{
	w->bus = sd_bus_flush_close_unref(w->bus);
}

static void bus_listen(struct watching *w)
{
	int r;

	if (!w->c->root.live || (w->bus && sd_bus_is_open(w->bus) > 0))
		return;
	bus_drop(w);
	r = sd_bus_open_system(&w->bus);
	if (r >= 0)
		r = sd_bus_match_signal(w->bus, NULL, BUS_NAME, BUS_PATH, BUS_INTERFACE,
					"SettingChanged", on_setting, w);
	if (r >= 0)
		r = sd_bus_match_signal(w->bus, NULL, BUS_NAME, BUS_PATH,
					"org.freedesktop.DBus.Properties", "PropertiesChanged",
					on_stirred, w);
	if (r >= 0)
		r = sd_bus_add_match(w->bus, NULL,
				     "type='signal',sender='org.freedesktop.DBus',"
				     "member='NameOwnerChanged',arg0='" BUS_NAME "'",
				     on_stirred, w);
	if (r >= 0)
		r = sd_bus_attach_event(w->bus, w->event, SD_EVENT_PRIORITY_NORMAL);
	if (r < 0)
		bus_drop(w);
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct watching *w = userdata;
	bool running;
	int r;

	(void)usec;
	bus_listen(w);
	r = look_and_show(w, &running);
	w->looked_us = now_us();
	if (r < 0)
		return sd_event_exit(w->event, r);
	(void)sd_event_source_set_time(
		s, w->looked_us + (running && w->bus ? LOOK_BESIDE_US : LOOK_ALONE_US));
	(void)sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
	return 0;
}

static int on_end(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata)
{
	struct watching *w = userdata;

	(void)s;
	(void)si;
	return sd_event_exit(w->event, w->exit_code);
}

static int on_resized(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata)
{
	(void)s;
	(void)si;
	look_soon(userdata);
	return 0;
}

static int add_sources(struct watching *w)
{
	sigset_t handled;
	int r;

	sigemptyset(&handled);
	sigaddset(&handled, SIGINT);
	sigaddset(&handled, SIGTERM);
	sigaddset(&handled, SIGWINCH);
	sigprocmask(SIG_BLOCK, &handled, NULL);
	r = sd_event_new(&w->event);
	if (r >= 0)
		r = sd_event_add_signal(w->event, NULL, SIGINT, on_end, w);
	if (r >= 0)
		r = sd_event_add_signal(w->event, NULL, SIGTERM, on_end, w);
	if (r >= 0 && w->terminal)
		r = sd_event_add_signal(w->event, NULL, SIGWINCH, on_resized, w);
	if (r >= 0)
		r = sd_event_add_time(w->event, &w->timer, CLOCK_MONOTONIC, 0, 1, on_timer, w);
	return r < 0 ? error_set(w->e, r, "cannot set up the event loop: %s", strerror(-r)) : 0;
}

int watch_status(const struct ctl *c, struct error *e)
{
	struct watching w = {
		.c = c,
		.terminal = isatty(STDOUT_FILENO),
		.known = json_object(),
		.e = e,
	};
	int r = w.known ? add_sources(&w) : error_set(e, -ENOMEM, "out of memory");

	if (r >= 0)
		r = sd_event_loop(w.event);
	bus_drop(&w);
	sd_event_source_unref(w.timer);
	sd_event_unref(w.event);
	json_decref(w.known);
	json_decref(w.shown);
	free(w.trouble);
	return r;
}

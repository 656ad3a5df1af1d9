/*
 * events: what latencyd told the journal, as a table. Every entry of latencyd's that has a message
 * id is an event; what it says through stderr has none. Only root's entries count: anybody can send
 * an entry that looks like one.
 */
#include "ctl/ctl.h"

#include <errno.h>
#include <fcntl.h>

#include <jansson.h>
#include <systemd/sd-journal.h>

#include "state/writer.h"

/* The fields of an entry that are shown. */
enum event_field {
	EVENT_MESSAGE,
	EVENT_MESSAGE_ID,
	EVENT_ALERT,
	EVENT_GUEST,
	EVENT_SETTING,
	EVENT_WAS,
	EVENT_NOW,
	EVENT_VERDICT_WAS, /* of the machine */
	EVENT_VERDICT,
	EVENT_WANT,
	EVENT_FOUND,
	EVENT_REASON,
	EVENT_PATH,
	EVENT_SINCE,
	_EVENT_FIELD_MAX
};

/* In the journal, and as a key of ours; NULL: no key of its own. */
static const struct {
	const char *field, *key;
} event_fields[_EVENT_FIELD_MAX] = {
	[EVENT_MESSAGE] = { "MESSAGE", "message" },
	[EVENT_MESSAGE_ID] = { "MESSAGE_ID", "message_id" },
	[EVENT_ALERT] = { "LATENCYD_ALERT", "alert" },
	[EVENT_GUEST] = { "LATENCYD_GUEST", "guest" },
	[EVENT_SETTING] = { "LATENCYD_SETTING", "setting" },
	[EVENT_WAS] = { "LATENCYD_WAS", "was" },
	[EVENT_NOW] = { "LATENCYD_NOW", "now" },
	[EVENT_VERDICT_WAS] = { "LATENCYD_PREVIOUS_VERDICT", NULL },
	[EVENT_VERDICT] = { "LATENCYD_VERDICT", NULL },
	[EVENT_WANT] = { "LATENCYD_WANT", "want" },
	[EVENT_FOUND] = { "LATENCYD_FOUND", "found" },
	[EVENT_REASON] = { "LATENCYD_REASON", "reason" },
	[EVENT_PATH] = { "LATENCYD_PATH", "path" },
	[EVENT_SINCE] = { "LATENCYD_SINCE", "since" },
};

struct event {
	char time[ISO_TIME_SIZE];
	char *texts[_EVENT_FIELD_MAX]; /* malloc()ed, harmless; NULL: not in the entry */
	struct writer writer;
	bool caused;
};

static void event_done(struct event *ev)
{
	for (size_t i = 0; i < _EVENT_FIELD_MAX; i++)
		free(ev->texts[i]);
	writer_done(&ev->writer);
}

static void close_journal(sd_journal **j)
{
	sd_journal_close(*j);
}

/* ---- one entry ---- */

/* malloc()ed, harmless text of the entry's field; NULL: it has none. */
static char *entry_text(sd_journal *j, const char *field)
{
	size_t size, skip = strlen(field) + 1;
	const void *data;
	char *text;

	if (sd_journal_get_data(j, field, &data, &size) < 0 || size < skip)
		return NULL;
	text = strndup((const char *)data + skip, size - skip);
	if (text)
		text_defuse(text);
	return text;
}

static int64_t entry_number(sd_journal *j, const char *field, int64_t missing)
{
	_cleanup_free_ char *text = entry_text(j, field);
	char *end;
	long long number;

	if (!text || !*text)
		return missing;
	errno = 0;
	number = strtoll(text, &end, 10);
	return errno || *end ? missing : number;
}

static void read_writer(sd_journal *j, struct event *ev)
{
	_cleanup_free_ char *gone = entry_text(j, "LATENCYD_WRITER_GONE");
	struct writer *w = &ev->writer;

	w->pid = (int)entry_number(j, "LATENCYD_WRITER_PID", 0);
	w->uid = entry_number(j, "LATENCYD_WRITER_UID", -1);
	w->comm = entry_text(j, "LATENCYD_WRITER_COMM");
	w->exe = entry_text(j, "LATENCYD_WRITER_EXE");
	w->unit = entry_text(j, "LATENCYD_WRITER_UNIT");
	w->container = entry_text(j, "LATENCYD_WRITER_CONTAINER");
	w->gone = gone != NULL;
	ev->caused = w->pid || w->comm || w->exe || w->unit || w->container || w->gone;
}

/* @ev is empty. 0: what stands there is no event. */
static int read_event(sd_journal *j, struct event *ev)
{
	uint64_t realtime_us;

	ev->texts[EVENT_MESSAGE_ID] = entry_text(j, event_fields[EVENT_MESSAGE_ID].field);
	if (!ev->texts[EVENT_MESSAGE_ID] || sd_journal_get_realtime_usec(j, &realtime_us) < 0)
		return 0;
	iso_time((int64_t)(realtime_us / 1000000), ev->time);
	for (size_t i = 0; i < _EVENT_FIELD_MAX; i++)
		if (!ev->texts[i])
			ev->texts[i] = entry_text(j, event_fields[i].field);
	read_writer(j, ev);
	return 1;
}

/* ---- the journal ---- */

static int nothing_readable(const struct ctl *c, struct error *e)
{
	if (!c->root.live) {
		error_set(e, -ENOENT, "there is no journal below %s", c->root_path);
		error_todo(e, "it would be in var/log/journal or run/log/journal there");
	} else if (geteuid() != 0) {
		error_set(e, -EACCES, "no journal of the system can be read");
		error_todo(e, "run it as root, or as a member of the group systemd-journal");
	} else {
		error_set(e, -ENOENT, "there is no journal of the system");
		error_todo(e, "systemctl status systemd-journald; Storage= in journald.conf(5)");
	}
	return e->code;
}

/* Is there any entry? The library tells files apart by their place only for the running machine. */
static bool has_entries(const struct ctl *c, sd_journal *j)
{
	if (c->root.live)
		return sd_journal_has_persistent_files(j) > 0 ||
		       sd_journal_has_runtime_files(j) > 0;
	return sd_journal_seek_head(j) >= 0 && sd_journal_next(j) > 0;
}

static int open_journal(const struct ctl *c, sd_journal **ret, struct error *e)
{
	_cleanup_(close_journal) sd_journal *j = NULL;
	_cleanup_close_ int fd = -1;
	int r;

	if (c->root.live) {
		r = sd_journal_open(&j, SD_JOURNAL_LOCAL_ONLY | SD_JOURNAL_SYSTEM);
	} else {
		fd = sysroot_openat(&c->root, "/", O_RDONLY | O_DIRECTORY);
		r = fd < 0 ? fd : sd_journal_open_directory_fd(&j, fd, SD_JOURNAL_OS_ROOT);
	}
	if (r < 0)
		return error_set(e, r, "cannot read the journal: %s", strerror(-r));
	if (!has_entries(c, j))
		return nothing_readable(c, e);
	*ret = take_ptr(j);
	return 0;
}

static int ask_journal(const struct ctl *c, sd_journal *j, struct error *e)
{
	_cleanup_free_ char *setting = NULL;
	int r;

	r = sd_journal_add_match(j, "SYSLOG_IDENTIFIER=latencyd", 0);
	if (r >= 0)
		r = sd_journal_add_match(j, "_UID=0", 0);
	if (r >= 0 && c->n_args)
		r = asprintf(&setting, "LATENCYD_SETTING=%s", c->args[0]) < 0
			    ? -ENOMEM
			    : sd_journal_add_match(j, setting, 0);
	if (r >= 0)
		r = c->since_s > 0
			    ? sd_journal_seek_realtime_usec(j, (uint64_t)c->since_s * 1000000)
			    : sd_journal_seek_head(j);
	return r < 0 ? error_set(e, r, "cannot search the journal: %s", strerror(-r)) : 0;
}

typedef int (*event_fn)(const struct event *ev, void *userdata);

/* Calls @fn for each event, the oldest first. An entry that cannot be read is left out. */
static int each_event(const struct ctl *c, event_fn fn, void *userdata, struct error *e)
{
	_cleanup_(close_journal) sd_journal *j = NULL;
	int r;

	r = open_journal(c, &j, e);
	if (r >= 0)
		r = ask_journal(c, j, e);
	if (r < 0)
		return r;
	while ((r = sd_journal_next(j)) > 0) {
		_cleanup_(event_done) struct event ev = { 0 };

		if (read_event(j, &ev) > 0)
			r = fn(&ev, userdata);
		if (r < 0)
			return error_set(e, r, "out of memory while reading the journal");
	}
	return r < 0 ? error_set(e, r, "cannot read the journal: %s", strerror(-r)) : 0;
}

/* ---- as a table ---- */

struct event_table {
	struct table *table;
	size_t n;
};

/* "converged -> drifted" */
static void cell_change(struct table *t, size_t column, const char *was, const char *now)
{
	_cleanup_free_ char *text = NULL;

	if (asprintf(&text, "%s%s%s", was ? was : "", was && *was ? " -> " : "", now) >= 0)
		table_cell(t, column, text);
}

static void cell_setting(struct table *t, size_t column, const struct event *ev)
{
	const char *guest = ev->texts[EVENT_GUEST];
	_cleanup_free_ char *text = NULL;

	if (asprintf(&text, "%s%s%s", guest ? guest : "", guest ? "/" : "",
		     ev->texts[EVENT_SETTING]) >= 0)
		table_cell(t, column, text);
}

static void cell_writer(struct table *t, size_t column, const struct event *ev)
{
	_cleanup_(arena_free) struct arena a = { 0 };

	table_cell(t, column, ev->caused ? writer_text(&a, &ev->writer) : NULL);
}

static int add_row(const struct event *ev, void *userdata)
{
	struct event_table *list = userdata;
	struct table *t = list->table;

	list->n++;
	table_row(t);
	table_cell(t, 0, ev->time);
	if (ev->texts[EVENT_SETTING] && ev->texts[EVENT_NOW]) {
		cell_setting(t, 1, ev);
		cell_change(t, 2, ev->texts[EVENT_WAS], ev->texts[EVENT_NOW]);
		table_cell(t, 3, ev->texts[EVENT_FOUND]);
		table_cell(t, 4, ev->texts[EVENT_WANT]);
	} else if (ev->texts[EVENT_VERDICT]) {
		table_cell(t, 1, "(machine)");
		cell_change(t, 2, ev->texts[EVENT_VERDICT_WAS], ev->texts[EVENT_VERDICT]);
	} else {
		table_cell(t, 1, "(latencyd)");
		table_cell(t, 2, ev->texts[EVENT_MESSAGE]);
	}
	cell_writer(t, 5, ev);
	return 0;
}

static int print_events(const struct ctl *c, struct error *e)
{
	static const struct column columns[] = {
		{ .name = "TIME" },
		{ .name = "SETTING" },
		{ .name = "CHANGE", .wraps = true },
		{ .name = "FOUND", .wraps = true },
		{ .name = "WANTED", .wraps = true },
		{ .name = "CHANGED BY", .wraps = true },
	};
	struct event_table list = { .table = table_new(columns, ARRAY_SIZE(columns)) };
	int r, k;

	r = each_event(c, add_row, &list, e);
	if (r < 0 || list.n == 0 || c->quiet) {
		table_free(list.table);
		if (r >= 0 && !c->quiet)
			printf("nothing has changed that the journal tells of\n");
		return r;
	}
	k = table_print(list.table, e);
	return k < 0 ? k : 0;
}

/* ---- as JSON ---- */

/* The journal takes any bytes, JSON does not. */
static json_t *json_of(const char *text)
{
	json_t *string = text ? json_string(text) : json_null();
	_cleanup_free_ char *ascii = NULL;

	if (string)
		return string;
	ascii = strdup(text);
	for (char *p = ascii; p && *p; p++)
		if (*p & 0x80)
			*p = '?';
	return ascii ? json_string(ascii) : NULL;
}

static int add_texts(json_t *object, const struct event *ev)
{
	for (size_t i = 0; i < _EVENT_FIELD_MAX; i++)
		if (event_fields[i].key &&
		    json_object_set_new(object, event_fields[i].key, json_of(ev->texts[i])) < 0)
			return -ENOMEM;
	if (!ev->texts[EVENT_VERDICT])
		return 0;
	return json_object_set_new(object, "was", json_of(ev->texts[EVENT_VERDICT_WAS])) < 0 ||
			       json_object_set_new(object, "now",
						   json_of(ev->texts[EVENT_VERDICT])) < 0
		       ? -ENOMEM
		       : 0;
}

static int add_object(const struct event *ev, void *list)
{
	json_t *object = json_pack("{s:s}", "time", ev->time);

	if (object && add_texts(object, ev) == 0 &&
	    json_object_set_new(object, "changed_by",
				ev->caused ? writer_to_json(&ev->writer) : json_null()) == 0)
		return json_array_append_new(list, object) < 0 ? -ENOMEM : 0;
	json_decref(object);
	return -ENOMEM;
}

static int print_events_json(const struct ctl *c, struct error *e)
{
	json_t *list = json_array();
	int r = list ? each_event(c, add_object, list, e) : -ENOMEM;

	if (r < 0) {
		json_decref(list);
		return r;
	}
	return print_json(json_pack("{s:i, s:o}", "version", 1, "events", list), e);
}

int command_events(struct ctl *c, struct error *e)
{
	if (c->n_args && !row_by_name(c->args[0]))
		return ctl_usage("latencyctl explain lists the settings",
				 "there is no setting \"%s\"", c->args[0]);
	return c->json ? print_events_json(c, e) : print_events(c, e);
}

/*
 * org.latencyd1.Manager on a bus of the test's own, asked by root and by others, with and without a
 * polkit (a process of this test's, which decides by the action's name).
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>
#include <jansson.h>

#include "daemon/bus.h"
#include "daemon/manager.h"
#include "daemon/polkit.h"
#include "tests/unit/private_bus.h"

/* dbus-daemon serves users that the machine knows. */
#define NOBODY 65534
#define DAEMON 1

/* ---- what the bus stands on ---- */

static struct {
	unsigned plans, refreshes, adds;
	enum request_kind kind;
	char argument[64];
	uint64_t paused_s;
	int plan_result;
} seen;

uint64_t manager_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

void manager_complain(struct manager *m, const char *fmt, ...)
{
	(void)m;
	(void)fmt;
}

void manager_complain_of(struct manager *m, const struct error *e, int r)
{
	(void)m;
	(void)e;
	(void)r;
}

bool manager_paused(struct manager *m, const char **ret_until)
{
	(void)m;
	if (seen.paused_s != UINT64_MAX && ret_until)
		*ret_until = "until-resumed";
	return seen.paused_s != UINT64_MAX;
}

int manager_pause(struct manager *m, uint64_t seconds, struct error *e)
{
	(void)m;
	(void)e;
	seen.paused_s = seconds;
	return 0;
}

int manager_plan(struct manager *m, char **ret_json, struct error *e)
{
	(void)m;
	seen.plans++;
	if (seen.plan_result < 0)
		return error_set(e, seen.plan_result, "there is no document in force");
	*ret_json = strdup("{\"steps\":[]}");
	return *ret_json ? 0 : -ENOMEM;
}

void manager_refresh(struct manager *m)
{
	(void)m;
	seen.refreshes++;
}

int requests_add(struct manager *m, enum request_kind kind, const char *argument,
		 sd_bus_message *call, struct error *e)
{
	seen.adds++;
	seen.kind = kind;
	snprintf(seen.argument, sizeof(seen.argument), "%s", argument ? argument : "(none)");
	if (!m->root.live)
		return error_set(e, -EROFS, "this latencyd only watches /fake");
	if (seen.adds > 100)
		return error_set(e, -EBUSY, "16 requests wait already");
	return sd_bus_reply_method_return(call, "is", 3, "the tail");
}

json_t *watch_to_json(const struct watch *w)
{
	(void)w;
	return json_pack("{s:s}", "files", "fanotify");
}

json_t *alert_to_json(const struct alert *a)
{
	return json_pack("{s:s}", "setting", a->setting);
}

/* ---- polkit ---- */

static const struct {
	const char *action;
	int allowed, challenge; /* -1: no answer at all */
} decisions[] = {
	{ BUS_NAME ".pause", 1, 0 },
	{ BUS_NAME ".apply", 0, 0 },
	{ BUS_NAME ".revert", 0, 1 },
	{ BUS_NAME ".measure", -1, 0 },
};

/* As the real one does: of an authentication that failed, only the details tell. */
static int reply_failed(sd_bus_message *m)
{
	return sd_bus_reply_method_return(m, "(bba{ss})", 0, 0, 1,
					  "polkit.retains_authorization_after_challenge", "true");
}

static int method_check(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	const char *kind, *action, *cancel;
	uint32_t flags;
	int r = sd_bus_message_enter_container(m, 'r', "sa{sv}");

	(void)userdata;
	if (r >= 0)
		r = sd_bus_message_read(m, "s", &kind);
	if (r >= 0)
		r = sd_bus_message_skip(m, "a{sv}");
	if (r >= 0)
		r = sd_bus_message_exit_container(m);
	if (r >= 0)
		r = sd_bus_message_read(m, "s", &action);
	if (r >= 0)
		r = sd_bus_message_skip(m, "a{ss}");
	if (r >= 0)
		r = sd_bus_message_read(m, "us", &flags, &cancel);
	if (r < 0 || strcmp(kind, "system-bus-name") != 0)
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_SIZE(decisions); i++) {
		if (strcmp(decisions[i].action, action) != 0)
			continue;
		if (decisions[i].allowed < 0)
			return 1;
		if (flags == 1 && streq(action, BUS_NAME ".apply"))
			return reply_failed(m);
		/* The person who is asked says yes. */
		return sd_bus_reply_method_return(m, "(bba{ss})",
						  decisions[i].allowed ||
							  (decisions[i].challenge && flags == 1),
						  decisions[i].challenge, 0);
	}
	return sd_bus_error_set(error, "org.freedesktop.PolicyKit1.Error.Failed",
				"Action is not registered");
}

static const sd_bus_vtable polkit_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("CheckAuthorization", "(sa{sv})sa{ss}us", "(bba{ss})", method_check,
		      SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END,
};

static void be_polkit(sd_bus *bus)
{
	if (sd_bus_add_object_vtable(bus, NULL, "/org/freedesktop/PolicyKit1/Authority",
				     "org.freedesktop.PolicyKit1.Authority", polkit_vtable,
				     NULL) < 0)
		_exit(1);
}

/* ---- the daemon, and who asks it ---- */

struct scene {
	struct private_bus private;
	pid_t polkit;
	struct manager m;
};

static void wait_for_name(struct scene *s)
{
	for (int i = 0; i < 1000 && !private_bus_has(BUS_NAME); i++)
		assert_true(sd_event_run(s->m.event, 2 * 1000) >= 0);
	assert_true(private_bus_has(BUS_NAME));
}

static struct scene *set_up(bool polkit)
{
	struct scene *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	memset(&seen, 0, sizeof(seen));
	seen.paused_s = UINT64_MAX;
	if (!private_bus_start(&s->private)) {
		free(s);
		print_message("SKIP: there is no dbus-daemon here\n");
		skip();
	}
	if (polkit)
		s->polkit = private_bus_service("org.freedesktop.PolicyKit1", be_polkit);
	s->m.root.live = true;
	s->m.target = (struct verified_target)VERIFIED_TARGET_INIT;
	s->m.status = (char *)"{\"version\":1}";
	s->m.verdict = MACHINE_DRIFTED;
	s->m.generation = 7;
	assert_true(sd_event_new(&s->m.event) >= 0);
	assert_int_equal(bus_connect(&s->m), 0);
	wait_for_name(s);
	return s;
}

static void tear_down(struct scene *s)
{
	bus_close(&s->m);
	assert_null(s->m.requests.side);
	sd_event_unref(s->m.event);
	if (s->polkit)
		private_bus_end_service(s->polkit);
	private_bus_stop(&s->private);
	free(s);
}

struct caller {
	uid_t uid;
	bool with_person; /* who can be asked for a password */
	unsigned times;	  /* asks so often at once, says the last answer; 0: once */
	const char *interface, *method, *types;
	const char *text;
	uint64_t number;
};

static int append_arguments(sd_bus_message *m, const struct caller *c)
{
	for (const char *t = c->types ? c->types : ""; *t; t++) {
		int r;

		if (*t == 't')
			r = sd_bus_message_append_basic(m, 't', &c->number);
		else if (*t == 'b')
			r = sd_bus_message_append(m, "b", (int)c->number);
		else
			r = sd_bus_message_append_basic(m, 's', c->text);
		if (r < 0)
			return r;
	}
	return 0;
}

static sd_bus_message *new_call(sd_bus *bus, const struct caller *c)
{
	sd_bus_message *m = NULL;

	if (sd_bus_message_new_method_call(bus, &m, BUS_NAME, BUS_PATH,
					   c->interface ? c->interface : BUS_INTERFACE,
					   c->method) < 0 ||
	    sd_bus_message_set_allow_interactive_authorization(m, c->with_person) < 0 ||
	    append_arguments(m, c) < 0)
		_exit(1);
	return m;
}

/* One line on stdout: the error's name and message, or "ok" and the first string or number. */
static void say_reply(int r, sd_bus_error *error, sd_bus_message *reply)
{
	const char *text = "";
	int number;
	char type = 0;

	if (r < 0) {
		dprintf(1, "%s: %s", error->name, error->message);
		return;
	}
	(void)sd_bus_message_peek_type(reply, &type, NULL);
	if (type == 'v')
		(void)sd_bus_message_enter_container(reply, 'v', NULL);
	(void)sd_bus_message_peek_type(reply, &type, NULL);
	if (type == 's' && sd_bus_message_read(reply, "s", &text) >= 0)
		dprintf(1, "ok %s", text);
	else if ((type == 'i' || type == 'b') &&
		 sd_bus_message_read_basic(reply, type, &number) >= 0)
		dprintf(1, "ok %d", number);
	else
		dprintf(1, "ok");
}

/* In a process of its own. */
static void be_caller(const struct caller *c, int output)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *reply = NULL;
	sd_bus *bus = NULL;
	int r;

	dup2(output, 1);
	if (c->uid && (setresgid(c->uid, c->uid, c->uid) < 0 || setresuid(c->uid, c->uid, c->uid)))
		_exit(1);
	if (sd_bus_open_system(&bus) < 0)
		_exit(1);
	for (unsigned i = 1; i < c->times; i++)
		if (sd_bus_send(bus, new_call(bus, c), NULL) < 0)
			_exit(1);
	r = sd_bus_call(bus, new_call(bus, c), 5 * 1000 * 1000, &error, &reply);
	say_reply(r, &error, reply);
	_exit(0);
}

/* The daemon's loop goes on until the caller has its answer. */
static const char *answer(struct scene *s, const struct caller *c)
{
	static char text[512];
	size_t n = 0;
	int pipe_fds[2];
	pid_t pid;

	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		be_caller(c, pipe_fds[1]);
	close(pipe_fds[1]);
	for (;;) {
		ssize_t got = read(pipe_fds[0], text + n, sizeof(text) - 1 - n);

		if (got == 0)
			break;
		if (got > 0)
			n += (size_t)got;
		assert_true(sd_event_run(s->m.event, 2 * 1000) >= 0);
	}
	text[n] = '\0';
	close(pipe_fds[0]);
	waitpid(pid, NULL, 0);
	return text;
}

#define assert_answer(s, expected, ...) \
	assert_string_equal(answer(s, &(struct caller){ __VA_ARGS__ }), expected)

static void property_is(struct scene *s, const char *name, const char *expected)
{
	sd_bus *bus = NULL;
	int pipe_fds[2];
	char text[128] = "";
	ssize_t n = -1;
	pid_t pid;

	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		sd_bus_error error = SD_BUS_ERROR_NULL;
		sd_bus_message *reply = NULL;
		int r;

		dup2(pipe_fds[1], 1);
		if (sd_bus_open_system(&bus) < 0)
			_exit(1);
		r = sd_bus_call_method(bus, BUS_NAME, BUS_PATH, "org.freedesktop.DBus.Properties",
				       "Get", &error, &reply, "ss", BUS_INTERFACE, name);
		say_reply(r, &error, reply);
		_exit(0);
	}
	close(pipe_fds[1]);
	while (n < 0) {
		n = read(pipe_fds[0], text, sizeof(text) - 1);
		assert_true(sd_event_run(s->m.event, 2 * 1000) >= 0);
	}
	close(pipe_fds[0]);
	waitpid(pid, NULL, 0);
	assert_string_equal(text, expected);
}

static void need_root(void)
{
	if (geteuid() == 0)
		return;
	print_message("SKIP: only root can ask as somebody else\n");
	skip();
}

/* ---- tests ---- */

static void anybody_may_read(void **state)
{
	struct scene *s;

	(void)state;
	need_root();
	s = set_up(false);
	assert_answer(s, "ok {\"version\":1}", .uid = NOBODY, .method = "Status");
	assert_answer(s, "ok {\"steps\":[]}", .uid = NOBODY, .method = "Plan");
	tear_down(s);
}

static void properties_say_what_is(void **state)
{
	struct scene *s = set_up(false);

	(void)state;
	property_is(s, "Verdict", "ok drifted");
	property_is(s, "Paused", "ok 0");
	property_is(s, "PausedUntil", "ok ");
	property_is(s, "LastVerified", "ok ");
	property_is(s, "Watching", "ok {}");
	seen.paused_s = 0;
	s->m.alerts.last_verified = (char *)"2026-11-22T10:00:00Z";
	s->m.watch = (struct watch *)s;
	property_is(s, "Paused", "ok 1");
	property_is(s, "PausedUntil", "ok until-resumed");
	property_is(s, "LastVerified", "ok 2026-11-22T10:00:00Z");
	property_is(s, "Watching", "ok {\"files\":\"fanotify\"}");
	tear_down(s);
}

static void root_is_not_asked_about(void **state)
{
	struct scene *s;

	(void)state;
	need_root();
	s = set_up(false);
	assert_answer(s, "ok 3", .method = "Apply", .types = "b", .number = 1);
	assert_int_equal(seen.kind, REQUEST_APPLY);
	assert_string_equal(seen.argument, "reboot");
	assert_answer(s, "ok 3", .method = "Apply", .types = "b");
	assert_string_equal(seen.argument, "(none)");
	assert_answer(s, "ok 3", .method = "Revert", .types = "s", .text = "watchdogs");
	assert_int_equal(seen.kind, REQUEST_REVERT);
	assert_string_equal(seen.argument, "watchdogs");
	assert_answer(s, "ok 3", .method = "Revert", .types = "s", .text = "");
	assert_string_equal(seen.argument, "(none)");
	assert_answer(s, "ok 3", .method = "Measure", .types = "s", .text = "quick");
	assert_int_equal(seen.kind, REQUEST_MEASURE);
	assert_answer(s, "ok", .method = "Pause", .types = "t", .number = 60);
	assert_int_equal(seen.paused_s, 60);
	assert_answer(s, "ok", .method = "Resume");
	assert_true(seen.paused_s == UINT64_MAX);
	assert_answer(s, "ok", .method = "Refresh");
	assert_int_equal(seen.refreshes, 1);
	tear_down(s);
}

static void without_polkit_only_root_may(void **state)
{
	static const struct caller callers[] = {
		{ .method = "Apply", .types = "b" },
		{ .method = "Revert", .types = "s", .text = "" },
		{ .method = "Measure", .types = "s", .text = "" },
		{ .method = "Pause", .types = "t" },
		{ .method = "Resume" },
		{ .method = "Refresh" },
	};
	struct scene *s;

	(void)state;
	need_root();
	s = set_up(false);
	for (size_t i = 0; i < ARRAY_SIZE(callers); i++) {
		struct caller c = callers[i];

		c.uid = NOBODY;
		assert_string_equal(answer(s, &c),
				    "org.latencyd1.Error.Refused: only root may do this: there is "
				    "no polkit here that could allow it to others");
	}
	assert_int_equal(seen.adds, 0);
	assert_int_equal(seen.refreshes, 0);
	assert_true(seen.paused_s == UINT64_MAX);
	tear_down(s);
}

static void whom_polkit_allows_may(void **state)
{
	struct scene *s;

	(void)state;
	need_root();
	s = set_up(true);
	assert_answer(s, "ok", .uid = NOBODY, .method = "Pause", .types = "t", .number = 5);
	assert_int_equal(seen.paused_s, 5);
	assert_answer(s, "ok", .uid = NOBODY, .method = "Resume");
	assert_true(seen.paused_s == UINT64_MAX);
	tear_down(s);
}

static void whom_polkit_does_not_allow_may_not(void **state)
{
	struct scene *s;

	(void)state;
	need_root();
	s = set_up(true);
	assert_answer(s,
		      "org.latencyd1.Error.Refused: polkit does not allow this to you: ask as root",
		      .uid = NOBODY, .method = "Apply", .types = "b");
	assert_answer(
		s, "org.latencyd1.Error.Refused: polkit gave no answer: Action is not registered",
		.uid = NOBODY, .method = "Refresh");
	assert_int_equal(seen.adds, 0);
	assert_int_equal(seen.refreshes, 0);
	tear_down(s);
}

static void who_failed_to_authenticate_is_told_so(void **state)
{
	struct scene *s;

	(void)state;
	need_root();
	s = set_up(true);
	assert_answer(s,
		      "org.latencyd1.Error.Refused: polkit does not allow this to you: the "
		      "authentication failed; ask again, or as root",
		      .uid = NOBODY, .with_person = true, .method = "Apply", .types = "b");
	assert_int_equal(seen.adds, 0);
	tear_down(s);
}

static void a_person_is_asked_only_when_the_caller_can_wait_for_one(void **state)
{
	struct scene *s;

	(void)state;
	need_root();
	s = set_up(true);
	assert_answer(s,
		      "org.latencyd1.Error.Refused: polkit wants an authentication for this: ask "
		      "from a terminal, or as root",
		      .uid = NOBODY, .method = "Revert", .types = "s", .text = "watchdogs");
	assert_int_equal(seen.adds, 0);
	assert_answer(s, "ok 3", .uid = NOBODY, .with_person = true, .method = "Revert",
		      .types = "s", .text = "watchdogs");
	assert_string_equal(seen.argument, "watchdogs");
	tear_down(s);
}

static void open_questions_are_bounded_for_each_user(void **state)
{
	struct scene *s;

	(void)state;
	need_root();
	s = set_up(true);
	assert_answer(s, "org.latencyd1.Error.Busy: too many questions to polkit are open",
		      .uid = NOBODY, .times = POLKIT_CHECKS_PER_USER + 1, .method = "Measure",
		      .types = "s", .text = "");
	assert_answer(s, "ok", .uid = DAEMON, .method = "Pause", .types = "t");
	assert_answer(s, "ok 3", .method = "Measure", .types = "s", .text = "");
	tear_down(s); /* four are open */
}

static void what_is_invalid_is_refused_before_anybody_is_asked(void **state)
{
	char *huge = calloc(1, 100001);
	struct scene *s;

	(void)state;
	assert_non_null(huge);
	memset(huge, 'a', 100000);
	need_root();
	s = set_up(false);
	assert_answer(s, "org.latencyd1.Error.Invalid: there is no such setting", .uid = NOBODY,
		      .method = "Revert", .types = "s", .text = "../../etc");
	assert_answer(s, "org.latencyd1.Error.Invalid: there is no such setting", .uid = NOBODY,
		      .method = "Revert", .types = "s", .text = huge);
	assert_answer(s, "org.latencyd1.Error.Invalid: there is no such profile", .uid = NOBODY,
		      .method = "Measure", .types = "s", .text = "--reboot");
	assert_answer(s,
		      "org.latencyd1.Error.Invalid: a pause is at most a year long, or 0: until "
		      "resumed",
		      .uid = NOBODY, .method = "Pause", .types = "t", .number = UINT64_MAX);
	assert_int_equal(seen.adds, 0);
	tear_down(s);
	free(huge);
}

static void wrong_types_are_refused(void **state)
{
	struct scene *s;

	(void)state;
	need_root();
	s = set_up(false);
	assert_non_null(strstr(
		answer(s, &(struct caller){ .method = "Apply", .types = "s", .text = "yes" }),
		"InvalidArgs"));
	assert_non_null(
		strstr(answer(s, &(struct caller){ .method = "Pause", .types = "s", .text = "60" }),
		       "InvalidArgs"));
	assert_non_null(
		strstr(answer(s, &(struct caller){ .method = "Destroy" }), "UnknownMethod"));
	tear_down(s);
}

static void a_refusal_of_the_queue_has_its_name(void **state)
{
	struct scene *s;

	(void)state;
	need_root();
	s = set_up(false);
	s->m.root.live = false;
	assert_answer(s, "org.latencyd1.Error.Refused: this latencyd only watches /fake",
		      .method = "Apply", .types = "b");
	s->m.root.live = true;
	seen.adds = 100;
	assert_answer(s, "org.latencyd1.Error.Busy: 16 requests wait already", .method = "Apply",
		      .types = "b");
	tear_down(s);
}

/* The bound is in time, so the test may only say that not every call costs a look. */
static void a_flood_of_plans_costs_few_looks(void **state)
{
	struct scene *s = set_up(false);

	(void)state;
	assert_answer(s, "ok {\"steps\":[]}", .uid = geteuid() ? 0 : NOBODY, .times = 1000,
		      .method = "Plan");
	assert_true(seen.plans < 100);
	tear_down(s);
}

static void a_plan_that_cannot_be_made_is_remembered_too(void **state)
{
	struct scene *s = set_up(false);

	(void)state;
	seen.plan_result = -ENOENT;
	assert_answer(s, "org.latencyd1.Error.Failed: there is no document in force", .times = 500,
		      .method = "Plan");
	assert_true(seen.plans < 100);
	tear_down(s);
}

static void refreshes_that_come_together_are_one(void **state)
{
	struct scene *s;

	(void)state;
	need_root();
	s = set_up(false);
	assert_answer(s, "ok", .times = 20, .method = "Refresh");
	assert_true(seen.refreshes < 20);
	assert_true(seen.refreshes > 0);
	tear_down(s);
}

/* ---- to a guest's host ---- */

static sd_bus *peer_end(int fd, bool server)
{
	sd_id128_t id = { .bytes = { 1 } };
	sd_bus *bus = NULL;

	assert_true(sd_bus_new(&bus) >= 0);
	assert_true(sd_bus_set_fd(bus, fd, fd) >= 0);
	assert_true(sd_bus_set_anonymous(bus, 1) >= 0);
	if (server)
		assert_true(sd_bus_set_server(bus, 1, id) >= 0);
	assert_true(sd_bus_start(bus) >= 0);
	return bus;
}

struct peer_answer {
	bool there;
	char error[128];
};

static int on_peer_answer(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	const sd_bus_error *failed = sd_bus_message_get_error(reply);
	struct peer_answer *a = userdata;

	(void)error;
	a->there = true;
	snprintf(a->error, sizeof(a->error), "%s", failed ? failed->name : "");
	return 0;
}

static void ask_peer(sd_bus *host, sd_bus *guest, const char *method, const char *expected)
{
	struct peer_answer a = { 0 };

	assert_true(sd_bus_call_method_async(host, NULL, NULL, BUS_PATH, BUS_INTERFACE, method,
					     on_peer_answer, &a, NULL) >= 0);
	while (!a.there)
		assert_true(sd_bus_process(host, NULL) >= 0 && sd_bus_process(guest, NULL) >= 0);
	assert_string_equal(a.error, expected);
}

static void a_guests_host_may_only_read(void **state)
{
	struct manager m = { .status = (char *)"{}" };
	sd_bus *guest, *host;
	int pair[2];

	(void)state;
	memset(&seen, 0, sizeof(seen));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair),
			 0);
	guest = peer_end(pair[0], true);
	host = peer_end(pair[1], false);
	assert_true(bus_export(guest, &m) >= 0);
	ask_peer(host, guest, "Status", "");
	ask_peer(host, guest, "Apply", SD_BUS_ERROR_UNKNOWN_METHOD);
	ask_peer(host, guest, "Resume", SD_BUS_ERROR_UNKNOWN_METHOD);
	ask_peer(host, guest, "Refresh", SD_BUS_ERROR_UNKNOWN_METHOD);
	ask_peer(host, guest, "Plan", SD_BUS_ERROR_UNKNOWN_METHOD);
	assert_int_equal(seen.adds, 0);
	sd_bus_flush_close_unref(guest);
	sd_bus_flush_close_unref(host);
}

/* ---- signals ---- */

struct heard {
	char text[256];
};

static int on_setting_changed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	const char *guest, *setting, *was, *now, *json;
	struct heard *h = userdata;

	(void)error;
	assert_true(sd_bus_message_read(m, "sssss", &guest, &setting, &was, &now, &json) >= 0);
	snprintf(h->text, sizeof(h->text), "%s|%s|%s|%s|%s", guest, setting, was, now, json);
	return 0;
}

static void hear(struct scene *s, sd_bus *bus, const struct heard *h)
{
	for (int i = 0; i < 1000 && !h->text[0]; i++) {
		assert_true(sd_bus_process(bus, NULL) >= 0);
		assert_true(sd_event_run(s->m.event, 2 * 1000) >= 0);
	}
}

static void an_alert_is_a_signal(void **state)
{
	const struct alert a = {
		.setting = (char *)"irq_affinity",
		.was = VERDICT_CONVERGED,
		.now = VERDICT_DRIFTED,
	};
	struct scene *s = set_up(false);
	struct heard h = { 0 };
	sd_bus *bus = NULL;

	(void)state;
	assert_true(sd_bus_open_system(&bus) >= 0);
	assert_true(sd_bus_match_signal(bus, NULL, NULL, BUS_PATH, BUS_INTERFACE, "SettingChanged",
					on_setting_changed, &h) >= 0);
	bus_signal_alert(&s->m, &a);
	hear(s, bus, &h);
	assert_string_equal(h.text,
			    "|irq_affinity|converged|drifted|{\"setting\":\"irq_affinity\"}");
	sd_bus_flush_close_unref(bus);
	tear_down(s);
}

static void without_a_bus_nothing_is_lost_but_the_telling(void **state)
{
	const struct alert a = { .setting = (char *)"irq_affinity" };
	struct manager m = { .target = VERIFIED_TARGET_INIT };

	(void)state;
	assert_int_equal(setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere/bus", 1), 0);
	assert_true(sd_event_new(&m.event) >= 0);
	assert_true(bus_connect(&m) < 0);
	assert_null(m.requests.side);
	bus_announce(&m);
	bus_signal_alert(&m, &a);
	verified_target_set(&m, true);
	verified_target_check(&m);
	bus_close(&m);
	sd_event_unref(m.event);
}

static void a_bus_that_comes_back_is_used_again(void **state)
{
	struct scene *s = set_up(false);

	(void)state;
	private_bus_stop(&s->private);
	for (int i = 0; i < 20; i++)
		assert_true(sd_event_run(s->m.event, 2 * 1000) >= 0);
	assert_true(bus_connect(&s->m) < 0);
	assert_true(private_bus_start(&s->private));
	assert_int_equal(bus_connect(&s->m), 0);
	wait_for_name(s);
	assert_answer(s, "ok {\"version\":1}", .method = "Status");
	tear_down(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(anybody_may_read),
		cmocka_unit_test(properties_say_what_is),
		cmocka_unit_test(root_is_not_asked_about),
		cmocka_unit_test(without_polkit_only_root_may),
		cmocka_unit_test(whom_polkit_allows_may),
		cmocka_unit_test(whom_polkit_does_not_allow_may_not),
		cmocka_unit_test(who_failed_to_authenticate_is_told_so),
		cmocka_unit_test(a_person_is_asked_only_when_the_caller_can_wait_for_one),
		cmocka_unit_test(open_questions_are_bounded_for_each_user),
		cmocka_unit_test(what_is_invalid_is_refused_before_anybody_is_asked),
		cmocka_unit_test(wrong_types_are_refused),
		cmocka_unit_test(a_refusal_of_the_queue_has_its_name),
		cmocka_unit_test(a_flood_of_plans_costs_few_looks),
		cmocka_unit_test(a_plan_that_cannot_be_made_is_remembered_too),
		cmocka_unit_test(refreshes_that_come_together_are_one),
		cmocka_unit_test(a_guests_host_may_only_read),
		cmocka_unit_test(an_alert_is_a_signal),
		cmocka_unit_test(without_a_bus_nothing_is_lost_but_the_telling),
		cmocka_unit_test(a_bus_that_comes_back_is_used_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

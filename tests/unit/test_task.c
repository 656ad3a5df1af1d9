/*
 * Tasks: one command as a transient unit, asked of a systemd that is a process of this test's, on a
 * bus of its own. It runs a shell line in place of what it is given.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/wait.h>

#include <cmocka.h>
#include <systemd/sd-daemon.h>

#include "daemon/pin.h"
#include "daemon/task.h"
#include "tests/unit/private_bus.h"

#define NAME	"org.freedesktop.systemd1"
#define PATH	"/org/freedesktop/systemd1"
#define MANAGER "org.freedesktop.systemd1.Manager"
#define SERVICE "org.freedesktop.systemd1.Service"
#define UNIT	PATH "/unit/latencyd_2dapply_2eservice"

/* This machine runs systemd or not: the test decides. */
static bool booted;
int sd_booted(void)
{
	return booted;
}

/* ---- the other side ---- */

/* What `latencyctl COMMAND` does there: a shell line. */
static const struct {
	const char *command, *shell;
} commands[] = {
	{ "good", "echo fine" },
	{ "bad", "echo some trouble; exit 3" },
	{ "killed", "kill -9 $$" },
	{ "waits", "echo begun; exec sleep 1000" },
	{ "lasts", "echo begun; sleep 0.5; echo ended" },
	{ "never", NULL },
};

struct fake {
	sd_bus *bus;
	pid_t pid; /* of the command that runs */
	int output;
	int32_t code, status;
	unsigned refs;
} fake;

static int get_number(sd_bus *bus, const char *path, const char *interface, const char *property,
		      sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	(void)bus;
	(void)path;
	(void)interface;
	(void)userdata;
	(void)error;
	/* Forgotten as soon as nobody holds it. */
	if (fake.refs == 0)
		return -ENOENT;
	return sd_bus_message_append(
		reply, "i", strcmp(property, "ExecMainCode") == 0 ? fake.code : fake.status);
}

/* Reads a property that the fake knows; everything else is an error, as with systemd. */
static int take_property(sd_bus_message *m, const char **command)
{
	const char *name, *text, *path;
	char **argv = NULL;
	uint64_t number;
	int r, flag, fd;

	r = sd_bus_message_read(m, "s", &name);
	if (r < 0)
		return r;
	if (strcmp(name, "ExecStartEx") == 0) {
		r = sd_bus_message_enter_container(m, 'v', "a(sasas)");
		if (r > 0)
			r = sd_bus_message_enter_container(m, 'a', "(sasas)");
		if (r > 0)
			r = sd_bus_message_enter_container(m, 'r', "sasas");
		if (r > 0)
			r = sd_bus_message_read(m, "s", &path);
		if (r > 0)
			r = sd_bus_message_read_strv(m, &argv);
		if (r > 0)
			r = sd_bus_message_skip(m, "as");
		for (int i = 0; r >= 0 && i < 3; i++)
			r = sd_bus_message_exit_container(m);
		*command = argv ? argv[1] : NULL;
		return path[0] == '/' && argv && strcmp(argv[0], path) == 0 ? r : -EINVAL;
	}
	if (strcmp(name, "StandardOutputFileDescriptor") == 0 ||
	    strcmp(name, "StandardErrorFileDescriptor") == 0) {
		r = sd_bus_message_read(m, "v", "h", &fd);
		if (r >= 0 && fake.output < 0)
			fake.output = dup(fd);
		return r;
	}
	if (strcmp(name, "AddRef") == 0) {
		r = sd_bus_message_read(m, "v", "b", &flag);
		fake.refs += r >= 0 && flag;
		return r;
	}
	if (strcmp(name, "CPUAffinity") == 0)
		return sd_bus_message_skip(m, "v");
	if (strcmp(name, "KillSignal") == 0)
		return sd_bus_message_read(m, "v", "i", &flag);
	if (strncmp(name, "Timeout", strlen("Timeout")) == 0)
		return sd_bus_message_read(m, "v", "t", &number);
	if (strcmp(name, "Type") == 0 || strcmp(name, "CollectMode") == 0 ||
	    strcmp(name, "KillMode") == 0 || strcmp(name, "Description") == 0)
		return sd_bus_message_read(m, "v", "s", &text);
	return -EINVAL;
}

static int take_properties(sd_bus_message *m, const char **command)
{
	int r = sd_bus_message_enter_container(m, 'a', "(sv)");

	while (r >= 0 && (r = sd_bus_message_enter_container(m, 'r', "sv")) > 0) {
		r = take_property(m, command);
		if (r >= 0)
			r = sd_bus_message_exit_container(m);
	}
	return r;
}

static void job_removed(const char *result)
{
	(void)sd_bus_emit_signal(fake.bus, PATH, MANAGER, "JobRemoved", "uoss", 7, PATH "/job/7",
				 "latencyd-apply.service", result);
}

static int on_child(sd_event_source *s, const siginfo_t *si, void *userdata)
{
	(void)s;
	(void)userdata;
	fake.pid = 0;
	fake.code = si->si_code;
	fake.status = si->si_status;
	job_removed(si->si_code == CLD_EXITED && si->si_status == 0 ? "done" : "failed");
	return 0;
}

static int run(const char *command)
{
	const char *shell = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (strcmp(commands[i].command, command) == 0)
			shell = commands[i].shell;
	fake.code = 0;
	if (!shell) {
		job_removed("canceled");
		return 0;
	}
	fake.pid = fork();
	if (fake.pid == 0) {
		sigset_t none;

		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		dup2(fake.output, 1);
		dup2(fake.output, 2);
		execl("/bin/sh", "sh", "-c", shell, NULL);
		_exit(127);
	}
	return sd_event_add_child(sd_bus_get_event(fake.bus), NULL, fake.pid, WEXITED, on_child,
				  NULL);
}

static int method_start(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	const char *unit, *mode, *command = NULL;
	int r = sd_bus_message_read(m, "ss", &unit, &mode);

	(void)userdata;
	if (r >= 0 && (fake.pid > 0 || fake.refs > 0))
		return sd_bus_error_setf(error, "org.freedesktop.systemd1.UnitExists",
					 "Unit %s was already loaded.", unit);
	fake.output = -1;
	if (r >= 0)
		r = take_properties(m, &command);
	if (r < 0 || fake.output < 0 || !command)
		return sd_bus_error_setf(error, SD_BUS_ERROR_PROPERTY_READ_ONLY, "bad properties");
	r = sd_bus_reply_method_return(m, "o", PATH "/job/7");
	if (r >= 0)
		r = run(command);
	close(fake.output);
	return r;
}

static int method_unref(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	(void)userdata;
	(void)error;
	fake.refs = 0;
	(void)sd_bus_reply_method_return(m, NULL);
	return 1;
}

static int method_kill(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	const char *unit, *whom;
	int signal, r = sd_bus_message_read(m, "ssi", &unit, &whom, &signal);

	(void)userdata;
	(void)error;
	if (r >= 0 && fake.pid > 0)
		kill(fake.pid, signal);
	if (r >= 0)
		(void)sd_bus_reply_method_return(m, NULL);
	return r < 0 ? r : 1;
}

static const sd_bus_vtable manager_vtable[] = {
	SD_BUS_VTABLE_START(SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("StartTransientUnit", "ssa(sv)a(sa(sv))", "o", method_start, 0),
	SD_BUS_METHOD("UnrefUnit", "s", "", method_unref, 0),
	SD_BUS_METHOD("KillUnit", "ssi", "", method_kill, 0),
	SD_BUS_VTABLE_END,
};

static const sd_bus_vtable service_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_PROPERTY("ExecMainCode", "i", get_number, 0, 0),
	SD_BUS_PROPERTY("ExecMainStatus", "i", get_number, 0, 0),
	SD_BUS_VTABLE_END,
};

static void be_systemd(sd_bus *bus)
{
	sd_event *event = NULL;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fake.bus = bus;
	if (sd_event_new(&event) < 0 || sd_bus_attach_event(bus, event, 0) < 0 ||
	    sd_bus_add_object_vtable(bus, NULL, PATH, MANAGER, manager_vtable, NULL) < 0 ||
	    sd_bus_add_object_vtable(bus, NULL, UNIT, SERVICE, service_vtable, NULL) < 0 ||
	    sd_bus_request_name(bus, NAME, 0) < 0)
		_exit(1);
	sd_event_loop(event);
	_exit(0);
}

/* ---- this side ---- */

struct outcome {
	struct private_bus private;
	pid_t systemd;
	sd_event *event;
	sd_bus *bus;
	struct task task;
	int status;
	unsigned ended;
	char tail[CHILD_TAIL_SIZE];
};

static void on_done(int status, const char *tail, void *userdata)
{
	struct outcome *o = userdata;

	o->status = status;
	o->ended++;
	snprintf(o->tail, sizeof(o->tail), "%s", tail);
}

static struct outcome *set_up(void)
{
	struct outcome *o = calloc(1, sizeof(*o));
	sigset_t set;

	assert_non_null(o);
	if (!private_bus_start(&o->private)) {
		free(o);
		print_message("SKIP: there is no dbus-daemon here\n");
		skip();
	}
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	booted = true;
	o->systemd = private_bus_service(NAME, be_systemd);
	assert_true(sd_event_new(&o->event) >= 0);
	assert_true(sd_bus_open_system(&o->bus) >= 0);
	assert_true(sd_bus_attach_event(o->bus, o->event, 0) >= 0);
	task_init(&o->task);
	return o;
}

static void tear_down(struct outcome *o)
{
	task_close(&o->task);
	o->bus = sd_bus_flush_close_unref(o->bus);
	sd_event_unref(o->event);
	private_bus_end_service(o->systemd);
	private_bus_stop(&o->private);
	free(o);
}

static int start(struct outcome *o, const char *command, struct error *e)
{
	const char *argv[] = { "latencyctl", command, "--quiet", NULL };

	return task_start(&o->task, o->event, o->bus, "apply", argv, on_done, o, e);
}

static void wait_for(struct outcome *o, unsigned ended)
{
	for (int i = 0; i < 1000 && o->ended < ended; i++)
		assert_true(sd_event_run(o->event, 10 * 1000) >= 0);
	assert_int_equal(o->ended, ended);
}

static void wait_for_output(struct outcome *o)
{
	for (int i = 0; i < 1000 && o->task.tail.n == 0; i++)
		assert_true(sd_event_run(o->event, 10 * 1000) >= 0);
	assert_true(o->task.tail.n > 0);
}

static void runs_as_a_unit_and_keeps_its_output(void **state)
{
	struct outcome *o = set_up();

	(void)state;
	assert_int_equal(start(o, "good", NULL), 0);
	assert_true(o->task.running);
	assert_string_equal(o->task.unit, "latencyd-apply.service");
	wait_for(o, 1);
	assert_false(o->task.running);
	assert_null(o->task.unit);
	assert_int_equal(o->status, 0);
	assert_string_equal(o->tail, "fine\n");
	tear_down(o);
}

static void its_exit_code_is_handed_on(void **state)
{
	struct outcome *o = set_up();

	(void)state;
	assert_int_equal(start(o, "bad", NULL), 0);
	wait_for(o, 1);
	assert_int_equal(o->status, 3);
	assert_string_equal(o->tail, "some trouble\n");
	tear_down(o);
}

static void a_signal_that_ended_it_shows(void **state)
{
	struct outcome *o = set_up();

	(void)state;
	assert_int_equal(start(o, "killed", NULL), 0);
	wait_for(o, 1);
	assert_int_equal(o->status, 128 + SIGKILL);
	tear_down(o);
}

static void what_systemd_never_ran_is_a_failure(void **state)
{
	struct outcome *o = set_up();

	(void)state;
	assert_int_equal(start(o, "never", NULL), 0);
	wait_for(o, 1);
	assert_int_equal(o->status, EXIT_FAILURE);
	assert_non_null(strstr(o->tail, "systemd did not run latencyd-apply.service: canceled"));
	tear_down(o);
}

static void it_can_be_run_again(void **state)
{
	struct outcome *o = set_up();

	(void)state;
	assert_int_equal(start(o, "bad", NULL), 0);
	assert_int_equal(start(o, "bad", NULL), -EBUSY);
	wait_for(o, 1);
	assert_int_equal(start(o, "good", NULL), 0);
	wait_for(o, 2);
	assert_int_equal(o->status, 0);
	assert_string_equal(o->tail, "fine\n");
	tear_down(o);
}

static void a_signal_reaches_it(void **state)
{
	struct outcome *o = set_up();

	(void)state;
	assert_int_equal(start(o, "waits", NULL), 0);
	wait_for_output(o);
	task_signal(&o->task, SIGTERM);
	wait_for(o, 1);
	assert_int_equal(o->status, 128 + SIGTERM);
	tear_down(o);
}

/* What the next daemon finds when this one is restarted meanwhile. */
static void a_unit_of_an_earlier_daemon_is_busy(void **state)
{
	_cleanup_error_ struct error e = { 0 };
	struct outcome *o = set_up();

	(void)state;
	assert_int_equal(start(o, "waits", NULL), 0);
	wait_for_output(o);
	task_close(&o->task);
	assert_int_equal(start(o, "good", &e), -EBUSY);
	assert_string_equal(e.what, "latencyd-apply.service still runs: the latencyd before this "
				    "one started it");
	assert_false(o->task.running);
	assert_null(o->task.unit);
	assert_int_equal(o->ended, 0);
	tear_down(o);
}

static void a_refusal_of_systemd_is_told(void **state)
{
	_cleanup_error_ struct error e = { 0 };
	struct outcome *o = set_up();

	(void)state;
	private_bus_end_service(o->systemd);
	assert_true(start(o, "good", &e) < 0);
	assert_non_null(strstr(e.what, "cannot start latencyd-apply.service: "));
	assert_false(o->task.running);
	o->systemd = private_bus_service(NAME, be_systemd);
	tear_down(o);
}

/* The unit goes on, and nothing is said of it before it has ended. */
static void how_it_ends_is_unknown_when_the_bus_went_away(void **state)
{
	struct outcome *o = set_up();

	(void)state;
	assert_int_equal(start(o, "lasts", NULL), 0);
	wait_for_output(o);
	private_bus_stop(&o->private);
	assert_int_equal(o->ended, 0);
	assert_true(o->task.running);
	wait_for(o, 1);
	assert_int_equal(o->status, EXIT_FAILURE);
	assert_non_null(strstr(o->tail, "begun\nended\n"));
	assert_non_null(strstr(o->tail, "how this ended is not known"));
	tear_down(o);
}

static void without_systemd_it_is_a_child(void **state)
{
	_cleanup_error_ struct error e = { 0 };
	struct outcome *o = set_up();
	int r;

	(void)state;
	booted = false;
	r = start(o, "--version", &e);
	if (r == -ENOENT) {
		tear_down(o);
		print_message("SKIP: %s\n", e.what);
		skip();
	}
	assert_int_equal(r, 0);
	assert_null(o->task.unit);
	wait_for(o, 1);
	assert_int_equal(o->status, 0);
	assert_non_null(strstr(o->tail, "latencyctl "));
	assert_false(o->task.running);
	tear_down(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(runs_as_a_unit_and_keeps_its_output),
		cmocka_unit_test(its_exit_code_is_handed_on),
		cmocka_unit_test(a_signal_that_ended_it_shows),
		cmocka_unit_test(what_systemd_never_ran_is_a_failure),
		cmocka_unit_test(it_can_be_run_again),
		cmocka_unit_test(a_signal_reaches_it),
		cmocka_unit_test(a_unit_of_an_earlier_daemon_is_busy),
		cmocka_unit_test(a_refusal_of_systemd_is_told),
		cmocka_unit_test(how_it_ends_is_unknown_when_the_bus_went_away),
		cmocka_unit_test(without_systemd_it_is_a_child),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

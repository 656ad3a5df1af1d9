/*
 * The transient unit: oneshot, so that systemd's start job is over when the command is; we hold a
 * reference to it (AddRef), so that systemd still knows how it ended when we ask. All commands that
 * change the machine share one unit name: of two daemons, one started after the other, only one can
 * have such a command running, and systemd is who says so.
 *
 * A unit begins with PID 1's affinity, so it is given this process's own, which is the housekeeping
 * CPUs. Its standard output is our pipe: when the daemon goes, writes to it fail, and nobody dies
 * of that (IgnoreSIGPIPE= is systemd's default).
 */
#include "daemon/task.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <sys/wait.h>

#include <systemd/sd-daemon.h>

#include "daemon/pin.h"
#include "guest/self.h"
#include "guest/transient_unit.h"

#define NAME	"org.freedesktop.systemd1"
#define PATH	"/org/freedesktop/systemd1"
#define MANAGER "org.freedesktop.systemd1.Manager"
#define SERVICE "org.freedesktop.systemd1.Service"
#define EXISTS	"org.freedesktop.systemd1.UnitExists"

/* systemd answers in milliseconds unless it is reloading. */
#define CALL_TIMEOUT_US (10ULL * 1000 * 1000)
/* So long a shutdown waits for apt-get. */
#define STOP_TIMEOUT_US (5ULL * 60 * 1000 * 1000)

static void message_donep(sd_bus_message **m)
{
	sd_bus_message_unref(*m);
}

#define _cleanup_message_   _cleanup_(message_donep)
#define _cleanup_bus_error_ _cleanup_(sd_bus_error_free)

void task_init(struct task *t)
{
	*t = (struct task){ .output = -1, .child.output = -1 };
}

/* Lets go of everything but the tail. */
static void release(struct task *t)
{
	unit_job_forget(&t->job);
	t->lost_slot = sd_bus_slot_unref(t->lost_slot);
	t->output_source = sd_event_source_disable_unref(t->output_source);
	closep_(&t->output);
	t->output = -1;
	free(take_ptr(t->unit));
	t->bus = sd_bus_unref(t->bus);
	t->running = false;
}

void task_close(struct task *t)
{
	child_close(&t->child);
	release(t);
}

void task_signal(struct task *t, int signal)
{
	child_signal(&t->child, signal);
	if (t->running && t->unit && t->bus)
		(void)sd_bus_call_method_async(t->bus, NULL, NAME, PATH, MANAGER, "KillUnit", NULL,
					       NULL, "ssi", t->unit, "main", signal);
}

static void end(struct task *t, int status)
{
	(void)tail_drain(&t->tail, t->output);
	if (t->bus)
		(void)sd_bus_call_method_async(t->bus, NULL, NAME, PATH, MANAGER, "UnrefUnit", NULL,
					       NULL, "s", t->unit);
	release(t);
	t->done(status, t->tail.text, t->userdata);
}

/* ---- how it ended ---- */

static void note(struct task *t, const char *text)
{
	if (t->tail.n > 0)
		tail_add(&t->tail, "\n", 1);
	tail_add(&t->tail, text, strlen(text));
}

static int ask(struct task *t, const char *path, const char *property, int32_t *ret,
	       sd_bus_error *error)
{
	_cleanup_message_ sd_bus_message *m = NULL, *reply = NULL;
	int r = sd_bus_message_new_method_call(t->bus, &m, NAME, path,
					       "org.freedesktop.DBus.Properties", "Get");

	if (r >= 0)
		r = sd_bus_message_append(m, "ss", SERVICE, property);
	if (r >= 0)
		r = sd_bus_call(t->bus, m, CALL_TIMEOUT_US, error, &reply);
	return r < 0 ? r : sd_bus_message_read(reply, "v", "i", ret);
}

static void on_job_end(const char *result, const char *refusal, void *userdata)
{
	_cleanup_bus_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_free_ char *path = NULL, *text = NULL;
	struct task *t = userdata;
	int32_t code = 0, status = 0;
	int r;

	(void)refusal; /* transient_start() said it */
	(void)tail_drain(&t->tail, t->output);
	r = sd_bus_path_encode(PATH "/unit", t->unit, &path);
	if (r >= 0)
		r = ask(t, path, "ExecMainCode", &code, &error);
	if (r >= 0)
		r = ask(t, path, "ExecMainStatus", &status, &error);
	if (r >= 0 && code != 0) {
		end(t, code == CLD_EXITED ? status : 128 + status);
		return;
	}
	if (r < 0 && asprintf(&text, "systemd does not say how %s ended: %s", t->unit,
			      error.message ? error.message : strerror(-r)) < 0)
		text = NULL;
	if (r >= 0 && asprintf(&text, "systemd did not run %s: %s", t->unit, result) < 0)
		text = NULL;
	note(t, text ? text : "out of memory");
	end(t, EXIT_FAILURE);
}

/* ---- a bus that goes away ---- */

static void end_of_output(struct task *t)
{
	note(t, "the system bus went away meanwhile: how this ended is not known; see the journal");
	end(t, EXIT_FAILURE);
}

/* The unit goes on. What is left to us of it is the pipe, which ends with it. */
static int on_lost(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct task *t = userdata;
	int on = SD_EVENT_OFF;

	(void)m;
	(void)error;
	t->bus = sd_bus_unref(t->bus);
	(void)sd_event_source_get_enabled(t->output_source, &on);
	if (on == SD_EVENT_OFF)
		end_of_output(t);
	return 0;
}

static int on_output(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct task *t = userdata;

	(void)revents;
	if (tail_drain(&t->tail, fd) != 0)
		return 0;
	(void)sd_event_source_set_enabled(s, SD_EVENT_OFF);
	if (!t->bus)
		end_of_output(t);
	return 0;
}

/* ---- starting it ---- */

/* A measurement that is asked to stop keeps what it has. Everything else is left to end by itself:
 * it may be in the middle of apt-get. SIGCONT is what nobody minds. */
static int stop_signal(const char *command)
{
	return streq(command, "measure") || streq(command, "segment") ? SIGINT : SIGCONT;
}

static int append_properties(sd_bus_message *m, const char *const *argv, int output)
{
	_cleanup_free_ char *description = NULL;
	_cleanup_cpuset_ struct cpuset cpus = { 0 };
	int r = asprintf(&description, "latencyctl %s, started by latencyd", argv[1]);

	if (r < 0) {
		description = NULL;
		return -ENOMEM;
	}
	r = pinned_to(&cpus);
	if (r >= 0)
		r = sd_bus_message_append(
			m, "(sv)(sv)(sv)(sv)(sv)(sv)(sv)(sv)(sv)(sv)", "Description", "s",
			description, "Type", "s", "oneshot", "AddRef", "b", 1, "CollectMode", "s",
			"inactive-or-failed", "KillMode", "s", "mixed", "KillSignal", "i",
			stop_signal(argv[1]), "TimeoutStartUSec", "t", UINT64_MAX,
			"TimeoutStopUSec", "t", (uint64_t)STOP_TIMEOUT_US,
			"StandardOutputFileDescriptor", "h", output, "StandardErrorFileDescriptor",
			"h", output);
	if (r >= 0)
		r = transient_command(m, "ExecStartEx", argv);
	return r < 0 ? r : transient_cpus(m, &cpus);
}

static int call_start(struct task *t, const char *const *argv, int output, sd_bus_error *error)
{
	_cleanup_message_ sd_bus_message *m = NULL;
	int r = transient_new(t->bus, t->unit, "fail", &m);

	if (r >= 0)
		r = append_properties(m, argv, output);
	return r < 0 ? r : transient_start(t->bus, m, CALL_TIMEOUT_US, error, &t->job.path);
}

/* Before the start: nothing that is said of it is missed. */
static int listen_to(struct task *t, sd_event *event)
{
	int r = sd_event_add_io(event, &t->output_source, t->output, EPOLLIN, on_output, t);

	if (r >= 0)
		r = unit_job_listen(&t->job, t->bus, on_job_end, t);
	if (r >= 0)
		r = sd_bus_match_signal(t->bus, &t->lost_slot, "org.freedesktop.DBus.Local",
					"/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local",
					"Disconnected", on_lost, t);
	return r;
}

static int start_unit(struct task *t, sd_event *event, const char **argv, struct error *e)
{
	_cleanup_bus_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
	char path[PATH_MAX];
	int pipe_fds[2];
	int r = find_latencyctl(path, e);

	if (r < 0)
		return r;
	if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return error_set(e, -errno, "cannot make a pipe: %s", strerror(errno));
	(void)fcntl(pipe_fds[1], F_SETFL, 0); /* the command's writes wait */
	t->output = pipe_fds[0];
	argv[0] = path;
	r = listen_to(t, event);
	if (r >= 0)
		r = call_start(t, argv, pipe_fds[1], &error);
	close(pipe_fds[1]);
	argv[0] = "latencyctl";
	if (r < 0 && sd_bus_error_has_name(&error, EXISTS))
		return error_set(e, -EBUSY,
				 "%s still runs: the latencyd before this one started it", t->unit);
	if (r < 0)
		return error_set(e, r, "cannot start %s: %s", t->unit,
				 error.message ? error.message : strerror(-r));
	return 0;
}

static void on_child_done(int status, const char *tail, void *userdata)
{
	struct task *t = userdata;

	t->running = false;
	t->done(status, tail, t->userdata);
}

int task_start(struct task *t, sd_event *event, sd_bus *bus, const char *name, const char **argv,
	       task_done_fn done, void *userdata, struct error *e)
{
	int r;

	if (t->running)
		return error_set(e, -EBUSY, "another change of this machine is running");
	t->done = done;
	t->userdata = userdata;
	tail_clear(&t->tail);
	if (!bus || sd_booted() <= 0) {
		r = child_start_latencyctl(&t->child, event, argv, on_child_done, t, e);
	} else if (asprintf(&t->unit, "latencyd-%s.service", name) < 0) {
		t->unit = NULL;
		r = error_set(e, -ENOMEM, "out of memory");
	} else {
		t->bus = sd_bus_ref(bus);
		r = start_unit(t, event, argv, e);
	}
	if (r < 0)
		release(t);
	else
		t->running = true;
	return r;
}

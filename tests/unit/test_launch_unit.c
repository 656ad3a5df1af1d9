/*
 * What a guest's unit is asked to be, of a systemd that is a process of this test's, on a bus of
 * its own. It writes down what it hears, in memory that it shares with the test.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "guest/launch_ways.h"
#include "guest/self.h"
#include "guest/step.h"
#include "tests/unit/private_bus.h"

#define NAME	"org.freedesktop.systemd1"
#define PATH	"/org/freedesktop/systemd1"
#define MANAGER "org.freedesktop.systemd1.Manager"
#define UNIT	"org.freedesktop.systemd1.Unit"
#define OBJECT	PATH "/unit/guest"

static struct heard {
	bool alive;	/* the unit is there */
	char calls[64]; /* a letter each: Start, Kill, Stop, Reset */
	char unit[64], mode[16], log[128], start[512], stop[512];
	char output[32]; /* the property that names the log */
	uint64_t stop_timeout_us;
	uint8_t cpus[16];
	size_t n_cpus;
	int signal;
	char whom[16];
} * heard;

static void hear(const char *call)
{
	strcat(heard->calls, call);
}

/* "PATH: ARG ARG (FLAG)" */
static int take_command(sd_bus_message *m, char *ret, size_t size)
{
	char **argv = NULL, **flags = NULL;
	const char *path;
	size_t n;
	int r = sd_bus_message_enter_container(m, 'v', "a(sasas)");

	if (r > 0)
		r = sd_bus_message_enter_container(m, 'a', "(sasas)");
	if (r > 0)
		r = sd_bus_message_enter_container(m, 'r', "sasas");
	if (r > 0)
		r = sd_bus_message_read(m, "s", &path);
	if (r > 0)
		r = sd_bus_message_read_strv(m, &argv);
	if (r > 0)
		r = sd_bus_message_read_strv(m, &flags);
	if (r < 0 || !argv || !flags)
		return -EINVAL;
	n = (size_t)snprintf(ret, size, "%s:", path);
	for (size_t i = 0; argv[i] && n < size; i++)
		n += (size_t)snprintf(ret + n, size - n, " %s", argv[i]);
	for (size_t i = 0; flags[i] && n < size; i++)
		n += (size_t)snprintf(ret + n, size - n, " (%s)", flags[i]);
	for (int i = 0; r >= 0 && i < 3; i++)
		r = sd_bus_message_exit_container(m);
	return r;
}

static int take_cpus(sd_bus_message *m)
{
	const void *mask;
	int r = sd_bus_message_enter_container(m, 'v', "ay");

	if (r > 0)
		r = sd_bus_message_read_array(m, 'y', &mask, &heard->n_cpus);
	if (r < 0 || heard->n_cpus > sizeof(heard->cpus))
		return -EINVAL;
	memcpy(heard->cpus, mask, heard->n_cpus);
	return sd_bus_message_exit_container(m);
}

static int take_property(sd_bus_message *m)
{
	const char *name, *text;
	int r = sd_bus_message_read(m, "s", &name);

	if (r < 0)
		return r;
	if (streq(name, "ExecStartEx"))
		return take_command(m, heard->start, sizeof(heard->start));
	if (streq(name, "ExecStopEx"))
		return take_command(m, heard->stop, sizeof(heard->stop));
	if (streq(name, "CPUAffinity"))
		return take_cpus(m);
	if (streq(name, "TimeoutStopUSec"))
		return sd_bus_message_read(m, "v", "t", &heard->stop_timeout_us);
	if (strncmp(name, "StandardOutput", 14) == 0) {
		r = sd_bus_message_read(m, "v", "s", &text);
		if (r >= 0) {
			snprintf(heard->output, sizeof(heard->output), "%s", name);
			snprintf(heard->log, sizeof(heard->log), "%s", text);
		}
		return r;
	}
	return sd_bus_message_skip(m, "v");
}

static int method_start(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	const char *unit, *mode;
	int r = sd_bus_message_read(m, "ss", &unit, &mode);

	(void)userdata;
	hear("S");
	if (r >= 0)
		r = sd_bus_message_enter_container(m, 'a', "(sv)");
	while (r >= 0 && (r = sd_bus_message_enter_container(m, 'r', "sv")) > 0) {
		r = take_property(m);
		if (r >= 0)
			r = sd_bus_message_exit_container(m);
	}
	if (r < 0)
		return sd_bus_error_set_errno(error, r);
	snprintf(heard->unit, sizeof(heard->unit), "%s", unit);
	snprintf(heard->mode, sizeof(heard->mode), "%s", mode);
	heard->alive = true;
	return sd_bus_reply_method_return(m, "o", PATH "/job/7");
}

static int method_get(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	(void)userdata;
	if (!heard->alive)
		return sd_bus_error_set(error, NAME ".NoSuchUnit", "not loaded");
	return sd_bus_reply_method_return(m, "o", OBJECT);
}

/* As of a unit whose main process has ended already. */
static int method_kill(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	const char *unit, *whom;
	int signal, r = sd_bus_message_read(m, "ssi", &unit, &whom, &signal);

	(void)userdata;
	hear("K");
	if (r < 0)
		return r;
	heard->signal = signal;
	snprintf(heard->whom, sizeof(heard->whom), "%s", whom);
	return sd_bus_error_set(error, NAME ".NoSuchProcess", "no main process");
}

static int method_stop(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	(void)userdata;
	(void)error;
	hear("T");
	heard->alive = false;
	return sd_bus_reply_method_return(m, "o", PATH "/job/8");
}

static int method_reset(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	(void)userdata;
	(void)error;
	hear("R");
	return sd_bus_reply_method_return(m, NULL);
}

static int get_job(sd_bus *bus, const char *path, const char *interface, const char *property,
		   sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	(void)bus;
	(void)path;
	(void)interface;
	(void)property;
	(void)userdata;
	(void)error;
	return sd_bus_message_append(reply, "(uo)", 0, "/");
}

static int get_state(sd_bus *bus, const char *path, const char *interface, const char *property,
		     sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	(void)bus;
	(void)path;
	(void)interface;
	(void)property;
	(void)userdata;
	(void)error;
	return sd_bus_message_append(reply, "s", "active");
}

static const sd_bus_vtable manager_vtable[] = {
	SD_BUS_VTABLE_START(SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("StartTransientUnit", "ssa(sv)a(sa(sv))", "o", method_start, 0),
	SD_BUS_METHOD("GetUnit", "s", "o", method_get, 0),
	SD_BUS_METHOD("KillUnit", "ssi", "", method_kill, 0),
	SD_BUS_METHOD("StopUnit", "ss", "o", method_stop, 0),
	SD_BUS_METHOD("ResetFailedUnit", "s", "", method_reset, 0),
	SD_BUS_VTABLE_END,
};

static const sd_bus_vtable unit_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_PROPERTY("Job", "(uo)", get_job, 0, 0),
	SD_BUS_PROPERTY("ActiveState", "s", get_state, 0, 0),
	SD_BUS_VTABLE_END,
};

static void be_systemd(sd_bus *bus)
{
	if (sd_bus_add_object_vtable(bus, NULL, PATH, MANAGER, manager_vtable, NULL) < 0 ||
	    sd_bus_add_object_vtable(bus, NULL, OBJECT, UNIT, unit_vtable, NULL) < 0)
		_exit(1);
}

/* ---- this side ---- */

struct fixture {
	struct private_bus bus;
	pid_t systemd;
	struct desired_guest guest;
	char latencyctl[PATH_MAX];
};

static struct fixture *set_up(void)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->guest.name = "vnf0";
	if (!private_bus_start(&f->bus)) {
		free(f);
		print_message("SKIP: there is no dbus-daemon here\n");
		skip();
	}
	heard = mmap(NULL, sizeof(*heard), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	assert_true(heard != MAP_FAILED);
	f->systemd = private_bus_service(NAME, be_systemd);
	return f;
}

static void tear_down(struct fixture *f)
{
	private_bus_end_service(f->systemd);
	private_bus_stop(&f->bus);
	munmap(heard, sizeof(*heard));
	cpuset_done(&f->guest.emulator);
	free(f);
}

static struct fixture *launched(void)
{
	static const char *const argv[] = { "/usr/bin/qemu", "-name", "a $b", NULL };
	_cleanup_error_ struct error e = { 0 };
	struct fixture *f = set_up();

	if (find_latencyctl(f->latencyctl, &e) < 0) {
		tear_down(f);
		print_message("SKIP: %s\n", e.what);
		skip();
	}
	assert_int_equal(cpuset_add(&f->guest.emulator, 1), 0);
	assert_int_equal(cpuset_add(&f->guest.emulator, 9), 0);
	assert_int_equal(launch_unit(&f->guest, argv, &e), 0);
	return f;
}

static void the_unit_is_qemu_on_its_cpus(void **state)
{
	struct fixture *f = launched();

	(void)state;
	assert_string_equal(heard->unit, "latencyd-guest-vnf0.service");
	assert_string_equal(heard->mode, "replace");
	assert_string_equal(heard->start,
			    "/usr/bin/qemu: /usr/bin/qemu -name a $b (no-env-expand)");
	assert_int_equal(heard->n_cpus, 2);
	assert_int_equal(heard->cpus[0], 1 << 1);
	assert_int_equal(heard->cpus[1], 1 << 1);
	tear_down(f);
}

static void its_stop_command_powers_the_guest_off_and_is_not_cut_short(void **state)
{
	char wanted[2 * PATH_MAX + 64];
	struct fixture *f = launched();

	(void)state;
	snprintf(wanted, sizeof(wanted), "%s: %s --quiet guest power-off vnf0 (no-env-expand)",
		 f->latencyctl, f->latencyctl);
	assert_string_equal(heard->stop, wanted);
	assert_true(heard->stop_timeout_us > (GUEST_POWER_OFF_S + 40) * 1000000ULL);
	tear_down(f);
}

/* The stop command has the same output: opening it anew must not empty it. */
static void what_qemu_said_survives_the_stop_command(void **state)
{
	struct fixture *f = launched();

	(void)state;
	assert_string_equal(heard->output, "StandardOutputFileToAppend");
	assert_string_equal(heard->log, "/run/latencyd/guests/vnf0/qemu.log");
	tear_down(f);
}

/* SIGTERM comes first, so that the stop command finds no guest that it would wait for. */
static void our_own_stop_does_not_wait_for_the_guest(void **state)
{
	_cleanup_error_ struct error e = { 0 };
	struct fixture *f = set_up();

	(void)state;
	heard->alive = true;
	assert_int_equal(launch_unit_alive("vnf0"), 1);
	assert_int_equal(launch_unit_stop("vnf0", &e), 0);
	assert_string_equal(heard->calls, "KTR");
	assert_int_equal(heard->signal, SIGTERM);
	assert_string_equal(heard->whom, "main");
	assert_int_equal(launch_unit_alive("vnf0"), 0);
	tear_down(f);
}

static void a_unit_that_is_not_there_is_neither_killed_nor_stopped(void **state)
{
	_cleanup_error_ struct error e = { 0 };
	struct fixture *f = set_up();

	(void)state;
	assert_int_equal(launch_unit_stop("vnf0", &e), 0);
	assert_string_equal(heard->calls, "R");
	tear_down(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_unit_is_qemu_on_its_cpus),
		cmocka_unit_test(its_stop_command_powers_the_guest_off_and_is_not_cut_short),
		cmocka_unit_test(what_qemu_said_survives_the_stop_command),
		cmocka_unit_test(our_own_stop_does_not_wait_for_the_guest),
		cmocka_unit_test(a_unit_that_is_not_there_is_neither_killed_nor_stopped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

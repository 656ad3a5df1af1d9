#include "tests/unit/private_bus.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "state/base.h"

#define DBUS_DAEMON "/usr/bin/dbus-daemon"

static const char config[] =
	"<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\"\n"
	" \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n"
	"<busconfig><type>system</type><listen>unix:path=%s/bus</listen>\n"
	"<policy context=\"default\"><allow user=\"*\"/><allow own=\"*\"/>\n"
	"<allow send_destination=\"*\"/><allow receive_sender=\"*\"/></policy></busconfig>\n";

static void nap(void)
{
	const struct timespec t = { .tv_nsec = 10 * 1000 * 1000 };

	nanosleep(&t, NULL);
}

/* The children of a test go with it. */
static pid_t fork_child(void)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		sigset_t none;

		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	}
	return pid;
}

static void write_config(const char *folder, const char *path)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	fprintf(f, config, folder);
	assert_int_equal(fclose(f), 0);
}

/* The socket's file is there before anybody listens. */
static bool answers(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	return connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
}

bool private_bus_start(struct private_bus *b)
{
	char path[64], address[80];

	if (access(DBUS_DAEMON, X_OK) < 0)
		return false;
	snprintf(b->folder, sizeof(b->folder), "/tmp/latencyd-bus-XXXXXX");
	assert_non_null(mkdtemp(b->folder));
	assert_int_equal(chmod(b->folder, 0755), 0);
	snprintf(path, sizeof(path), "%s/conf", b->folder);
	write_config(b->folder, path);
	b->daemon = fork_child();
	if (b->daemon == 0) {
		char option[80];

		snprintf(option, sizeof(option), "--config-file=%s", path);
		/* It complains of limits that it cannot raise. */
		if (!freopen("/dev/null", "w", stderr))
			_exit(127);
		execl(DBUS_DAEMON, "dbus-daemon", option, "--nofork", "--nopidfile", NULL);
		_exit(127);
	}
	snprintf(path, sizeof(path), "%s/bus", b->folder);
	for (int i = 0; i < 1000 && !answers(path); i++)
		nap();
	assert_true(answers(path));
	snprintf(address, sizeof(address), "unix:path=%s", path);
	assert_int_equal(setenv("DBUS_SYSTEM_BUS_ADDRESS", address, 1), 0);
	return true;
}

void private_bus_stop(struct private_bus *b)
{
	static const char *const names[] = { "conf", "bus" };
	char path[64];

	if (b->daemon <= 0)
		return;
	kill(b->daemon, SIGKILL);
	waitpid(b->daemon, NULL, 0);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", b->folder, names[i]);
		unlink(path);
	}
	rmdir(b->folder);
	b->daemon = 0;
}

bool private_bus_has(const char *name)
{
	sd_bus_creds *creds = NULL;
	sd_bus *bus = NULL;
	int r = sd_bus_open_system(&bus);

	if (r >= 0)
		r = sd_bus_get_name_creds(bus, name, 0, &creds);
	sd_bus_creds_unref(creds);
	sd_bus_flush_close_unref(bus);
	return r >= 0;
}

pid_t private_bus_service(const char *name, void (*serve)(sd_bus *bus))
{
	sd_bus *bus = NULL;
	pid_t pid = fork_child();

	if (pid == 0) {
		if (sd_bus_open_system(&bus) < 0)
			_exit(1);
		serve(bus);
		if (sd_bus_request_name(bus, name, 0) < 0)
			_exit(1);
		private_bus_serve(bus);
		_exit(0);
	}
	for (int i = 0; i < 1000 && !private_bus_has(name); i++)
		nap();
	assert_true(private_bus_has(name));
	return pid;
}

void private_bus_serve(sd_bus *bus)
{
	int r;

	while ((r = sd_bus_process(bus, NULL)) >= 0)
		if (r == 0 && sd_bus_wait(bus, UINT64_MAX) < 0)
			break;
}

void private_bus_end_service(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

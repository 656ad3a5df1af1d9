/*
 * latencyctl and a latencyd on a bus of the test's own: what it asks for, as whom, and how it shows
 * the answer. The latencyd is fake_latencyd.c in a child.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/wait.h>

#include <cmocka.h>
#include <systemd/sd-bus.h>

#include "daemon/bus.h"
#include "state/base.h"
#include "tests/unit/fake_latencyd.h"
#include "tests/unit/private_bus.h"

#define NOBODY	   65534
#define DEADLINE_S 30

static struct private_bus private;
static pid_t daemon_pid = -1;

static const char *in_folder(const char *name)
{
	static char path[2][128];
	static unsigned i;

	i = !i;
	snprintf(path[i], sizeof(path[i]), "%s/%s", private.folder, name);
	return path[i];
}

static int start_daemon(void **state)
{
	static char calls[128];

	(void)state;
	if (private.daemon <= 0)
		return 0;
	snprintf(calls, sizeof(calls), "%s", in_folder("calls"));
	unlink(calls);
	fake_latencyd_calls = calls;
	daemon_pid = private_bus_service(BUS_NAME, fake_latencyd);
	return 0;
}

static int stop_daemon(void **state)
{
	(void)state;
	if (daemon_pid > 0)
		private_bus_end_service(daemon_pid);
	daemon_pid = -1;
	return 0;
}

static int start_bus(void **state)
{
	FILE *f;

	(void)state;
	if (!private_bus_start(&private))
		return 0; /* the tests are skipped */
	f = fopen(in_folder("document"), "w");
	fputs("version: 1\nhost: {cpus: {isolated: 1}, timer_migration: off}\n", f);
	return fclose(f);
}

static int stop_bus(void **state)
{
	(void)state;
	if (private.daemon <= 0)
		return 0;
	unlink(in_folder("document"));
	unlink(in_folder("calls"));
	private_bus_stop(&private);
	return 0;
}

/* ---- latencyctl ---- */

static const char *ctl_path(void)
{
	const char *path = getenv("LATENCYCTL");

	return path ? path : "./latencyctl";
}

/* Starts latencyctl as @uid; its output, errors included, can be read from *ret_fd. */
static pid_t start_ctl(uid_t uid, const char *const *args, int *ret_fd)
{
	const char *argv[16] = { "latencyctl" };
	int output[2];
	size_t n = 1;
	pid_t pid;

	while (*args)
		argv[n++] = *args++;
	assert_int_equal(pipe(output), 0);
	pid = fork();
	if (pid == 0) {
		dup2(output[1], STDOUT_FILENO);
		dup2(output[1], STDERR_FILENO);
		close(output[0]);
		close(output[1]);
		alarm(DEADLINE_S);
		if (uid && (setgid(uid) < 0 || setuid(uid) < 0))
			_exit(126);
		execv(ctl_path(), (char **)argv);
		_exit(127);
	}
	close(output[1]);
	*ret_fd = output[0];
	return pid;
}

static int exit_code(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* The exit code; what it printed is in @output. */
#define CTL(uid, output, ...) run_ctl(uid, output, (const char *const[]){ __VA_ARGS__, NULL })
typedef char output_text[4096];

static int run_ctl(uid_t uid, output_text output, const char *const *args)
{
	size_t n = 0;
	ssize_t got;
	int fd;
	pid_t pid = start_ctl(uid, args, &fd);

	while ((got = read(fd, output + n, sizeof(output_text) - 1 - n)) > 0)
		n += (size_t)got;
	output[n] = '\0';
	close(fd);
	return exit_code(pid);
}

#define assert_says(output, text)                                           \
	do {                                                                \
		if (!strstr(output, text))                                  \
			fail_msg("\"%s\" is missing in: %s", text, output); \
	} while (0)

/* All that the latencyd was asked since it was started. */
static const char *calls(void)
{
	static output_text text;
	FILE *f = fopen(in_folder("calls"), "r");

	text[f ? fread(text, 1, sizeof(text) - 1, f) : 0] = '\0';
	if (f)
		fclose(f);
	return text;
}

static void need_bus(void)
{
	if (private.daemon <= 0) {
		print_message("dbus-daemon is not installed\n");
		skip();
	}
}

static void need_nobody(void)
{
	output_text output;

	need_bus();
	if (geteuid() != 0 || CTL(NOBODY, output, "--version") != 0) {
		print_message("not root, or latencyctl lies where nobody may go\n");
		skip();
	}
}

/* ---- pause and resume ---- */

static void pause_for_a_time_says_until_when(void **state)
{
	output_text output;

	(void)state;
	need_bus();
	assert_int_equal(CTL(0, output, "pause", "--for", "1h30min"), 0);
	assert_string_equal(calls(), "Pause(5400)\n");
	assert_says(output, "before 2026-11-22T10:00:00Z");
}

static void pause_without_a_time_is_until_resumed(void **state)
{
	output_text output;

	(void)state;
	need_bus();
	assert_int_equal(CTL(0, output, "pause"), 0);
	assert_says(output, "latencyctl resume");
	assert_int_equal(CTL(0, output, "resume", "--json"), 0);
	assert_says(output, "\"paused_until\": null");
	assert_string_equal(calls(), "Pause(0)\nResume()\n");
}

static void another_user_may_ask_for_a_pause(void **state)
{
	output_text output;

	(void)state;
	need_nobody();
	assert_int_equal(CTL(NOBODY, output, "pause"), 0);
	assert_string_equal(calls(), "Pause(0)\n");
}

static void a_refusal_is_shown_in_its_words(void **state)
{
	output_text output;

	(void)state;
	need_bus();
	assert_int_equal(CTL(0, output, "pause", "--for", "66"), 1);
	assert_says(output, "nobody may pause for 66 seconds");
}

static void a_wrong_time_is_a_usage_error(void **state)
{
	output_text output;

	(void)state;
	need_bus();
	assert_int_equal(CTL(0, output, "pause", "--for", "soon"), 2);
	assert_int_equal(CTL(0, output, "resume", "--for", "1h"), 2);
	assert_string_equal(calls(), "");
}

static void without_latencyd_there_is_nothing_to_pause(void **state)
{
	output_text output;

	(void)state;
	need_bus();
	assert_int_equal(CTL(0, output, "pause"), 1);
	assert_says(output, "latencyd does not run");
	assert_says(output, "systemctl start latencyd");
}

static void pause_is_for_the_running_machine(void **state)
{
	output_text output;

	(void)state;
	need_bus();
	assert_int_equal(CTL(0, output, "pause", "--root", private.folder), 2);
}

/* ---- what only root may do ---- */

static void latencyd_applies_for_another_user(void **state)
{
	output_text output;

	(void)state;
	need_nobody();
	assert_int_equal(CTL(NOBODY, output, "apply"), 3);
	assert_says(output, "failed: irq 24\n");
	assert_says(output, "?[2Jand more\n");
	assert_says(output, "exit code 3");
	assert_int_equal(CTL(NOBODY, output, "apply", "--reboot", "--quiet"), 3);
	assert_string_equal(calls(), "Apply()\nApply(reboot)\n");
}

static void latencyd_reverts_and_measures_for_another_user(void **state)
{
	output_text output;

	(void)state;
	need_nobody();
	assert_int_equal(CTL(NOBODY, output, "revert"), 4);
	assert_int_equal(CTL(NOBODY, output, "revert", "rt_throttling"), 4);
	assert_int_equal(CTL(NOBODY, output, "measure", "--profile", "quick", "--json"), 4);
	assert_says(output, "\"exit_code\": 4");
	assert_string_equal(calls(), "Revert()\nRevert(rt_throttling)\nMeasure(quick)\n");
}

static void what_cannot_be_asked_for_stays_with_root(void **state)
{
	output_text output;

	(void)state;
	need_nobody();
	assert_int_equal(CTL(NOBODY, output, "apply", "--allow", "nic-reset"), 1);
	assert_says(output, "only root may run latencyctl apply --allow");
	assert_int_equal(CTL(NOBODY, output, "apply", "--document", "/dev/null"), 1);
	assert_int_equal(CTL(NOBODY, output, "revert", "--resume"), 1);
	assert_int_equal(CTL(NOBODY, output, "measure", "--resume", "latest"), 2);
	assert_int_equal(CTL(NOBODY, output, "revert", "no_such"), 2);
	assert_string_equal(calls(), "");
}

static void without_latencyd_only_root_may(void **state)
{
	output_text output;

	(void)state;
	need_nobody();
	assert_int_equal(CTL(NOBODY, output, "apply"), 1);
	assert_says(output, "only root may run latencyctl apply");
	assert_says(output, "sudo latencyctl apply");
	assert_int_equal(CTL(NOBODY, output, "measure"), 2);
}

/* ---- status --watch ---- */

/* Reads until @text has come. */
static void await_text(int fd, output_text output, const char *text)
{
	struct pollfd more = { .fd = fd, .events = POLLIN };
	size_t n = strlen(output);

	while (!strstr(output, text)) {
		ssize_t got;

		if (poll(&more, 1, DEADLINE_S * 1000) != 1)
			fail_msg("\"%s\" did not come: %s", text, output);
		got = read(fd, output + n, sizeof(output_text) - 1 - n);
		if (got <= 0)
			fail_msg("\"%s\" is missing in: %s", text, output);
		n += (size_t)got;
		output[n] = '\0';
	}
}

static void ask_refresh(void)
{
	sd_bus *bus = NULL;

	assert_true(sd_bus_open_system(&bus) >= 0);
	assert_true(sd_bus_call_method(bus, BUS_NAME, BUS_PATH, BUS_INTERFACE, "Refresh", NULL,
				       NULL, "") >= 0);
	sd_bus_flush_close_unref(bus);
}

static void watch_tells_what_no_look_can_see(void **state)
{
	const char *const args[] = { "status", "--watch", "--document", in_folder("document"),
				     NULL };
	output_text output = "";
	pid_t pid;
	int fd;

	(void)state;
	need_bus();
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
		print_message("one CPU: there is none to isolate\n");
		skip();
	}
	pid = start_ctl(0, args, &fd);
	await_text(fd, output, "host: ");
	ask_refresh();
	await_text(fd, output, "timer_migration failed: the kernel would not");
	await_text(fd, output, "failed -> "); /* and the look that follows sees it otherwise */
	kill(pid, SIGINT);
	assert_in_range(exit_code(pid), 0, 5);
	close(fd);
}

#define bus_test(f) cmocka_unit_test_setup_teardown(f, start_daemon, stop_daemon)

int main(void)
{
	const struct CMUnitTest tests[] = {
		bus_test(pause_for_a_time_says_until_when),
		bus_test(pause_without_a_time_is_until_resumed),
		bus_test(another_user_may_ask_for_a_pause),
		bus_test(a_refusal_is_shown_in_its_words),
		bus_test(a_wrong_time_is_a_usage_error),
		bus_test(pause_is_for_the_running_machine),
		bus_test(latencyd_applies_for_another_user),
		bus_test(latencyd_reverts_and_measures_for_another_user),
		bus_test(what_cannot_be_asked_for_stays_with_root),
		bus_test(watch_tells_what_no_look_can_see),
		cmocka_unit_test(without_latencyd_there_is_nothing_to_pause),
		cmocka_unit_test(without_latencyd_only_root_may),
	};

	return cmocka_run_group_tests(tests, start_bus, stop_bus);
}

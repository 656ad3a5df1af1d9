/*
 * Starting and stopping real QEMUs (TCG, stopped at reset: nothing runs in them). /run is a tmpfs
 * in a mount namespace of the test's own, so there is no systemd to be found and the way without it
 * is taken.
 */
#include "guest/step.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "actuators/execute.h"
#include "guest/qmp.h"
#include "guest/running.h"
#include "probes/sysroot.h"
#include "state/guest_argv.h"

#define ARGS_MAX 32

struct fixture {
	struct arena arena;
	struct desired_guest guest;
	const char *argv[ARGS_MAX];
	size_t n;
};

static bool usable;
static unsigned n_guests;

static int prepare_machine(void **state)
{
	(void)state;
	usable = geteuid() == 0 && access(GUEST_QEMU, X_OK) == 0 && unshare(CLONE_NEWNS) == 0 &&
		 mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
		 mount("latencyd-test", "/run", "tmpfs", 0, "mode=0755") == 0 &&
		 mount("latencyd-test", "/var/lib", "tmpfs", 0, "mode=0755") == 0;
	return 0;
}

static void add(struct fixture *f, const char *argument)
{
	assert_non_null(argument);
	assert_true(f->n + 1 < ARGS_MAX);
	f->argv[f->n++] = argument;
}

static const char *path(struct fixture *f, const char *file)
{
	const char *p = guest_path(&f->arena, f->guest.name, file);

	assert_non_null(p);
	return p;
}

static void make(struct fixture *f)
{
	static const char *const fixed[] = {
		"-accel",	   "tcg", "-m", "64", "-S", "-display", "none", "-nodefaults",
		"-no-user-config",
	};

	*f = (struct fixture){ 0 };
	/* a name that no other test run on this machine has */
	f->guest.name = arena_printf(&f->arena, "test-%d-%u", (int)getpid(), ++n_guests);
	f->guest.launch.node = -1;
	add(f, GUEST_QEMU);
	add(f, "-name");
	add(f, arena_printf(&f->arena, "guest=%s,debug-threads=on", f->guest.name));
	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
		add(f, fixed[i]);
	add(f, "-qmp");
	add(f, arena_printf(&f->arena, "unix:%s,server=on,wait=off", path(f, "qmp.sock")));
	add(f, "-pidfile");
	add(f, path(f, "qemu.pid"));
}

static void done(struct fixture *f)
{
	arena_free(&f->arena);
	cpuset_done(&f->guest.emulator);
}

/* Ended, be it that nobody has waited for it yet. */
static bool has_ended(int pid)
{
	_cleanup_close_ int fd = pidfd_open(pid, 0);

	return fd < 0 ? errno == ESRCH : poll(&(struct pollfd){ fd, POLLIN, 0 }, 1, 0) == 1;
}

static void kill_and_wait(int pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	for (int i = 0; i < 1000 && !has_ended(pid); i++)
		(void)nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
	assert_true(has_ended(pid));
}

/* Whatever a test left running is ended by its pid. */
static void end(struct fixture *f)
{
	int pid = guest_running(&f->guest, NULL);

	if (pid > 0)
		kill_and_wait(pid);
	done(f);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	make(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	end(*state);
	free(*state);
	return 0;
}

static void need_qemu(void)
{
	if (usable)
		return;
	print_message("needs root, a mount namespace and " GUEST_QEMU "\n");
	skip();
}

static int launch(struct fixture *f, struct error *e)
{
	int r = guest_launch(&f->guest, f->argv, e);

	if (r < 0)
		print_message("%s\n", e->what);
	return r;
}

/* What the last stop told, a line each. */
static const char *heard = "";

static void hear(const char *what, void *userdata)
{
	heard = arena_printf(userdata, "%s%s\n", heard, what);
	assert_non_null(heard);
}

static int stop(struct fixture *f, unsigned timeout_s)
{
	_cleanup_error_ struct error e = { 0 };
	int r;

	heard = "";
	r = guest_stop(&f->guest, timeout_s, hear, &f->arena, &e);

	if (r < 0)
		print_message("%s\n", e.what);
	return r;
}

static int running(const struct fixture *f)
{
	return guest_running(&f->guest, NULL);
}

/* The running QEMU's pid. */
static int launched(struct fixture *f)
{
	_cleanup_error_ struct error e = { 0 };
	int pid;

	need_qemu();
	assert_int_equal(launch(f, &e), 1);
	pid = running(f);
	assert_true(pid > 0);
	return pid;
}

static bool exists(const char *file)
{
	struct stat st;

	return lstat(file, &st) == 0;
}

static bool folder_exists(struct fixture *f)
{
	return exists(arena_printf(&f->arena, "%s/%s", GUEST_RUN_DIRECTORY, f->guest.name));
}

static char *proc_file(int pid, const char *file)
{
	_cleanup_sysroot_ struct sysroot root = { .fd = -1 };
	_cleanup_free_ char *name = NULL;
	char *text = NULL;

	assert_true(asprintf(&name, "/proc/%d/%s", pid, file) > 0);
	assert_int_equal(sysroot_open(NULL, &root, NULL), 0);
	assert_int_equal(sysroot_read(&root, name, &text, NULL), 0);
	return text;
}

static void a_launched_guest_answers_and_is_stopped(void **state)
{
	_cleanup_(qmp_closep) struct qmp *qmp = NULL;
	struct fixture *f = *state;
	struct stat st;
	int pid;

	need_qemu();
	assert_int_equal(running(f), 0);
	pid = launched(f);
	assert_int_equal(qmp_open(path(f, "qmp.sock"), 5000, &qmp, NULL), 0);
	qmp_close(take_ptr(qmp));
	assert_int_equal(stat(path(f, ""), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(stop(f, 0), 1);
	assert_true(has_ended(pid));
	assert_int_equal(running(f), 0);
	assert_false(folder_exists(f));
	assert_int_equal(stop(f, 0), 0);
	assert_string_equal(heard, ""); /* nothing was waited for */
}

static void a_second_launch_changes_nothing(void **state)
{
	_cleanup_error_ struct error e = { 0 };
	struct fixture *f = *state;
	int pid;

	pid = launched(f);
	assert_int_equal(launch(f, &e), 0);
	assert_int_equal(running(f), pid);
}

static void another_command_line_is_not_taken_for_the_wanted_one(void **state)
{
	_cleanup_error_ struct error e = { 0 };
	struct fixture *f = *state;
	int pid;

	pid = launched(f);
	add(f, "-no-reboot");
	assert_int_equal(launch(f, &e), -EBUSY);
	f->argv[--f->n] = NULL;
	f->argv[--f->n] = NULL; /* a beginning of what runs */
	assert_int_equal(launch(f, &e), -EBUSY);
	assert_int_equal(running(f), pid);
}

static void qemus_own_words_are_shown_and_nothing_is_left(void **state)
{
	_cleanup_error_ struct error e = { 0 };
	struct fixture *f = *state;

	need_qemu();
	add(f, "-no-such-option");
	assert_int_equal(launch(f, &e), -EIO);
	assert_non_null(strstr(e.what, "-no-such-option: invalid option"));
	assert_non_null(e.todo);
	assert_int_equal(running(f), 0);
	assert_false(folder_exists(f));
}

static void a_program_that_cannot_be_run_is_an_error(void **state)
{
	_cleanup_error_ struct error e = { 0 };
	struct fixture *f = *state;

	need_qemu();
	f->argv[0] = "/usr/bin/no-such-qemu";
	assert_int_equal(launch(f, &e), -ENOENT);
	assert_non_null(strstr(e.what, "/usr/bin/no-such-qemu"));
	assert_false(folder_exists(f));
}

static void what_a_dead_qemu_left_is_no_hindrance(void **state)
{
	_cleanup_error_ struct error e = { 0 };
	struct fixture *f = *state;
	int pid;

	pid = launched(f);
	kill_and_wait(pid);
	assert_true(exists(path(f, "qemu.pid")));
	assert_int_equal(running(f), 0);
	assert_int_equal(launch(f, &e), 1);
	assert_int_not_equal(running(f), pid);
}

static void two_guests_do_not_touch_each_other(void **state)
{
	_cleanup_error_ struct error e = { 0 };
	struct fixture *f = *state, other;
	int pid;

	need_qemu();
	make(&other);
	assert_int_equal(launch(f, &e), 1);
	assert_int_equal(launch(&other, &e), 1);
	pid = running(&other);
	assert_int_not_equal(running(f), pid);
	assert_int_equal(stop(f, 0), 1);
	assert_int_equal(running(&other), pid);
	assert_int_equal(stop(&other, 0), 1);
	end(&other);
}

static void a_guest_that_ignores_the_power_button_is_ended(void **state)
{
	struct fixture *f = *state;
	struct timespec before, after;

	(void)launched(f);
	(void)clock_gettime(CLOCK_MONOTONIC, &before);
	assert_int_equal(stop(f, 1), 1);
	(void)clock_gettime(CLOCK_MONOTONIC, &after);
	assert_int_equal(running(f), 0);
	assert_non_null(strstr(heard, "power button of guest test-"));
	assert_non_null(strstr(heard, ": it has 1 s to shut down\n"));
	assert_non_null(strstr(heard, "did not shut down"));
	assert_null(strstr(heard, "SIGTERM")); /* quit was enough */
	/* it was given its time */
	assert_true((after.tv_sec - before.tv_sec) * 1000000000L + after.tv_nsec - before.tv_nsec >=
		    1000000000L);
}

static void a_qemu_that_answers_nothing_is_killed(void **state)
{
	struct fixture *f = *state;
	int pid;

	pid = launched(f);
	assert_int_equal(unlink(path(f, "qmp.sock")), 0);
	assert_int_equal(kill(pid, SIGSTOP), 0); /* nor to SIGTERM */
	assert_int_equal(stop(f, 1), 1);
	assert_null(strstr(heard, "power button")); /* which nobody could press */
	assert_non_null(strstr(heard, "SIGTERM and has 5 s\n"));
	assert_non_null(strstr(heard, "SIGKILL and has 10 s\n"));
	assert_true(has_ended(pid));
	assert_false(folder_exists(f));
}

static int power_off(struct fixture *f, unsigned timeout_s)
{
	_cleanup_error_ struct error e = { 0 };
	int r;

	heard = "";
	r = guest_power_off(f->guest.name, timeout_s, hear, &f->arena, &e);
	if (r < 0)
		print_message("%s\n", e.what);
	return r;
}

/* What systemd runs while somebody who holds the lock waits for it. */
static void a_guest_is_powered_off_while_the_machine_is_locked(void **state)
{
	struct fixture *f = *state;
	_cleanup_close_ int lock = -1;
	int pid;

	pid = launched(f);
	lock = machine_lock(NULL);
	assert_true(lock >= 0);
	assert_int_equal(power_off(f, 1), 1);
	assert_true(has_ended(pid));
	assert_non_null(strstr(heard, ": it has 1 s to shut down\n"));
	assert_true(folder_exists(f)); /* it is not the command's to clear */
	assert_int_equal(power_off(f, 100), 0);
	assert_string_equal(heard, "");
}

static void a_guest_whose_qemu_hangs_is_left_to_signals(void **state)
{
	struct fixture *f = *state;
	int pid;

	pid = launched(f);
	assert_int_equal(unlink(path(f, "qmp.sock")), 0);
	assert_int_equal(power_off(f, 100), -ETIMEDOUT);
	assert_string_equal(heard, ""); /* at once: nobody could press the button */
	assert_false(has_ended(pid));
}

/* A second who stops it meanwhile must reach QEMU too. */
static void the_monitor_is_free_while_the_guest_has_its_time(void **state)
{
	struct fixture *f = *state;
	_cleanup_(qmp_closep) struct qmp *qmp = NULL;
	pid_t child;
	int status;

	(void)launched(f);
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		_exit(guest_power_off(f->guest.name, 100, NULL, NULL, NULL) == 1 ? 0 : 1);
	(void)nanosleep(&(struct timespec){ .tv_sec = 2 }, NULL);
	assert_int_equal(waitpid(child, &status, WNOHANG), 0);
	assert_int_equal(qmp_open(path(f, "qmp.sock"), 5000, &qmp, NULL), 0);
	qmp_close(take_ptr(qmp));
	assert_int_equal(stop(f, 0), 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0); /* it saw the end and waits no longer */
}

static void a_name_that_somebody_else_runs_is_refused(void **state)
{
	_cleanup_error_ struct error e = { 0 };
	struct fixture *f = *state;
	int pid;

	pid = launched(f);
	assert_int_equal(unlink(path(f, "qemu.pid")), 0); /* now it is nobody's */
	assert_int_equal(launch(f, &e), -EEXIST);
	assert_non_null(strstr(e.what, f->guest.name));
	assert_int_equal(guest_stop(&f->guest, 0, NULL, NULL, NULL), -EEXIST);
	assert_false(has_ended(pid));
	assert_true(exists(path(f, "qmp.sock")));
	kill_and_wait(pid);
}

static void adopted_guests_are_neither_started_nor_stopped(void **state)
{
	_cleanup_error_ struct error e = { 0 };
	struct fixture *f = *state;

	f->guest.origin = GUEST_ADOPT;
	f->guest.adopt.domain = f->guest.name;
	assert_int_equal(guest_launch(&f->guest, f->argv, &e), -EPERM);
	assert_int_equal(guest_stop(&f->guest, 0, NULL, NULL, &e), -EPERM);
}

static void write_file(const char *name, const char *data)
{
	_cleanup_fclose_ FILE *file = fopen(name, "we");

	assert_non_null(file);
	assert_true(fputs(data, file) >= 0);
}

static void missing_and_corrupt_files_are_refused_before_anything_starts(void **state)
{
	_cleanup_error_ struct error e = { 0 };
	struct fixture *f = *state;

	need_qemu();
	f->guest.launch.disk = "/run/no-such.qcow2";
	assert_int_equal(launch(f, &e), -ENOENT);
	assert_non_null(strstr(e.what, "/run/no-such.qcow2"));
	assert_non_null(e.todo);
	write_file("/run/bad.qcow2", "QFI?");
	f->guest.launch.disk = "/run/bad.qcow2";
	assert_int_equal(launch(f, &e), -EBADMSG);
	write_file("/run/bad.qcow2", "");
	assert_int_equal(launch(f, &e), -EBADMSG);
	f->guest.launch.disk = "/run";
	assert_int_equal(launch(f, &e), -EINVAL);
	f->guest.launch.disk = NULL;
	f->guest.launch.kernel = "/run/no-such-kernel";
	assert_int_equal(launch(f, &e), -ENOENT);
	f->guest.launch.kernel = "/dev/null";
	assert_int_equal(launch(f, &e), -EINVAL);
	f->guest.launch.kernel = NULL;
	f->guest.launch.initrd = "/run/no-such-initrd";
	assert_int_equal(launch(f, &e), -ENOENT);
	assert_false(folder_exists(f));
	f->guest.launch.initrd = NULL;
	write_file("/run/good.qcow2", "QFI\xfb rest");
	f->guest.launch.disk = "/run/good.qcow2";
	assert_int_equal(launch(f, &e), 1);
}

/* From outside: /proc of the new process. */
static void it_inherits_nothing_of_ours(void **state)
{
	_cleanup_error_ struct error e = { 0 };
	_cleanup_free_ char *environment = NULL, *limits = NULL, *status = NULL, *stat_line = NULL;
	int leak = open("/dev/null", O_RDONLY); /* without close-on-exec */
	const struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	struct fixture *f = *state;
	_cleanup_free_ char *link = NULL;
	int pid, parent, session;
	sigset_t blocked;

	need_qemu();
	assert_int_equal(cpuset_add(&f->guest.emulator, 0), 0);
	assert_int_equal(setenv("LATENCYD_TEST_SECRET", "1", 1), 0);
	leak = fcntl(leak, F_DUPFD, 700);
	assert_true(leak >= 700);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	assert_int_equal(sigprocmask(SIG_BLOCK, &blocked, NULL), 0);
	assert_int_equal(launch(f, &e), 1);
	assert_int_equal(sigprocmask(SIG_UNBLOCK, &blocked, NULL), 0);
	pid = running(f);
	environment = proc_file(pid, "environ");
	assert_int_equal(strncmp(environment, "PATH=", 5), 0);
	assert_null(memmem(environment, strlen(environment) + 1, "SECRET", 6));
	limits = proc_file(pid, "limits");
	if (setrlimit(RLIMIT_MEMLOCK, &unlimited) == 0)
		assert_non_null(strstr(limits, "Max locked memory         unlimited"));
	status = proc_file(pid, "status");
	assert_non_null(strstr(status, "Cpus_allowed_list:\t0\n"));
	assert_true(asprintf(&link, "/proc/%d/fd/%d", pid, leak) > 0);
	assert_false(exists(link));
	stat_line = proc_file(pid, "stat");
	assert_int_equal(sscanf(strrchr(stat_line, ')') + 1, " %*c %d %*d %d", &parent, &session),
			 2);
	assert_int_not_equal(parent, getpid());
	assert_int_equal(session, pid);
	close(leak);
}

/* As under "latencyctl apply <&-": the files that are opened get the numbers 0 to 2. */
static void closed_standard_files_are_no_hindrance(void **state)
{
	_cleanup_error_ struct error e = { 0 };
	struct fixture *f = *state;
	char target[256];
	ssize_t n;
	int kept;

	need_qemu();
	kept = dup(0);
	close(0);
	assert_int_equal(guest_launch(&f->guest, f->argv, &e), 1);
	assert_int_equal(dup2(kept, 0), 0);
	close(kept);
	n = readlink(arena_printf(&f->arena, "/proc/%d/fd/0", running(f)), target, sizeof(target));
	assert_true(n > 0 && (size_t)n < sizeof(target));
	target[n] = '\0';
	assert_string_equal(target, "/dev/null");
	n = readlink(arena_printf(&f->arena, "/proc/%d/fd/1", running(f)), target, sizeof(target));
	assert_true(n > 9 && memcmp(target + n - 9, "/qemu.log", 9) == 0);
}

static void steps_are_carried_out_by_kind(void **state)
{
	_cleanup_error_ struct error e = { 0 };
	struct fixture *f = *state;
	struct step s = { .kind = STEP_GUEST_LAUNCH, .guest = &f->guest, .argv = f->argv };

	need_qemu();
	assert_int_equal(guest_step(&s, &e), 1);
	assert_true(running(f) > 0);
	assert_int_equal(guest_step(&s, &e), 0);
	s.kind = STEP_GUEST_DOCUMENT;
	assert_int_equal(guest_step(&s, &e), -EINVAL);
	f->guest.document = "version: 1\n";
	assert_int_equal(guest_step(&s, &e), -ENOENT); /* it has no channel */
	s.kind = STEP_KERNEL_FILE;
	assert_int_equal(guest_step(&s, &e), -EINVAL);
	assert_int_equal(stop(f, 0), 1);
	s.kind = STEP_GUEST_DOCUMENT;
	assert_int_equal(guest_step(&s, &e), -ESRCH);
}

/* The tid of the thread @comm, or 0. */
static unsigned thread_of(struct fixture *f, int pid, const char *comm)
{
	DIR *d = opendir(arena_printf(&f->arena, "/proc/%d/task", pid));
	struct dirent *entry;
	unsigned found = 0;

	assert_non_null(d);
	while ((entry = readdir(d))) {
		_cleanup_free_ char *name = NULL;
		int tid = atoi(entry->d_name);

		if (tid <= 0)
			continue;
		name = proc_file(tid, "comm");
		if (streq(name, arena_printf(&f->arena, "%s\n", comm)))
			found = (unsigned)tid;
	}
	closedir(d);
	return found;
}

/* A thread that is not its process's first is not listed in /proc, but it is there. */
static void a_vcpu_thread_is_pinned_without_an_original(void **state)
{
	_cleanup_error_ struct error e = { 0 };
	_cleanup_free_ char *status = NULL;
	struct fixture *f = *state;
	struct step s = { .kind = STEP_THREAD, .transient = true, .set_affinity = true };
	struct plan p = { .steps = &s, .n_steps = 1 };
	struct outcome *outcomes;

	need_qemu();
	add(f, "-smp");
	add(f, "2");
	f->argv[4] = "tcg,thread=multi";
	assert_int_equal(launch(f, &e), 1);
	s.name = "CPU 1/TCG";
	s.number = thread_of(f, running(f), s.name);
	s.want = "0";
	assert_int_not_equal(s.number, 0);
	assert_int_equal(plan_execute(&p, guest_step, NULL, NULL, &outcomes, &e), 0);
	assert_int_equal(outcomes[0].result, STEP_DONE);
	outcomes_free(outcomes, 1);
	status = proc_file((int)s.number, "status");
	assert_non_null(strstr(status, "Cpus_allowed_list:\t0\n"));
	assert_int_equal(originals_exist(NULL), 0);
	assert_int_equal(plan_execute(&p, guest_step, NULL, NULL, &outcomes, &e), 0);
	assert_int_equal(outcomes[0].result, STEP_UNCHANGED);
	outcomes_free(outcomes, 1);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_launched_guest_answers_and_is_stopped),
		TEST(a_second_launch_changes_nothing),
		TEST(another_command_line_is_not_taken_for_the_wanted_one),
		TEST(qemus_own_words_are_shown_and_nothing_is_left),
		TEST(a_program_that_cannot_be_run_is_an_error),
		TEST(what_a_dead_qemu_left_is_no_hindrance),
		TEST(two_guests_do_not_touch_each_other),
		TEST(a_guest_that_ignores_the_power_button_is_ended),
		TEST(a_qemu_that_answers_nothing_is_killed),
		TEST(a_guest_is_powered_off_while_the_machine_is_locked),
		TEST(a_guest_whose_qemu_hangs_is_left_to_signals),
		TEST(the_monitor_is_free_while_the_guest_has_its_time),
		TEST(a_name_that_somebody_else_runs_is_refused),
		TEST(adopted_guests_are_neither_started_nor_stopped),
		TEST(missing_and_corrupt_files_are_refused_before_anything_starts),
		TEST(it_inherits_nothing_of_ours),
		TEST(closed_standard_files_are_no_hindrance),
		TEST(steps_are_carried_out_by_kind),
		TEST(a_vcpu_thread_is_pinned_without_an_original),
	};

	return cmocka_run_group_tests(tests, prepare_machine, NULL);
}

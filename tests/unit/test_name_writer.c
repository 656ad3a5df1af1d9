/*
 * From a pid to who that is: children of this test that live, have ended, or try to be another.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/name_writer.h"
#include "state/base.h"

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct sysroot live = { .fd = -1 };

static int open_live(void **state)
{
	(void)state;
	return sysroot_open(NULL, &live, NULL);
}

static int close_live(void **state)
{
	(void)state;
	sysroot_close(&live);
	return 0;
}

static void check_names(const char *cgroup, const char *unit, const char *container)
{
	_cleanup_free_ char *u = NULL, *c = NULL;

	assert_int_equal(cgroup_names(cgroup, &u, &c), 0);
	assert_string_equal(u ? u : "", unit);
	assert_string_equal(c ? c : "", container);
}

static void test_units_and_containers_of_cgroups(void **state)
{
	(void)state;
	check_names("0::/system.slice/irqbalance.service", "irqbalance.service", "");
	check_names("0::/system.slice/gone.service (deleted)", "gone.service", "");
	check_names("0::/system.slice/with:colon.service", "with:colon.service", "");
	check_names("0::/user.slice/user-0.slice/session-3.scope", "session-3.scope", "");
	check_names("0::/user.slice/user-1000.slice/user@1000.service/app.slice/tune.service",
		    "tune.service", "");
	check_names("0::/system.slice/docker-" HEX64 ".scope", "docker-" HEX64 ".scope", HEX64);
	check_names("0::/docker/" HEX64, "", HEX64);
	check_names("0::/machine.slice/libpod-" HEX64 ".scope/container", "libpod-" HEX64 ".scope",
		    HEX64);
	check_names("0::/kubepods.slice/kubepods-besteffort.slice/cri-containerd-" HEX64 ".scope",
		    "cri-containerd-" HEX64 ".scope", HEX64);
	check_names("0::/kubepods/besteffort/podabc/" HEX64, "", HEX64);
	check_names("0::/machine.slice/machine-debian.scope/payload/system.slice/cron.service",
		    "cron.service", "debian");
	check_names("0::/", "", "");
	check_names("", "", "");
	check_names("0::/system.slice/.service", "", "");
	check_names("0::/" HEX64 "0", "", ""); /* 65 digits are no id */
}

/* A child that stays until it is killed; it has @comm, and said so. */
static pid_t start(const char *comm)
{
	char byte;
	int fds[2];
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)prctl(PR_SET_NAME, comm);
		if (write(fds[1], "x", 1) == 1)
			pause();
		_exit(0);
	}
	assert_int_equal(read(fds[0], &byte, 1), 1);
	close(fds[0]);
	close(fds[1]);
	return pid;
}

static int pidfd_of(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	assert_true(fd >= 0);
	return fd;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void test_a_process_that_lives_is_named(void **state)
{
	char exe[4096] = "";
	pid_t pid = start("stranger");
	_cleanup_close_ int pidfd = pidfd_of(pid);
	const int pidfds[] = { pidfd, -1 };

	(void)state;
	assert_true(readlink("/proc/self/exe", exe, sizeof(exe) - 1) > 0);
	for (size_t i = 0; i < ARRAY_SIZE(pidfds); i++) {
		_cleanup_writer_ struct writer w = { .uid = -1 };

		assert_int_equal(name_writer(&live, pid, pidfds[i], &w), 0);
		assert_false(w.gone);
		assert_int_equal(w.pid, pid);
		assert_int_equal(w.uid, getuid());
		assert_string_equal(w.comm, "stranger");
		assert_string_equal(w.exe, exe);
	}
	end(pid);
}

static void test_a_name_does_no_harm(void **state)
{
	pid_t pid = start("a\n\033[2Jb");
	_cleanup_writer_ struct writer w = { .uid = -1 };

	(void)state;
	assert_int_equal(name_writer(&live, pid, -1, &w), 0);
	assert_false(w.gone);
	assert_null(strpbrk(w.comm, "\n\033"));
	assert_non_null(strchr(w.comm, 'b'));
	end(pid);
}

static void assert_gone(int pid, int pidfd)
{
	_cleanup_writer_ struct writer w = { .uid = -1 };

	assert_int_equal(name_writer(&live, pid, pidfd, &w), 0);
	assert_true(w.gone);
	assert_int_equal(w.pid, pid);
	assert_int_equal(w.uid, -1);
	assert_null(w.comm);
	assert_null(w.exe);
	assert_null(w.unit);
}

static void test_a_process_that_has_gone_has_no_name(void **state)
{
	pid_t pid = start("stranger");
	_cleanup_close_ int pidfd = pidfd_of(pid);

	(void)state;
	end(pid);
	assert_gone(pid, pidfd);
	assert_gone(pid, -1);
}

/* The pid is another process's by now. */
static void test_a_reused_pid_is_not_blamed(void **state)
{
	pid_t pid = start("writer"), other = start("innocent");
	_cleanup_close_ int pidfd = pidfd_of(pid);

	(void)state;
	end(pid);
	assert_gone(other, pidfd);
	end(other);
}

static void test_pid_0_is_outside(void **state)
{
	_cleanup_writer_ struct writer w = { .pid = 1 };

	(void)state;
	assert_int_equal(name_writer(&live, 0, -1, &w), 0);
	assert_int_equal(w.pid, 0);
	assert_int_equal(w.uid, -1);
	assert_null(w.comm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_units_and_containers_of_cgroups),
		cmocka_unit_test(test_a_process_that_lives_is_named),
		cmocka_unit_test(test_a_name_does_no_harm),
		cmocka_unit_test(test_a_process_that_has_gone_has_no_name),
		cmocka_unit_test(test_a_reused_pid_is_not_blamed),
		cmocka_unit_test(test_pid_0_is_outside),
	};

	return cmocka_run_group_tests(tests, open_live, close_live);
}

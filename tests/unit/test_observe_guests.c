/*
 * A guest as its host sees it, on the live machine: a real QEMU (TCG, stopped before its first
 * instruction). What latencyd itself keeps below /run (a launched guest's folder, the lock of a
 * channel) is kept in a /run of the test's own.
 */
#include "guest/observe_guests.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "guest/qmp.h"
#include "state/guest_argv.h"

#define FOLDER "/run/latencyd/guests/t"

static struct {
	char folder[64], qmp[96], pid_file[96];
	pid_t pid;
} qemu;

static void qemu_stop(void)
{
	if (qemu.pid > 0) {
		kill(qemu.pid, SIGKILL);
		waitpid(qemu.pid, NULL, 0);
	}
	qemu.pid = 0;
	if (*qemu.folder) {
		unlink(qemu.qmp);
		unlink(qemu.pid_file);
		rmdir(qemu.folder);
	}
	*qemu.folder = '\0';
}

static int live_teardown(void **state)
{
	(void)state;
	qemu_stop();
	return 0;
}

/* All of its memory is there, in ordinary pages: less than TCG's translations may take. */
static void qemu_exec(const char *accel)
{
	char qmp[128];
	int null = open("/dev/null", O_RDWR);

	dup2(null, 0);
	snprintf(qmp, sizeof(qmp), "unix:%s,server=on,wait=off", qemu.qmp);
	execl(GUEST_QEMU, GUEST_QEMU, "-name", "guest=t,debug-threads=on", "-accel", accel, "-smp",
	      "2", "-m", "64", "-S", "-nodefaults", "-display", "none", "-qmp", qmp, "-pidfile",
	      qemu.pid_file, "-object", "memory-backend-memfd,id=m,size=64M,prealloc=on",
	      "-machine", "memory-backend=m", NULL);
	_exit(127);
}

/* Starts QEMU with its files in @folder (NULL: a new one). false: this machine has none. */
static bool qemu_start(const char *accel, const char *folder)
{
	const struct timespec pause = { .tv_nsec = 50000000 };
	struct qmp *q = NULL;

	if (access(GUEST_QEMU, X_OK) < 0) {
		print_message("# SKIP: there is no %s\n", GUEST_QEMU);
		return false;
	}
	if (folder)
		strcpy(qemu.folder, folder);
	else
		assert_non_null(mkdtemp(strcpy(qemu.folder, "/tmp/latencyd-qemu.XXXXXX")));
	snprintf(qemu.qmp, sizeof(qemu.qmp), "%s/qmp.sock", qemu.folder);
	snprintf(qemu.pid_file, sizeof(qemu.pid_file), "%s/qemu.pid", qemu.folder);
	qemu.pid = fork();
	assert_true(qemu.pid >= 0);
	if (!qemu.pid)
		qemu_exec(accel);
	for (int i = 0; i < 600 && qmp_open(qemu.qmp, 5000, &q, NULL) < 0; i++)
		(void)nanosleep(&pause, NULL);
	assert_non_null(q);
	qmp_close(q);
	return true;
}

static void observe_one(const struct desired_guest *g, struct observed *o)
{
	struct desired_guest copy = *g;
	const struct desired d = { .guests = &copy, .n_guests = 1 };
	_cleanup_sysroot_ struct sysroot root = { 0 };

	assert_int_equal(sysroot_open("/", &root, NULL), 0);
	assert_int_equal(observe_guests(&root, &d, NULL, o), 0);
	assert_int_equal(o->n_guests, 1);
}

static const struct observed_guest_thread *thread(const struct observed_guest *seen, int tid)
{
	for (size_t i = 0; i < seen->n_threads; i++)
		if (seen->threads[i].thread.pid == tid)
			return &seen->threads[i];
	return NULL;
}

static void expect_no_vcpu(const struct observed_guest *seen, int error)
{
	assert_int_equal(seen->vcpus_by.state, FACT_UNREADABLE);
	assert_int_equal(seen->vcpus_by.error, error);
	for (size_t i = 0; i < seen->n_threads; i++)
		assert_int_equal(seen->threads[i].vcpu, -1);
}

static int vcpu_tid(const struct observed_guest *seen, int vcpu)
{
	for (size_t i = 0; i < seen->n_threads; i++)
		if (seen->threads[i].vcpu == vcpu)
			return seen->threads[i].thread.pid;
	return 0;
}

/* nodes is all that a look leaves outside of the arena. */
static void done(struct observed *o)
{
	cpuset_done(&o->guests[0].memory.nodes);
	o->n_guests = 0;
	observed_done(o);
}

static void test_real_qemu_adopted(void **state)
{
	struct desired_guest g = { .name = "t", .origin = GUEST_ADOPT };
	struct observed o = { 0 };
	const struct observed_guest *seen;
	cpu_set_t set;
	int tid;

	(void)state;
	if (!qemu_start("tcg,thread=multi", NULL))
		skip();
	g.adopt.pid_file = qemu.pid_file;
	g.adopt.qmp = qemu.qmp;
	observe_one(&g, &o);
	seen = &o.guests[0];
	assert_int_equal(seen->pid, qemu.pid);
	assert_non_null(strstr(seen->argv.text, "-smp 2 -m 64"));
	assert_string_equal(seen->accel.text, "tcg");
	assert_string_equal(seen->vcpus_by.text, "qmp");
	assert_string_equal(seen->cpu_model.text, ""); /* TCG has neither */
	assert_int_equal(seen->memory.fact.state, FACT_KNOWN);
	assert_int_equal(seen->memory.page_size_kib, 0);
	assert_int_equal(seen->memory.total_kib, 65536);
	assert_true(cpuset_has(&seen->memory.nodes, 0));
	assert_int_equal(seen->channel.state, FACT_UNPROBED);
	assert_int_equal(o.kvm.state, FACT_UNPROBED); /* nobody wants it launched */
	tid = vcpu_tid(seen, 1);
	assert_true(vcpu_tid(seen, 0) > 0 && tid > 0 && tid != vcpu_tid(seen, 0));
	done(&o);

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	assert_int_equal(sched_setaffinity(tid, sizeof(set), &set), 0);
	g.adopt.qmp = NULL; /* now by the threads' names: the same threads */
	observe_one(&g, &o);
	seen = &o.guests[0];
	assert_string_equal(seen->vcpus_by.text, "thread names");
	assert_int_equal(vcpu_tid(seen, 1), tid);
	assert_string_equal(thread(seen, tid)->thread.allowed.text, "0");
	done(&o);
}

static void test_real_qemu_with_one_thread_for_all(void **state)
{
	struct desired_guest g = { .name = "t", .origin = GUEST_ADOPT };
	struct observed o = { 0 };

	(void)state;
	if (!qemu_start("tcg,thread=single", NULL))
		skip();
	g.adopt.pid_file = qemu.pid_file;
	for (int i = 0; i < 2; i++) {
		g.adopt.qmp = i ? qemu.qmp : NULL;
		observe_one(&g, &o);
		expect_no_vcpu(&o.guests[0], EOPNOTSUPP);
		assert_true(o.guests[0].n_threads > 1);
		done(&o);
	}
}

static void test_real_qemu_that_hangs_is_seen_without_its_monitor(void **state)
{
	struct desired_guest g = { .name = "t", .origin = GUEST_ADOPT };
	struct observed o = { 0 };

	(void)state;
	if (!qemu_start("tcg,thread=multi", NULL))
		skip();
	g.adopt.pid_file = qemu.pid_file;
	g.adopt.qmp = qemu.qmp;
	assert_int_equal(kill(qemu.pid, SIGSTOP), 0);
	observe_one(&g, &o);
	assert_int_equal(o.guests[0].cpu_model.error, ETIMEDOUT);
	assert_string_equal(o.guests[0].vcpus_by.text, "thread names");
	assert_true(vcpu_tid(&o.guests[0], 1) > 0);
	assert_int_equal(o.guests[0].memory.total_kib, 65536);
	done(&o);
}

/* /run is ours alone from here on. */
static bool own_run(void)
{
	static bool owned;

	if (owned)
		return true;
	if (geteuid() || unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", "/run", "tmpfs", 0, NULL) < 0) {
		print_message("# SKIP: no mount namespace of its own\n");
		return false;
	}
	mkdir("/run/latencyd", 0755);
	mkdir("/run/latencyd/guests", 0755);
	mkdir(FOLDER, 0755);
	owned = true;
	return true;
}

static void test_channel_that_is_not_there_is_trouble(void **state)
{
	struct desired inner = { 0 };
	struct desired_guest g = { .name = "t", .origin = GUEST_ADOPT, .state = &inner };
	struct observed o = { 0 };

	(void)state;
	if (!own_run() || !qemu_start("tcg,thread=multi", NULL))
		skip();
	g.adopt.pid_file = qemu.pid_file;
	g.adopt.channel = "/nonexistent/agent.sock";
	observe_one(&g, &o);
	assert_int_equal(o.guests[0].channel.state, FACT_UNREADABLE);
	assert_non_null(o.guests[0].channel_trouble);
	assert_string_equal(o.guests[0].vcpus_by.text, "thread names");
	done(&o);
	g.adopt.channel = NULL;
	observe_one(&g, &o);
	assert_int_equal(o.guests[0].channel.state, FACT_ABSENT);
	done(&o);
}

static void write_text(const char *path, const char *text)
{
	_cleanup_fclose_ FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
}

static void test_real_qemu_launched_and_gone(void **state)
{
	struct desired_guest g = { .name = "t",
				   .launch = { .memory_kib = 65536, .accel = GUEST_ACCEL_TCG } };
	struct observed o = { 0 };
	char pid[16];

	(void)state;
	if (!own_run())
		skip();
	if (!qemu_start("tcg,thread=multi", FOLDER))
		skip();
	observe_one(&g, &o);
	assert_int_equal(o.guests[0].pid, qemu.pid);
	assert_string_equal(o.guests[0].vcpus_by.text, "qmp");
	assert_false(o.guests[0].was_verified);
	assert_int_equal(o.qemu.state, FACT_KNOWN);
	done(&o);

	write_text(FOLDER "/verified", "1\n"); /* of an earlier one */
	observe_one(&g, &o);
	assert_false(o.guests[0].was_verified);
	done(&o);
	snprintf(pid, sizeof(pid), "%d\n", qemu.pid);
	write_text(FOLDER "/verified", pid);
	observe_one(&g, &o);
	assert_true(o.guests[0].was_verified);
	assert_null(o.guests[0].exit_words);
	done(&o);

	kill(qemu.pid, SIGKILL); /* not reaped yet: a zombie runs no guest */
	waitid(P_PID, (id_t)qemu.pid, NULL, WEXITED | WNOWAIT);
	write_text(FOLDER "/qemu.log", "qemu: it \x1b[1m broke\n");
	observe_one(&g, &o);
	assert_int_equal(o.guests[0].process.state, FACT_ABSENT);
	assert_int_equal(o.guests[0].pid, 0);
	assert_string_equal(o.guests[0].exit_words, "qemu: it ?[1m broke");
	assert_int_equal(o.kvm.state, FACT_UNPROBED);
	done(&o);
	unlink(FOLDER "/verified");
	unlink(FOLDER "/qemu.log");
}

/* /dev/kvm as a look below @root finds it; -1: it failed. */
static int kvm_state(const struct sysroot *root, int error)
{
	struct desired_guest g = { .name = "t", .launch.accel = GUEST_ACCEL_KVM };
	const struct desired d = { .guests = &g, .n_guests = 1 };
	struct observed o = { 0 };
	int state = -1;

	if (observe_guests(root, &d, NULL, &o) >= 0 && o.kvm.error == error)
		state = o.kvm.state;
	observed_done(&o);
	return state;
}

static int kvm_state_of_nobody(const struct sysroot *root)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid)
		_exit(setuid(65534) < 0 ? 255 : kvm_state(root, EACCES));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WEXITSTATUS(status);
}

/* What is there and is no KVM, or may not be opened, is not "no KVM". */
static void kvm_that_could_not_be_asked_is_not_absent(void **state)
{
	char folder[32] = "/tmp/latencyd-kvm.XXXXXX", dev[64], kvm[128];
	_cleanup_sysroot_ struct sysroot root = { 0 };

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(dev, sizeof(dev), "%s/dev", folder);
	snprintf(kvm, sizeof(kvm), "%s/kvm", dev);
	assert_int_equal(chmod(folder, 0755) | mkdir(dev, 0755), 0);
	assert_int_equal(sysroot_open(folder, &root, NULL), 0);
	root.live = true;
	assert_int_equal(kvm_state(&root, 0), FACT_ABSENT);
	write_text(kvm, "");
	assert_int_equal(kvm_state(&root, ENOTTY), FACT_UNREADABLE);
	assert_int_equal(chmod(kvm, 0600), 0);
	if (geteuid() == 0)
		assert_int_equal(kvm_state_of_nobody(&root), FACT_DENIED);
	unlink(kvm);
	rmdir(dev);
	rmdir(folder);
}

#define LIVE(fn) cmocka_unit_test_teardown(fn, live_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LIVE(test_real_qemu_adopted),
		LIVE(test_real_qemu_with_one_thread_for_all),
		LIVE(test_real_qemu_that_hangs_is_seen_without_its_monitor),
		LIVE(test_channel_that_is_not_there_is_trouble),
		LIVE(test_real_qemu_launched_and_gone),
		cmocka_unit_test(kvm_that_could_not_be_asked_is_not_absent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

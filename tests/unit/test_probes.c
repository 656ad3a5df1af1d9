/* The single probes on handmade files: refusals, packages, mounts, irqbalance, the document. */
#include "probes/probe.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "probes/irqbalance.h"
#include "probes/observe.h"
#include "tests/trees/scratch.h"

#define BOOT   "11111111-2222-3333-4444-555555555555"
#define PID    4711
#define SOCKET "run/irqbalance/irqbalance4711.sock"

struct fixture {
	struct scratch dir;
	struct sysroot root;
	struct observed o;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	scratch_make(&f->dir);
	*state = f;
	return sysroot_open(f->dir.path, &f->root, NULL);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	observed_done(&f->o);
	sysroot_close(&f->root);
	scratch_remove(&f->dir);
	free(f);
	return 0;
}

static void parse(struct fixture *f, const char *text)
{
	assert_int_equal(refusals_parse(text, strlen(text), BOOT, &f->o), 0);
}

#define REFUSAL                                                                        \
	"{\"setting\":\"irq_affinity\",\"target\":\"/proc/irq/24/smp_affinity_list\"," \
	"\"name\":\"nvme0q1\",\"error\":5,\"message\":\"managed\"}"

static void refusals_of_this_boot_are_taken(void **state)
{
	struct fixture *f = *state;

	parse(f, "{\"version\":1,\"boot_id\":\"" BOOT "\",\"refusals\":[" REFUSAL "]}");
	assert_int_equal(f->o.n_refusals, 1);
	assert_string_equal(f->o.refusals[0].setting, "irq_affinity");
	assert_string_equal(f->o.refusals[0].target, "/proc/irq/24/smp_affinity_list");
	assert_string_equal(f->o.refusals[0].name, "nvme0q1");
	assert_int_equal(f->o.refusals[0].error, 5);
	assert_string_equal(f->o.refusals[0].message, "managed");
}

static void refusals_of_another_boot_are_ignored(void **state)
{
	struct fixture *f = *state;

	parse(f, "{\"version\":1,\"boot_id\":\"other\",\"refusals\":[" REFUSAL "]}");
	parse(f, "{\"version\":1,\"refusals\":[" REFUSAL "]}");
	parse(f, "{\"version\":2,\"boot_id\":\"" BOOT "\",\"refusals\":[" REFUSAL "]}");
	assert_int_equal(f->o.n_refusals, 0);
}

static void refusals_that_are_none_are_ignored(void **state)
{
	static const char *const texts[] = { "",
					     "{",
					     "null",
					     "[]",
					     "7",
					     "\"x\"",
					     "{\"version\":1}",
					     "{\"version\":1,\"version\":1}" };
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		parse(f, texts[i]);
	parse(f, "{\"version\":1,\"boot_id\":\"" BOOT "\",\"refusals\":{\"a\":" REFUSAL "}}");
	parse(f,
	      "{\"version\":1,\"boot_id\":\"" BOOT "\",\"refusals\":[1,null,[],{},"
	      "{\"setting\":\"s\",\"target\":\"t\",\"name\":\"n\",\"error\":0,\"message\":\"m\"},"
	      "{\"setting\":\"s\",\"target\":\"t\",\"name\":\"n\",\"error\":\"5\",\"message\":"
	      "\"m\"},"
	      "{\"setting\":\"s\",\"target\":\"t\",\"error\":99999,\"message\":\"m\"},"
	      "{\"setting\":\"s\",\"target\":\"\\u001b[2J\",\"error\":5,\"message\":\"m\"}]}");
	assert_int_equal(f->o.n_refusals, 0);
}

static void message_of_many_lines_becomes_one(void **state)
{
	struct fixture *f = *state;

	parse(f, "{\"version\":1,\"boot_id\":\"" BOOT "\",\"refusals\":[{\"setting\":\"s\","
		 "\"target\":\"t\",\"error\":5,\"message\":\"a\\nb\\u001b[2J\"}]}");
	assert_int_equal(f->o.n_refusals, 1);
	assert_string_equal(f->o.refusals[0].name, "");
	assert_string_equal(f->o.refusals[0].message, "a b [2J");
}

static void refusals_are_bounded(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *text = malloc(6 << 20);
	char *end = text;

	end = stpcpy(end, "{\"version\":1,\"boot_id\":\"" BOOT "\",\"refusals\":[{\"setting\":\"");
	memset(end, 'x', 5000);
	end = stpcpy(end + 5000, "\",\"target\":\"t\",\"error\":5,\"message\":\"m\"}]}");
	parse(f, text);
	assert_int_equal(f->o.n_refusals, 0);
	end = stpcpy(text, "{\"version\":1,\"boot_id\":\"" BOOT "\",\"refusals\":[" REFUSAL "]}");
	memset(end, ' ', 5 << 20);
	end[5 << 20] = '\0';
	parse(f, text);
	assert_int_equal(f->o.n_refusals, 0);
}

static void installed_package_has_its_version(void **state)
{
	static const char status[] =
		"Package: a\nStatus: install ok installed\nVersion: 1.0-1\n\n"
		"Package: held\nStatus: hold ok installed\nVersion: 2:3~4\n\n"
		"Package: gone\nStatus: deinstall ok config-files\n"
		"Version: 9\nDescription: x\n Status: install ok installed\n\n"
		"Package: half\nStatus: install ok half-installed\nVersion: 9\n";
	static const struct {
		const char *package, *version;
	} wanted[] = { { "a", "1.0-1" }, { "held", "2:3~4" }, { "gone", NULL },
		       { "half", NULL }, { "none", NULL },    { "hel", NULL } };
	struct fixture *f = *state;

	scratch_write(&f->dir, "var/lib/dpkg/status", status);
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		assert_int_equal(probe_package(&f->root, wanted[i].package, &f->o), 0);
		assert_int_equal(f->o.package.state, wanted[i].version ? FACT_KNOWN : FACT_ABSENT);
		if (wanted[i].version)
			assert_string_equal(f->o.package.text, wanted[i].version);
	}
}

static void package_of_an_unreadable_list_is_unreadable(void **state)
{
	struct fixture *f = *state;

	scratch_folder(&f->dir, "var/lib/dpkg/status");
	assert_int_equal(probe_package(&f->root, "a", &f->o), 0);
	assert_int_equal(f->o.package.state, FACT_UNREADABLE);
}

static void mounts_are_unescaped_and_sized(void **state)
{
	struct fixture *f = *state;

	scratch_write(&f->dir, "proc/self/mounts",
		      "none /a hugetlbfs rw 0 0\n"
		      "none /b\\040c\\134d hugetlbfs rw,size=1G,pagesize=1024M 0 0\n"
		      "none /sys sysfs rw,pagesize=1G 0 0\n"
		      "none /e\\09 hugetlbfs rw,pagesize=2M,mode=1770 0 0\n");
	assert_int_equal(probe_mounts(&f->root, &f->o), 0);
	assert_int_equal(f->o.mounts_fact.state, FACT_KNOWN);
	assert_int_equal(f->o.n_mounts, 3);
	assert_string_equal(f->o.mounts[0].target, "/a");
	assert_int_equal(f->o.mounts[0].page_size_kib, 0);
	assert_string_equal(f->o.mounts[1].target, "/b c\\d");
	assert_int_equal(f->o.mounts[1].page_size_kib, 1048576);
	assert_string_equal(f->o.mounts[2].target, "/e\\09");
	assert_int_equal(f->o.mounts[2].page_size_kib, 2048);
}

static void short_mount_line_is_garbage(void **state)
{
	struct fixture *f = *state;

	scratch_write(&f->dir, "proc/self/mounts", "none /a\n");
	assert_int_equal(probe_mounts(&f->root, &f->o), 0);
	assert_int_equal(f->o.mounts_fact.state, FACT_UNREADABLE);
}

/* An irqbalance: checks what it is asked and by whom, and answers as the real one would. */
static pid_t serve(struct fixture *f, const char *answer)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	_cleanup_close_ int folder = -1;
	const int on = 1;
	pid_t pid;

	scratch_folder(&f->dir, "run/irqbalance");
	folder = sysroot_openat(&f->root, "/run/irqbalance", O_PATH);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/irqbalance%d.sock", folder,
		 PID);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)), 0);
	assert_int_equal(listen(fd, 1), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	alarm(60); /* whatever becomes of the test */
	char buffer[500] = "";
	struct iovec iov = { .iov_base = buffer, .iov_len = sizeof(buffer) };
	union {
		char bytes[CMSG_SPACE(sizeof(struct ucred))];
		struct cmsghdr align;
	} control;
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.bytes,
			      .msg_controllen = sizeof(control.bytes) };
	int peer = accept(fd, NULL, NULL);
	struct cmsghdr *c = recvmsg(peer, &msg, 0) > 0 ? CMSG_FIRSTHDR(&msg) : NULL;

	if (!c || c->cmsg_type != SCM_CREDENTIALS || !after_prefix(buffer, "setup"))
		_exit(1);
	if (!answer)
		pause();
	for (const char *p = answer; *p;) { /* in two pieces: the reader must go on */
		size_t n = strlen(p) > 1 && p == answer ? strlen(p) / 2 : strlen(p);

		if (write(peer, p, n) < 0)
			_exit(1);
		p += n;
	}
	_exit(0);
}

static void stop(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

static void irqbalance_is_asked_through_its_socket(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *answer = NULL;
	int status;
	pid_t pid = serve(f, "SLEEP 10 IRQ 24 LOAD 0 DIFF 0 CLASS 3 BANNED 00000000,0000000c");

	assert_int_equal(irqbalance_setup(&f->root, PID, &answer), 0);
	assert_string_equal(answer,
			    "SLEEP 10 IRQ 24 LOAD 0 DIFF 0 CLASS 3 BANNED 00000000,0000000c");
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void irqbalance_that_closes_has_not_answered(void **state)
{
	struct fixture *f = *state;
	char *answer;
	pid_t pid = serve(f, "");

	assert_int_equal(irqbalance_setup(&f->root, PID, &answer),
			 geteuid() == 0 ? -EBADMSG : -EACCES);
	stop(pid);
}

static void silent_irqbalance_is_given_up_in_the_end(void **state)
{
	struct fixture *f = *state;
	struct timespec before, after;
	char *answer;
	pid_t pid = serve(f, NULL);

	clock_gettime(CLOCK_MONOTONIC, &before);
	assert_int_equal(irqbalance_setup(&f->root, PID, &answer), -ETIMEDOUT);
	clock_gettime(CLOCK_MONOTONIC, &after);
	stop(pid);
	assert_in_range(after.tv_sec - before.tv_sec, 0, 40);
}

static void irqbalance_without_a_socket_is_enoent(void **state)
{
	struct fixture *f = *state;
	char *answer;

	assert_int_equal(irqbalance_setup(&f->root, PID, &answer), -ENOENT);
	scratch_write(&f->dir, SOCKET, "a file\n");
	assert_int_equal(irqbalance_setup(&f->root, PID, &answer), -ECONNREFUSED);
}

static void kept_answer_gives_the_banned_cpus(void **state)
{
	static const struct {
		const char *answer, *list;
	} table[] = {
		{ "SLEEP 10 BANNED 0000000c", "2-3" },
		{ "SLEEP 10 IRQ 1 LOAD 2 DIFF 3 CLASS 4 BANNED 00000001,00000000", "32" },
		{ "SLEEP 10 BANNED 00000000", "" },
		{ "SLEEP 10 BANNED 0000000c\n", "2-3" },
		{ "SLEEP 10", NULL },
		{ "SLEEP 10 BANNED xyz", NULL },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		scratch_write(&f->dir, ".latencyd-capture/irqbalance-setup", table[i].answer);
		assert_int_equal(probe_irqbalance(&f->root, PID, &f->o), 0);
		assert_string_equal(f->o.irqbalance_pid.text, "4711");
		assert_int_equal(f->o.irqbalance_banned.state,
				 table[i].list ? FACT_KNOWN : FACT_UNREADABLE);
		if (table[i].list)
			assert_string_equal(f->o.irqbalance_banned.text, table[i].list);
	}
}

static void unknown_processes_leave_irqbalance_unknown(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(probe_irqbalance(&f->root, -EACCES, &f->o), 0);
	assert_int_equal(f->o.irqbalance_pid.state, FACT_DENIED);
	assert_int_equal(f->o.irqbalance_banned.state, FACT_DENIED);
	assert_int_equal(probe_irqbalance(&f->root, 0, &f->o), 0);
	assert_int_equal(f->o.irqbalance_pid.state, FACT_ABSENT);
}

static void irqbalance_is_enabled_by_a_link(void **state)
{
	struct fixture *f = *state;
	static const char wants[] = "etc/systemd/system/multi-user.target.wants/irqbalance.service";

	scratch_folder(&f->dir, "etc/systemd/system/multi-user.target.wants");
	assert_int_equal(probe_irqbalance(&f->root, 0, &f->o), 0);
	assert_int_equal(f->o.irqbalance_enabled.state, FACT_ABSENT);
	scratch_link(&f->dir, wants, "/nowhere");
	assert_int_equal(probe_irqbalance(&f->root, 0, &f->o), 0);
	assert_int_equal(f->o.irqbalance_enabled.state, FACT_KNOWN);
	assert_string_equal(f->o.irqbalance_enabled.text + 1, wants);
	scratch_link(&f->dir, "etc/systemd/system/irqbalance.service", "/dev/null");
	assert_int_equal(probe_irqbalance(&f->root, 0, &f->o), 0);
	assert_int_equal(f->o.irqbalance_enabled.state, FACT_ABSENT); /* masked */
}

static void boot_files_are_sourced_in_order(void **state)
{
	static const char *const paths[] = { "/etc/default/grub", "/etc/default/grub.d/10-a.cfg",
					     "/etc/default/grub.d/9.cfg",
					     "/etc/default/grub.d/zzz.cfg" };
	struct fixture *f = *state;

	for (size_t i = ARRAY_SIZE(paths); i-- > 0;)
		scratch_write(&f->dir, paths[i] + 1, "A=b\n");
	scratch_write(&f->dir, "etc/default/grub.d/zz-latencyd.cfg", "ours\n");
	scratch_write(&f->dir, "etc/default/grub.d/10-a.cfg.dpkg-old", "no\n");
	scratch_write(&f->dir, "etc/default/grub.d/.cfg", "no\n");
	assert_int_equal(probe_boot(&f->root, &f->o), 0);
	assert_int_equal(f->o.boot.n_sources, ARRAY_SIZE(paths));
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		assert_string_equal(f->o.boot.sources[i].path, paths[i]);
	assert_string_equal(f->o.boot.drop_in.text, "ours");
}

static void kernels_without_a_readable_config_are_listed(void **state)
{
	struct fixture *f = *state;

	scratch_write(&f->dir, "boot/grub/grub.cfg",
		      "set default=\"0\"\n"
		      "menuentry 'Linux' {\n\tlinux\t/vmlinuz-6.1-x root=/dev/vda1 ro\n}\n"
		      "menuentry 'memtest' {\n\tlinux16 /boot/memtest.bin\n}\n");
	assert_int_equal(probe_boot(&f->root, &f->o), 0);
	assert_int_equal(f->o.boot.n_kernels, 1);
	assert_string_equal(f->o.boot.kernels[0].version, "6.1-x");
	assert_int_equal(f->o.boot.kernels[0].config.state, FACT_ABSENT);
	assert_string_equal(f->o.boot.next_cmdline.text, "root=/dev/vda1 ro");
}

static void missing_document_says_what_to_do(void **state)
{
	struct fixture *f = *state;
	_cleanup_error_ struct error e = { 0 };
	struct desired d;

	assert_int_equal(document_load(&f->root, NULL, &d, &e), -ENOENT);
	assert_non_null(strstr(e.what, DOCUMENT_PATH));
	assert_non_null(strstr(e.what, f->dir.path));
	assert_non_null(strstr(e.todo, "--document"));
	assert_int_equal(document_load(&f->root, "other.yaml", &d, NULL), -ENOENT);
}

static void document_of_a_tree_is_read_below_it(void **state)
{
	struct fixture *f = *state;
	_cleanup_desired_ struct desired d = { 0 };

	scratch_write(&f->dir, "etc/latencyd/latencyd.yaml",
		      "version: 1\nhost:\n  cpus: {isolated: 2-3}\n");
	assert_int_equal(document_load(&f->root, NULL, &d, NULL), 0);
	assert_true(cpuset_has(&d.isolated, 3));
	assert_string_equal(d.source, DOCUMENT_PATH);
}

/* On the live machine, with a file of the test's own. */
static void document_that_others_may_write_is_refused(void **state)
{
	static const struct {
		mode_t mode;
		uid_t owner;
		int result;
	} table[] = { { 0644, 0, 0 },
		      { 0600, 0, 0 },
		      { 0664, 0, -EPERM },
		      { 0646, 0, -EPERM },
		      { 0644, 1, -EPERM } };
	struct fixture *f = *state;
	_cleanup_sysroot_ struct sysroot live = { .fd = -1 };
	_cleanup_free_ char *path = NULL;

	if (geteuid() != 0)
		skip();
	path = scratch_path(&f->dir, "d.yaml");
	assert_int_equal(sysroot_open("/", &live, NULL), 0);
	scratch_write(&f->dir, "d.yaml", "version: 1\nhost:\n  cpus: {isolated: 2-3}\n");
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		_cleanup_desired_ struct desired d = { 0 };
		_cleanup_error_ struct error e = { 0 };

		assert_int_equal(chmod(path, table[i].mode), 0);
		assert_int_equal(chown(path, table[i].owner, 0), 0);
		assert_int_equal(document_load(&live, path, &d, &e), table[i].result);
		if (table[i].result < 0)
			assert_non_null(strstr(e.todo, "chown root:root"));
	}
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(refusals_of_this_boot_are_taken),
		test(refusals_of_another_boot_are_ignored),
		test(refusals_that_are_none_are_ignored),
		test(message_of_many_lines_becomes_one),
		test(refusals_are_bounded),
		test(installed_package_has_its_version),
		test(package_of_an_unreadable_list_is_unreadable),
		test(mounts_are_unescaped_and_sized),
		test(short_mount_line_is_garbage),
		test(irqbalance_is_asked_through_its_socket),
		test(irqbalance_that_closes_has_not_answered),
		test(silent_irqbalance_is_given_up_in_the_end),
		test(irqbalance_without_a_socket_is_enoent),
		test(kept_answer_gives_the_banned_cpus),
		test(unknown_processes_leave_irqbalance_unknown),
		test(irqbalance_is_enabled_by_a_link),
		test(boot_files_are_sourced_in_order),
		test(kernels_without_a_readable_config_are_listed),
		test(missing_document_says_what_to_do),
		test(document_of_a_tree_is_read_below_it),
		test(document_that_others_may_write_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

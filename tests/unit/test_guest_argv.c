/*
 * QEMU's command line: what of a guest becomes which argument, that a running one is known again,
 * and that a real QEMU takes it. The real one runs under TCG, stopped at reset (-S), in a mount and
 * network namespace of the test's own.
 */
#include "state/guest_argv.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "state/guest_boot.h"

struct fixture {
	struct arena arena;
	struct desired d;
	struct observed o;
};

static int setup(void **state)
{
	*state = calloc(1, sizeof(struct fixture));
	return *state ? 0 : -1;
}

/* Not on a tmpfs, which may not know O_DIRECT (cache=none). */
static char disk[] = "/var/tmp/latencyd-test-XXXXXX.raw";

static int teardown(void **state)
{
	struct fixture *f = *state;

	(void)unlink(disk);
	desired_done(&f->d);
	arena_free(&f->arena);
	free(f);
	return 0;
}

/* The guest of one line, and its command line, blank separated. */
static const struct desired_guest *read_guest(struct fixture *f, const char *guest)
{
	_cleanup_error_ struct error e = { 0 };
	const char *text =
		arena_printf(&f->arena, "version: 1\nguests: [{name: vnf0, %s}]\n", guest);

	desired_done(&f->d);
	if (document_parse("d.yaml", text, strlen(text), &f->d, &e) < 0)
		fail_msg("%s", e.what);
	return &f->d.guests[0];
}

static const char *joined(struct arena *a, const char *const *argv)
{
	const char *text = argv[0];

	for (size_t i = 1; argv[i]; i++)
		text = arena_printf(a, "%s %s", text, argv[i]);
	return text;
}

static const char *composed(struct fixture *f, const char *guest)
{
	const char *const *argv = guest_argv(read_guest(f, guest), &f->o, &f->arena);

	assert_non_null(argv);
	return joined(&f->arena, argv);
}

static void assert_has(const char *line, const char *part)
{
	if (!strstr(line, part))
		fail_msg("\"%s\" is not in: %s", part, line);
}

static void assert_lacks(const char *line, const char *part)
{
	if (strstr(line, part))
		fail_msg("\"%s\" is in: %s", part, line);
}

#define MEMORY "memory: 2G"
#define VCPUS  ", vcpus: [{cpu: 2}, {cpu: 3}]"

static void the_machine_has_only_what_is_said(void **state)
{
	const char *line = composed(*state, "launch: {disk: /g.raw, " MEMORY ", accel: tcg}" VCPUS);

	assert_has(line, GUEST_QEMU " -name guest=vnf0,debug-threads=on -nodefaults "
				    "-no-user-config -display none ");
	assert_has(line, " -accel tcg,thread=multi ");
	assert_has(line, " -smp 2,sockets=1,cores=2,threads=1 ");
	assert_has(line, " -overcommit mem-lock=on ");
	assert_has(line, " -pidfile /run/latencyd/guests/vnf0/qemu.pid");
	assert_has(line, "path=/run/latencyd/guests/vnf0/qmp.sock,server=on,wait=off");
	assert_lacks(line, "balloon");
	assert_lacks(line, "-kernel");
	assert_lacks(line, "-append");
}

static void the_accelerator_is_what_is_asked_and_there(void **state)
{
	static const struct {
		const char *accel;
		enum fact_state kvm;
		bool uses;
	} cases[] = {
		{ "auto", FACT_KNOWN, true },	{ "auto", FACT_ABSENT, false },
		{ "auto", FACT_DENIED, false }, { "kvm", FACT_KNOWN, true },
		{ "kvm", FACT_ABSENT, true },	{ "tcg", FACT_KNOWN, false },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *line;

		f->o.kvm.state = cases[i].kvm;
		line = composed(f,
				arena_printf(&f->arena,
					     "launch: {disk: /g.raw, " MEMORY ", accel: %s}" VCPUS,
					     cases[i].accel));
		assert_has(line, cases[i].uses ? "-accel kvm -cpu host,migratable=off,+invtsc,"
						 "+tsc-deadline,pmu=off"
					       : "-accel tcg,thread=multi -cpu max");
		assert_int_equal(!!strstr(line, "kernel-irqchip=on"), cases[i].uses);
	}
}

static void memory_is_backed_as_asked(void **state)
{
	struct fixture *f = *state;

	assert_has(composed(f, "launch: {disk: /g, " MEMORY ", page_size: 1G, node: 1}" VCPUS),
		   " -m 2G -object memory-backend-memfd,id=memory,size=2G,hugetlb=on,"
		   "hugetlbsize=1G,prealloc=on,host-nodes=1,policy=bind -overcommit");
	assert_has(composed(f, "launch: {disk: /g, " MEMORY ", page_size: 2M}" VCPUS),
		   "size=2G,hugetlb=on,hugetlbsize=2M,prealloc=on -overcommit");
	assert_has(composed(f, "launch: {disk: /g, " MEMORY ", page_size: none}" VCPUS),
		   "memory-backend-memfd,id=memory,size=2G,prealloc=on -overcommit");
}

static void a_disks_format_is_said_not_probed(void **state)
{
	struct fixture *f = *state;

	assert_has(composed(f, "launch: {disk: /a.qcow2, " MEMORY "}" VCPUS),
		   "file=/a.qcow2,if=none,id=disk,format=qcow2,cache=none,aio=threads");
	assert_has(composed(f, "launch: {disk: /a.qcow2.img, " MEMORY "}" VCPUS), "format=raw");
	assert_has(composed(f, "launch: {disk: /.qcow2, " MEMORY "}" VCPUS), "format=qcow2");
	assert_lacks(composed(f, "launch: {kernel: /k, " MEMORY "}" VCPUS), "-drive");
}

static void qemu_listens_where_the_sources_reach_it(void **state)
{
	struct fixture *f = *state;

	assert_has(composed(f, "launch: {disk: /g, " MEMORY "}" VCPUS ", ssh: {host_port: 5555}"),
		   "-netdev user,id=net,hostfwd=tcp:127.0.0.1:5555-:22 ");
	assert_has(composed(f, "launch: {disk: /g, " MEMORY "}" VCPUS
			       ", ssh: {host_port: 5555, from: [127.0.0.1, 192.0.2.0/24]}"),
		   "hostfwd=tcp::5555-:22 ");
	assert_has(composed(f, "launch: {disk: /g, " MEMORY "}" VCPUS), "-netdev user,id=net -dev");
	assert_has(composed(f, "launch: {disk: /g, " MEMORY ", network: {tap: t0}}" VCPUS),
		   "-netdev tap,id=net,ifname=t0,script=no,downscript=no -dev");
	assert_lacks(composed(f, "launch: {disk: /g, " MEMORY ", network: none}" VCPUS), "net");
}

static void the_channel_is_vsock_where_there_is_one(void **state)
{
	struct fixture *f = *state;
	const char *line;

	f->o.vhost_vsock.state = FACT_ABSENT;
	line = composed(f, "launch: {disk: /g, " MEMORY "}" VCPUS);
	assert_has(line, "path=/run/latencyd/guests/vnf0/agent.sock,server=on,wait=off");
	assert_has(line, "virtserialport,chardev=agent,name=org.latencyd1.0");
	assert_lacks(line, "vsock");
	f->o.vhost_vsock.state = FACT_KNOWN;
	line = composed(f, "launch: {disk: /g, " MEMORY "}" VCPUS);
	assert_has(line, arena_printf(&f->arena, "vhost-vsock-pci,guest-cid=%u ",
				      guest_vsock_cid("vnf0")));
	assert_lacks(line, "agent.sock");
	assert_true(guest_vsock_cid("vnf0") >= 1000);
	assert_int_not_equal(guest_vsock_cid("vnf0"), guest_vsock_cid("vnf1"));
}

static void a_unit_and_paths_have_the_guests_name(void **state)
{
	struct fixture *f = *state;

	assert_string_equal(guest_unit(&f->arena, "a.b"), "latencyd-guest-a.b.service");
	assert_string_equal(guest_path(&f->arena, "a.b", "x"), "/run/latencyd/guests/a.b/x");
}

/* ---- boot arguments ---- */

static void boot_arguments_come_from_the_state(void **state)
{
	struct fixture *f = *state;
	const struct desired_guest *g = read_guest(
		f, "launch: {kernel: /k, initrd: /i, append: quiet x=1, " MEMORY "}" VCPUS
		   ", state: {cpus: {isolated: 1}, cpu_isolation: [domain, managed_irq], "
		   "tick_offload: isolated, iommu: passthrough, watchdogs: off}");
	const char *text = guest_boot_arguments(g, &f->arena);
	const char *const *argv;

	assert_non_null(text);
	assert_string_equal(text,
			    "console=ttyS0 quiet x=1 isolcpus=managed_irq,domain,1 nohz_full=1 "
			    "nmi_watchdog=0 nosoftlockup");
	argv = guest_argv(g, &f->o, &f->arena);
	assert_has(joined(&f->arena, argv), " -kernel /k -initrd /i -append console=ttyS0 quiet ");
	/* as one argument */
	while (*argv && !streq(*argv, "-append"))
		argv++;
	assert_string_equal(argv[1], text);
}

static void without_state_or_append_there_is_a_console(void **state)
{
	struct fixture *f = *state;

	assert_string_equal(
		guest_boot_arguments(read_guest(f, "launch: {kernel: /k, " MEMORY "}" VCPUS),
				     &f->arena),
		"console=ttyS0");
	assert_string_equal(
		guest_boot_arguments(read_guest(f, "launch: {kernel: /k, " MEMORY "}" VCPUS
						   ", state: {watchdogs: off}"),
				     &f->arena),
		"console=ttyS0 nmi_watchdog=0 nosoftlockup");
}

static void a_key_that_both_set_is_found(void **state)
{
	struct fixture *f = *state;
	const char *clash;
	struct desired_guest g = *read_guest(f, "launch: {kernel: /k, append: a=1, " MEMORY
						"}" VCPUS ", state: {watchdogs: off}");

	assert_int_equal(guest_append_clash(&g, &f->arena, &clash), 0);
	assert_null(clash);
	g.launch.append = "quiet nmi-watchdog=1";
	assert_int_equal(guest_append_clash(&g, &f->arena, &clash), 0);
	assert_string_equal(clash, "nmi_watchdog");
	g.launch.append = "a=\"b";
	assert_int_equal(guest_append_clash(&g, &f->arena, &clash), -EINVAL);
}

/* ---- knowing it again ---- */

static void a_running_command_line_is_known_again(void **state)
{
	static const char *const want[] = { "/q", "-a", "b c", "-d", NULL };

	(void)state;
	assert_true(guest_argv_same("/q -a b c -d", want));
	assert_true(guest_argv_same("/q -a b c -d ", want)); /* the last NUL of cmdline */
	assert_false(guest_argv_same("/q -a b c -d  ", want));
	assert_false(guest_argv_same("/q -a b c -d -S", want));
	assert_false(guest_argv_same("/q -a b c -dd", want));
	assert_false(guest_argv_same("/q -a b c", want));
	assert_false(guest_argv_same("/q -a b  c -d", want));
	assert_false(guest_argv_same("/q", want));
	assert_false(guest_argv_same("", want));
}

static void each_key_of_the_document_tells_two_guests_apart(void **state)
{
	static const char *const guests[] = {
		"launch: {disk: /g.raw, memory: 2G}" VCPUS,
		"launch: {disk: /g.raw, memory: 1G}" VCPUS,
		"launch: {disk: /h.raw, memory: 2G}" VCPUS,
		"launch: {disk: /g.raw, memory: 2G, page_size: 2M}" VCPUS,
		"launch: {disk: /g.raw, memory: 2G, node: 0}" VCPUS,
		"launch: {disk: /g.raw, memory: 2G, accel: kvm}" VCPUS,
		"launch: {disk: /g.raw, memory: 2G, network: none}" VCPUS,
		"launch: {disk: /g.raw, memory: 2G, network: {tap: t0}}" VCPUS,
		"launch: {disk: /g.raw, memory: 2G}, vcpus: [{cpu: 2}]",
		"launch: {disk: /g.raw, memory: 2G}, ssh: {host_port: 99}" VCPUS,
		"launch: {kernel: /k, memory: 2G}" VCPUS,
		"launch: {kernel: /k, append: x, memory: 2G}" VCPUS,
		"launch: {kernel: /k, memory: 2G}, state: {watchdogs: off}" VCPUS,
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(guests); i++) {
		const char *running = composed(f, guests[i]);

		for (size_t j = 0; j < ARRAY_SIZE(guests); j++) {
			const struct desired_guest *g = read_guest(f, guests[j]);

			if (guest_argv_same(running, guest_argv(g, &f->o, &f->arena)) != (i == j))
				fail_msg("%s and %s", guests[i], guests[j]);
		}
	}
	/* where its vCPUs run is no matter of how it was started */
	assert_true(
		guest_argv_same(composed(f, "launch: {disk: /g, memory: 1G}, vcpus: [{cpu: 2}]"),
				guest_argv(read_guest(f, "launch: {disk: /g, memory: 1G}, "
							 "vcpus: [{cpu: 3, priority: 9}]"),
					   &f->o, &f->arena)));
}

/* ---- a real QEMU ---- */

static bool bring_loopback_up(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &request) == 0;
}

/* How long QEMU may be silent where much else runs. */
#define PATIENCE_S 120

static bool prepare_machine(void)
{
	return unshare(CLONE_NEWNS | CLONE_NEWNET) == 0 && bring_loopback_up() &&
	       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("latencyd-test", "/run", "tmpfs", 0, "mode=0755") == 0 &&
	       mkdir("/run/latencyd", 0755) == 0 && mkdir(GUEST_RUN_DIRECTORY, 0755) == 0 &&
	       mkdir(GUEST_RUN_DIRECTORY "/vnf0", 0755) == 0;
}

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static pid_t run_qemu(const char *const *argv)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		int log = open(GUEST_RUN_DIRECTORY "/vnf0/qemu.log", O_WRONLY | O_CREAT, 0600);

		(void)dup2(log, STDOUT_FILENO);
		(void)dup2(log, STDERR_FILENO);
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		execv(argv[0], (char *const *)argv);
		_exit(127);
	}
	return pid;
}

/* NUL ended, the NULs within as blanks. */
static void read_whole(const char *path, char *buffer, size_t size)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buffer, size - 1);

	buffer[n > 0 ? n : 0] = '\0';
	for (ssize_t i = 0; i < n; i++)
		if (!buffer[i])
			buffer[i] = ' ';
}

/* A connection to the monitor; waits for QEMU to make it. */
static int connect_monitor(pid_t pid)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX,
				       .sun_path = GUEST_RUN_DIRECTORY "/vnf0/qmp.sock" };
	double end = now_s() + PATIENCE_S;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	while (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		if (waitpid(pid, NULL, WNOHANG) == pid || now_s() > end) {
			char words[2000];

			read_whole(GUEST_RUN_DIRECTORY "/vnf0/qemu.log", words, sizeof(words));
			(void)kill(pid, SIGKILL);
			close(fd);
			fail_msg("QEMU does not take its arguments: %s", words);
		}
		(void)poll(NULL, 0, 50);
	}
	return fd;
}

/* Reads on until @part was said. */
static void wait_for(int fd, const char *part)
{
	char text[8192];
	size_t n = 0;

	text[0] = '\0';
	while (!strstr(text, part)) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int ready = poll(&p, 1, PATIENCE_S * 1000);
		ssize_t k = ready == 1 ? read(fd, text + n, sizeof(text) - 1 - n) : -1;

		if (k <= 0)
			fail_msg("QEMU did not say %s, but: %s (%s)", part, text,
				 ready == 1 ? "it ended" : "it is silent");
		n += (size_t)k;
		text[n] = '\0';
	}
}

static void ask(int fd, const char *command, const char *answer)
{
	assert_int_equal(dprintf(fd, "{\"execute\":\"%s\"}\n", command),
			 strlen(command) + strlen("{\"execute\":\"\"}\n"));
	wait_for(fd, answer);
}

static void make_disk(void)
{
	_cleanup_close_ int fd = mkstemps(disk, strlen(".raw"));

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
}

static void check_process(pid_t pid, const char *const *want)
{
	char path[64], line[16384];
	size_t n;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	read_whole(path, line, sizeof(line));
	n = strlen(line);
	assert_true(n > 4 && streq(line + n - 4, " -S "));
	assert_false(guest_argv_same(line, want));
	line[n - 3] = '\0';
	assert_true(guest_argv_same(line, want));
	read_whole(GUEST_RUN_DIRECTORY "/vnf0/qemu.pid", line, sizeof(line));
	assert_int_equal(atoi(line), pid);
	assert_int_equal(access(GUEST_RUN_DIRECTORY "/vnf0/agent.sock", F_OK), 0);
	assert_int_equal(access(GUEST_RUN_DIRECTORY "/vnf0/console.log", F_OK), 0);
}

static void a_real_qemu_takes_it(void **state)
{
	struct fixture *f = *state;
	const char **argv = NULL;
	const char *const *want;
	size_t n = 0;
	pid_t pid;
	int fd;

	if (geteuid() != 0 || access(GUEST_QEMU, X_OK) < 0) {
		print_message("# skipped: needs root and " GUEST_QEMU "\n");
		skip();
	}
	if (!prepare_machine()) {
		print_message("# skipped: no namespaces and mounts of its own here: %m\n");
		skip();
	}
	make_disk();
	want = guest_argv(
		read_guest(f, arena_printf(&f->arena,
					   "launch: {disk: %s, memory: 64M, page_size: "
					   "none, accel: tcg}" VCPUS ", ssh: {host_port: 5555}",
					   disk)),
		&f->o, &f->arena);
	assert_non_null(want);
	for (size_t i = 0; want[i]; i++)
		*(const char **)arena_grow(&f->arena, &argv, &n, sizeof(*argv)) = want[i];
	*(const char **)arena_grow(&f->arena, &argv, &n, sizeof(*argv)) = "-S";
	*(const char **)arena_grow(&f->arena, &argv, &n, sizeof(*argv)) = NULL;
	pid = run_qemu(argv);
	fd = connect_monitor(pid);
	wait_for(fd, "\"QMP\"");
	ask(fd, "qmp_capabilities", "\"return\"");
	ask(fd, "query-status", "\"prelaunch\"");
	ask(fd, "query-memdev", "\"size\": 67108864");
	check_process(pid, want);
	ask(fd, "quit", "\"return\"");
	close(fd);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_machine_has_only_what_is_said),
		T(the_accelerator_is_what_is_asked_and_there),
		T(memory_is_backed_as_asked),
		T(a_disks_format_is_said_not_probed),
		T(qemu_listens_where_the_sources_reach_it),
		T(the_channel_is_vsock_where_there_is_one),
		T(a_unit_and_paths_have_the_guests_name),
		T(boot_arguments_come_from_the_state),
		T(without_state_or_append_there_is_a_console),
		T(a_key_that_both_set_is_found),
		T(a_running_command_line_is_known_again),
		T(each_key_of_the_document_tells_two_guests_apart),
		T(a_real_qemu_takes_it),
	};

	return cmocka_run_group_tests_name("guest_argv", tests, NULL, NULL);
}

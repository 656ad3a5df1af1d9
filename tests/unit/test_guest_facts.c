/*
 * The parts of a look at a guest: its process, threads and memory out of texts as Linux 6.1 writes
 * them, and what a monitor says that is good or means no good.
 */
#include "guest/observe_guests.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "guest/observe_parts.h"
#include "guest/process.h"
#include "qmp_server.h"
#include "state/guest_argv.h"

/* ---- a machine in a folder ---- */

static struct {
	char folder[64];
	struct sysroot root;
	struct arena a;
} fake;

static int setup(void **state)
{
	(void)state;
	strcpy(fake.folder, "/tmp/latencyd-guests.XXXXXX");
	return mkdtemp(fake.folder) ? sysroot_open(fake.folder, &fake.root, NULL) : -1;
}

static int teardown(void **state)
{
	char command[128];

	(void)state;
	sysroot_close(&fake.root);
	arena_free(&fake.a);
	snprintf(command, sizeof(command), "rm -rf %s", fake.folder);
	return system(command);
}

static void make_folders(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		(void)mkdir(path, 0755);
		*slash = '/';
	}
}

static void put_bytes(const char *path, const char *data, size_t size)
{
	char full[256];
	_cleanup_close_ int fd = -1;

	snprintf(full, sizeof(full), "%s%s", fake.folder, path);
	make_folders(full);
	fd = open(full, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, size), (ssize_t)size);
}

static void put(const char *path, const char *text)
{
	put_bytes(path, text, strlen(text));
}

/* A process; @cmdline's words are parted by '|'. @exe NULL: its link cannot be read. */
static void put_process(unsigned pid, const char *exe, const char *cmdline)
{
	char path[64], full[160], *copy = strdup(cmdline);
	size_t n = strlen(copy) + 1;

	for (char *c = copy; *c; c++)
		if (*c == '|')
			*c = '\0';
	snprintf(path, sizeof(path), "/proc/%u/cmdline", pid);
	put_bytes(path, copy, *cmdline ? n : 0);
	free(copy);
	snprintf(full, sizeof(full), "%s/proc/%u/exe", fake.folder, pid);
	if (exe)
		assert_int_equal(symlink(exe, full), 0);
}

static void put_task(const char *folder, unsigned tid, const char *comm, unsigned flags, int policy,
		     int priority, const char *cpus)
{
	char path[96], text[512];

	snprintf(path, sizeof(path), "%s/stat", folder);
	snprintf(text, sizeof(text),
		 "%u (%s) S 1 1 1 0 -1 %u 0 0 0 0 0 0 0 0 20 0 4 0 500 0 0 18446744073709551615 1 1"
		 " 0 0 0 0 0 4096 0 0 0 0 -1 2 %d %d 0 0 0 0 0 0 0 0 0 0 0\n",
		 tid, comm, flags, priority, policy);
	put(path, text);
	snprintf(path, sizeof(path), "%s/status", folder);
	snprintf(text, sizeof(text), "Name:\t%s\nCpus_allowed:\tf\nCpus_allowed_list:\t%s\n", comm,
		 cpus);
	put(path, text);
	snprintf(path, sizeof(path), "%s/comm", folder);
	snprintf(text, sizeof(text), "%s\n", comm);
	put(path, text);
}

static void put_qemu_task(unsigned tid, const char *comm, int policy, int priority,
			  const char *cpus)
{
	char folder[64];

	snprintf(folder, sizeof(folder), "/proc/100/task/%u", tid);
	put_task(folder, tid, comm, 0x400100, policy, priority, cpus);
}

/* ---- finding the process ---- */

static struct fact found(const struct desired_guest *g)
{
	struct fact f = { 0 };

	assert_int_equal(guest_find_process(&fake.root, g, &fake.a, &f), 0);
	return f;
}

static const struct desired_guest adopted = { .name = "vm1",
					      .origin = GUEST_ADOPT,
					      .adopt = { .domain = "vm1" } };
static const struct desired_guest adopted_pid = { .name = "vm1",
						  .origin = GUEST_ADOPT,
						  .adopt = { .pid_file = "/srv/vm1.pid" } };
static const struct desired_guest launched = { .name = "vm1", .origin = GUEST_LAUNCH };

static void test_the_ways_to_name_a_guest(void **state)
{
	static const struct {
		const char *exe, *cmdline;
		bool is;
	} cases[] = {
		{ NULL, "/usr/bin/qemu-system-x86_64|-name|vm1", true },
		{ NULL, "qemu-kvm|--name|guest=vm1,debug-threads=on|-S", true },
		{ "/usr/bin/qemu-system-x86_64", "x|-name|debug-threads=on,guest=vm1", true },
		{ "/usr/bin/qemu-system-x86_64 (deleted)", "x|-name|vm1,process=y", true },
		{ "/usr/bin/kvm", "kvm|-name|vm1", true },
		{ NULL, "qemu-system-x86_64|-name|vm10", false },
		{ NULL, "qemu-system-x86_64|-name|guest=vm10,x=vm1", false },
		{ NULL, "qemu-system-x86_64|-name|debug-threads=on,vm1", false },
		{ NULL, "qemu-system-x86_64|vm1|-name", false },
		{ NULL, "vim|-name|vm1", false },
		/* it calls itself so */
		{ "/usr/bin/sleep", "qemu-system-x86_64|-name|vm1", false },
		{ NULL, "", false }, /* a kernel thread, or waiting to be reaped */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fact f;

		put_process(100 + (unsigned)i, cases[i].exe, cases[i].cmdline);
		f = found(&adopted);
		if (f.state != (cases[i].is ? FACT_KNOWN : FACT_ABSENT))
			fail_msg("%s: %s", cases[i].cmdline, fact_state_name(f.state));
		teardown(NULL);
		setup(NULL);
	}
}

static void test_two_of_a_name_are_nobody(void **state)
{
	struct fact f;

	(void)state;
	put_process(7, NULL, "qemu-system-x86_64|-name|vm1");
	put_process(8, NULL, "qemu-system-x86_64|-name|vm1");
	f = found(&adopted);
	assert_int_equal(f.state, FACT_UNREADABLE);
	assert_int_equal(f.error, EEXIST);
}

static void test_pid_files(void **state)
{
	struct fact f;

	(void)state;
	assert_int_equal(found(&launched).state, FACT_ABSENT);
	put(GUEST_RUN_DIRECTORY "/vm1/qemu.pid", "100\n");
	assert_int_equal(found(&launched).state, FACT_ABSENT); /* it has ended */
	put_process(100, NULL, "qemu-system-x86_64|-name|guest=other");
	assert_int_equal(found(&launched).state, FACT_ABSENT); /* its pid was used again */
	put_process(100, NULL, "qemu-system-x86_64|-name|guest=vm1,debug-threads=on");
	f = found(&launched);
	assert_int_equal(f.state, FACT_KNOWN);
	assert_string_equal(f.text, "100");
	put("/srv/vm1.pid", "100");
	assert_string_equal(found(&adopted_pid).text, "100");
	put_process(100, NULL, "sleep|100");
	assert_int_equal(found(&adopted_pid).state, FACT_ABSENT);
	put("/srv/vm1.pid", "-5");
	assert_int_equal(found(&adopted_pid).state, FACT_UNREADABLE);
	put("/srv/vm1.pid", "some");
	assert_int_equal(found(&adopted_pid).state, FACT_UNREADABLE);
}

/* ---- threads ---- */

static struct observed_guest look_threads(const struct guest_monitor *m)
{
	struct observed_guest seen = { .name = "vm1", .pid = 100 };
	struct guest_kthread *kthreads = NULL;
	size_t n = 0;

	assert_int_equal(guest_find_kthreads(&fake.root, &fake.a, &kthreads, &n), 0);
	assert_int_equal(guest_look_threads(&fake.root, m, kthreads, n, &fake.a, &seen), 0);
	return seen;
}

static const struct observed_guest_thread *thread(const struct observed_guest *seen, int tid)
{
	for (size_t i = 0; i < seen->n_threads; i++)
		if (seen->threads[i].thread.pid == tid)
			return &seen->threads[i];
	return NULL;
}

static const struct guest_monitor no_monitor = { .result = -ENOTCONN };

static void put_vm1(void)
{
	put_process(100, NULL, "qemu-system-x86_64|-name|guest=vm1");
	put_qemu_task(100, "qemu-system-x86", 0, 0, "0-1");
	put_qemu_task(101, "call_rcu", 0, 0, "0-3");
	put_qemu_task(104, "CPU 0/KVM", 1, 3, "2");
	put_qemu_task(105, "CPU 1/KVM", 0, 0, "0-3");
}

static void expect_no_vcpu(const struct observed_guest *seen, int error)
{
	assert_int_equal(seen->vcpus_by.state, FACT_UNREADABLE);
	assert_int_equal(seen->vcpus_by.error, error);
	for (size_t i = 0; i < seen->n_threads; i++)
		assert_int_equal(seen->threads[i].vcpu, -1);
}

static void test_vcpus_by_thread_names(void **state)
{
	struct observed_guest seen;
	const struct observed_guest_thread *t;

	(void)state;
	put_vm1();
	seen = look_threads(&no_monitor);
	assert_string_equal(seen.vcpus_by.text, "thread names");
	assert_int_equal(seen.n_threads, 4);
	t = thread(&seen, 104);
	assert_int_equal(t->vcpu, 0);
	assert_int_equal(t->thread.policy, 1);
	assert_int_equal(t->thread.priority, 3);
	assert_string_equal(t->thread.allowed.text, "2");
	assert_string_equal(t->thread.allowed.path, "/proc/100/task/104/status");
	assert_int_equal(thread(&seen, 105)->vcpu, 1);
	assert_int_equal(thread(&seen, 100)->vcpu, -1);
}

static void test_names_that_do_not_tell(void **state)
{
	struct observed_guest seen;

	(void)state;
	put_vm1();
	put_qemu_task(106, "CPU 1/KVM", 0, 0, "0-3");
	seen = look_threads(&no_monitor);
	expect_no_vcpu(&seen, EBADMSG);
	put_qemu_task(106, "ALL CPUs/TCG", 0, 0, "0-3");
	seen = look_threads(&no_monitor);
	expect_no_vcpu(&seen, EOPNOTSUPP);
	for (unsigned tid = 104; tid <= 106; tid++)
		put_qemu_task(tid, "qemu-system-x86", 0, 0, "0-3");
	seen = look_threads(&no_monitor);
	expect_no_vcpu(&seen, ENODATA);
}

static void test_the_monitors_word_is_checked(void **state)
{
	struct guest_monitor_vcpu vcpus[] = { { 0, 105 }, { 1, 104 } };
	const struct guest_monitor m = { .vcpus = vcpus, .n_vcpus = 2 };
	struct observed_guest seen;

	(void)state;
	put_vm1();
	seen = look_threads(&m);
	assert_string_equal(seen.vcpus_by.text, "qmp");
	assert_int_equal(thread(&seen, 105)->vcpu, 0); /* whatever it is called */
	assert_int_equal(thread(&seen, 104)->vcpu, 1);
	vcpus[1].tid = 105; /* one thread for two: single-threaded TCG */
	seen = look_threads(&m);
	expect_no_vcpu(&seen, EOPNOTSUPP);
	vcpus[1].tid = 1; /* not a thread of this process */
	seen = look_threads(&m);
	expect_no_vcpu(&seen, EBADMSG);
	vcpus[1] = (struct guest_monitor_vcpu){ 0, 104 };
	seen = look_threads(&m);
	expect_no_vcpu(&seen, EBADMSG);
}

static void test_kernel_threads_that_work_for_it(void **state)
{
	struct observed_guest seen;

	(void)state;
	put_vm1();
	put_task("/proc/200", 200, "vhost-100", 0x208040, 0, 0, "0-3");
	put_task("/proc/201", 201, "kvm-pit/100", 0x208040, 0, 0, "0-3");
	put_task("/proc/202", 202, "vhost-1000", 0x208040, 0, 0, "0-3");
	put_task("/proc/203", 203, "vhost-100", 0x400100, 0, 0, "0-3"); /* calls itself so */
	seen = look_threads(&no_monitor);
	assert_int_equal(seen.n_threads, 6);
	assert_int_equal(thread(&seen, 200)->vcpu, -1);
	assert_string_equal(thread(&seen, 200)->thread.allowed.path, "/proc/200/status");
	assert_non_null(thread(&seen, 201));
	assert_null(thread(&seen, 202));
	assert_null(thread(&seen, 203));
}

static void test_thread_that_cannot_be_read_is_not_passed_over(void **state)
{
	struct observed_guest seen;

	(void)state;
	put_vm1();
	put("/proc/100/task/105/stat", "105 (CPU 1/KVM\n");
	seen = look_threads(&no_monitor);
	expect_no_vcpu(&seen, EBADMSG);
}

/* ---- memory ---- */

#define STATUS(kb) "Name:\tqemu\nVmSize:\t 99 kB\nVmLck:\t " #kb " kB\nVmPin:\t 0 kB\n"
/* Executable: TCG's translations, larger than many a guest. */
#define MAPS_TCG     "7f0000000000-7f0040000000 rwxp 00000000 00:00 0 \n"
#define NUMA_TCG     "7f0000000000 default anon=262144 dirty=262144 N0=262144 kernelpagesize_kB=4\n"
#define MAPS_PROGRAM "55d000000000-55d000900000 r-xp 00000000 fe:01 77  /usr/bin/qemu system\n"
#define NUMA_PROGRAM \
	"55d000000000 default file=/usr/bin/qemu\\040system mapped=9 N0=9 kernelpagesize_kB=4\n"
#define MAPS_HEAP   "55d100000000-55d1f0000000 rw-p 00000000 00:00 0    [heap]\n"
#define NUMA_HEAP   "55d100000000 default heap anon=900 dirty=900 N0=900 kernelpagesize_kB=4\n"
#define MAPS_COMMON MAPS_PROGRAM MAPS_HEAP MAPS_TCG
#define NUMA_COMMON NUMA_PROGRAM NUMA_HEAP NUMA_TCG

struct memory_case {
	const char *what, *maps, *numa_maps, *status;
	uint64_t memory_kib;
	int result;
	uint64_t page_size_kib, total_kib, locked_kib;
	const char *nodes;
};

static const struct memory_case memory_cases[] = {
	{ .what = "1 GiB pages, bound",
	  .maps = MAPS_COMMON "7f1000000000-7f1080000000 rw-s 00000000 00:0f 5  /dev/hugepages/q\n",
	  .numa_maps = NUMA_COMMON "7f1000000000 bind:1 file=/dev/hugepages/q huge dirty=2 N1=2"
				   " kernelpagesize_kB=1048576\n",
	  .status = STATUS(0),
	  .memory_kib = 2097152,
	  .page_size_kib = 1048576,
	  .total_kib = 2097152,
	  .locked_kib = 2097152,
	  .nodes = "1" },
	{ .what = "2 MiB pages of a memfd on two nodes, size unknown",
	  .maps = MAPS_COMMON
	  "7f1000000000-7f1060000000 rw-s 00000000 00:0f 5   /memfd:memory-backend (deleted)\n",
	  .numa_maps = NUMA_COMMON
	  "7f1000000000 prefer (many):0-1 file=/memfd:memory-backend\\040(deleted) huge dirty=700"
	  " N0=512 N1=188 kernelpagesize_kB=2048\n",
	  .status = STATUS(0),
	  .page_size_kib = 2048,
	  .total_kib = 1433600,
	  .locked_kib = 1433600,
	  .nodes = "0-1" },
	{ .what = "ordinary pages, locked, smaller than the translations",
	  .maps = MAPS_COMMON "7f1000000000-7f1010000000 rw-p 00000000 00:00 0 \n",
	  .numa_maps = NUMA_COMMON
	  "7f1000000000 bind:0 anon=65536 dirty=65536 active=0 N0=65536 kernelpagesize_kB=4\n",
	  .status = STATUS(262144),
	  .memory_kib = 262144,
	  .total_kib = 262144,
	  .locked_kib = 262144,
	  .nodes = "0" },
	{ .what = "half of huge and half of ordinary pages counts as ordinary",
	  .maps = MAPS_COMMON "7f1000000000-7f1010000000 rw-s 00000000 00:0f 5  /dev/hugepages/q\n"
			      "7f2000000000-7f2020000000 rw-p 00000000 00:00 0 \n",
	  .numa_maps = NUMA_COMMON
	  "7f1000000000 bind:0 file=/dev/hugepages/q huge dirty=128 N0=128 kernelpagesize_kB=2048\n"
	  "7f2000000000 default anon=131072 dirty=131072 N1=131072 kernelpagesize_kB=4\n",
	  .status = STATUS(0),
	  .memory_kib = 786432,
	  .total_kib = 786432,
	  .locked_kib = 262144,
	  .nodes = "0-1" },
	{ .what = "nothing is large enough",
	  .maps = MAPS_COMMON "7f1000000000-7f1001000000 rw-p 00000000 00:00 0 \n",
	  .numa_maps = NUMA_COMMON "7f1000000000 default anon=9 N0=9 kernelpagesize_kB=4\n",
	  .status = STATUS(0),
	  .memory_kib = 262144,
	  .result = -ENODATA },
	{ .what = "mapped, but no page is there",
	  .maps = MAPS_COMMON "7f1000000000-7f1080000000 rw-s 00000000 00:0f 5  /dev/hugepages/q\n",
	  .numa_maps = NUMA_COMMON "7f1000000000 bind:1 file=/dev/hugepages/q huge\n",
	  .status = STATUS(0),
	  .memory_kib = 2097152,
	  .nodes = "" },
	{ .what = "a mapping without a page does not take the next line's",
	  .maps = MAPS_COMMON "7f0100000000-7f0108000000 rw-p 00000000 00:00 0 \n"
			      "7f1000000000-7f1010000000 rw-p 00000000 00:00 0 \n",
	  .numa_maps = NUMA_COMMON "7f0100000000 default\n"
				   "7f1000000000 default anon=5 dirty=5 N0=5 kernelpagesize_kB=4\n",
	  .status = STATUS(0),
	  .memory_kib = 262144,
	  .total_kib = 20,
	  .nodes = "0" },
	{ .what = "no files at all, as for another user's process",
	  .maps = "",
	  .numa_maps = "",
	  .status = STATUS(0),
	  .result = -ENODATA },
	{ .what = "maps is garbage",
	  .maps = "zzz\n",
	  .numa_maps = NUMA_COMMON,
	  .status = STATUS(0),
	  .result = -EBADMSG },
	{ .what = "pages of an unknown size",
	  .maps = MAPS_COMMON "7f1000000000-7f1080000000 rw-s 00000000 00:0f 5  /dev/hugepages/q\n",
	  .numa_maps = "7f1000000000 bind:1 file=/dev/hugepages/q huge dirty=2 N1=2\n",
	  .status = STATUS(0),
	  .memory_kib = 2097152,
	  .result = -EBADMSG },
	{ .what = "a node out of reach",
	  .maps = MAPS_COMMON "7f1000000000-7f1080000000 rw-s 00000000 00:0f 5  /dev/hugepages/q\n",
	  .numa_maps = "7f1000000000 bind:1 huge N99999999=2 kernelpagesize_kB=2048\n",
	  .status = STATUS(0),
	  .memory_kib = 2097152,
	  .result = -EBADMSG },
	{ .what = "nobody says what is locked",
	  .maps = MAPS_COMMON "7f1000000000-7f1010000000 rw-p 00000000 00:00 0 \n",
	  .numa_maps = "7f1000000000 bind:0 anon=65536 N0=65536 kernelpagesize_kB=4\n",
	  .status = "Name:\tqemu\n",
	  .memory_kib = 262144,
	  .result = -EBADMSG },
};

static void test_memory(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(memory_cases); i++) {
		const struct memory_case *c = &memory_cases[i];
		struct observed_guest_memory m = { 0 };
		_cleanup_free_ char *nodes = NULL;
		int r;

		r = guest_memory_parse(c->maps, c->numa_maps, c->status, c->memory_kib, &m);
		nodes = cpuset_format_list(&m.nodes);
		if (r != c->result || m.page_size_kib != c->page_size_kib ||
		    m.total_kib != c->total_kib || m.locked_kib != c->locked_kib ||
		    !streq(nodes, c->nodes ? c->nodes : ""))
			fail_msg("%s: %d, pages of %" PRIu64 ", %" PRIu64 " KiB, locked %" PRIu64
				 ", nodes %s",
				 c->what, r, m.page_size_kib, m.total_kib, m.locked_kib, nodes);
		cpuset_done(&m.nodes);
	}
}

/* ---- the monitor ---- */

static const char *cpus, *deadline_feature;

static void speak_qemu(struct qmp_server *s)
{
	char line[512];
	long id;

	qmp_server_greet(s);
	while ((id = qmp_server_command(s, line, sizeof(line))) > 0) {
		const char *answer = "{}";

		if (strstr(line, "query-cpus-fast"))
			answer = cpus;
		else if (strstr(line, "tsc-deadline"))
			answer = deadline_feature;
		else if (strstr(line, "invtsc"))
			answer = "true";
		else if (strstr(line, "query-memory-size-summary"))
			answer = "{\"base-memory\": 268435456}";
		qmp_server_print(s, "{\"return\": %s, \"id\": %ld}\n", answer, id);
	}
}

static struct guest_monitor ask(struct observed_guest *seen)
{
	_cleanup_qmp_server_ struct qmp_server *s = qmp_server_start(speak_qemu);
	struct guest_monitor m = { 0 };

	assert_int_equal(guest_ask_monitor(qmp_server_path(s), &fake.a, seen, &m), 0);
	return m;
}

static void test_what_the_monitor_says(void **state)
{
	static const char two[] = "[{\"cpu-index\": 1, \"thread-id\": 11, \"qom-path\": \"/a\"},"
				  " {\"cpu-index\": 0, \"thread-id\": 10, \"qom-path\": \"/b\"}]";
	struct observed_guest seen = { 0 };
	struct guest_monitor m;

	(void)state;
	cpus = two;
	deadline_feature = "true";
	m = ask(&seen);
	assert_int_equal(m.result, 0);
	assert_int_equal(m.n_vcpus, 2);
	assert_int_equal(m.vcpus[0].vcpu, 1);
	assert_int_equal(m.vcpus[0].tid, 11);
	assert_int_equal(m.memory_kib, 262144);
	assert_string_equal(seen.cpu_model.text, "tsc-deadline invtsc");
	deadline_feature = "false";
	(void)ask(&seen);
	assert_string_equal(seen.cpu_model.text, "invtsc");
	deadline_feature = "\"yes\"";
	(void)ask(&seen);
	assert_int_equal(seen.cpu_model.state, FACT_UNREADABLE);
}

static void test_monitor_that_talks_nonsense(void **state)
{
	static const char *const cases[] = {
		"[]",
		"{}",
		"[1]",
		"[{\"cpu-index\": 0}]",
		"[{\"cpu-index\": -1, \"thread-id\": 5}]",
		"[{\"cpu-index\": 0, \"thread-id\": 99999999999}]",
		"[{\"cpu-index\": 100000, \"thread-id\": 5}]",
	};

	(void)state;
	deadline_feature = "true";
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct observed_guest seen = { 0 };
		struct guest_monitor m;

		cpus = cases[i];
		m = ask(&seen);
		assert_int_equal(m.result, -EBADMSG);
		assert_int_equal(m.n_vcpus, 0);
		assert_int_equal(seen.cpu_model.state, FACT_UNREADABLE);
	}
}

static void test_no_monitor_is_never_absent_features(void **state)
{
	struct observed_guest seen = { 0 };
	struct guest_monitor m = { 0 };

	(void)state;
	assert_int_equal(guest_ask_monitor(NULL, &fake.a, &seen, &m), 0);
	assert_int_equal(m.result, -ENOTCONN);
	assert_int_equal(seen.cpu_model.state, FACT_UNREADABLE);
	assert_int_equal(guest_ask_monitor("/nonexistent/q", &fake.a, &seen, &m), 0);
	assert_int_equal(m.result, -ENOENT);
	assert_int_equal(seen.cpu_model.state, FACT_UNREADABLE);
}

/* ---- KVM or not ---- */

static void test_accel_is_what_is_open(void **state)
{
	struct observed_guest seen = { .pid = 100 };
	char link[128];

	(void)state;
	assert_int_equal(guest_look_accel(&fake.root, &fake.a, &seen), 0);
	assert_int_equal(seen.accel.state, FACT_ABSENT); /* no such process: not "tcg" */
	put("/proc/100/fd/3", "");
	assert_int_equal(guest_look_accel(&fake.root, &fake.a, &seen), 0);
	assert_int_equal(seen.accel.state, FACT_UNREADABLE); /* not a link: never in /proc */
	snprintf(link, sizeof(link), "%s/proc/100/fd/3", fake.folder);
	unlink(link);
	assert_int_equal(symlink("/dev/kvm", link), 0); /* asked, but no machine made */
	assert_int_equal(guest_look_accel(&fake.root, &fake.a, &seen), 0);
	assert_string_equal(seen.accel.text, "tcg");
	snprintf(link, sizeof(link), "%s/proc/100/fd/12", fake.folder);
	assert_int_equal(symlink("anon_inode:kvm-vm", link), 0);
	assert_int_equal(guest_look_accel(&fake.root, &fake.a, &seen), 0);
	assert_string_equal(seen.accel.text, "kvm");
}

static void test_fake_root_has_names_and_no_facts(void **state)
{
	struct desired_guest g = { .name = "t" };
	const struct desired d = { .guests = &g, .n_guests = 1 };
	struct observed o = { 0 };

	(void)state;
	assert_int_equal(observe_guests(&fake.root, &d, NULL, &o), 0);
	assert_string_equal(o.guests[0].name, "t");
	assert_int_equal(o.guests[0].process.state, FACT_UNPROBED);
	assert_int_equal(o.forwards.state, FACT_UNPROBED);
	assert_int_equal(o.qemu.state, FACT_UNPROBED);
	o.n_guests = 0;
	observed_done(&o);
}

#define FAKE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAKE(test_the_ways_to_name_a_guest),
		FAKE(test_two_of_a_name_are_nobody),
		FAKE(test_pid_files),
		FAKE(test_vcpus_by_thread_names),
		FAKE(test_names_that_do_not_tell),
		FAKE(test_the_monitors_word_is_checked),
		FAKE(test_kernel_threads_that_work_for_it),
		FAKE(test_thread_that_cannot_be_read_is_not_passed_over),
		FAKE(test_memory),
		FAKE(test_what_the_monitor_says),
		FAKE(test_monitor_that_talks_nonsense),
		FAKE(test_no_monitor_is_never_absent_features),
		FAKE(test_accel_is_what_is_open),
		FAKE(test_fake_root_has_names_and_no_facts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

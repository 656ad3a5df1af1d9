/* A load beside a measurement: real stress-ng on one CPU, and everything that makes it count for
 * nothing. */
#include "measure_tmp.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <time.h>

#include "measure/load.h"
#include "measure/load_cgroup.h"
#include "measure/tool.h"

struct bench {
	char *folder;
	struct cpuset cpus;
	struct load *load;
	json_t *evidence;
	char *trouble;
};

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	cpu_set_t set;
	int cpu = 0;

	assert_non_null(b);
	b->folder = tmp_make();
	assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
	while (!CPU_ISSET(cpu, &set))
		cpu++;
	assert_int_equal(cpuset_add(&b->cpus, (unsigned)cpu), 0);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	json_decref(b->evidence);
	free(b->trouble);
	cpuset_done(&b->cpus);
	tmp_remove(b->folder);
	free(b);
	return 0;
}

static void run(struct bench *b, const char *kind, const char *tool, double seconds)
{
	const struct timespec part = { .tv_nsec = 100 * 1000 * 1000 };
	const struct load_request rq = {
		.kind = kind, .cpus = &b->cpus, .tool = tool, .workdir = b->folder, .duration_s = 5
	};

	assert_int_equal(load_start(&rq, &b->load, NULL), 0);
	for (double t = 0; t < seconds; t += 0.1) {
		nanosleep(&part, NULL);
		load_check(b->load);
	}
	assert_int_equal(load_end(b->load, &b->evidence, &b->trouble), 0);
}

static char *script(struct bench *b, const char *text)
{
	char *path;

	tmp_put(b->folder, "/stress", text);
	assert_true(asprintf(&path, "%s/stress", b->folder) > 0);
	assert_int_equal(chmod(path, 0755), 0);
	return path;
}

static void need_stress(void)
{
	_cleanup_free_ char *tool = NULL;

	if (tool_find("stress-ng", &tool) < 0) {
		print_message("SKIP: stress-ng is not installed\n");
		skip();
	}
}

static void idle_is_no_load(void **state)
{
	struct bench *b = *state;

	run(b, "idle", NULL, 0);
	assert_null(b->evidence);
	assert_null(b->trouble);
}

static void unknown_load_is_refused(void **state)
{
	struct bench *b = *state;
	_cleanup_error_ struct error e = { 0 };
	const struct load_request rq = {
		.kind = "netstress", .cpus = &b->cpus, .workdir = b->folder, .duration_s = 1
	};

	assert_int_equal(load_start(&rq, &b->load, &e), -EINVAL);
	assert_non_null(strstr(e.what, "netstress"));
}

static void cpustress_says_what_cpu_time_it_used(void **state)
{
	struct bench *b = *state;

	need_stress();
	run(b, "cpustress", NULL, 2);
	assert_non_null(b->evidence);
	/* a busy machine may give it less than half: then it has to say so */
	if (b->trouble)
		assert_non_null(strstr(b->trouble, "CPU time"));
	assert_true(json_integer_value(json_object_get(b->evidence, "cpu_time_us")) > 0);
	assert_true(json_integer_value(json_object_get(b->evidence, "cpu_time_asked_us")) >
		    1000000);
}

static void iostress_leaves_nothing_behind(void **state)
{
	_cleanup_free_ char *left = NULL;
	struct bench *b = *state;

	need_stress();
	run(b, "iostress", NULL, 1);
	assert_true(asprintf(&left, "%s/load", b->folder) > 0);
	assert_int_equal(access(left, F_OK), -1);
}

static void load_that_dies_is_told(void **state)
{
	struct bench *b = *state;
	_cleanup_free_ char *tool = script(b, "#!/bin/sh\nexit 0\n");

	run(b, "cpustress", tool, 0.3);
	assert_non_null(b->trouble);
	assert_non_null(strstr(b->trouble, "died after 0 s"));
}

static void load_that_only_sleeps_is_none(void **state)
{
	struct bench *b = *state;
	_cleanup_free_ char *tool = script(b, "#!/bin/sh\nexec sleep 20\n");

	run(b, "cpustress", tool, 0.5);
	assert_non_null(b->trouble);
	assert_non_null(strstr(b->trouble, "of CPU time, at least"));
}

static void missing_program_names_its_place(void **state)
{
	struct bench *b = *state;

	run(b, "cpustress", "/nonexistent/stress-ng", 0);
	assert_non_null(b->trouble);
	assert_non_null(strstr(b->trouble, "could not be started"));
}

static void without_housekeeping_cpu_there_is_no_load(void **state)
{
	struct bench *b = *state;

	cpuset_done(&b->cpus);
	b->cpus = (struct cpuset){ 0 };
	run(b, "memorystress", NULL, 0);
	assert_non_null(strstr(b->trouble, "no housekeeping CPU"));
}

/* The second CPU that we may use. */
static int second_cpu(const struct bench *b)
{
	cpu_set_t set;

	assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &set) && !cpuset_has(&b->cpus, (unsigned)cpu))
			return cpu;
	print_message("SKIP: needs two CPUs\n");
	skip();
	return -1;
}

/* A process that sleeps, bound to @cpu. */
static pid_t sleeper(int cpu)
{
	cpu_set_t set;
	pid_t pid = fork();

	if (pid == 0) {
		pause();
		_exit(0);
	}
	assert_true(pid > 0);
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	assert_int_equal(sched_setaffinity(pid, sizeof(set), &set), 0);
	return pid;
}

static void end_sleeper(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void put_threads(struct bench *b, pid_t first, pid_t second)
{
	_cleanup_free_ char *text = NULL;

	assert_true(asprintf(&text, "%d\n%d\n", (int)first, (int)second) > 0);
	tmp_put(b->folder, "/sys/fs/cgroup/load/cgroup.threads", text);
}

static void one_stray_thread_of_the_group_is_found(void **state)
{
	const struct load_cgroup c = { .path = (char *)"/sys/fs/cgroup/load" }, none = { 0 };
	_cleanup_sysroot_ struct sysroot root = { .fd = -1 };
	struct bench *b = *state;
	int other = second_cpu(b);
	pid_t good = sleeper((int)cpuset_last(&b->cpus)), bad = sleeper(other), tid = 0;

	assert_int_equal(sysroot_open(b->folder, &root, NULL), 0);
	assert_int_equal(load_cgroup_stray(&root, &none, &b->cpus, &tid), 0);
	assert_int_equal(load_cgroup_stray(&root, &c, &b->cpus, &tid), -ENOENT);
	put_threads(b, good, good);
	assert_int_equal(load_cgroup_stray(&root, &c, &b->cpus, &tid), 0);
	put_threads(b, good, bad);
	assert_int_equal(load_cgroup_stray(&root, &c, &b->cpus, &tid), 1);
	assert_int_equal(tid, bad);
	end_sleeper(bad); /* it runs nowhere any more */
	assert_int_equal(load_cgroup_stray(&root, &c, &b->cpus, &tid), 0);
	tmp_put(b->folder, "/sys/fs/cgroup/load/cgroup.threads", "?\n");
	assert_int_equal(load_cgroup_stray(&root, &c, &b->cpus, &tid), -EBADMSG);
	end_sleeper(good);
}

static bool has_cgroup(void)
{
	_cleanup_sysroot_ struct sysroot root = { .fd = -1 };
	struct load_cgroup c;
	bool made;

	assert_int_equal(sysroot_open(NULL, &root, NULL), 0);
	load_cgroup_make(&root, &c);
	made = c.path;
	load_cgroup_remove(&c);
	return made;
}

/* The leader is where it belongs; what it started is not. */
static void worker_on_another_cpu_is_told(void **state)
{
	struct bench *b = *state;
	_cleanup_free_ char *text = NULL, *tool = NULL;
	int other = second_cpu(b);

	if (!has_cgroup()) {
		print_message("SKIP: no cgroup of the second version can be made\n");
		skip();
	}
	assert_true(asprintf(&text,
			     "#!/bin/sh\ntaskset -pc %ld $$ >/dev/null\n"
			     "taskset -c %d sleep 20 &\nwait\n",
			     cpuset_last(&b->cpus), other) > 0);
	tool = script(b, text);
	run(b, "cpustress", tool, 1.5);
	assert_non_null(b->trouble);
	assert_non_null(strstr(b->trouble, "is on other CPUs than it was given"));
}

/* This machine may have the older hierarchies only, and its own processes in them. */
static void have_a_hierarchy_of_our_own(void)
{
	if (unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0)
		(void)mount("none", "/sys/fs/cgroup", "cgroup2", 0, NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(idle_is_no_load),
		TEST(unknown_load_is_refused),
		TEST(cpustress_says_what_cpu_time_it_used),
		TEST(iostress_leaves_nothing_behind),
		TEST(load_that_dies_is_told),
		TEST(load_that_only_sleeps_is_none),
		TEST(missing_program_names_its_place),
		TEST(without_housekeeping_cpu_there_is_no_load),
		TEST(one_stray_thread_of_the_group_is_found),
		TEST(worker_on_another_cpu_is_told),
	};

	have_a_hierarchy_of_our_own();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

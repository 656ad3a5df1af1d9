/*
 * The model: one stress-ng, the leader of its process group, bound to the CPUs it may use; its
 * workers inherit that. It is looked at each second (does it live, is it still where it was put)
 * and its CPU time is counted when it ended: of a cgroup of its own where there is one, else of the
 * processes it waited for. A load of the CPUs has to have had half of the time it asked for; the
 * others wait by their nature, but a load that never ran is none.
 */
#include "measure/load.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <time.h>

#include "measure/json_text.h"
#include "measure/load_cgroup.h"
#include "measure/tool.h"

#define PACKAGE_OF_TOOL "stress-ng"
#define MEMORY_MAX	(UINT64_C(1) << 30)
#define END_GRACE_MS	5000
#define SPARE_S		3600 /* it is ended by us; its own timeout is for when we die */

enum { PSI_CPU, PSI_MEMORY, PSI_IO, PSI_COUNT };
static const char *const psi_names[PSI_COUNT] = { "cpu", "memory", "io" };

static const struct kind {
	const char *name;
	unsigned percent; /* of the CPU time of all its CPUs that it has to have used */
} kinds[] = { { "cpustress", 50 }, { "memorystress", 10 }, { "iostress", 0 } };

struct load {
	const struct kind *kind;
	struct sysroot root;
	struct cpuset cpus;
	json_t *argv;
	struct load_cgroup cgroup;
	char *folder, *trouble;
	pid_t pid;	/* 0: not running */
	int output_fd;	/* what it says */
	uint64_t start; /* ms */
	int64_t psi[PSI_COUNT];
};

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void trouble(struct load *l, const char *fmt, ...) printf_like(2, 3);

/* The first one counts. */
static void trouble(struct load *l, const char *fmt, ...)
{
	va_list ap;

	if (l->trouble)
		return;
	va_start(ap, fmt);
	if (vasprintf(&l->trouble, fmt, ap) < 0)
		l->trouble = NULL;
	va_end(ap);
}

/* Microseconds in which some task waited, since boot; -1 when the kernel does not count them. */
static int64_t pressure(const struct sysroot *root, const char *name)
{
	_cleanup_free_ char *path = NULL, *text = NULL;
	const char *total;
	size_t size;

	if (asprintf(&path, "/proc/pressure/%s", name) < 0) {
		path = NULL;
		return -1;
	}
	if (sysroot_read(root, path, &text, &size) < 0)
		return -1;
	total = strstr(text, "total=");
	return total ? strtoll(total + strlen("total="), NULL, 10) : -1;
}

/* A quarter of what is free, at most 1 GiB, for all workers together. */
static uint64_t memory_bytes(void)
{
	struct sysinfo info;
	uint64_t bytes = 64 << 20;

	if (sysinfo(&info) == 0)
		bytes = (uint64_t)info.freeram * info.mem_unit / 4;
	return bytes < MEMORY_MAX ? bytes : MEMORY_MAX;
}

static json_t *arguments(const struct load_request *rq, const struct load *l, const char *tool)
{
	_cleanup_free_ char *cpus = cpuset_format_list(rq->cpus);
	char n[16], timeout[16], bytes[24];
	json_t *argv, *more;

	if (!cpus)
		return NULL;
	snprintf(n, sizeof(n), "%zu", cpuset_count(rq->cpus));
	snprintf(timeout, sizeof(timeout), "%us", rq->duration_s + SPARE_S);
	snprintf(bytes, sizeof(bytes), "%" PRIu64, memory_bytes());
	argv = json_pack("[s, s, s, s, s]", tool, "--taskset", cpus, "--timeout", timeout);
	if (streq(rq->kind, "cpustress"))
		more = json_pack("[s, s]", "--cpu", n);
	else if (streq(rq->kind, "memorystress"))
		more = json_pack("[s, s, s, s]", "--vm", n, "--vm-bytes", bytes);
	else
		more = json_pack("[s, s, s, s, s, s, s, s]", "--io", n, "--hdd", "1", "--hdd-bytes",
				 "64m", "--temp-path", l->folder);
	if (!argv || !more || json_array_extend(argv, more) < 0) {
		json_decref(argv);
		argv = NULL;
	}
	json_decref(more);
	return argv;
}

static int start_tool(const struct load_request *rq, struct load *l, const char *tool)
{
	_cleanup_free_ char **argv = NULL;
	struct tool_run run = { .path = tool, .output_fd = l->output_fd };
	size_t n;
	int r;

	l->argv = arguments(rq, l, tool);
	n = json_array_size(l->argv);
	argv = l->argv ? calloc(n + 1, sizeof(*argv)) : NULL;
	if (!argv)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		argv[i] = (char *)json_string_value(json_array_get(l->argv, i));
	run.argv = argv;
	load_cgroup_make(&l->root, &l->cgroup);
	run.cgroup_procs = l->cgroup.procs;
	for (size_t i = 0; i < PSI_COUNT; i++)
		l->psi[i] = pressure(&l->root, psi_names[i]);
	l->start = now_ms();
	r = tool_spawn(&run, &l->pid);
	if (r) {
		l->pid = 0;
		trouble(l, "%s could not be started: %s", tool, strerror(r));
	}
	return 0;
}

static int load_begin(const struct load_request *rq, struct load *l)
{
	_cleanup_free_ char *tool = NULL;
	int r;

	if (cpuset_copy(&l->cpus, rq->cpus) < 0 ||
	    asprintf(&l->folder, "%s/load", rq->workdir) < 0) {
		l->folder = NULL;
		return -ENOMEM;
	}
	if (cpuset_empty(rq->cpus)) {
		trouble(l, "not started: there is no housekeeping CPU for it");
		return 0;
	}
	if (rq->tool)
		r = (tool = strdup(rq->tool)) ? 0 : -ENOMEM;
	else
		r = tool_find("stress-ng", &tool);
	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		trouble(l, "not started: stress-ng is not installed: install the package %s",
			PACKAGE_OF_TOOL);
		return 0;
	}
	l->output_fd = memfd_create("load-output", MFD_CLOEXEC);
	if (l->output_fd < 0 || (mkdir(l->folder, 0700) < 0 && errno != EEXIST)) {
		trouble(l, "not started: making %s: %s", l->folder, strerror(errno));
		return 0;
	}
	return start_tool(rq, l, tool);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static void load_free(struct load *l)
{
	if (l->folder)
		nftw(l->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	load_cgroup_remove(&l->cgroup);
	sysroot_close(&l->root);
	cpuset_done(&l->cpus);
	json_decref(l->argv);
	closep_(&l->output_fd);
	free(l->folder);
	free(l->trouble);
	free(l);
}

int load_start(const struct load_request *rq, struct load **ret, struct error *e)
{
	struct load *l;
	int r = 0;

	*ret = NULL;
	if (streq(rq->kind, "idle"))
		return 0;
	l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->output_fd = -1;
	l->root.fd = -1;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (streq(kinds[i].name, rq->kind))
			l->kind = &kinds[i];
	if (!l->kind)
		r = error_set(e, -EINVAL, "there is no load \"%s\"", rq->kind);
	if (r == 0)
		r = sysroot_open(NULL, &l->root, e);
	if (r == 0)
		r = load_begin(rq, l);
	if (r < 0) {
		load_free(l);
		return r;
	}
	*ret = l;
	return 0;
}

/* May it and all that it started only run where they were put? Before it bound itself it may still
 * be elsewhere. */
static void check_place(struct load *l, double elapsed_s)
{
	pid_t tid = l->pid;
	int r = thread_strays(l->pid, &l->cpus);

	if (r == 0)
		r = load_cgroup_stray(&l->root, &l->cgroup, &l->cpus, &tid);
	if (r > 0)
		trouble(l,
			"stress-ng (thread %d) is on other CPUs than it was given, seen after "
			"%.0f s",
			(int)tid, elapsed_s);
	else if (r < 0)
		trouble(l, "where stress-ng runs cannot be told, after %.0f s: %s", elapsed_s,
			strerror(-r));
}

void load_check(struct load *l)
{
	siginfo_t info = { 0 };
	double elapsed_s;

	if (!l || !l->pid)
		return;
	elapsed_s = (double)(now_ms() - l->start) / 1000;
	if (waitid(P_PID, (id_t)l->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid)
		trouble(l, "stress-ng died after %.0f s", elapsed_s);
	else if (elapsed_s > 1)
		check_place(l, elapsed_s);
}

/* Ends it, the workers first by their leader; *ret_us is what it and they used, -1 when unknown. */
static void end(struct load *l, int64_t *ret_us)
{
	const struct timespec pause = { .tv_nsec = 20 * 1000 * 1000 };
	uint64_t until = now_ms() + END_GRACE_MS;
	siginfo_t info = { 0 };
	struct rusage ru = { 0 };
	int status;

	kill(l->pid, SIGINT);
	while (now_ms() < until &&
	       waitid(P_PID, (id_t)l->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && !info.si_pid)
		nanosleep(&pause, NULL);
	kill(-l->pid, SIGKILL);
	while (wait4(l->pid, &status, 0, &ru) < 0 && errno == EINTR)
		;
	l->pid = 0;
	*ret_us = load_cgroup_usage_us(&l->root, &l->cgroup);
	if (*ret_us < 0)
		*ret_us = (int64_t)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) * 1000000 +
			  ru.ru_utime.tv_usec + ru.ru_stime.tv_usec;
}

static json_t *pressures(const struct load *l)
{
	json_t *object = json_object();

	for (size_t i = 0; i < PSI_COUNT; i++) {
		int64_t now = pressure(&l->root, psi_names[i]);
		json_t *delta =
			l->psi[i] < 0 || now < 0 ? json_null() : json_integer(now - l->psi[i]);

		json_object_set_new(object, psi_names[i], delta);
	}
	return object;
}

static json_t *evidence(const struct load *l, int64_t used_us, int64_t asked_us)
{
	_cleanup_free_ char *cpus = cpuset_format_list(&l->cpus);

	return json_pack("{s:s, s:o, s:o, s:I, s:o, s:s, s:o}", "kind", l->kind->name, "argv",
			 l->argv ? json_incref(l->argv) : json_null(), "cpus", json_text(cpus),
			 "cpu_time_asked_us", (json_int_t)asked_us, "cpu_time_us",
			 used_us < 0 ? json_null() : json_integer(used_us), "counted_by",
			 l->cgroup.path ? "cgroup" : "processes", "pressure_us", pressures(l));
}

int load_end(struct load *l, json_t **ret_evidence, char **ret_trouble)
{
	int64_t used_us = -1, asked_us = 0;

	*ret_evidence = NULL;
	*ret_trouble = NULL;
	if (!l)
		return 0;
	if (l->pid) {
		load_check(l);
		asked_us = (int64_t)(now_ms() - l->start) * 1000 * (int64_t)cpuset_count(&l->cpus);
		end(l, &used_us);
		if (used_us <= 0 || used_us < asked_us / 100 * (int64_t)l->kind->percent)
			trouble(l, "%s used %.1f s of CPU time, at least %.1f s are wanted",
				l->kind->name, (double)used_us / 1e6,
				(double)asked_us / 1e8 * l->kind->percent);
	}
	*ret_evidence = evidence(l, used_us, asked_us);
	*ret_trouble = take_ptr(l->trouble);
	load_free(l);
	return *ret_evidence ? 0 : -ENOMEM;
}

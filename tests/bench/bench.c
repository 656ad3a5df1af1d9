/*
 * Speed and size, as ratios of one run: nothing here decides a test.
 *
 *  - a whole observation pass against the bare open/read/close of what it reads;
 *  - how the pass grows with IRQs and with CPUs;
 *  - the whole `latencyctl status` process on a VM-sized tree and on the largest.
 *
 * Every figure is the median of several rounds; the rounds of two things that are compared
 * alternate. Usage: bench LATENCYCTL LATENCYD (the programs to time).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <sys/wait.h>
#include <time.h>

#include "probes/observe.h"
#include "tests/trees/tree.h"

#define ROUNDS	21
#define REPEATS 5 /* passes a round, so that a round is not over before it began */

/* What a pass asks the kernel for, below the root: files, those that are absent, and folders. */
struct reading {
	const char *path;
	bool folder;
};

struct files {
	struct sysroot_recorder recorder;
	struct arena arena;
	struct reading *readings;
	size_t n;
	size_t bytes;
};

static void die(const char *what, int error)
{
	fprintf(stderr, "bench: %s: %s\n", what, strerror(error));
	exit(1);
}

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int compare_double(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values, size_t n)
{
	qsort(values, n, sizeof(*values), compare_double);
	return values[n / 2];
}

static void record(struct sysroot_recorder *r, const char *path, bool folder)
{
	struct files *files = (struct files *)r;
	struct reading *reading =
		arena_grow(&files->arena, &files->readings, &files->n, sizeof(*reading));

	if (!reading || !(reading->path = arena_strdup(&files->arena, path + 1)))
		die("recording", ENOMEM);
	reading->folder = folder;
}

static void record_file(struct sysroot_recorder *r, const char *path, const char *data, size_t size)
{
	(void)data;
	((struct files *)r)->bytes += size;
	record(r, path, false);
}

static void record_folder(struct sysroot_recorder *r, const char *path)
{
	record(r, path, true);
}

static void record_failure(struct sysroot_recorder *r, const char *path, int error)
{
	(void)error;
	record(r, path, false);
}

static int compare_reading(const void *a, const void *b)
{
	return strcmp(((const struct reading *)a)->path, ((const struct reading *)b)->path);
}

/* Each place once, so that the floor is not made of a pass's own repetitions. */
static void drop_repetitions(struct files *files)
{
	size_t n = 0;

	qsort(files->readings, files->n, sizeof(*files->readings), compare_reading);
	for (size_t i = 0; i < files->n; i++)
		if (!n || compare_reading(&files->readings[n - 1], &files->readings[i]))
			files->readings[n++] = files->readings[i];
	files->n = n;
}

/* The floor: what the kernel takes to hand the same names and bytes over. */
static void read_bare(const struct sysroot *root, const struct files *files, char *buffer,
		      size_t size)
{
	for (size_t i = 0; i < files->n; i++) {
		const struct reading *reading = &files->readings[i];
		int fd = openat(root->fd, reading->path,
				O_RDONLY | O_CLOEXEC | (reading->folder ? O_DIRECTORY : 0));

		if (fd < 0)
			continue;
		if (reading->folder)
			while (getdents64(fd, buffer, size) > 0)
				;
		else
			while (read(fd, buffer, size) > 0)
				;
		close(fd);
	}
}

static void observe_once(const struct sysroot *root, const struct desired *d)
{
	_cleanup_observed_ struct observed o = { 0 };
	int r = observe(root, d, &o);

	if (r < 0)
		die("observe", -r);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

struct machine {
	char path[PATH_MAX];
	struct sysroot root;
	struct desired desired;
};

static void machine_open(const struct tree_spec *spec, struct machine *m)
{
	struct error e = { 0 };
	int r;

	snprintf(m->path, sizeof(m->path), "%s", "/tmp/latencyd-bench-XXXXXX");
	if (!mkdtemp(m->path))
		die("mkdtemp", errno);
	r = tree_write(spec, m->path);
	if (r < 0)
		die("writing a tree", -r);
	r = sysroot_open(m->path, &m->root, &e);
	if (r >= 0)
		r = document_load(&m->root, NULL, &m->desired, &e);
	if (r < 0)
		die(e.what ? e.what : "opening a tree", -r);
}

static void machine_close(struct machine *m)
{
	desired_done(&m->desired);
	sysroot_close(&m->root);
	nftw(m->path, remove_one, 64, FTW_DEPTH | FTW_PHYS);
}

static double pass_ms(struct machine *m)
{
	double times[ROUNDS];

	observe_once(&m->root, &m->desired);
	for (size_t i = 0; i < ROUNDS; i++) {
		double start = now_ms();

		observe_once(&m->root, &m->desired);
		times[i] = now_ms() - start;
	}
	return median(times, ROUNDS);
}

static void bench_against_bare(const char *name)
{
	struct files files = {
		.recorder = { .file = record_file,
			      .folder = record_folder,
			      .failed = record_failure },
	};
	double bare[ROUNDS], pass[ROUNDS], ratio[ROUNDS];
	struct machine m = { 0 };
	char *buffer = malloc(1 << 20);

	if (!buffer)
		die("memory", ENOMEM);
	machine_open(tree_spec_by_name(name), &m);
	m.root.recorder = &files.recorder;
	observe_once(&m.root, &m.desired);
	m.root.recorder = NULL;
	drop_repetitions(&files);
	for (size_t i = 0; i < ROUNDS; i++) {
		double start = now_ms(), middle;

		for (int j = 0; j < REPEATS; j++)
			read_bare(&m.root, &files, buffer, 1 << 20);
		middle = now_ms();
		for (int j = 0; j < REPEATS; j++)
			observe_once(&m.root, &m.desired);
		bare[i] = (middle - start) / REPEATS;
		pass[i] = (now_ms() - middle) / REPEATS;
		ratio[i] = pass[i] / bare[i];
	}
	printf("observation pass, %-5s (%zu files and folders, %zu KiB): %.3f ms; bare "
	       "open/read/close: %.3f ms; "
	       "ratio %.2f (aim <= 1.3)\n",
	       name, files.n, files.bytes / 1024, median(pass, ROUNDS), median(bare, ROUNDS),
	       median(ratio, ROUNDS));
	machine_close(&m);
	arena_free(&files.arena);
	free(buffer);
}

/* Times the pass on @n machines that differ in one number; linear means a flat last column. */
static void bench_growth(const char *what, const unsigned *counts, size_t n, bool cpus)
{
	double first = 0;

	for (size_t i = 0; i < n; i++) {
		struct tree_spec spec = *tree_spec_by_name("vm");
		struct machine m = { 0 };
		char possible[32], isolated[32];
		struct tree_node node = { .id = 0, .memory_kib = 64U << 20 };
		double ms;

		if (cpus) {
			snprintf(possible, sizeof(possible), "0-%u", counts[i] - 1);
			snprintf(isolated, sizeof(isolated), "2-%u", counts[i] - 1);
			spec.possible = spec.online = spec.present = possible;
			spec.isolated = isolated;
			node.cpus = possible;
			spec.nodes = &node;
			spec.n_nodes = 1;
			spec.n_irqs = 64;
		} else {
			spec.n_irqs = counts[i];
		}
		machine_open(&spec, &m);
		ms = pass_ms(&m);
		machine_close(&m);
		if (i == 0)
			first = ms / counts[0];
		printf("pass with %6u %s: %8.3f ms, %.2f us each, %.2f of the first's each\n",
		       counts[i], what, ms, ms * 1e3 / counts[i], ms / counts[i] / first);
	}
}

/* The largest machine that the trees know. */
#define LARGEST "large"

static double process_ms(char *const argv[])
{
	double start = now_ms();
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		execv(argv[0], argv);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		die("running latencyctl", errno);
	if (!WIFEXITED(status) || WEXITSTATUS(status) == 127 || WEXITSTATUS(status) == 1)
		die("latencyctl failed", EIO);
	return now_ms() - start;
}

static void bench_status(char *latencyctl, const char *name, double aim_ms)
{
	double times[ROUNDS];
	struct machine m = { 0 };

	machine_open(tree_spec_by_name(name), &m);
	char *argv[] = { latencyctl, "--root", m.path, "status", "--json", NULL };
	process_ms(argv);
	for (size_t i = 0; i < ROUNDS; i++)
		times[i] = process_ms(argv);
	printf("latencyctl status, %-5s: %.2f ms (aim < %.0f ms)\n", name, median(times, ROUNDS),
	       aim_ms);
	machine_close(&m);
}

/* Proportional set size of a process, KiB; 0 when it cannot be read. */
static unsigned long pss_kib(pid_t pid)
{
	_cleanup_fclose_ FILE *f = NULL;
	char path[64], line[256];
	unsigned long kib = 0;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Pss: %lu kB", &kib) == 1)
			break;
	return kib;
}

/* The daemon as it watches a tree, two seconds after its first pass. */
static void bench_daemon(char *latencyd)
{
	struct machine m = { 0 };
	pid_t pid;

	machine_open(tree_spec_by_name("vm"), &m);
	pid = fork();
	if (pid == 0) {
		char *argv[] = { latencyd, "--root", m.path, NULL };

		execv(argv[0], argv);
		_exit(127);
	}
	if (pid < 0)
		die("running latencyd", errno);
	sleep(2);
	printf("idle latencyd, vm: PSS %lu KiB (aim <= 3072)\n", pss_kib(pid));
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
	machine_close(&m);
}

int main(int argc, char **argv)
{
	static const unsigned irqs[] = { 64, 256, 1024, 4096, 16384 };
	static const unsigned cpus[] = { 8, 64, 256, 1024 };

	if (argc != 3) {
		fprintf(stderr, "usage: bench LATENCYCTL LATENCYD\n");
		return 2;
	}
	bench_against_bare("vm");
	bench_against_bare(LARGEST);
	bench_growth("IRQs", irqs, ARRAY_SIZE(irqs), false);
	bench_growth("CPUs", cpus, ARRAY_SIZE(cpus), true);
	bench_status(argv[1], "vm", 5);
	bench_status(argv[1], LARGEST, 50);
	bench_daemon(argv[2]);
	return 0;
}

/*
 * How soon latencyd tells of a drift, what a storm of writes costs it, and what it does at rest.
 * Nothing here decides a test.
 *
 * latencyd watches a generated machine on a tmpfs of its own (so that nobody else's writes wake it)
 * and tells on stderr. Each write comes from a program of another name, as many strangers would:
 * one program that did it all would soon be contested. A loop that polls the same file once a
 * second is timed beside it.
 *
 * Usage: drift LATENCYD [WRITES]. Needs root: a mount namespace and fanotify.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "state/base.h"
#include "tests/trees/tree.h"

#define FOLDER	    "/tmp/latencyd-drift-bench"
#define SETTING	    "rt_throttling"
#define FILE_PATH   FOLDER "/root/proc/sys/kernel/sched_rt_runtime_us"
#define RIGHT	    "-1\n"
#define WRONG	    "95\n" /* as long as the right one: no truncation between */
#define WRITES	    500
#define POLLED	    20
#define STORM_S	    5
#define REST_S	    20
#define PATIENCE_MS 10000
/* Between drifts: back to back they would be a storm, and bounded as one. */
#define PAUSE_US 50000

static void die(const char *what, int error)
{
	fprintf(stderr, "drift: %s: %s\n", what, strerror(error));
	exit(1);
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void print_times(const char *what, uint64_t *times, size_t n)
{
	qsort(times, n, sizeof(*times), compare);
	printf("%s: median %.3f ms, p99 %.3f ms, worst %.3f ms of %zu\n", what,
	       (double)times[n / 2] / 1e3, (double)times[n * 99 / 100] / 1e3,
	       (double)times[n - 1] / 1e3, n);
}

static void write_value(const char *value)
{
	int fd = open(FILE_PATH, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		die(FILE_PATH, errno);
	close(fd);
}

/* ---- the stranger: this program under another name, "drift write VALUE" ---- */

static int be_stranger(const char *value)
{
	int fd = open(FILE_PATH, O_WRONLY | O_CLOEXEC);
	uint64_t start = now_us();

	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		return 1;
	return write(STDOUT_FILENO, &start, sizeof(start)) == sizeof(start) ? 0 : 1;
}

/* A new stranger writes. Returns when it did, just before its write(2). */
static uint64_t stranger_writes(const char *value)
{
	static unsigned number;
	char name[PATH_MAX];
	uint64_t at = 0;
	int fds[2];
	pid_t pid;

	snprintf(name, sizeof(name), FOLDER "/stranger-%u", number++);
	if (pipe(fds) < 0)
		die("pipe", errno);
	if (link(FOLDER "/stranger", name) < 0)
		die(name, errno);
	pid = fork();
	if (pid == 0) {
		dup2(fds[1], STDOUT_FILENO);
		execl(name, name, "write", value, NULL);
		_exit(127);
	}
	close(fds[1]);
	if (read(fds[0], &at, sizeof(at)) != sizeof(at))
		die("the stranger did not write", EIO);
	close(fds[0]);
	waitpid(pid, NULL, 0);
	return at;
}

/* ---- latencyd ---- */

struct daemon {
	pid_t pid;
	int log;
	char text[65536];
	size_t n;
};

/* When a line with both words comes, or 0 when none does in time. The log is forgotten. */
static uint64_t wait_for(struct daemon *d, const char *what)
{
	uint64_t end = now_us() + PATIENCE_MS * 1000;
	char *line;

	d->n = 0;
	while (now_us() < end) {
		struct pollfd p = { .fd = d->log, .events = POLLIN };
		ssize_t n;

		if (poll(&p, 1, 100) <= 0)
			continue;
		n = read(d->log, d->text + d->n, sizeof(d->text) - 1 - d->n);
		if (n <= 0)
			die("latencyd has ended", EIO);
		d->n += (size_t)n;
		d->text[d->n] = '\0';
		line = strstr(d->text, SETTING " ");
		if (line && strstr(line, what))
			return now_us();
		if (d->n > sizeof(d->text) / 2)
			d->n = 0;
	}
	return 0;
}

static void copy_self(void)
{
	char self[PATH_MAX], buffer[65536];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	int from, to;

	self[n < 0 ? 0 : n] = '\0';
	from = open(self, O_RDONLY | O_CLOEXEC);
	to = open(FOLDER "/stranger", O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	while ((n = read(from, buffer, sizeof(buffer))) > 0)
		if (write(to, buffer, (size_t)n) != n)
			die("copying", errno);
	close(from);
	close(to);
}

static void make_machine(void)
{
	int r;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		die("a mount namespace of its own", errno);
	(void)mkdir(FOLDER, 0700);
	if (mount("tmpfs", FOLDER, "tmpfs", 0, NULL) < 0)
		die("mounting a tmpfs", errno);
	(void)mkdir(FOLDER "/root", 0755);
	r = tree_write(tree_spec_by_name("vm"), FOLDER "/root");
	if (r < 0)
		die("writing a tree", -r);
	if (truncate(FILE_PATH, (off_t)strlen(RIGHT)) < 0)
		die(FILE_PATH, errno);
	write_value(RIGHT);
	copy_self();
}

static void start(struct daemon *d, char *latencyd)
{
	int fds[2];

	if (pipe(fds) < 0)
		die("pipe", errno);
	d->pid = fork();
	if (d->pid == 0) {
		char *argv[] = { latencyd, (char *)"--root", (char *)FOLDER "/root", NULL };

		dup2(fds[1], STDERR_FILENO);
		close(fds[0]);
		close(fds[1]);
		execv(latencyd, argv);
		_exit(127);
	}
	close(fds[1]);
	d->log = fds[0];
	sleep(2); /* its first pass */
}

static long stat_field(pid_t pid, int field)
{
	char path[64], text[1024], *p;
	int fd;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		die(path, errno);
	text[n] = '\0';
	p = strrchr(text, ')');
	for (int i = 2; p && i < field; i++)
		p = strchr(p + 1, ' ');
	return p ? strtol(p + 1, NULL, 10) : 0;
}

static double cpu_s(pid_t pid)
{
	return (double)(stat_field(pid, 14) + stat_field(pid, 15)) / (double)sysconf(_SC_CLK_TCK);
}

static long switches(pid_t pid)
{
	_cleanup_fclose_ FILE *f = NULL;
	char path[64], line[256];
	long n, sum = 0;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "voluntary_ctxt_switches: %ld", &n) == 1 ||
		    sscanf(line, "nonvoluntary_ctxt_switches: %ld", &n) == 1)
			sum += n;
	return sum;
}

/* ---- what is timed ---- */

static void bench_latency(struct daemon *d, size_t n)
{
	uint64_t *times = calloc(n, sizeof(*times));
	size_t told = 0;

	for (size_t i = 0; times && i < n; i++) {
		uint64_t at = stranger_writes(WRONG), heard = wait_for(d, "drifted");

		if (heard)
			times[told++] = heard - at;
		stranger_writes(RIGHT);
		(void)wait_for(d, "restored");
		usleep(PAUSE_US);
	}
	printf("drifts that were told: %zu of %zu\n", told, n);
	if (told)
		print_times("write -> alert", times, told);
	free(times);
}

/* What a loop that reads the file once a second would say. */
static void bench_polling(void)
{
	uint64_t times[POLLED];

	for (size_t i = 0; i < POLLED; i++) {
		uint64_t tick = now_us(), at;
		char text[32] = "";

		usleep((useconds_t)(now_us() * 2654435761U %
				    1000000)); /* the write comes anywhere */
		at = stranger_writes(WRONG);
		for (;;) {
			int fd;

			while (tick < now_us())
				tick += 1000000;
			usleep((useconds_t)(tick - now_us()));
			fd = open(FILE_PATH, O_RDONLY | O_CLOEXEC);
			if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
				die(FILE_PATH, errno);
			close(fd);
			if (strncmp(text, WRONG, 3) == 0)
				break;
		}
		times[i] = now_us() - at;
		stranger_writes(RIGHT);
	}
	print_times("write -> seen by a loop of 1 s", times, POLLED);
}

static void bench_storm(struct daemon *d)
{
	uint64_t end = now_us() + STORM_S * 1000000ULL, n = 0;
	double before = cpu_s(d->pid);
	long rss = stat_field(d->pid, 24);
	bool told;

	for (; now_us() < end; n++)
		write_value(n % 2 ? RIGHT : WRONG);
	printf("storm of %.0f writes/s: latencyd used %.1f %% of one CPU, RSS %+ld KiB\n",
	       (double)n / STORM_S, (cpu_s(d->pid) - before) / STORM_S * 100,
	       (stat_field(d->pid, 24) - rss) * (sysconf(_SC_PAGESIZE) / 1024));
	write_value(RIGHT);
	sleep(1);
	told = stranger_writes(WRONG) && wait_for(d, SETTING);
	printf("after the storm a drift is %s\n", told ? "told" : "held back as contested");
}

static void bench_rest(struct daemon *d)
{
	double before = cpu_s(d->pid);
	long n = switches(d->pid);

	sleep(REST_S);
	printf("at rest for %d s: %ld context switches, %.1f ms of CPU\n", REST_S,
	       switches(d->pid) - n, (cpu_s(d->pid) - before) * 1e3);
}

int main(int argc, char **argv)
{
	static struct daemon d;
	long n = WRITES;

	if (argc == 3 && streq(argv[1], "write"))
		return be_stranger(argv[2]);
	if (argc < 2 || argc > 3) {
		fprintf(stderr, "usage: drift LATENCYD [WRITES]\n");
		return 2;
	}
	if (argc == 3)
		n = strtol(argv[2], NULL, 10);
	make_machine();
	start(&d, argv[1]);
	bench_rest(&d);
	bench_latency(&d, n > 0 ? (size_t)n : WRITES);
	bench_polling();
	bench_storm(&d);
	kill(d.pid, SIGTERM);
	waitpid(d.pid, NULL, 0);
	umount2(FOLDER, MNT_DETACH);
	rmdir(FOLDER);
	return 0;
}

/*
 * Kernel threads whose priority and CPUs are settings, and irqbalance's pid, in one walk over /proc
 * (man 5 proc: /proc/PID/stat). A name alone proves nothing, since any process may call itself
 * "ksoftirqd/3": only PF_KTHREAD (include/linux/sched.h) makes it one.
 *
 * A process that ends between the listing and the reading was not there; any other failure shows in
 * threads_fact, because a thread that could not be read might have been one of ours.
 */
#include "probes/threads.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "probes/probe.h"

#define PF_KTHREAD	 0x00200000UL
#define STAT_FLAGS	 9
#define STAT_RT_PRIORITY 40
#define STAT_POLICY	 41

struct stat_line {
	char *comm;   /* both inside the text that was parsed */
	char *fields; /* from the state letter on, field 3 */
};

/* "PID (COMM) S PPID ...": COMM may contain blanks and parentheses, hence the last ')'. */
static int parse_stat(char *text, struct stat_line *ret)
{
	char *open = strchr(text, '('), *close = strrchr(text, ')');

	if (!open || !close || close < open || close[1] != ' ' || !close[2])
		return -EBADMSG;
	*close = '\0';
	*ret = (struct stat_line){ .comm = open + 1, .fields = close + 2 };
	return 0;
}

/* Numbers by field number; negative ones wrap: none of those that are used is. */
static int parse_fields(const char *p, unsigned long fields[STAT_POLICY + 1])
{
	char *end;

	p++;
	for (int i = 4; i <= STAT_POLICY; i++) {
		fields[i] = strtoul(p, &end, 10);
		if (end == p)
			return -EBADMSG;
		p = end;
	}
	return 0;
}

static bool is_watched_name(const char *comm)
{
	static const char *const prefixes[] = { "ksoftirqd/", "ktimers/", "rcuc/", "rcub/",
						"rcuop/",     "rcuos/",	  "rcuog/" };

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		const char *number = after_prefix(comm, prefixes[i]);

		if (number)
			return *number && number[strspn(number, "0123456789")] == '\0';
	}
	return streq(comm, "rcu_preempt");
}

struct walk {
	struct sysroot view;  /* of /proc */
	struct sysroot quiet; /* the same, unrecorded: most processes are nobody's business */
	unsigned groups;
	struct observed *o;
	int irqbalance;
	int failed; /* the last reading that went wrong, negative errno */
	unsigned failed_pid;
};

static int path_of(char *path, size_t size, unsigned pid, const char *file)
{
	return snprintf(path, size, "/proc/%u/%s", pid, file);
}

/* Cpus_allowed_list of FOLDER/status; negative errno only when the thread is gone. */
static int read_allowed(const struct sysroot *root, struct arena *a, const char *folder,
			struct fact *ret)
{
	char text[8192], path[96], *list = NULL;
	ssize_t r;

	snprintf(path, sizeof(path), "%s/status", folder);
	r = sysroot_read_once(root, path, text, sizeof(text));
	if (r == -ENOENT || r == -ESRCH)
		return (int)r;
	if (r >= 0) {
		list = strstr(text, "\nCpus_allowed_list:");
		r = list ? 0 : -EBADMSG;
	}
	if (list) {
		list += strlen("\nCpus_allowed_list:");
		list += strspn(list, " \t");
		list[strcspn(list, "\n")] = '\0';
	}
	*ret = sysroot_outcome(a, path, (int)r, list);
	return fact_check(ret);
}

int probe_task(const struct sysroot *root, struct arena *a, const char *folder, unsigned tid,
	       struct observed_thread *ret, bool *ret_kernel)
{
	unsigned long fields[STAT_POLICY + 1];
	struct observed_thread t = { .pid = (int)tid };
	struct stat_line line;
	char text[4096], path[96];
	ssize_t r;

	snprintf(path, sizeof(path), "%s/stat", folder);
	r = sysroot_read_once(root, path, text, sizeof(text));
	if (r >= 0)
		r = parse_stat(text, &line);
	if (r >= 0)
		r = parse_fields(line.fields, fields);
	if (r >= 0)
		r = read_allowed(root, a, folder, &t.allowed);
	if (r < 0)
		return (int)r;
	t.comm = arena_strdup(a, line.comm);
	t.policy = (int)fields[STAT_POLICY];
	t.priority = (int)fields[STAT_RT_PRIORITY];
	if (!t.comm)
		return -ENOMEM;
	*ret_kernel = fields[STAT_FLAGS] & PF_KTHREAD;
	*ret = t;
	return 0;
}

static int add_thread(struct walk *w, unsigned pid, const char *comm, const unsigned long *fields)
{
	struct observed *o = w->o;
	struct observed_thread *t;
	struct fact allowed;
	char folder[64];
	int r;

	snprintf(folder, sizeof(folder), "/proc/%u", pid);
	r = read_allowed(&w->view, &o->arena, folder, &allowed);
	if (r < 0)
		return r;
	t = arena_grow(&o->arena, &o->threads, &o->n_threads, sizeof(*t));
	if (!t)
		return -ENOMEM;
	*t = (struct observed_thread){
		.pid = (int)pid,
		.comm = arena_strdup(&o->arena, comm),
		.policy = (int)fields[STAT_POLICY],
		.priority = (int)fields[STAT_RT_PRIORITY],
		.allowed = allowed,
	};
	return t->comm ? 0 : -ENOMEM;
}

/* On the live machine only root's process of that name counts: its socket is asked next. */
static bool is_roots(struct walk *w, unsigned pid)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	char path[64];

	if (!w->view.live)
		return true;
	path_of(path, sizeof(path), pid, "stat");
	fd = sysroot_openat(&w->quiet, path, O_PATH);
	return fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == 0;
}

/* 1: it is one of ours and has been added; 0: it is not; negative errno: could not be read. */
static int add_if_ours(struct walk *w, unsigned pid, char *text)
{
	unsigned long fields[STAT_POLICY + 1];
	struct stat_line line;
	bool thread, balancer;
	int r;

	r = parse_stat(text, &line);
	if (r < 0)
		return r;
	thread = w->groups & FACTS_THREADS && is_watched_name(line.comm);
	balancer = w->groups & FACTS_IRQBALANCE && !w->irqbalance && streq(line.comm, "irqbalance");
	if (!thread && !balancer)
		return 0;
	r = parse_fields(line.fields, fields);
	if (r < 0)
		return r;
	if (thread != !!(fields[STAT_FLAGS] & PF_KTHREAD))
		return 0;
	if (thread) {
		r = add_thread(w, pid, line.comm, fields);
		return r < 0 ? r : 1;
	}
	if (!is_roots(w, pid))
		return 0;
	w->irqbalance = (int)pid;
	return 1;
}

static int visit(struct walk *w, unsigned pid)
{
	char text[4096], copy[4096], path[64];
	ssize_t size;
	int r;

	path_of(path, sizeof(path), pid, "stat");
	size = sysroot_read_once(&w->quiet, path, text, sizeof(text));
	if (size < 0)
		return (int)size;
	if (w->view.recorder)
		memcpy(copy, text, (size_t)size);
	r = add_if_ours(w, pid, text);
	if (r > 0 && w->view.recorder)
		sysroot_saw_file(&w->view, path, copy, (size_t)size);
	return r < 0 ? r : 0;
}

static int walk_finish(struct walk *w)
{
	struct fact *f = &w->o->threads_fact;
	char path[64] = "/proc";

	if (!(w->groups & FACTS_THREADS))
		return 0;
	if (w->failed < 0 && w->failed_pid)
		path_of(path, sizeof(path), w->failed_pid, "stat");
	*f = sysroot_outcome(&w->o->arena, path, w->failed, "");
	return fact_check(f);
}

static int walk(struct walk *w, const struct sysroot *root)
{
	const struct sysroot quiet = sysroot_unrecorded(root);
	_cleanup_free_ unsigned *pids = NULL;
	size_t n;
	int r = 0;

	w->failed = sysroot_numbers(&quiet, "/proc", "", "", &pids, &n);
	if (w->failed >= 0)
		w->failed = sysroot_view(root, "/proc", &w->view);
	if (w->failed < 0)
		return w->failed == -ENOMEM ? -ENOMEM : 0;
	w->quiet = sysroot_unrecorded(&w->view);
	for (size_t i = 0; i < n && r != -ENOMEM; i++) {
		r = visit(w, pids[i]);
		if (r < 0 && r != -ENOENT && r != -ESRCH) {
			w->failed = r;
			w->failed_pid = pids[i];
		}
	}
	close(w->view.fd);
	return r == -ENOMEM ? r : 0;
}

int probe_processes(const struct sysroot *root, unsigned groups, struct observed *o,
		    int *ret_irqbalance)
{
	struct walk w = { .groups = groups, .o = o };
	int r;

	r = walk(&w, root);
	if (r < 0)
		return r;
	*ret_irqbalance = w.irqbalance ? w.irqbalance : w.failed;
	return walk_finish(&w);
}

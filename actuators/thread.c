/*
 * STEP_THREAD: policy and priority, or the CPUs, of one thread: a kernel thread, or one of a
 * guest's QEMU (number is then its tid; a transient step, of which no original is kept). A pid may
 * be another thread's by the time we act, so its name is read again right before; the result is
 * read back from /proc/PID (proc(5): stat fields 40 and 41, Cpus_allowed_list).
 */
#include <errno.h>

#include "actuators/actuation.h"
#include "actuators/kernel_file.h"
#include "actuators/kernel_io.h"
#include "actuators/root.h"

struct thread {
	char *comm;
	int policy, priority;
};

static void thread_done(struct thread *t)
{
	free(t->comm);
}

/* The name may hold blanks and brackets: it ends at the last ')'. */
static int parse_stat(char *text, struct thread *ret)
{
	char *open = strchr(text, '('), *close = strrchr(text, ')'), *at, *field;
	long values[2];
	int n = 2;

	if (!open || !close || close < open)
		return -EBADMSG;
	*close = '\0';
	for (field = strtok_r(close + 1, " ", &at); field; field = strtok_r(NULL, " ", &at)) {
		if (++n >= 40 && n <= 41)
			values[n - 40] = strtol(field, NULL, 10);
	}
	if (n < 41)
		return -EBADMSG;
	ret->comm = strdup(open + 1);
	if (!ret->comm)
		return -ENOMEM;
	ret->priority = (int)values[0];
	ret->policy = (int)values[1];
	return 0;
}

static int read_thread(unsigned pid, struct thread *ret)
{
	_cleanup_free_ char *path = NULL, *text = NULL;
	int r;

	if (asprintf(&path, "/proc/%u/stat", pid) < 0)
		return -ENOMEM;
	r = root_read(path, &text, NULL);
	return r < 0 ? r : parse_stat(text, ret);
}

static int read_cpus(unsigned pid, char **ret)
{
	_cleanup_free_ char *path = NULL, *text = NULL;
	const char *at;
	int r;

	if (asprintf(&path, "/proc/%u/status", pid) < 0)
		return -ENOMEM;
	r = root_read(path, &text, NULL);
	if (r < 0)
		return r;
	at = strstr(text, "\nCpus_allowed_list:");
	if (!at)
		return -EBADMSG;
	at += strlen("\nCpus_allowed_list:");
	at += strspn(at, " \t");
	*ret = strndup(at, strcspn(at, "\n"));
	return *ret ? 0 : -ENOMEM;
}

/* A thread as a step and as an original name it. */
struct target {
	unsigned pid;
	const char *comm;
	bool cpus;
	const char *list;
	int policy, priority;
	bool transient; /* of a guest */
};

static int gone(const struct target *t, int r, struct error *e)
{
	error_set(e, r, "the thread %s (pid %u) is gone", t->comm, t->pid);
	return error_todo(e, "apply again: it is looked for anew");
}

/* 1: it is as @t wants it; 0: not; *ret_now (may be NULL) is what it is, as an original's value. */
static int is_set(const struct target *t, char **ret_now, struct error *e)
{
	_cleanup_(thread_done) struct thread thread = { 0 };
	_cleanup_free_ char *now = NULL;
	int r = read_thread(t->pid, &thread);
	bool same;

	if (errno_class(r) == ERRNO_GONE || (r == 0 && !streq(thread.comm, t->comm)))
		return gone(t, -ESRCH, e);
	if (r == 0 && t->cpus)
		r = read_cpus(t->pid, &now);
	else if (r == 0 && asprintf(&now, "%d %d", thread.policy, thread.priority) < 0)
		r = -ENOMEM;
	if (r < 0)
		return error_set(e, r, "cannot read the thread %s (pid %u): %s", t->comm, t->pid,
				 strerror(-r));
	same = t->cpus ? kernel_value_equal(VALUE_LIST, now, t->list)
		       : thread.policy == t->policy && thread.priority == t->priority;
	if (ret_now)
		*ret_now = take_ptr(now);
	return same;
}

static int set_cpus(const struct target *t, struct error *e)
{
	_cleanup_cpuset_ struct cpuset cpus = { 0 };
	int r = cpuset_parse_list(t->list, 0, &cpus);

	if (r == 0)
		r = kernel_io->set_affinity((int)t->pid, &cpus);
	if (r == 0)
		return 0;
	if (r == -EINVAL && t->transient) {
		error_set(e, r, "the thread %s (pid %u) may not run on CPUs %s", t->comm, t->pid,
			  t->list);
		error_todo(e, "they are offline, or outside of its control group's cpuset.cpus");
		return r;
	}
	if (r == -EINVAL) {
		/* PF_NO_SETAFFINITY: kernel/sched/core.c, __sched_setaffinity() */
		error_set(e, -EPERM, "the kernel has bound the thread %s to its CPU", t->comm);
		error_todo(e, "it cannot be moved; only boot arguments decide where it runs");
		return -EPERM;
	}
	return error_set(e, r, "cannot move the thread %s (pid %u) to CPUs %s: %s", t->comm, t->pid,
			 t->list, strerror(-r));
}

static int set_policy(const struct target *t, struct error *e)
{
	int r = kernel_io->set_scheduler((int)t->pid, t->policy, t->priority);

	if (r == 0)
		return 0;
	error_set(e, r, "cannot give the thread %s (pid %u) policy %d priority %d: %s", t->comm,
		  t->pid, t->policy, t->priority, strerror(-r));
	if (r == -EPERM)
		error_todo(e, "run this as root, outside of cgroups without real-time bandwidth");
	return r;
}

static int set(const struct target *t, struct error *e)
{
	_cleanup_free_ char *now = NULL;
	int r = is_set(t, NULL, e);

	if (r != 0)
		return r < 0 ? r : 0;
	r = t->cpus ? set_cpus(t, e) : set_policy(t, e);
	if (r < 0)
		return r == -ESRCH ? gone(t, r, e) : r;
	r = is_set(t, &now, e);
	if (r != 0)
		return r < 0 ? r : 1;
	return error_set(e, -EPROTO, "the thread %s (pid %u) took the change but reads \"%s\"",
			 t->comm, t->pid, now);
}

static struct target target_of(const struct step *s)
{
	return (struct target){
		.pid = s->number,
		.comm = s->name,
		.cpus = s->set_affinity,
		.list = s->want,
		.policy = s->policy,
		.priority = s->priority,
		.transient = s->transient,
	};
}

static int prepare(struct actuation *a, const struct step *s, struct error *e)
{
	const struct target t = target_of(s);
	_cleanup_free_ char *now = NULL;
	int r = is_set(&t, &now, e);

	if (r != 0 || s->transient)
		return r < 0 ? r : 0;
	return keep_original(a, s, t.cpus ? ORIGINAL_THREAD_CPUS : ORIGINAL_THREAD_POLICY, now, e);
}

static int run_step(struct actuation *a, const struct step *s, struct error *e)
{
	const struct target t = target_of(s);

	(void)a;
	return set(&t, e);
}

struct search {
	const char *comm;
	unsigned pid;
};

static int match_comm(const char *name, void *userdata)
{
	_cleanup_(thread_done) struct thread thread = { 0 };
	struct search *search = userdata;
	char *end;
	unsigned long pid = strtoul(name, &end, 10);

	if (*end || read_thread((unsigned)pid, &thread) < 0 || !streq(thread.comm, search->comm))
		return 0;
	search->pid = (unsigned)pid;
	return 1;
}

/* By name: the pid it had is another thread's after a boot. */
int thread_restore(const struct original *o, struct error *e)
{
	struct search search = { .comm = o->target };
	struct target t = { .comm = o->target, .list = o->value };
	char *end;
	int r = root_each("/proc", match_comm, &search);

	if (r <= 0)
		return r < 0 ? error_set(e, r, "cannot list /proc: %s", strerror(-r)) : 0;
	t.pid = search.pid;
	t.cpus = o->kind == ORIGINAL_THREAD_CPUS;
	if (!t.cpus) {
		t.policy = (int)strtol(o->value, &end, 10);
		t.priority = (int)strtol(end, NULL, 10);
	}
	return set(&t, e);
}

const struct actuator actuator_thread = {
	.prepare = prepare,
	.run = run_step,
	.kernel = true,
};

/*
 * The threads of a guest: every task of its QEMU, and the kernel threads that work for it. Which of
 * them run vCPUs is what QEMU's monitor says, or else the names that QEMU gives its threads
 * ("CPU 0/KVM", with -name debug-threads=on for TCG too). Both are only QEMU's word, so they are
 * checked: one thread each, of this process, for one vCPU each. Otherwise vcpus_by is unreadable
 * and no thread is called a vCPU: pinning the wrong thread with a real-time priority is worse than
 * none.
 *
 * A task that ends between the listing and the reading was not there.
 */
#include "guest/observe_parts.h"

#include <errno.h>

#include "probes/threads.h"

/* Single-threaded TCG: one thread runs all vCPUs in turn. */
#define ALL_VCPUS "ALL CPUs/TCG"

static bool is_gone(int r)
{
	return r == -ENOENT || r == -ESRCH;
}

/* "vhost-PID", "kvm-pit/PID": the pid, or 0. */
static unsigned owner_in_name(const char *comm)
{
	const char *number = after_prefix(comm, "vhost-");
	unsigned long pid;
	char *end;

	if (!number)
		number = after_prefix(comm, "kvm-pit/");
	if (!number || *number < '1' || *number > '9')
		return 0;
	pid = strtoul(number, &end, 10);
	return *end || pid > INT32_MAX ? 0 : (unsigned)pid;
}

int guest_find_kthreads(const struct sysroot *root, struct arena *a, struct guest_kthread **ret,
			size_t *ret_n)
{
	_cleanup_free_ unsigned *pids = NULL;
	struct guest_kthread *found = NULL, *k;
	size_t n, n_found = 0;
	int r;

	r = sysroot_numbers(root, "/proc", "", "", &pids, &n);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		char path[64], comm[128];
		unsigned owner;
		ssize_t size;

		snprintf(path, sizeof(path), "/proc/%u/comm", pids[i]);
		size = sysroot_read_once(root, path, comm, sizeof(comm));
		if (size < 0 && !is_gone((int)size))
			return (int)size;
		if (size <= 0)
			continue;
		comm[strcspn(comm, "\n")] = '\0';
		owner = owner_in_name(comm);
		if (!owner)
			continue;
		k = arena_grow(a, &found, &n_found, sizeof(*k));
		if (!k)
			return -ENOMEM;
		*k = (struct guest_kthread){ .tid = pids[i], .owner = owner };
	}
	*ret = found;
	*ret_n = n_found;
	return 0;
}

/* With @kthread, only if it is a kernel thread: any process may call itself "vhost-1". */
static int add_task(const struct sysroot *root, const char *folder, unsigned tid, bool kthread,
		    struct arena *a, struct observed_guest *seen)
{
	struct observed_guest_thread *t;
	struct observed_thread thread;
	bool kernel;
	int r;

	r = probe_task(root, a, folder, tid, &thread, &kernel);
	if (r < 0)
		return is_gone(r) ? 0 : r;
	if (kthread && !kernel)
		return 0;
	t = arena_grow(a, &seen->threads, &seen->n_threads, sizeof(*t));
	if (!t)
		return -ENOMEM;
	*t = (struct observed_guest_thread){ .thread = thread, .vcpu = -1 };
	return 0;
}

static int add_tasks(const struct sysroot *root, const struct guest_kthread *kthreads,
		     size_t n_kthreads, struct arena *a, struct observed_guest *seen)
{
	_cleanup_free_ unsigned *tids = NULL;
	char folder[64];
	size_t n;
	int r;

	snprintf(folder, sizeof(folder), "/proc/%d/task", seen->pid);
	r = sysroot_numbers(root, folder, "", "", &tids, &n);
	for (size_t i = 0; r >= 0 && i < n; i++) {
		snprintf(folder, sizeof(folder), "/proc/%d/task/%u", seen->pid, tids[i]);
		r = add_task(root, folder, tids[i], false, a, seen);
	}
	for (size_t i = 0; r >= 0 && i < n_kthreads; i++) {
		if (kthreads[i].owner != (unsigned)seen->pid)
			continue;
		snprintf(folder, sizeof(folder), "/proc/%u", kthreads[i].tid);
		r = add_task(root, folder, kthreads[i].tid, true, a, seen);
	}
	return r;
}

static bool vcpu_taken(const struct observed_guest *seen, int vcpu)
{
	for (size_t i = 0; i < seen->n_threads; i++)
		if (seen->threads[i].vcpu == vcpu)
			return true;
	return false;
}

static int name_by_monitor(const struct guest_monitor *m, struct observed_guest *seen)
{
	for (size_t i = 0; i < m->n_vcpus; i++) {
		struct observed_guest_thread *t = NULL;

		for (size_t j = 0; j < seen->n_threads && !t; j++)
			if (seen->threads[j].thread.pid == m->vcpus[i].tid)
				t = &seen->threads[j];
		if (!t)
			return -EBADMSG;
		if (t->vcpu >= 0) /* two vCPUs in one thread */
			return -EOPNOTSUPP;
		if (vcpu_taken(seen, (int)m->vcpus[i].vcpu))
			return -EBADMSG;
		t->vcpu = (int)m->vcpus[i].vcpu;
	}
	return 0;
}

/* "CPU 3/KVM": 3; -1: another name. */
static int vcpu_in_name(const char *comm)
{
	const char *number = after_prefix(comm, "CPU ");
	unsigned long vcpu;
	char *end;

	if (!number || *number < '0' || *number > '9')
		return -1;
	vcpu = strtoul(number, &end, 10);
	return vcpu < 8192 && (streq(end, "/KVM") || streq(end, "/TCG")) ? (int)vcpu : -1;
}

static int name_by_comm(struct observed_guest *seen)
{
	size_t found = 0;

	for (size_t i = 0; i < seen->n_threads; i++) {
		struct observed_guest_thread *t = &seen->threads[i];
		int vcpu = vcpu_in_name(t->thread.comm);

		if (streq(t->thread.comm, ALL_VCPUS))
			return -EOPNOTSUPP;
		if (vcpu < 0)
			continue;
		if (vcpu_taken(seen, vcpu))
			return -EBADMSG;
		t->vcpu = vcpu;
		found++;
	}
	return found ? 0 : -ENODATA;
}

int guest_look_threads(const struct sysroot *root, const struct guest_monitor *monitor,
		       const struct guest_kthread *kthreads, size_t n_kthreads, struct arena *a,
		       struct observed_guest *seen)
{
	bool asked = monitor->result == 0;
	char path[64];
	int r;

	snprintf(path, sizeof(path), "/proc/%d/task", seen->pid);
	r = add_tasks(root, kthreads, n_kthreads, a, seen);
	if (r == 0)
		r = asked ? name_by_monitor(monitor, seen) : name_by_comm(seen);
	for (size_t i = 0; r < 0 && i < seen->n_threads; i++)
		seen->threads[i].vcpu = -1;
	seen->vcpus_by = sysroot_outcome(a, path, r, asked ? "qmp" : "thread names");
	return seen->vcpus_by.error == ENOMEM ? -ENOMEM : 0;
}

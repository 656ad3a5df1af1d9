/*
 * /proc/PID of kernel threads and of a few processes with names that a careless parser trips over:
 * one calls itself ksoftirqd/0 and is none.
 */
#include "tests/trees/tree_internal.h"

#define KTHREAD_BOUND \
	69238848UL	       /* PF_KTHREAD | PF_NO_SETAFFINITY and others, as seen on Linux 6.1 */
#define KTHREAD_FREE 2129984UL /* PF_KTHREAD */
#define PROCESS	     4194560UL

struct process {
	unsigned pid, parent;
	const char *comm;
	unsigned long flags;
	unsigned policy, priority;
	const char *allowed;
};

static void write_process(struct tree *t, const struct process *p)
{
	unsigned thread = p->parent == 2;
	char path[64];

	snprintf(path, sizeof(path), "proc/%u/stat", p->pid);
	tree_file(t, path,
		  "%u (%s) S %u %u %u 0 -1 %lu 0 0 0 0 0 7 0 0 %d 0 1 0 35 0 0 "
		  "18446744073709551615 0 0 0 0 0 0 0 2147483647 0 1 0 0 17 0 %u %u 0 0 0 0 0 0 0 "
		  "0 0 0 0\n",
		  p->pid, p->comm, p->parent, thread ? 0 : p->pid, thread ? 0 : p->pid, p->flags,
		  p->policy ? -1 - (int)p->priority : 20, p->priority, p->policy);
	snprintf(path, sizeof(path), "proc/%u/status", p->pid);
	tree_file(t, path,
		  "Name:\t%s\nUmask:\t0000\nState:\tS (sleeping)\nTgid:\t%u\nPid:\t%u\nPPid:\t%u\n"
		  "Uid:\t0\t0\t0\t0\nThreads:\t1\nCpus_allowed:\tff\nCpus_allowed_list:\t%s\n"
		  "Mems_allowed_list:\t0\n",
		  p->comm, p->pid, p->pid, p->parent, p->allowed);
}

static void write_thread(struct tree *t, unsigned *pid, const char *family, unsigned cpu,
			 unsigned priority, const char *allowed)
{
	char comm[32], one[16];

	snprintf(comm, sizeof(comm), "%s/%u", family, cpu);
	snprintf(one, sizeof(one), "%u", cpu);
	write_process(t, &(struct process){
				 .pid = (*pid)++,
				 .parent = 2,
				 .comm = comm,
				 .flags = allowed ? KTHREAD_FREE : KTHREAD_BOUND,
				 .policy = priority ? 1 : 0,
				 .priority = priority,
				 .allowed = allowed ? allowed : one,
			 });
}

/* What a CPU has of threads; the tuned ones have the priorities of `kthread_priority: realtime`. */
static void write_cpu_threads(struct tree *t, unsigned *pid, unsigned cpu, const char *housekeeping)
{
	bool rt = tree_booted(t->spec);
	bool tuned = tree_applied(t->spec) && cpuset_has(&t->cpus.isolated, cpu);

	write_thread(t, pid, "cpuhp", cpu, 0, NULL);
	write_thread(t, pid, "migration", cpu, 99, NULL);
	write_thread(t, pid, "ksoftirqd", cpu, tuned ? 2 : 0, NULL);
	if (rt) {
		write_thread(t, pid, "ktimers", cpu, tuned ? 2 : 1, NULL);
		write_thread(t, pid, "rcuc", cpu, tuned ? 4 : 1, NULL);
	}
	if (rt && tuned) {
		write_thread(t, pid, "rcuog", cpu, 1, housekeeping);
		write_thread(t, pid, "rcuop", cpu, 1, housekeeping);
	}
	write_thread(t, pid, "kworker", cpu, 0, NULL);
}

void tree_write_processes(struct tree *t)
{
	_cleanup_free_ char *all = cpuset_format_list(&t->cpus.online);
	_cleanup_free_ char *housekeeping = cpuset_format_list(&t->cpus.housekeeping);
	const struct process some[] = {
		{ .pid = 1, .comm = "systemd", .flags = PROCESS, .allowed = all },
		{ .pid = 2, .comm = "kthreadd", .flags = KTHREAD_FREE, .allowed = all },
		{ .pid = 14,
		  .parent = 2,
		  .comm = "rcu_preempt",
		  .flags = KTHREAD_FREE,
		  .policy = tree_booted(t->spec),
		  .priority = tree_booted(t->spec),
		  .allowed = all },
		{ .pid = 600,
		  .parent = 1,
		  .comm = "ksoftirqd/0",
		  .flags = PROCESS,
		  .allowed = all },
		{ .pid = 601, .parent = 1, .comm = "a) S (b", .flags = PROCESS, .allowed = all },
		{ .pid = 602, .parent = 1, .comm = "(sd-pam)", .flags = PROCESS, .allowed = all },
		{ .pid = TREE_IRQBALANCE_PID,
		  .parent = 1,
		  .comm = "irqbalance",
		  .flags = PROCESS,
		  .allowed = all },
	};
	unsigned pid = 1000;

	if (!all || !housekeeping)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(some); i++)
		if (t->spec->irqbalance || some[i].pid != TREE_IRQBALANCE_PID)
			write_process(t, &some[i]);
	if (tree_booted(t->spec))
		write_thread(t, &pid, "rcub", 0, 4, all);
	cpuset_for_each (cpu, &t->cpus.online)
		write_cpu_threads(t, &pid, (unsigned)cpu, housekeeping);
}

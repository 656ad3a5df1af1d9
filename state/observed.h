#pragma once
/*
 * What was seen of a machine: facts, each with the place it was read and how the reading went.
 * Filled by probes/observe.c (or by a test), never changed afterwards; judge and plan only read it.
 */
#include "state/arena.h"
#include "state/cpuset.h"

struct observed_guest;

enum fact_state {
	FACT_UNPROBED,	 /* nobody asked */
	FACT_KNOWN,	 /* text is what the kernel said */
	FACT_ABSENT,	 /* this kernel or machine has no such thing (ENOENT, ENODEV, ENOTDIR) */
	FACT_DENIED,	 /* EACCES, EPERM */
	FACT_UNREADABLE, /* any other errno, or garbage (EBADMSG) */
};

struct fact {
	enum fact_state state;
	int error;	  /* positive errno of FACT_DENIED and FACT_UNREADABLE */
	const char *path; /* where it was read, absolute inside the root: "/proc/cmdline" */
	const char *text; /* FACT_KNOWN: the content without its last newline; else NULL */
};

const char *fact_state_name(enum fact_state s);
static inline bool fact_known(const struct fact *f)
{
	return f && f->state == FACT_KNOWN;
}
/* Typed readings. -ENODATA: the fact is not known; -EBADMSG: known, but not of that kind. */
int fact_number(const struct fact *f, int64_t *ret);
int fact_list(const struct fact *f, unsigned n_cpus, struct cpuset *ret);
int fact_mask(const struct fact *f, struct cpuset *ret);
/* The fact as a person reads it: its text, or "absent", "denied", "unreadable: ...". */
const char *fact_show(struct arena *a, const struct fact *f);

/* Groups of facts that cost a walk; a setting's row names those it needs. */
enum fact_group {
	FACTS_IRQS = 1 << 0,
	FACTS_THREADS = 1 << 1, /* kernel threads ksoftirqd/, ktimers/, rcuc/, rcub/, rcuo* */
	FACTS_NODES = 1 << 2,	/* NUMA nodes, memory, huge page pools */
	FACTS_IOMMU = 1 << 3,
	FACTS_MOUNTS = 1 << 4, /* hugetlbfs mounts */
	FACTS_IRQBALANCE = 1 << 5,
	FACTS_PACKAGE = 1 << 6, /* is desired_package() installed */
};

struct observed_irq {
	unsigned number;
	const char *name; /* actions, as /proc/interrupts shows them; "" when none */
	struct fact
		effective; /* /proc/irq/N/effective_affinity_list; smp_affinity_list without it */
	struct fact requested;	 /* /proc/irq/N/smp_affinity_list */
	uint64_t fired_isolated; /* times it fired on the watched (isolated) CPUs since boot */
};

struct observed_thread {
	int pid;
	const char *comm; /* "ksoftirqd/3" */
	int policy;	  /* SCHED_OTHER 0, SCHED_FIFO 1, SCHED_RR 2, ... /proc/PID/stat field 41 */
	int priority;	  /* rt_priority, field 40 */
	struct fact allowed; /* Cpus_allowed_list; path is /proc/PID/status */
};

struct observed_pool {
	uint64_t size_kib;
	struct fact total; /* nodeN/hugepages/hugepages-SIZEkB/nr_hugepages */
	struct fact free;  /* .../free_hugepages */
};

struct observed_node {
	unsigned id;
	struct fact cpus;    /* cpulist */
	uint64_t memory_kib; /* MemTotal of node/nodeN/meminfo, 0 when unknown */
	struct observed_pool *pools;
	size_t n_pools;
};

struct observed_iommu_group {
	unsigned number;
	struct fact type; /* "identity", "DMA", "DMA-FQ", ... */
};

struct observed_mount {
	const char *target;
	uint64_t page_size_kib; /* 0: the default size */
};

/* A kernel under /boot that has a GRUB entry. */
struct observed_kernel {
	const char *version;  /* "6.1.0-56-rt-amd64" */
	const char *entry_id; /* GRUB path to its normal (not recovery) entry: "sub>entry" */
	struct fact config;   /* /boot/config-VERSION; text: only the CONFIG_ lines of settings.c's
				 list */
};

/* The boot configuration as GRUB will read it at the next boot (state/grub.h parses it). */
struct observed_boot {
	struct fact grub_cfg; /* text is NULL even when known: it is large, the rest is from it */
	struct fact grubenv;
	struct fact
		next_cmdline; /* arguments of the next boot's linux line, without the kernel path */
	struct fact next_kernel; /* version of that kernel, e.g. "6.1.0-56-rt-amd64" */
	const char *next_entry_id;
	struct fact drop_in;  /* our own /etc/default/grub.d file */
	struct fact *sources; /* /etc/default/grub and the other drop-ins, in the order sourced */
	size_t n_sources;
	struct observed_kernel *kernels;
	size_t n_kernels;
};

/* What the kernel refused in this boot: kept by the actuators in /run/latencyd/refusals.json. */
struct observed_refusal {
	const char *setting;
	const char *target; /* the step's target, e.g. "/proc/irq/24/smp_affinity_list" */
	const char *name;   /* IRQ name, or "" */
	int error;	    /* positive errno */
	const char *message;
};

struct observed {
	struct arena arena;
	unsigned groups; /* enum fact_group bits that were probed */

	struct fact kernel_release; /* /proc/sys/kernel/osrelease */
	struct fact kernel_version; /* /proc/sys/kernel/version */
	struct fact cmdline;	    /* /proc/cmdline */
	struct fact boot_id;	    /* /proc/sys/kernel/random/boot_id */
	struct fact cpu_possible, cpu_present, cpu_online,
		cpu_isolated; /* cpu/isolated; list text */
	struct fact cpuinfo;  /* first processor's block of /proc/cpuinfo */
	struct fact meminfo;  /* /proc/meminfo */

	/* The same, parsed; empty when the fact is not known. */
	unsigned n_cpus;			 /* largest possible CPU + 1, at least 1 */
	struct cpuset possible, present, online; /* freed by observed_done() */

	struct fact *files; /* every file the settings' rows name, sorted by path */
	size_t n_files;

	struct observed_irq *irqs; /* by number */
	size_t n_irqs;
	struct fact irqs_fact; /* how reading /proc/interrupts and listing /proc/irq went */
	struct observed_thread *threads;
	size_t n_threads;
	struct fact threads_fact; /* how listing /proc went */
	struct observed_node *nodes;
	size_t n_nodes;
	struct fact nodes_fact;
	struct observed_iommu_group *iommu_groups;
	size_t n_iommu_groups;
	struct fact iommu_fact; /* /sys/class/iommu: text is its names, blank separated */
	struct fact
		iommu_groups_fact; /* /sys/kernel/iommu_groups: known even when it has no group */
	struct fact acpi_dmar,
		acpi_ivrs; /* /sys/firmware/acpi/tables/...: known (text "") or absent */
	struct observed_mount *mounts;
	size_t n_mounts;
	struct fact mounts_fact;
	struct observed_boot boot;

	struct fact package; /* known: text is the installed version; absent: not installed */
	struct fact irqbalance_pid;	/* known: text is its pid; absent: it does not run */
	struct fact irqbalance_banned;	/* known: the CPUs it leaves alone, as a list */
	struct fact irqbalance_enabled; /* known: its unit is enabled (text: the link); absent: it
					   is not */

	struct observed_refusal *refusals;
	size_t n_refusals;

	/* Guests of the document, in its order: filled by guest/observe_guests.c; state/guest.h. */
	struct observed_guest *guests;
	size_t n_guests;
	struct fact kvm;	 /* known: KVM answers on /dev/kvm (text: API version) */
	struct fact vhost_vsock; /* known (text "") or absent: /dev/vhost-vsock */
	struct fact qemu;	 /* known (text "") or absent: /usr/bin/qemu-system-x86_64 */
	/* Our nftables table: known: its rules, one per line as guest/forward.h words them; absent:
	 * there is no such table. */
	struct fact forwards;
};

#define _cleanup_observed_ _cleanup_(observed_done)
void observed_done(struct observed *o);

/* The fact of a file that a row names, or NULL if no such file was probed. */
const struct fact *observed_file(const struct observed *o, const char *path);

/*
 * The facts whose path matches @pattern (`*` stands for a number, as in the row), one after the
 * other: start with *iter = 0; NULL at the end.
 */
const struct fact *observed_files_next(const struct observed *o, const char *pattern, size_t *iter);

/* Does @path match a row's pattern? `*` stands for one or more decimal digits, or for itself: a
 * folder that could not be listed is a fact under the path as far as it was resolved. */
bool file_pattern_match(const char *pattern, const char *path);

#pragma once
/*
 * The parts of a look at one guest. Each fills its own fields of @seen and returns 0 or -ENOMEM:
 * everything else that goes wrong is a fact.
 */
#include "probes/sysroot.h"
#include "state/guest.h"

/* monitor.c: what QEMU says of its vCPUs. */
struct guest_monitor {
	/* 0; -ENOTCONN: no socket is known; else why nothing is known. */
	int result;
	struct guest_monitor_vcpu {
		unsigned vcpu;
		int tid;
	} * vcpus;
	size_t n_vcpus;
	uint64_t memory_kib; /* the guest's base memory; 0: not known */
};

/* Asks the monitor at @socket (NULL: there is none); fills seen->cpu_model and *ret. */
int guest_ask_monitor(const char *socket, struct arena *a, struct observed_guest *seen,
		      struct guest_monitor *ret);

/* observe_guests.c: does its process have a virtual machine of KVM open? */
int guest_look_accel(const struct sysroot *root, struct arena *a, struct observed_guest *seen);

/* Kernel threads that work for a process: "vhost-PID", "kvm-pit/PID". */
struct guest_kthread {
	unsigned tid;
	unsigned owner;
};

/* threads.c: one walk over /proc. *ret in @a. 0 or negative errno. */
int guest_find_kthreads(const struct sysroot *root, struct arena *a, struct guest_kthread **ret,
			size_t *ret_n);
/* The tasks of seen->pid and those of @kthreads that work for it. */
int guest_look_threads(const struct sysroot *root, const struct guest_monitor *monitor,
		       const struct guest_kthread *kthreads, size_t n_kthreads, struct arena *a,
		       struct observed_guest *seen);

/* memory.c: memory_kib (0: not known) is the size of the guest's memory. */
int guest_look_memory(const struct sysroot *root, uint64_t memory_kib, struct arena *a,
		      struct observed_guest *seen);
/* The same of texts of /proc/PID/{maps,numa_maps,status}; -ENODATA: the guest's memory is not among
 * them, -EBADMSG, -ENOMEM. ret->nodes is malloc()ed; ret->fact is left alone. */
int guest_memory_parse(const char *maps, const char *numa_maps, const char *status,
		       uint64_t memory_kib, struct observed_guest_memory *ret);

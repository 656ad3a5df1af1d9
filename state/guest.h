#pragma once
/*
 * A guest: what the document wants of it, and what was seen of it. The same rules as for the host:
 * struct desired_guest is checked for form before anybody sees it, struct observed_guest is facts
 * that are never changed after the probing. What the guest itself says (its status) is text from a
 * hostile source until state/guest_status.c has read it.
 */
#include "state/desired.h"
#include "state/observed.h"

/* ---- wanted ---- */

enum guest_origin {
	GUEST_LAUNCH, /* latencyd runs its QEMU */
	GUEST_ADOPT,  /* somebody else does: judged and pinned, never started, stopped or restarted
		       */
};

enum guest_accel {
	GUEST_ACCEL_AUTO, /* KVM where /dev/kvm works, else TCG; status says which */
	GUEST_ACCEL_KVM,
	GUEST_ACCEL_TCG,
};

/* `launch:`. Either disk, or kernel (with or without initrd), or kernel and disk. */
struct desired_launch {
	const char *disk; /* absolute path of a qcow2 or raw image; NULL: none */
	const char *kernel, *initrd;
	const char *append; /* beside the arguments that the guest's own `state:` composes */
	uint64_t memory_kib;
	uint64_t page_size_kib; /* huge pages that back the memory; 0: ordinary pages */
	int node;		/* NUMA node that the memory is bound to; -1: not bound */
	enum guest_accel accel;
	const char *tap; /* `network: {tap: NAME}`: an existing tap interface; NULL: QEMU's own */
	bool no_network; /* `network: none` */
	struct mark disk_at, kernel_at, memory_at;
};

/* `adopt:`. One of domain (QEMU's -name) and pid_file. */
struct desired_adopt {
	const char *domain;
	const char *pid_file;
	const char *qmp;     /* a QMP socket that is free for us, or NULL: threads by their names */
	const char *channel; /* host's socket of the port org.latencyd1.0, or NULL: none */
};

#define VCPU_PRIORITY_DEFAULT 1
struct desired_vcpu {
	unsigned cpu;	   /* the host CPU it is pinned to */
	unsigned priority; /* SCHED_FIFO 1 to 98; 0: SCHED_OTHER, for hosts that share their CPUs */
	struct mark at;
};

/* `ssh:`: host_port of the host leads to the guest's port 22, for these sources only. */
struct desired_ssh {
	unsigned host_port;	   /* 0: none */
	const char *guest_address; /* needed unless QEMU's own network forwards; or NULL */
	const char **from; /* IPv4/IPv6 addresses or networks; without guest_address: 127.0.0.0/8 */
	size_t n_from;
	struct mark at;
};

struct desired_guest {
	const char
		*name; /* letters, digits, '-', '_', '.'; at most 40: a part of paths and units */
	struct mark at;
	enum guest_origin origin;
	struct desired_launch launch;
	struct desired_adopt adopt;
	struct desired_vcpu *vcpus; /* in the order of the guest's CPU numbers */
	size_t n_vcpus;
	struct cpuset emulator; /* CPUs of every other thread; empty: the housekeeping CPUs */
	struct desired_ssh ssh;
	/* The guest's own state, role ROLE_GUEST, parsed from `state:`; NULL without one: the guest
	 * is only pinned. Owned. */
	struct desired *state;
	/* The document that the guest is given (YAML text, in the host's arena) and its digest, as
	 * struct desired has it; NULL without `state:`. */
	const char *document;
	const char *digest;
};

/* The guest of that name, or NULL. */
const struct desired_guest *desired_guest(const struct desired *d, const char *name);
/* Does the host give this guest its kernel, and so its boot arguments? */
bool guest_boots_from_host(const struct desired_guest *g);
/*
 * The guest's kernel command line as its `state:` wants it, composed on the host from the rows'
 * intents: "console=ttyS0 <append> isolcpus=...". In @a; NULL: out of memory. A key in `append`
 * that the state also wants is refused when the document is parsed.
 */
const char *guest_boot_arguments(const struct desired_guest *g, struct arena *a);

/* Frees what the guests own; called by desired_done(). */
void desired_guests_done(struct desired *d);

/* ---- seen ---- */

struct observed_guest_thread {
	struct observed_thread
		thread; /* pid is the tid; allowed.path is /proc/PID/task/TID/status */
	int vcpu;	/* the guest's CPU number; -1: emulator, I/O, worker */
};

/* Memory of the process, from numa_maps and smaps (Documentation/filesystems/proc.rst). */
struct observed_guest_memory {
	struct fact fact;	/* how reading went; path /proc/PID/numa_maps */
	uint64_t page_size_kib; /* pages of the guest's memory; 0: ordinary or not found */
	uint64_t total_kib;	/* of the guest's memory that is present */
	struct cpuset nodes;	/* NUMA nodes it lies on; freed by observed_done() */
	uint64_t locked_kib; /* VmLck of /proc/PID/status and huge pages, which are never swapped */
};

struct observed_guest {
	const char *name;
	struct fact process;	/* known: text is the pid; absent: it does not run */
	int pid;		/* 0: not running */
	const char *exit_words; /* not running: the end of what QEMU last printed, or NULL */
	struct fact argv;	/* /proc/PID/cmdline, blank separated */
	struct fact accel;	/* "kvm" or "tcg" */
	struct fact cpu_model;	/* known: "tsc-deadline invtsc" as far as the vCPU has them */
	struct fact vcpus_by; /* known: "qmp" or "thread names": how vCPU threads were told apart */
	struct observed_guest_thread *threads;
	size_t n_threads;
	struct observed_guest_memory memory;
	/*
	 * The channel. known: its text is the guest's status object (JSON, untrusted, bounded in
	 * size); absent: this guest has no channel; unreadable: it did not answer or broke a bound;
	 * channel_trouble says what in words. path: "vsock:CID" or the socket's path.
	 */
	struct fact channel;
	const char *channel_trouble;
	bool was_verified; /* since its QEMU started, by the daemon's own mark in /run */
};

const struct observed_guest *observed_guest(const struct observed *o, const char *name);
void observed_guests_done(struct observed *o);

/* ---- rows ---- */

/*
 * A guest's outer settings, as its host sees them. Same type as the host's rows: parse and intent
 * are absent, `value` is the const struct desired_guest *, and the row finds what was seen with
 * observed_guest(). The guest's inner settings are settings[] as the guest itself judged them.
 */
extern const struct setting *const guest_settings[];
extern const size_t n_guest_settings;

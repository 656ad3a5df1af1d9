#pragma once
/*
 * A simulated machine: what a kernel, its boot loader and its programs would do with the steps of a
 * plan, without either. `struct observed` is rendered from it, so judge and plan see it as they see
 * a real one. Everything a sim owns lives in its arena.
 */
#include "state/arena.h"
#include "state/cpuset.h"
#include "state/observed.h"
#include "state/plan.h"

/* xorshift64*: the same seed gives the same machine everywhere. */
struct rng {
	uint64_t state;
};
uint64_t rng_next(struct rng *r);
unsigned rng_below(struct rng *r, unsigned n); /* 0 to n - 1; 0 for n == 0 */
bool rng_percent(struct rng *r, unsigned percent);

#define SIM_KERNELS 4
#define SIM_NODES   8
#define SIM_FAULTS  2

struct sim_kernel {
	const char *version;
	bool rt, nohz_full, nocb;
	bool config_hidden; /* its /boot/config cannot be read */
};

enum { SIM_2M, SIM_1G, SIM_SIZES };
extern const uint64_t sim_sizes_kib[SIM_SIZES];

struct sim_node {
	unsigned id;
	struct cpuset cpus;
	uint64_t memory_kib;
	bool has_pools;
	uint64_t pages[SIM_SIZES];
	uint64_t runtime_limit_kib; /* of what the run-time allocator finds in one piece */
};

struct sim_irq {
	unsigned number;
	const char *name;
	bool managed, empty, no_effective, no_vectors;
	struct cpuset requested, effective;
};

struct sim_thread {
	int pid;
	const char *comm;
	int policy, priority;
	struct cpuset allowed;
	bool bound; /* refuses another affinity */
};

struct sim_fault {
	const char *path;
	enum fact_state state;
	int error;
};

struct sim {
	struct rng rng;
	struct arena arena;

	struct cpuset possible, present, online;
	unsigned n_cpus;

	/* Boot. The files, then what update-grub made of them, then what runs. */
	struct sim_kernel kernels[SIM_KERNELS], package_kernel;
	size_t n_kernels, running;
	const char *package; /* its name in the repository; NULL: there is none */
	bool package_installed;
	const char *admin_text; /* /etc/default/grub */
	const char *admin_args; /* what its variables come to */
	const char *drop_in;	/* ours, or NULL */
	const char *next_cmdline;
	size_t next_kernel;
	bool next_pinned; /* by its own entry, not by the version sort */
	bool grub_breaks; /* update-grub fails */
	const char *cmdline;

	/* What the running kernel made of its command line. */
	struct cpuset isolated, nohz_full;
	bool mce_on;
	const char *clocksource;
	bool tsc_offered, tsc_invariant;
	struct {
		const char *path;
		long value, at_boot;
		bool absent, read_only;
	} knobs[8];
	size_t n_knobs;
	bool debugfs_denied, debugfs_absent;
	long fair_server;
	bool has_ignore_ce;
	long ignore_ce_value;
	unsigned n_cstates;		/* 0: no cpuidle */
	unsigned char *cstate_disabled; /* by CPU, then state */
	bool iommu_table, iommu_amd, iommu_stubborn, iommu_on, iommu_identity;
	unsigned n_iommu_groups;

	struct sim_node nodes[SIM_NODES];
	size_t n_nodes;
	bool has_1g;
	uint64_t default_size_kib;
	bool mounted[SIM_SIZES];

	struct sim_irq *irqs;
	size_t n_irqs;
	struct cpuset default_affinity;
	struct sim_thread *threads;
	size_t n_threads;
	bool balancer_running, balancer_enabled;
	struct cpuset banned;

	struct observed_refusal *refusals;
	size_t n_refusals;

	struct sim_fault faults[SIM_FAULTS];
	size_t n_faults;
	unsigned n_boots, n_writes;
};

void sim_done(struct sim *s);

/* The machine as the probes would see it. */
void sim_observe(struct sim *s, struct observed *ret);
/* Carries out every step but STEP_REBOOT; what the kernel refuses becomes a refusal record. */
void sim_execute(struct sim *s, const struct plan *p);
void sim_update_grub(struct sim *s);
/* The next boot's entry becomes the running one; run-time values fall back to the defaults. */
void sim_reboot(struct sim *s);
/* Threads, IRQ places and pools of a freshly booted kernel: sim_reboot() and the generator. */
void sim_boot_runtime(struct sim *s);

/* Every fact of @o, for tests that break them one by one; NULL at the end. */
struct fact *sim_fact(struct observed *o, size_t i);
/* Makes @f not known; the parsed CPU sets follow. */
void sim_break_fact(struct observed *o, struct fact *f, enum fact_state state, int error);
/* The same for every fact that was read at that path. */
void sim_break_path(struct observed *o, const char *path, enum fact_state state, int error);

#pragma once
/*
 * Random documents about guests, and simulated guests: what QEMU, the kernel and the latencyd
 * inside would do with the steps of a plan. Everything a sim owns lives in its arena.
 */
#include "state/guest.h"
#include "tests/property/sim.h"

#define CPUS	    16
#define ALL_CPUS    0xffffU
#define GUESTS_MAX  4
#define THREADS_MAX 12

struct sim_guest_thread {
	int pid, vcpu, policy, priority;
	unsigned cpus; /* bits */
};

enum inner { INNER_CONVERGED, INNER_DRIFTED, INNER_PENDING };

struct sim_guest {
	const struct desired_guest *want;
	bool running, was_verified;
	const char *argv;
	bool kvm;
	struct sim_guest_thread threads[THREADS_MAX];
	size_t n_threads;
	int next_pid;
	uint64_t page_kib, memory_kib, locked_kib;
	unsigned node;
	bool mute, no_channel; /* there is no latencyd in it; it has no channel */
	unsigned booting;      /* looks until it answers */
	const char *digest;
	enum inner inner;
};

struct guests_sim {
	uint64_t seed;
	struct rng rng;
	struct arena arena;
	struct desired d;
	struct observed machine; /* what stays the same at every look */
	struct sim_guest guests[GUESTS_MAX];
	size_t n;
	bool kvm, vsock, qemu;
	enum fact_state forwards_state;
	const char *forwards;
	const char *document;
	const char *complaint; /* what a plan did that is not its own to do, or NULL */
};

/* A machine and the text of a document, from one seed, into the zeroed @run. */
void guests_gen(struct guests_sim *run, uint64_t seed);
/* The guests and the forwards of run->d, as somebody left them. */
void guests_gen_seen(struct guests_sim *run);
void guests_done(struct guests_sim *run);

bool guest_answers(const struct sim_guest *g);
const char *guest_status_text(struct arena *a, const struct sim_guest *g, const char *digest);
/* The machine as the probes would see it; borrows from @run, @guests and @a. */
void guests_observe(const struct guests_sim *run, struct arena *a,
		    struct observed_guest guests[GUESTS_MAX], struct observed *ret);

/* Carries out every step; run->complaint says what none of ours may do. */
void guests_execute(struct guests_sim *run, const struct plan *p);
/* Time passes: guests boot. False when none was booting. */
bool guests_wait(struct guests_sim *run);

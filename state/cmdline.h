#pragma once
/*
 * The kernel command line as data. Rules: Linux lib/cmdline.c (next_arg: double quotes protect
 * blanks, `-` and `_` are the same in a key), init/main.c (everything after ` -- ` is init's).
 */
#include "state/arena.h"
#include "state/cpuset.h"

struct cmdline_arg {
	const char *key;   /* as written */
	const char *value; /* unquoted; NULL for a bare flag; "" for `key=` */
};

/* All arguments in order; `--` and what follows it too, though no function below but
 * cmdline_format() looks there. */
struct cmdline {
	struct arena arena;
	struct cmdline_arg *args;
	size_t n_args;
};

#define _cleanup_cmdline_ _cleanup_(cmdline_done)

void cmdline_done(struct cmdline *c);
/* *ret is overwritten on success. -ENOMEM; -EINVAL for an unbalanced quote. */
int cmdline_parse(const char *text, struct cmdline *ret);

/* Keys compare as the kernel compares them: `-` equals `_`. */
bool cmdline_key_equal(const char *a, const char *b);

/* The argument that wins (the last of that key), or NULL. */
const struct cmdline_arg *cmdline_get(const struct cmdline *c, const char *key);
size_t cmdline_count(const struct cmdline *c, const char *key);

/* Copies. -EINVAL for what no quoting can express; -ENOMEM. */
int cmdline_append(struct cmdline *c, const char *key, const char *value);
/* Removes every argument of that key; returns how many. */
size_t cmdline_remove(struct cmdline *c, const char *key);

/* malloc()ed text; values with blanks come out double-quoted. parse(format(c)) equals c. */
char *cmdline_format(const struct cmdline *c);

/*
 * How the values of one key are compared and whether repeated keys accumulate. The table of known
 * keys is in cmdline.c; an unknown key is CMDLINE_TEXT.
 */
enum cmdline_kind {
	CMDLINE_TEXT,	  /* string equality, last wins */
	CMDLINE_CPUS,	  /* nohz_full=, rcu_nocbs=, irqaffinity=: a cpulist */
	CMDLINE_FLAGCPUS, /* isolcpus=: flags before the list; flags and list compare as sets */
	CMDLINE_POOL,	  /* hugepagesz=/hugepages= pairs accumulate, in order */
};
enum cmdline_kind cmdline_kind(const char *key);

/* Semantic equality of two values of @key (NULL is a bare flag). @n_cpus as in cpuset_parse_list.
 */
bool cmdline_value_equal(const char *key, const char *a, const char *b, unsigned n_cpus);

/* isolcpus= split: *ret_flags is a bit set of enum isolcpus_flag. Without flags the kernel means
 * ISOLCPUS_DOMAIN (kernel/sched/isolation.c). -EINVAL for an unknown flag or list. */
enum isolcpus_flag {
	ISOLCPUS_DOMAIN = 1 << 0,
	ISOLCPUS_MANAGED_IRQ = 1 << 1,
	ISOLCPUS_NOHZ = 1 << 2,
};
int cmdline_parse_isolcpus(const char *value, unsigned n_cpus, unsigned *ret_flags,
			   struct cpuset *ret_cpus);

/*
 * The huge page pools a command line asks for: pairs in order; a `hugepages=` before any
 * `hugepagesz=` belongs to the default size. nodes[] for `hugepages=0:4,1:2`. What the kernel
 * ignores (a second count for a size, a count after a size that is none) is left out.
 */
struct hugepage_request {
	uint64_t size_kib; /* 0: the default size, when default_hugepagesz= does not say it */
	uint64_t count;	   /* total, or 0 when per node */
	struct {
		unsigned node;
		uint64_t count;
	} * nodes;
	size_t n_nodes;
};
/* -ENOMEM only. */
int cmdline_hugepages(const struct cmdline *c, struct arena *a, struct hugepage_request **ret,
		      size_t *ret_n);

/* "1G", "2M", "2048k", "1024" (bytes as the kernel's memparse) to KiB. -EINVAL. */
int parse_size_kib(const char *text, uint64_t *ret_kib);
/* KiB to the shortest kernel form ("1G", "2M", "64K"), into the arena. */
char *format_size_kib(struct arena *a, uint64_t kib);

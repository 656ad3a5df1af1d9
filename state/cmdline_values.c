/*
 * What the values of the arguments we know mean, so that two spellings of the same thing compare
 * equal and what the kernel would ignore is not taken for granted. One table says how each key is
 * compared; the parsers below it follow the kernel's handler of that argument.
 */
#include "state/cmdline.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdint.h>

static bool size_equal(const char *a, const char *b);
static bool pages_equal(const char *a, const char *b);

static const struct {
	const char *key;
	enum cmdline_kind kind;
	bool (*equal)(const char *a, const char *b); /* for values that are not about CPUs */
} known_keys[] = {
	{ .key = "isolcpus", .kind = CMDLINE_FLAGCPUS },
	{ .key = "nohz_full", .kind = CMDLINE_CPUS },
	{ .key = "rcu_nocbs", .kind = CMDLINE_CPUS },
	{ .key = "irqaffinity", .kind = CMDLINE_CPUS },
	{ .key = "hugepagesz", .kind = CMDLINE_POOL, .equal = size_equal },
	{ .key = "hugepages", .kind = CMDLINE_POOL, .equal = pages_equal },
	{ .key = "default_hugepagesz", .kind = CMDLINE_TEXT, .equal = size_equal },
};

enum cmdline_kind cmdline_kind(const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(known_keys); i++)
		if (cmdline_key_equal(known_keys[i].key, key))
			return known_keys[i].kind;
	return CMDLINE_TEXT;
}

/* kernel/sched/isolation.c housekeeping_isolcpus_setup(): flags as long as letters come. */
int cmdline_parse_isolcpus(const char *value, unsigned n_cpus, unsigned *ret_flags,
			   struct cpuset *ret_cpus)
{
	static const struct {
		const char *name;
		unsigned flag;
	} names[] = {
		{ "domain,", ISOLCPUS_DOMAIN },
		{ "managed_irq,", ISOLCPUS_MANAGED_IRQ },
		{ "nohz,", ISOLCPUS_NOHZ },
	};
	unsigned flags = 0;
	int r;

	if (!value)
		return -EINVAL;
	/* A list cannot begin with `N` or `all` here: the kernel takes the letters for a flag. */
	while (isalpha((unsigned char)*value)) {
		const char *rest = NULL;

		for (size_t i = 0; i < ARRAY_SIZE(names) && !rest; i++) {
			rest = after_prefix(value, names[i].name);
			if (rest)
				flags |= names[i].flag;
		}
		if (!rest)
			return -EINVAL;
		value = rest;
	}
	r = cpuset_parse_list(value, n_cpus, ret_cpus);
	if (r < 0)
		return r;
	*ret_flags = flags ? flags : ISOLCPUS_DOMAIN;
	return 0;
}

static bool isolcpus_equal(const char *a, const char *b, unsigned n_cpus)
{
	_cleanup_cpuset_ struct cpuset x = { 0 }, y = { 0 };
	unsigned flags_x, flags_y;

	return cmdline_parse_isolcpus(a, n_cpus, &flags_x, &x) == 0 &&
	       cmdline_parse_isolcpus(b, n_cpus, &flags_y, &y) == 0 && flags_x == flags_y &&
	       cpuset_equal(&x, &y);
}

static bool list_equal(const char *a, const char *b, unsigned n_cpus)
{
	_cleanup_cpuset_ struct cpuset x = { 0 }, y = { 0 };

	return cpuset_parse_list(a, n_cpus, &x) == 0 && cpuset_parse_list(b, n_cpus, &y) == 0 &&
	       cpuset_equal(&x, &y);
}

static bool size_equal(const char *a, const char *b)
{
	uint64_t x, y;

	return parse_size_kib(a, &x) == 0 && parse_size_kib(b, &y) == 0 && x == y;
}

bool cmdline_value_equal(const char *key, const char *a, const char *b, unsigned n_cpus)
{
	if (!a || !b)
		return !a && !b;
	if (streq(a, b))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(known_keys); i++) {
		if (!cmdline_key_equal(known_keys[i].key, key))
			continue;
		if (known_keys[i].kind == CMDLINE_FLAGCPUS)
			return isolcpus_equal(a, b, n_cpus);
		if (known_keys[i].kind == CMDLINE_CPUS)
			return list_equal(a, b, n_cpus);
		return known_keys[i].equal(a, b);
	}
	return false;
}

static int parse_decimal(const char **p, uint64_t *ret)
{
	uint64_t n = 0;

	if (!isdigit((unsigned char)**p))
		return -EINVAL;
	for (; isdigit((unsigned char)**p); (*p)++)
		if (__builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(**p - '0'), &n))
			return -EINVAL;
	*ret = n;
	return 0;
}

/* `4`, or `0:4,1:2`: mm/hugetlb.c hugepages_setup(). */
static int parse_pages(const char *p, struct arena *a, struct hugepage_request *req)
{
	uint64_t n;
	int r;

	r = parse_decimal(&p, &n);
	if (r < 0)
		return r;
	if (*p == '\0') {
		req->count = n;
		return 0;
	}
	for (;;) {
		size_t at = req->n_nodes;

		if (*p++ != ':' || n > CPUSET_MAX)
			return -EINVAL;
		if (!arena_grow(a, &req->nodes, &req->n_nodes, sizeof(*req->nodes)))
			return -ENOMEM;
		req->nodes[at].node = (unsigned)n;
		r = parse_decimal(&p, &req->nodes[at].count);
		if (r < 0 || *p == '\0')
			return r;
		if (*p++ != ',')
			return -EINVAL;
		r = parse_decimal(&p, &n);
		if (r < 0)
			return r;
	}
}

static bool pages_equal(const char *a, const char *b)
{
	_cleanup_(arena_free) struct arena arena = { 0 };
	struct hugepage_request x = { 0 }, y = { 0 };

	if (parse_pages(a, &arena, &x) < 0 || parse_pages(b, &arena, &y) < 0)
		return false;
	if (x.count != y.count || x.n_nodes != y.n_nodes)
		return false;
	for (size_t i = 0; i < x.n_nodes; i++)
		if (x.nodes[i].node != y.nodes[i].node || x.nodes[i].count != y.nodes[i].count)
			return false;
	return true;
}

/*
 * What mm/hugetlb.c carries from one argument to the next: the size that a hugepages= belongs to.
 * It ignores (with a line in the log) a size given twice, a count after an ignored size, and a
 * second count for the same size; so these are no requests.
 */
struct pool_state {
	uint64_t size_kib; /* 0: the architecture's default */
	bool size_valid;
	bool counted; /* size_kib has its count */
};

static bool size_requested(const struct hugepage_request *reqs, size_t n, uint64_t size_kib)
{
	for (size_t i = 0; i < n; i++)
		if (reqs[i].size_kib == size_kib)
			return true;
	return false;
}

static void pool_size(struct pool_state *s, const char *value, const struct hugepage_request *reqs,
		      size_t n)
{
	uint64_t kib;

	s->size_valid =
		value && parse_size_kib(value, &kib) == 0 && kib && !size_requested(reqs, n, kib);
	if (!s->size_valid)
		return;
	s->size_kib = kib;
	s->counted = false;
}

static int pool_count(struct pool_state *s, const char *value, struct arena *a,
		      struct hugepage_request **reqs, size_t *n)
{
	struct hugepage_request req = { .size_kib = s->size_kib }, *new;
	int r;

	if (!s->size_valid) {
		s->size_valid = true;
		return 0;
	}
	if (s->counted || !value)
		return 0;
	r = parse_pages(value, a, &req);
	if (r < 0)
		return r == -EINVAL ? 0 : r;
	new = arena_grow(a, reqs, n, sizeof(**reqs));
	if (!new)
		return -ENOMEM;
	*new = req;
	s->counted = true;
	return 0;
}

/* The first default_hugepagesz= that is a size is the one that counts; 0 without one. */
static uint64_t default_size_kib(const struct cmdline_arg *args, size_t n)
{
	uint64_t kib;

	for (size_t i = 0; i < n; i++)
		if (cmdline_key_equal(args[i].key, "default_hugepagesz") && args[i].value &&
		    parse_size_kib(args[i].value, &kib) == 0)
			return kib;
	return 0;
}

int cmdline_hugepages(const struct cmdline *c, struct arena *a, struct hugepage_request **ret,
		      size_t *ret_n)
{
	struct pool_state state = { .size_valid = true };
	struct hugepage_request *reqs = NULL;
	size_t n = 0, n_args = 0;
	int r;

	while (n_args < c->n_args && (c->args[n_args].value || !streq(c->args[n_args].key, "--")))
		n_args++;
	state.size_kib = default_size_kib(c->args, n_args);
	for (size_t i = 0; i < n_args; i++) {
		const struct cmdline_arg *arg = &c->args[i];

		if (cmdline_key_equal(arg->key, "hugepagesz") ||
		    cmdline_key_equal(arg->key, "default_hugepagesz")) {
			pool_size(&state, arg->value, reqs, n);
		} else if (cmdline_key_equal(arg->key, "hugepages")) {
			r = pool_count(&state, arg->value, a, &reqs, &n);
			if (r < 0)
				return r;
		}
	}
	*ret = reqs;
	*ret_n = n;
	return 0;
}

int parse_size_kib(const char *text, uint64_t *ret_kib)
{
	static const char units[] = "KMGTPE";
	const char *unit, *p = text;
	uint64_t n;

	if (parse_decimal(&p, &n) < 0)
		return -EINVAL;
	if (*p == '\0') {
		if (n % 1024)
			return -EINVAL;
		*ret_kib = n / 1024;
		return 0;
	}
	unit = strchr(units, toupper((unsigned char)*p));
	if (!unit || p[1] != '\0')
		return -EINVAL;
	if (__builtin_mul_overflow(n, UINT64_C(1) << 10 * (unit - units), &n))
		return -EINVAL;
	*ret_kib = n;
	return 0;
}

char *format_size_kib(struct arena *a, uint64_t kib)
{
	static const char units[] = "KMGTPE";
	size_t unit = 0;

	while (kib && kib % 1024 == 0 && unit + 1 < sizeof(units) - 1) {
		kib /= 1024;
		unit++;
	}
	return arena_printf(a, "%" PRIu64 "%c", kib, units[unit]);
}

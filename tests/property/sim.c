/*
 * The simulated machine's model: booting, and carrying out steps. Rules are the kernel's: a managed
 * IRQ refuses to be moved, huge pages come only as far as memory goes, run-time values are lost
 * with a reboot. Rendering it as facts is in sim_observe.c.
 */
#include "tests/property/sim.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <sched.h>

#include "state/cmdline.h"
#include "state/settings.h"

const uint64_t sim_sizes_kib[SIM_SIZES] = { 2048, 1048576 };

uint64_t rng_next(struct rng *r)
{
	r->state ^= r->state >> 12;
	r->state ^= r->state << 25;
	r->state ^= r->state >> 27;
	return r->state * UINT64_C(2685821657736338717);
}

unsigned rng_below(struct rng *r, unsigned n)
{
	return n ? (unsigned)((rng_next(r) >> 33) % n) : 0;
}

bool rng_percent(struct rng *r, unsigned percent)
{
	return rng_below(r, 100) < percent;
}

static void free_irqs(struct sim *s)
{
	for (size_t i = 0; i < s->n_irqs; i++) {
		cpuset_done(&s->irqs[i].requested);
		cpuset_done(&s->irqs[i].effective);
	}
}

static void free_threads(struct sim *s)
{
	for (size_t i = 0; i < s->n_threads; i++)
		cpuset_done(&s->threads[i].allowed);
	s->n_threads = 0;
	s->threads = NULL;
}

void sim_done(struct sim *s)
{
	free_irqs(s);
	free_threads(s);
	for (size_t i = 0; i < s->n_nodes; i++)
		cpuset_done(&s->nodes[i].cpus);
	cpuset_done(&s->possible);
	cpuset_done(&s->present);
	cpuset_done(&s->online);
	cpuset_done(&s->isolated);
	cpuset_done(&s->nohz_full);
	cpuset_done(&s->default_affinity);
	cpuset_done(&s->banned);
	arena_free(&s->arena);
	*s = (struct sim){ 0 };
}

static void set_copy(struct cpuset *to, const struct cpuset *from)
{
	cpuset_done(to);
	assert(cpuset_copy(to, from) == 0);
}

static void set_parse(struct cpuset *to, const char *list)
{
	struct cpuset parsed;

	assert(cpuset_parse_list(list, 0, &parsed) == 0);
	cpuset_done(to);
	*to = parsed;
}

/* The kernel that has the highest version: what GRUB takes when nobody pins one. */
static size_t newest_kernel(const struct sim *s)
{
	size_t best = 0;

	for (size_t i = 1; i < s->n_kernels; i++)
		if (strverscmp(s->kernels[i].version, s->kernels[best].version) > 0)
			best = i;
	return best;
}

void sim_update_grub(struct sim *s)
{
	_cleanup_cmdline_ struct cmdline ours = { 0 };
	_cleanup_free_ char *text = NULL;
	struct arena scratch = { 0 };
	const char *pinned = NULL;

	assert(boot_drop_in_parse(s->drop_in ? s->drop_in : "", &ours, &scratch, &pinned) == 0);
	text = cmdline_format(&ours);
	s->next_cmdline = arena_printf(&s->arena, "root=UUID=0-1 ro %s %s", s->admin_args, text);
	s->next_kernel = newest_kernel(s);
	s->next_pinned = false;
	for (size_t i = 0; pinned && i < s->n_kernels; i++) {
		if (!streq(strrchr(pinned, '>') + 1, s->kernels[i].version))
			continue;
		s->next_kernel = i;
		s->next_pinned = true;
	}
	arena_free(&scratch);
}

static struct cpuset cpus_of(const struct sim *s, const struct cmdline *c, const char *key)
{
	const struct cmdline_arg *arg = cmdline_get(c, key);
	struct cpuset set = { 0 };

	if (arg && arg->value)
		(void)cpuset_parse_list(arg->value, s->n_cpus, &set);
	cpuset_and(&set, &s->possible);
	return set;
}

static void add_thread(struct sim *s, const char *family, long number, const struct cpuset *allowed,
		       bool bound)
{
	struct sim_thread *t = arena_grow(&s->arena, &s->threads, &s->n_threads, sizeof(*t));

	*t = (struct sim_thread){
		.pid = (int)(10 + s->n_threads),
		.comm = arena_printf(&s->arena, "%s/%ld", family, number),
		.policy = SCHED_OTHER,
		.bound = bound,
	};
	set_copy(&t->allowed, allowed);
}

static void start_threads(struct sim *s, const struct cmdline *c)
{
	const struct sim_kernel *k = &s->kernels[s->running];
	_cleanup_cpuset_ struct cpuset nocbs = cpus_of(s, c, "rcu_nocbs");
	_cleanup_cpuset_ struct cpuset allowed = { 0 };

	free_threads(s);
	if (k->nocb && k->nohz_full)
		assert(cpuset_or(&nocbs, &s->nohz_full) == 0);
	set_copy(&allowed, &s->possible);
	if (rng_percent(&s->rng, 50))
		cpuset_andnot(&allowed, &s->nohz_full);
	cpuset_for_each (cpu, &s->online) {
		_cleanup_cpuset_ struct cpuset own = { 0 };

		assert(cpuset_add(&own, (unsigned)cpu) == 0);
		add_thread(s, "ksoftirqd", cpu, &own, true);
		if (k->rt) {
			add_thread(s, "rcuc", cpu, &own, true);
			add_thread(s, "ktimers", cpu, &own, true);
		}
		if (k->nocb && cpuset_has(&nocbs, (unsigned)cpu))
			add_thread(s, k->rt ? "rcuop" : "rcuos", cpu, &allowed, false);
	}
	if (k->rt)
		add_thread(s, "rcub", 0, &s->possible, false);
	if (k->nocb && !cpuset_empty(&nocbs))
		add_thread(s, "rcuog", cpuset_next(&nocbs, 0), &allowed, false);
}

/* One or two random CPUs of @from that are online; of all online ones when there is none. */
static void draw_cpus(struct sim *s, const struct cpuset *from, struct cpuset *ret)
{
	_cleanup_cpuset_ struct cpuset pool = { 0 };
	long cpu;

	set_copy(&pool, from);
	cpuset_and(&pool, &s->online);
	if (cpuset_empty(&pool))
		set_copy(&pool, &s->online);
	cpuset_done(ret);
	*ret = (struct cpuset){ 0 };
	cpu = cpuset_next(&pool, rng_below(&s->rng, s->n_cpus));
	if (cpu < 0)
		cpu = cpuset_next(&pool, 0);
	assert(cpuset_add(ret, (unsigned)cpu) == 0);
}

static void place_irqs(struct sim *s, const struct cmdline *c)
{
	_cleanup_cpuset_ struct cpuset given = cpus_of(s, c, "irqaffinity");

	if (cpuset_empty(&given))
		set_copy(&given, &s->possible);
	set_copy(&s->default_affinity, &given);
	for (size_t i = 0; i < s->n_irqs; i++) {
		struct sim_irq *irq = &s->irqs[i];

		if (irq->managed)
			draw_cpus(s, &s->possible, &irq->requested);
		else
			set_copy(&irq->requested, &given);
		if (irq->empty) {
			cpuset_done(&irq->effective);
			irq->effective = (struct cpuset){ 0 };
		} else if (irq->no_effective) {
			set_copy(&irq->effective, &irq->requested);
		} else {
			draw_cpus(s, &irq->requested, &irq->effective);
		}
	}
}

static unsigned size_index(uint64_t kib)
{
	return kib == sim_sizes_kib[SIM_1G] ? SIM_1G : SIM_2M;
}

static bool size_known(const struct sim *s, uint64_t kib)
{
	return kib == sim_sizes_kib[SIM_2M] || (s->has_1g && kib == sim_sizes_kib[SIM_1G]);
}

static uint64_t node_free_kib(const struct sim_node *n)
{
	uint64_t used = 0;

	for (unsigned i = 0; i < SIM_SIZES; i++)
		used += n->pages[i] * sim_sizes_kib[i];
	return used < n->memory_kib ? n->memory_kib - used : 0;
}

/* Boot time: whole memory is in one piece. */
static void node_reserve(struct sim_node *n, unsigned size, uint64_t count)
{
	uint64_t fits = node_free_kib(n) / sim_sizes_kib[size];

	if (n->has_pools)
		n->pages[size] += count < fits ? count : fits;
}

/* Round robin over the nodes, as the kernel does for a count without nodes. */
static void spread(struct sim *s, unsigned size, uint64_t count)
{
	for (bool any = true; any && count;) {
		any = false;
		for (size_t i = 0; i < s->n_nodes && count; i++) {
			uint64_t before = s->nodes[i].pages[size];

			node_reserve(&s->nodes[i], size, 1);
			if (s->nodes[i].pages[size] != before) {
				any = true;
				count--;
			}
		}
	}
}

static void reserve_pools(struct sim *s, const struct cmdline *c)
{
	const struct cmdline_arg *size = cmdline_get(c, "default_hugepagesz");
	struct hugepage_request *requests = NULL;
	struct arena scratch = { 0 };
	uint64_t kib;
	size_t n = 0;

	s->default_size_kib = sim_sizes_kib[SIM_2M];
	if (size && size->value && !parse_size_kib(size->value, &kib) && size_known(s, kib))
		s->default_size_kib = kib;
	for (size_t i = 0; i < s->n_nodes; i++)
		memset(s->nodes[i].pages, 0, sizeof(s->nodes[i].pages));
	assert(cmdline_hugepages(c, &scratch, &requests, &n) == 0);
	for (size_t i = 0; i < n; i++) {
		kib = requests[i].size_kib ? requests[i].size_kib : s->default_size_kib;
		if (!size_known(s, kib))
			continue;
		spread(s, size_index(kib), requests[i].count);
		for (size_t j = 0; j < requests[i].n_nodes; j++)
			for (size_t k = 0; k < s->n_nodes; k++)
				if (s->nodes[k].id == requests[i].nodes[j].node)
					node_reserve(&s->nodes[k], size_index(kib),
						     requests[i].nodes[j].count);
	}
	arena_free(&scratch);
}

static bool has_value(const struct cmdline *c, const char *key, const char *value)
{
	const struct cmdline_arg *arg = cmdline_get(c, key);

	return arg && (value ? arg->value && streq(arg->value, value) : !arg->value);
}

static void boot_cpus(struct sim *s, const struct cmdline *c)
{
	const struct cmdline_arg *arg = cmdline_get(c, "isolcpus");
	struct cpuset set = { 0 };
	unsigned flags;

	cpuset_done(&s->isolated);
	s->isolated = (struct cpuset){ 0 };
	if (arg && !cmdline_parse_isolcpus(arg->value, s->n_cpus, &flags, &set)) {
		cpuset_and(&set, &s->possible);
		if (flags & ISOLCPUS_DOMAIN)
			set_copy(&s->isolated, &set);
		cpuset_done(&set);
	}
	cpuset_done(&s->nohz_full);
	s->nohz_full = s->kernels[s->running].nohz_full ? cpus_of(s, c, "nohz_full")
							: (struct cpuset){ 0 };
}

void sim_boot_runtime(struct sim *s)
{
	_cleanup_cmdline_ struct cmdline c = { 0 };

	assert(cmdline_parse(s->cmdline, &c) == 0);
	boot_cpus(s, &c);
	s->mce_on = !has_value(&c, "mce", "off");
	s->ignore_ce_value = has_value(&c, "mce", "ignore_ce");
	s->clocksource = s->tsc_offered && rng_percent(&s->rng, 80) ? "tsc" : "hpet";
	for (size_t i = 0; i < s->n_knobs; i++)
		s->knobs[i].value = s->knobs[i].at_boot;
	s->fair_server = 50000000;
	memset(s->cstate_disabled, 0, (size_t)s->n_cpus * (s->n_cstates + 1));
	s->iommu_on = s->iommu_table && (s->iommu_amd || has_value(&c, "intel_iommu", "on"));
	s->iommu_identity = s->iommu_on && has_value(&c, "iommu", "pt") && !s->iommu_stubborn;
	reserve_pools(s, &c);
	memset(s->mounted, 0, sizeof(s->mounted));
	for (unsigned i = 0; i < SIM_SIZES; i++)
		s->mounted[i] = sim_sizes_kib[i] == s->default_size_kib;
	place_irqs(s, &c);
	start_threads(s, &c);
	s->balancer_running = s->balancer_enabled;
	cpuset_done(&s->banned);
	s->banned = (struct cpuset){ 0 };
	if (rng_percent(&s->rng, 50))
		set_copy(&s->banned, &s->isolated);
	s->n_refusals = 0;
}

void sim_reboot(struct sim *s)
{
	s->running = s->next_kernel;
	s->cmdline = s->next_cmdline;
	s->n_boots++;
	sim_boot_runtime(s);
}

/* As actuators/refusals.c keeps them: by setting and target; a success clears it. */
static void note(struct sim *s, const struct step *step, int error)
{
	const char *setting = step->setting ? step->setting->name : "";
	struct observed_refusal *f = NULL;

	for (size_t i = 0; i < s->n_refusals; i++)
		if (streq(s->refusals[i].setting, setting) &&
		    streq(s->refusals[i].target, step->target))
			f = &s->refusals[i];
	if (!error) {
		if (f)
			*f = s->refusals[--s->n_refusals];
		else
			s->n_writes++;
		return;
	}
	if (!f)
		f = arena_grow(&s->arena, &s->refusals, &s->n_refusals, sizeof(*f));
	*f = (struct observed_refusal){
		.setting = setting,
		.target = arena_strdup(&s->arena, step->target),
		.name = arena_strdup(&s->arena, step->name),
		.error = error,
		.message = arena_printf(&s->arena, "%s: refused", step->target),
	};
}

static int install_package(struct sim *s, const struct step *step)
{
	if (!s->package || !streq(step->target, s->package) || s->n_kernels == SIM_KERNELS)
		return ENOENT;
	s->kernels[s->n_kernels++] = s->package_kernel;
	s->package_installed = true;
	sim_update_grub(s);
	return 0;
}

static int set_boot(struct sim *s, const struct plan *p)
{
	if (s->grub_breaks)
		return EIO;
	s->drop_in = boot_drop_in_render(&s->arena, &p->boot);
	sim_update_grub(s);
	return 0;
}

static int write_cstate(struct sim *s, const char *path, long value)
{
	unsigned cpu, state;

	if (sscanf(path, "/sys/devices/system/cpu/cpu%u/cpuidle/state%u/disable", &cpu, &state) !=
	    2)
		return ENOENT;
	assert(cpu < s->n_cpus && state <= s->n_cstates);
	s->cstate_disabled[cpu * (s->n_cstates + 1) + state] = (unsigned char)value;
	return 0;
}

static int write_file(struct sim *s, const struct step *step)
{
	long value = strtol(step->want, NULL, 10);

	if (streq(step->target, "/proc/irq/default_smp_affinity")) {
		struct cpuset set = { 0 };

		assert(cpuset_parse_mask(step->want, &set) == 0);
		cpuset_and(&set, &s->online);
		if (cpuset_empty(&set))
			return EINVAL;
		cpuset_done(&s->default_affinity);
		s->default_affinity = set;
		return 0;
	}
	if (strstr(step->target, "current_clocksource")) {
		assert(s->tsc_offered);
		s->clocksource = arena_strdup(&s->arena, step->want);
		return 0;
	}
	if (strstr(step->target, "fair_server")) {
		s->fair_server = value;
		return 0;
	}
	if (strstr(step->target, "ignore_ce")) {
		s->ignore_ce_value = value;
		return 0;
	}
	for (size_t i = 0; i < s->n_knobs; i++) {
		if (!streq(s->knobs[i].path, step->target))
			continue;
		if (s->knobs[i].read_only)
			return EROFS;
		s->knobs[i].value = value;
		return 0;
	}
	return write_cstate(s, step->target, value);
}

static uint64_t runtime_room(const struct sim_node *n, unsigned size)
{
	uint64_t limit =
		node_free_kib(n) < n->runtime_limit_kib ? node_free_kib(n) : n->runtime_limit_kib;

	return n->has_pools ? limit / sim_sizes_kib[size] : 0;
}

static void node_set_pages(struct sim_node *n, unsigned size, uint64_t want)
{
	uint64_t room = runtime_room(n, size), have = n->pages[size];

	n->pages[size] = want <= have + room ? want : have + room;
}

static int set_hugepages(struct sim *s, const struct step *step)
{
	const char *kb = strstr(step->target, "hugepages-");
	unsigned size = size_index(strtoull(kb + strlen("hugepages-"), NULL, 10)), id;
	uint64_t want = strtoull(step->want, NULL, 10), have = 0;

	if (sscanf(step->target, "/sys/devices/system/node/node%u", &id) == 1) {
		for (size_t i = 0; i < s->n_nodes; i++) {
			if (s->nodes[i].id != id)
				continue;
			node_set_pages(&s->nodes[i], size, want);
			have = s->nodes[i].pages[size];
		}
		return have == want ? 0 : ENOSPC;
	}
	for (size_t i = 0; i < s->n_nodes; i++)
		have += s->nodes[i].pages[size];
	for (size_t i = 0; i < s->n_nodes; i++) {
		struct sim_node *n = &s->nodes[i];
		uint64_t others = have - n->pages[size];

		node_set_pages(n, size, want > others ? want - others : 0);
		have = others + n->pages[size];
	}
	return have == want ? 0 : ENOSPC;
}

static int set_thread(struct sim *s, const struct step *step)
{
	for (size_t i = 0; i < s->n_threads; i++) {
		struct sim_thread *t = &s->threads[i];

		if (t->pid != (int)step->number)
			continue;
		if (!step->set_affinity) {
			t->policy = step->policy;
			t->priority = step->priority;
			return 0;
		}
		if (t->bound)
			return EINVAL;
		set_parse(&t->allowed, step->want);
		return 0;
	}
	return ESRCH;
}

static int set_irq(struct sim *s, const struct step *step)
{
	for (size_t i = 0; i < s->n_irqs; i++) {
		struct sim_irq *irq = &s->irqs[i];
		_cleanup_cpuset_ struct cpuset want = { 0 };

		if (irq->number != step->number)
			continue;
		if (irq->managed)
			return irq->number % 2 ? EIO : EPERM;
		if (irq->no_vectors)
			return ENOSPC;
		set_parse(&want, step->want);
		set_copy(&irq->requested, &want);
		if (irq->no_effective)
			set_copy(&irq->effective, &want);
		else
			draw_cpus(s, &want, &irq->effective);
		return 0;
	}
	return ENOENT;
}

static int run_step(struct sim *s, const struct plan *p, const struct step *step)
{
	switch (step->kind) {
	case STEP_PACKAGE:
		return install_package(s, step);
	case STEP_BOOT_DEFAULT:
	case STEP_BOOT_ARG:
		return set_boot(s, p);
	case STEP_SERVICE:
		s->balancer_running = s->balancer_enabled = false;
		return 0;
	case STEP_IRQBALANCE: {
		_cleanup_cpuset_ struct cpuset more = { 0 };

		set_parse(&more, step->want);
		assert(cpuset_or(&s->banned, &more) == 0);
		return 0;
	}
	case STEP_KERNEL_FILE:
		return write_file(s, step);
	case STEP_HUGEPAGES:
		return set_hugepages(s, step);
	case STEP_MOUNT:
		s->mounted[size_index(step->size_kib)] = true;
		return size_known(s, step->size_kib) ? 0 : EINVAL;
	case STEP_THREAD:
		return set_thread(s, step);
	case STEP_IRQ:
		return set_irq(s, step);
	default:
		return 0;
	}
}

void sim_execute(struct sim *s, const struct plan *p)
{
	for (size_t i = 0; i < p->n_steps; i++)
		if (p->steps[i].kind != STEP_REBOOT)
			note(s, &p->steps[i], run_step(s, p, &p->steps[i]));
}

/*
 * A simulated machine as facts: the same paths and forms of text that the probes leave. What the
 * machine does not have is absent; faults (an I/O error, a denied file) are put in last.
 */
#include "tests/property/sim.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>

#define CPU	     "/sys/devices/system/cpu/"
#define CLOCKSOURCE  "/sys/devices/system/clocksource/clocksource0/"
#define MACHINECHECK "/sys/devices/system/machinecheck/"
#define DEBUG_SCHED  "/sys/kernel/debug/sched/"

static struct fact known(struct observed *o, const char *path, const char *text)
{
	return (struct fact){
		.state = FACT_KNOWN,
		.path = arena_strdup(&o->arena, path),
		.text = arena_strdup(&o->arena, text),
	};
}

static struct fact not_known(struct observed *o, const char *path, enum fact_state state, int error)
{
	return (struct fact){
		.state = state,
		.error = error,
		.path = arena_strdup(&o->arena, path),
	};
}

static struct fact absent(struct observed *o, const char *path)
{
	return not_known(o, path, FACT_ABSENT, 0);
}

static struct fact number(struct observed *o, const char *path, long value)
{
	return known(o, path, arena_printf(&o->arena, "%ld", value));
}

static struct fact list(struct observed *o, const char *path, const struct cpuset *set)
{
	_cleanup_free_ char *text = cpuset_format_list(set);

	return known(o, path, text);
}

static void add_file(struct observed *o, struct fact f)
{
	*(struct fact *)arena_grow(&o->arena, &o->files, &o->n_files, sizeof(f)) = f;
}

static void render_kernel(struct sim *s, struct observed *o)
{
	const struct sim_kernel *k = &s->kernels[s->running];

	o->kernel_release = known(o, "/proc/sys/kernel/osrelease", k->version);
	o->kernel_version =
		known(o, "/proc/sys/kernel/version",
		      k->rt ? "#1 SMP PREEMPT_RT Debian" : "#1 SMP PREEMPT_DYNAMIC Debian");
	o->cmdline = known(o, "/proc/cmdline", s->cmdline);
	o->boot_id = number(o, "/proc/sys/kernel/random/boot_id", s->n_boots);
	o->cpu_possible = list(o, CPU "possible", &s->possible);
	o->cpu_present = list(o, CPU "present", &s->present);
	o->cpu_online = list(o, CPU "online", &s->online);
	o->cpu_isolated = list(o, CPU "isolated", &s->isolated);
	o->cpuinfo = known(o, "/proc/cpuinfo",
			   s->tsc_invariant ? "flags\t\t: fpu constant_tsc nonstop_tsc pni"
					    : "flags\t\t: fpu tsc pni");
	o->meminfo =
		known(o, "/proc/meminfo",
		      arena_printf(&o->arena, "MemTotal: 1 kB\nHugepagesize:    %" PRIu64 " kB",
				   s->default_size_kib));
	o->n_cpus = s->n_cpus;
	assert(!cpuset_copy(&o->possible, &s->possible) && !cpuset_copy(&o->present, &s->present) &&
	       !cpuset_copy(&o->online, &s->online));
}

static void render_cstates(struct sim *s, struct observed *o)
{
	if (!s->n_cstates) {
		add_file(o, absent(o, CPU "cpu*/cpuidle/state*/disable"));
		return;
	}
	cpuset_for_each (cpu, &s->online) {
		for (unsigned i = 0; i < s->n_cstates; i++)
			add_file(o,
				 number(o,
					arena_printf(&o->arena,
						     CPU "cpu%ld/cpuidle/state%u/disable", cpu, i),
					s->cstate_disabled[(size_t)cpu * (s->n_cstates + 1) + i]));
	}
}

static void render_machinecheck(struct sim *s, struct observed *o)
{
	if (!s->mce_on) {
		add_file(o, absent(o, MACHINECHECK));
		add_file(o, absent(o, MACHINECHECK "machinecheck*/ignore_ce"));
		return;
	}
	add_file(o, known(o, MACHINECHECK, ""));
	cpuset_for_each (cpu, &s->online)
		add_file(o, number(o,
				   arena_printf(&o->arena, MACHINECHECK "machinecheck%ld/ignore_ce",
						cpu),
				   s->ignore_ce_value));
}

static void render_debug(struct sim *s, struct observed *o)
{
	const char *pattern = DEBUG_SCHED "fair_server/cpu*/runtime";

	if (s->debugfs_denied || s->debugfs_absent) {
		enum fact_state state = s->debugfs_denied ? FACT_DENIED : FACT_ABSENT;

		add_file(o, not_known(o, DEBUG_SCHED, state, s->debugfs_denied ? EACCES : 0));
		add_file(o, not_known(o, pattern, state, s->debugfs_denied ? EACCES : 0));
		return;
	}
	add_file(o, known(o, DEBUG_SCHED, ""));
	if (strverscmp(s->kernels[s->running].version, "6.12") < 0) {
		add_file(o, absent(o, pattern));
		return;
	}
	cpuset_for_each (cpu, &s->online)
		add_file(o, number(o,
				   arena_printf(&o->arena, DEBUG_SCHED "fair_server/cpu%ld/runtime",
						cpu),
				   s->fair_server));
}

static int compare_path(const void *a, const void *b)
{
	return strcmp(((const struct fact *)a)->path, ((const struct fact *)b)->path);
}

static void render_files(struct sim *s, struct observed *o)
{
	const struct sim_kernel *k = &s->kernels[s->running];
	_cleanup_free_ char *mask = cpuset_format_mask(&s->default_affinity, s->n_cpus);

	add_file(o, k->nohz_full ? list(o, CPU "nohz_full", &s->nohz_full)
				 : absent(o, CPU "nohz_full"));
	add_file(o, known(o, CLOCKSOURCE "current_clocksource", s->clocksource));
	add_file(o, known(o, CLOCKSOURCE "available_clocksource",
			  s->tsc_offered ? "tsc hpet acpi_pm" : "hpet acpi_pm"));
	add_file(o, known(o, "/proc/irq/default_smp_affinity", mask));
	for (size_t i = 0; i < s->n_knobs; i++)
		add_file(o, s->knobs[i].absent ? absent(o, s->knobs[i].path)
					       : number(o, s->knobs[i].path, s->knobs[i].value));
	render_machinecheck(s, o);
	render_debug(s, o);
	render_cstates(s, o);
	qsort(o->files, o->n_files, sizeof(*o->files), compare_path);
}

static void render_irqs(struct sim *s, struct observed *o)
{
	o->irqs_fact = known(o, "/proc/interrupts", "");
	for (size_t i = 0; i < s->n_irqs; i++) {
		const struct sim_irq *irq = &s->irqs[i];
		struct observed_irq *seen =
			arena_grow(&o->arena, &o->irqs, &o->n_irqs, sizeof(*seen));
		const char *folder = arena_printf(&o->arena, "/proc/irq/%u/", irq->number);

		seen->number = irq->number;
		seen->name = arena_strdup(&o->arena, irq->name);
		seen->requested = list(o, arena_printf(&o->arena, "%ssmp_affinity_list", folder),
				       &irq->requested);
		seen->effective =
			irq->no_effective
				? seen->requested
				: list(o,
				       arena_printf(&o->arena, "%seffective_affinity_list", folder),
				       &irq->effective);
	}
}

static void render_threads(struct sim *s, struct observed *o)
{
	o->threads_fact = known(o, "/proc", "");
	for (size_t i = 0; i < s->n_threads; i++) {
		const struct sim_thread *t = &s->threads[i];
		struct observed_thread *seen =
			arena_grow(&o->arena, &o->threads, &o->n_threads, sizeof(*seen));

		*seen = (struct observed_thread){
			.pid = t->pid,
			.comm = t->comm,
			.policy = t->policy,
			.priority = t->priority,
			.allowed = list(o, arena_printf(&o->arena, "/proc/%d/status", t->pid),
					&t->allowed),
		};
	}
}

static void render_pools(struct sim *s, struct observed *o, const struct sim_node *n,
			 struct observed_node *seen)
{
	for (unsigned i = 0; n->has_pools && i < SIM_SIZES; i++) {
		struct observed_pool *pool;
		const char *folder;

		if (i == SIM_1G && !s->has_1g)
			continue;
		folder = arena_printf(&o->arena,
				      "/sys/devices/system/node/node%u/hugepages/hugepages-%" PRIu64
				      "kB/",
				      n->id, sim_sizes_kib[i]);
		pool = arena_grow(&o->arena, &seen->pools, &seen->n_pools, sizeof(*pool));
		pool->size_kib = sim_sizes_kib[i];
		pool->total = number(o, arena_printf(&o->arena, "%snr_hugepages", folder),
				     (long)n->pages[i]);
		pool->free = number(o, arena_printf(&o->arena, "%sfree_hugepages", folder),
				    (long)n->pages[i]);
	}
}

static void render_memory(struct sim *s, struct observed *o)
{
	o->nodes_fact = known(o, "/sys/devices/system/node", "");
	for (size_t i = 0; i < s->n_nodes; i++) {
		struct observed_node *seen =
			arena_grow(&o->arena, &o->nodes, &o->n_nodes, sizeof(*seen));

		seen->id = s->nodes[i].id;
		seen->memory_kib = s->nodes[i].memory_kib;
		seen->cpus = list(o,
				  arena_printf(&o->arena, "/sys/devices/system/node/node%u/cpulist",
					       seen->id),
				  &s->nodes[i].cpus);
		render_pools(s, o, &s->nodes[i], seen);
	}
	o->mounts_fact = known(o, "/proc/self/mounts", "");
	for (unsigned i = 0; i < SIM_SIZES; i++) {
		bool is_default = sim_sizes_kib[i] == s->default_size_kib;
		struct observed_mount *m;

		if (!s->mounted[i])
			continue;
		m = arena_grow(&o->arena, &o->mounts, &o->n_mounts, sizeof(*m));
		m->target = is_default ? "/dev/hugepages" : "/dev/hugepages-other";
		m->page_size_kib = is_default ? 0 : sim_sizes_kib[i];
	}
}

static void render_iommu(struct sim *s, struct observed *o)
{
	const char *dmar = "/sys/firmware/acpi/tables/DMAR",
		   *ivrs = "/sys/firmware/acpi/tables/IVRS";

	o->acpi_dmar = s->iommu_table && !s->iommu_amd ? known(o, dmar, "") : absent(o, dmar);
	o->acpi_ivrs = s->iommu_table && s->iommu_amd ? known(o, ivrs, "") : absent(o, ivrs);
	o->iommu_fact = known(o, "/sys/class/iommu", s->iommu_on ? "dmar0 dmar1" : "");
	o->iommu_groups_fact = known(o, "/sys/kernel/iommu_groups", "");
	for (unsigned i = 0; s->iommu_on && i < s->n_iommu_groups; i++) {
		struct observed_iommu_group *g =
			arena_grow(&o->arena, &o->iommu_groups, &o->n_iommu_groups, sizeof(*g));

		g->number = i;
		g->type = known(o, arena_printf(&o->arena, "/sys/kernel/iommu_groups/%u/type", i),
				s->iommu_identity ? "identity" : "DMA-FQ");
	}
}

static void render_kernels(struct sim *s, struct observed *o)
{
	for (size_t i = 0; i < s->n_kernels; i++) {
		const struct sim_kernel *k = &s->kernels[i];
		struct observed_kernel *seen =
			arena_grow(&o->arena, &o->boot.kernels, &o->boot.n_kernels, sizeof(*seen));
		const char *path = arena_printf(&o->arena, "/boot/config-%s", k->version);

		seen->version = k->version;
		seen->entry_id = arena_printf(&o->arena, "advanced>%s", k->version);
		seen->config =
			k->config_hidden
				? not_known(o, path, FACT_DENIED, EACCES)
				: known(o, path,
					arena_printf(&o->arena, "%s%s%s",
						     k->rt ? "CONFIG_PREEMPT_RT=y\n" : "",
						     k->nohz_full ? "CONFIG_NO_HZ_FULL=y\n" : "",
						     k->nocb ? "CONFIG_RCU_NOCB_CPU=y" : ""));
	}
}

static void render_boot(struct sim *s, struct observed *o)
{
	const char *cfg = "/boot/grub/grub.cfg", *version = s->kernels[s->next_kernel].version;

	o->boot.grub_cfg = not_known(o, cfg, FACT_KNOWN, 0);
	o->boot.grubenv = known(o, "/boot/grub/grubenv", "");
	o->boot.next_cmdline = known(o, cfg, s->next_cmdline);
	o->boot.next_kernel = known(o, cfg, version);
	o->boot.next_entry_id =
		s->next_pinned ? arena_printf(&o->arena, "advanced>%s", version) : "simple";
	o->boot.drop_in = s->drop_in ? known(o, BOOT_DROP_IN, s->drop_in) : absent(o, BOOT_DROP_IN);
	*(struct fact *)arena_grow(&o->arena, &o->boot.sources, &o->boot.n_sources,
				   sizeof(struct fact)) =
		known(o, "/etc/default/grub", s->admin_text);
	render_kernels(s, o);
}

static void render_rest(struct sim *s, struct observed *o)
{
	const char *balancer = "/run/irqbalance/irqbalance.sock",
		   *link = "/etc/systemd/system/irqbalance";

	o->package = s->package_installed ? known(o, "/var/lib/dpkg/status", "1")
					  : absent(o, "/var/lib/dpkg/status");
	o->irqbalance_pid = s->balancer_running ? known(o, "/proc/irqbalance", "77")
						: absent(o, "/proc/irqbalance");
	o->irqbalance_banned =
		s->balancer_running ? list(o, balancer, &s->banned) : absent(o, balancer);
	o->irqbalance_enabled = s->balancer_enabled ? known(o, link, "x") : absent(o, link);
	o->refusals = arena_alloc(&o->arena, (s->n_refusals + 1) * sizeof(*o->refusals));
	for (size_t i = 0; i < s->n_refusals; i++)
		o->refusals[i] = s->refusals[i];
	o->n_refusals = s->n_refusals;
}

void sim_observe(struct sim *s, struct observed *ret)
{
	*ret = (struct observed){ .groups = ~0U };
	render_kernel(s, ret);
	render_files(s, ret);
	render_irqs(s, ret);
	render_threads(s, ret);
	render_memory(s, ret);
	render_iommu(s, ret);
	render_boot(s, ret);
	render_rest(s, ret);
	for (size_t i = 0; i < s->n_faults; i++)
		sim_break_path(ret, s->faults[i].path, s->faults[i].state, s->faults[i].error);
}

/* The facts of the machine, then the arrays' one after the other. */
struct fact *sim_fact(struct observed *o, size_t i)
{
	struct fact *const single[] = {
		&o->kernel_release,   &o->kernel_version,    &o->cmdline,
		&o->cpu_possible,     &o->cpu_present,	     &o->cpu_online,
		&o->cpu_isolated,     &o->cpuinfo,	     &o->meminfo,
		&o->irqs_fact,	      &o->threads_fact,	     &o->nodes_fact,
		&o->iommu_fact,	      &o->iommu_groups_fact, &o->acpi_dmar,
		&o->acpi_ivrs,	      &o->mounts_fact,	     &o->boot.next_cmdline,
		&o->boot.next_kernel, &o->boot.drop_in,	     &o->package,
		&o->irqbalance_pid,   &o->irqbalance_banned, &o->irqbalance_enabled,
		&o->boot.grub_cfg,    &o->boot.grubenv,
	};

	if (i < ARRAY_SIZE(single))
		return single[i];
	i -= ARRAY_SIZE(single);
	if (i < o->n_files)
		return &o->files[i];
	i -= o->n_files;
	if (i < 2 * o->n_irqs)
		return i % 2 ? &o->irqs[i / 2].requested : &o->irqs[i / 2].effective;
	i -= 2 * o->n_irqs;
	if (i < o->n_threads)
		return &o->threads[i].allowed;
	i -= o->n_threads;
	if (i < o->n_iommu_groups)
		return &o->iommu_groups[i].type;
	i -= o->n_iommu_groups;
	if (i < o->boot.n_sources)
		return &o->boot.sources[i];
	i -= o->boot.n_sources;
	if (i < o->boot.n_kernels)
		return &o->boot.kernels[i].config;
	i -= o->boot.n_kernels;
	for (size_t j = 0; j < o->n_nodes; j++) {
		struct observed_node *n = &o->nodes[j];

		if (i < 2 * n->n_pools)
			return i % 2 ? &n->pools[i / 2].free : &n->pools[i / 2].total;
		i -= 2 * n->n_pools;
	}
	return NULL;
}

void sim_break_fact(struct observed *o, struct fact *f, enum fact_state state, int error)
{
	f->state = state;
	f->error = error;
	f->text = NULL;
	if (f == &o->cpu_possible)
		cpuset_done(&o->possible);
	else if (f == &o->cpu_present)
		cpuset_done(&o->present);
	else if (f == &o->cpu_online)
		cpuset_done(&o->online);
}

void sim_break_path(struct observed *o, const char *path, enum fact_state state, int error)
{
	struct fact *f;

	for (size_t i = 0; (f = sim_fact(o, i)); i++)
		if (f->path && streq(f->path, path))
			sim_break_fact(o, f, state, error);
}

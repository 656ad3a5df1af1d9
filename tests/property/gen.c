/*
 * The generator leans on what breaks tools in the field: holes in CPU and node numbers, CPUs that
 * are offline (CPU 0 too), arguments that the administrator set before us in every way of quoting,
 * a drop-in of an earlier document, managed IRQs, IRQ names with blanks, half-tuned kernels.
 */
#include "tests/property/gen.h"

#include <assert.h>
#include <errno.h>

#define CHANCE(percent) rng_percent(&s->rng, (percent))
#define BELOW(n)	rng_below(&s->rng, (n))

static unsigned draw_n_cpus(struct sim *s)
{
	unsigned kind = BELOW(1000);

	if (kind < 2)
		return 1024;
	if (kind < 50)
		return 9 + BELOW(120);
	return 1 + BELOW(8);
}

static void gen_cpus(struct sim *s)
{
	unsigned n = draw_n_cpus(s), holes = CHANCE(20) ? 30 : 0, offline = CHANCE(25) ? 25 : 0;

	for (unsigned i = 0; i < n; i++)
		if (i == 0 || !rng_percent(&s->rng, holes))
			assert(cpuset_add(&s->possible, i) == 0);
	s->n_cpus = (unsigned)cpuset_last(&s->possible) + 1;
	cpuset_for_each (cpu, &s->possible) {
		if (rng_percent(&s->rng, offline / 2))
			continue;
		assert(cpuset_add(&s->present, (unsigned)cpu) == 0);
		if (!rng_percent(&s->rng, offline))
			assert(cpuset_add(&s->online, (unsigned)cpu) == 0);
	}
	if (cpuset_empty(&s->online)) {
		assert(cpuset_add(&s->present, 0) == 0 && cpuset_add(&s->online, 0) == 0);
	}
}

static struct sim_kernel stock_kernel(struct sim *s, const char *version, bool rt)
{
	return (struct sim_kernel){
		.version = version,
		.rt = rt,
		.nohz_full = CHANCE(90),
		.nocb = CHANCE(95),
		.config_hidden = CHANCE(3),
	};
}

static void gen_kernels(struct sim *s)
{
	static const char *const rt_versions[] = { "6.1.0-56-rt-amd64", "5.10.0-9-rt-amd64",
						   "6.12.9-rt-amd64" };

	s->kernels[s->n_kernels++] =
		stock_kernel(s, CHANCE(90) ? "6.1.0-56-amd64" : "4.19.0-1", false);
	for (unsigned i = 0; i < 2; i++)
		if (CHANCE(35))
			s->kernels[s->n_kernels++] = stock_kernel(s, rt_versions[i], true);
	s->package_kernel = stock_kernel(s, rt_versions[2], true);
	if (CHANCE(80))
		s->package = "linux-image-rt-amd64";
	s->running = BELOW((unsigned)s->n_kernels);
}

static void gen_nodes(struct sim *s)
{
	unsigned n = CHANCE(70) ? 1 : 1 + BELOW(SIM_NODES), id = 0;

	s->has_1g = CHANCE(85);
	for (unsigned i = 0; i < n; i++, id += CHANCE(20) ? 2 : 1) {
		struct sim_node *node = &s->nodes[s->n_nodes++];

		node->id = id;
		node->has_pools = i ? CHANCE(85) : CHANCE(97);
		node->memory_kib = node->has_pools ? (uint64_t)(1 + BELOW(16)) << 20 : 0;
		node->runtime_limit_kib = CHANCE(70) ? UINT64_MAX : (uint64_t)BELOW(4096) << 10;
		cpuset_for_each (cpu, &s->possible)
			if ((unsigned)cpu % n == i || CHANCE(3))
				assert(cpuset_add(&node->cpus, (unsigned)cpu) == 0);
	}
}

static void gen_irqs(struct sim *s)
{
	static const char *const names[] = {
		"virtio1-req.0", "eth0-rx-0, ahci[0000:00:17.0]", "", "i8042", "nvme0q3", "rtc 0"
	};
	unsigned n = CHANCE(90) ? BELOW(20) : BELOW(200), number = 0;

	s->irqs = arena_alloc(&s->arena, (n + 1) * sizeof(*s->irqs));
	for (unsigned i = 0; i < n; i++, number += 1 + BELOW(3)) {
		struct sim_irq *irq = &s->irqs[s->n_irqs++];

		irq->number = number;
		irq->name = names[BELOW(ARRAY_SIZE(names))];
		irq->managed = CHANCE(10);
		irq->empty = CHANCE(4);
		irq->no_effective = CHANCE(5);
		irq->no_vectors = CHANCE(1) && CHANCE(20);
	}
}

static void add_knob(struct sim *s, const char *path, long at_boot, bool may_be_absent)
{
	s->knobs[s->n_knobs].path = path;
	s->knobs[s->n_knobs].at_boot = at_boot;
	s->knobs[s->n_knobs].absent = may_be_absent ? CHANCE(20) : CHANCE(2);
	s->knobs[s->n_knobs].read_only = CHANCE(2);
	s->n_knobs++;
}

static void gen_hardware(struct sim *s)
{
	add_knob(s, "/proc/sys/kernel/nmi_watchdog", CHANCE(50), true);
	add_knob(s, "/proc/sys/kernel/soft_watchdog", 1, true);
	add_knob(s, "/proc/sys/kernel/watchdog", 1, true);
	add_knob(s, "/proc/sys/kernel/sched_rt_runtime_us", 950000, false);
	add_knob(s, "/proc/sys/kernel/timer_migration", CHANCE(50), false);
	s->tsc_offered = CHANCE(92);
	s->tsc_invariant = CHANCE(80);
	s->debugfs_denied = CHANCE(5);
	s->debugfs_absent = !s->debugfs_denied && CHANCE(5);
	s->n_cstates = CHANCE(60) ? 1 + BELOW(4) : 0;
	s->cstate_disabled = arena_alloc(&s->arena, (size_t)s->n_cpus * (s->n_cstates + 1));
	s->iommu_table = CHANCE(85);
	s->iommu_amd = CHANCE(40);
	s->iommu_stubborn = CHANCE(5);
	s->n_iommu_groups = BELOW(6);
	s->balancer_enabled = CHANCE(50);
}

/* A list of the machine's CPUs without CPU 0, most of the time. */
static const char *draw_list(struct sim *s, bool cpu0)
{
	_cleanup_cpuset_ struct cpuset set = { 0 };
	_cleanup_free_ char *text = NULL;
	unsigned share = 20 + BELOW(70);

	cpuset_for_each (cpu, &s->present)
		if ((cpu || cpu0) && rng_percent(&s->rng, share))
			assert(cpuset_add(&set, (unsigned)cpu) == 0);
	if (cpuset_empty(&set))
		assert(cpuset_add(&set, (unsigned)cpuset_last(&s->present)) == 0);
	text = cpuset_format_list(&set);
	return arena_strdup(&s->arena, text);
}

/* Arguments as an administrator may have written them, some of them keys of ours. */
static const char *draw_args(struct sim *s, unsigned own_percent)
{
	static const char *const harmless[] = { "quiet",
						"console=ttyS0,115200",
						"iommu.strict=0",
						"clocksource=tsc",
						"rcupdate.rcu_expedited=1",
						"mitigations=off",
						"systemd.unit=idle",
						"intel_iommu.foo=on" };
	static const char *const own[] = { "tsc=reliable",
					   "idle=poll",
					   "mce=off",
					   "mce=ignore_ce",
					   "iommu=pt",
					   "iommu=soft",
					   "intel_iommu=on",
					   "nmi_watchdog=0",
					   "nosoftlockup",
					   "rcu_nocb_poll",
					   "hugepagesz=2M hugepages=8",
					   "default_hugepagesz=1G",
					   "processor.max_cstate=1",
					   "nmi-watchdog=1",
					   "tsc=unstable" };
	static const char *const lists[] = { "isolcpus=domain,managed_irq,%s",
					     "nohz_full=%s",
					     "rcu_nocbs=%s",
					     "irqaffinity=%s",
					     "isolcpus=%s",
					     "nohz-full=%s" };
	const char *text = "";

	for (unsigned i = BELOW(4); i; i--)
		text = arena_printf(&s->arena, "%s%s%s", text, *text ? " " : "",
				    harmless[BELOW(ARRAY_SIZE(harmless))]);
	for (unsigned i = 0; i < 3 && rng_percent(&s->rng, own_percent); i++) {
		unsigned j = BELOW(ARRAY_SIZE(own) + ARRAY_SIZE(lists));
		const char *blank = *text ? " " : "";

		if (j < ARRAY_SIZE(own)) {
			text = arena_printf(&s->arena, "%s%s%s", text, blank, own[j]);
		} else {
			const char *form = lists[j - ARRAY_SIZE(own)];
			size_t key = strcspn(form, "%");

			text = arena_printf(&s->arena, "%s%s%.*s%s", text, blank, (int)key, form,
					    draw_list(s, false));
		}
	}
	return text;
}

static void gen_admin(struct sim *s)
{
	static const char *const quotes[] = { "\"", "'" };
	static const char *const comments[] = { "", " # no idle or tsc here", "\t# isolcpus=3",
						"; : idle=poll" };
	const char *args = draw_args(s, 25), *more = draw_args(s, 15);
	const char *q = quotes[BELOW(2)];

	s->admin_args = arena_printf(&s->arena, "%s %s", args, more);
	s->admin_text =
		arena_printf(&s->arena,
			     "# GRUB_CMDLINE_LINUX=\"idle=poll tsc=reliable\"\nGRUB_DEFAULT=0\n"
			     "GRUB_CMDLINE_LINUX_RECOVERY=\"mce=off idle=poll nohz_full=1\"\n"
			     "%sGRUB_CMDLINE_LINUX=%s%s%s%s\n  GRUB_CMDLINE_LINUX_DEFAULT%s=\"%s\"",
			     CHANCE(20) ? "export " : "", q, args, q,
			     comments[BELOW(ARRAY_SIZE(comments))], CHANCE(30) ? "+" : "", more);
}

/* What an earlier document of ours may have left, half of the time booted already. */
static void gen_drop_in(struct sim *s)
{
	struct boot_intent b = { 0 };
	_cleanup_cmdline_ struct cmdline c = { 0 };

	sim_update_grub(s);
	s->cmdline = s->next_cmdline;
	if (!CHANCE(40))
		return;
	assert(cmdline_parse(draw_args(s, 90), &c) == 0);
	b.args = c.args;
	b.n_args = c.n_args;
	b.default_entry = CHANCE(50) ? arena_printf(&s->arena, "advanced>%s",
						    s->kernels[s->n_kernels - 1].version)
				     : NULL;
	s->drop_in = boot_drop_in_render(&s->arena, &b);
	if (CHANCE(15))
		return; /* killed before update-grub */
	sim_update_grub(s);
	if (CHANCE(50))
		s->cmdline = s->next_cmdline;
}

/* Somebody else set a few things after the boot. */
static void gen_tampering(struct sim *s)
{
	for (size_t i = 0; i < s->n_knobs; i++)
		if (CHANCE(20))
			s->knobs[i].value = (long)BELOW(3) - 1;
	for (size_t i = 0; i < s->n_threads; i++)
		if (CHANCE(10)) {
			s->threads[i].policy = (int)BELOW(3);
			s->threads[i].priority = s->threads[i].policy ? 1 + (int)BELOW(50) : 0;
		}
	for (size_t i = 0; i < s->n_nodes; i++)
		if (CHANCE(20) && s->nodes[i].has_pools)
			s->nodes[i].pages[SIM_2M] = BELOW(64);
	if (CHANCE(20) && s->balancer_enabled)
		s->balancer_running = false;
}

static void gen_faults(struct sim *s)
{
	_cleanup_observed_ struct observed o = { 0 };
	size_t n = 0;

	if (!CHANCE(30))
		return;
	sim_observe(s, &o);
	while (sim_fact(&o, n))
		n++;
	for (unsigned i = 1 + BELOW(SIM_FAULTS); i; i--) {
		/* a machine-wide one as often as one of the many items */
		const struct fact *f = sim_fact(&o, BELOW(CHANCE(50) ? 50 : (unsigned)n));
		struct sim_fault *fault = &s->faults[s->n_faults];

		if (!f || !f->path)
			continue;
		*fault = (struct sim_fault){
			.path = arena_strdup(&s->arena, f->path),
			.state = CHANCE(50) ? FACT_DENIED : FACT_UNREADABLE,
		};
		fault->error = fault->state == FACT_DENIED ? EACCES : EIO;
		s->n_faults++;
	}
}

void gen_machine(struct sim *s, uint64_t seed)
{
	*s = (struct sim){ .rng.state = seed * UINT64_C(0x9e3779b97f4a7c15) | 1 };
	for (int i = 0; i < 4; i++)
		rng_next(&s->rng);
	gen_cpus(s);
	gen_kernels(s);
	gen_nodes(s);
	gen_irqs(s);
	gen_hardware(s);
	gen_admin(s);
	gen_drop_in(s);
	sim_boot_runtime(s);
	gen_tampering(s);
	s->grub_breaks = CHANCE(1);
	gen_faults(s);
}

static const char *draw_pools(struct sim *s)
{
	const struct sim_node *node = &s->nodes[BELOW((unsigned)s->n_nodes)];
	bool by_node = CHANCE(50), huge = CHANCE(40);
	uint64_t room_kib = node->memory_kib > 1048576 ? node->memory_kib - 1048576 : 0;
	unsigned n = (unsigned)(room_kib >> (huge ? 20 : 11));
	const char *text;

	n = 1 + BELOW(n < 600 ? n : 600);
	text = arena_printf(&s->arena, "{size: %s, count: %u", huge ? "1G" : "2M", n);
	if (by_node)
		text = arena_printf(&s->arena, "%s, node: %u", text, node->id);
	if (CHANCE(20))
		return arena_printf(&s->arena, "[%s}, {size: %s, count: %u}]", text,
				    huge ? "2M" : "1G", 1 + BELOW(3));
	return arena_printf(&s->arena, "[%s}]", text);
}

static const char *draw_host(struct sim *s)
{
	static const char *const choices[][3] = {
		{ "kernel: {preemption: rt, package: linux-image-rt-amd64}",
		  "kernel: {preemption: rt}" },
		{ "cpu_isolation: [domain, managed_irq]", "cpu_isolation: [managed_irq]",
		  "cpu_isolation: [nohz, domain]" },
		{ "tick_offload: isolated" },
		{ "rcu_offload: isolated" },
		{ "iommu: passthrough" },
		{ "machine_check: off", "machine_check: ignore_ce" },
		{ "tsc: reliable", "tsc: {mode: reliable, invariant: assumed}" },
		{ "watchdogs: off" },
		{ "rt_throttling: off" },
		{ "irq_affinity: housekeeping",
		  "irq_affinity: {cpus: housekeeping, irqbalance: stopped}" },
		{ "idle: poll", "idle: {max_cstate: 1}" },
		{ "kthread_priority: realtime", "kthread_priority: {ksoftirqd: 3, rcuc: 5}" },
		{ "timer_migration: off", "timer_migration: on" },
	};
	unsigned share = CHANCE(50) ? 95 : 40;
	const char *text = "";

	for (size_t i = 0; i < ARRAY_SIZE(choices); i++) {
		unsigned n = 1;

		while (n < 3 && choices[i][n])
			n++;
		if (rng_percent(&s->rng, share))
			text = arena_printf(&s->arena, "%s  %s\n", text, choices[i][BELOW(n)]);
	}
	if (CHANCE(50))
		text = arena_printf(&s->arena, "%s  hugepages: %s\n", text, draw_pools(s));
	return text;
}

const char *gen_document(struct sim *s)
{
	bool cpu0 = CHANCE(10);

	return arena_printf(&s->arena, "version: 1\nhost:\n  cpus: {isolated: \"%s\"%s}\n%s",
			    draw_list(s, cpu0), cpu0 ? ", allow_cpu0: true" : "", draw_host(s));
}

void gen_full_machine(struct sim *s, uint64_t seed)
{
	*s = (struct sim){ .rng.state = seed | 1 };
	assert(cpuset_add_range(&s->possible, 0, 3) == 0 &&
	       cpuset_add_range(&s->present, 0, 3) == 0 && cpuset_add_range(&s->online, 0, 3) == 0);
	s->n_cpus = 4;
	s->kernels[0] = (struct sim_kernel){ "6.1.0-56-amd64", false, true, true, false };
	s->kernels[1] = (struct sim_kernel){ "6.12.9-rt-amd64", true, true, true, false };
	s->n_kernels = 2;
	s->package_installed = true;
	gen_nodes(s);
	s->n_nodes = 1;
	s->has_1g = s->nodes[0].has_pools = true;
	s->nodes[0].memory_kib = UINT64_C(16) << 20;
	gen_irqs(s);
	gen_hardware(s);
	for (size_t i = 0; i < s->n_irqs; i++)
		s->irqs[i].managed = s->irqs[i].no_vectors = false;
	for (size_t i = 0; i < s->n_knobs; i++)
		s->knobs[i].absent = s->knobs[i].read_only = false;
	s->tsc_offered = s->tsc_invariant = s->iommu_table = s->balancer_enabled = true;
	s->debugfs_denied = s->debugfs_absent = s->iommu_stubborn = s->iommu_amd = false;
	s->n_cstates = 3;
	s->cstate_disabled = arena_alloc(&s->arena, (size_t)s->n_cpus * (s->n_cstates + 1));
	s->n_iommu_groups = 2;
	s->admin_args = "quiet";
	s->admin_text = "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"";
	sim_update_grub(s);
	s->cmdline = s->next_cmdline;
	sim_boot_runtime(s);
}

const char gen_full_document[] = "version: 1\n"
				 "host:\n"
				 "  cpus: {isolated: 2-3}\n"
				 "  kernel: {preemption: rt, package: linux-image-rt-amd64}\n"
				 "  cpu_isolation: [domain, managed_irq]\n"
				 "  tick_offload: isolated\n"
				 "  rcu_offload: isolated\n"
				 "  iommu: passthrough\n"
				 "  hugepages: [{size: 1G, count: 2, node: 0}]\n"
				 "  machine_check: ignore_ce\n"
				 "  tsc: reliable\n"
				 "  watchdogs: off\n"
				 "  rt_throttling: off\n"
				 "  irq_affinity: housekeeping\n"
				 "  idle: {max_cstate: 1}\n"
				 "  kthread_priority: realtime\n"
				 "  timer_migration: off\n";

/* One pass over every fake machine: each fact is what its spec says, and what is missing is said.
 */
#include "probes/observe.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "probes/probe.h"
#include "state/settings.h"
#include "tests/trees/scratch.h"
#include "tests/trees/tree.h"

struct machine {
	struct scratch dir;
	struct sysroot root;
	struct desired desired; /* everything but the kernel row, with the spec's isolated CPUs */
	struct tree_cpus cpus;
	struct observed o;
};

static void machine_open(struct machine *m, const struct tree_spec *spec)
{
	scratch_make(&m->dir);
	assert_int_equal(tree_write(spec, m->dir.path), 0);
	assert_int_equal(sysroot_open(m->dir.path, &m->root, NULL), 0);
	assert_int_equal(tree_cpus(spec, &m->cpus), 0);
	assert_int_equal(cpuset_copy(&m->desired.isolated, &m->cpus.isolated), 0);
	for (size_t i = 0; i < n_settings; i++)
		if (!streq(settings[i]->name, "kernel"))
			m->desired.values[i] = "asked for";
}

static void machine_observe(struct machine *m)
{
	observed_done(&m->o);
	assert_int_equal(observe(&m->root, &m->desired, &m->o), 0);
}

static void machine_done(struct machine *m)
{
	observed_done(&m->o);
	cpuset_done(&m->desired.isolated);
	tree_cpus_done(&m->cpus);
	sysroot_close(&m->root);
	scratch_remove(&m->dir);
}
#define _cleanup_machine_ _cleanup_(machine_done)

static void assert_text(const struct fact *f, const char *text)
{
	assert_non_null(f);
	assert_int_equal(f->state, FACT_KNOWN);
	assert_string_equal(f->text, text);
}

static void assert_list(const struct fact *f, const struct cpuset *want)
{
	_cleanup_cpuset_ struct cpuset set = { 0 };

	assert_int_equal(fact_list(f, 0, &set), 0);
	assert_true(cpuset_equal(&set, want));
}

static void check_cpus(const struct machine *m)
{
	const struct observed *o = &m->o;

	assert_true(cpuset_equal(&o->possible, &m->cpus.possible));
	assert_true(cpuset_equal(&o->present, &m->cpus.present));
	assert_true(cpuset_equal(&o->online, &m->cpus.online));
	assert_int_equal(o->n_cpus, m->cpus.n);
	assert_int_equal(o->cpu_isolated.state, FACT_KNOWN);
}

static void check_irqs(const struct machine *m, const struct tree_spec *spec)
{
	const struct observed *o = &m->o;

	assert_int_equal(o->irqs_fact.state, FACT_KNOWN);
	assert_int_equal(o->n_irqs, tree_n_irqs(spec));
	for (size_t i = 0; i < o->n_irqs; i++) {
		const struct observed_irq *irq = &o->irqs[i];
		_cleanup_cpuset_ struct cpuset want = { 0 };
		struct tree_irq t;

		assert_int_equal(tree_irq(spec, &m->cpus, i, &t), 0);
		assert_int_equal(irq->number, t.number);
		assert_string_equal(irq->name, t.name);
		if (!t.idle)
			assert_int_equal(cpuset_add(&want, t.cpu), 0);
		assert_list(&irq->effective, &want);
		assert_non_null(strstr(irq->effective.path, "/effective_affinity_list"));
		assert_int_equal(irq->requested.state, FACT_KNOWN);
		assert_int_equal(irq->fired_isolated,
				 cpuset_has(&m->cpus.isolated, t.cpu) ? t.count : 0);
		free(t.buffer);
	}
}

static const struct observed_thread *find_thread(const struct observed *o, const char *family,
						 long cpu)
{
	char comm[32];

	snprintf(comm, sizeof(comm), "%s/%ld", family, cpu);
	for (size_t i = 0; i < o->n_threads; i++)
		if (streq(o->threads[i].comm, comm))
			return &o->threads[i];
	return NULL;
}

static void check_threads(const struct machine *m, const struct tree_spec *spec)
{
	const struct observed *o = &m->o;
	size_t online = cpuset_count(&m->cpus.online), seen = 1; /* rcu_preempt */
	bool booted = tree_booted(spec);

	assert_int_equal(o->threads_fact.state, FACT_KNOWN);
	cpuset_for_each (cpu, &m->cpus.online) {
		bool ours = tree_applied(spec) && cpuset_has(&m->cpus.isolated, (unsigned)cpu);
		const struct observed_thread *t = find_thread(o, "ksoftirqd", cpu);
		char list[24];

		assert_non_null(t);
		assert_int_equal(t->policy, ours ? 1 : 0);
		assert_int_equal(t->priority, ours ? 2 : 0);
		snprintf(list, sizeof(list), "%ld", cpu);
		assert_text(&t->allowed, list);
		t = find_thread(o, "rcuop", cpu);
		assert_int_equal(t != NULL, booted && ours);
		if (t)
			assert_list(&t->allowed, &m->cpus.housekeeping);
		seen += booted && ours ? 2 : 0;
	}
	seen += booted ? 3 * online + 1 : online; /* ksoftirqd, ktimers, rcuc; rcub/0 */
	assert_int_equal(o->n_threads, seen);
	for (size_t i = 1; i < o->n_threads; i++)
		assert_true(o->threads[i - 1].pid < o->threads[i].pid);
}

static void check_nodes(const struct machine *m, const struct tree_spec *spec)
{
	const struct observed *o = &m->o;

	assert_int_equal(o->nodes_fact.state, FACT_KNOWN);
	assert_int_equal(o->n_nodes, spec->n_nodes);
	for (size_t i = 0; i < o->n_nodes; i++) {
		const struct observed_node *node = &o->nodes[i];
		bool reserved = tree_applied(spec) && i + 1 == o->n_nodes;

		assert_int_equal(node->id, spec->nodes[i].id);
		assert_text(&node->cpus, spec->nodes[i].cpus);
		assert_int_equal(node->memory_kib, spec->nodes[i].memory_kib);
		assert_int_equal(node->n_pools, node->memory_kib ? 2 : 0);
		if (!node->n_pools)
			continue;
		assert_int_equal(node->pools[0].size_kib, 2048);
		assert_int_equal(node->pools[1].size_kib, 1048576);
		assert_text(&node->pools[0].total, "0");
		assert_text(&node->pools[1].total, reserved ? "1" : "0");
		assert_text(&node->pools[1].free, reserved ? "1" : "0");
	}
}

static void check_siblings(const struct machine *m)
{
	cpuset_for_each (cpu, &m->cpus.present) {
		const struct fact *f;
		char path[96];

		snprintf(path, sizeof(path),
			 "/sys/devices/system/cpu/cpu%ld/topology/thread_siblings_list", cpu);
		f = observed_file(&m->o, path);
		assert_non_null(f);
		assert_int_equal(f->state, cpuset_has(&m->cpus.online, (unsigned)cpu)
						   ? FACT_KNOWN
						   : FACT_ABSENT);
	}
}

static void check_boot(const struct machine *m, const struct tree_spec *spec)
{
	_cleanup_free_ char *args = tree_boot_args(spec, &m->cpus);
	const struct observed_boot *b = &m->o.boot;
	bool rt = tree_applied(spec);

	assert_int_equal(b->grub_cfg.state, FACT_KNOWN);
	assert_null(b->grub_cfg.text);
	assert_text(&b->next_kernel, rt ? TREE_KERNEL_RT : TREE_KERNEL);
	assert_int_equal(b->next_cmdline.state, FACT_KNOWN);
	assert_non_null(strstr(b->next_cmdline.text, args));
	assert_int_equal(b->n_kernels, rt ? 2 : 1);
	assert_int_equal(b->drop_in.state, rt ? FACT_KNOWN : FACT_ABSENT);
	assert_int_equal(b->n_sources, 2);
	assert_string_equal(b->sources[0].path, "/etc/default/grub");
	assert_string_equal(b->sources[1].path, "/etc/default/grub.d/50-site.cfg");
}

static void every_tree_is_seen_as_it_was_made(void **state)
{
	(void)state;
	for (size_t i = 0; i < n_tree_specs; i++) {
		const struct tree_spec *spec = &tree_specs[i];
		_cleanup_machine_ struct machine m = { 0 };

		if (spec->bare || streq(spec->name, "large")) /* large is for figures */
			continue;
		print_message("# %s: %s\n", spec->name, spec->about);
		machine_open(&m, spec);
		m.desired.isolated_auto = true; /* asks for the siblings too */
		machine_observe(&m);
		check_cpus(&m);
		check_irqs(&m, spec);
		check_threads(&m, spec);
		check_nodes(&m, spec);
		check_siblings(&m);
		check_boot(&m, spec);
	}
}

static void thousand_cpus_are_seen(void **state)
{
	const struct tree_node node = { 0, "0-1023", (uint64_t)64 << 20 };
	const struct tree_spec spec = {
		.name = "thousand",
		.possible = "0-1023",
		.isolated = "1-1023",
		.nodes = &node,
		.n_nodes = 1,
		.n_irqs = 120,
		.stage = TREE_TUNED,
	};
	_cleanup_machine_ struct machine m = { 0 };

	(void)state;
	machine_open(&m, &spec);
	machine_observe(&m);
	check_cpus(&m);
	check_irqs(&m, &spec);
	check_threads(&m, &spec);
}

/* The same numbers as a person reads them off the files. */
static void untuned_vm_in_figures(void **state)
{
	_cleanup_machine_ struct machine m = { 0 };
	const struct observed *o = &m.o;

	(void)state;
	machine_open(&m, tree_spec_by_name("vm"));
	machine_observe(&m);
	assert_text(&o->kernel_release, "6.1.0-56-amd64");
	assert_text(&o->boot_id, TREE_BOOT_ID);
	assert_text(&o->cpu_possible, "0-3");
	assert_text(&o->cpu_isolated, "");
	assert_text(observed_file(o, "/sys/devices/system/cpu/nohz_full"), "  (null)");
	assert_text(observed_file(o, "/proc/sys/kernel/sched_rt_runtime_us"), "950000");
	assert_int_equal(o->n_irqs, 69);
	assert_string_equal(o->irqs[2].name, ""); /* IRQ 2, the cascade */
	assert_text(&o->irqs[2].effective, "");
	assert_text(&o->irqs[2].requested, "0-3");
	assert_int_equal(o->irqs[5].number, 24);
	assert_string_equal(o->irqs[5].name, "PCIe PME, aerdrv");
	assert_text(&o->irqs[6].effective, "2");
	assert_int_equal(o->irqs[6].fired_isolated, 1025);
	assert_int_equal(o->irqs[5].fired_isolated, 0);
	assert_string_equal(o->irqs[10].name, "i801_smbus, uhci_hcd:usb1, eth 0: a, b");
	assert_int_equal(o->n_nodes, 2);
	assert_text(&o->nodes[1].cpus, "2-3");
	assert_int_equal(o->nodes[1].memory_kib, 2097152);
	assert_text(&o->iommu_fact, "dmar0");
	assert_int_equal(o->n_iommu_groups, 4);
	assert_text(&o->iommu_groups[3].type, "DMA-FQ");
	assert_text(&o->acpi_dmar, "");
	assert_int_equal(o->acpi_ivrs.state, FACT_ABSENT);
	assert_int_equal(o->n_mounts, 1);
	assert_string_equal(o->mounts[0].target, "/dev/hugepages");
	assert_int_equal(o->mounts[0].page_size_kib, 2048);
	assert_text(&o->irqbalance_pid, "611");
	assert_text(&o->irqbalance_banned, "");
	assert_int_equal(o->irqbalance_enabled.state, FACT_KNOWN);
	assert_int_equal(o->n_refusals, 0);
	assert_non_null(strstr(o->cpuinfo.text, "nonstop_tsc"));
	assert_null(strstr(o->cpuinfo.text, "processor\t: 1"));
}

static void tuned_vm_in_figures(void **state)
{
	_cleanup_machine_ struct machine m = { 0 };
	const struct observed *o = &m.o;

	(void)state;
	machine_open(&m, tree_spec_by_name("vm-tuned"));
	machine_observe(&m);
	assert_text(&o->cpu_isolated, "2-3");
	assert_text(&o->irqbalance_banned, "2-3");
	assert_int_equal(o->n_mounts, 2);
	assert_string_equal(o->mounts[1].target, "/dev/huge 1G");
	assert_int_equal(o->mounts[1].page_size_kib, 1048576);
	assert_text(&o->iommu_groups[0].type, "identity");
	assert_text(&o->boot.next_kernel, TREE_KERNEL_RT);
	assert_string_equal(o->boot.next_entry_id,
			    "gnulinux-advanced-" TREE_UUID ">gnulinux-" TREE_KERNEL_RT
			    "-advanced-" TREE_UUID);
	assert_string_equal(o->boot.kernels[0].version, TREE_KERNEL_RT);
	assert_string_equal(o->boot.kernels[0].entry_id, o->boot.next_entry_id);
	assert_text(&o->boot.kernels[0].config,
		    "CONFIG_NO_HZ_FULL=y\nCONFIG_PREEMPT_RT=y\nCONFIG_RCU_NOCB_CPU=y");
	assert_string_equal(o->boot.kernels[1].version, TREE_KERNEL);
	assert_text(&o->boot.kernels[1].config, "CONFIG_NO_HZ_FULL=y\nCONFIG_RCU_NOCB_CPU=y");
	assert_int_equal(observed_file(o, "/sys/devices/system/machinecheck/")->state, FACT_ABSENT);
	assert_true(o->n_refusals > 0);
	assert_string_equal(o->refusals[0].target, "/proc/irq/26/smp_affinity_list");
	assert_int_equal(o->refusals[0].error, EIO);
}

static void bare_machine_is_all_absent(void **state)
{
	_cleanup_machine_ struct machine m = { 0 };
	const struct observed *o = &m.o;
	const struct fact *const facts[] = {
		&o->cpu_possible,	&o->cpu_present,   &o->cpu_online,
		&o->cpu_isolated,	&o->cpuinfo,	   &o->meminfo,
		&o->irqs_fact,		&o->nodes_fact,	   &o->iommu_fact,
		&o->iommu_groups_fact,	&o->acpi_dmar,	   &o->acpi_ivrs,
		&o->mounts_fact,	&o->boot.grub_cfg, &o->boot.next_cmdline,
		&o->boot.next_kernel,	&o->boot.drop_in,  &o->irqbalance_pid,
		&o->irqbalance_enabled,
	};

	(void)state;
	machine_open(&m, tree_spec_by_name("bare"));
	machine_observe(&m);
	for (size_t i = 0; i < ARRAY_SIZE(facts); i++) {
		assert_int_equal(facts[i]->state, FACT_ABSENT);
		assert_non_null(facts[i]->path);
	}
	for (size_t i = 0; i < o->n_files; i++)
		assert_int_equal(o->files[i].state, FACT_ABSENT);
	assert_int_equal(o->n_cpus, 1);
	assert_true(cpuset_empty(&o->possible));
	assert_null(o->boot.next_entry_id);
}

static void only_what_is_asked_for_is_read(void **state)
{
	_cleanup_machine_ struct machine m = { 0 };
	const struct observed *o = &m.o;

	(void)state;
	machine_open(&m, tree_spec_by_name("vm"));
	for (size_t i = 0; i < n_settings; i++)
		if (!streq(settings[i]->name, "timer_migration"))
			m.desired.values[i] = NULL;
	machine_observe(&m);
	assert_int_equal(o->groups, 0);
	assert_int_equal(o->n_files, 1);
	assert_text(&o->files[0], "1");
	assert_int_equal(o->irqs_fact.state, FACT_UNPROBED);
	assert_int_equal(o->threads_fact.state, FACT_UNPROBED);
	assert_int_equal(o->irqbalance_pid.state, FACT_UNPROBED);
	assert_int_equal(o->n_irqs, 0);
	assert_int_equal(o->boot.grub_cfg.state, FACT_KNOWN);
}

static void null_reads_everything(void **state)
{
	_cleanup_machine_ struct machine m = { 0 };

	(void)state;
	machine_open(&m, tree_spec_by_name("vm"));
	assert_int_equal(observe(&m.root, NULL, &m.o), 0);
	assert_int_equal(m.o.groups & settings_facts(NULL), settings_facts(NULL));
	assert_int_equal(m.o.n_irqs, 69);
	assert_int_equal(m.o.irqs[6].fired_isolated, 0); /* no CPU is watched */
	assert_int_equal(m.o.package.state, FACT_UNPROBED);
	check_siblings(&m);
}

static void files_are_sorted_and_unique(void **state)
{
	_cleanup_machine_ struct machine m = { 0 };

	(void)state;
	machine_open(&m, tree_spec_by_name("smt"));
	assert_int_equal(observe(&m.root, NULL, &m.o), 0);
	assert_true(m.o.n_files > 48);
	for (size_t i = 1; i < m.o.n_files; i++)
		assert_true(strcmp(m.o.files[i - 1].path, m.o.files[i].path) < 0);
	assert_text(observed_file(&m.o, "/sys/devices/system/cpu/cpu10/cpuidle/state2/disable"),
		    "0");
}

/* What cannot be read shows as that, wherever it is; the rest is still there. */
static void unreadable_parts_are_said(void **state)
{
	_cleanup_machine_ struct machine m = { 0 };
	struct observed *o = &m.o;

	(void)state;
	machine_open(&m, tree_spec_by_name("vm"));
	scratch_delete(&m.dir, "proc/irq/25/effective_affinity_list");
	scratch_folder(&m.dir, "proc/irq/25/effective_affinity_list");
	scratch_delete(&m.dir, "sys/devices/system/node/node1/cpulist");
	scratch_link(&m.dir, "sys/devices/system/node/node1/cpulist", "cpulist");
	scratch_delete(&m.dir, "sys/devices/system/cpu/isolated");
	scratch_fifo(&m.dir, "sys/devices/system/cpu/isolated");
	scratch_delete(&m.dir, "proc/1010/stat");
	scratch_folder(&m.dir, "proc/1010/stat");
	scratch_write(&m.dir, "proc/self/mounts", "hugetlbfs /x hugetlbfs rw,pagesize=junk 0 0\n");
	scratch_write(&m.dir, "boot/grub/grub.cfg", "no entry here\n");
	scratch_delete(&m.dir, "sys/kernel/iommu_groups/2/type");
	machine_observe(&m);
	assert_int_equal(o->irqs[6].effective.state, FACT_UNREADABLE);
	assert_int_equal(o->irqs[6].effective.error, EISDIR);
	assert_text(&o->irqs[7].effective, "3");
	assert_int_equal(o->nodes[1].cpus.state, FACT_UNREADABLE);
	assert_int_equal(o->cpu_isolated.state, FACT_UNREADABLE);
	assert_int_equal(o->threads_fact.state, FACT_UNREADABLE);
	assert_string_equal(o->threads_fact.path, "/proc/1010/stat");
	assert_int_equal(o->mounts_fact.state, FACT_UNREADABLE);
	assert_int_equal(o->mounts_fact.error, EBADMSG);
	assert_int_equal(o->boot.grub_cfg.state, FACT_UNREADABLE);
	assert_int_equal(o->boot.next_cmdline.state, FACT_UNREADABLE);
	assert_int_equal(o->boot.next_kernel.state, FACT_UNREADABLE);
	assert_int_equal(o->iommu_groups[2].type.state, FACT_ABSENT);
	assert_text(&o->iommu_groups[3].type, "DMA-FQ");
}

static void kernel_without_effective_masks_shows_the_requested(void **state)
{
	_cleanup_machine_ struct machine m = { 0 };

	(void)state;
	machine_open(&m, tree_spec_by_name("vm"));
	scratch_delete(&m.dir, "proc/irq/25/effective_affinity_list");
	machine_observe(&m);
	assert_text(&m.o.irqs[6].effective, "0-3");
	assert_string_equal(m.o.irqs[6].effective.path, "/proc/irq/25/smp_affinity_list");
}

static void garbled_interrupts_are_said_and_the_names_kept(void **state)
{
	_cleanup_machine_ struct machine m = { 0 };

	(void)state;
	machine_open(&m, tree_spec_by_name("vm"));
	scratch_write(
		&m.dir, "proc/interrupts",
		"           CPU0       CPU1       CPU2       CPU3       \n"
		"not a row\n"
		"  25:          0          0          7          2   PCI-MSI 1-edge      x y\n");
	machine_observe(&m);
	assert_int_equal(m.o.irqs_fact.state, FACT_UNREADABLE);
	assert_string_equal(m.o.irqs_fact.path, "/proc/interrupts");
	assert_string_equal(m.o.irqs[6].name, "x y");
	assert_int_equal(m.o.irqs[6].fired_isolated, 9);
	assert_string_equal(m.o.irqs[7].name, "");
	scratch_write(&m.dir, "proc/interrupts", "");
	machine_observe(&m);
	assert_int_equal(m.o.irqs_fact.state, FACT_UNREADABLE);
	scratch_delete(&m.dir, "proc/interrupts");
	machine_observe(&m);
	assert_int_equal(m.o.irqs_fact.state, FACT_ABSENT);
	assert_int_equal(m.o.n_irqs, 69);
}

/* A row of 8,192 columns has 90 KB: more than is read at once. */
static void rows_of_any_length_are_read(void **state)
{
	_cleanup_machine_ struct machine m = { 0 };
	_cleanup_free_ char *text = NULL;
	size_t size;
	FILE *f;

	(void)state;
	machine_open(&m, tree_spec_by_name("vm"));
	f = open_memstream(&text, &size);
	for (unsigned i = 0; i < 8192; i++)
		fprintf(f, "%sCPU%-8u", i ? "" : "           ", i);
	for (unsigned irq = 24; irq < 27; irq++) {
		fprintf(f, "\n%3u: ", irq);
		for (unsigned i = 0; i < 8192; i++)
			fprintf(f, "%10u ", i == 3 ? irq : 0);
		fprintf(f, "  PCI-MSI %u-edge      name %u", irq, irq);
	}
	fclose(f); /* and no newline at the end */
	scratch_write(&m.dir, "proc/interrupts", text);
	machine_observe(&m);
	assert_int_equal(m.o.irqs_fact.state, FACT_KNOWN);
	assert_string_equal(m.o.irqs[5].name, "name 24");
	assert_string_equal(m.o.irqs[7].name, "name 26");
	assert_int_equal(m.o.irqs[7].fired_isolated, 26);
	assert_string_equal(m.o.irqs[8].name, "");
}

static void vanished_process_was_not_there(void **state)
{
	_cleanup_machine_ struct machine m = { 0 };

	(void)state;
	machine_open(&m, tree_spec_by_name("vm"));
	scratch_delete(&m.dir, "proc/1010/stat");   /* ksoftirqd/2 */
	scratch_delete(&m.dir, "proc/1014/status"); /* ksoftirqd/3 */
	machine_observe(&m);
	assert_int_equal(m.o.threads_fact.state, FACT_KNOWN);
	assert_int_equal(m.o.n_threads, 3);
}

static void process_with_a_threads_name_is_none(void **state)
{
	_cleanup_machine_ struct machine m = { 0 };
	const struct observed_thread *t;

	(void)state;
	machine_open(&m, tree_spec_by_name("small"));
	machine_observe(&m);
	t = find_thread(&m.o, "ksoftirqd", 0);
	assert_non_null(t);
	assert_true(t->pid != 600);
	assert_int_equal(m.o.n_threads, 2);
}

static void fedora_paths_are_found(void **state)
{
	_cleanup_machine_ struct machine m = { 0 };
	_cleanup_free_ char *from = NULL, *to = NULL;

	(void)state;
	machine_open(&m, tree_spec_by_name("vm"));
	from = scratch_path(&m.dir, "boot/grub");
	to = scratch_path(&m.dir, "boot/grub2");
	assert_int_equal(rename(from, to), 0);
	machine_observe(&m);
	assert_string_equal(m.o.boot.grub_cfg.path, "/boot/grub2/grub.cfg");
	assert_string_equal(m.o.boot.grubenv.path, "/boot/grub2/grubenv");
	assert_text(&m.o.boot.next_kernel, TREE_KERNEL);
}

static void next_entry_in_grubenv_wins(void **state)
{
	_cleanup_machine_ struct machine m = { 0 };

	(void)state;
	machine_open(&m, tree_spec_by_name("vm-pending"));
	machine_observe(&m);
	assert_text(&m.o.boot.next_kernel, TREE_KERNEL_RT);
	scratch_write(&m.dir, "boot/grub/grubenv",
		      "# GRUB Environment Block\nnext_entry=1>2\n########");
	machine_observe(&m);
	assert_text(&m.o.boot.next_kernel, TREE_KERNEL);
}

#define test(name) cmocka_unit_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(every_tree_is_seen_as_it_was_made),
		test(thousand_cpus_are_seen),
		test(untuned_vm_in_figures),
		test(tuned_vm_in_figures),
		test(bare_machine_is_all_absent),
		test(only_what_is_asked_for_is_read),
		test(null_reads_everything),
		test(files_are_sorted_and_unique),
		test(unreadable_parts_are_said),
		test(kernel_without_effective_masks_shows_the_requested),
		test(garbled_interrupts_are_said_and_the_names_kept),
		test(rows_of_any_length_are_read),
		test(vanished_process_was_not_there),
		test(process_with_a_threads_name_is_none),
		test(fedora_paths_are_found),
		test(next_entry_in_grubenv_wins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

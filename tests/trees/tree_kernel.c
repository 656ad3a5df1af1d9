/*
 * The running kernel: its command line, sysctls, clocksource, IOMMU and mounts.
 */
#include <errno.h>

#include "tests/trees/tree_internal.h"

#define IOMMU_GROUPS 4

/*
 * Each of the seed settings' arguments, as the document below asks for them. A document of a
 * machine without nodes asks for no huge pages.
 */
char *tree_boot_args(const struct tree_spec *spec, const struct tree_cpus *cpus)
{
	_cleanup_free_ char *isolated = cpuset_format_list(&cpus->isolated);
	_cleanup_free_ char *housekeeping = cpuset_format_list(&cpus->housekeeping);
	_cleanup_free_ char *pages = NULL;
	char *args;

	if (!tree_applied(spec))
		return strdup("");
	if (!isolated || !housekeeping)
		return NULL;
	if (asprintf(&pages, "default_hugepagesz=1G hugepagesz=1G hugepages=%u:1 ",
		     spec->n_nodes ? spec->nodes[spec->n_nodes - 1].id : 0) < 0) {
		pages = NULL;
		return NULL;
	}
	if (asprintf(&args,
		     "isolcpus=domain,managed_irq,%s nohz_full=%s rcu_nocbs=%s rcu_nocb_poll "
		     "intel_iommu=on iommu=pt %smce=off tsc=reliable nmi_watchdog=0 nosoftlockup "
		     "irqaffinity=%s",
		     isolated, isolated, isolated, spec->n_nodes ? pages : "", housekeeping) < 0)
		return NULL;
	return args;
}

static void write_identity(struct tree *t)
{
	bool rt = tree_booted(t->spec);

	tree_file(t, "proc/sys/kernel/osrelease", "%s\n", rt ? TREE_KERNEL_RT : TREE_KERNEL);
	tree_file(t, "proc/sys/kernel/version", "#1 SMP PREEMPT_%s Debian 6.1.187-1 (2026-10-30)\n",
		  rt ? "RT" : "DYNAMIC");
	tree_file(t, "proc/sys/kernel/random/boot_id", TREE_BOOT_ID "\n");
	tree_file(t, "proc/cmdline",
		  "BOOT_IMAGE=/boot/vmlinuz-%s root=UUID=" TREE_UUID
		  " ro console=ttyS0,115200%s%s\n",
		  rt ? TREE_KERNEL_RT : TREE_KERNEL, rt ? " " : "", rt ? t->args : "");
}

static void write_knobs(struct tree *t)
{
	bool tuned = tree_applied(t->spec);
	static const char *const watchdogs[] = { "watchdog", "nmi_watchdog", "soft_watchdog" };
	char path[64];

	for (size_t i = 0; i < ARRAY_SIZE(watchdogs); i++) {
		snprintf(path, sizeof(path), "proc/sys/kernel/%s", watchdogs[i]);
		tree_file(t, path, "%d\n", !tuned);
	}
	tree_file(t, "proc/sys/kernel/sched_rt_runtime_us", "%d\n", tuned ? -1 : 950000);
	tree_file(t, "proc/sys/kernel/sched_rt_period_us", "1000000\n");
	tree_file(t, "proc/sys/kernel/timer_migration", "%d\n", !tuned);
	tree_folder(t, "sys/kernel/debug/sched");
	tree_file(t, "sys/devices/system/clocksource/clocksource0/current_clocksource", "%s\n",
		  tree_booted(t->spec) ? "tsc" : "hpet");
	tree_file(t, "sys/devices/system/clocksource/clocksource0/available_clocksource",
		  "tsc hpet acpi_pm \n");
}

static void write_iommu(struct tree *t)
{
	char path[64];

	tree_folder(t, "sys/devices/virtual/iommu/dmar0");
	tree_link(t, "sys/class/iommu/dmar0", "../../devices/virtual/iommu/dmar0");
	for (unsigned i = 0; i < IOMMU_GROUPS; i++) {
		snprintf(path, sizeof(path), "sys/kernel/iommu_groups/%u/type", i);
		tree_file(t, path, "%s\n", tree_booted(t->spec) ? "identity" : "DMA-FQ");
	}
	tree_bytes(t, "sys/firmware/acpi/tables/DMAR", "DMAR\x30\0\0\0\1", 9);
}

static void write_mounts(struct tree *t)
{
	tree_file(t, "proc/self/mounts",
		  "/dev/vda1 / ext4 rw,relatime,errors=remount-ro 0 0\n"
		  "sysfs /sys sysfs rw,nosuid,nodev,noexec,relatime 0 0\n"
		  "//server/share /mnt/with\\040blank cifs rw,username=x 0 0\n"
		  "hugetlbfs /dev/hugepages hugetlbfs rw,relatime,pagesize=2M 0 0\n%s",
		  tree_applied(t->spec)
			  ? "hugetlbfs /dev/huge\\0401G hugetlbfs rw,relatime,pagesize=1024M 0 0\n"
			  : "");
}

/* The whole seed state, as tree_boot_args() and the tuned machine have it. */
static void write_document(struct tree *t)
{
	const struct tree_spec *spec = t->spec;
	char pages[80] = "";

	if (!spec->isolated)
		return;
	if (spec->n_nodes)
		snprintf(pages, sizeof(pages), "  hugepages: [{size: 1G, count: 1, node: %u}]\n",
			 spec->nodes[spec->n_nodes - 1].id);
	tree_file(t, "etc/latencyd/latencyd.yaml",
		  "version: 1\nhost:\n  cpus: {isolated: \"%s\"%s}\n"
		  "  kernel: {preemption: rt, package: linux-image-rt-amd64}\n"
		  "  cpu_isolation: [domain, managed_irq]\n  tick_offload: isolated\n"
		  "  rcu_offload: isolated\n  iommu: passthrough\n%s"
		  "  machine_check: off\n  tsc: reliable\n  watchdogs: off\n  rt_throttling: off\n"
		  "  irq_affinity: housekeeping\n  kthread_priority: realtime\n"
		  "  timer_migration: off\n",
		  spec->isolated, cpuset_has(&t->cpus.isolated, 0) ? ", allow_cpu0: true" : "",
		  pages);
}

void tree_write_kernel(struct tree *t)
{
	write_identity(t);
	if (t->spec->bare)
		return;
	write_knobs(t);
	write_iommu(t);
	write_mounts(t);
	write_document(t);
}

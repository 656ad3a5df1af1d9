#pragma once
/*
 * The parts of one observation pass. Each fills its own fields of @o, whose arena exists, and
 * returns 0 or -ENOMEM: everything else that goes wrong is a fact.
 */
#include <errno.h>

#include "probes/sysroot.h"
#include "state/desired.h"

/* files.c: every file that the settings of @d (NULL: all) name, sorted by path, into o->files. */
int probe_files(const struct sysroot *root, const struct desired *d, struct observed *o);

/* irqs.c: /proc/irq and /proc/interrupts; counts are summed over @watched (NULL: no CPU). */
int probe_irqs(const struct sysroot *root, const struct cpuset *watched, struct observed *o);

/*
 * threads.c: one walk over /proc for the kernel threads (FACTS_THREADS in @groups) and for
 * irqbalance's pid (FACTS_IRQBALANCE; *ret_irqbalance is 0 when it does not run, and a negative
 * errno when that could not be told).
 */
int probe_processes(const struct sysroot *root, unsigned groups, struct observed *o,
		    int *ret_irqbalance);

/* nodes.c: /sys/devices/system/node (Documentation/admin-guide/mm/numaperf.rst, hugetlbpage.rst).
 */
int probe_nodes(const struct sysroot *root, struct observed *o);

/* iommu.c: /sys/class/iommu, /sys/kernel/iommu_groups, the DMAR and IVRS tables. */
int probe_iommu(const struct sysroot *root, struct observed *o);

/* boot.c: GRUB's configuration and its sources. */
int probe_boot(const struct sysroot *root, struct observed *o);

/* mounts.c: hugetlbfs in /proc/self/mounts. */
int probe_mounts(const struct sysroot *root, struct observed *o);

/* packages.c: is @package (NULL: none is asked for) installed. */
int probe_package(const struct sysroot *root, const char *package, struct observed *o);

/* irqbalance.c: what it was told, asked of the process @pid (as *ret_irqbalance above). */
int probe_irqbalance(const struct sysroot *root, int pid, struct observed *o);

/* refusals.c: /run/latencyd/refusals.json, as far as it is of this boot. Needs o->boot_id. */
int probe_refusals(const struct sysroot *root, struct observed *o);
/* The same of a text in memory; a text that is not ours yields nothing. */
int refusals_parse(const char *text, size_t size, const char *boot_id, struct observed *o);

/* Out of memory is the one failure that must not end up as a fact. */
static inline int fact_check(const struct fact *f)
{
	return f->error == ENOMEM ? -ENOMEM : 0;
}

#pragma once
/* The rows themselves, for settings.c, and what other files must know of a row's value. */
#include "state/settings.h"

extern const struct setting setting_kernel, setting_cpu_isolation, setting_tick_offload,
	setting_rcu_offload, setting_iommu, setting_hugepages, setting_machine_check, setting_tsc,
	setting_watchdogs, setting_rt_throttling, setting_irq_affinity, setting_idle,
	setting_kthread_priority, setting_timer_migration;

/*
 * Pool @i of the document's `hugepages`: 0, or -ENOENT when there is none. *ret_node is -1 for the
 * whole machine.
 */
int desired_hugepages(const struct desired *d, size_t i, uint64_t *ret_size_kib,
		      uint64_t *ret_count, int *ret_node);

/* The kernel row's package, or NULL: for desired_package(). */
const char *kernel_value_package(const void *value);

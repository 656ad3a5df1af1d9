#pragma once
/* The rows themselves, for settings.c only. */
#include "state/settings.h"

extern const struct setting setting_kernel, setting_cpu_isolation, setting_tick_offload,
	setting_rcu_offload, setting_iommu, setting_hugepages, setting_machine_check, setting_tsc,
	setting_watchdogs, setting_rt_throttling, setting_irq_affinity, setting_idle,
	setting_kthread_priority, setting_timer_migration;

/* The kernel row's package, or NULL: for desired_package(). */
const char *kernel_value_package(const void *value);

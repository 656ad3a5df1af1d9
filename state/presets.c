/*
 * The states that have a name. Each is the text of a `host:` mapping, read by the same code as the
 * document, so a preset can say nothing that a document could not. `cpus` is never in one: which
 * CPUs to isolate is the operator's choice.
 */
#include "state/document_parts.h"

const struct preset presets[] = {
	{
		/* What OPNFV KVM4NFV's host-setup0.sh and host-setup1.sh meant to set. Its
		 * `idle=poll` on the host is left out: it heats every CPU, so a document says it.
		 */
		.name = "kvm4nfv-host",
		.text = "kernel: {preemption: rt, package: linux-image-rt-amd64}\n"
			"cpu_isolation: [domain, managed_irq]\n"
			"tick_offload: isolated\n"
			"rcu_offload: isolated\n"
			"iommu: passthrough\n"
			"hugepages: [{size: 1G, count: 2}]\n"
			"machine_check: off\n"
			"tsc: reliable\n"
			"watchdogs: off\n"
			"rt_throttling: off\n"
			"irq_affinity: housekeeping\n"
			"kthread_priority: {ksoftirqd: 2, rcuc: 3, rcub: 3}\n",
	},
	{
		/* A host for real-time programs without guests: errors of the hardware stay visible
		 * and devices keep their IOMMU protection. */
		.name = "realtime-host",
		.text = "kernel: {preemption: rt}\n"
			"cpu_isolation: [domain, managed_irq]\n"
			"tick_offload: isolated\n"
			"rcu_offload: isolated\n"
			"machine_check: ignore_ce\n"
			"tsc: reliable\n"
			"watchdogs: off\n"
			"rt_throttling: off\n"
			"irq_affinity: housekeeping\n"
			"kthread_priority: realtime\n"
			"timer_migration: off\n",
	},
	{
		/* What KVM4NFV's guest-setup0.sh and guest-setup1.sh meant to set, and the RCU
		 * callbacks and threads that they forgot. */
		.name = "realtime-guest",
		.text = "kernel: {preemption: rt}\n"
			"cpu_isolation: [domain, managed_irq]\n"
			"tick_offload: isolated\n"
			"rcu_offload: isolated\n"
			"machine_check: off\n"
			"tsc: reliable\n"
			"watchdogs: off\n"
			"rt_throttling: off\n"
			"irq_affinity: housekeeping\n"
			"idle: poll\n"
			"kthread_priority: realtime\n"
			"timer_migration: off\n",
	},
};
const size_t n_presets = ARRAY_SIZE(presets);

/*
 * Lets KVM run inside the lab's emulated machine. The RT kernel's KVM refuses a CPU without
 * constant_tsc, which QEMU's emulation cannot offer; this module says the CPU has it. For the lab
 * only: on a real machine the flag is the processor's own word.
 */
#include <linux/module.h>
#include <asm/cpufeature.h>
#include <asm/processor.h>

static int __init constant_tsc_init(void)
{
	set_cpu_cap(&boot_cpu_data, X86_FEATURE_CONSTANT_TSC);
	set_cpu_cap(&boot_cpu_data, X86_FEATURE_NONSTOP_TSC);
	return 0;
}

static void __exit constant_tsc_exit(void)
{
}

module_init(constant_tsc_init);
module_exit(constant_tsc_exit);
MODULE_DESCRIPTION("claims constant_tsc, for KVM in an emulated machine");
MODULE_LICENSE("GPL");

#pragma once
/* The boot half of a revert: packages, drop-in, grub.cfg. */
#include "actuators/originals.h"

enum boot_revert {
	BOOT_REVERTED,	      /* the boot files are the original ones, and so is the kernel */
	BOOT_REVERTED_REBOOT, /* they are; the running kernel was booted with arguments of ours */
	BOOT_PENDING,	      /* a kernel that we installed runs: the original one boots next */
};

/* An enum boot_revert or negative errno. Whatever was done before is found done. */
int boot_revert_all(struct originals *o, struct error *e);
/* Takes away what @setting asked for; the rest of the drop-in stays. As above. */
int boot_revert_setting(struct originals *o, const char *setting, struct error *e);

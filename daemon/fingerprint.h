#pragma once
/*
 * What a verdict "verified" stands on beside the settings: kernel, microcode, firmware, the CPUs
 * online. Another one means that the machine must prove itself anew.
 */
#include "probes/sysroot.h"
#include "state/observed.h"

/* One line, malloc()ed: "kernel=... microcode=... firmware=... cpus=0-3"; NULL: out of memory.
 * What cannot be read is "?". */
char *fingerprint(const struct sysroot *root, const struct observed *o);

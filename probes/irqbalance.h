#pragma once
/*
 * irqbalance's socket (irqbalance.c: init_socket(), sock_handle(); versions 1.3 to 1.9).
 */
#include "probes/sysroot.h"

/*
 * Asks the irqbalance with this @pid for its "setup"; *ret is its answer, malloc()ed:
 * "SLEEP 10 IRQ 24 LOAD ... BANNED 00000000,0000000c". Waits at most a second in all.
 * -ENOENT: it has no socket; -EACCES: it answers root only; -ETIMEDOUT; -EBADMSG.
 */
int irqbalance_setup(const struct sysroot *root, int pid, char **ret);

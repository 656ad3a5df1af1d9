#pragma once
/*
 * Our nftables table `inet latencyd`, through libnftables: which sources may reach a guest's ssh
 * port on the host, and where it leads. The whole table is replaced in one transaction, so a rule
 * is there exactly once or not at all. nft(8).
 *
 * A table is text, one line a rule, sorted, as state/guest_rows.c words what is wanted:
 *	"5555 from 10.0.0.0/8, 127.0.0.0/8"		for QEMU, which forwards by itself
 *	"5555 to 192.168.122.5 from 10.0.0.0/8"		translated to port 22 of that address
 *
 * Translation needs net.ipv4.ip_forward (or ipv6's), which is not set here. The kernel does not
 * route from 127.0.0.0/8 (route_localnet), so with "to" a loopback source is let in but gets
 * nowhere. A network is read back without the bits behind its prefix: "10.1.2.3/8" as "10.0.0.0/8".
 */
#include "state/arena.h"
#include "state/error.h"
#include "state/observed.h"

/* The live table as such text (a fact in @a: known, absent without a table, denied, or unreadable
 * when it has rules that are not ours). -ENOMEM only. */
int forward_read(struct arena *a, struct fact *ret);
/* Makes the table say @want (NULL: removes it), reads it back. 1 changed, 0 was so, -errno with *e.
 */
int forward_set(const char *want, struct error *e);

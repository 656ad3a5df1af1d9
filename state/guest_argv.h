#pragma once
/*
 * QEMU's command line for a guest that latencyd launches, and the places of such a guest. Pure:
 * what the machine offers comes in.
 */
#include "state/guest.h"

/* The folder of one launched guest: qemu.pid, qmp.sock, agent.sock, qemu.log, console.log. */
#define GUEST_RUN_DIRECTORY "/run/latencyd/guests"
#define GUEST_CHANNEL_PORT  "org.latencyd1.0" /* name of the virtio-serial port */
#define GUEST_VSOCK_PORT    1024
#define GUEST_QEMU	    "/usr/bin/qemu-system-x86_64"

/* "/run/latencyd/guests/NAME/FILE" in @a. */
const char *guest_path(struct arena *a, const char *guest, const char *file);
/* The guest's vsock address: stable for a name, at least 1000. */
unsigned guest_vsock_cid(const char *guest);
/* Does QEMU's own network listen for the guest's ssh where others than this machine reach it? */
bool guest_listens_to_others(const struct desired_guest *g);
/* Is the disk given to QEMU as qcow2? Any other name is a raw one. */
bool guest_disk_is_qcow2(const char *path);
/* "latencyd-guest-NAME.service" in @a. */
const char *guest_unit(struct arena *a, const char *guest);

/*
 * NULL ended, in @a; argv[0] is GUEST_QEMU. What the machine offers (KVM, vsock) comes from @o's
 * facts kvm and vhost_vsock; GUEST_ACCEL_KVM without KVM is the launch row's business, not refused
 * here. NULL when out of memory.
 */
const char *const *guest_argv(const struct desired_guest *g, const struct observed *o,
			      struct arena *a);
/* Is the running QEMU's command line (blank separated, from /proc) that of @want? */
bool guest_argv_same(const char *running, const char *const *want);

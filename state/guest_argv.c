/*
 * QEMU's arguments, one function a part of the machine. -nodefaults and -no-user-config: nothing is
 * in the guest but what stands here; there is no balloon. Paths and names were checked for commas
 * when the document was read.
 */
#include "state/guest_argv.h"

#include <inttypes.h>

#include "state/cmdline.h"

/* Out of memory is remembered and told by the end. */
struct builder {
	struct arena *a;
	const char **args;
	size_t n_args;
	bool failed;
};

static void add(struct builder *b, const char *arg)
{
	const char **place = arg ? arena_grow(b->a, &b->args, &b->n_args, sizeof(*b->args)) : NULL;

	if (place)
		*place = arg;
	else
		b->failed = true;
}

static void add2(struct builder *b, const char *option, const char *value)
{
	add(b, option);
	add(b, value);
}

const char *guest_path(struct arena *a, const char *guest, const char *file)
{
	return arena_printf(a, GUEST_RUN_DIRECTORY "/%s/%s", guest, file);
}

const char *guest_unit(struct arena *a, const char *guest)
{
	return arena_printf(a, "latencyd-guest-%s.service", guest);
}

unsigned guest_vsock_cid(const char *guest)
{
	uint32_t hash = 2166136261U; /* FNV-1a */

	for (; *guest; guest++)
		hash = (hash ^ (unsigned char)*guest) * 16777619U;
	return 1000 + hash % 2000000000U;
}

static bool uses_kvm(const struct desired_guest *g, const struct observed *o)
{
	return g->launch.accel == GUEST_ACCEL_KVM ||
	       (g->launch.accel == GUEST_ACCEL_AUTO && fact_known(&o->kvm));
}

static void add_machine(struct builder *b, const struct desired_guest *g, const struct observed *o)
{
	bool kvm = uses_kvm(g, o);

	add2(b, "-name", arena_printf(b->a, "guest=%s,debug-threads=on", g->name));
	add(b, "-nodefaults");
	add(b, "-no-user-config");
	add2(b, "-display", "none");
	add2(b, "-machine",
	     kvm ? "q35,memory-backend=memory,kernel-irqchip=on" : "q35,memory-backend=memory");
	add2(b, "-accel", kvm ? "kvm" : "tcg,thread=multi");
	/* The guest's clock and timers are the processor's own (background: KVM4NFV). */
	add2(b, "-cpu", kvm ? "host,migratable=off,+invtsc,+tsc-deadline,pmu=off" : "max");
	add2(b, "-smp",
	     arena_printf(b->a, "%zu,sockets=1,cores=%zu,threads=1", g->n_vcpus, g->n_vcpus));
}

static void add_memory(struct builder *b, const struct desired_guest *g)
{
	const struct desired_launch *l = &g->launch;
	const char *size = format_size_kib(b->a, l->memory_kib), *pages = "", *node = "";

	if (l->page_size_kib)
		pages = arena_printf(b->a, ",hugetlb=on,hugetlbsize=%s",
				     format_size_kib(b->a, l->page_size_kib));
	if (l->node >= 0)
		node = arena_printf(b->a, ",host-nodes=%d,policy=bind", l->node);
	if (!size || !pages || !node) {
		b->failed = true;
		return;
	}
	add2(b, "-m", size);
	add2(b, "-object",
	     arena_printf(b->a, "memory-backend-memfd,id=memory,size=%s%s,prealloc=on%s", size,
			  pages, node));
	add2(b, "-overcommit", "mem-lock=on");
}

/* Said by the name, not probed: a guest could write another format's header into a raw disk and
 * have its next start read any file of the host. */
bool guest_disk_is_qcow2(const char *path)
{
	size_t n = strlen(path), m = strlen(".qcow2");

	return n > m && streq(path + n - m, ".qcow2");
}

static void add_disk(struct builder *b, const struct desired_guest *g)
{
	if (!g->launch.disk)
		return;
	add2(b, "-object", "iothread,id=disk-io");
	add2(b, "-drive",
	     arena_printf(b->a, "file=%s,if=none,id=disk,format=%s,cache=none,aio=threads",
			  g->launch.disk, guest_disk_is_qcow2(g->launch.disk) ? "qcow2" : "raw"));
	add2(b, "-device", "virtio-blk-pci,drive=disk,iothread=disk-io");
}

static void add_kernel(struct builder *b, const struct desired_guest *g)
{
	if (!g->launch.kernel)
		return;
	add2(b, "-kernel", g->launch.kernel);
	if (g->launch.initrd)
		add2(b, "-initrd", g->launch.initrd);
	add2(b, "-append", guest_boot_arguments(g, b->a));
}

/* It listens where the sources can reach it; who may is the firewall's rule. */
bool guest_listens_to_others(const struct desired_guest *g)
{
	const struct desired_ssh *ssh = &g->ssh;

	if (g->origin != GUEST_LAUNCH || g->launch.no_network || g->launch.tap || !ssh->host_port)
		return false;
	for (size_t i = 0; i < ssh->n_from; i++)
		if (!after_prefix(ssh->from[i], "127."))
			return true;
	return false;
}

static void add_network(struct builder *b, const struct desired_guest *g)
{
	const struct desired_launch *l = &g->launch;

	if (l->no_network)
		return;
	if (l->tap)
		add2(b, "-netdev",
		     arena_printf(b->a, "tap,id=net,ifname=%s,script=no,downscript=no", l->tap));
	else if (g->ssh.host_port)
		add2(b, "-netdev",
		     arena_printf(b->a, "user,id=net,hostfwd=tcp:%s:%u-:22",
				  guest_listens_to_others(g) ? "" : "127.0.0.1", g->ssh.host_port));
	else
		add2(b, "-netdev", "user,id=net");
	add2(b, "-device", "virtio-net-pci,netdev=net");
}

static void add_channels(struct builder *b, const struct desired_guest *g, const struct observed *o)
{
	const char *agent = guest_path(b->a, g->name, "agent.sock");
	const char *qmp = guest_path(b->a, g->name, "qmp.sock");
	const char *console = guest_path(b->a, g->name, "console.log");

	if (!agent || !qmp || !console) {
		b->failed = true;
		return;
	}
	if (fact_known(&o->vhost_vsock)) {
		add2(b, "-device",
		     arena_printf(b->a, "vhost-vsock-pci,guest-cid=%u", guest_vsock_cid(g->name)));
	} else {
		add2(b, "-device", "virtio-serial-pci");
		add2(b, "-chardev",
		     arena_printf(b->a, "socket,id=agent,path=%s,server=on,wait=off", agent));
		add2(b, "-device", "virtserialport,chardev=agent,name=" GUEST_CHANNEL_PORT);
	}
	add2(b, "-chardev", arena_printf(b->a, "socket,id=qmp,path=%s,server=on,wait=off", qmp));
	add2(b, "-mon", "chardev=qmp,mode=control");
	add2(b, "-serial", arena_printf(b->a, "file:%s", console));
	add2(b, "-device", "virtio-rng-pci");
	add2(b, "-pidfile", guest_path(b->a, g->name, "qemu.pid"));
}

const char *const *guest_argv(const struct desired_guest *g, const struct observed *o,
			      struct arena *a)
{
	struct builder b = { .a = a };

	add(&b, GUEST_QEMU);
	add_machine(&b, g, o);
	add_memory(&b, g);
	add_disk(&b, g);
	add_kernel(&b, g);
	add_network(&b, g);
	add_channels(&b, g, o);
	if (!arena_grow(a, &b.args, &b.n_args, sizeof(*b.args)))
		b.failed = true;
	return b.failed ? NULL : b.args;
}

bool guest_argv_same(const char *running, const char *const *want)
{
	for (size_t i = 0; want[i]; i++) {
		if (i && *running++ != ' ')
			return false;
		running = after_prefix(running, want[i]);
		if (!running)
			return false;
	}
	return !*running || streq(running, " ");
}

/*
 * One guest after the other: the process first, then what only a running one has. The kernel's own
 * files say whether KVM is used, which threads there are and where the memory lies; QEMU's monitor
 * only tells vCPUs and features apart. The channel comes last, because the guest behind it may use
 * up its whole time.
 */
#include "guest/observe_guests.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>

#include "guest/channel.h"
#include "guest/files.h"
#include "guest/forward.h"
#include "guest/observe_parts.h"
#include "guest/process.h"
#include "state/guest_argv.h"
#include "state/guest_status.h"

#define STATUS_MS 3000
#define KVM	  "/dev/kvm"

struct look {
	const struct sysroot *root;
	struct arena *a;
	const struct guest_source *source;
	bool in_progress;
	const struct guest_kthread *kthreads;
	size_t n_kthreads;
	int kthreads_result;
};

static int checked(const struct fact *f)
{
	return f->error == ENOMEM ? -ENOMEM : 0;
}

/* The command line as one line; its words are kept apart by NULs in /proc. */
static int look_argv(struct look *l, struct observed_guest *seen)
{
	_cleanup_free_ char *text = NULL;
	char path[64];
	size_t size;
	int r;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", seen->pid);
	r = sysroot_read(l->root, path, &text, &size);
	if (r == 0 && !size)
		r = -ESRCH;
	for (size_t i = 0; r == 0 && i + 1 < size; i++)
		if (!text[i])
			text[i] = ' ';
	seen->argv = sysroot_outcome(l->a, path, r, text);
	return checked(&seen->argv);
}

/* 1: the process has a virtual machine of KVM open; 0: none; negative errno. */
static int has_kvm(const struct sysroot *root, const char *path)
{
	_cleanup_close_ int folder = -1;
	_cleanup_free_ unsigned *fds = NULL;
	size_t n;
	int r;

	r = sysroot_numbers(root, path, "", "", &fds, &n);
	if (r < 0)
		return r;
	folder = sysroot_openat(root, path, O_RDONLY | O_DIRECTORY);
	if (folder < 0)
		return folder;
	for (size_t i = 0; i < n; i++) {
		char name[16], target[64];
		ssize_t size;

		snprintf(name, sizeof(name), "%u", fds[i]);
		size = readlinkat(folder, name, target, sizeof(target) - 1);
		if (size < 0 && errno != ENOENT)
			return -errno;
		target[size > 0 ? size : 0] = '\0';
		if (streq(target, "anon_inode:kvm-vm"))
			return 1;
	}
	return 0;
}

int guest_look_accel(const struct sysroot *root, struct arena *a, struct observed_guest *seen)
{
	char path[64];
	int r;

	snprintf(path, sizeof(path), "/proc/%d/fd", seen->pid);
	r = has_kvm(root, path);
	seen->accel = sysroot_outcome(a, path, r, r > 0 ? "kvm" : "tcg");
	return checked(&seen->accel);
}

static int look_threads(struct look *l, const struct guest_monitor *monitor,
			struct observed_guest *seen)
{
	if (l->kthreads_result < 0) {
		seen->vcpus_by = sysroot_outcome(l->a, "/proc", l->kthreads_result, NULL);
		return checked(&seen->vcpus_by);
	}
	return guest_look_threads(l->root, monitor, l->kthreads, l->n_kthreads, l->a, seen);
}

/* An answer is kept as text: reading it is for who knows how hostile it may be. */
static int take_status(struct look *l, const char *address, const char *text,
		       struct observed_guest *seen)
{
	if (strlen(text) <= GUEST_STATUS_SIZE_MAX) {
		seen->channel = sysroot_outcome(l->a, address, 0, text);
		return checked(&seen->channel);
	}
	seen->channel = sysroot_outcome(l->a, address, -EMSGSIZE, NULL);
	seen->channel_trouble = arena_printf(l->a, "the guest's status has more than %d bytes",
					     GUEST_STATUS_SIZE_MAX);
	return seen->channel_trouble ? checked(&seen->channel) : -ENOMEM;
}

/* Whatever went wrong: a channel that is there and gives no status is never "absent". */
static int take_trouble(struct look *l, const char *address, int r, const struct error *e,
			struct observed_guest *seen)
{
	seen->channel = (struct fact){ .state = FACT_UNREADABLE,
				       .error = -r,
				       .path = arena_strdup(l->a, address) };
	seen->channel_trouble = arena_strdup(l->a, e->what ? e->what : strerror(-r));
	return r != -ENOMEM && seen->channel.path && seen->channel_trouble ? 0 : -ENOMEM;
}

int guest_ask_status(const char *name, const char *address, char **ret, struct error *e)
{
	return guest_call(name, address, "Status", NULL, STATUS_MS, ret, e);
}

static int get_status(struct look *l, const char *name, const char *address, char **ret,
		      struct error *e)
{
	const struct guest_source *s = l->source;

	return s && s->status ? s->status(s->userdata, name, address, ret, e)
			      : guest_ask_status(name, address, ret, e);
}

static int look_channel(struct look *l, const struct desired_guest *g, struct observed_guest *seen)
{
	_cleanup_error_ struct error e = { 0 };
	_cleanup_free_ char *text = NULL;
	const char *address;
	int r;

	if (!g->state)
		return 0;
	address = guest_channel_address(g, seen->argv.text, l->a);
	if (!address) {
		seen->channel = sysroot_outcome(l->a, "channel", -ENOENT, NULL);
		return seen->channel.path ? 0 : -ENOMEM;
	}
	r = get_status(l, g->name, address, &text, &e);
	if (r == -EINPROGRESS) {
		l->in_progress = true;
		return 0;
	}
	return r < 0 ? take_trouble(l, address, r, &e, seen) : take_status(l, address, text, seen);
}

/* The mark names the process, so that one of an earlier QEMU says nothing. */
static int look_mark(struct look *l, struct observed_guest *seen)
{
	const char *path = guest_path(l->a, seen->name, "verified");
	struct fact mark;
	int64_t pid;

	if (!path)
		return -ENOMEM;
	mark = sysroot_fact(l->root, l->a, path);
	seen->was_verified = fact_number(&mark, &pid) == 0 && pid == seen->pid;
	return checked(&mark);
}

static const char *monitor_socket(struct look *l, const struct desired_guest *g)
{
	return g->origin == GUEST_ADOPT ? g->adopt.qmp : guest_path(l->a, g->name, GUEST_QMP);
}

static int look_running(struct look *l, const struct desired_guest *g, struct observed_guest *seen)
{
	struct guest_monitor monitor;
	uint64_t memory_kib;
	int r;

	r = look_argv(l, seen);
	if (r == 0)
		r = guest_look_accel(l->root, l->a, seen);
	if (r == 0)
		r = guest_ask_monitor(monitor_socket(l, g), l->a, seen, &monitor);
	if (r == 0)
		r = look_threads(l, &monitor, seen);
	if (r < 0)
		return r;
	memory_kib = monitor.memory_kib ? monitor.memory_kib : g->launch.memory_kib;
	r = guest_look_memory(l->root, memory_kib, l->a, seen);
	if (r == 0)
		r = look_mark(l, seen);
	return r < 0 ? r : look_channel(l, g, seen);
}

static int look_ended(struct look *l, const struct desired_guest *g, struct observed_guest *seen)
{
	_cleanup_free_ char *words = NULL;

	if (g->origin != GUEST_LAUNCH || seen->process.state != FACT_ABSENT)
		return 0;
	words = guest_log_words(g->name);
	if (!words)
		return 0;
	seen->exit_words = arena_strdup(l->a, words);
	return seen->exit_words ? 0 : -ENOMEM;
}

static int find(struct look *l, const struct desired_guest *g, struct observed_guest *seen)
{
	int64_t pid;
	int r;

	r = guest_find_process(l->root, g, l->a, &seen->process);
	if (r == 0 && fact_number(&seen->process, &pid) == 0)
		seen->pid = (int)pid;
	return r;
}

static int look_guests(struct look *l, const struct desired *d, struct observed *o)
{
	struct guest_kthread *kthreads = NULL;
	bool any = false;
	int r = 0;

	for (size_t i = 0; i < d->n_guests && r == 0; i++) {
		r = find(l, &d->guests[i], &o->guests[i]);
		any |= o->guests[i].pid != 0;
	}
	if (r == 0 && any) {
		l->kthreads_result = guest_find_kthreads(l->root, l->a, &kthreads, &l->n_kthreads);
		l->kthreads = kthreads;
		if (l->kthreads_result == -ENOMEM)
			return -ENOMEM;
	}
	for (size_t i = 0; i < d->n_guests && r == 0; i++)
		r = o->guests[i].pid ? look_running(l, &d->guests[i], &o->guests[i])
				     : look_ended(l, &d->guests[i], &o->guests[i]);
	return r;
}

/* Opening /dev/kvm loads modules and can fail in ways of its own: only when it matters. */
static bool wants_kvm(const struct desired *d)
{
	for (size_t i = 0; i < d->n_guests; i++)
		if (d->guests[i].origin == GUEST_LAUNCH &&
		    d->guests[i].launch.accel != GUEST_ACCEL_TCG)
			return true;
	return false;
}

static struct fact look_kvm(struct look *l)
{
	_cleanup_close_ int fd = sysroot_openat(l->root, KVM, O_RDWR);
	int version;

	if (fd < 0)
		return sysroot_outcome(l->a, KVM, fd, NULL);
	version = ioctl(fd, KVM_GET_API_VERSION, 0);
	if (version < 0)
		return sysroot_outcome(l->a, KVM, -errno, NULL);
	if (version != KVM_API_VERSION)
		return sysroot_outcome(l->a, KVM, -EPROTO, NULL);
	return sysroot_outcome(l->a, KVM, 0, "12");
}

static struct fact look_file(struct look *l, const char *path)
{
	int r = sysroot_exists(l->root, path);

	return sysroot_outcome(l->a, path, r > 0 ? 0 : r < 0 ? r : -ENOENT, "");
}

static int look_machine(struct look *l, const struct desired *d, struct observed *o)
{
	if (wants_kvm(d))
		o->kvm = look_kvm(l);
	o->vhost_vsock = look_file(l, "/dev/vhost-vsock");
	o->qemu = look_file(l, GUEST_QEMU);
	if (checked(&o->kvm) < 0 || checked(&o->vhost_vsock) < 0)
		return -ENOMEM;
	return checked(&o->qemu);
}

static int name_guests(const struct desired *d, struct observed *o)
{
	o->guests = arena_alloc(&o->arena, d->n_guests * sizeof(*o->guests));
	if (!o->guests)
		return -ENOMEM;
	o->n_guests = d->n_guests;
	for (size_t i = 0; i < d->n_guests; i++) {
		o->guests[i].name = arena_strdup(&o->arena, d->guests[i].name);
		if (!o->guests[i].name)
			return -ENOMEM;
	}
	return 0;
}

static bool wants_forwards(const struct desired *d)
{
	for (size_t i = 0; i < d->n_guests; i++)
		if (d->guests[i].ssh.host_port)
			return true;
	return false;
}

int observe_guests(const struct sysroot *root, const struct desired *d,
		   const struct guest_source *source, struct observed *o)
{
	struct look l = { .root = root, .a = &o->arena, .source = source };
	int r = 0;

	if (d->n_guests)
		r = name_guests(d, o);
	if (r < 0 || !root->live)
		return r;
	if (d->n_guests)
		r = look_machine(&l, d, o);
	if (r == 0)
		r = look_guests(&l, d, o);
	if (r == 0 && geteuid() == 0 && (wants_forwards(d) || forwards_marked()))
		r = forward_read(l.a, &o->forwards);
	return r == 0 && l.in_progress ? -EINPROGRESS : r;
}

/*
 * A name proves little and a pid file less, since pids are used again: a process counts as a
 * guest's QEMU only when its executable is a QEMU and its command line carries the guest's name
 * (an adopted guest's pid file is the operator's word for the name). Without the right to read the
 * executable's link the first word of the command line stands in for it.
 */
#include "guest/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>

#include "guest/observe_parts.h"
#include "state/guest_argv.h"

static bool is_qemu_name(const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;

	return after_prefix(name, "qemu") || streq(name, "kvm");
}

/* What /proc/PID/exe leads to; "" when it is not known. */
static void executable(const struct sysroot *root, unsigned pid, char *ret, size_t size)
{
	_cleanup_close_ int fd = -1;
	char path[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%u/exe", pid);
	fd = sysroot_openat(root, path, O_PATH | O_NOFOLLOW);
	n = fd < 0 ? -1 : readlinkat(fd, "", ret, size - 1);
	ret[n > 0 ? n : 0] = '\0';
}

/* The value of -name: "NAME", "NAME,process=...", "guest=NAME,debug-threads=on" in any order. */
static bool value_names(const char *value, const char *name)
{
	size_t n_name = strlen(name);
	bool first = true;

	for (;;) {
		size_t n = strcspn(value, ",");
		const char *guest = after_prefix(value, "guest=");

		if (guest && guest <= value + n && (size_t)(value + n - guest) == n_name &&
		    !memcmp(guest, name, n_name))
			return true;
		if (first && n == n_name && !memcmp(value, name, n))
			return true;
		if (!value[n])
			return false;
		value += n + 1;
		first = false;
	}
}

static bool cmdline_names(const char *text, size_t size, const char *name)
{
	const char *end = text + size;

	for (const char *at = text; at < end; at += strlen(at) + 1) {
		const char *value = at + strlen(at) + 1;

		if ((streq(at, "-name") || streq(at, "--name")) && value < end &&
		    value_names(value, name))
			return true;
	}
	return false;
}

/* Is @pid a QEMU, and of the guest @name (NULL: of any)? 1, 0 or negative errno. A process that is
 * gone, or only waits to be reaped, is none. */
static int is_guest(const struct sysroot *root, unsigned pid, const char *name)
{
	_cleanup_free_ char *text = NULL;
	char path[64], exe[PATH_MAX];
	size_t size;
	int r;

	snprintf(path, sizeof(path), "/proc/%u/cmdline", pid);
	r = sysroot_read(root, path, &text, &size);
	if (r == -ENOENT || r == -ESRCH)
		return 0;
	if (r < 0)
		return r;
	if (!size || (name && !cmdline_names(text, size, name)))
		return 0;
	executable(root, pid, exe, sizeof(exe));
	return is_qemu_name(*exe ? exe : text);
}

static int known_pid(struct arena *a, const char *path, unsigned pid, struct fact *ret)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", pid);
	*ret = sysroot_outcome(a, path, 0, text);
	return ret->state == FACT_KNOWN ? 0 : -ENOMEM;
}

static int no_process(struct arena *a, const char *path, int result, struct fact *ret)
{
	if (result == -ENOMEM)
		return result;
	*ret = sysroot_outcome(a, path, result < 0 ? result : -ENOENT, NULL);
	return ret->path ? 0 : -ENOMEM;
}

static int by_pid_file(const struct sysroot *root, const char *path, const char *name,
		       struct arena *a, struct fact *ret)
{
	struct fact f = sysroot_fact(root, a, path);
	int64_t pid;
	int r;

	if (f.error == ENOMEM)
		return -ENOMEM;
	if (!fact_known(&f)) {
		*ret = f;
		return 0;
	}
	if (fact_number(&f, &pid) < 0 || pid <= 0 || pid > INT_MAX)
		return no_process(a, path, -EBADMSG, ret);
	r = is_guest(root, (unsigned)pid, name);
	return r > 0 ? known_pid(a, path, (unsigned)pid, ret) : no_process(a, path, r, ret);
}

static int by_name(const struct sysroot *root, const char *name, struct arena *a, struct fact *ret)
{
	_cleanup_free_ unsigned *pids = NULL;
	unsigned found = 0;
	int failed = 0;
	size_t n;
	int r;

	r = sysroot_numbers(root, "/proc", "", "", &pids, &n);
	if (r < 0)
		return no_process(a, "/proc", r, ret);
	for (size_t i = 0; i < n; i++) {
		r = is_guest(root, pids[i], name);
		if (r < 0)
			failed = r;
		if (r <= 0)
			continue;
		if (found)
			return no_process(a, "/proc", -EEXIST, ret);
		found = pids[i];
	}
	/* one that could not be read might have been a second one */
	if (failed < 0 || !found)
		return no_process(a, "/proc", failed, ret);
	return known_pid(a, "/proc", found, ret);
}

int guest_find_process(const struct sysroot *root, const struct desired_guest *g, struct arena *a,
		       struct fact *ret)
{
	const char *path;

	if (g->origin == GUEST_ADOPT) {
		if (g->adopt.pid_file)
			return by_pid_file(root, g->adopt.pid_file, NULL, a, ret);
		return by_name(root, g->adopt.domain, a, ret);
	}
	path = guest_path(a, g->name, "qemu.pid");
	return path ? by_pid_file(root, path, g->name, a, ret) : -ENOMEM;
}

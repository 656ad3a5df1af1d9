/*
 * Attribution is always of the machine that runs, whatever root is watched: /proc is read through a
 * root of the live machine. What was read counts only if the process was the same before and after:
 * its pidfd still takes a signal, or without one its start time is as it was.
 */
#include "daemon/name_writer.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/syscall.h>

#include "state/base.h"
#include "state/error.h"

#define CONTAINER_ID 64 /* hex digits */
#define DELETED	     " (deleted)"

/* Is the number still that process's? A zombie's is. */
static bool still_there(int pidfd)
{
	return syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0) == 0 || errno == EPERM;
}

/* "/proc/812/NAME" in one read, the last newline cut. malloc()ed; NULL: it cannot be read. */
static char *read_text(const struct sysroot *live, int pid, const char *name)
{
	char path[64], text[8192];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	n = sysroot_read_once(live, path, text, sizeof(text));
	if (n < 0)
		return NULL;
	if (n > 0 && text[n - 1] == '\n')
		text[n - 1] = '\0';
	return strdup(text);
}

/* Field 22 of stat, after the command's name, which may hold anything; 0: it is gone. */
static unsigned long long start_time(const struct sysroot *live, int pid)
{
	_cleanup_free_ char *stat = read_text(live, pid, "stat");
	char *p = stat ? strrchr(stat, ')') : NULL;

	for (int field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	return p ? strtoull(p + 1, NULL, 10) : 0;
}

static char *read_exe(const struct sysroot *live, int pid)
{
	char folder[64], target[4096];
	_cleanup_close_ int fd = -1;
	ssize_t n;

	snprintf(folder, sizeof(folder), "/proc/%d", pid);
	fd = sysroot_openat(live, folder, O_PATH | O_DIRECTORY);
	n = fd < 0 ? -1 : readlinkat(fd, "exe", target, sizeof(target) - 1);
	return n > 0 ? strndup(target, (size_t)n) : NULL;
}

static int64_t read_uid(const struct sysroot *live, int pid)
{
	_cleanup_free_ char *status = read_text(live, pid, "status");
	const char *p = status ? strstr(status, "\nUid:\t") : NULL;

	return p ? strtoll(p + strlen("\nUid:\t"), NULL, 10) : -1;
}

/* ---- cgroups ---- */

static bool ends_in(const char *s, size_t n, const char *suffix)
{
	size_t m = strlen(suffix);

	return n > m && strncmp(s + n - m, suffix, m) == 0;
}

/* The container's id in one part of a cgroup's path: "docker-ID.scope", "cri-containerd-ID.scope",
 * "libpod-ID.scope", or ID alone below "docker" or "kubepods". */
static const char *container_id(const char *part, size_t n)
{
	size_t run = 0;

	for (size_t i = 0; i < n; i++) {
		run = isxdigit((unsigned char)part[i]) ? run + 1 : 0;
		if (run == CONTAINER_ID && (i + 1 == n || !isxdigit((unsigned char)part[i + 1])))
			return part + i + 1 - CONTAINER_ID;
	}
	return NULL;
}

/* "machine-NAME.scope" is how systemd-machined names what it runs. */
static const char *machine_name(const char *part, size_t n, size_t *ret_n)
{
	const char *name = n > strlen("machine-.scope") ? after_prefix(part, "machine-") : NULL;

	if (!name || !ends_in(part, n, ".scope"))
		return NULL;
	*ret_n = n - strlen("machine-.scope");
	return name;
}

int cgroup_names(const char *cgroup, char **ret_unit, char **ret_container)
{
	const char *unit = NULL, *container = NULL;
	size_t unit_n = 0, container_n = 0;
	const char *p = strchr(cgroup, '/'); /* "0::/system.slice/irqbalance.service" */

	for (; p && *p; p += strcspn(p, "/")) {
		size_t n;

		p += strspn(p, "/");
		n = strcspn(p, "/");
		if (ends_in(p, n, DELETED)) /* removed while a process still ends in it */
			n -= strlen(DELETED);
		if (ends_in(p, n, ".service") || ends_in(p, n, ".scope")) {
			unit = p;
			unit_n = n;
		}
		if (container_id(p, n)) {
			container = container_id(p, n);
			container_n = CONTAINER_ID;
		} else if (machine_name(p, n, &n)) {
			container = p + strlen("machine-");
			container_n = n;
		}
	}
	*ret_unit = unit ? strndup(unit, unit_n) : NULL;
	*ret_container = container ? strndup(container, container_n) : NULL;
	return (unit && !*ret_unit) || (container && !*ret_container) ? -ENOMEM : 0;
}

/* The unified hierarchy's line. */
static int read_cgroup(const struct sysroot *live, int pid, struct writer *w)
{
	_cleanup_free_ char *text = read_text(live, pid, "cgroup");
	char *line = text ? strstr(text, "0::") : NULL;

	if (!line)
		return 0;
	line[strcspn(line, "\n")] = '\0';
	return cgroup_names(line, &w->unit, &w->container);
}

static void defuse(struct writer *w)
{
	char *const texts[] = { w->comm, w->exe, w->unit, w->container };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (texts[i])
			text_defuse(texts[i]);
}

int name_writer(const struct sysroot *live, int pid, int pidfd, struct writer *ret)
{
	_cleanup_writer_ struct writer w = { .pid = pid, .uid = -1 };
	unsigned long long before = pidfd < 0 ? start_time(live, pid) : 1;
	bool gone;

	if (pid <= 0) {
		*ret = (struct writer){ .uid = -1 };
		return 0;
	}
	w.comm = read_text(live, pid, "comm");
	w.exe = read_exe(live, pid);
	w.uid = read_uid(live, pid);
	if (read_cgroup(live, pid, &w) < 0)
		return -ENOMEM;
	gone = pidfd < 0 ? before == 0 || start_time(live, pid) != before : !still_there(pidfd);
	if (gone || !w.comm) {
		*ret = (struct writer){ .pid = pid, .uid = -1, .gone = true };
		return 0;
	}
	defuse(&w);
	*ret = w;
	w = (struct writer){ .uid = -1 };
	return 0;
}

/*
 * What irqbalance was told to leave alone, asked of the running process: its configuration files
 * only say how it would start. The protocol is one request and one answer per connection; the
 * requester proves to be root by SCM_CREDENTIALS, otherwise the connection is just closed.
 *
 * The socket is a file in /run, or an abstract one where /run could not be written. The abstract
 * name may be taken by anybody, so there the peer must be the process we mean (SO_PEERCRED).
 */
#include "probes/irqbalance.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>

#include "probes/probe.h"

/* irqbalance answers nobody while it rescans, which it does for a whole interval (10 s as it comes)
 * after each thing it is told. */
#define WAIT_MS	   15000
#define ANSWER_MAX 65536
#define KEPT	   "/.latencyd-capture/irqbalance-setup"
#define UNIT	   "irqbalance.service"
#define UNITS	   "/etc/systemd/system"

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void socket_path(char *path, size_t size, int pid)
{
	snprintf(path, size, "/run/irqbalance/irqbalance%d.sock", pid);
}

static int new_socket(void)
{
	/* connect() to a full backlog and send() would wait for ever without it */
	struct timeval tv = { .tv_sec = WAIT_MS / 1000 };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

/* Through the fd of the socket's file: a path would be resolved outside of the root. */
static int connect_file(const struct sysroot *root, int pid)
{
	_cleanup_close_ int file = -1, fd = -1;
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char path[64];

	socket_path(path, sizeof(path), pid);
	file = sysroot_openat(root, path, O_PATH | O_NOFOLLOW);
	if (file < 0)
		return file;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d", file);
	fd = new_socket();
	if (fd < 0)
		return fd;
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	return take_fd(&fd);
}

static int connect_abstract(const char *name, int pid)
{
	_cleanup_close_ int fd = new_socket();
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (fd < 0)
		return fd;
	strncpy(addr.sun_path + 1, name, sizeof(addr.sun_path) - 2);
	/* irqbalance binds the whole structure, trailing zeros included */
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return -errno;
	return peer.pid == pid ? take_fd(&fd) : -ENOENT;
}

static int connect_any(const struct sysroot *root, int pid)
{
	char name[64];
	int fd = connect_file(root, pid);

	if ((fd != -ENOENT && fd != -ECONNREFUSED) || !root->live)
		return fd;
	snprintf(name, sizeof(name), "irqbalance%d.sock", pid);
	fd = connect_abstract(name, pid);
	if (fd == -ECONNREFUSED || fd == -ENOENT)
		fd = connect_abstract("", pid); /* newer versions leave the name empty */
	return fd == -ECONNREFUSED ? -ENOENT : fd;
}

static int send_request(int fd, const char *request)
{
	struct ucred self = { .pid = getpid(), .uid = geteuid(), .gid = getegid() };
	union {
		char bytes[CMSG_SPACE(sizeof(struct ucred))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { .iov_base = (char *)request, .iov_len = strlen(request) };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_CREDENTIALS;
	c->cmsg_len = CMSG_LEN(sizeof(self));
	memcpy(CMSG_DATA(c), &self, sizeof(self));
	if (sendmsg(fd, &msg, MSG_NOSIGNAL) < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	return 0;
}

/* Until the other side closes, which it does after its answer. */
static int receive(int fd, int64_t deadline_ms, char *answer, size_t room)
{
	size_t size = 0;

	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int64_t left = deadline_ms - now_ms();
		ssize_t n;
		int r;

		r = left <= 0 ? 0 : poll(&p, 1, (int)left);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if (r == 0)
			return -ETIMEDOUT;
		n = recv(fd, answer + size, room - 1 - size, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n < 0 && !(errno == ECONNRESET && size > 0))
			return -errno;
		if (n <= 0)
			break;
		size += (size_t)n;
		if (size == room - 1)
			return -EBADMSG;
	}
	answer[size] = '\0';
	return (int)size;
}

int irqbalance_setup(const struct sysroot *root, int pid, char **ret)
{
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *answer = NULL;
	int64_t deadline_ms = now_ms() + WAIT_MS;
	int r;

	answer = malloc(ANSWER_MAX);
	if (!answer)
		return -ENOMEM;
	fd = connect_any(root, pid);
	if (fd < 0)
		return fd;
	r = send_request(fd, "setup");
	if (r < 0)
		return r;
	r = receive(fd, deadline_ms, answer, ANSWER_MAX);
	if (r < 0)
		return r;
	if (r == 0)
		return geteuid() == 0 ? -EBADMSG : -EACCES;
	*ret = take_ptr(answer);
	return 0;
}

/* The CPUs after "BANNED" as a list, malloc()ed. */
static int parse_banned(const char *setup, char **ret)
{
	_cleanup_cpuset_ struct cpuset banned = { 0 };
	_cleanup_free_ char *mask = NULL;
	const char *p = strstr(setup, "BANNED ");
	int r;

	if (!p)
		return -EBADMSG;
	p += strlen("BANNED ");
	mask = strndup(p, strcspn(p, " \n"));
	if (!mask)
		return -ENOMEM;
	r = cpuset_parse_mask(mask, &banned);
	if (r < 0)
		return r == -ENOMEM ? r : -EBADMSG;
	*ret = cpuset_format_list(&banned);
	return *ret ? 0 : -ENOMEM;
}

static int probe_banned(const struct sysroot *root, int pid, struct observed *o)
{
	_cleanup_free_ char *setup = NULL, *list = NULL;
	char path[64] = KEPT;
	int r;

	if (root->live) {
		socket_path(path, sizeof(path), pid);
		r = irqbalance_setup(root, pid, &setup);
		if (r >= 0)
			sysroot_saw_file(root, KEPT, setup, strlen(setup));
	} else {
		r = sysroot_read(root, path, &setup, NULL);
	}
	if (r >= 0)
		r = parse_banned(setup, &list);
	o->irqbalance_banned = sysroot_outcome(&o->arena, path, r, list);
	return fact_check(&o->irqbalance_banned);
}

/* Does the link @path exist, whatever it points at? A unit linked to /dev/null is masked. */
static int link_exists(const struct sysroot *root, const char *path, bool *ret_null)
{
	_cleanup_close_ int fd = sysroot_openat(root, path, O_PATH | O_NOFOLLOW);
	char target[32];
	ssize_t n;

	if (fd < 0)
		return fd == -ENOENT || fd == -ENOTDIR ? 0 : fd;
	n = readlinkat(fd, "", target, sizeof(target) - 1);
	target[n > 0 ? n : 0] = '\0';
	*ret_null = streq(target, "/dev/null");
	return 1;
}

static bool is_wants_folder(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot && (streq(dot, ".wants") || streq(dot, ".requires"));
}

/* 1 and *ret_link: enabled; 0: not. */
static int find_enabled(const struct sysroot *root, struct arena *a, const char **ret_link)
{
	struct sysroot quiet = sysroot_unrecorded(root);
	bool masked = false, null;
	char **names;
	size_t n;
	int r;

	r = link_exists(root, UNITS "/" UNIT, &masked);
	if (r < 0 || masked)
		return r < 0 ? r : 0;
	r = sysroot_list(&quiet, a, UNITS, &names, &n);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		const char *path;

		if (!is_wants_folder(names[i]))
			continue;
		path = arena_printf(a, UNITS "/%s/" UNIT, names[i]);
		if (!path)
			return -ENOMEM;
		r = link_exists(root, path, &null);
		if (r > 0) {
			sysroot_saw_file(root, path, "", 0);
			*ret_link = path;
		}
		if (r != 0)
			return r;
	}
	return 0;
}

static int probe_enabled(const struct sysroot *root, struct observed *o)
{
	const char *link = UNITS;
	int r = find_enabled(root, &o->arena, &link);

	o->irqbalance_enabled = sysroot_outcome(&o->arena, link, r == 0 ? -ENOENT : r, link);
	return fact_check(&o->irqbalance_enabled);
}

int probe_irqbalance(const struct sysroot *root, int pid, struct observed *o)
{
	char path[64] = "/proc", text[16];
	int r;

	if (pid > 0)
		snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	snprintf(text, sizeof(text), "%d", pid);
	r = pid > 0 ? 0 : pid < 0 ? pid : -ENOENT;
	o->irqbalance_pid = sysroot_outcome(&o->arena, path, r, text);
	if (fact_check(&o->irqbalance_pid) < 0)
		return -ENOMEM;
	if (pid > 0)
		r = probe_banned(root, pid, o);
	else /* as far as is known, there is nobody to ask */
		o->irqbalance_banned = o->irqbalance_pid;
	return r == -ENOMEM ? r : probe_enabled(root, o);
}

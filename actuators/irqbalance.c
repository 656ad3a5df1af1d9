/*
 * irqbalance's socket (irqbalance 1.4 to 1.9, irqbalance.c: sock_handle()): "setup" answers
 * "SLEEP 10 IRQ ... BANNED 0000000c", "settings cpus 2-3" replaces the CPUs it keeps away from and
 * "settings cpus NULL" gives them back to its configuration. A request is one message of less than
 * 500 bytes with root's SCM_CREDENTIALS; an empty list would crash it. What it was told takes
 * effect when it next scans, so the answer to "setup" changes up to an interval later; that scan
 * then sleeps for a whole interval and answers nobody. Who hangs up on it meanwhile sends it a
 * SIGPIPE: better wait.
 */
#include "actuators/irqbalance.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "actuators/root.h"

#define REQUEST_MAX 499
#define ANSWER_MAX  (1024 * 1024)

static int match_irqbalance(const char *name, void *userdata)
{
	_cleanup_free_ char *path = NULL, *comm = NULL;
	char *end;
	unsigned long pid = strtoul(name, &end, 10);

	if (*end || asprintf(&path, "/proc/%lu/comm", pid) < 0)
		return 0;
	if (root_read_line(path, &comm) < 0 || !streq(comm, "irqbalance"))
		return 0;
	*(int *)userdata = (int)pid;
	return 1;
}

int irqbalance_find(void)
{
	int pid = 0, r = root_each("/proc", match_irqbalance, &pid);

	return r < 0 ? r : pid;
}

/* Through the fd of its folder: the path stays inside the root and below sun_path's 108 bytes. */
static int connect_file(int fd, int pid)
{
	_cleanup_close_ int folder = root_open("/run/irqbalance", O_PATH | O_DIRECTORY, 0);
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	if (folder < 0)
		return folder;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/irqbalance%d.sock", folder,
		 pid);
	return connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ? -errno : 0;
}

/* Where /run cannot be written it binds an abstract name, which anyone could take: ask who it is.
 */
static int connect_abstract(int fd, const char *name, int pid)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (!root_is_live())
		return -ENOENT;
	snprintf(addr.sun_path + 1, sizeof(addr.sun_path) - 1, "%s", name);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return -errno;
	return peer.pid == pid ? 0 : -EPERM;
}

static int open_socket(int pid, unsigned limit_s)
{
	const struct timeval limit = { .tv_sec = limit_s };
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char name[64];
	int r;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0)
		return -errno;
	r = connect_file(fd, pid);
	snprintf(name, sizeof(name), "irqbalance%d.sock", pid);
	if (r == -ENOENT || r == -ECONNREFUSED)
		r = connect_abstract(fd, name, pid);
	if (r == -ENOENT || r == -ECONNREFUSED)
		r = connect_abstract(fd, "", pid);
	return r < 0 ? r : take_fd(&fd);
}

static int send_request(int fd, const char *text)
{
	union {
		char bytes[CMSG_SPACE(sizeof(struct ucred))];
		struct cmsghdr align;
	} control = { 0 };
	const struct ucred self = { .pid = getpid(), .uid = geteuid(), .gid = getegid() };
	struct iovec iov = { .iov_base = (char *)text, .iov_len = strlen(text) };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_CREDENTIALS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(self));
	memcpy(CMSG_DATA(cmsg), &self, sizeof(self));
	return sendmsg(fd, &msg, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* All until it closes, malloc()ed. */
static int receive(int fd, char **ret)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0;

	for (;;) {
		char *more = realloc(text, size + 4096);
		ssize_t n;

		if (!more)
			return -ENOMEM;
		text = more;
		n = recv(fd, text + size, 4095, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		if (n == 0)
			break;
		size += (size_t)n;
		if (size > ANSWER_MAX)
			return -EBADMSG;
	}
	text[size] = '\0';
	*ret = take_ptr(text);
	return 0;
}

static int converse(int pid, unsigned limit_s, const char *request, char **ret_answer,
		    struct error *e)
{
	_cleanup_close_ int fd = -1;
	int r = strlen(request) > REQUEST_MAX ? -E2BIG : 0;

	if (r == 0)
		r = fd = open_socket(pid, limit_s);
	if (r >= 0)
		r = send_request(fd, request);
	if (r >= 0)
		r = receive(fd, ret_answer);
	if (r >= 0)
		return 0;
	error_set(e, r, "cannot talk to irqbalance (pid %d) through its socket: %s", pid,
		  strerror(-r));
	error_todo(e, "have it stopped instead: irq_affinity: {irqbalance: stopped}");
	return r;
}

static int parse_setup(const char *text, struct cpuset *ret_banned, unsigned *ret_interval_s)
{
	const char *banned = strstr(text, "BANNED "), *sleep = after_prefix(text, "SLEEP ");
	_cleanup_free_ char *mask = NULL;

	if (!banned || !sleep)
		return -EBADMSG;
	banned += strlen("BANNED ");
	mask = strndup(banned, strcspn(banned, " \n"));
	if (!mask)
		return -ENOMEM;
	*ret_interval_s = (unsigned)strtoul(sleep, NULL, 10);
	return cpuset_parse_mask(mask, ret_banned);
}

int irqbalance_ask(int pid, unsigned limit_s, struct cpuset *ret_banned, unsigned *ret_interval_s,
		   struct error *e)
{
	_cleanup_free_ char *answer = NULL;
	int r = converse(pid, limit_s, "setup", &answer, e);

	if (r < 0)
		return r;
	r = parse_setup(answer, ret_banned, ret_interval_s);
	if (r < 0) {
		error_set(e, r, "irqbalance (pid %d) answered \"%.80s\", which is not its setup",
			  pid, answer);
		error_todo(e, "only root gets an answer; run this as root");
	}
	return r;
}

int irqbalance_tell(int pid, const struct cpuset *banned, struct error *e)
{
	_cleanup_free_ char *list = banned ? cpuset_format_list(banned) : strdup("");
	_cleanup_free_ char *request = NULL, *answer = NULL;

	if (!list || asprintf(&request, "settings cpus %s", *list ? list : "NULL") < 0)
		return error_set(e, -ENOMEM, "out of memory");
	return converse(pid, IRQBALANCE_ANSWER_S, request, &answer, e);
}

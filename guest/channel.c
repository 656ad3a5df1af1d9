/*
 * Where a guest's channel is, and the way to it. A virtio-serial port has no connections: QEMU
 * tells the guest when its end is opened and closed, and a guest that was busy may miss that, read
 * the new connection's first bytes as the old one's next, and start afresh without them. So a port
 * that does not even authenticate is opened again, within the deadline.
 */
#include "guest/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include <linux/vm_sockets.h>

#include "guest/channel_lock.h"
#include "state/guest_argv.h"

#define AUTHENTICATE_AGAIN_MS 1500
#define CONNECT_AGAIN_MS      50
#define CONNECTIONS_MAX	      8

static const char *vsock_in_argv(const char *argv, struct arena *a)
{
	static const char key[] = "guest-cid=";
	const char *at = strstr(argv, "vhost-vsock");
	const char *cid = at ? strstr(at, key) : NULL;
	size_t n;

	if (!cid || memchr(at, ' ', (size_t)(cid - at)))
		return NULL;
	cid += strlen(key);
	n = strspn(cid, "0123456789");
	return n > 0 && n <= 10 ? arena_printf(a, "vsock:%.*s", (int)n, cid) : NULL;
}

const char *guest_channel_address(const struct desired_guest *g, const char *argv, struct arena *a)
{
	const char *path;

	if (g->origin == GUEST_ADOPT)
		return g->adopt.channel;
	path = guest_path(a, g->name, "agent.sock");
	if (!argv)
		return path && access(path, F_OK) < 0
			       ? arena_printf(a, "vsock:%u", guest_vsock_cid(g->name))
			       : path;
	if (strstr(argv, GUEST_CHANNEL_PORT))
		return path;
	return vsock_in_argv(argv, a);
}

/* connect(2) that does not wait longer than until @deadline. */
static int connect_until(int fd, const struct sockaddr *address, socklen_t size, uint64_t deadline)
{
	const struct timespec pause = { .tv_nsec = CONNECT_AGAIN_MS * 1000000L };

	while (connect(fd, address, size) < 0) {
		struct pollfd p = { .fd = fd, .events = POLLOUT };
		uint64_t now = channel_now();
		socklen_t n = sizeof(int);
		int error = errno;

		if (now >= deadline)
			return -ETIMEDOUT;
		if (error == EAGAIN) { /* its queue is full: somebody else is connected */
			(void)nanosleep(&pause, NULL);
			continue;
		}
		if (error != EINPROGRESS)
			return -error;
		if (poll(&p, 1, (int)(deadline - now)) <= 0)
			return -ETIMEDOUT;
		if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0)
			return -errno;
		return -error;
	}
	return 0;
}

static int connect_vsock(const char *cid, uint64_t deadline)
{
	_cleanup_close_ int fd = -1;
	struct sockaddr_vm address = { .svm_family = AF_VSOCK, .svm_port = GUEST_VSOCK_PORT };
	char *end;
	unsigned long n;
	int r;

	errno = 0;
	n = strtoul(cid, &end, 10);
	if (errno || end == cid || *end || n <= VMADDR_CID_HOST || n >= VMADDR_CID_ANY)
		return -EINVAL;
	address.svm_cid = (unsigned)n;
	fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	r = connect_until(fd, (const struct sockaddr *)&address, sizeof(address), deadline);
	return r < 0 ? r : take_fd(&fd);
}

/* A path longer than a socket address takes goes by its folder's fd. */
static int socket_address(const char *path, struct sockaddr_un *ret, int *ret_folder)
{
	_cleanup_free_ char *folder = NULL;
	const char *slash = strrchr(path, '/');
	int n;

	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (!slash || !slash[1])
		return -EINVAL;
	if (strlen(path) < sizeof(ret->sun_path)) {
		strcpy(ret->sun_path, path);
		return 0;
	}
	folder = strndup(path, (size_t)(slash - path) + 1);
	if (!folder)
		return -ENOMEM;
	*ret_folder = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*ret_folder < 0)
		return -errno;
	n = snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/%s", *ret_folder,
		     slash + 1);
	return n < (int)sizeof(ret->sun_path) ? 0 : -ENAMETOOLONG;
}

static int connect_unix(const char *path, uint64_t deadline)
{
	_cleanup_close_ int fd = -1, folder = -1;
	struct sockaddr_un address;
	int r;

	r = socket_address(path, &address, &folder);
	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	r = connect_until(fd, (const struct sockaddr *)&address, sizeof(address), deadline);
	return r < 0 ? r : take_fd(&fd);
}

/* One connection. *ret_again: its end may only have been out of step. */
static int call_once(const char *address, const char *method, const char *argument,
		     uint64_t deadline, bool *ret_again, char **ret, struct error *e)
{
	const char *cid = after_prefix(address, "vsock:");
	struct guest_call_limits limits = { 0 };
	_cleanup_close_ int fd = -1;
	bool authenticated = false;
	uint64_t now;
	int r;

	fd = cid ? connect_vsock(cid, deadline) : connect_unix(address, deadline);
	if (fd < 0)
		return error_set(e, fd, "cannot connect to %s: %s", address, strerror(-fd));
	now = channel_now();
	limits.timeout_ms = deadline > now ? (unsigned)(deadline - now) : 0;
	limits.authenticate_ms = cid ? limits.timeout_ms : AUTHENTICATE_AGAIN_MS;
	r = guest_call_on(fd, &limits, method, argument, &authenticated, ret, e);
	*ret_again = r < 0 && !cid && !authenticated;
	return r;
}

int guest_call(const char *name, const char *address, const char *method, const char *argument,
	       unsigned timeout_ms, char **ret, struct error *e)
{
	const struct timespec pause = { .tv_nsec = CONNECT_AGAIN_MS * 1000000L };
	uint64_t deadline = channel_now() + timeout_ms;
	_cleanup_close_ int lock = -1;
	bool again = false;
	int r;

	lock = channel_lock(name, deadline, e);
	if (lock < 0)
		return lock;
	for (unsigned try = 0; try < CONNECTIONS_MAX; try++) {
		again = false;
		r = call_once(address, method, argument, deadline, &again, ret, e);
		if (!again || channel_now() + CONNECT_AGAIN_MS >= deadline)
			break;
		(void)nanosleep(&pause, NULL);
	}
	if (r < 0)
		error_prefix(e, "the guest %s does not answer the call %s", name, method);
	return r;
}

/*
 * A virtio-serial port has no connections, only a state: the host's end is open or not. While it is
 * closed the port reads as ended and polls as hung up, again and again; so it is watched by edges
 * (the driver wakes pollers when the host opens, closes or writes), and sd-bus gets it only once
 * there is something to read. When that connection ends, for whatever reason, the port is closed
 * and opened again: closing throws away what was still in it. drivers/char/virtio_console.c.
 */
#include "daemon/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <linux/vm_sockets.h>
#include <systemd/sd-id128.h>

#include "state/guest_argv.h"

void peer_init(struct peer *p, sd_event *event, const struct sysroot *root,
	       int (*export)(sd_bus *bus, void *userdata), void *userdata)
{
	*p = (struct peer){
		.event = event,
		.root = root,
		.port_path = PEER_PORT,
		.export = export,
		.userdata = userdata,
		.port = -1,
		.listener = -1,
	};
}

static void end_connection(struct peer_connection *c)
{
	if (!c->bus)
		return;
	sd_bus_detach_event(c->bus);
	sd_bus_close(c->bus);
	c->bus = sd_bus_unref(c->bus);
	*c = (struct peer_connection){ 0 };
}

static void close_port(struct peer *p)
{
	p->port_source = sd_event_source_disable_unref(p->port_source);
	closep_(&p->port);
	p->port = -1;
}

void peer_done(struct peer *p)
{
	for (size_t i = 0; i < PEER_CONNECTIONS; i++)
		end_connection(&p->connections[i]);
	close_port(p);
	p->listener_source = sd_event_source_disable_unref(p->listener_source);
	p->reaper = sd_event_source_disable_unref(p->reaper);
	closep_(&p->listener);
	p->listener = -1;
}

static bool port_is_served(const struct peer *p)
{
	for (size_t i = 0; i < PEER_CONNECTIONS; i++)
		if (p->connections[i].bus && p->connections[i].is_port)
			return true;
	return false;
}

static int reap(sd_event_source *s, void *userdata)
{
	struct peer *p = userdata;

	(void)s;
	for (size_t i = 0; i < PEER_CONNECTIONS; i++)
		if (p->connections[i].ended)
			end_connection(&p->connections[i]);
	peer_open(p);
	return 0;
}

/* The bus is not ended inside of its own call back, but by the loop's next turn. */
static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct peer_connection *c = userdata;

	(void)m;
	(void)error;
	c->ended = true;
	(void)sd_event_source_set_enabled(c->peer->reaper, SD_EVENT_ONESHOT);
	return 0;
}

static int start_server(struct peer *p, struct peer_connection *c)
{
	sd_id128_t id;
	int r;

	r = sd_id128_randomize(&id);
	if (r >= 0)
		r = sd_bus_set_server(c->bus, 1, id);
	if (r >= 0)
		r = sd_bus_set_anonymous(c->bus, 1);
	if (r >= 0)
		r = sd_bus_set_trusted(c->bus, 1);
	if (r >= 0)
		r = sd_bus_negotiate_fds(c->bus, 0);
	if (r >= 0)
		r = p->export(c->bus, p->userdata);
	if (r >= 0)
		r = sd_bus_match_signal(c->bus, NULL, "org.freedesktop.DBus.Local",
					"/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local",
					"Disconnected", on_disconnected, c);
	if (r >= 0)
		r = sd_bus_start(c->bus);
	if (r >= 0)
		r = sd_bus_attach_event(c->bus, p->event, SD_EVENT_PRIORITY_NORMAL);
	return r;
}

/* A free place, or the oldest connection's: the host may have died without a word. */
static struct peer_connection *free_place(struct peer *p)
{
	struct peer_connection *oldest = NULL;

	for (size_t i = 0; i < PEER_CONNECTIONS; i++) {
		struct peer_connection *c = &p->connections[i];

		if (!c->bus)
			return c;
		if (!c->is_port && (!oldest || c->number < oldest->number))
			oldest = c;
	}
	end_connection(oldest); /* there is one port: not all are it */
	return oldest;
}

static int need_reaper(struct peer *p)
{
	int r;

	if (p->reaper)
		return 0;
	r = sd_event_add_defer(p->event, &p->reaper, reap, p);
	return r < 0 ? r : sd_event_source_set_enabled(p->reaper, SD_EVENT_OFF);
}

int peer_serve(struct peer *p, int fd, bool is_port)
{
	struct peer_connection *c = free_place(p);
	int r;

	*c = (struct peer_connection){ .peer = p,
				       .is_port = is_port,
				       .number = ++p->n_connections };
	r = need_reaper(p);
	if (r >= 0)
		r = sd_bus_new(&c->bus);
	if (r >= 0)
		r = sd_bus_set_fd(c->bus, fd, fd);
	if (r < 0) {
		close(fd);
		end_connection(c);
		return r;
	}
	r = start_server(p, c);
	if (r < 0)
		end_connection(c);
	return r;
}

static int on_port(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct pollfd now = { .fd = fd, .events = POLLIN };
	struct peer *p = userdata;

	(void)s;
	(void)revents;
	if (poll(&now, 1, 0) <= 0 || (now.revents & POLLHUP) || !(now.revents & POLLIN))
		return 0;
	p->port_source = sd_event_source_disable_unref(p->port_source);
	/* Bytes that are no beginning end it right there. */
	if (peer_serve(p, take_fd(&p->port), true) < 0 && p->reaper)
		(void)sd_event_source_set_enabled(p->reaper, SD_EVENT_ONESHOT);
	return 0;
}

static void open_port(struct peer *p)
{
	int fd;

	if (p->port >= 0 || port_is_served(p))
		return;
	fd = sysroot_openat(p->root, p->port_path, O_RDWR | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return;
	p->port = fd;
	if (sd_event_add_io(p->event, &p->port_source, fd, EPOLLIN | EPOLLOUT | EPOLLET, on_port,
			    p) < 0)
		close_port(p);
}

static int on_connect(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct sockaddr_vm from = { 0 };
	socklen_t size = sizeof(from);
	struct peer *p = userdata;
	int connection;

	(void)s;
	(void)revents;
	connection = accept4(fd, (struct sockaddr *)&from, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (connection < 0)
		return 0;
	if (from.svm_family == AF_VSOCK && from.svm_cid == VMADDR_CID_HOST)
		(void)peer_serve(p, connection, false);
	else
		close(connection);
	return 0;
}

/* A guest has an address of its own; a host's /dev/vsock says the host's, the loopback's or none.
 */
static bool is_vsock_guest(const struct peer *p)
{
	_cleanup_close_ int fd = sysroot_openat(p->root, "/dev/vsock", O_RDONLY);
	unsigned cid = VMADDR_CID_ANY;

	return fd >= 0 && ioctl(fd, IOCTL_VM_SOCKETS_GET_LOCAL_CID, &cid) == 0 &&
	       cid > VMADDR_CID_HOST && cid != VMADDR_CID_ANY;
}

static void open_listener(struct peer *p)
{
	const struct sockaddr_vm address = {
		.svm_family = AF_VSOCK,
		.svm_cid = VMADDR_CID_ANY,
		.svm_port = GUEST_VSOCK_PORT,
	};
	_cleanup_close_ int fd = -1;

	if (p->listener >= 0 || !is_vsock_guest(p))
		return;
	fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(fd, PEER_CONNECTIONS) < 0)
		return;
	if (sd_event_add_io(p->event, &p->listener_source, fd, EPOLLIN, on_connect, p) >= 0)
		p->listener = take_fd(&fd);
}

void peer_open(struct peer *p)
{
	open_port(p);
	open_listener(p);
}

bool peer_has_host(const struct peer *p)
{
	return p->port >= 0 || p->listener >= 0 || port_is_served(p);
}

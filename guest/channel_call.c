/*
 * One call over one connection. sd-bus does not get the peer's socket but one end of a socketpair;
 * the other end is ours, and what goes through there came through the gate:
 *
 *	peer --bytes--> gate --whole frames--> to_bus --> socketpair --> sd-bus
 *	peer <--------------- to_peer <----------------- socketpair <-- sd-bus
 *
 * Each direction holds one buffer and reads nothing while it is not empty, so memory is bounded by
 * a frame and a chunk whatever the peer sends. One loop, one deadline for everything.
 */
#include "guest/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <systemd/sd-bus.h>

#include "guest/channel_lock.h"
#include "guest/gate.h"

#define CHUNK	       (16 * 1024)
#define ERROR_TEXT_MAX 300

struct buffer {
	uint8_t *data;
	size_t n, done, room;
};

struct call {
	int peer, relay; /* the peer's socket; our end of the socketpair */
	sd_bus *bus;
	sd_bus_slot *slot;
	struct gate gate;
	struct buffer to_bus, to_peer;
	bool peer_closed;
	uint64_t deadline, authenticated_by;

	bool answered;
	int result;
	char *reply;
	struct error *e;
};

static int buffer_add(struct buffer *b, const void *data, size_t n)
{
	if (b->n + n > b->room) {
		size_t room = b->n + n + CHUNK;
		uint8_t *grown = realloc(b->data, room);

		if (!grown)
			return -ENOMEM;
		b->data = grown;
		b->room = room;
	}
	memcpy(b->data + b->n, data, n);
	b->n += n;
	return 0;
}

static bool is_transient(int error)
{
	return error == EAGAIN || error == EINTR;
}

/* Empties @b into @fd as far as it takes it. */
static int buffer_flush(struct buffer *b, int fd)
{
	while (b->done < b->n) {
		ssize_t n = send(fd, b->data + b->done, b->n - b->done, MSG_NOSIGNAL);

		if (n < 0)
			return is_transient(errno) ? 0 : -errno;
		b->done += (size_t)n;
	}
	b->n = b->done = 0;
	return 0;
}

static int pass_frame(const uint8_t *frame, size_t n, void *userdata)
{
	return buffer_add(userdata, frame, n);
}

/* What the guest says of its failure is a guest's text: clipped, without control characters. */
static char *harmless(const char *text)
{
	char *copy = text ? strndup(text, ERROR_TEXT_MAX) : strdup("");

	for (unsigned char *c = (unsigned char *)copy; c && *c; c++)
		if (*c < ' ' || *c >= 0x7f)
			*c = '?';
	return copy;
}

static int take_error(struct call *c, sd_bus_message *m)
{
	const sd_bus_error *error = sd_bus_message_get_error(m);
	_cleanup_free_ char *name = harmless(error ? error->name : NULL);
	_cleanup_free_ char *text = harmless(error ? error->message : NULL);

	if (!name || !text)
		return error_set(c->e, -ENOMEM, "out of memory");
	return error_set(c->e, -EREMOTEIO, "the guest's latencyd answers with an error: %s",
			 *text ? text : name);
}

static int take_reply(struct call *c, sd_bus_message *m)
{
	const char *text;

	if (sd_bus_message_is_method_error(m, NULL))
		return take_error(c, m);
	if (!sd_bus_message_has_signature(m, "s"))
		return error_set(c->e, -EPROTO, "its answer is not one string");
	if (sd_bus_message_read(m, "s", &text) < 0)
		return error_set(c->e, -EPROTO, "its answer is no well-formed string");
	if (strlen(text) > GUEST_REPLY_MAX)
		return error_set(c->e, -EPROTO, "its answer is longer than %d bytes",
				 GUEST_REPLY_MAX);
	c->reply = strdup(text);
	return c->reply ? 0 : error_set(c->e, -ENOMEM, "out of memory");
}

static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct call *c = userdata;

	(void)error;
	/* sd-bus answers by itself when it ends the connection over what it read. */
	if (sd_bus_is_open(c->bus) <= 0)
		return 0;
	c->answered = true;
	c->result = take_reply(c, m);
	return 0;
}

static int start_bus(struct call *c, int fd)
{
	int r = sd_bus_new(&c->bus);

	if (r < 0) {
		close(fd);
		return r;
	}
	r = sd_bus_set_fd(c->bus, fd, fd);
	if (r < 0) {
		close(fd);
		return r;
	}
	r = sd_bus_set_anonymous(c->bus, 1);
	if (r >= 0)
		r = sd_bus_negotiate_fds(c->bus, 0);
	if (r >= 0)
		r = sd_bus_set_bus_client(c->bus, 0);
	if (r >= 0)
		r = sd_bus_start(c->bus);
	return r;
}

static int send_call(struct call *c, const char *method, const char *argument)
{
	sd_bus_message *m = NULL;
	int r;

	r = sd_bus_message_new_method_call(c->bus, &m, NULL, GUEST_OBJECT, GUEST_INTERFACE, method);
	if (r >= 0 && argument)
		r = sd_bus_message_append(m, "s", argument);
	if (r >= 0)
		r = sd_bus_call_async(c->bus, &c->slot, m, on_reply, c, UINT64_MAX);
	sd_bus_message_unref(m);
	return r < 0 ? r : 0;
}

static int run_bus(struct call *c)
{
	int r;

	do
		r = sd_bus_process(c->bus, NULL);
	while (r > 0 && !c->answered);
	if (c->answered)
		return 0;
	if (r < 0 || sd_bus_is_open(c->bus) <= 0)
		return error_set(c->e, -EPROTO, "it broke the D-Bus protocol");
	return 0;
}

static int read_peer(struct call *c)
{
	uint8_t chunk[CHUNK];
	ssize_t n = recv(c->peer, chunk, sizeof(chunk), 0);

	if (n > 0)
		return gate_feed(&c->gate, chunk, (size_t)n, pass_frame, &c->to_bus, c->e);
	if (n < 0 && is_transient(errno))
		return 0;
	c->peer_closed = true;
	return 0;
}

static int read_bus(struct call *c)
{
	uint8_t chunk[CHUNK];
	ssize_t n = recv(c->relay, chunk, sizeof(chunk), 0);

	if (n > 0)
		return buffer_add(&c->to_peer, chunk, (size_t)n);
	return n < 0 && is_transient(errno) ? 0 : -EPROTO;
}

/* A peer that has gone may have answered before. */
static int check_closed(struct call *c)
{
	if (!c->peer_closed || c->to_bus.n > 0)
		return 0;
	if (run_bus(c) < 0 || c->answered)
		return 0;
	if (gate_inside_frame(&c->gate))
		return error_set(c->e, -EPROTO, "it hung up in the middle of a message");
	return error_set(c->e, -ECONNRESET, "it hung up without an answer");
}

static int wait_for_bytes(struct call *c)
{
	uint64_t now = channel_now();
	uint64_t end = !c->gate.authenticated && c->authenticated_by < c->deadline
			       ? c->authenticated_by
			       : c->deadline;
	struct pollfd fds[] = {
		{ .fd = c->peer_closed ? -1 : c->peer,
		  .events = (short)((c->to_bus.n ? 0 : POLLIN) | (c->to_peer.n ? POLLOUT : 0)) },
		{ .fd = c->relay,
		  .events = (short)((c->to_peer.n ? 0 : POLLIN) | (c->to_bus.n ? POLLOUT : 0)) },
		{ .fd = sd_bus_get_fd(c->bus), .events = (short)sd_bus_get_events(c->bus) },
	};

	if (now >= end)
		return error_set(c->e, -ETIMEDOUT, "it did not answer in time");
	if (poll(fds, ARRAY_SIZE(fds), (int)(end - now)) < 0 && errno != EINTR)
		return error_set(c->e, -errno, "cannot wait for its answer: %s", strerror(errno));
	return 0;
}

static int relay(struct call *c)
{
	int r = run_bus(c);

	while (r >= 0 && !c->answered) {
		r = wait_for_bytes(c);
		if (r >= 0 && c->to_peer.n == 0)
			r = read_bus(c);
		if (r >= 0 && !c->peer_closed && buffer_flush(&c->to_peer, c->peer) < 0)
			c->to_peer.n = c->to_peer.done = 0; /* gone; it may have answered */
		if (r >= 0 && c->to_bus.n == 0 && !c->peer_closed)
			r = read_peer(c);
		if (r >= 0)
			r = buffer_flush(&c->to_bus, c->relay);
		if (r >= 0)
			r = run_bus(c);
		if (r >= 0 && !c->answered)
			r = check_closed(c);
	}
	return r < 0 ? r : c->result;
}

static void call_done(struct call *c)
{
	sd_bus_slot_unref(c->slot);
	if (c->bus)
		sd_bus_close(c->bus);
	sd_bus_unref(c->bus);
	closep_(&c->relay);
	gate_done(&c->gate);
	free(c->to_bus.data);
	free(c->to_peer.data);
	free(c->reply);
}

int guest_call_on(int fd, const struct guest_call_limits *limits, const char *method,
		  const char *argument, bool *ret_authenticated, char **ret, struct error *e)
{
	uint64_t now = channel_now();
	_cleanup_(call_done) struct call c = {
		.peer = fd,
		.relay = -1,
		.deadline = now + limits->timeout_ms,
		.authenticated_by = now + limits->authenticate_ms,
		.e = e,
	};
	int pair[2], r;

	if (argument && strlen(argument) > GUEST_ARGUMENT_MAX)
		return error_set(e, -E2BIG, "more than %d bytes are to be sent",
				 GUEST_ARGUMENT_MAX);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return error_set(e, -errno, "cannot make a socket pair: %s", strerror(errno));
	c.relay = pair[0];
	r = start_bus(&c, pair[1]);
	if (r >= 0)
		r = send_call(&c, method, argument);
	if (r < 0)
		return error_set(e, r, "cannot prepare the call: %s", strerror(-r));
	r = relay(&c);
	*ret_authenticated = c.gate.authenticated;
	if (r >= 0)
		*ret = take_ptr(c.reply);
	return r;
}

/*
 * Bytes are gathered into one frame at a time; nothing of a frame passes before all of it has been
 * checked. Memory grows with the bytes that came, never with a length that was announced.
 *
 * A guest answers and never asks: a method call from it is refused, for sd-bus would answer one by
 * itself (org.freedesktop.DBus.Peer tells the host's machine id).
 */
#include "guest/gate.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>

#define FIXED_HEADER 16

enum message_type { METHOD_CALL = 1, METHOD_RETURN, METHOD_ERROR, SIGNAL };

void gate_done(struct gate *g)
{
	free(g->frame);
	*g = (struct gate){ 0 };
}

bool gate_inside_frame(const struct gate *g)
{
	return g->n_frame > 0;
}

static int keep_byte_room(struct gate *g, size_t n)
{
	size_t room = g->room ? g->room : 512;
	uint8_t *grown;

	while (room < n)
		room *= 2;
	if (room == g->room)
		return 0;
	grown = realloc(g->frame, room);
	if (!grown)
		return -ENOMEM;
	g->frame = grown;
	g->room = room;
	return 0;
}

/* Moves at most @n bytes into the frame. */
static int gather(struct gate *g, const uint8_t **data, size_t *left, size_t n)
{
	int r;

	if (n > *left)
		n = *left;
	r = keep_byte_room(g, g->n_frame + n);
	if (r < 0)
		return r;
	memcpy(g->frame + g->n_frame, *data, n);
	g->n_frame += n;
	*data += n;
	*left -= n;
	return 0;
}

static bool all_hex(const uint8_t *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isxdigit(s[i]))
			return false;
	return true;
}

/* The frame is one whole line, "\r\n" included. A client that asks for ANONYMOUS and says in the
 * same line who it is gets one line, and nothing was agreed on before it. */
static int check_line(struct gate *g, struct error *e)
{
	size_t n = g->n_frame - 2;
	const uint8_t *s = g->frame;

	if (s[n] != '\r')
		return error_set(e, -EPROTO, "a line of its authentication does not end in CR LF");
	if (n == 3 + 32 && memcmp(s, "OK ", 3) == 0 && all_hex(s + 3, 32)) {
		g->authenticated = true;
		return 0;
	}
	if (n >= 8 && memcmp(s, "REJECTED", 8) == 0)
		return error_set(e, -EPROTO, "it rejects the connection");
	return error_set(e, -EPROTO, "its authentication has a line that is no answer of a server");
}

static int feed_line(struct gate *g, const uint8_t **data, size_t *left, bool *ret_whole,
		     struct error *e)
{
	const uint8_t *end = memchr(*data, '\n', *left);
	size_t n = end ? (size_t)(end - *data) + 1 : *left;
	int r;

	if (g->n_frame + n > GATE_LINE_MAX)
		return error_set(e, -EPROTO, "a line of its authentication is longer than %d bytes",
				 GATE_LINE_MAX);
	r = gather(g, data, left, n);
	if (r < 0 || !end)
		return r;
	if (g->n_frame < 2)
		return error_set(e, -EPROTO, "its authentication has an empty line");
	*ret_whole = true;
	return check_line(g, e);
}

static uint32_t read_u32(const struct gate *g, size_t at)
{
	const uint8_t *p = g->frame + at;

	if (g->frame[0] == 'l')
		return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
	return p[3] | (uint32_t)p[2] << 8 | (uint32_t)p[1] << 16 | (uint32_t)p[0] << 24;
}

/* The fixed header is there: is the rest worth waiting for? */
static int check_header(struct gate *g, struct error *e)
{
	uint8_t endian = g->frame[0], type = g->frame[1], version = g->frame[3];
	uint32_t body, serial, fields;

	if (endian != 'l' && endian != 'B')
		return error_set(e, -EPROTO, "it sent something that is no D-Bus message");
	if (version != 1)
		return error_set(e, -EPROTO, "it sent a message of the D-Bus version %u", version);
	if (type == METHOD_CALL)
		return error_set(e, -EPROTO, "it called a method, which no guest may");
	if (type < METHOD_RETURN || type > SIGNAL)
		return error_set(e, -EPROTO, "it sent a message of the unknown type %u", type);
	body = read_u32(g, 4);
	serial = read_u32(g, 8);
	fields = read_u32(g, 12);
	if (serial == 0)
		return error_set(e, -EPROTO, "it sent a message without a serial number");
	if (fields > GATE_FIELDS_MAX)
		return error_set(e, -EPROTO,
				 "it announced %" PRIu32 " bytes of header fields; %d are allowed",
				 fields, GATE_FIELDS_MAX);
	if (body > GATE_BODY_MAX)
		return error_set(e, -EPROTO,
				 "it announced a body of %" PRIu32 " bytes; %d are allowed", body,
				 GATE_BODY_MAX);
	if (++g->n_messages > GATE_MESSAGES_MAX)
		return error_set(e, -EPROTO, "it sent more than %d messages for one question",
				 GATE_MESSAGES_MAX);
	g->wanted = FIXED_HEADER + ((fields + 7) & ~(size_t)7) + body;
	return 0;
}

static int feed_message(struct gate *g, const uint8_t **data, size_t *left, bool *ret_whole,
			struct error *e)
{
	int r;

	if (g->n_frame < FIXED_HEADER) {
		r = gather(g, data, left, FIXED_HEADER - g->n_frame);
		if (r < 0 || g->n_frame < FIXED_HEADER)
			return r;
		r = check_header(g, e);
		if (r < 0)
			return r;
	}
	r = gather(g, data, left, g->wanted - g->n_frame);
	*ret_whole = r == 0 && g->n_frame == g->wanted;
	return r;
}

static int feed(struct gate *g, const uint8_t *data, size_t n, gate_pass_fn pass, void *userdata,
		struct error *e)
{
	while (n > 0) {
		bool whole = false;
		int r;

		r = g->authenticated ? feed_message(g, &data, &n, &whole, e)
				     : feed_line(g, &data, &n, &whole, e);
		if (r >= 0 && whole) {
			r = pass(g->frame, g->n_frame, userdata);
			g->n_frame = 0;
		}
		if (r < 0)
			return r;
	}
	return 0;
}

int gate_feed(struct gate *g, const void *data, size_t n, gate_pass_fn pass, void *userdata,
	      struct error *e)
{
	int r;

	if (g->shut)
		return error_set(e, -EPROTO, "it broke the protocol before");
	g->n_bytes += n;
	if (g->n_bytes > GATE_BYTES_MAX)
		r = error_set(e, -EPROTO, "it sent more than %d bytes for one question",
			      GATE_BYTES_MAX);
	else
		r = feed(g, data, n, pass, userdata, e);
	g->shut = r < 0;
	return r;
}

#pragma once
/*
 * The gate between a hostile D-Bus peer and sd-bus: bytes go in, only whole frames that keep every
 * bound come out. A frame is one line of the authentication or one message. Pure: no I/O, no clock
 * (the caller's deadline is the bound in time). D-Bus Specification, "Authentication Protocol" and
 * "Message Protocol".
 */
#include <stdint.h>

#include "state/error.h"

#define GATE_LINE_MAX	  256		    /* of the authentication */
#define GATE_FIELDS_MAX	  (64 * 1024)	    /* a message's header fields */
#define GATE_BODY_MAX	  (1024 * 1024 + 8) /* one string of GUEST_REPLY_MAX bytes */
#define GATE_FRAME_MAX	  (16 + GATE_FIELDS_MAX + 8 + GATE_BODY_MAX)
#define GATE_MESSAGES_MAX 32		       /* of one connection */
#define GATE_BYTES_MAX	  (2 * GATE_FRAME_MAX) /* of one connection */

/* Takes over one checked frame of @n bytes (they are the gate's). Negative errno ends the feeding.
 */
typedef int (*gate_pass_fn)(const uint8_t *frame, size_t n, void *userdata);

struct gate {
	uint8_t *frame; /* the beginning of a frame that is not whole yet */
	size_t n_frame, room;
	size_t wanted; /* size of the message, once its fixed header is there */
	uint64_t n_bytes;
	unsigned n_messages;
	bool authenticated;
	bool shut; /* it broke a bound: nothing passes any more */
};

#define _cleanup_gate_ _cleanup_(gate_done)
void gate_done(struct gate *g);

/* -EPROTO with *e naming the bound that was broken, -ENOMEM, or what @pass said. Once it failed it
 * fails always. */
int gate_feed(struct gate *g, const void *data, size_t n, gate_pass_fn pass, void *userdata,
	      struct error *e);
/* Is a frame begun and not ended? */
bool gate_inside_frame(const struct gate *g);

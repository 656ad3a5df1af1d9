#pragma once
/*
 * The host's end of a guest's channel: D-Bus peer to peer over the socket of the virtio-serial port
 * org.latencyd1.0, or vsock. Every byte from there is hostile: it passes guest/gate.h (sizes,
 * counts, grammar of the frames) before sd-bus sees it, and every call has one deadline for all it
 * does.
 *
 * Interface org.latencyd1.Guest at /org/latencyd1; every method takes nothing or one string and
 * returns one string:
 *	Status()		the status object (JSON)
 *	SetDocument(s)		{"document": text, "reboot": bool}: keeps it, converges by it
 *	StartSegment(s)		a struct segment_request as JSON: begins to measure
 *	Segment()		{"id", "state": "none"|"running"|"done", "elapsed_s", "outcome":
 *{...}} StopSegment()		ends it early
 */
#include "state/guest.h"

#define GUEST_INTERFACE "org.latencyd1.Guest"
#define GUEST_OBJECT	"/org/latencyd1"
#define GUEST_REPLY_MAX (1024 * 1024)
/* The longest string a method takes: both ends refuse more. */
#define GUEST_ARGUMENT_MAX (1024 * 1024)

/*
 * Where the channel of @g is, "vsock:CID" or a socket's path, in @a; NULL: it has none. @argv is
 * the running QEMU's command line, blank separated, which says which one it was started with;
 * without it (NULL) the run folder does: QEMU makes the socket there when it has the port.
 */
const char *guest_channel_address(const struct desired_guest *g, const char *argv, struct arena *a);

/*
 * One call: connects, authenticates, calls @method with @argument (NULL: none), closes. *ret is
 * malloc()ed UTF-8 of at most GUEST_REPLY_MAX bytes. One caller at a time per guest (a lock file in
 * /run/latencyd/guests/NAME waits within the deadline). -ETIMEDOUT, -EPROTO (what it broke is in
 * *e), -ECONNRESET (it hung up), -ECONNREFUSED, -EREMOTEIO (the guest's own error, clipped),
 * -ENOENT, -E2BIG (@argument).
 */
int guest_call(const char *name, const char *address, const char *method, const char *argument,
	       unsigned timeout_ms, char **ret, struct error *e);
struct guest_call_limits {
	unsigned timeout_ms;	  /* for everything */
	unsigned authenticate_ms; /* for the authentication alone; at most timeout_ms counts */
};
/* The same over the connected, non-blocking socket @fd, which stays the caller's.
 * *ret_authenticated: did it come that far? */
int guest_call_on(int fd, const struct guest_call_limits *limits, const char *method,
		  const char *argument, bool *ret_authenticated, char **ret, struct error *e);

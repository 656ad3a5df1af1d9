#pragma once
/*
 * The guest's end of the channel to its host: D-Bus peer to peer over the virtio-serial port
 * org.latencyd1.0 and over vsock. The host is trusted, and it alone is served: a port leads nowhere
 * else, and of vsock only the host's own address may connect.
 */
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "probes/sysroot.h"

#define PEER_PORT	 "/dev/virtio-ports/org.latencyd1.0"
#define PEER_CONNECTIONS 4

struct peer;

struct peer_connection {
	struct peer *peer;
	sd_bus *bus; /* NULL: free */
	bool is_port;
	bool ended;
	uint64_t number; /* counts up: the smallest is the oldest */
};

struct peer {
	sd_event *event;
	const struct sysroot *root;
	const char *port_path;
	int (*export)(sd_bus *bus, void *userdata); /* puts the objects on a new connection */
	void *userdata;

	int port; /* open and without a connection; else -1 */
	sd_event_source *port_source;
	int listener;
	sd_event_source *listener_source, *reaper;
	struct peer_connection connections[PEER_CONNECTIONS];
	uint64_t n_connections;
};

void peer_init(struct peer *p, sd_event *event, const struct sysroot *root,
	       int (*export)(sd_bus *bus, void *userdata), void *userdata);
void peer_done(struct peer *p);
/* Opens what is there and not open yet. To be called now and then: ports may come later. */
void peer_open(struct peer *p);
/* Is there a way to a host at all? */
bool peer_has_host(const struct peer *p);
/* Serves the connection @fd, which is taken over whatever happens. */
int peer_serve(struct peer *p, int fd, bool is_port);

/*
 * What the kernel itself announces, through libnl: rtnetlink's link group (a NIC that comes, goes,
 * goes up or down) and its uevents (CPUs, modules, drivers bound and unbound). Each only asks for a
 * pass: new interrupts have the kernel's own affinity, a CPU that came back has none of its
 * threads' priorities. Lost messages (ENOBUFS) ask for one too.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>

#include "daemon/watch_parts.h"

#define UEVENT_KERNEL_GROUP 1
#define UEVENT_SIZE	    8192
#define BATCH		    64

/* ---- links ---- */

static int on_link(struct nl_msg *msg, void *userdata)
{
	const struct nlmsghdr *h = nlmsg_hdr(msg);
	struct nlattr *attributes[IFLA_MAX + 1] = { 0 };
	struct watch *w = userdata;
	const char *name = "?";
	struct ifinfomsg *info;

	if (h->nlmsg_type != RTM_NEWLINK && h->nlmsg_type != RTM_DELLINK)
		return NL_OK;
	info = nlmsg_data(h);
	if (nlmsg_parse((struct nlmsghdr *)h, sizeof(*info), attributes, IFLA_MAX, NULL) >= 0 &&
	    attributes[IFLA_IFNAME])
		name = nla_get_string(attributes[IFLA_IFNAME]);
	watch_stir(w, "link %s %s", name,
		   h->nlmsg_type == RTM_DELLINK ? "gone"
		   : (info->ifi_flags & IFF_UP) ? "up"
						: "down");
	return NL_OK;
}

static int on_links(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct watch *w = userdata;
	int r = nl_recvmsgs_default(w->links);

	(void)s;
	(void)fd;
	(void)revents;
	if (r < 0 && r != -NLE_AGAIN)
		watch_stir(w, "messages about links were lost");
	return 0;
}

/* ---- uevents: "add@/module/dummy\0ACTION=add\0SUBSYSTEM=module\0..." ---- */

static const char *uevent_field(const char *text, size_t n, const char *key)
{
	for (size_t at = 0; at < n; at += strnlen(text + at, n - at) + 1) {
		const char *value = after_prefix(text + at, key);

		if (value)
			return value;
	}
	return "";
}

/* Subsystems whose coming and going can change what is judged. */
static bool matters(const char *subsystem, const char *action)
{
	static const char *const always[] = { "cpu", "module", "node", "net", "clocksource" };

	for (size_t i = 0; i < ARRAY_SIZE(always); i++)
		if (streq(subsystem, always[i]))
			return true;
	return streq(action, "bind") || streq(action, "unbind");
}

static void take_uevent(struct watch *w, const char *text, size_t n)
{
	const char *action = uevent_field(text, n, "ACTION=");
	const char *device = uevent_field(text, n, "DEVPATH=");
	const char *slash = strrchr(device, '/');

	if (matters(uevent_field(text, n, "SUBSYSTEM="), action))
		watch_stir(w, "%s %s", slash ? slash + 1 : device, action);
}

static int on_uevents(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct watch *w = userdata;
	char text[UEVENT_SIZE];

	(void)s;
	(void)revents;
	for (int i = 0; i < BATCH; i++) {
		struct sockaddr_nl from = { 0 };
		socklen_t size = sizeof(from);
		ssize_t n =
			recvfrom(fd, text, sizeof(text) - 1, 0, (struct sockaddr *)&from, &size);

		if (n < 0 && errno == ENOBUFS)
			watch_stir(w, "messages about devices were lost");
		if (n <= 0)
			break;
		text[n] = '\0';
		if (from.nl_pid == 0) /* the kernel's own */
			take_uevent(w, text, (size_t)n);
	}
	return 0;
}

/* ---- both ---- */

static struct nl_sock *open_socket(struct watch *w, int protocol, int group, const char *what)
{
	struct nl_sock *s = nl_socket_alloc();
	int r;

	if (!s)
		return NULL;
	nl_socket_disable_seq_check(s);
	nl_join_groups(s, protocol == NETLINK_KOBJECT_UEVENT ? group : 0);
	r = nl_connect(s, protocol);
	if (r >= 0 && protocol == NETLINK_ROUTE)
		r = nl_socket_add_membership(s, group);
	if (r >= 0)
		r = nl_socket_set_nonblocking(s);
	if (r >= 0)
		return s;
	watch_reason(w, "%s are not seen: netlink is refused (%s)", what, nl_geterror(r));
	nl_socket_free(s);
	return NULL;
}

int watch_kernel_open(struct watch *w)
{
	int r = 0;

	w->links = open_socket(w, NETLINK_ROUTE, RTNLGRP_LINK, "links that come and go");
	if (w->links) {
		nl_socket_modify_cb(w->links, NL_CB_VALID, NL_CB_CUSTOM, on_link, w);
		r = sd_event_add_io(w->event, &w->links_source, nl_socket_get_fd(w->links), EPOLLIN,
				    on_links, w);
	}
	w->uevents = open_socket(w, NETLINK_KOBJECT_UEVENT, UEVENT_KERNEL_GROUP,
				 "CPUs, modules and drivers that come and go");
	if (r >= 0 && w->uevents)
		r = sd_event_add_io(w->event, &w->uevents_source, nl_socket_get_fd(w->uevents),
				    EPOLLIN, on_uevents, w);
	return r;
}

void watch_kernel_close(struct watch *w)
{
	w->links_source = sd_event_source_disable_unref(w->links_source);
	w->uevents_source = sd_event_source_disable_unref(w->uevents_source);
	nl_socket_free(take_ptr(w->links));
	nl_socket_free(take_ptr(w->uevents));
}

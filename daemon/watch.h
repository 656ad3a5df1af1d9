#pragma once
/*
 * What wakes the daemon between passes: writes to kernel files (fanotify on every procfs and sysfs
 * of our mount namespace), writes to boot and configuration files (fanotify on their folders), and
 * what the kernel itself announces (rtnetlink, uevents). Events only ask for a look. Where the
 * kernel refuses one of them the passes remain, and watch_to_json() says so.
 */
#include <systemd/sd-event.h>

#include "probes/sysroot.h"
#include "state/writer.h"

struct json_t;

struct watch_ops {
	/* Does a write to @path (absolute inside the root) matter? Asked for every event, before
	 * its writer is named: cheap. */
	bool (*concerns)(const char *path, void *userdata);
	/* @path was written by @w (ours for the call; never this process). @changed false: a
	 * write that may have failed (closed without a modification). */
	void (*written)(const char *path, const struct writer *w, bool changed, void *userdata);
	/* Something happened that has no file, or events were lost: look at everything.
	 * @what: "link eth0 up", "cpu3 offline", "event queue overflow". */
	void (*stirred)(const char *what, void *userdata);
	/* What is watched and how has changed (a mark was refused). */
	void (*changed)(void *userdata);
	void *userdata;
};

struct watch;

/* Never fails for what the kernel refuses; -ENOMEM only. @root must outlive it. */
int watch_new(sd_event *event, const struct sysroot *root, const struct watch_ops *ops,
	      struct watch **ret);
struct watch *watch_free(struct watch *w);
/*
 * {"files": "fanotify with pidfd" | "fanotify" | "passes only", "boot_files": ..., "kernel":
 * "netlink" | "passes only", "reasons": ["...why it is less than all"]}. NULL: out of memory.
 */
struct json_t *watch_to_json(const struct watch *w);
/* One sentence of what is lost, or NULL when all is watched; valid until the next call. */
const char *watch_trouble(const struct watch *w);

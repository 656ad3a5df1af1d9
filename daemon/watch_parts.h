#pragma once
/*
 * What the parts of the watch share. Each part has its fds and sources, says why it is less than
 * whole through watch_reason(), and hands what it saw to watch_deliver() or watch_stir().
 */
#include "daemon/watch.h"

struct nl_sock;

/* A procfs or sysfs of our mount namespace: what is written below @target is known to everybody
 * below @known ("/proc", "/sys/kernel"). */
struct watched_mount {
	int id;	    /* of /proc/self/mountinfo */
	long magic; /* of its kind of filesystem; 0: any (a tree) */
	char *target, *known;
	bool seen; /* in the reading of the mounts under way */
	bool refused;
};

struct watched_folder {
	const char *path;
	unsigned long long handle; /* a hash of its file handle; 0: not marked yet */
};

struct watch {
	sd_event *event;
	const struct sysroot *root;
	struct sysroot live; /* for naming writers */
	struct watch_ops ops;
	int self;
	char *reasons; /* lines; NULL: all is watched */
	char *trouble; /* the same as one sentence */

	bool pidfds; /* events come with one: without one, the process had gone */
	sd_event_source *rest_timer;
	uint64_t turn_began_us, turn_cpu_us;
	uint64_t owed_us; /* rest that is still to come */

	int files; /* fanotify of kernel files, -1: refused */
	sd_event_source *files_source;
	int mountinfo;
	sd_event_source *mounts_source;
	struct watched_mount *mounts;
	size_t n_mounts;

	int folders; /* fanotify of boot and configuration files, -1: refused */
	sd_event_source *folders_source;
	struct watched_folder *folder;
	size_t n_folders;

	struct nl_sock *links, *uevents;
	sd_event_source *links_source, *uevents_source, *stir_timer;
	char *stirred;
	uint64_t stirred_us;
};

/* Says once that something is not watched. */
void watch_reason(struct watch *w, const char *fmt, ...) printf_like(2, 3);
/* What begins so holds no longer. */
void watch_reason_gone(struct watch *w, const char *fmt, ...) printf_like(2, 3);
/* Names the process (its pidfd or -1) and tells of the write, unless it is our own. */
void watch_deliver(struct watch *w, const char *path, int pid, int pidfd, bool changed);
/*
 * May events be taken now? Asked before each turn's; if not, the sources of both fanotify groups
 * rest, and the kernel keeps and merges what comes.
 */
bool watch_may_turn(struct watch *w);
/* Something without a file; bursts are told once. */
void watch_stir(struct watch *w, const char *fmt, ...) printf_like(2, 3);

/* The parts; -ENOMEM only. */
int watch_files_open(struct watch *w);
void watch_files_close(struct watch *w);
int watch_mounts_open(struct watch *w);
void watch_mounts_close(struct watch *w);
/* Marks the filesystem that @path (of this process's own root) is on. */
int watch_files_mark(struct watch *w, const char *path);
/* What everybody calls the file @fd that is @path here; false: it is none of those watched. */
bool watch_known_path(const struct watch *w, int fd, const char *path, char *ret, size_t size);
int watch_folders_open(struct watch *w);
void watch_folders_close(struct watch *w);
int watch_kernel_open(struct watch *w);
void watch_kernel_close(struct watch *w);

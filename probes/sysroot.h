#pragma once
/*
 * The one way to a machine's files: a directory fd under which every path is resolved with openat2
 * and RESOLVE_IN_ROOT, so that a captured tree or a mounted image can be judged like the live
 * machine and no link leads out of it. No other code opens an absolute path.
 */
#include <sys/types.h>

#include "state/error.h"
#include "state/observed.h"

/*
 * Told of everything that is read, so that capture() copies exactly what observe() looks at. A
 * reading says so itself through the sysroot_saw_*() functions; sysroot_read(), sysroot_fact() and
 * sysroot_exists() do it for their callers.
 */
struct sysroot_recorder {
	void (*file)(struct sysroot_recorder *rec, const char *path, const char *data, size_t size);
	void (*folder)(struct sysroot_recorder *rec, const char *path);
	void (*failed)(struct sysroot_recorder *rec, const char *path, int error);
};

struct sysroot {
	int fd;
	bool live;  /* the root is "/": the kernel that runs is the one that is read */
	char *path; /* as given, for messages */
	struct sysroot_recorder *recorder; /* NULL but in capture() */
	size_t skip; /* views only: the part of every path that @fd stands for already */
};

#define _cleanup_sysroot_ _cleanup_(sysroot_close)

/* @path NULL or "/" is the live machine. */
int sysroot_open(const char *path, struct sysroot *ret, struct error *e);
void sysroot_close(struct sysroot *r);

/* An fd for @path ("/proc/cmdline") with O_CLOEXEC added to @flags; or negative errno. */
int sysroot_openat(const struct sysroot *r, const char *path, int flags);
/* The whole file, NUL-terminated (malloc()ed), at most 64 MiB; *ret_size may be NULL. */
int sysroot_read(const struct sysroot *r, const char *path, char **ret, size_t *ret_size);
/*
 * One read() into @buffer, NUL-terminated: enough for files with one value (sysctl, sysfs
 * attributes, /proc/irq, /proc/PID), which come whole in a read that has room to spare. Returns the
 * size, or -EFBIG when the buffer has no room to spare.
 */
ssize_t sysroot_read_once(const struct sysroot *r, const char *path, char *buffer, size_t size);
/* As a fact in @a: state from errno, the last newline cut; garbage (a NUL inside) is unreadable. */
struct fact sysroot_fact(const struct sysroot *r, struct arena *a, const char *path);
/* Does it exist? 1, 0 or negative errno. */
int sysroot_exists(const struct sysroot *r, const char *path);
/* Sorted names of a folder without dot files, in @a. */
int sysroot_list(const struct sysroot *r, struct arena *a, const char *path, char ***ret,
		 size_t *ret_n);
/*
 * The numbers of the names PREFIX<number>SUFFIX in a folder, ascending and malloc()ed: CPUs, IRQs,
 * pids, nodes. Other names are passed over.
 */
int sysroot_numbers(const struct sysroot *r, const char *path, const char *prefix,
		    const char *suffix, unsigned **ret, size_t *ret_n);

/* How a reading ended, as a fact in @a: @result 0 is known with @text, a negative errno is absent,
 * denied or unreadable. When memory runs out the fact is unreadable with ENOMEM. */
struct fact sysroot_outcome(struct arena *a, const char *path, int result, const char *text);

/*
 * A view of the root for many files of one folder: the same paths, but resolved from the folder on,
 * which saves the kernel the walk down to it. For paths below @folder only; links there cannot lead
 * out of it. The view is closed with close(ret->fd).
 */
int sysroot_view(const struct sysroot *r, const char *folder, struct sysroot *ret);

/* Tell the recorder, if there is one. */
void sysroot_saw_file(const struct sysroot *r, const char *path, const char *data, size_t size);
void sysroot_saw_folder(const struct sysroot *r, const char *path);
/* The same root without its recorder, for readings of which only a part belongs into a capture.
 * A view: not to be closed. */
struct sysroot sysroot_unrecorded(const struct sysroot *r);

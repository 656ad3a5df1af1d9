/*
 * Model: a kernel file is a variable that others may write too, and whose write may be refused,
 * clamped or delayed. So nothing is believed but what reads back, an equal value is never written
 * (a write to some of them has effects even when nothing changes), and every refusal gets a second
 * look, because an errno alone misleads: EPERM may be a container, lockdown, or not being root.
 */
#include "actuators/kernel_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include "actuators/kernel_io.h"
#include "actuators/root.h"
#include "state/row.h"

/* 10, 20, ... 160 ms: an affinity change in progress takes an interrupt, not longer. */
#define TRANSIENT_TRIES	   6
#define TRANSIENT_PAUSE_MS 10

enum errno_class errno_class(int r)
{
	switch (abs(r)) {
	case EAGAIN:
	case EBUSY:
	case EINTR:
		return ERRNO_TRANSIENT;
	case ENOSPC:
	case ENOMEM:
		return ERRNO_CAPACITY;
	case EPERM:
	case EACCES:
	case EIO:
	case EROFS:
		return ERRNO_REFUSED;
	case ENOENT:
	case ESRCH:
	case ENODEV:
		return ERRNO_GONE;
	case EINVAL:
	case ERANGE:
	case EOVERFLOW:
		return ERRNO_INVALID;
	default:
		return ERRNO_OTHER;
	}
}

bool kernel_value_equal(enum value_kind kind, const char *now, const char *want)
{
	const struct fact f = { .state = FACT_KNOWN, .text = now };

	return knob_equal(&f, kind, want);
}

char *kernel_value_plain(enum value_kind kind, const char *now)
{
	const char *open = kind == VALUE_CHOICE ? strchr(now, '[') : NULL;

	return open ? strndup(open + 1, strcspn(open + 1, "]")) : strdup(now);
}

static int put_once(const char *path, const char *text)
{
	/* No O_TRUNC, no buffering: the kernel sees one open and one write. */
	_cleanup_close_ int fd = root_open(path, O_WRONLY, 0);
	size_t size = strlen(text);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = kernel_io->write(fd, path, text, size);
	if (n < 0)
		return (int)n;
	return (size_t)n == size ? 0 : -EIO;
}

int kernel_file_put(const char *path, const char *text)
{
	struct timespec pause = { .tv_nsec = TRANSIENT_PAUSE_MS * 1000 * 1000 };
	int r = put_once(path, text);

	for (int i = 1; i < TRANSIENT_TRIES && r < 0 && errno_class(r) == ERRNO_TRANSIENT; i++) {
		nanosleep(&pause, NULL);
		pause.tv_nsec *= 2;
		r = put_once(path, text);
	}
	return r;
}

static bool locked_down(void)
{
	_cleanup_free_ char *text = NULL;

	return root_read_line("/sys/kernel/security/lockdown", &text) == 0 &&
	       !strstr(text, "[none]");
}

static void explain_refusal(const char *path, int r, struct error *e)
{
	struct stat st;
	_cleanup_close_ int fd = root_open(path, O_PATH, 0);

	if (r == -EROFS) {
		error_prefix(e, "its file system is mounted read-only here");
		error_todo(e, "run latencyctl on the host itself, outside containers and services "
			      "that protect kernel files");
	} else if (geteuid() != 0) {
		error_todo(e, "run this as root");
	} else if (fd >= 0 && fstat(fd, &st) == 0 && !(st.st_mode & 0222)) {
		error_todo(e, "this kernel offers the file for reading only: set it at boot");
	} else if (locked_down()) {
		error_todo(e, "the kernel is locked down (/sys/kernel/security/lockdown): set it "
			      "at boot, or boot without lockdown");
	}
}

static int explain(const char *path, const char *now, const char *want, int r, struct error *e)
{
	error_set(e, r, "cannot write \"%s\" to %s: %s", want, path, strerror(-r));
	switch (errno_class(r)) {
	case ERRNO_REFUSED:
		explain_refusal(path, r, e);
		break;
	case ERRNO_GONE:
		error_todo(e, "this kernel has no such file (any more): look again with "
			      "latencyctl status");
		break;
	case ERRNO_INVALID:
		error_todo(e, "it reads \"%s\" now; this kernel does not take \"%s\"", now, want);
		break;
	case ERRNO_TRANSIENT:
		error_todo(e, "it stayed busy through %d tries: apply again", TRANSIENT_TRIES);
		break;
	default:
		break;
	}
	return r;
}

int kernel_file_set(const char *path, enum value_kind kind, const char *want, struct error *e)
{
	_cleanup_free_ char *now = NULL, *after = NULL;
	int r = root_read_line(path, &now);

	if (r < 0)
		return error_set(e, r, "cannot read %s: %s", path, strerror(-r));
	if (kernel_value_equal(kind, now, want))
		return 0;
	r = kernel_file_put(path, want);
	if (r < 0)
		return explain(path, now, want, r, e);
	r = root_read_line(path, &after);
	if (r < 0)
		return error_set(e, r, "cannot read %s back: %s", path, strerror(-r));
	if (kernel_value_equal(kind, after, want))
		return 1;
	error_set(e, -EPROTO, "%s took \"%s\" but reads \"%s\"", path, want, after);
	error_todo(e, "the kernel changed the value, or another program wrote it at the same time");
	return -EPROTO;
}

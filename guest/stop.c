/*
 * Stopping goes from the kind to the sure way: power button, QMP quit, SIGTERM, SIGKILL. The
 * process is watched through a pidfd, taken while it is known to be the guest's, so no signal can
 * reach another. The end that is reported is the process's, not that of a command.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/pidfd.h>

#include "guest/files.h"
#include "guest/launch_ways.h"
#include "guest/qmp.h"
#include "guest/running.h"
#include "guest/step.h"
#include "state/guest_argv.h"

/* Long enough for another client of QMP, a look at the guest, to finish. */
#define QMP_TIMEOUT_MS 10000
#define QUIT_MS	       5000
#define TERMINATE_MS   5000
#define KILL_MS	       10000

struct stop {
	const struct desired_guest *guest;
	int pidfd;
	guest_tell_fn tell;
	void *userdata;
};

printf_like(2, 3) static void tell(const struct stop *s, const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;

	if (!s->tell)
		return;
	va_start(ap, format);
	if (vasprintf(&text, format, ap) < 0)
		text = NULL;
	va_end(ap);
	if (text)
		s->tell(text, s->userdata);
}

static bool ended(int pidfd, int timeout_ms)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	int r;

	do {
		r = poll(&p, 1, timeout_ms);
	} while (r < 0 && errno == EINTR);
	return r > 0;
}

static int command(const struct stop *s, const char *name, unsigned timeout_ms)
{
	_cleanup_(qmp_closep) struct qmp *qmp = NULL;
	struct arena a = { 0 };
	const char *path = guest_path(&a, s->guest->name, GUEST_QMP);
	int r = path ? qmp_open(path, QMP_TIMEOUT_MS, &qmp, NULL) : -ENOMEM;

	arena_free(&a);
	return r < 0 ? r : qmp_command(qmp, name, NULL, timeout_ms, NULL, NULL);
}

/* Nobody holds the monitor during the wait: it has one client at a time, and of two that stop the
 * guest, say systemd and an operator, the second must not take silence for a hung QEMU. */
static bool ask_qmp(const struct stop *s, unsigned timeout_s)
{
	int r = command(s, "system_powerdown", QMP_TIMEOUT_MS);

	if (r < 0 && r != -EREMOTEIO)
		return ended(s->pidfd, 0);
	if (r >= 0 && timeout_s)
		tell(s, "pressed the power button of guest %s: it has %u s to shut down",
		     s->guest->name, timeout_s);
	if (ended(s->pidfd, r < 0 ? 0 : (int)timeout_s * 1000))
		return true;
	tell(s, "guest %s did not shut down: its QEMU is told to quit and has %d s", s->guest->name,
	     QUIT_MS / 1000);
	/* It may end before it has answered. */
	(void)command(s, "quit", QUIT_MS);
	return ended(s->pidfd, QUIT_MS);
}

static bool send_signal(const struct stop *s, int number, int timeout_ms)
{
	tell(s, "the QEMU of guest %s still runs: it gets SIG%s and has %d s", s->guest->name,
	     sigabbrev_np(number), timeout_ms / 1000);
	(void)pidfd_send_signal(s->pidfd, number, NULL, 0);
	return ended(s->pidfd, timeout_ms);
}

/* An fd for the process that is the guest's, or -ESRCH. */
static int take_hold(const struct desired_guest *g, int pid, struct error *e)
{
	_cleanup_close_ int fd = pidfd_open(pid, 0);
	int r = fd < 0 ? -errno : guest_running(g, e);

	if (fd < 0 && r != -ESRCH)
		return error_set(e, r, "cannot watch the guest %s: %s", g->name, strerror(-r));
	if (r < 0 && r != -ESRCH)
		return r;
	return r == pid ? take_fd(&fd) : -ESRCH;
}

static int clean_up(const struct desired_guest *g, struct error *e)
{
	int r = launch_has_systemd() ? launch_unit_stop(g->name, e) : 0;

	if (r == 0)
		r = guest_running(g, e);
	if (r > 0)
		r = error_set(e, -EBUSY, "the guest %s runs again: somebody else started it",
			      g->name);
	if (r == 0)
		guest_folder_clear(g->name);
	return r;
}

static int stop(struct stop *s, unsigned timeout_s, struct error *e)
{
	const struct desired_guest *g = s->guest;
	_cleanup_close_ int pidfd = -1;
	int r;

	if (g->origin != GUEST_LAUNCH)
		return error_set(e, -EPERM, "the guest %s is adopted: latencyd never stops it",
				 g->name);
	r = guest_running(g, e);
	if (r <= 0)
		return r;
	pidfd = take_hold(g, r, e);
	if (pidfd < 0 && pidfd != -ESRCH)
		return pidfd;
	s->pidfd = pidfd;
	if (pidfd >= 0 && !ask_qmp(s, timeout_s) && !send_signal(s, SIGTERM, TERMINATE_MS) &&
	    !send_signal(s, SIGKILL, KILL_MS)) {
		error_set(e, -ETIMEDOUT, "the QEMU of the guest %s (pid %d) does not end", g->name,
			  r);
		return error_todo(e, "see what it waits for: cat /proc/%d/stack", r);
	}
	r = clean_up(g, e);
	return r < 0 ? r : 1;
}

int guest_stop(const struct desired_guest *g, unsigned timeout_s, guest_tell_fn tell,
	       void *userdata, struct error *e)
{
	_cleanup_error_ struct error local = { 0 };
	struct stop s = { .guest = g, .tell = tell, .userdata = userdata };
	int r = stop(&s, timeout_s, &local);

	return r < 0 ? error_move(e, &local) : r;
}

int guest_power_off(const char *name, unsigned timeout_s, guest_tell_fn tell, void *userdata,
		    struct error *e)
{
	const struct desired_guest g = { .name = (char *)name, .origin = GUEST_LAUNCH };
	struct stop s = { .guest = &g, .tell = tell, .userdata = userdata };
	_cleanup_close_ int pidfd = -1;
	int r = guest_launched(name, e);

	if (r <= 0)
		return r;
	pidfd = pidfd_open(r, 0);
	if (pidfd < 0 && errno != ESRCH)
		return error_set(e, -errno, "cannot watch the guest %s: %s", name, strerror(errno));
	/* The pid may have become another's before it was held. */
	if (pidfd < 0 || guest_launched(name, NULL) != r)
		return 1;
	s.pidfd = pidfd;
	if (ask_qmp(&s, timeout_s))
		return 1;
	return error_set(e, -ETIMEDOUT, "the QEMU of the guest %s (pid %d) still runs", name, r);
}

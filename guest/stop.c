/*
 * Stopping goes from the kind to the sure way: power button, QMP quit, SIGTERM, SIGKILL. The
 * process is watched through a pidfd, taken while it is known to be the guest's, so no signal can
 * reach another. The end that is reported is the process's, not that of a command.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
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

static bool ended(int pidfd, int timeout_ms)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	int r;

	do {
		r = poll(&p, 1, timeout_ms);
	} while (r < 0 && errno == EINTR);
	return r > 0;
}

static bool ask_qmp(const struct desired_guest *g, int pidfd, unsigned timeout_s)
{
	_cleanup_(qmp_closep) struct qmp *qmp = NULL;
	struct arena a = { 0 };
	const char *path = guest_path(&a, g->name, GUEST_QMP);
	int r = path ? qmp_open(path, QMP_TIMEOUT_MS, &qmp, NULL) : -ENOMEM;

	arena_free(&a);
	if (r < 0)
		return ended(pidfd, 0);
	r = qmp_command(qmp, "system_powerdown", NULL, QMP_TIMEOUT_MS, NULL, NULL);
	if (ended(pidfd, r < 0 ? 0 : (int)timeout_s * 1000))
		return true;
	/* It may end before it has answered. */
	(void)qmp_command(qmp, "quit", NULL, QUIT_MS, NULL, NULL);
	return ended(pidfd, QUIT_MS);
}

static bool send_signal(int pidfd, int number, int timeout_ms)
{
	(void)pidfd_send_signal(pidfd, number, NULL, 0);
	return ended(pidfd, timeout_ms);
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

static int stop(const struct desired_guest *g, unsigned timeout_s, struct error *e)
{
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
	if (pidfd >= 0 && !ask_qmp(g, pidfd, timeout_s) &&
	    !send_signal(pidfd, SIGTERM, TERMINATE_MS) && !send_signal(pidfd, SIGKILL, KILL_MS)) {
		error_set(e, -ETIMEDOUT, "the QEMU of the guest %s (pid %d) does not end", g->name,
			  r);
		return error_todo(e, "see what it waits for: cat /proc/%d/stack", r);
	}
	r = clean_up(g, e);
	return r < 0 ? r : 1;
}

int guest_stop(const struct desired_guest *g, unsigned timeout_s, struct error *e)
{
	_cleanup_error_ struct error local = { 0 };
	int r = stop(g, timeout_s, &local);

	return r < 0 ? error_move(e, &local) : r;
}

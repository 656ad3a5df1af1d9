/*
 * STEP_IRQBALANCE: a running irqbalance is told which CPUs to leave alone, and asked until it says
 * so. What it keeps away from already stays: an administrator's own choice is widened, not
 * replaced. It forgets when it restarts; then its configuration and the kernel's isolated CPUs
 * count again.
 */
#include <errno.h>
#include <time.h>

#include "actuators/actuation.h"
#include "actuators/irqbalance.h"
#include "actuators/paths.h"
#include "actuators/root.h"

#define POLL_MS 250
/* One interval until it scans, one that it sleeps then, and some for a busy machine; and at most,
 * whatever interval it names. */
#define GRACE_S	   10
#define WAIT_MAX_S 60

static int find(struct error *e)
{
	int pid = irqbalance_find();

	if (pid < 0)
		return error_set(e, pid, "cannot look for irqbalance in /proc: %s", strerror(-pid));
	return pid ? pid : error_set(e, -ESRCH, "irqbalance does not run any more");
}

/* *ret_want: what is banned now and @list together. 1: that is so already. */
static int compare(int pid, const char *list, struct cpuset *now, struct cpuset *ret_want,
		   struct error *e)
{
	_cleanup_cpuset_ struct cpuset want = { 0 };
	unsigned interval_s;
	int r = irqbalance_ask(pid, IRQBALANCE_ANSWER_S, now, &interval_s, e);

	if (r < 0)
		return r;
	r = cpuset_parse_list(list, 0, &want);
	if (r >= 0 && cpuset_subset(&want, now))
		return 1;
	if (r >= 0)
		r = cpuset_or(&want, now);
	if (r < 0)
		return error_set(e, r, "cannot read the CPU list \"%s\": %s", list, strerror(-r));
	*ret_want = want;
	want = (struct cpuset){ 0 };
	return 0;
}

static int prepare(struct actuation *a, const struct step *s, struct error *e)
{
	_cleanup_cpuset_ struct cpuset now = { 0 }, want = { 0 };
	_cleanup_free_ char *list = NULL;
	int pid = find(e), r;

	if (pid < 0)
		return pid;
	r = compare(pid, s->want, &now, &want, e);
	if (r != 0)
		return r < 0 ? r : 0;
	list = cpuset_format_list(&now);
	if (!list)
		return error_set(e, -ENOMEM, "out of memory");
	return keep_original(a, s, ORIGINAL_IRQBALANCE, list, e);
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int wait_told(int pid, const struct cpuset *want, struct error *e)
{
	const struct timespec pause = { .tv_nsec = POLL_MS * 1000 * 1000 };
	int64_t start_ms = now_ms();
	unsigned interval_s = 0, limit_s = WAIT_MAX_S;

	while (now_ms() - start_ms < limit_s * 1000) {
		_cleanup_cpuset_ struct cpuset now = { 0 };
		int r = irqbalance_ask(pid, IRQBALANCE_ANSWER_S, &now, &interval_s, e);

		if (r < 0)
			return r;
		if (cpuset_subset(want, &now))
			return 1;
		if (2 * interval_s + GRACE_S < WAIT_MAX_S)
			limit_s = 2 * interval_s + GRACE_S;
		nanosleep(&pause, NULL);
	}
	error_set(e, -ETIMEDOUT,
		  "irqbalance (pid %d) was told, but after %u s it still does not leave the CPUs "
		  "alone",
		  pid, limit_s);
	error_todo(e, "have it stopped instead: irq_affinity: {irqbalance: stopped}");
	return -ETIMEDOUT;
}

static int run_step(struct actuation *a, const struct step *s, struct error *e)
{
	_cleanup_cpuset_ struct cpuset now = { 0 }, want = { 0 };
	int pid = find(e), r;

	(void)a;
	if (pid < 0)
		return pid;
	r = compare(pid, s->want, &now, &want, e);
	if (r != 0)
		return r < 0 ? r : 0;
	r = irqbalance_tell(pid, &want, e);
	return r < 0 ? r : wait_told(pid, &want, e);
}

int irqbalance_restore(const struct original *o, struct error *e)
{
	_cleanup_cpuset_ struct cpuset banned = { 0 };
	_cleanup_free_ char *boot_id = NULL;
	int pid = irqbalance_find(), r;

	if (pid <= 0)
		return 0; /* it has forgotten */
	if (root_read_line(BOOT_ID_FILE, &boot_id) < 0 || !streq(boot_id, o->boot_id))
		return irqbalance_tell(pid, NULL, e) < 0 ? e->code : 1;
	r = cpuset_parse_list(o->value, 0, &banned);
	if (r < 0)
		return error_set(e, r, "the original CPU list \"%s\" of irqbalance: %s", o->value,
				 strerror(-r));
	r = irqbalance_tell(pid, cpuset_empty(&banned) ? NULL : &banned, e);
	return r < 0 ? r : 1;
}

const struct actuator actuator_irqbalance = {
	.prepare = prepare,
	.run = run_step,
};

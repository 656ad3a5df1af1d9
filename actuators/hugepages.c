/*
 * STEP_HUGEPAGES: a count in nr_hugepages. The kernel takes any number without an error and
 * allocates what it finds, so only the count that reads back is true; memory that is being freed
 * or compacted may give more a moment later (Documentation/admin-guide/mm/hugetlbpage.rst).
 */
#include <errno.h>
#include <time.h>

#include "actuators/actuation.h"
#include "actuators/kernel_file.h"
#include "actuators/root.h"

/* Six tries in three seconds: what is not free by then takes a reboot. From the third on, the
 * kernel is asked to give up caches of its own objects, which cannot be moved, and to compact. */
#define TRIES	 6
#define PAUSE_MS 500

static int prepare(struct actuation *a, const struct step *s, struct error *e)
{
	_cleanup_free_ char *now = NULL;
	int r = root_read_line(s->target, &now);

	if (r < 0)
		return error_set(e, r, "cannot read %s: %s", s->target, strerror(-r));
	if (kernel_value_equal(VALUE_NUMBER, now, s->want))
		return 0;
	return keep_original(a, s, ORIGINAL_HUGEPAGES, now, e);
}

/* Above the wanted count are pages that somebody uses: they become surplus and go when freed. */
static int explain(const char *path, const char *got, const char *want, struct error *e)
{
	if (strtoll(got, NULL, 10) > strtoll(want, NULL, 10)) {
		error_set(e, -EBUSY, "%s: %s huge pages are left, not %s: the rest is in use", path,
			  got, want);
		error_todo(e, "stop the programs that use them and apply again, or reboot");
		return -EBUSY;
	}
	error_set(e, -ENOSPC,
		  "%s: the kernel gave %s of %s huge pages: its free memory is "
		  "fragmented or too small",
		  path, got, want);
	error_todo(e, "reboot: the boot arguments reserve them before anything else is started");
	return -ENOSPC;
}

/* Both only help; an error of theirs is not ours. 2: dentries and inodes, not the page cache, which
 * is moved (Documentation/admin-guide/sysctl/vm.rst). */
static void make_room(void)
{
	(void)kernel_file_put("/proc/sys/vm/drop_caches", "2");
	(void)kernel_file_put("/proc/sys/vm/compact_memory", "1");
}

static int set(const char *path, const char *want, struct error *e)
{
	const struct timespec pause = { .tv_nsec = PAUSE_MS * 1000 * 1000 };
	_cleanup_free_ char *now = NULL;
	int r;

	for (int i = 0;; i++) {
		free(now);
		now = NULL;
		r = root_read_line(path, &now);
		if (r < 0)
			return error_set(e, r, "cannot read %s: %s", path, strerror(-r));
		if (kernel_value_equal(VALUE_NUMBER, now, want))
			return i > 0;
		if (i == TRIES)
			return explain(path, now, want, e);
		if (i > 1) { /* the first second look comes at once */
			if (strtoll(now, NULL, 10) < strtoll(want, NULL, 10))
				make_room();
			nanosleep(&pause, NULL);
		}
		r = kernel_file_put(path, want);
		if (r < 0)
			return error_set(e, r, "cannot write %s to %s: %s", want, path,
					 strerror(-r));
	}
}

static int run_step(struct actuation *a, const struct step *s, struct error *e)
{
	(void)a;
	return set(s->target, s->want, e);
}

int hugepages_restore(const struct original *o, struct error *e)
{
	return root_exists(o->target) == 0 ? 0 : set(o->target, o->value, e);
}

const struct actuator actuator_hugepages = {
	.prepare = prepare,
	.run = run_step,
	.kernel = true,
};

/*
 * A revert is marked on disk first, so that it is finished by whoever comes next. It restores
 * run-time values in the reverse order of a plan, then the boot files (revert_boot.h), and forgets
 * each original only when it is restored. What a reboot undoes by itself is not worth failing for.
 */
#include <errno.h>

#include "actuators/actuation.h"
#include "actuators/execute.h"
#include "actuators/lock.h"
#include "actuators/paths.h"
#include "actuators/revert_boot.h"
#include "actuators/root.h"
#include "state/settings.h"

struct restorer {
	enum step_kind step;
	/* Writes without reading back, for files whose values hang together: kernel.watchdog and
	 * kernel.soft_watchdog each read 0 while the other is 0, and a read makes the kernel
	 * forget what was written (kernel/watchdog.c: proc_watchdog_common()). */
	void (*push)(const struct original *o);
	int (*restore)(const struct original *o, struct error *e);
};

static const struct restorer restorers[_ORIGINAL_KIND_MAX] = {
	[ORIGINAL_KERNEL_FILE] = { .step = STEP_KERNEL_FILE,
				   .push = kernel_file_push,
				   .restore = kernel_file_restore },
	[ORIGINAL_HUGEPAGES] = { .step = STEP_HUGEPAGES, .restore = hugepages_restore },
	[ORIGINAL_IRQ] = { .step = STEP_IRQ, .restore = irq_restore },
	[ORIGINAL_THREAD_POLICY] = { .step = STEP_THREAD, .restore = thread_restore },
	[ORIGINAL_THREAD_CPUS] = { .step = STEP_THREAD, .restore = thread_restore },
	[ORIGINAL_IRQBALANCE] = { .step = STEP_IRQBALANCE, .restore = irqbalance_restore },
	[ORIGINAL_SERVICE] = { .step = STEP_SERVICE, .restore = service_restore },
	[ORIGINAL_MOUNT] = { .step = STEP_MOUNT, .restore = mount_restore },
};

/* Who may move things again comes last; a mount holds the pages below it. */
static const enum original_kind order[] = {
	ORIGINAL_IRQ,	    ORIGINAL_THREAD_CPUS, ORIGINAL_THREAD_POLICY, ORIGINAL_MOUNT,
	ORIGINAL_HUGEPAGES, ORIGINAL_KERNEL_FILE, ORIGINAL_IRQBALANCE,	  ORIGINAL_SERVICE,
};

struct revert {
	struct originals originals;
	struct arena arena;
	struct original *list;		 /* copies, so that they can be forgotten one by one */
	size_t n_list, n_shown, n_steps; /* the boot files are one step more */
	progress_fn progress;
	void *userdata;
	struct error *error; /* the first failure */
	int failed;	     /* its code */
	bool failed_lasting; /* one that a reboot does not undo */
};

static void revert_done(struct revert *v)
{
	originals_done(&v->originals);
	arena_free(&v->arena);
}

static int copy(struct revert *v, const struct original *o)
{
	struct original *c = arena_grow(&v->arena, &v->list, &v->n_list, sizeof(*c));

	if (!c)
		return -ENOMEM;
	*c = *o;
	c->target = arena_strdup(&v->arena, o->target);
	c->name = arena_strdup(&v->arena, o->name);
	c->setting = arena_strdup(&v->arena, o->setting);
	c->boot_id = arena_strdup(&v->arena, o->boot_id);
	c->value = o->value ? arena_strdup(&v->arena, o->value) : NULL;
	return c->target && c->name && c->setting && c->boot_id && (c->value || !o->value)
		       ? 0
		       : -ENOMEM;
}

static int gather(struct revert *v, const char *setting)
{
	struct original o;
	void *iter = NULL;
	int r = 0;

	while (r == 0 && originals_next(&v->originals, &iter, &o)) {
		if (!restorers[o.kind].restore)
			v->n_steps = 1;
		else if (!setting || streq(setting, o.setting))
			r = copy(v, &o);
	}
	v->n_steps += v->n_list;
	return r;
}

static void fail(struct revert *v, int code, struct error *e, bool lasting)
{
	v->failed_lasting |= lasting;
	if (v->failed)
		return;
	v->failed = code;
	error_move(v->error, e);
}

/* Restores one, and forgets it when that has worked. */
static void restore_one(struct revert *v, const struct original *o)
{
	const struct restorer *by = &restorers[o->kind];
	const struct step s = {
		.kind = by->step,
		.setting = setting_by_name(o->setting),
		.target = o->target,
		.name = o->name,
		/* kept as two bare numbers, which tell a person nothing */
		.want = o->kind == ORIGINAL_THREAD_POLICY ? "as it was" : o->value,
	};
	_cleanup_error_ struct error e = { 0 };
	struct outcome outcome = { 0 };
	int r;

	if (v->progress)
		v->progress(&s, v->n_shown, v->n_steps, NULL, v->userdata);
	r = by->restore(o, &e);
	/* what was pushed reads as unchanged by now */
	outcome.result = r < 0 ? STEP_FAILED : r > 0 || by->push ? STEP_DONE : STEP_UNCHANGED;
	outcome.error = e;
	if (v->progress)
		v->progress(&s, v->n_shown, v->n_steps, &outcome, v->userdata);
	v->n_shown++;
	if (r < 0)
		fail(v, r, &e, o->kind == ORIGINAL_SERVICE);
	else
		(void)originals_forget(&v->originals, o);
}

static void restore_all(struct revert *v)
{
	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		for (size_t j = 0; restorers[order[i]].push && j < v->n_list; j++)
			if (v->list[j].kind == order[i])
				restorers[order[i]].push(&v->list[j]);
		for (size_t j = 0; j < v->n_list; j++)
			if (v->list[j].kind == order[i])
				restore_one(v, &v->list[j]);
	}
}

/* @setting NULL: all. An enum boot_revert, or negative errno. */
static int restore_boot(struct revert *v, const char *setting)
{
	const struct step s = { .kind = STEP_BOOT_ARG, .target = BOOT_DROP_IN, .name = "" };
	_cleanup_error_ struct error e = { 0 };
	struct outcome outcome = { 0 };
	bool shown = v->progress && v->n_steps > v->n_list;
	int r;

	if (shown)
		v->progress(&s, v->n_shown, v->n_steps, NULL, v->userdata);
	r = setting ? boot_revert_setting(&v->originals, setting, &e)
		    : boot_revert_all(&v->originals, &e);
	outcome.result = r < 0 ? STEP_FAILED : STEP_DONE;
	outcome.error = e;
	if (shown)
		v->progress(&s, v->n_shown, v->n_steps, &outcome, v->userdata);
	if (r < 0)
		fail(v, r, &e, true);
	return r;
}

static int finish(struct revert *v)
{
	int r = originals_delete(&v->originals, v->error);

	return r < 0 ? r : root_remove(REFUSALS_FILE, v->error);
}

static int revert_everything(struct revert *v)
{
	_cleanup_error_ struct error e = { 0 };
	int boot, r;

	if (originals_set_reverting(&v->originals, true) < 0)
		return error_set(v->error, -ENOMEM, "out of memory");
	r = originals_flush(&v->originals, v->error);
	if (r < 0)
		return r;
	restore_all(v);
	r = originals_flush(&v->originals, &e);
	if (r < 0)
		fail(v, r, &e, true);
	boot = restore_boot(v, NULL);
	if (v->failed && (boot <= 0 || v->failed_lasting))
		return v->failed;
	error_clear(v->error);
	if (boot == BOOT_PENDING)
		return 1;
	r = finish(v);
	return r < 0 ? r : boot == BOOT_REVERTED_REBOOT;
}

/* Is nothing left but boot files that are as they were? */
static bool nothing_left(struct originals *o)
{
	struct original original;
	void *iter = NULL;

	while (originals_next(o, &iter, &original)) {
		_cleanup_free_ char *now = NULL;
		bool absent;

		if (original.kind != ORIGINAL_FILE)
			return false;
		if (!streq(original.target, BOOT_DROP_IN))
			continue;
		absent = root_read(original.target, &now, NULL) == -ENOENT;
		if (original.value ? !now || !streq(now, original.value) : !absent)
			return false;
	}
	return true;
}

static int revert_one(struct revert *v, const char *setting)
{
	_cleanup_error_ struct error e = { 0 };
	int boot, r;

	restore_all(v);
	boot = restore_boot(v, setting);
	r = originals_flush(&v->originals, &e);
	if (r < 0)
		fail(v, r, &e, true);
	if (v->failed)
		return v->failed;
	if (nothing_left(&v->originals)) {
		r = finish(v);
		if (r < 0)
			return r;
	}
	return boot != BOOT_REVERTED;
}

static int revert_locked(const char *setting, progress_fn progress, void *userdata, struct error *e)
{
	_cleanup_(revert_done) struct revert v = {
		.progress = progress,
		.userdata = userdata,
		.error = e,
	};
	int r = root_exists(ORIGINALS_FILE);

	if (r == 0)
		return 0;
	if (r > 0)
		r = originals_load(&v.originals, e);
	else
		error_set(e, r, "cannot look at " ORIGINALS_FILE ": %s", strerror(-r));
	if (r < 0)
		return r;
	r = gather(&v, setting);
	if (r < 0)
		return error_set(e, r, "out of memory");
	return setting ? revert_one(&v, setting) : revert_everything(&v);
}

int revert_all(const char *setting, progress_fn progress, void *userdata, struct error *e)
{
	_cleanup_close_ int lock = -1;

	if (setting && !setting_by_name(setting)) {
		error_set(e, -EINVAL, "there is no setting \"%s\"", setting);
		error_todo(e, "list them: latencyctl explain");
		return -EINVAL;
	}
	if (lock_fd() < 0) {
		lock = machine_lock(e);
		if (lock < 0)
			return lock;
	}
	return revert_locked(setting, progress, userdata, e);
}

int revert_resume(struct error *e)
{
	bool reverting;
	int r = originals_exist(&reverting);

	if (r < 0)
		return error_set(e, r, "cannot read " ORIGINALS_FILE ": %s", strerror(-r));
	return r && reverting ? revert_all(NULL, NULL, NULL, e) : 0;
}

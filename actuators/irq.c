/*
 * STEP_IRQ: an IRQ's CPUs. What counts is effective_affinity_list, not what was asked for: an IRQ
 * that cannot be moved in process context moves when it next fires, and a driver-managed IRQ does
 * not move at all (EIO before Linux 6.12, EPERM since; Documentation/core-api/irq/irq-affinity.rst,
 * kernel/irq/proc.c).
 */
#include <errno.h>
#include <time.h>

#include "actuators/actuation.h"
#include "actuators/kernel_file.h"
#include "actuators/root.h"
#include "state/cpuset.h"

#define EFFECTIVE_TRIES	   20
#define EFFECTIVE_PAUSE_MS 25

static const char *label(const char *name)
{
	return *name ? name : "no handler";
}

static int prepare(struct actuation *a, const struct step *s, struct error *e)
{
	_cleanup_free_ char *now = NULL;
	int r = root_read_line(s->target, &now);

	if (r < 0)
		return error_set(e, r, "cannot read %s: %s", s->target, strerror(-r));
	if (kernel_value_equal(VALUE_LIST, now, s->want))
		return 0;
	return keep_original(a, s, ORIGINAL_IRQ, now, e);
}

/* Is every effective CPU inside of @want? Without the file (before 4.15, some architectures) the
 * requested ones are all there is. The text is malloc()ed. */
static int effective_fits(unsigned irq, const char *target, const char *want, char **ret_text)
{
	_cleanup_cpuset_ struct cpuset effective = { 0 }, wanted = { 0 };
	_cleanup_free_ char *path = NULL, *text = NULL;
	int r;

	if (asprintf(&path, "/proc/irq/%u/effective_affinity_list", irq) < 0)
		return -ENOMEM;
	r = root_read_line(path, &text);
	if (r == -ENOENT)
		r = root_read_line(target, &text);
	if (r >= 0)
		r = cpuset_parse_list(text, 0, &effective);
	if (r >= 0)
		r = cpuset_parse_list(want, 0, &wanted);
	if (r < 0)
		return r;
	*ret_text = take_ptr(text);
	return cpuset_subset(&effective, &wanted);
}

/* Only message-signalled IRQs are ever managed; a timer or cascade line just has no other place. */
static bool may_be_managed(unsigned irq)
{
	_cleanup_free_ char *path = NULL, *chip = NULL;

	if (asprintf(&path, "/sys/kernel/irq/%u/chip_name", irq) < 0)
		return false;
	return root_read_line(path, &chip) < 0 || strstr(chip, "MSI");
}

static int explain(const struct step *s, int r, struct error *e)
{
	if (errno_class(r) == ERRNO_REFUSED && r != -EACCES && r != -EROFS && geteuid() == 0) {
		if (!may_be_managed(s->number))
			return error_set(e, r,
					 "IRQ %u (%s) cannot be moved: the kernel keeps it "
					 "where it is",
					 s->number, label(s->name));
		error_set(e, r, "IRQ %u (%s) is managed by its driver: the kernel chooses its CPUs",
			  s->number, label(s->name));
		error_todo(e, "boot with isolcpus=managed_irq");
		return r;
	}
	error_set(e, r, "cannot move IRQ %u (%s) to CPUs %s: %s", s->number, label(s->name),
		  s->want, strerror(-r));
	switch (errno_class(r)) {
	case ERRNO_CAPACITY:
		error_todo(e, "those CPUs have no interrupt vectors left: give the devices fewer "
			      "queues, or keep more housekeeping CPUs");
		break;
	case ERRNO_INVALID:
		error_todo(e, "none of CPUs %s is online for interrupts", s->want);
		break;
	case ERRNO_GONE:
		error_todo(e, "its device gave the interrupt back: nothing to do");
		break;
	default:
		break;
	}
	return r;
}

static int wait_effective(const struct step *s, struct error *e)
{
	const struct timespec pause = { .tv_nsec = EFFECTIVE_PAUSE_MS * 1000 * 1000 };
	_cleanup_free_ char *text = NULL;
	int r;

	for (int i = 0; i < EFFECTIVE_TRIES; i++) {
		free(text);
		text = NULL;
		r = effective_fits(s->number, s->target, s->want, &text);
		if (r < 0)
			return error_set(e, r, "cannot read back where IRQ %u goes: %s", s->number,
					 strerror(-r));
		if (r > 0)
			return 1;
		nanosleep(&pause, NULL);
	}
	error_set(e, -EINPROGRESS, "IRQ %u (%s) still goes to CPUs %s, not %s", s->number,
		  label(s->name), text, s->want);
	error_todo(e, "the kernel took the list and moves it when it next fires; look again then");
	return -EINPROGRESS;
}

static int run_step(struct actuation *a, const struct step *s, struct error *e)
{
	_cleanup_free_ char *now = NULL, *effective = NULL;
	int r = root_read_line(s->target, &now);

	(void)a;
	if (r < 0)
		return error_set(e, r, "cannot read %s: %s", s->target, strerror(-r));
	r = effective_fits(s->number, s->target, s->want, &effective);
	if (r > 0 && kernel_value_equal(VALUE_LIST, now, s->want))
		return 0;
	r = kernel_file_put(s->target, s->want);
	return r < 0 ? explain(s, r, e) : wait_effective(s, e);
}

/* The actions of an IRQ as its folder shows them: /proc/irq/24/eth0-rx. */
static int match_name(const char *name, void *userdata)
{
	return streq(name, userdata);
}

/* An IRQ number is another device's after a boot: its name must fit. A name with a slash has no
 * folder, and several actions have one each, so those are looked up in their first part. */
static bool is_same_irq(const struct original *o)
{
	const char *slash = strrchr(o->target, '/');
	_cleanup_free_ char *folder = strndup(o->target, (size_t)(slash - o->target));
	_cleanup_free_ char *first = strndup(o->name, strcspn(o->name, ","));

	return folder && first && (!*first || root_each(folder, match_name, first) == 1);
}

static bool is_this_boot(const struct original *o)
{
	_cleanup_free_ char *boot_id = NULL;

	return root_read_line("/proc/sys/kernel/random/boot_id", &boot_id) == 0 &&
	       streq(boot_id, o->boot_id);
}

int irq_restore(const struct original *o, struct error *e)
{
	_cleanup_free_ char *now = NULL;
	int r = root_read_line(o->target, &now);

	if (r == -ENOENT || (r == 0 && !is_this_boot(o) && !is_same_irq(o)))
		return 0;
	if (r < 0)
		return error_set(e, r, "cannot read %s: %s", o->target, strerror(-r));
	if (kernel_value_equal(VALUE_LIST, now, o->value))
		return 0;
	r = kernel_file_put(o->target, o->value);
	if (r < 0)
		return error_set(e, r, "cannot write %s to %s: %s", o->value, o->target,
				 strerror(-r));
	return 1;
}

const struct actuator actuator_irq = {
	.prepare = prepare,
	.run = run_step,
	.kernel = true,
};

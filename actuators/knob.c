/*
 * STEP_KERNEL_FILE: one file, one value, through the choke point of kernel_file.h. Its original is
 * kept with the kind by which it compares, so that its restore skips what is equal too.
 */
#include <errno.h>

#include "actuators/actuation.h"
#include "actuators/kernel_file.h"
#include "actuators/root.h"
#include "state/settings.h"

int keep_original(struct actuation *a, const struct step *s, enum original_kind kind,
		  const char *value, struct error *e)
{
	const struct original original = {
		.kind = kind,
		.format = s->value_kind,
		.target = s->target,
		.name = kind == ORIGINAL_IRQ ? s->name : "",
		.setting = s->setting ? s->setting->name : "",
		.value = value,
	};
	int r = originals_keep(&a->originals, &original, e);

	return r < 0 ? r : 0;
}

static int prepare(struct actuation *a, const struct step *s, struct error *e)
{
	_cleanup_free_ char *now = NULL, *plain = NULL;
	int r = root_read_line(s->target, &now);

	if (r < 0)
		return error_set(e, r, "cannot read %s: %s", s->target, strerror(-r));
	if (kernel_value_equal(s->value_kind, now, s->want))
		return 0;
	plain = kernel_value_plain(s->value_kind, now);
	if (!plain)
		return error_set(e, -ENOMEM, "out of memory");
	return keep_original(a, s, ORIGINAL_KERNEL_FILE, plain, e);
}

static int run_step(struct actuation *a, const struct step *s, struct error *e)
{
	(void)a;
	return kernel_file_set(s->target, s->value_kind, s->want, e);
}

void kernel_file_push(const struct original *o)
{
	_cleanup_free_ char *now = NULL;

	if (root_read_line(o->target, &now) == 0 && !kernel_value_equal(o->format, now, o->value))
		(void)kernel_file_put(o->target, o->value);
}

int kernel_file_restore(const struct original *o, struct error *e)
{
	/* A CPU or device that is gone took its setting with it. */
	if (root_exists(o->target) == 0)
		return 0;
	return kernel_file_set(o->target, o->format, o->value, e);
}

const struct actuator actuator_kernel_file = {
	.prepare = prepare,
	.run = run_step,
	.kernel = true,
};

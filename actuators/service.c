/*
 * STEP_SERVICE: a unit that fights for our settings is stopped and disabled; both are remembered
 * apart, because a unit may run without being enabled.
 */
#include <errno.h>

#include "actuators/actuation.h"
#include "actuators/systemd.h"

static int prepare(struct actuation *a, const struct step *s, struct error *e)
{
	struct unit_state state;
	_cleanup_free_ char *text = NULL;
	int r = systemd_unit_state(s->target, &state, e);

	if (r < 0)
		return r;
	if (!state.active && !state.enabled)
		return 0;
	if (asprintf(&text, "%s %s", state.active ? "active" : "inactive",
		     state.enabled ? "enabled" : "disabled") < 0)
		return error_set(e, -ENOMEM, "out of memory");
	return keep_original(a, s, ORIGINAL_SERVICE, text, e);
}

static int run_step(struct actuation *a, const struct step *s, struct error *e)
{
	struct unit_state state;
	int r = systemd_unit_state(s->target, &state, e);

	(void)a;
	if (r < 0 || (!state.active && !state.enabled))
		return r;
	if (state.enabled)
		r = systemd_set_enabled(s->target, false, e);
	if (r >= 0 && state.active)
		r = systemd_stop_unit(s->target, e);
	return r < 0 ? r : 1;
}

int service_restore(const struct original *o, struct error *e)
{
	bool active = after_prefix(o->value, "active"), enabled = strstr(o->value, " enabled");
	struct unit_state state;
	int r = systemd_unit_state(o->target, &state, e);

	if (r < 0)
		return r;
	if (enabled && !state.enabled)
		r = systemd_set_enabled(o->target, true, e);
	if (r >= 0 && active && !state.active)
		r = systemd_start_unit(o->target, e);
	return r < 0 ? r : 1;
}

const struct actuator actuator_service = {
	.prepare = prepare,
	.run = run_step,
};

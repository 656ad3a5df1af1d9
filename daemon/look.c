/*
 * A look owns its observation and its report; both die with it. The document outlives it: the
 * daemon judges one document again and again, so resolving must leave nothing behind that the next
 * look would trip over, and an `auto` set is drawn again from what is seen now.
 */
#include "daemon/look.h"

#include <errno.h>

#include <jansson.h>

#include "guest/observe_guests.h"
#include "state/report_json.h"

void look_done(struct look *l)
{
	report_done(&l->report);
	observed_done(&l->observed);
}

/* With `isolated: auto` the probes can count what fired on the isolated CPUs only after the set has
 * been drawn from the topology, which takes an observation itself. */
static int draw_auto(const struct sysroot *root, struct desired *d, struct error *e)
{
	_cleanup_observed_ struct observed o = { 0 };
	int r;

	r = observe(root, d, &o);
	return r < 0 ? r : desired_resolve(d, &o, e);
}

static int observe_all(const struct sysroot *root, const struct desired *d,
		       const struct guest_source *source, struct observed *ret)
{
	_cleanup_observed_ struct observed o = { 0 };
	int r = observe(root, d, &o);

	if (r >= 0)
		r = observe_guests(root, d, source, &o);
	if (r < 0)
		return r;
	*ret = o;
	o = (struct observed){ 0 };
	return 0;
}

int look_observe(const struct sysroot *root, const struct desired *d, struct observed *ret)
{
	return observe_all(root, d, NULL, ret);
}

struct desired look_part(const struct desired *d, uint64_t settings)
{
	struct desired part = *d;

	for (size_t i = 0; i < SETTINGS_MAX; i++)
		if (!(settings >> i & 1))
			part.values[i] = NULL;
	part.guests = NULL;
	part.n_guests = 0;
	return part;
}

int look_take(const struct sysroot *root, struct desired *d, struct look *ret, struct error *e)
{
	return look_take_from(root, d, NULL, ret, e);
}

int look_take_from(const struct sysroot *root, struct desired *d, const struct guest_source *source,
		   struct look *ret, struct error *e)
{
	_cleanup_look_ struct look l = { 0 };
	int r = 0;

	if (d->isolated_auto && cpuset_empty(&d->isolated))
		r = draw_auto(root, d, e);
	if (r >= 0)
		r = observe_all(root, d, source, &l.observed);
	if (r >= 0)
		r = desired_resolve(d, &l.observed, e);
	if (r >= 0)
		r = judge(d, &l.observed, &l.report);
	if (r == -ENOMEM)
		return error_set(e, r, "out of memory while looking at the machine");
	if (r < 0)
		return r;
	*ret = l;
	l = (struct look){ 0 };
	return 0;
}

json_t *look_previous(const struct sysroot *root)
{
	_cleanup_free_ char *text = NULL;
	size_t size;
	json_t *previous;

	if (sysroot_read(root, STATUS_PATH, &text, &size) < 0)
		return NULL;
	previous = json_loadb(text, size, 0, NULL);
	if (json_is_object(previous))
		return previous;
	json_decref(previous);
	return NULL;
}

/* See sim_fixture.h. */
#include "tests/unit/sim_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "state/settings.h"

void sim_read_document(struct sim *sim, struct desired *d, const char *text)
{
	_cleanup_observed_ struct observed o = { 0 };
	_cleanup_error_ struct error e = { 0 };

	desired_done(d);
	if (document_parse("d.yaml", text, strlen(text), d, &e) < 0)
		fail_msg("%s", e.what);
	sim_observe(sim, &o);
	assert_int_equal(desired_resolve(d, &o, &e), 0);
}

void sim_apply(struct sim *sim, struct desired *d)
{
	for (int i = 0; i < 3; i++) {
		_cleanup_observed_ struct observed o = { 0 };
		_cleanup_plan_ struct plan p = { 0 };

		sim_observe(sim, &o);
		assert_int_equal(plan_make(d, &o, &p), 0);
		sim_execute(sim, &p);
	}
}

void sim_converge(struct sim *sim, struct desired *d)
{
	sim_apply(sim, d);
	sim_reboot(sim);
	sim_apply(sim, d);
}

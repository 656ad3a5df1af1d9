/* This machine as what is measured. */
#include "measure/target.h"

static int run_here(struct target *t, const struct segment_request *rq, const char *workdir,
		    tool_tick_fn tick, void *userdata, struct segment_outcome *ret, struct error *e)
{
	(void)t;
	return segment_run(rq, workdir, tick, userdata, ret, e);
}

const struct target target_host = { .name = "host", .run_segment = run_here };

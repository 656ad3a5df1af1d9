#pragma once
/*
 * The machine that is measured: this one, or a guest of it. Whoever starts a run hands in how its
 * target carries out a segment; measure/ knows nothing of channels.
 */
#include "measure/segment.h"

struct target {
	const char *name;  /* "host" or "guest/vnf0" */
	const char *guest; /* NULL: this machine */
	/* As segment_run(). A guest that no longer answers: -EHOSTDOWN with *e; the run goes on to
	 * judge what it has. */
	int (*run_segment)(struct target *t, const struct segment_request *rq, const char *workdir,
			   tool_tick_fn tick, void *userdata, struct segment_outcome *ret,
			   struct error *e);
	void *userdata;
};

/* This machine: segment_run(). */
extern const struct target target_host;

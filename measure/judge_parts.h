#pragma once
/* Between the parts of judge_run(). Each fills what it says in @j; -ENOMEM only. */
#include "measure/judge_run.h"

/* The first to say a reason words it. */
int judge_reason(struct run_judgement *j, enum run_reason r, const char *fmt, ...)
	printf_like(3, 4);

/* judge_sla.c: the limits, from j->threads. */
int judge_sla(const struct run_input *in, struct run_judgement *j);
/* Wake-ups above the limit of the maximum; -1 when the histogram cannot tell. */
int64_t judge_exceedances(const struct run_input *in, const struct run_judgement *j);
/* What of the limits counts, in a run that may lack a part; the reason that names it. */
int judge_exceeded(struct run_judgement *j, bool partial);

#pragma once
/* The part of judge() that is about guests; for verdict.c. */
#include "state/verdict.h"

/* Fills r->guests. -ENOMEM only. */
int judge_guests(const struct desired *d, const struct observed *o, struct report *r);
/* What so many settings make of a machine. */
enum machine_verdict machine_verdict_of(const struct setting_verdict *settings, size_t n);

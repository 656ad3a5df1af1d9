#pragma once
/*
 * What the journal is told: changes of the machine's verdict, and nothing else.
 */
#include "state/verdict.h"

struct json_t;

/* @before: the verdict's name before, NULL: none. @status: the new status object. @why: what kept
 * the machine from being judged, or NULL. */
void journal_verdict(enum machine_verdict now, const char *before, const struct json_t *status,
		     const char *why);

#pragma once
/*
 * QEMU's monitor protocol, as a client: one command at a time, each answer bounded in size and time
 * (QEMU is where a hostile guest would break out to). docs/interop/qmp-spec of QEMU.
 */
#include <jansson.h>

#include "state/error.h"

struct qmp;

/* Connects to the unix socket @path and negotiates. -ETIMEDOUT when another client has it. */
int qmp_open(const char *path, unsigned timeout_ms, struct qmp **ret, struct error *e);
void qmp_close(struct qmp *q);
static inline void qmp_closep(struct qmp **q)
{
	qmp_close(*q);
}
/* Runs @command; @arguments (stolen) may be NULL; *ret (may be NULL) is its "return" value, the
 * caller's. Events in between are passed over. -EREMOTEIO with QEMU's own words when it refuses. */
int qmp_command(struct qmp *q, const char *command, json_t *arguments, unsigned timeout_ms,
		json_t **ret, struct error *e);

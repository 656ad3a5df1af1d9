#pragma once
/* A QEMU monitor for tests: one thread that takes one client and speaks as it is told. */
#include "state/base.h"

#define QMP_GREETING \
	"{\"QMP\": {\"version\": {\"qemu\": {\"major\": 7}}, \"capabilities\": [\"oob\"]}}\r\n"

struct qmp_server;

/* Reads a line of the client into the server's own room: 0 at the end. */
int qmp_server_hear(struct qmp_server *s, char *line, size_t size);
/* 1 while the client is there. */
int qmp_server_say(struct qmp_server *s, const char *text, size_t size);
int qmp_server_print(struct qmp_server *s, const char *fmt, ...) printf_like(2, 3);
/* Hears a command and returns its id; -1 at the end. */
long qmp_server_command(struct qmp_server *s, char *line, size_t size);
/* The greeting and the negotiation. */
int qmp_server_greet(struct qmp_server *s);
/* Waits until the client has gone. */
void qmp_server_wait(struct qmp_server *s);

struct qmp_server *qmp_server_start(void (*speak)(struct qmp_server *s));
const char *qmp_server_path(const struct qmp_server *s);
void qmp_server_stop(struct qmp_server *s);
static inline void qmp_server_stopp(struct qmp_server **s)
{
	qmp_server_stop(*s);
}
#define _cleanup_qmp_server_ _cleanup_(qmp_server_stopp)

#pragma once
/*
 * Who wrote a file: one process as it was when its write was seen, named before it could exit, or
 * honestly not named. Pure; daemon/name_writer.c fills it.
 */
#include <stdint.h>

#include "state/arena.h"

struct json_t;

struct writer {
	int pid;			     /* 0: a process outside of our pid namespace */
	int64_t uid;			     /* -1: not known */
	char *comm, *exe, *unit, *container; /* malloc()ed, harmless text; NULL: not known */
	bool gone; /* it exited before it could be named: only the pid is known */
	bool own;  /* this latencyd itself, or a task that it started */
};

#define _cleanup_writer_ _cleanup_(writer_done)
void writer_done(struct writer *w);
/* *ret is a copy of its own. -ENOMEM. */
int writer_copy(const struct writer *w, struct writer *ret);
/* The same program: container, unit and exe agree (comm where no exe is known). Two that could not
 * be named are never the same. */
bool writer_same(const struct writer *a, const struct writer *b);
/* A number for the program: the same for the same, 0: it could not be named. */
uint64_t writer_program(const struct writer *w);
/* "irqbalance (pid 812, irqbalance.service)", "pid 4711, which exited before it could be named". */
char *writer_text(struct arena *a, const struct writer *w);

/* {"pid", "uid", "comm", "exe", "unit", "container", "gone"}; NULL when out of memory. */
struct json_t *writer_to_json(const struct writer *w);
/* From a file of our own; anything odd in it is left out. -EINVAL: not an object; -ENOMEM. */
int writer_from_json(const struct json_t *object, struct writer *ret);

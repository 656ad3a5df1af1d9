#pragma once
/*
 * A watch in a mount namespace of the test's own, with what it told written down, and strangers:
 * child processes that write.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/watch.h"

#define TOLD_MAX 256

struct told {
	char path[256], comm[32], stirred[128];
	int pid;
	bool gone, own, changed;
};

struct watching {
	sd_event *event;
	struct sysroot root;
	struct watch *watch;
	char folder[64];      /* a tmpfs */
	const char *concerns; /* the end of paths that matter; NULL: all */
	struct told told[TOLD_MAX];
	size_t n_told, n_stirred, n_changed;
	void (*on_written)(const char *path, void *userdata); /* beside writing it down */
	void *userdata;
};

/* Group setup and teardown: *state is a struct watching with an empty tmpfs, or NULL. */
int watching_setup(void **state);
int watching_teardown(void **state);
/* *state of a test; skips it where namespaces are refused. */
struct watching *watching_of(void **state);
/* Watches @root (NULL: the live machine); skips the test where fanotify is refused. */
void watching_open(struct watching *w, const char *root);
void watching_close(struct watching *w);
/* Turns the loop until all that waits now was told. */
void watching_drain(struct watching *w);
/* Turns the loop until a write to @path, or a stirring that begins with it, was told; at most 20 s.
 * NULL: none was. */
const struct told *watching_await(struct watching *w, const char *path);
const struct told *watching_await_stirred(struct watching *w, const char *what);
size_t watching_count(const struct watching *w, const char *path);

/* FOLDER/NAME below the tmpfs, its folders made; valid until the next call but three. */
const char *path_in(const struct watching *w, const char *name);
void put(const char *path, const char *text);

/* A child that runs @act(@argument); it ends when it returned 0, or fails the test. */
pid_t stranger_start(int (*act)(const char *argument), const char *argument);
void stranger_end(pid_t pid);
/* The acts: */
int write_same(const char *path);     /* what it holds, once more */
int write_and_stay(const char *path); /* until it is killed */
int open_and_close(const char *path); /* for writing, but nothing is written */

#pragma once
/*
 * Writes that were seen, and which settings they may have changed. A row says by its files, knobs
 * and `written` patterns (state/settings.h) what it is sensitive to; rows with boot arguments are
 * sensitive to the boot files too. Pure, and bounded: the oldest writes are forgotten.
 */
#include <stdint.h>

#include "state/writer.h"

struct desired;
struct setting_verdict;

/* Bits 1 << index in settings[] of the settings of @d that a write to @path may change. */
uint64_t settings_touched(const struct desired *d, const char *path);

#define TOUCHES_MAX 64

struct touch {
	char *path;
	struct writer writer;
	uint64_t settings; /* bits as above */
	uint64_t at_us;	   /* monotonic */
};

/* In the order they came, the newest last; a second write to a path replaces the first. */
struct touches {
	struct touch list[TOUCHES_MAX];
	size_t n;
};

void touches_done(struct touches *t);
/* Copies what it keeps. -ENOMEM. */
int touches_add(struct touches *t, uint64_t settings, const char *path, const struct writer *w,
		uint64_t at_us);
/* Forgets what is older than @at_us. */
void touches_forget(struct touches *t, uint64_t at_us);
/*
 * The newest write that explains @v being drifted, or NULL: it went to the folder of one of the
 * evidence's files or drifted items (so that who wrote one IRQ's affinity is not blamed for
 * another's), or to a file of the setting that stands for all of it (/proc/sys/vm/nr_hugepages). A
 * boot file explains what is wrong with the next boot, and nothing of this one.
 */
const struct touch *touches_find(const struct touches *t, const struct setting_verdict *v);

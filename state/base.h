#pragma once
/*
 * The few macros that every room uses: cleanup attributes, array sizes, string helpers. Nothing
 * here does I/O.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))
#define printf_like(fmt, first) __attribute__((format(printf, fmt, first)))
#define _cleanup_(fn)		__attribute__((cleanup(fn)))

/* Hand an owned pointer or fd over: the variable's cleanup then does nothing. */
#define take_ptr(p)                       \
	({                                \
		__auto_type taken_ = (p); \
		(p) = NULL;               \
		taken_;                   \
	})

static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

static inline void freep_(void *p)
{
	free(*(void **)p);
}

static inline void closep_(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void fclosep_(FILE **f)
{
	if (*f)
		fclose(*f);
}

#define _cleanup_free_	 _cleanup_(freep_)
#define _cleanup_close_	 _cleanup_(closep_)
#define _cleanup_fclose_ _cleanup_(fclosep_)

static inline bool streq(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

/* If @s begins with @prefix: what follows it; else NULL. */
static inline const char *after_prefix(const char *s, const char *prefix)
{
	size_t n = strlen(prefix);

	return strncmp(s, prefix, n) == 0 ? s + n : NULL;
}

#pragma once
/*
 * A bump allocator. One `struct observed`, `struct desired`, `struct plan` or verdict list owns one
 * arena; everything inside it lives as long as the arena, so none of it is freed one by one.
 */
#include "state/base.h"

struct arena_chunk;

struct arena {
	struct arena_chunk *chunks;
};

void arena_free(struct arena *a);

/* Zeroed memory, aligned for any object; NULL when out of memory. */
void *arena_alloc(struct arena *a, size_t size);

/* Copies; NULL when out of memory. */
char *arena_strdup(struct arena *a, const char *s);
char *arena_strndup(struct arena *a, const char *s, size_t n);
char *arena_printf(struct arena *a, const char *fmt, ...) printf_like(2, 3);

/*
 * Room for one more element in the array *@items of *@n_items elements of @size bytes, growing by
 * doubling inside the arena. Returns the new zeroed element (and counts it), or NULL.
 */
void *arena_grow(struct arena *a, void *items, size_t *n_items, size_t size);

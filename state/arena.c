/*
 * Chunks are chained newest first; an allocation that does not fit the newest chunk opens another
 * one, at least twice as large as the last. arena_grow() doubles at powers of two, so the capacity
 * needs no field of its own: a count that is a power of two (or 0) means full.
 */
#include "state/arena.h"

#include <stdarg.h>
#include <stdint.h>

#define ALIGNMENT   _Alignof(max_align_t)
#define FIRST_CHUNK 4096

struct arena_chunk {
	struct arena_chunk *next;
	size_t size;
	size_t used;
	_Alignas(max_align_t) char data[];
};

void arena_free(struct arena *a)
{
	struct arena_chunk *next;

	if (!a)
		return;
	for (struct arena_chunk *c = a->chunks; c; c = next) {
		next = c->next;
		free(c);
	}
	a->chunks = NULL;
}

void *arena_alloc(struct arena *a, size_t size)
{
	struct arena_chunk *c = a->chunks;
	void *p;

	if (size > SIZE_MAX / 4)
		return NULL;
	size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	if (!c || c->size - c->used < size) {
		size_t want = c ? c->size * 2 : FIRST_CHUNK;

		if (want < size)
			want = size;
		c = calloc(1, sizeof(*c) + want);
		if (!c)
			return NULL;
		c->size = want;
		c->next = a->chunks;
		a->chunks = c;
	}
	p = c->data + c->used;
	c->used += size;
	return p;
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
	char *copy = arena_alloc(a, n + 1);

	if (copy)
		memcpy(copy, s, n);
	return copy;
}

char *arena_strdup(struct arena *a, const char *s)
{
	return arena_strndup(a, s, strlen(s));
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	_cleanup_free_ char *s = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	if (n < 0) {
		s = NULL;
		return NULL;
	}
	return arena_strndup(a, s, (size_t)n);
}

void *arena_grow(struct arena *a, void *items, size_t *n_items, size_t size)
{
	void **array = items;
	size_t n = *n_items;
	char *element;

	if ((n & (n - 1)) == 0) {
		void *larger = arena_alloc(a, (n ? n * 2 : 1) * size);

		if (!larger)
			return NULL;
		if (n)
			memcpy(larger, *array, n * size);
		*array = larger;
	}
	element = (char *)*array + n * size;
	memset(element, 0, size);
	(*n_items)++;
	return element;
}

/*
 * Where the guest's memory lies, from /proc/PID (Documentation/filesystems/proc.rst): maps says how
 * large a mapping is, numa_maps which pages of it are present, of what size and on which node, and
 * status how much is locked.
 *
 * The guest's memory is every writable mapping of huge pages, and the largest other one when it has
 * at least half of the guest's size, whether pages are present in it or not. Mappings that can be
 * executed are not: TCG's translations may take more room than the guest. Pages of several sizes
 * count as the smallest.
 */
#include "guest/observe_parts.h"

#include <errno.h>
#include <inttypes.h>

struct mapping {
	uint64_t start, kib;
	bool data; /* readable, writable, not executable, not the heap or a stack */
};

struct mappings {
	struct mapping *items;
	size_t n, room;
};

static void mappings_done(struct mappings *m)
{
	free(m->items);
}

static const char *next_line(const char *at)
{
	at += strcspn(at, "\n");
	return *at ? at + 1 : at;
}

static int add_mapping(struct mappings *m, const struct mapping *item)
{
	if (m->n == m->room) {
		size_t room = m->room ? m->room * 2 : 256;
		struct mapping *p = realloc(m->items, room * sizeof(*p));

		if (!p)
			return -ENOMEM;
		m->items = p;
		m->room = room;
	}
	m->items[m->n++] = *item;
	return 0;
}

/* "7f00-7f10 rw-p 00000000 00:00 0   [heap]" */
static int parse_maps(const char *text, struct mappings *ret)
{
	for (const char *at = text; *at; at = next_line(at)) {
		uint64_t start, end;
		char permissions[5];
		int n = 0;
		struct mapping m;

		if (sscanf(at, "%" SCNx64 "-%" SCNx64 " %4s %*x %*s %*u%n", &start, &end,
			   permissions, &n) < 3 ||
		    !n || end <= start)
			return -EBADMSG;
		at += n;
		at += strspn(at, " ");
		m = (struct mapping){ .start = start,
				      .kib = (end - start) / 1024,
				      .data = !strncmp(permissions, "rw-", 3) && *at != '[' };
		if (add_mapping(ret, &m) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int compare_start(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = ((const struct mapping *)b)->start;

	return (x > y) - (x < y);
}

/* What numa_maps says of one mapping. */
struct line {
	bool huge;
	uint64_t page_kib, pages;
	struct cpuset nodes;
};

static void line_done(struct line *l)
{
	cpuset_done(&l->nodes);
}

/* "N0=512": pages on a node. */
static int take_node(const char *word, struct line *l)
{
	unsigned node;
	uint64_t pages;

	if (sscanf(word, "N%u=%" SCNu64, &node, &pages) != 2)
		return -EBADMSG;
	if (!pages)
		return 0;
	l->pages += pages;
	return cpuset_add(&l->nodes, node);
}

/* The words after the address; the policy's are none of those. A file's name has no blanks: they
 * are escaped. */
static int parse_words(const char *at, struct line *l)
{
	int r = 0;

	while (r == 0 && *at && *at != '\n') {
		const char *page = after_prefix(at, "kernelpagesize_kB=");
		size_t n = strcspn(at, " \n");

		if (n == 4 && !strncmp(at, "huge", 4))
			l->huge = true;
		else if (page)
			l->page_kib = strtoull(page, NULL, 10);
		else if (n > 2 && at[0] == 'N' && at[1] >= '0' && at[1] <= '9')
			r = take_node(at, l);
		at += n;
		at += strspn(at, " ");
	}
	return r == -ENOMEM || r == 0 ? r : -EBADMSG;
}

static int add_line(const struct line *l, struct observed_guest_memory *m)
{
	uint64_t size = l->huge ? l->page_kib : 0;
	bool first = !m->total_kib;

	if (!l->page_kib || l->pages > UINT64_MAX / 1024 / l->page_kib)
		return l->pages ? -EBADMSG : 0;
	if (!l->pages)
		return 0;
	m->page_size_kib = first || size < m->page_size_kib ? size : m->page_size_kib;
	m->total_kib += l->pages * l->page_kib;
	if (l->huge)
		m->locked_kib += l->pages * l->page_kib;
	return cpuset_or(&m->nodes, &l->nodes);
}

/* The start of the largest mapping of ordinary pages that can be the guest's; 0: there is none. */
static uint64_t largest(const struct mappings *maps, uint64_t memory_kib)
{
	const struct mapping *best = NULL;

	for (size_t i = 0; i < maps->n; i++)
		if (maps->items[i].data && maps->items[i].kib >= memory_kib / 2 &&
		    (!best || maps->items[i].kib > best->kib))
			best = &maps->items[i];
	return best ? best->start : 0;
}

/* One line of numa_maps: "ADDRESS POLICY WORDS". 1: it is the guest's and has been added; 0: not.
 */
static int take_line(const char *at, const struct mappings *maps, uint64_t ordinary,
		     struct observed_guest_memory *m)
{
	_cleanup_(line_done) struct line l = { 0 };
	const struct mapping *mapping;
	uint64_t start;
	char *end;
	int r;

	start = strtoull(at, &end, 16);
	if (end == at || *end != ' ')
		return -EBADMSG;
	mapping = maps->n ? bsearch(&start, maps->items, maps->n, sizeof(*mapping), compare_start)
			  : NULL;
	if (!mapping || !mapping->data) /* made since maps was read, or of another kind */
		return 0;
	r = parse_words(end + 1, &l);
	if (r < 0 || (!l.huge && start != ordinary))
		return r;
	r = add_line(&l, m);
	return r < 0 ? r : 1;
}

static int parse_locked(const char *status, uint64_t *ret)
{
	const char *at = strstr(status, "\nVmLck:");

	return at && sscanf(at, "\nVmLck: %" SCNu64 " kB", ret) == 1 ? 0 : -EBADMSG;
}

int guest_memory_parse(const char *maps, const char *numa_maps, const char *status,
		       uint64_t memory_kib, struct observed_guest_memory *ret)
{
	_cleanup_(mappings_done) struct mappings m = { 0 };
	struct observed_guest_memory memory = { 0 };
	uint64_t ordinary, locked = 0;
	bool found = false;
	int r;

	r = parse_maps(maps, &m);
	if (r < 0)
		return r;
	ordinary = largest(&m, memory_kib);
	for (const char *at = numa_maps; *at && r >= 0; at = next_line(at)) {
		r = take_line(at, &m, ordinary, &memory);
		found |= r > 0;
	}
	if (r >= 0)
		r = found ? parse_locked(status, &locked) : -ENODATA;
	if (r < 0) {
		cpuset_done(&memory.nodes);
		return r;
	}
	memory.locked_kib += locked;
	memory.fact = ret->fact;
	*ret = memory;
	return 0;
}

static int read_of(const struct sysroot *root, int pid, const char *file, char **ret)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	return sysroot_read(root, path, ret, NULL);
}

int guest_look_memory(const struct sysroot *root, uint64_t memory_kib, struct arena *a,
		      struct observed_guest *seen)
{
	_cleanup_free_ char *maps = NULL, *numa_maps = NULL, *status = NULL;
	char path[64];
	int r;

	snprintf(path, sizeof(path), "/proc/%d/numa_maps", seen->pid);
	r = read_of(root, seen->pid, "maps", &maps);
	if (r == 0)
		r = read_of(root, seen->pid, "numa_maps", &numa_maps);
	if (r == 0)
		r = read_of(root, seen->pid, "status", &status);
	if (r == 0)
		r = guest_memory_parse(maps, numa_maps, status, memory_kib, &seen->memory);
	seen->memory.fact = sysroot_outcome(a, path, r, "");
	return seen->memory.fact.error == ENOMEM ? -ENOMEM : 0;
}

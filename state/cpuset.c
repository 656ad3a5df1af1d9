/*
 * A set is an array of 64-bit words, bit n of word w being CPU 64 * w + n. The array grows to the
 * largest member ever added and never shrinks, so two equal sets may differ in length: whatever
 * compares them treats the missing words as zero.
 */
#include "state/cpuset.h"

#include <ctype.h>
#include <errno.h>
#include <strings.h>

#define WORD_BITS 64U

void cpuset_done(struct cpuset *s)
{
	if (!s)
		return;
	free(s->words);
	*s = (struct cpuset){ 0 };
}

static int reserve(struct cpuset *s, size_t n_words)
{
	uint64_t *words;

	if (n_words <= s->n_words)
		return 0;
	words = reallocarray(s->words, n_words, sizeof(*words));
	if (!words)
		return -ENOMEM;
	memset(words + s->n_words, 0, (n_words - s->n_words) * sizeof(*words));
	s->words = words;
	s->n_words = n_words;
	return 0;
}

/* Bits @first to @last of one word. */
static uint64_t span(unsigned first, unsigned last)
{
	return (UINT64_MAX << first) & (UINT64_MAX >> (WORD_BITS - 1 - last));
}

static void set_range(struct cpuset *s, unsigned first, unsigned last)
{
	for (size_t w = first / WORD_BITS; w <= last / WORD_BITS; w++) {
		unsigned from = w == first / WORD_BITS ? first % WORD_BITS : 0;
		unsigned to = w == last / WORD_BITS ? last % WORD_BITS : WORD_BITS - 1;

		s->words[w] |= span(from, to);
	}
}

int cpuset_add(struct cpuset *s, unsigned cpu)
{
	return cpuset_add_range(s, cpu, cpu);
}

int cpuset_add_range(struct cpuset *s, unsigned first, unsigned last)
{
	int r;

	if (first > last || last > CPUSET_MAX)
		return -ERANGE;
	r = reserve(s, last / WORD_BITS + 1);
	if (r < 0)
		return r;
	set_range(s, first, last);
	return 0;
}

void cpuset_remove(struct cpuset *s, unsigned cpu)
{
	if (cpu / WORD_BITS < s->n_words)
		s->words[cpu / WORD_BITS] &= ~(UINT64_C(1) << cpu % WORD_BITS);
}

int cpuset_copy(struct cpuset *ret, const struct cpuset *s)
{
	struct cpuset copy = { 0 };
	int r;

	r = cpuset_or(&copy, s);
	if (r < 0)
		return r;
	*ret = copy;
	return 0;
}

int cpuset_or(struct cpuset *s, const struct cpuset *other)
{
	int r;

	r = reserve(s, other->n_words);
	if (r < 0)
		return r;
	for (size_t w = 0; w < other->n_words; w++)
		s->words[w] |= other->words[w];
	return 0;
}

void cpuset_and(struct cpuset *s, const struct cpuset *other)
{
	for (size_t w = 0; w < s->n_words; w++)
		s->words[w] &= w < other->n_words ? other->words[w] : 0;
}

void cpuset_andnot(struct cpuset *s, const struct cpuset *other)
{
	for (size_t w = 0; w < s->n_words && w < other->n_words; w++)
		s->words[w] &= ~other->words[w];
}

bool cpuset_has(const struct cpuset *s, unsigned cpu)
{
	return cpu / WORD_BITS < s->n_words &&
	       (s->words[cpu / WORD_BITS] >> cpu % WORD_BITS & 1) != 0;
}

/* No member in the words from @w on. */
static bool empty_from(const struct cpuset *s, size_t w)
{
	for (; w < s->n_words; w++)
		if (s->words[w])
			return false;
	return true;
}

bool cpuset_empty(const struct cpuset *s)
{
	return empty_from(s, 0);
}

static size_t common_words(const struct cpuset *a, const struct cpuset *b)
{
	return a->n_words < b->n_words ? a->n_words : b->n_words;
}

bool cpuset_equal(const struct cpuset *a, const struct cpuset *b)
{
	size_t n = common_words(a, b);

	if (n && memcmp(a->words, b->words, n * sizeof(*a->words)) != 0)
		return false;
	return empty_from(a, n) && empty_from(b, n);
}

bool cpuset_subset(const struct cpuset *a, const struct cpuset *of)
{
	size_t n = common_words(a, of);

	for (size_t w = 0; w < n; w++)
		if (a->words[w] & ~of->words[w])
			return false;
	return empty_from(a, n);
}

bool cpuset_intersects(const struct cpuset *a, const struct cpuset *b)
{
	size_t n = common_words(a, b);

	for (size_t w = 0; w < n; w++)
		if (a->words[w] & b->words[w])
			return true;
	return false;
}

size_t cpuset_count(const struct cpuset *s)
{
	size_t n = 0;

	for (size_t w = 0; w < s->n_words; w++)
		n += (size_t)__builtin_popcountll(s->words[w]);
	return n;
}

/* The first CPU >= @from whose bit, after flipping all bits with @invert, is set; or -1. */
static long next_bit(const struct cpuset *s, unsigned from, uint64_t invert)
{
	uint64_t keep = UINT64_MAX << from % WORD_BITS;

	for (size_t w = from / WORD_BITS; w < s->n_words; w++) {
		uint64_t bits = (s->words[w] ^ invert) & keep;

		if (bits)
			return (long)(w * WORD_BITS) + __builtin_ctzll(bits);
		keep = UINT64_MAX;
	}
	return -1;
}

long cpuset_next(const struct cpuset *s, unsigned from)
{
	return next_bit(s, from, 0);
}

/* The last member of the run that begins with the member @first. */
static long run_end(const struct cpuset *s, long first)
{
	long gap = next_bit(s, (unsigned)first, UINT64_MAX);

	return (gap < 0 ? (long)(s->n_words * WORD_BITS) : gap) - 1;
}

long cpuset_last(const struct cpuset *s)
{
	for (size_t w = s->n_words; w-- > 0;)
		if (s->words[w])
			return (long)(w * WORD_BITS + WORD_BITS - 1) - __builtin_clzll(s->words[w]);
	return -1;
}

/*
 * The list grammar follows lib/bitmap-str.c region by region. A region is FIRST[-LAST[:USED/GROUP]]
 * or all[:USED/GROUP]: of every GROUP numbers from FIRST on, the first USED.
 */
struct region {
	unsigned first, last, used, group;
};

static bool is_separator(char c)
{
	return c == ',' || isspace((unsigned char)c);
}

static int parse_number(const char **p, unsigned n_cpus, unsigned *ret)
{
	const char *s = *p;
	unsigned n = 0;

	if (*s == 'N' && n_cpus) {
		*ret = n_cpus - 1;
		*p = s + 1;
		return 0;
	}
	if (!isdigit((unsigned char)*s))
		return -EINVAL;
	for (; isdigit((unsigned char)*s); s++) {
		n = n * 10 + (unsigned)(*s - '0');
		if (n > CPUSET_MAX)
			return -ERANGE;
	}
	*ret = n;
	*p = s;
	return 0;
}

static int parse_pattern(const char **p, unsigned n_cpus, struct region *r)
{
	int e;

	(*p)++;
	e = parse_number(p, n_cpus, &r->used);
	if (e < 0)
		return e;
	if (**p != '/')
		return -EINVAL;
	(*p)++;
	e = parse_number(p, n_cpus, &r->group);
	if (e < 0)
		return e;
	return r->group == 0 || r->used > r->group ? -EINVAL : 0;
}

static int parse_region(const char **p, unsigned n_cpus, struct region *ret)
{
	struct region r;
	bool pattern_allowed = true;
	int e;

	if (n_cpus && strncasecmp(*p, "all", 3) == 0) {
		r.first = 0;
		r.last = n_cpus - 1;
		*p += 3;
	} else {
		e = parse_number(p, n_cpus, &r.first);
		if (e < 0)
			return e;
		r.last = r.first;
		pattern_allowed = **p == '-';
		if (pattern_allowed) {
			(*p)++;
			e = parse_number(p, n_cpus, &r.last);
			if (e < 0)
				return e;
		}
	}
	if (r.first > r.last)
		return -EINVAL;
	if (r.last > CPUSET_MAX) /* @n_cpus may say so */
		return -ERANGE;
	r.used = r.group = r.last - r.first + 1;
	if (**p == ':' && pattern_allowed) {
		e = parse_pattern(p, n_cpus, &r);
		if (e < 0)
			return e;
	}
	*ret = r;
	return 0;
}

static int add_region(struct cpuset *s, const struct region *r)
{
	int e;

	e = reserve(s, r->last / WORD_BITS + 1);
	if (e < 0 || r->used == 0)
		return e;
	if (r->used == r->group) {
		set_range(s, r->first, r->last);
		return 0;
	}
	for (unsigned first = r->first; first <= r->last; first += r->group) {
		unsigned last = first + r->used - 1;

		set_range(s, first, last < r->last ? last : r->last);
	}
	return 0;
}

int cpuset_parse_list(const char *text, unsigned n_cpus, struct cpuset *ret)
{
	_cleanup_cpuset_ struct cpuset s = { 0 };
	const char *p = text + strspn(text, " \t\n\v\f\r");
	const char *end =
		after_prefix(p, "(null)"); /* how the kernel prints a mask it never made */
	struct region region;
	int r;

	if (end && end[strspn(end, " \t\n\v\f\r")] == '\0')
		p = "";
	for (;;) {
		while (is_separator(*p))
			p++;
		if (!*p)
			break;
		r = parse_region(&p, n_cpus, &region);
		if (r < 0)
			return r;
		if (*p && !is_separator(*p))
			return -EINVAL;
		r = add_region(&s, &region);
		if (r < 0)
			return r;
	}
	*ret = s;
	s = (struct cpuset){ 0 };
	return 0;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/*
 * From the right end, as the last group holds CPU 0. Each comma goes on to the next multiple of 32
 * bits however few digits its group has: "1,1" is CPUs 0 and 32.
 */
static int parse_mask_groups(const char *begin, const char *end, struct cpuset *s)
{
	bool grouped = memchr(begin, ',', (size_t)(end - begin)) != NULL;
	size_t group = 0, digits = 0;
	int r;

	for (const char *p = end; p-- > begin;) {
		size_t first;
		int v;

		if (*p == ',') {
			if (digits == 0)
				return -EINVAL;
			group++;
			digits = 0;
			continue;
		}
		v = hex_value(*p);
		if (v < 0 || (grouped && digits == 8))
			return -EINVAL;
		first = group * 32 + 4 * digits++;
		if (v == 0)
			continue;
		if (first + 3 - (size_t)(__builtin_clz((unsigned)v) - 28) > CPUSET_MAX)
			return -ERANGE;
		r = reserve(s, first / WORD_BITS + 1);
		if (r < 0)
			return r;
		s->words[first / WORD_BITS] |= (uint64_t)v << first % WORD_BITS;
	}
	return digits ? 0 : -EINVAL;
}

int cpuset_parse_mask(const char *text, struct cpuset *ret)
{
	_cleanup_cpuset_ struct cpuset s = { 0 };
	const char *begin = text + strspn(text, " \t\n\v\f\r");
	const char *end = begin + strlen(begin);
	int r;

	while (end > begin && isspace((unsigned char)end[-1]))
		end--;
	if (begin[0] == '0' && (begin[1] == 'x' || begin[1] == 'X'))
		begin += 2;
	r = parse_mask_groups(begin, end, &s);
	if (r < 0)
		return r;
	*ret = s;
	s = (struct cpuset){ 0 };
	return 0;
}

static size_t count_runs(const struct cpuset *s)
{
	uint64_t before = 0; /* the bit below this word's lowest */
	size_t n = 0;

	for (size_t w = 0; w < s->n_words; w++) {
		uint64_t bits = s->words[w];

		n += (size_t)__builtin_popcountll(bits & ~(bits << 1 | before));
		before = bits >> (WORD_BITS - 1);
	}
	return n;
}

char *cpuset_format_list(const struct cpuset *s)
{
	size_t size = count_runs(s) * sizeof("65535-65535,") + 1;
	char *text = malloc(size), *p = text;

	if (!text)
		return NULL;
	*p = '\0';
	for (long first = cpuset_next(s, 0); first >= 0;) {
		long last = run_end(s, first);
		const char *comma = p == text ? "" : ",";
		size_t room = size - (size_t)(p - text);

		if (first == last)
			p += snprintf(p, room, "%s%ld", comma, first);
		else
			p += snprintf(p, room, "%s%ld-%ld", comma, first, last);
		first = cpuset_next(s, (unsigned)last + 1);
	}
	return text;
}

/* As `%*pb` prints it: the leading group has only the digits that its bits need. */
char *cpuset_format_mask(const struct cpuset *s, unsigned n_cpus)
{
	size_t n_bits = (size_t)(cpuset_last(s) + 1);
	size_t n_groups, size;
	char *text, *p;

	if (n_bits < n_cpus)
		n_bits = n_cpus;
	if (n_bits == 0)
		n_bits = 1;
	n_groups = (n_bits + 31) / 32;
	size = n_groups * 9 + 1;
	p = text = malloc(size);
	if (!text)
		return NULL;
	for (size_t g = n_groups; g-- > 0;) {
		size_t bits = g == n_groups - 1 ? n_bits - g * 32 : 32;
		uint64_t word = g / 2 < s->n_words ? s->words[g / 2] : 0;

		p += snprintf(p, size - (size_t)(p - text), "%0*x%s", (int)((bits + 3) / 4),
			      (unsigned)(uint32_t)(word >> g % 2 * 32), g ? "," : "");
	}
	return text;
}

/*
 * The kernel prints each count in a column of its own width ("%10u "), so that the counts of a row
 * are found without reading the ones before: with 1,024 CPUs this is most of the work saved. Rows
 * that are not laid out that way are read number by number.
 *
 * After the counts an IRQ's row has the chip's name (which may hold blanks: "Hyper-V PCIe MSI"),
 * the hardware IRQ (blanks in its place when there is none), on some machines "Level" or "Edge",
 * then
 * "-edge" or "-fasteoi", and last the actions. The chip's name ends where something that looks like
 * a hardware IRQ begins, or a gap as wide as a missing one; what is no action is then skipped word
 * by word. An action whose own name is "Level", "Edge" or begins with `-` would lose that word: no
 * driver has one.
 */
#include "state/interrupts.h"

#include <ctype.h>
#include <errno.h>

#define COLUMN_WIDTH 11

struct span {
	const char *p, *end;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static const char *skip_blanks(const char *p, const char *end)
{
	while (p < end && is_blank(*p))
		p++;
	return p;
}

static const char *skip_word(const char *p, const char *end)
{
	while (p < end && !is_blank(*p))
		p++;
	return p;
}

/* Digits from @p on that end at a blank or at @end; NULL if it is no such number or overflows. */
static const char *read_number(const char *p, const char *end, uint64_t *ret)
{
	uint64_t n = 0;
	const char *begin = p;

	for (; p < end && is_digit(*p); p++)
		if (__builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(*p - '0'), &n))
			return NULL;
	if (p == begin || (p < end && !is_blank(*p)))
		return NULL;
	*ret = n;
	return p;
}

void interrupts_done(struct interrupts *i)
{
	if (!i)
		return;
	free(i->cpus);
	*i = (struct interrupts){ 0 };
}

/* Cuts the next line off @i. */
static struct span next_line(struct interrupts *i)
{
	struct span line = { .p = i->p, .end = memchr(i->p, '\n', (size_t)(i->end - i->p)) };

	if (!line.end)
		line.end = i->end;
	i->p = line.end < i->end ? line.end + 1 : i->end;
	return line;
}

static int read_header(struct span line, struct interrupts *i)
{
	const char *p = skip_blanks(line.p, line.end);
	size_t room = (size_t)(line.end - p) / sizeof("CPU") + 1; /* "CPU0 " is the shortest */

	i->cpus = malloc(room * sizeof(*i->cpus));
	if (!i->cpus)
		return -ENOMEM;
	for (; p < line.end; p = skip_blanks(p, line.end)) {
		uint64_t cpu;

		if (line.end - p < 4 || memcmp(p, "CPU", 3) != 0)
			return -EINVAL;
		p = read_number(p + 3, line.end, &cpu);
		if (!p || cpu > CPUSET_MAX)
			return -EINVAL;
		i->cpus[i->n_cpus++] = (unsigned)cpu;
	}
	return i->n_cpus ? 0 : -EINVAL;
}

int interrupts_open(const char *text, size_t size, struct interrupts *ret)
{
	_cleanup_interrupts_ struct interrupts i = { .p = text, .end = text + size };
	int r;

	if (size == 0)
		return -EINVAL;
	r = read_header(next_line(&i), &i);
	if (r < 0)
		return r;
	*ret = i;
	i = (struct interrupts){ 0 };
	return 0;
}

/* Where the last of @n columns ends, if the row is laid out in columns; else NULL. */
static const char *end_of_columns(const char *p, const char *end, size_t n)
{
	if (end - p < COLUMN_WIDTH || n > (size_t)(end - p) / COLUMN_WIDTH)
		return NULL;
	p += n * COLUMN_WIDTH;
	if (!is_digit(p[-2]) || p[-1] != ' ' || (p < end && *p != ' '))
		return NULL;
	return p;
}

/* Sets counts_end and n_counts of @row, whose counts begin at row->counts. */
static void find_counts(struct interrupt_row *row, const char *end, size_t n_cpus)
{
	const char *p = end_of_columns(row->counts, end, n_cpus);
	uint64_t n;

	if (p) {
		row->n_counts = n_cpus;
	} else {
		row->n_counts = 0;
		for (p = row->counts; row->n_counts < n_cpus; row->n_counts++) {
			const char *next = read_number(skip_blanks(p, end), end, &n);

			if (!next)
				break;
			p = next;
		}
	}
	row->counts_end = p;
	/* No chip's name is a number: a CPU came online after the header was printed. */
	if (row->n_counts == n_cpus && read_number(skip_blanks(p, end), end, &n))
		row->n_counts++;
}

/* "24" or "24-edge" at @p. */
static bool is_hwirq(const char *p, const char *end, bool *ret_plain)
{
	const char *begin = p;

	while (p < end && is_digit(*p))
		p++;
	*ret_plain = p == end || is_blank(*p);
	return p > begin && (*ret_plain || (*p == '-' && p + 1 < end));
}

static bool word_is(const char *p, const char *end, const char *word)
{
	return (size_t)(end - p) == strlen(word) && memcmp(p, word, strlen(word)) == 0;
}

/*
 * Where the chip's name and the hardware IRQ end. @width is that of the label's column and so of
 * the hardware IRQ's: a gap wider than it stands for a missing one, and a plain number behind such
 * a gap begins an action.
 */
static const char *skip_chip(const char *p, const char *end, size_t width)
{
	const char *first_word = skip_word(skip_blanks(p, end), end);

	for (p = first_word; p < end; p = skip_word(p, end)) {
		const char *gap = p;
		bool wide, plain;

		p = skip_blanks(p, end);
		wide = (size_t)(p - gap) > width;
		if (is_hwirq(p, end, &plain) && !(wide && plain))
			return skip_word(p, end);
		if (wide)
			return p;
	}
	return first_word;
}

static const char *find_actions(const char *p, const char *end, size_t width)
{
	const char *word;

	p = skip_blanks(skip_chip(p, end, width), end);
	word = skip_word(p, end);
	if (word_is(p, word, "Level") || word_is(p, word, "Edge"))
		p = skip_blanks(word, end);
	if (p < end && *p == '-')
		p = skip_blanks(skip_word(p, end), end);
	return p;
}

int interrupts_next(struct interrupts *i, struct interrupt_row *ret)
{
	struct interrupt_row row = { 0 };
	struct span line;
	const char *colon;
	uint64_t irq;

	if (i->p >= i->end)
		return 0;
	line = next_line(i);
	row.label = skip_blanks(line.p, line.end);
	colon = skip_word(row.label, line.end);
	if (colon == row.label || *--colon != ':' || colon == row.label)
		return -EINVAL;
	row.label_len = (size_t)(colon - row.label);
	if (read_number(row.label, colon, &irq) == colon) {
		if (irq > UINT32_MAX)
			return -EINVAL;
		row.is_irq = true;
		row.irq = (unsigned)irq;
	}
	row.counts = colon + 1 < line.end && colon[1] == ' ' ? colon + 2 : colon + 1;
	find_counts(&row, line.end, i->n_cpus);
	while (line.end > row.counts_end && isspace((unsigned char)line.end[-1]))
		line.end--;
	row.actions = row.is_irq ? find_actions(row.counts_end, line.end, (size_t)(colon - line.p))
				 : skip_blanks(row.counts_end, line.end);
	row.actions_len = (size_t)(line.end - row.actions);
	*ret = row;
	return 1;
}

bool interrupt_row_is_global(const struct interrupt_row *row)
{
	return !row->is_irq && row->n_counts == 1 && row->actions_len == 0;
}

/* From the end of one count to the end of the next: columns are 11 wide, and on a large machine
 * nearly all of them are 0. */
#define ZERO_COLUMN	"          0"
#define ZERO_COLUMN_LEN (sizeof(ZERO_COLUMN) - 1)

static bool is_zero_column(const char *p, const char *end)
{
	size_t room = (size_t)(end - p);

	return room >= ZERO_COLUMN_LEN && !memcmp(p, ZERO_COLUMN, ZERO_COLUMN_LEN) &&
	       (room == ZERO_COLUMN_LEN || p[ZERO_COLUMN_LEN] == ' ');
}

int interrupt_row_sum(const struct interrupts *i, const struct interrupt_row *row,
		      const struct cpuset *cpus, uint64_t *ret)
{
	bool global = interrupt_row_is_global(row);
	const char *p = row->counts;
	uint64_t sum = 0, n;

	if (global && cpus)
		return -ENODATA;
	if (!global && row->n_counts != i->n_cpus)
		return -EINVAL;
	for (size_t c = 0; c < row->n_counts; c++) {
		if (is_zero_column(p, row->counts_end)) {
			p += ZERO_COLUMN_LEN;
			continue;
		}
		p = read_number(skip_blanks(p, row->counts_end), row->counts_end, &n);
		if (!p)
			return -EINVAL;
		if (!cpus || cpuset_has(cpus, i->cpus[c]))
			sum += n;
	}
	*ret = sum;
	return 0;
}

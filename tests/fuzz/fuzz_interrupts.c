/*
 * Any bytes as /proc/interrupts: all that a row points to lies inside the text, the walk ends, and
 * the sum over two halves of the CPUs is the whole.
 */
#include <errno.h>
#include <stdint.h>

#include "state/interrupts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_inside(const char *text, size_t size, const char *p, size_t n)
{
	if (p < text || p > text + size || n > (size_t)(text + size - p))
		abort();
}

static void check_sums(const struct interrupts *i, const struct interrupt_row *row,
		       const struct cpuset *low, const struct cpuset *high)
{
	uint64_t a = 0, b = 0, all = 0;
	int r = interrupt_row_sum(i, row, NULL, &all);

	if (interrupt_row_sum(i, row, low, &a) != r && !interrupt_row_is_global(row))
		abort();
	if (interrupt_row_sum(i, row, high, &b) != r && !interrupt_row_is_global(row))
		abort();
	if (r == 0 && !interrupt_row_is_global(row) && a + b != all)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = malloc(size ? size : 1); /* exact, so that ASan sees the end */
	_cleanup_cpuset_ struct cpuset low = { 0 }, high = { 0 };
	_cleanup_interrupts_ struct interrupts i = { 0 };
	struct interrupt_row row;
	size_t n_lines = 0;
	int r;

	if (!text || cpuset_add_range(&low, 0, 3) < 0 || cpuset_add_range(&high, 4, CPUSET_MAX) < 0)
		return 0;
	memcpy(text, data, size);
	if (interrupts_open(text, size, &i) < 0)
		return 0;
	while ((r = interrupts_next(&i, &row)) != 0) {
		if (++n_lines > size)
			abort();
		if (r < 0)
			continue;
		check_inside(text, size, row.label, row.label_len);
		check_inside(text, size, row.actions, row.actions_len);
		check_sums(&i, &row, &low, &high);
	}
	return 0;
}

/* Any text as a CPU list: what is accepted comes back the same through the list and the mask. */
#include <stdint.h>

#include "state/cpuset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const char *text, unsigned n_cpus)
{
	_cleanup_cpuset_ struct cpuset s = { 0 }, from_list = { 0 }, from_mask = { 0 };
	_cleanup_free_ char *list = NULL, *mask = NULL;
	size_t n = 0;

	if (cpuset_parse_list(text, n_cpus, &s) < 0)
		return;
	list = cpuset_format_list(&s);
	mask = cpuset_format_mask(&s, n_cpus);
	if (!list || !mask)
		return;
	if (cpuset_parse_list(list, 0, &from_list) < 0 || !cpuset_equal(&s, &from_list))
		abort();
	if (cpuset_parse_mask(mask, &from_mask) < 0 || !cpuset_equal(&s, &from_mask))
		abort();
	cpuset_for_each (cpu, &s) {
		if (!cpuset_has(&s, (unsigned)cpu))
			abort();
		n++;
	}
	if (n != cpuset_count(&s) || cpuset_empty(&s) != (n == 0))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = strndup((const char *)data, size);

	if (!text)
		return 0;
	check(text, 0);
	check(text, 1);
	check(text, 88);
	check(text, CPUSET_MAX + 1);
	return 0;
}

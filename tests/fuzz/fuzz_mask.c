/* Any text as a hex mask: what is accepted comes back the same through the mask and the list. */
#include <stdint.h>

#include "state/cpuset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_cpuset_ struct cpuset s = { 0 }, from_list = { 0 }, from_mask = { 0 };
	_cleanup_free_ char *text = strndup((const char *)data, size);
	_cleanup_free_ char *list = NULL, *mask = NULL;

	if (!text || cpuset_parse_mask(text, &s) < 0)
		return 0;
	list = cpuset_format_list(&s);
	mask = cpuset_format_mask(&s, size ? data[0] : 0);
	if (!list || !mask)
		return 0;
	if (cpuset_parse_list(list, 0, &from_list) < 0 || !cpuset_equal(&s, &from_list))
		abort();
	if (cpuset_parse_mask(mask, &from_mask) < 0 || !cpuset_equal(&s, &from_mask))
		abort();
	if (!cpuset_subset(&s, &from_list) || cpuset_intersects(&s, &from_mask) == cpuset_empty(&s))
		abort();
	return 0;
}

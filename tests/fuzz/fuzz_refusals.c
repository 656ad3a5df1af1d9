/*
 * refusals.json of any content: nothing crashes, whatever is taken is of the form, within the
 * bounds, and printable.
 */
#include <errno.h>
#include <stdint.h>

#include "probes/probe.h"

#define BOOT "11111111-2222-3333-4444-555555555555"

static void check_text(const char *s)
{
	if (!s || strlen(s) >= 4096)
		abort();
	for (; *s; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_observed_ struct observed o = { 0 };

	if (refusals_parse((const char *)data, size, BOOT, &o) != 0)
		abort();
	for (size_t i = 0; i < o.n_refusals; i++) {
		const struct observed_refusal *r = &o.refusals[i];

		check_text(r->setting);
		check_text(r->target);
		check_text(r->name);
		check_text(r->message);
		if (r->error < 1 || r->error > 4095)
			abort();
	}
	return 0;
}

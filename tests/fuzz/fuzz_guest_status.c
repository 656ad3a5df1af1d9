/*
 * Any bytes as what a guest says of itself: never a crash; what is accepted keeps its bounds and
 * can be shown on a terminal.
 */
#include <errno.h>
#include <stdint.h>

#include "state/guest_status.h"
#include "state/settings.h"

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void check_text(const char *s)
{
	if (!s)
		return;
	check(strlen(s) <= 400);
	for (; *s; s++)
		check((unsigned char)*s >= 0x20 && *s != 0x7f);
}

static void check_setting(const struct setting_verdict *v)
{
	check(v->setting && (unsigned)v->verdict < _VERDICT_MAX && v->n_items <= 256);
	check_text(v->want);
	check_text(v->live);
	check_text(v->next_boot);
	check_text(v->reason);
	for (size_t i = 0; i < v->n_items; i++) {
		check((unsigned)v->items[i].verdict < _VERDICT_MAX && v->items[i].id);
		check_text(v->items[i].id);
		check_text(v->items[i].name);
		check_text(v->items[i].live);
		check_text(v->items[i].want);
		check_text(v->items[i].reason);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_error_ struct error e = { 0 };
	struct guest_status st = { 0 };
	struct arena a = { 0 };
	int r = guest_status_parse((const char *)data, size, &a, &st, &e);

	check(r == 0 || r == -EBADMSG || r == -ENOMEM);
	check(r != -EBADMSG || e.what);
	if (r == 0) {
		check((unsigned)st.verdict < _MACHINE_VERDICT_MAX && st.n_settings == n_settings);
		check_text(st.digest);
		check_text(st.boot_id);
		check_text(st.kernel_release);
		for (size_t i = 0; i < st.n_settings; i++)
			check_setting(&st.settings[i]);
	}
	arena_free(&a);
	return 0;
}

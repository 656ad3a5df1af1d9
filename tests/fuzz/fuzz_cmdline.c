/*
 * Any text as a command line: formatting what was parsed and parsing it again gives the same
 * arguments; the meaning of every value is asked for, and a value always equals itself.
 */
#include <errno.h>
#include <stdint.h>

#include "state/cmdline.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same(const struct cmdline *a, const struct cmdline *b)
{
	if (a->n_args != b->n_args)
		return false;
	for (size_t i = 0; i < a->n_args; i++) {
		const struct cmdline_arg *x = &a->args[i], *y = &b->args[i];

		if (!streq(x->key, y->key) || !x->value != !y->value ||
		    (x->value && !streq(x->value, y->value)))
			return false;
	}
	return true;
}

static bool is_inits(const struct cmdline *c, size_t i)
{
	for (size_t k = 0; k <= i; k++)
		if (!c->args[k].value && streq(c->args[k].key, "--"))
			return true;
	return false;
}

static void check_argument(const struct cmdline *c, size_t i)
{
	static const char *const keys[] = { "isolcpus", "nohz_full", "hugepages", "hugepagesz" };
	const struct cmdline_arg *a = &c->args[i], *found = cmdline_get(c, a->key);

	if ((found != NULL) != (cmdline_count(c, a->key) > 0))
		abort();
	if (!is_inits(c, i) && (!found || found < a)) /* the last one wins */
		abort();
	for (size_t k = 0; k < ARRAY_SIZE(keys); k++)
		if (!cmdline_value_equal(keys[k], a->value, a->value, 88))
			abort();
}

static void check_appending(struct cmdline *c)
{
	size_t n = c->n_args;

	for (size_t i = 0; i < n && i < 16; i++) {
		struct cmdline_arg a = c->args[i];
		size_t before = cmdline_count(c, a.key);
		int r = cmdline_append(c, a.key, a.value);

		if (r == 0 && cmdline_count(c, a.key) != before + 1)
			abort();
		if (r == -EINVAL && !(streq(a.key, "--") && !a.value))
			abort(); /* what was parsed can be written */
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = strndup((const char *)data, size);
	_cleanup_free_ char *formatted = NULL, *longer = NULL;
	_cleanup_cmdline_ struct cmdline c = { 0 }, again = { 0 }, third = { 0 };
	struct hugepage_request *reqs;
	size_t n_reqs;

	if (!text || cmdline_parse(text, &c) < 0)
		return 0;
	formatted = cmdline_format(&c);
	if (!formatted)
		return 0;
	if (cmdline_parse(formatted, &again) < 0 || !same(&c, &again))
		abort();
	for (size_t i = 0; i < c.n_args && i < 64; i++)
		check_argument(&c, i);
	if (cmdline_hugepages(&c, &again.arena, &reqs, &n_reqs) < 0)
		return 0;
	check_appending(&c);
	longer = cmdline_format(&c);
	if (longer && (cmdline_parse(longer, &third) < 0 || !same(&c, &third)))
		abort();
	return 0;
}

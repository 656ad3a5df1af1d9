/*
 * validate: form only. What only a machine can refuse (CPUs it lacks) is found by status and plan.
 */
#include "ctl/ctl.h"

#include <jansson.h>

#include "state/settings.h"

static size_t count_managed(const struct desired *d)
{
	size_t n = 0;

	for (size_t i = 0; i < n_settings; i++)
		n += d->values[i] != NULL;
	return n;
}

static int print_invalid_json(const char *file, const struct error *why, struct error *e)
{
	return print_json(json_pack("{s:i, s:s, s:b, s:{s:s?, s:s?}}", "version", 1, "file", file,
				    "valid", 0, "error", "what", why->what, "todo", why->todo),
			  e);
}

int command_validate(struct ctl *c, struct error *e)
{
	_cleanup_error_ struct error why = { 0 };
	_cleanup_desired_ struct desired d = { 0 };
	const char *file = c->args[0];
	_cleanup_free_ char *text = NULL;
	size_t size;
	int r;

	r = ctl_read_file(file, &text, &size, e);
	if (r < 0)
		return r;
	r = document_parse(file, text, size, &d, &why);
	if (r < 0 && !c->json)
		return error_move(e, &why);
	if (r < 0) {
		r = print_invalid_json(file, &why, e);
		return r < 0 ? r : EXIT_FAILURE;
	}
	if (c->json)
		return print_json(json_pack("{s:i, s:s, s:b, s:I}", "version", 1, "file", file,
					    "valid", 1, "settings", (json_int_t)count_managed(&d)),
				  e);
	if (!c->quiet)
		printf("%s: valid, %zu settings\n", file, count_managed(&d));
	return 0;
}

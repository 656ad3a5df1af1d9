/*
 * Any text as grub.cfg, and what follows a NUL in it as grubenv: the next entry is one of the
 * entries, every entry is found by its own path and index, and its command line can be parsed or
 * has an open quote.
 */
#include <stdint.h>

#include "state/cmdline.h"
#include "state/error.h"
#include "state/grub.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct grub_entry *next(const struct grub_config *c, const char *env)
{
	const struct grub_entry *entry = grub_next_entry(c, env);

	if (entry < c->entries || entry >= c->entries + c->n_entries)
		abort();
	return entry;
}

static void check_entry(const struct grub_config *c, const struct grub_entry *entry)
{
	_cleanup_cmdline_ struct cmdline args = { 0 };
	struct grub_config only = *c;

	only.default_is_saved = false;
	only.default_entry = entry->index;
	if (next(&only, NULL) != entry)
		abort();
	only.default_entry = entry->path; /* may be ambiguous, or look like a number */
	next(&only, NULL);
	if (!entry->id || !entry->title || !entry->cmdline != !entry->kernel)
		abort();
	if (entry->kernel) {
		const char *version = grub_kernel_version(entry->kernel);

		if (version && !strstr(entry->kernel, version))
			abort();
		(void)cmdline_parse(entry->cmdline, &args);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = strndup((const char *)data, size);
	_cleanup_free_ char *env = NULL;
	_cleanup_grub_ struct grub_config c = { 0 };
	_cleanup_error_ struct error e = { 0 };
	size_t used;

	if (!text)
		return 0;
	used = strlen(text) < size ? strlen(text) + 1 : size;
	env = strndup((const char *)data + used, size - used);
	if (grub_config_parse(text, &c, &e) < 0) {
		if (!e.what || !e.code)
			abort();
		return 0;
	}
	next(&c, NULL);
	if (env)
		next(&c, env);
	for (size_t i = 0; i < c.n_entries && i < 64; i++)
		check_entry(&c, &c.entries[i]);
	return 0;
}

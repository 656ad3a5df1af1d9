/* Parts are told apart by their names; text from firmware is made plain ASCII, so that the line can
 * be kept and logged. */
#include "daemon/fingerprint.h"

#include "measure/fingerprint.h"

#define BIOS_VERSION "/sys/class/dmi/id/bios_version"

static const char *known(const struct fact *f)
{
	return fact_known(f) ? f->text : "?";
}

static const char *microcode(struct arena *a, const struct observed *o)
{
	const char *version =
		fact_known(&o->cpuinfo) ? cpuinfo_value(a, o->cpuinfo.text, "microcode") : NULL;

	return version ? version : "?";
}

static char *plain(char *line)
{
	for (unsigned char *p = (unsigned char *)line; p && *p; p++)
		if (*p < 0x20 || *p >= 0x7f)
			*p = '?';
	return line;
}

char *fingerprint(const struct sysroot *root, const struct observed *o)
{
	struct arena arena = { 0 };
	const struct fact bios = sysroot_fact(root, &arena, BIOS_VERSION);
	char *line;

	if (asprintf(&line, "kernel=%s (%s) microcode=%s firmware=%s cpus=%s",
		     known(&o->kernel_release), known(&o->kernel_version), microcode(&arena, o),
		     known(&bios), known(&o->cpu_online)) < 0)
		line = NULL;
	arena_free(&arena);
	return plain(line);
}

/*
 * capture: what the probes read of this machine, as a folder that --root can judge elsewhere.
 */
#include "ctl/ctl.h"

#include <jansson.h>

int command_capture(struct ctl *c, struct error *e)
{
	const char *directory = c->args[0];
	size_t files, left_out;
	int r;

	r = capture(&c->root, directory, &files, &left_out, e);
	if (r < 0)
		return r;
	if (c->json)
		return print_json(json_pack("{s:i, s:s, s:I, s:I}", "version", 1, "directory",
					    directory, "files", (json_int_t)files, "left_out",
					    (json_int_t)left_out),
				  e);
	if (c->quiet)
		return 0;
	printf("%s: %zu files", directory, files);
	if (left_out)
		printf(", %zu could not be read", left_out);
	printf("\n  → latencyctl --root %s status\n", directory);
	return 0;
}

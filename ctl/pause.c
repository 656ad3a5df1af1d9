/*
 * pause and resume: for work on a machine that latencyd would undo. It keeps watching and alerting
 * meanwhile. Both are latencyd's to do, and there is nothing to pause without it.
 */
#include "ctl/ctl.h"

#include <errno.h>

#include <jansson.h>

#include "ctl/client.h"

/* What latencyd says it is now, not what it was asked for. */
static int print_pause(const struct ctl *c, sd_bus *bus, struct error *e)
{
	_cleanup_free_ char *until = client_property(bus, "PausedUntil");
	bool paused = until && *until;

	if (!until)
		return error_set(e, -EIO,
				 "latencyd took it, but does not say whether it is paused");
	if (c->json)
		return print_json(json_pack("{s:i, s:s?}", "version", 1, "paused_until",
					    paused ? until : NULL),
				  e);
	if (c->quiet)
		return 0;
	if (!paused)
		printf("latencyd repairs again what the document lets it\n");
	else if (streq(until, "until-resumed"))
		printf("latencyd repairs nothing until it is told to\n  → latencyctl resume\n");
	else
		printf("latencyd repairs nothing before %s\n  → latencyctl resume ends it\n",
		       until);
	return 0;
}

int command_pause(struct ctl *c, struct error *e)
{
	_cleanup_client_ sd_bus *bus = NULL;
	int r = client_open(&bus, e);

	if (r >= 0)
		r = client_call(bus, NULL, e, "Pause", "t", (uint64_t)c->for_s);
	return r < 0 ? r : print_pause(c, bus, e);
}

int command_resume(struct ctl *c, struct error *e)
{
	_cleanup_client_ sd_bus *bus = NULL;
	int r = client_open(&bus, e);

	if (r >= 0)
		r = client_call(bus, NULL, e, "Resume", "");
	return r < 0 ? r : print_pause(c, bus, e);
}

/*
 * status while the document on disk is wrong: latencyd goes on by the one that it read before, and
 * that one is nowhere else. So what it published last is shown, and only while it certainly runs: a
 * file that a dead latencyd left behind says nothing of the machine.
 */
#include "ctl/ctl.h"

#include <jansson.h>

#include "ctl/client.h"
#include "state/settings.h"

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static bool daemon_certainly_runs(void)
{
	_cleanup_error_ struct error e = { 0 };
	_cleanup_client_ sd_bus *bus = NULL;

	return client_open(&bus, &e) >= 0 && client_daemon_there(bus) == 1;
}

static bool is_settled(const char *verdict)
{
	for (int v = 0; v < _VERDICT_MAX; v++)
		if (streq(verdict, verdict_name((enum verdict)v)))
			return verdict_settled((enum verdict)v);
	return false;
}

static void print_machine(const char *kind, const char *name, const json_t *machine)
{
	const json_t *entry;
	size_t i;

	printf("%s", kind);
	print_text(stdout, name);
	printf(": ");
	print_text(stdout, text_of(machine, "verdict"));
	printf("\n");
	json_array_foreach(json_object_get(machine, "settings"), i, entry)
	{
		if (is_settled(text_of(entry, "verdict")))
			continue;
		printf("  ");
		print_text(stdout, text_of(entry, "name"));
		printf(": ");
		print_text(stdout, text_of(entry, "verdict"));
		printf(" since ");
		print_text(stdout, text_of(entry, "since"));
		printf(": ");
		print_text(stdout, text_of(entry, "reason"));
		printf("\n");
	}
}

static void print_published(const json_t *status)
{
	const json_t *guest;
	size_t i;

	printf("latencyd goes on by the document that it read before. By that one:\n");
	print_machine(text_of(status, "machine"), "", status);
	json_array_foreach(json_object_get(status, "guests"), i, guest)
		print_machine("guest ", text_of(guest, "name"), guest);
	fflush(stdout);
}

void status_in_force(const struct ctl *c)
{
	json_t *status = c->root.live && !c->document ? look_previous(&c->root) : NULL;
	const char *state = text_of(status, "document_state");

	if (!after_prefix(state, "invalid") || !daemon_certainly_runs())
		json_decref(status);
	else if (c->json)
		(void)print_json(status, NULL);
	else {
		if (!c->quiet)
			print_published(status);
		json_decref(status);
	}
}

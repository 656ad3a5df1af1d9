/*
 * apply, revert and measure of a user who is not root: latencyd runs them if polkit lets the user
 * ask for it, and answers with the exit code and the end of what the command printed.
 */
#include "ctl/ctl.h"

#include <errno.h>

#include <jansson.h>

#include "ctl/client.h"
#include "state/settings.h"

static int print_answer(const struct ctl *c, int status, const char *output, struct error *e)
{
	if (c->json)
		return print_json(json_pack("{s:i, s:i, s:s}", "version", 1, "exit_code", status,
					    "output", output),
				  e);
	print_lines(stderr, output);
	if (!c->quiet)
		printf("latencyd has run it: exit code %d\n", status);
	return 0;
}

/* The exit code is the command's own. */
static int take_answer(const struct ctl *c, sd_bus_message *reply, struct error *e)
{
	const char *output;
	int r, status;

	r = sd_bus_message_read(reply, "is", &status, &output);
	if (r < 0)
		return error_set(e, r, "cannot read latencyd's answer: %s", strerror(-r));
	r = print_answer(c, status, output, e);
	return r < 0 ? r : status >= 0 && status <= 255 ? status : EXIT_FAILURE;
}

static void say_waiting(const struct ctl *c)
{
	if (!c->quiet && isatty(STDERR_FILENO))
		fprintf(stderr, "asking latencyd, as only root may do it; this may take long\n");
}

int ask_apply(struct ctl *c, struct error *e)
{
	_cleanup_message_ sd_bus_message *reply = NULL;
	_cleanup_client_ sd_bus *bus = NULL;
	int r = client_open(&bus, e);

	if (r < 0)
		return r;
	say_waiting(c);
	r = client_call(bus, &reply, e, "Apply", "b", (int)c->reboot);
	return r < 0 ? r : take_answer(c, reply, e);
}

int ask_revert(struct ctl *c, struct error *e)
{
	_cleanup_message_ sd_bus_message *reply = NULL;
	_cleanup_client_ sd_bus *bus = NULL;
	const char *setting = c->n_args ? c->args[0] : "";
	int r;

	if (*setting && !setting_by_name(setting))
		return ctl_usage("latencyctl explain lists the settings",
				 "there is no setting \"%s\"", setting);
	r = client_open(&bus, e);
	if (r < 0)
		return r;
	say_waiting(c);
	r = client_call(bus, &reply, e, "Revert", "s", setting);
	return r < 0 ? r : take_answer(c, reply, e);
}

int ask_measure(struct ctl *c, struct error *e)
{
	_cleanup_message_ sd_bus_message *reply = NULL;
	_cleanup_client_ sd_bus *bus = NULL;
	int r = client_open(&bus, e);

	if (r < 0)
		return r;
	say_waiting(c);
	r = client_call(bus, &reply, e, "Measure", "s", c->profile ? c->profile : "");
	return r < 0 ? r : take_answer(c, reply, e);
}

/*
 * From a step of the plan to the file that carries it out. What a document step sends is kept by
 * the guest before it answers; whether the guest goes by it shows in the next look, where the guest
 * says which document it has.
 */
#include "guest/step.h"

#include <errno.h>
#include <jansson.h>

#include "guest/channel.h"
#include "guest/files.h"
#include "guest/forward.h"
#include "guest/running.h"
#include "state/guest_argv.h"
#include "state/guest_row.h"

#define SHUTDOWN_S	60
#define CALL_TIMEOUT_MS 10000

static char *document_argument(const struct step *s)
{
	json_t *json =
		json_pack("{s:s, s:b}", "document", s->guest->document, "reboot", (int)s->reboot);
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

	json_decref(json);
	return text;
}

static int send_to(const struct step *s, const char *line, struct error *e)
{
	_cleanup_free_ char *argument = document_argument(s), *reply = NULL;
	const char *name = s->guest->name, *address;
	struct arena a = { 0 };
	int r;

	address = guest_channel_address(s->guest, line, &a);
	if (!argument)
		r = error_set(e, -ENOMEM, "out of memory");
	else if (!address)
		r = error_set(e, -ENOENT, "the guest %s has no channel to latencyd inside", name);
	else
		r = guest_call(name, address, "SetDocument", argument, CALL_TIMEOUT_MS, &reply, e);
	arena_free(&a);
	return r < 0 ? r : 1;
}

static int send_document(const struct step *s, struct error *e)
{
	_cleanup_free_ char *line = NULL;
	size_t size;
	int r;

	if (!s->guest->document)
		return error_set(e, -EINVAL, "the guest %s has no document", s->guest->name);
	r = guest_running(s->guest, e);
	if (r == 0)
		r = error_set(e, -ESRCH, "the guest %s does not run", s->guest->name);
	if (r < 0)
		return r;
	r = guest_command_line(r, &line, &size);
	if (r < 0)
		return error_set(e, r, "cannot read the command line of the guest %s: %s",
				 s->guest->name, strerror(-r));
	for (size_t i = 0; i + 1 < size; i++)
		if (line[i] == '\0')
			line[i] = ' ';
	return send_to(s, line, e);
}

int guest_forwards_set(const char *want, struct error *e)
{
	int r = want ? forwards_mark(true) : 0;

	if (r < 0)
		return error_set(e, r, "cannot note in /run/latencyd that rules are set: %s",
				 strerror(-r));
	r = forward_set(want, e);
	if (r >= 0 && !want)
		(void)forwards_mark(false);
	return r;
}

/* QEMU's listening end is anybody's without the rule, so the rule comes first, or no guest. */
static int check_guarded(const struct desired_guest *g, struct error *e)
{
	struct arena a = { 0 };
	struct fact live = { 0 };
	const char *line;
	int r = 0;

	if (!guest_listens_to_others(g))
		return 0;
	line = forward_line(g, &a);
	r = line ? forward_read(&a, &live) : -ENOMEM;
	if (r < 0) {
		error_set(e, r, "out of memory");
	} else if (!fact_known(&live) || forward_count(live.text, line) != 1) {
		r = error_set(e, -EPERM,
			      "the guest %s is not started: its ssh port %u would be open to "
			      "everybody, because the firewall's rule for it is not there",
			      g->name, g->ssh.host_port);
		error_todo(e, "mend what guest_ssh says, or allow only 127.0.0.0/8, then apply "
			      "again");
	}
	arena_free(&a);
	return r;
}

static int launch(const struct step *s, struct error *e)
{
	int r = check_guarded(s->guest, e);

	return r < 0 ? r : guest_launch(s->guest, s->argv, e);
}

int guest_step(const struct step *s, struct error *e)
{
	switch (s->kind) {
	case STEP_FORWARD:
		return guest_forwards_set(s->want, e);
	case STEP_GUEST_STOP:
		return guest_stop(s->guest, SHUTDOWN_S, NULL, NULL, e);
	case STEP_GUEST_LAUNCH:
		return launch(s, e);
	case STEP_GUEST_DOCUMENT:
		return send_document(s, e);
	default:
		return error_set(e, -EINVAL, "not a step of a guest: %s", step_kind_name(s->kind));
	}
}

/*
 * guest: the document's guests, listed, started and stopped by hand, and a disk image prepared to
 * be one. What is listed is one look, as status has it.
 */
#include <errno.h>

#include <jansson.h>

#include "actuators/execute.h"
#include "ctl/ctl.h"
#include "ctl/prepare.h"
#include "guest/step.h"
#include "state/guest.h"
#include "state/guest_argv.h"

#define USAGE "list, start NAME, stop NAME, power-off NAME or prepare IMAGE"

static const char *origin_name(const struct desired_guest *g)
{
	return g->origin == GUEST_LAUNCH ? "launch" : "adopt";
}

static const char *accel_name(const struct observed_guest *o)
{
	return o->accel.state == FACT_KNOWN ? o->accel.text : NULL;
}

static int list_json(const struct desired *d, const struct look *l, struct error *e)
{
	json_t *guests = json_array();

	for (size_t i = 0; i < d->n_guests; i++) {
		const struct observed_guest *o = &l->observed.guests[i];

		json_array_append_new(
			guests, json_pack("{s:s, s:s, s:o, s:s?, s:s}", "name", d->guests[i].name,
					  "origin", origin_name(&d->guests[i]), "pid",
					  o->pid ? json_integer(o->pid) : json_null(),
					  "accelerator", accel_name(o), "verdict",
					  machine_verdict_name(l->report.guests[i].verdict)));
	}
	return print_json(json_pack("{s:i, s:o}", "version", 1, "guests", guests), e);
}

static int list_table(const struct desired *d, const struct look *l, struct error *e)
{
	static const struct column columns[] = {
		{ .name = "GUEST" },	   { .name = "ORIGIN" },  { .name = "PID", .right = true },
		{ .name = "ACCELERATOR" }, { .name = "VERDICT" },
	};
	struct table *t;

	if (d->n_guests == 0) {
		printf("the document has no guests\n");
		return 0;
	}
	t = table_new(columns, ARRAY_SIZE(columns));
	for (size_t i = 0; i < d->n_guests; i++) {
		const struct observed_guest *o = &l->observed.guests[i];
		char pid[16];

		snprintf(pid, sizeof(pid), "%d", o->pid);
		table_row(t);
		table_cell(t, 0, d->guests[i].name);
		table_cell(t, 1, origin_name(&d->guests[i]));
		table_cell(t, 2, o->pid ? pid : NULL);
		table_cell(t, 3, accel_name(o));
		table_cell(t, 4, machine_verdict_name(l->report.guests[i].verdict));
	}
	return table_print(t, e);
}

static int list(struct ctl *c, struct error *e)
{
	_cleanup_desired_ struct desired d = { 0 };
	_cleanup_look_ struct look l = { 0 };
	int r = ctl_document(c, false, &d, e);

	if (r == 0)
		r = ctl_look(c, &d, &l, e);
	if (r < 0)
		return r;
	if (c->json)
		return list_json(&d, &l, e);
	return c->quiet ? 0 : list_table(&d, &l, e);
}

static int start(struct ctl *c, const struct desired_guest *g, struct desired *d, struct error *e)
{
	_cleanup_look_ struct look l = { 0 };
	const char *const *argv;
	int r;

	if (g->origin != GUEST_LAUNCH) {
		error_set(e, -EPERM, "guest %s is adopted: latencyd does not start it", g->name);
		return error_todo(e, "start it with what runs it");
	}
	r = ctl_look(c, d, &l, e);
	if (r < 0)
		return r;
	argv = guest_argv(g, &l.observed, &l.report.arena);
	return argv ? guest_launch(g, argv, e) : error_set(e, -ENOMEM, "out of memory");
}

/* Before each wait, which a guest without a power button's handler makes long. */
static void tell_stop(const char *what, void *userdata)
{
	const struct ctl *c = userdata;

	if (!c->quiet)
		fprintf(stderr, "%s\n", what);
}

static int start_or_stop(struct ctl *c, bool starts, struct error *e)
{
	_cleanup_desired_ struct desired d = { 0 };
	_cleanup_close_ int lock = -1;
	const struct desired_guest *g;
	int r = ctl_document(c, true, &d, e);

	if (r < 0)
		return r;
	g = desired_guest(&d, c->args[1]);
	if (!g) {
		error_set(e, -ENOENT, "the document has no guest \"%s\"", c->args[1]);
		return error_todo(e, "latencyctl guest list shows those it has");
	}
	lock = machine_lock(e);
	if (lock < 0)
		return lock;
	r = starts ? start(c, g, &d, e) : guest_stop(g, GUEST_POWER_OFF_S, tell_stop, c, e);
	if (r < 0)
		return r;
	ctl_refresh_daemon();
	if (!c->quiet)
		printf("guest %s %s\n", g->name,
		       r == 0 ? (starts ? "runs already" : "did not run")
			      : (starts ? "was started" : "was stopped"));
	return 0;
}

/* What systemd runs when the guest's unit is stopped. The caller of that stop may hold the
 * machine's lock, and the document may no longer name the guest: neither is asked for. */
static int power_off(struct ctl *c, struct error *e)
{
	const char *name = c->args[1];
	int r;

	/* It becomes a part of a path. */
	if (*name == '.' || !*name || strchr(name, '/'))
		return ctl_usage(USAGE, "\"%s\" is no guest's name", name);
	r = guest_power_off(name, GUEST_POWER_OFF_S, tell_stop, c, e);
	if (r >= 0 && !c->quiet)
		printf("guest %s %s\n", name, r == 0 ? "did not run" : "was shut down");
	return r < 0 ? r : 0;
}

static int prepare(struct ctl *c, struct error *e)
{
	struct prepare p = {
		.from = &c->root,
		.image = c->args[1],
		.package = c->package ? c->package : PREPARE_PACKAGE_DEFAULT,
		.quiet = c->quiet,
	};

	return prepare_image(&p, e);
}

int command_guest(struct ctl *c, struct error *e)
{
	bool lists = streq(c->args[0], "list"), prepares = streq(c->args[0], "prepare");
	bool starts = streq(c->args[0], "start"), stops = streq(c->args[0], "stop");
	bool powers_off = streq(c->args[0], "power-off");

	if (!lists && !prepares && !starts && !stops && !powers_off)
		return ctl_usage(USAGE, "guest does not know \"%s\"", c->args[0]);
	if (c->n_args != (lists ? 1 : 2))
		return ctl_usage(USAGE, "guest %s takes %s", c->args[0],
				 lists	    ? "nothing more"
				 : prepares ? "an image"
					    : "a guest's name");
	if (c->package && !prepares)
		return ctl_usage("leave it out", "guest %s takes no --package", c->args[0]);
	if (lists)
		return list(c, e);
	if (geteuid() != 0) {
		error_set(e, -EPERM, "only root may run latencyctl guest %s", c->args[0]);
		return error_todo(e, "sudo latencyctl guest %s %s", c->args[0], c->args[1]);
	}
	if (prepares)
		return prepare(c, e);
	if (!c->root.live)
		return ctl_usage("leave --root out", "guest %s works on the running machine",
				 c->args[0]);
	return powers_off ? power_off(c, e) : start_or_stop(c, starts, e);
}

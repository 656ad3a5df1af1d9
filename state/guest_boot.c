/*
 * The rows say which boot arguments they want of a machine; here the machine is a guest that does
 * not run yet, so what a row would read of it is made up from what the document says: so many CPUs,
 * all online.
 */
#include "state/guest_boot.h"

#include <errno.h>

#include "state/cmdline.h"
#include "state/settings.h"

/* Where a Debian kernel's messages go on QEMU's serial port. */
#define CONSOLE "console=ttyS0"

/* Sets that live only as long as one composition. */
struct made_up {
	struct observed o;
	struct desired d; /* borrows all but housekeeping */
};

static void made_up_done(struct made_up *m)
{
	cpuset_done(&m->d.housekeeping);
	observed_done(&m->o);
}

static int make_up(const struct desired_guest *g, struct made_up *m)
{
	int r;

	m->d = *g->state;
	m->d.housekeeping = (struct cpuset){ 0 };
	m->o.n_cpus = (unsigned)g->n_vcpus;
	r = cpuset_add_range(&m->o.possible, 0, m->o.n_cpus - 1);
	if (r >= 0)
		r = cpuset_copy(&m->o.present, &m->o.possible);
	if (r >= 0)
		r = cpuset_copy(&m->o.online, &m->o.possible);
	if (r >= 0)
		r = cpuset_copy(&m->d.housekeeping, &m->o.possible);
	if (r >= 0)
		cpuset_andnot(&m->d.housekeeping, &m->d.isolated);
	return r;
}

static int gather(const struct desired_guest *g, struct arena *a, struct boot_intent *b)
{
	_cleanup_(made_up_done) struct made_up m = { 0 };
	int r;

	if (!g->state)
		return 0;
	r = make_up(g, &m);
	for (size_t i = 0; r >= 0 && i < n_settings; i++) {
		const struct setting *s = settings[i];

		if (m.d.values[i] && s->intent && setting_applies(s, &m.d))
			r = s->intent(s, m.d.values[i], &m.d, &m.o, a, b);
	}
	return r;
}

int guest_append_clash(const struct desired_guest *g, struct arena *a, const char **ret)
{
	_cleanup_cmdline_ struct cmdline append = { 0 };
	struct boot_intent b = { 0 };
	int r;

	*ret = NULL;
	if (!g->launch.append)
		return 0;
	r = cmdline_parse(g->launch.append, &append);
	if (r >= 0)
		r = gather(g, a, &b);
	for (size_t i = 0; r >= 0 && i < b.n_args; i++)
		if (cmdline_get(&append, b.args[i].key))
			*ret = b.args[i].key;
	return r < 0 ? r : 0;
}

const char *guest_boot_arguments(const struct desired_guest *g, struct arena *a)
{
	_cleanup_cmdline_ struct cmdline line = { 0 };
	_cleanup_free_ char *text = NULL;
	struct boot_intent b = { 0 };

	if (gather(g, a, &b) < 0)
		return NULL;
	for (size_t i = 0; i < b.n_args; i++)
		if (cmdline_append(&line, b.args[i].key, b.args[i].value) < 0)
			return NULL;
	text = cmdline_format(&line);
	if (!text)
		return NULL;
	return arena_printf(a, CONSOLE "%s%s%s%s", g->launch.append ? " " : "",
			    g->launch.append ? g->launch.append : "", *text ? " " : "", text);
}

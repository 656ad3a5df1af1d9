/*
 * guest_ssh: one port of the host leads to the guest's port 22, for the named sources only. All
 * guests' rules are one table, replaced whole, so that a rule stands there once and goes with its
 * guest. The text is that of guest/forward.h.
 */
#include <errno.h>

#include "state/address.h"
#include "state/guest_row.h"

/* An address or network as the kernel gives it back: "10.1.2.3/8" as "10.0.0.0/8". The document
 * checked its form. */
static const char *plain_address(struct arena *a, const char *text)
{
	struct address address;
	int r = address_parse(a, text, &address);

	if (r < 0)
		return r == -ENOMEM ? NULL : text;
	return address_text(a, &address);
}

const char *forward_line(const struct desired_guest *g, struct arena *a)
{
	const struct desired_ssh *ssh = &g->ssh;
	const char *to = ssh->guest_address ? plain_address(a, ssh->guest_address) : "";
	const char *text =
		to ? arena_printf(a, "%u%s%s from ", ssh->host_port, *to ? " to " : "", to) : NULL;

	for (size_t i = 0; text && i < ssh->n_from; i++) {
		const char *from = plain_address(a, ssh->from[i]);

		text = from ? arena_printf(a, "%s%s%s", text, i ? ", " : "", from) : NULL;
	}
	return text;
}

/* By port, so that the order of the guests in the document does not matter. */
static const struct desired_guest *next_port(const struct desired *d, unsigned above)
{
	const struct desired_guest *next = NULL;

	for (size_t i = 0; i < d->n_guests; i++) {
		const struct desired_guest *g = &d->guests[i];

		if (g->ssh.host_port > above && (!next || g->ssh.host_port < next->ssh.host_port))
			next = g;
	}
	return next;
}

const char *forwards_wanted(const struct desired *d, struct arena *a)
{
	const struct desired_guest *g = next_port(d, 0);
	const char *text = "";

	for (; text && g; g = next_port(d, g->ssh.host_port)) {
		const char *line = forward_line(g, a);

		text = line ? arena_printf(a, "%s%s%s", text, *text ? "\n" : "", line) : NULL;
	}
	return text;
}

unsigned forward_count(const char *text, const char *line)
{
	size_t n = strlen(line);
	unsigned found = 0;

	for (const char *at = text; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		found += !strncmp(at, line, n) && (!at[n] || at[n] == '\n');
	}
	return found;
}

static int judge_ssh(const struct setting *s, const void *value, const struct desired *d,
		     const struct observed *o, struct report *r, struct setting_verdict *v)
{
	const struct desired_guest *g = value;
	const struct fact *f = &o->forwards;

	(void)s;
	(void)d;
	if (!g->ssh.host_port) {
		v->verdict = VERDICT_UNMANAGED;
		return 0;
	}
	v->want = forward_line(g, &r->arena);
	if (!v->want)
		return -ENOMEM;
	v->live = fact_known(f) ? f->text : fact_state_name(f->state);
	if (f->state == FACT_ABSENT)
		return verdict_set(r, v, VERDICT_DRIFTED, "no rule of ours says who may use it");
	if (f->state == FACT_UNREADABLE && f->error == EEXIST)
		return verdict_set(r, v, VERDICT_DRIFTED,
				   "the table inet latencyd has rules that are not ours");
	if (!fact_known(f))
		return verdict_unknown(r, v, f);
	if (forward_count(f->text, v->want) != 1)
		return verdict_set(r, v, VERDICT_DRIFTED, "the rule is another, or there twice");
	v->live = v->want;
	return 0;
}

int plan_forwards(const struct desired *d, const struct observed *o, struct plan *p)
{
	const struct fact *f = &o->forwards;
	const char *want = forwards_wanted(d, &p->arena);

	if (!want)
		return -ENOMEM;
	if (f->state == FACT_UNPROBED || f->state == FACT_DENIED)
		return 0;
	if (fact_known(f) && *want && streq(f->text, want))
		return 0;
	/* Nothing wanted: only what is surely ours is removed. */
	if (!*want && !fact_known(f))
		return 0;
	return plan_step(p, &setting_guest_ssh, STEP_FORWARD, "table inet latencyd",
			 fact_known(f) ? f->text : NULL, *want ? want : NULL)
		       ? 0
		       : -ENOMEM;
}

const struct setting setting_guest_ssh = {
	.name = "guest_ssh",
	.summary = "A port of the host leads to the guest's ssh, for the named sources only",
	.doc = "nft(8)",
	.values = "ssh: {host_port, from, guest_address}",
	.scope = SCOPE_RUNTIME,
	.judge = judge_ssh,
};

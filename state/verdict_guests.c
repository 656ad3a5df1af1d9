/*
 * Guests in a report. What the host sees comes first; what the guest says of itself counts only
 * while it goes by the wanted document, and can make its verdict worse, never better than what the
 * host sees. A guest that does not answer, or not with what a latencyd says, is `unknown`.
 */
#include "state/verdict_guests.h"

#include <errno.h>

#include "state/guest_row.h"
#include "state/guest_status.h"

static int judge_outer(const struct desired_guest *g, const struct desired *d,
		       const struct observed *o, struct report *r, struct guest_report *gr)
{
	for (size_t i = 0; i < n_guest_settings; i++) {
		struct setting_verdict *v = &gr->settings[i];
		int k;

		v->setting = guest_settings[i];
		v->verdict = VERDICT_CONVERGED;
		k = v->setting->judge(v->setting, g, d, o, r, v);
		if (k < 0)
			return k;
	}
	return 0;
}

/* What the guest says, if it is a status and by the wanted document; else why it does not count. */
static int hear(const struct desired_guest *g, const struct observed *o, struct report *r,
		struct guest_report *gr, struct guest_status *ret, const char **ret_why)
{
	const struct observed_guest *seen = observed_guest(o, g->name);
	int k;

	*ret_why = "the guest does not answer";
	if (!seen || !fact_known(&seen->channel))
		return 0;
	k = guest_status_parse(seen->channel.text, strlen(seen->channel.text), &r->arena, ret,
			       NULL);
	*ret_why = "what the guest says is no latencyd's status";
	if (k < 0)
		return k == -ENOMEM ? k : 0;
	gr->kernel_release = ret->kernel_release;
	gr->boot_id = ret->boot_id;
	*ret_why = ret->digest && streq(ret->digest, g->digest)
			   ? NULL
			   : "the guest goes by another document";
	return 0;
}

static void judge_inner(const struct desired_guest *g, const struct guest_status *said,
			const char *why, struct guest_report *gr)
{
	for (size_t i = 0; i < n_settings; i++) {
		struct setting_verdict *v = &gr->settings[n_guest_settings + i];

		if (!g->state->values[i])
			v->verdict = VERDICT_UNMANAGED;
		else if (!why)
			*v = said->settings[i];
		else
			v->verdict = VERDICT_UNKNOWN, v->reason = why;
		v->setting = settings[i];
	}
}

static enum verdict verdict_of(const struct guest_report *gr, const struct setting *s)
{
	for (size_t i = 0; i < n_guest_settings; i++)
		if (gr->settings[i].setting == s)
			return gr->settings[i].verdict;
	return VERDICT_UNKNOWN;
}

static enum machine_verdict worse_of(enum machine_verdict a, enum machine_verdict b)
{
	/* best first */
	static const int ranks[_MACHINE_VERDICT_MAX] = {
		[MACHINE_VERIFIED] = 0, [MACHINE_PENDING_REBOOT] = 1, [MACHINE_DRIFTED] = 2,
		[MACHINE_UNKNOWN] = 3,	[MACHINE_DEGRADED] = 4,
	};

	return ranks[b] > ranks[a] ? b : a;
}

/* @claimed: what the guest calls itself, MACHINE_VERIFIED when its word does not count. */
static enum machine_verdict guest_verdict(const struct desired_guest *g, const struct observed *o,
					  const struct guest_report *gr,
					  enum machine_verdict claimed)
{
	const struct observed_guest *seen = observed_guest(o, g->name);

	/* What a stopped guest is inside is no question: it has to be started. */
	if (seen && seen->process.state == FACT_ABSENT &&
	    verdict_of(gr, &setting_guest_launch) == VERDICT_DRIFTED)
		return MACHINE_DRIFTED;
	if (verdict_of(gr, &setting_guest_agent) == VERDICT_UNKNOWN ||
	    verdict_of(gr, &setting_guest_launch) == VERDICT_UNKNOWN)
		return MACHINE_UNKNOWN;
	/* It has to be given its document first: what it is by another one is no question either.
	 */
	if (verdict_of(gr, &setting_guest_agent) == VERDICT_DRIFTED)
		return machine_verdict_of(gr->settings, n_guest_settings);
	return worse_of(machine_verdict_of(gr->settings, gr->n_settings), claimed);
}

static int judge_guest(const struct desired_guest *g, const struct desired *d,
		       const struct observed *o, struct report *r, struct guest_report *gr)
{
	enum machine_verdict claimed = MACHINE_VERIFIED;
	struct guest_status said = { 0 };
	const char *why;
	int k;

	gr->name = g->name;
	gr->n_settings = n_guest_settings + (g->state ? n_settings : 0);
	gr->settings = arena_alloc(&r->arena, gr->n_settings * sizeof(*gr->settings));
	if (!gr->settings)
		return -ENOMEM;
	k = judge_outer(g, d, o, r, gr);
	if (k >= 0 && g->state) {
		k = hear(g, o, r, gr, &said, &why);
		if (k >= 0)
			judge_inner(g, &said, why, gr);
		if (k >= 0 && !why)
			claimed = said.verdict;
	}
	if (k < 0)
		return k;
	gr->verdict = guest_verdict(g, o, gr, claimed);
	return 0;
}

int judge_guests(const struct desired *d, const struct observed *o, struct report *r)
{
	r->guests = arena_alloc(&r->arena, (d->n_guests + 1) * sizeof(*r->guests));
	if (!r->guests)
		return -ENOMEM;
	r->n_guests = d->n_guests;
	for (size_t i = 0; i < d->n_guests; i++) {
		int k = judge_guest(&d->guests[i], d, o, r, &r->guests[i]);

		if (k < 0)
			return k;
	}
	return 0;
}

enum machine_verdict report_worst(const struct report *r)
{
	enum machine_verdict worst = r->verdict;

	for (size_t i = 0; i < r->n_guests; i++)
		worst = worse_of(worst, r->guests[i].verdict);
	return worst;
}

/*
 * guest_agent: the latencyd inside answers through the guest's channel and goes by the document
 * that its host gives it. What it says of itself comes after this row, as its own settings.
 */
#include <errno.h>

#include "state/guest_row.h"
#include "state/guest_status.h"

static int judge_answer(const struct desired_guest *g, const struct observed_guest *seen,
			struct report *r, struct setting_verdict *v)
{
	_cleanup_error_ struct error e = { 0 };
	struct guest_status status = { 0 };
	int k = guest_status_parse(seen->channel.text, strlen(seen->channel.text), &r->arena,
				   &status, &e);

	if (k == -ENOMEM)
		return k;
	if (k < 0)
		return verdict_set(r, v, VERDICT_UNKNOWN,
				   "what it says is no latencyd's status: %s",
				   e.what ? e.what : "not of the form");
	v->live = status.digest ? arena_printf(&r->arena, "answers, document %s", status.digest)
				: "answers, no document";
	if (!v->live)
		return -ENOMEM;
	if (!status.digest || !streq(status.digest, g->digest))
		return verdict_set(r, v, VERDICT_DRIFTED, "it goes by %s document",
				   status.digest ? "another" : "no");
	return 0;
}

static int judge_agent(const struct setting *s, const void *value, const struct desired *d,
		       const struct observed *o, struct report *r, struct setting_verdict *v)
{
	const struct desired_guest *g = value;
	const struct observed_guest *seen;
	int k;

	(void)s;
	(void)d;
	if (!g->state) {
		v->verdict = VERDICT_UNMANAGED;
		return 0;
	}
	v->want = arena_printf(&r->arena, "answers, document %s", g->digest);
	if (!v->want)
		return -ENOMEM;
	seen = guest_running_or_say(g, o, r, v, &k);
	if (!seen)
		return k;
	if (fact_known(&seen->channel))
		return judge_answer(g, seen, r, v);
	v->live = "does not answer";
	if (seen->channel.state == FACT_ABSENT && g->origin == GUEST_ADOPT)
		return verdict_set(r, v, VERDICT_UNFIXABLE,
				   "no channel to it is known: give its QEMU a virtio-serial port "
				   "named org.latencyd1.0, and its socket as channel:");
	if (seen->channel.state == FACT_ABSENT)
		return verdict_set(r, v, VERDICT_UNFIXABLE, "it was started without a channel");
	return verdict_set(r, v, VERDICT_UNKNOWN,
			   "%s; it may still be booting, or lack latencyd: latencyctl guest "
			   "prepare IMAGE installs it",
			   seen->channel_trouble ? seen->channel_trouble
						 : "the guest does not answer");
}

/* May the guest reboot by itself? A guest that was verified since it started is in service. */
static bool may_reboot(const struct desired *d, const struct observed_guest *seen)
{
	return d->reboot_policy == REBOOT_AUTOMATIC ||
	       (d->reboot_policy == REBOOT_WHEN_ASKED && !seen->was_verified);
}

/* Is there something that the guest can mend if it is told again? */
static bool can_mend(const struct guest_status *status, bool reboot)
{
	return status->verdict == MACHINE_DRIFTED ||
	       (status->verdict == MACHINE_PENDING_REBOOT && reboot);
}

static int plan_agent(const struct setting *s, const void *value, const struct desired *d,
		      const struct observed *o, struct plan *p)
{
	const struct desired_guest *g = value;
	const struct observed_guest *seen = observed_guest(o, g->name);
	struct guest_status status = { 0 };
	struct step *step;
	bool reboot;
	int k;

	if (!g->state || !seen || !fact_known(&seen->process) || !fact_known(&seen->channel))
		return 0;
	k = guest_status_parse(seen->channel.text, strlen(seen->channel.text), &p->arena, &status,
			       NULL);
	if (k < 0)
		return k == -ENOMEM ? k : 0;
	/* A reboot inside would only bring back the arguments that its QEMU has. */
	reboot = may_reboot(d, seen) && !guest_boots_from_host(g);
	if (status.digest && streq(status.digest, g->digest) && !can_mend(&status, reboot))
		return 0;
	step = plan_step(p, s, STEP_GUEST_DOCUMENT, g->name, status.digest, g->digest);
	if (!step)
		return -ENOMEM;
	step->guest = g;
	step->reboot = reboot;
	return 0;
}

const struct setting setting_guest_agent = {
	.name = "guest_agent",
	.summary = "The latencyd inside answers and goes by this document",
	.doc = "latencyd(8)",
	.values = "state: of the guest",
	.scope = SCOPE_RUNTIME,
	.judge = judge_agent,
	.plan = plan_agent,
};

/*
 * The one list of a guest's outer settings, and what their rows share.
 */
#include "state/guest_row.h"

#include <errno.h>

const struct setting *const guest_settings[] = {
	&setting_guest_launch,	 &setting_guest_memory, &setting_guest_vcpus,
	&setting_guest_emulator, &setting_guest_ssh,	&setting_guest_agent,
};
const size_t n_guest_settings = ARRAY_SIZE(guest_settings);

const struct observed_guest *guest_running_or_say(const struct desired_guest *g,
						  const struct observed *o, struct report *r,
						  struct setting_verdict *v, int *ret_error)
{
	const struct observed_guest *seen = observed_guest(o, g->name);

	if (seen && fact_known(&seen->process)) {
		*ret_error = 0;
		return seen;
	}
	if (!seen || seen->process.state == FACT_UNPROBED)
		*ret_error = verdict_set(r, v, VERDICT_UNKNOWN, "the guest was not looked at");
	else if (seen->process.state == FACT_ABSENT)
		*ret_error = verdict_set(
			r, v, g->origin == GUEST_LAUNCH ? VERDICT_DRIFTED : VERDICT_UNKNOWN,
			"the guest does not run");
	else
		*ret_error = verdict_unknown(r, v, &seen->process);
	return NULL;
}

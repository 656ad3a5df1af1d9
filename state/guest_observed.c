/*
 * What was seen of guests: finding and freeing.
 */
#include "state/guest.h"

const struct observed_guest *observed_guest(const struct observed *o, const char *name)
{
	for (size_t i = 0; i < o->n_guests; i++)
		if (streq(o->guests[i].name, name))
			return &o->guests[i];
	return NULL;
}

void observed_guests_done(struct observed *o)
{
	for (size_t i = 0; i < o->n_guests; i++)
		cpuset_done(&o->guests[i].memory.nodes);
}

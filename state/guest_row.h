#pragma once
/*
 * The rows of guest_settings[], for guest_rows.c, judge and plan. `value` of each row's functions
 * is the const struct desired_guest *.
 */
#include "state/guest.h"
#include "state/row.h"

extern const struct setting setting_guest_launch, setting_guest_memory, setting_guest_vcpus,
	setting_guest_emulator, setting_guest_ssh, setting_guest_agent;

/* What was seen of @g, with its process running. Otherwise NULL, and the verdict says why: drifted
 * when a launch would mend it, else unknown. */
const struct observed_guest *guest_running_or_say(const struct desired_guest *g,
						  const struct observed *o, struct report *r,
						  struct setting_verdict *v, int *ret_error);

/* Does the running QEMU's command line differ from what the document asks for? 1, 0, -ENOMEM.
 * Launched guests only; 0 when it does not run or its command line is not known. */
int guest_started_otherwise(const struct desired_guest *g, const struct observed *o,
			    struct arena *a);
/* Is its memory as asked? 1, 0; -ENODATA when it is not known. */
int guest_memory_right(const struct desired_guest *g, const struct observed_guest *seen);

/* The whole table of forwards that the document wants ("" for none), in @a; NULL: out of memory. */
const char *forwards_wanted(const struct desired *d, struct arena *a);
/* The line of @g, which has an ssh port, in that table; NULL: out of memory. And how often it
 * stands in the live table's @text. */
const char *forward_line(const struct desired_guest *g, struct arena *a);
unsigned forward_count(const char *text, const char *line);
/* The one step for the whole table, if it is not so. -ENOMEM. */
int plan_forwards(const struct desired *d, const struct observed *o, struct plan *p);

#pragma once
/*
 * A load beside a measurement: stress-ng on given CPUs, and the evidence that it was there. A load
 * that cannot be shown to have been in place all the time does not count.
 */
#include <jansson.h>

#include "state/cpuset.h"
#include "state/error.h"

struct load;

struct load_request {
	const char *kind;	   /* "idle", "cpustress", "memorystress", "iostress" */
	const struct cpuset *cpus; /* where it runs: never a CPU that is measured */
	const char *tool;	   /* stress-ng's absolute path; NULL: in the system's folders */
	const char *workdir;	   /* an existing folder; what it writes there is removed */
	unsigned duration_s;
};

/*
 * Starts it. *ret is NULL for "idle". Whatever keeps it from running (no program, no CPU) is no
 * error but its trouble, told by load_end(). -ENOMEM, -EINVAL (an unknown kind).
 */
int load_start(const struct load_request *rq, struct load **ret, struct error *e);
/* Is it alive and in its place? Called about once a second. */
void load_check(struct load *l);
/*
 * Ends it and says what it did. Both may be NULL afterwards: without evidence there was none asked
 * for, without trouble it was in place. The caller frees them. -ENOMEM.
 */
int load_end(struct load *l, json_t **ret_evidence, char **ret_trouble);

#pragma once
/*
 * One look at a machine: observe it and its guests, hold the document against it, judge. What
 * `latencyctl status`, each round of an apply and each pass of the daemon begin with. Read-only.
 */
#include "probes/observe.h"
#include "state/iso_time.h"
#include "state/verdict.h"

struct json_t;

struct look {
	struct observed observed;
	struct report report;
};

#define _cleanup_look_ _cleanup_(look_done)
void look_done(struct look *l);

/* The machine and the guests of @d, as they are now. -ENOMEM only. */
int look_observe(const struct sysroot *root, const struct desired *d, struct observed *ret);

/* Resolves @d against what is seen now (it may be resolved before) and judges. *ret on success
 * only. Errors are those of desired_resolve(), and -ENOMEM. */
int look_take(const struct sysroot *root, struct desired *d, struct look *ret, struct error *e);

/* The same with the guests' statuses from @source; its -EINPROGRESS is passed on. */
struct guest_source;
int look_take_from(const struct sysroot *root, struct desired *d, const struct guest_source *source,
		   struct look *ret, struct error *e);

/* @d with the settings outside of @settings (bits by index in settings[]) and the guests left out:
 * a view that shares everything with @d, is never freed, and lives as long. */
struct desired look_part(const struct desired *d, uint64_t settings);

/* What the daemon published last (caller frees), or NULL: there is none, or it is no JSON object.
 */
struct json_t *look_previous(const struct sysroot *root);

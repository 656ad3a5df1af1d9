#pragma once
/*
 * The machine-readable forms of a report and of a plan: what `latencyctl --json` prints, what the
 * daemon publishes in /run/latencyd/status.json and on D-Bus. Version 1; keys are only ever added.
 * Pure: jansson builds them in memory.
 */
#include "state/plan.h"
#include "state/verdict.h"

struct json_t;

/* The daemon's published state. */
#define STATUS_PATH "/run/latencyd/status.json"

/* The status object (caller frees with json_decref()), or NULL when out of memory. Bytes that are
 * not UTF-8 come out as U+FFFD. @d must be resolved. */
struct json_t *report_to_json(const struct desired *d, const struct observed *o,
			      const struct report *r);

/* The status object of a machine that could not be judged, because of @e (a document that is
 * missing or wrong): verdict "degraded", no settings, and `error` with what and todo. @o may be
 * NULL. */
struct json_t *unjudged_to_json(const char *document, const struct observed *o,
				const struct error *e, uint64_t generation);

/*
 * A look at a part of the settings: in the status object @status those of @looked (bits by index in
 * settings[]) are replaced by @r's, and the verdict and generation by those of @r. -ENOMEM, -EINVAL
 * (not a status object): *status is then of no use any more.
 */
int status_replace(struct json_t *status, const struct report *r, uint64_t looked);

/* The steps and the boot arguments they lead to, or NULL when out of memory. */
struct json_t *plan_to_json(const struct plan *p);

/*
 * Takes over what only time tells from the status object before (@previous; anything odd in it
 * counts as missing, NULL: none): a setting with the same verdict keeps its `since`, another gets
 * @now (ISO 8601 UTC); the generation goes up by one when the machine verdict differs. -ENOMEM.
 */
int report_carry(struct report *r, const struct json_t *previous, const char *now);
/* The generation that follows @previous when the machine verdict is now @verdict. */
uint64_t generation_after(const struct json_t *previous, enum machine_verdict verdict);

#pragma once
/* A simulated machine and a document for it, as the tests of the pure core share them. Failing
 * ends the test. */
#include "state/desired.h"
#include "tests/property/gen.h"

/* Parses @text and resolves it on the machine, into *d (freed first). */
void sim_read_document(struct sim *sim, struct desired *d, const char *text);
/* Plans and executes as often as an apply may. */
void sim_apply(struct sim *sim, struct desired *d);
/* Apply, reboot, apply: a machine that waits for nothing any more. */
void sim_converge(struct sim *sim, struct desired *d);

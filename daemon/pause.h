#pragma once
/*
 * `latencyctl pause`: nothing is repaired until it ends; watching and alerting go on. Kept in
 * /run/latencyd/paused, so that it holds over restarts of the daemon and ends with the boot.
 */
#include "state/error.h"

/* Now paused until @until_s (CLOCK_REALTIME seconds; 0: until resumed)? Reads the file. */
bool pause_holds(int64_t now_s, int64_t *ret_until_s);
/* Writes it; @until_s as above. */
int pause_set(int64_t until_s, struct error *e);
int pause_end(struct error *e);

#pragma once
/*
 * The status object as a file, for latencyctl and for whoever reads JSON.
 */
#include "state/error.h"

/* Replaces @path with @text in one step (temporary file, rename); its folder is made if missing.
 * The file lives on a tmpfs: nothing to sync. */
int publish(const char *path, const char *text, struct error *e);

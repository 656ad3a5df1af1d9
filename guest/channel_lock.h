#pragma once
/* One caller at a time per guest: the end of a virtio-serial port takes one connection. */
#include <stdint.h>

#include "state/error.h"

/* Milliseconds of CLOCK_MONOTONIC. */
uint64_t channel_now(void);
/* The lock as an fd (close() gives it back), -ETIMEDOUT after @deadline, or negative errno. */
int channel_lock(const char *guest, uint64_t deadline, struct error *e);

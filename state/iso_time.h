#pragma once
/*
 * Times as people and files have them: ISO 8601 in UTC, to the second.
 */
#include <stdint.h>

#define ISO_TIME_SIZE sizeof("2026-11-22T10:00:00Z")

/* @t: seconds since the epoch. Returns @ret; "" for a year of five digits. */
const char *iso_time(int64_t t, char ret[ISO_TIME_SIZE]);
/* The other way; 0 for NULL and for what is no such time. */
int64_t iso_time_seconds(const char *text);

#include "state/iso_time.h"

#include <time.h>

#include "state/base.h"

#define FORMAT "%Y-%m-%dT%H:%M:%SZ"

const char *iso_time(int64_t t, char ret[ISO_TIME_SIZE])
{
	time_t seconds = (time_t)t;
	struct tm tm;

	if (!gmtime_r(&seconds, &tm) || strftime(ret, ISO_TIME_SIZE, FORMAT, &tm) == 0)
		ret[0] = '\0';
	return ret;
}

int64_t iso_time_seconds(const char *text)
{
	struct tm tm = { 0 };
	const char *end = text ? strptime(text, FORMAT, &tm) : NULL;

	return end && *end == '\0' ? timegm(&tm) : 0;
}

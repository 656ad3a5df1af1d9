/*
 * Spans and points of time as people type them. No more forms than the help names: what is not
 * understood is refused, never guessed.
 */
#include "ctl/ctl.h"

#include <ctype.h>
#include <errno.h>
#include <time.h>

#define SPAN_MAX_S (366U * 86400)

static unsigned unit_seconds(const char *name, size_t n)
{
	static const struct {
		const char *name;
		unsigned seconds;
	} units[] = {
		{ "", 1 }, { "s", 1 }, { "sec", 1 }, { "min", 60 }, { "h", 3600 }, { "d", 86400 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (strlen(units[i].name) == n && strncmp(units[i].name, name, n) == 0)
			return units[i].seconds;
	return 0;
}

/* One number with its unit. A number without a unit must be all of the text. */
static int take_part(const char **text, bool first, uint64_t *ret_s)
{
	unsigned long long number;
	size_t n = 0;
	char *end;

	if (!isdigit((unsigned char)**text))
		return -EINVAL;
	errno = 0;
	number = strtoull(*text, &end, 10);
	if (errno || number > SPAN_MAX_S)
		return -EINVAL;
	while (isalpha((unsigned char)end[n]))
		n++;
	if (n == 0 && (!first || *end))
		return -EINVAL;
	*ret_s = number * unit_seconds(end, n);
	*text = end + n;
	return unit_seconds(end, n) ? 0 : -EINVAL;
}

int parse_span(const char *text, unsigned *ret_s)
{
	uint64_t sum = 0, part;
	bool first = true;

	do {
		if (take_part(&text, first, &part) < 0)
			return -EINVAL;
		sum += part;
		first = false;
	} while (*text && sum <= SPAN_MAX_S);
	if (sum == 0 || sum > SPAN_MAX_S)
		return -EINVAL;
	*ret_s = (unsigned)sum;
	return 0;
}

/* The whole of @text by one of the forms; *ret_rest is what follows ("" or "Z"). */
static bool take_date(const char *text, struct tm *ret, const char **ret_rest)
{
	static const char *const forms[] = { "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S",
					     "%Y-%m-%d %H:%M", "%Y-%m-%d" };

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		struct tm tm = { .tm_isdst = -1 };
		const char *rest = strptime(text, forms[i], &tm);

		if (rest && (!*rest || streq(rest, "Z"))) {
			*ret = tm;
			*ret_rest = rest;
			return true;
		}
	}
	return false;
}

int parse_time(const char *text, int64_t now_s, int64_t *ret_s)
{
	struct tm tm, asked;
	const char *rest;
	unsigned ago_s;
	time_t t;

	if (parse_span(text, &ago_s) == 0) {
		*ret_s = now_s - ago_s;
		return 0;
	}
	if (!isdigit((unsigned char)*text) || !take_date(text, &tm, &rest))
		return -EINVAL;
	asked = tm;
	t = *rest ? timegm(&tm) : mktime(&tm);
	if (t <= 0 || tm.tm_mday != asked.tm_mday || tm.tm_mon != asked.tm_mon)
		return -EINVAL; /* there is no 31 February */
	*ret_s = t;
	return 0;
}

/*
 * The file's one line is the second at which the pause ends, or "until-resumed". A file that cannot
 * be read or understood holds too: somebody wanted peace, and not repairing is the smaller harm.
 */
#include "daemon/pause.h"

#include <errno.h>
#include <inttypes.h>

#include "actuators/paths.h"
#include "actuators/root.h"

#define PAUSE_FILE    RUN_FOLDER "/paused"
#define UNTIL_RESUMED "until-resumed"

/* 0: until resumed. */
static int64_t parse(const char *text)
{
	char *end;
	long long value;

	errno = 0;
	value = strtoll(text, &end, 10);
	return errno || end == text || *end || value <= 0 ? 0 : value;
}

bool pause_holds(int64_t now_s, int64_t *ret_until_s)
{
	_cleanup_free_ char *text = NULL;
	int r = root_read_line(PAUSE_FILE, &text);
	int64_t until_s;

	if (r == -ENOENT)
		return false;
	until_s = r < 0 ? 0 : parse(text);
	if (until_s != 0 && until_s <= now_s)
		return false;
	*ret_until_s = until_s;
	return true;
}

int pause_set(int64_t until_s, struct error *e)
{
	_cleanup_free_ char *line = NULL;
	int r;

	if (until_s < 0)
		return error_set(e, -EINVAL, "a pause cannot end before 1970");
	r = until_s ? asprintf(&line, "%" PRIi64 "\n", until_s)
		    : asprintf(&line, UNTIL_RESUMED "\n");
	if (r < 0)
		return error_set(e, -ENOMEM, "out of memory");
	r = root_mkdir_p(RUN_FOLDER, 0755);
	if (r < 0)
		return error_set(e, r, "cannot make " RUN_FOLDER ": %s", strerror(-r));
	return root_replace_unsynced(PAUSE_FILE, line, strlen(line), 0644, e);
}

int pause_end(struct error *e)
{
	return root_remove(PAUSE_FILE, e);
}

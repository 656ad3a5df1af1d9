/*
 * The mark is one line, the digest of the document that was applied last: whoever looks at the file
 * learns something, latencyd only asks whether it is there.
 */
#include "daemon/applied.h"

#include <errno.h>

#include "actuators/execute.h"
#include "actuators/paths.h"
#include "actuators/root.h"

#define APPLIED_FILE STATE_FOLDER "/applied"

int applied_mark(const char *digest, struct error *e)
{
	_cleanup_free_ char *now = NULL, *line = NULL;
	size_t size;
	int r;

	if (asprintf(&line, "%s\n", digest) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	if (root_read(APPLIED_FILE, &now, &size) >= 0 && streq(now, line))
		return 0;
	r = root_mkdir_p(STATE_FOLDER, 0755);
	if (r < 0)
		return error_set(e, r, "cannot make " STATE_FOLDER ": %s", strerror(-r));
	return root_replace(APPLIED_FILE, line, strlen(line), 0644, e);
}

int applied_forget(struct error *e)
{
	return root_remove(APPLIED_FILE, e);
}

int applied_to_machine(void)
{
	bool reverting = false;
	int r = originals_exist(&reverting);

	if (r < 0)
		return r;
	if (r > 0)
		return !reverting;
	return root_exists(APPLIED_FILE);
}

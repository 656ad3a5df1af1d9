/* The collector reads names that end in ".prom": never the temporary file beside it. */
#include "daemon/metrics.h"

#include <errno.h>

#include "actuators/root.h"

int metrics_write(const struct metrics *m, struct error *e)
{
	int r = root_exists(METRICS_FOLDER);
	_cleanup_free_ char *text = NULL;

	if (r <= 0)
		return r < 0 ? error_set(e, r, "cannot look for " METRICS_FOLDER ": %s",
					 strerror(-r))
			     : 0;
	text = metrics_render(m);
	if (!text)
		return error_set(e, -ENOMEM, "out of memory");
	r = root_replace_unsynced(METRICS_PATH, text, strlen(text), 0644, e);
	return r < 0 ? r : 1;
}

int metrics_remove(struct error *e)
{
	return root_exists(METRICS_PATH) == 0 ? 0 : root_remove(METRICS_PATH, e);
}

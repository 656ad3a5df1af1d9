/*
 * The installed latencyctl is found from this program's own place, so that a build tree and a
 * private prefix run their own. It reads one link, that of the running program.
 */
#include "guest/self.h"

#include <errno.h>

int find_latencyctl(char path[PATH_MAX], struct error *e)
{
	static const char *const places[] = { "latencyctl", "../bin/latencyctl" };
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (n < 0)
		return error_set(e, -errno, "cannot read /proc/self/exe: %s", strerror(errno));
	self[n] = '\0';
	slash = strrchr(self, '/');
	if (slash)
		*slash = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		int length = snprintf(path, PATH_MAX, "%s/%s", self, places[i]);

		if (length > 0 && length < PATH_MAX && access(path, X_OK) == 0)
			return 0;
	}
	return error_set(e, -ENOENT, "there is no latencyctl beside latencyd, in %s", self);
}

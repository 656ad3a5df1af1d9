/*
 * A launched guest is the process of its pid file whose command line says so. A QEMU of the same
 * name that is not this process was started by somebody else: nothing is started beside it.
 */
#include "guest/running.h"

#include <errno.h>

#include "guest/process.h"

static int find(const struct sysroot *root, const struct desired_guest *g, struct arena *a,
		struct error *e)
{
	struct fact fact = { 0 };
	int r = guest_find_process(root, g, a, &fact);

	if (r < 0)
		return error_set(e, r, "out of memory");
	if (fact.state == FACT_ABSENT)
		return 0;
	if (fact_known(&fact) && (r = (int)strtol(fact.text, NULL, 10)) > 0)
		return r;
	r = fact.error > 0 ? -fact.error : -EBADMSG;
	return error_set(e, r, "cannot tell whether the guest %s runs: %s", g->name, strerror(-r));
}

/* Looks for every QEMU of that name, as an adopted guest is looked for. */
static int find_stranger(const struct sysroot *root, const struct desired_guest *g, int ours,
			 struct arena *a, struct error *e)
{
	const struct desired_guest stranger = { .name = g->name,
						.origin = GUEST_ADOPT,
						.adopt = { .domain = g->name } };
	int r = find(root, &stranger, a, e);

	if ((r < 0 && r != -EEXIST) || r == 0 || r == ours)
		return r < 0 ? r : 0;
	error_set(e, -EEXIST, "a QEMU named %s runs that latencyd did not start", g->name);
	return error_todo(e,
			  "give the guest another name, stop that QEMU, or adopt it "
			  "(adopt: {domain: %s})",
			  g->name);
}

int guest_running(const struct desired_guest *g, struct error *e)
{
	_cleanup_sysroot_ struct sysroot root = { .fd = -1 };
	_cleanup_error_ struct error local = { 0 };
	struct arena a = { 0 };
	int r = sysroot_open(NULL, &root, e), pid;

	if (r < 0)
		return r;
	pid = find(&root, g, &a, &local);
	if (pid >= 0 && g->origin == GUEST_LAUNCH) {
		r = find_stranger(&root, g, pid, &a, &local);
		pid = r < 0 ? r : pid;
	}
	arena_free(&a);
	return pid < 0 ? error_move(e, &local) : pid;
}

int guest_launched(const char *name, struct error *e)
{
	const struct desired_guest g = { .name = (char *)name, .origin = GUEST_LAUNCH };
	_cleanup_sysroot_ struct sysroot root = { .fd = -1 };
	struct arena a = { 0 };
	int r = sysroot_open(NULL, &root, e);

	if (r < 0)
		return r;
	r = find(&root, &g, &a, e);
	arena_free(&a);
	return r;
}

int guest_command_line(int pid, char **ret, size_t *ret_size)
{
	_cleanup_sysroot_ struct sysroot root = { .fd = -1 };
	_cleanup_free_ char *path = NULL;
	int r = sysroot_open(NULL, &root, NULL);

	if (r < 0)
		return r;
	if (asprintf(&path, "/proc/%d/cmdline", pid) < 0)
		return -ENOMEM;
	return sysroot_read(&root, path, ret, ret_size);
}

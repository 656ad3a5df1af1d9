/*
 * segment: what a host asks of the latencyd inside a guest, as a process of its own. It reads the
 * request, measures, and writes the outcome beside its place, then moves it there: who waits for
 * the file never sees half of it.
 */
#include "measure/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "ctl/ctl.h"

static int read_request(const char *path, struct segment_request *ret, struct error *e)
{
	_cleanup_free_ char *text = NULL;
	json_error_t je;
	json_t *json;
	size_t size;
	int r = ctl_read_file(path, &text, &size, e);

	if (r < 0)
		return r;
	json = json_loadb(text, size, JSON_REJECT_DUPLICATES, &je);
	if (!json)
		return error_set(e, -EBADMSG, "%s is not JSON: %s", path, je.text);
	r = segment_request_from_json(json, ret, e);
	json_decref(json);
	return r < 0 ? error_prefix(e, "%s: ", path) : 0;
}

static int write_outcome(const char *path, const struct segment_outcome *o, struct error *e)
{
	_cleanup_free_ char *other = NULL;
	json_t *json = segment_outcome_to_json(o);
	int r = json ? 0 : -ENOMEM;

	if (asprintf(&other, "%s.tmp", path) < 0) {
		other = NULL;
		r = -ENOMEM;
	}
	if (r == 0 && json_dump_file(json, other, JSON_COMPACT) < 0)
		r = errno ? -errno : -EIO;
	if (r == 0 && rename(other, path) < 0)
		r = -errno;
	json_decref(json);
	return r < 0 ? error_set(e, r, "writing %s: %s", path, strerror(-r)) : 0;
}

int command_segment(struct ctl *c, struct error *e)
{
	_cleanup_(segment_request_done) struct segment_request rq = { 0 };
	_cleanup_(segment_outcome_done) struct segment_outcome o = { 0 };
	char workdir[] = "/run/latencyd-segment.XXXXXX";
	int r = read_request(c->args[0], &rq, e);

	if (r < 0)
		return r;
	if (!mkdtemp(workdir))
		return error_set(e, -errno, "making %s: %s", workdir, strerror(errno));
	r = segment_run(&rq, workdir, NULL, NULL, &o, e);
	(void)rmdir(workdir);
	return r < 0 ? r : write_outcome(c->args[1], &o, e);
}

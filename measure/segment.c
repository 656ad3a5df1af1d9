/*
 * The model: load, tool, evidence. The load begins first and ends last; the tool writes into a
 * folder of the caller's, and what it wrote is read back and removed, so that the next segment
 * finds the folder empty. Nothing is judged here: whatever happened becomes the outcome.
 */
#include "measure/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "measure/cyclictest.h"
#include "measure/fingerprint.h"
#include "measure/load.h"

#define JSON_NAME	"cyclictest.json"
#define JSON_MAX	(4 << 20)
#define OUTPUT_MAX	(64 << 10)
#define GRACE_S		30 /* starting, ending and writing take seconds under emulation */
#define HELP_DEADLINE_S 30
#define LOAD_LEAD_MS	500 /* until a load's workers are there */

struct segment {
	const struct segment_tools *tools;
	const struct segment_request *rq;
	tool_tick_fn tick;
	void *userdata;
	struct load *load;
	struct arena arena;
	char *path, *json_path;
	char **argv;
	struct segment_outcome outcome;
};

void segment_request_done(struct segment_request *rq)
{
	free(rq->id);
	free(rq->load);
	cpuset_done(&rq->cpus);
	cpuset_done(&rq->housekeeping);
	*rq = (struct segment_request){ 0 };
}

void segment_outcome_done(struct segment_outcome *o)
{
	free(o->not_started);
	free(o->json);
	free(o->output);
	free(o->load_trouble);
	json_decref(o->argv);
	json_decref(o->load);
	json_decref(o->fingerprint);
	*o = (struct segment_outcome){ 0 };
}

static void segment_done(struct segment *s)
{
	json_t *evidence = NULL;
	char *trouble = NULL;

	(void)load_end(s->load, &evidence, &trouble);
	json_decref(evidence);
	free(trouble);
	segment_outcome_done(&s->outcome);
	free(s->path);
	free(s->json_path);
	arena_free(&s->arena);
}

static int not_started(struct segment *s, const char *fmt, ...) printf_like(2, 3);

static int not_started(struct segment *s, const char *fmt, ...)
{
	va_list ap;
	int n;

	free(s->outcome.not_started);
	va_start(ap, fmt);
	n = vasprintf(&s->outcome.not_started, fmt, ap);
	va_end(ap);
	if (n >= 0)
		return 0;
	s->outcome.not_started = NULL;
	return -ENOMEM;
}

static int note_argv(struct segment *s)
{
	s->outcome.argv = json_array();
	for (char **arg = s->argv; arg && *arg; arg++)
		if (json_array_append_new(s->outcome.argv, json_string(*arg)) < 0)
			return -ENOMEM;
	return s->outcome.argv ? 0 : -ENOMEM;
}

/* Finds the tool and asks what it can do. */
static int prepare_tool(struct segment *s)
{
	_cleanup_error_ struct error e = { 0 };
	_cleanup_free_ char *help = NULL;
	int r = 0;

	if (s->tools->cyclictest)
		r = (s->path = strdup(s->tools->cyclictest)) ? 0 : -ENOMEM;
	else
		r = tool_find("cyclictest", &s->path);
	if (r == -ENOENT)
		return not_started(s, "cyclictest is not installed: install the package %s",
				   FINGERPRINT_TOOL_PACKAGE);
	if (r == 0)
		r = tool_output(s->path, (char *[]){ s->path, (char[]){ "--help" }, NULL },
				HELP_DEADLINE_S, &help, &e);
	if (r == 0)
		r = cyclictest_argv(
			&(struct cyclictest_request){
				.tool = s->path,
				.cpus = &s->rq->cpus,
				.housekeeping = &s->rq->housekeeping,
				.interval_us = s->rq->interval_us,
				.duration_s = s->rq->duration_s,
				.histogram_us = s->rq->histogram_us,
				.json_path = s->json_path,
			},
			help, &s->arena, &s->argv, &e);
	if (r == 0)
		return note_argv(s);
	if (r == -ENOMEM)
		return r;
	return not_started(s, "%s%s%s", e.what ? e.what : strerror(-r), e.todo ? ": " : "",
			   e.todo ? e.todo : "");
}

static int tick(unsigned elapsed_s, void *userdata)
{
	struct segment *s = userdata;

	load_check(s->load);
	return s->tick ? s->tick(elapsed_s, s->userdata) : 0;
}

/* At most @max bytes of the file, malloc()ed; -ENOENT, -EFBIG, -EINVAL (no file). */
static int read_fd(int fd, size_t max, bool clip, char **ret)
{
	_cleanup_free_ char *text = NULL;
	struct stat st;
	size_t size, n = 0;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if ((size_t)st.st_size > max && !clip)
		return -EFBIG;
	size = (size_t)st.st_size > max ? max : (size_t)st.st_size;
	text = malloc(size + 1);
	if (!text)
		return -ENOMEM;
	while (n < size) {
		ssize_t r = pread(fd, text + n, size - n, (off_t)n);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			break;
		n += (size_t)r;
	}
	text[n] = 0;
	*ret = take_ptr(text);
	return 0;
}

/* What is no readable file is a result too, a broken one: empty text is not JSON. */
static int read_json(struct segment *s)
{
	_cleanup_close_ int fd = open(s->json_path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int r;

	if (fd < 0 && errno == ENOENT)
		return 0;
	r = fd < 0 ? -errno : read_fd(fd, JSON_MAX, false, &s->outcome.json);
	if (r == 0 || r == -ENOMEM)
		return r;
	s->outcome.json = strdup("");
	return s->outcome.json ? 0 : -ENOMEM;
}

static int run_tool(struct segment *s, struct error *e)
{
	_cleanup_close_ int fd = memfd_create("segment-output", MFD_CLOEXEC);
	struct tool_run run = {
		.path = s->path,
		.argv = s->argv,
		.output_fd = fd,
		.deadline_s = s->rq->duration_s + s->tools->grace_s,
		.tick = tick,
		.userdata = s,
	};
	int r;

	if (fd < 0)
		return error_set(e, -errno, "making a file for what the tool says: %s",
				 strerror(errno));
	(void)unlink(s->json_path); /* of a segment that a crash cut off */
	r = tool_run(&run, &s->outcome.tool, e);
	if (r < 0)
		return r;
	if (s->outcome.tool.spawn_error)
		return not_started(s, "%s could not be started: %s", s->path,
				   strerror(s->outcome.tool.spawn_error));
	r = read_json(s);
	(void)unlink(s->json_path);
	if (r == 0)
		r = read_fd(fd, OUTPUT_MAX, true, &s->outcome.output);
	return r;
}

/* Only the load's own CPUs: one on a measured CPU would be what is measured. */
static int begin_load(struct segment *s, const char *workdir, struct error *e)
{
	const struct timespec lead = { .tv_nsec = LOAD_LEAD_MS * 1000000L };
	_cleanup_cpuset_ struct cpuset cpus = { 0 };
	int r = cpuset_copy(&cpus, &s->rq->housekeeping);

	if (r < 0)
		return r;
	cpuset_andnot(&cpus, &s->rq->cpus);
	r = load_start(&(struct load_request){ .kind = s->rq->load,
					       .cpus = &cpus,
					       .tool = s->tools->stress,
					       .workdir = workdir,
					       .duration_s = s->rq->duration_s },
		       &s->load, e);
	if (r == 0 && s->load)
		nanosleep(&lead, NULL);
	return r;
}

static int take_fingerprint(struct segment *s, struct error *e)
{
	const struct desired d = { .isolated = s->rq->cpus, .housekeeping = s->rq->housekeeping };
	const struct fingerprint_test test = { .latencyd_version = PACKAGE_VERSION,
					       .profile = "segment",
					       .interval_us = s->rq->interval_us,
					       .duration_s = s->rq->duration_s };
	_cleanup_sysroot_ struct sysroot root = { .fd = -1 };
	_cleanup_observed_ struct observed o = { 0 };
	int r = sysroot_open(NULL, &root, e);

	if (r == 0)
		r = observe(&root, &d, &o);
	return r < 0 ? r : fingerprint_make(&root, &d, &o, &test, &s->outcome.fingerprint);
}

int segment_run_with(const struct segment_tools *tools, const struct segment_request *rq,
		     const char *workdir, tool_tick_fn tick_fn, void *userdata,
		     struct segment_outcome *ret, struct error *e)
{
	_cleanup_(segment_done) struct segment s = {
		.tools = tools, .rq = rq, .tick = tick_fn, .userdata = userdata
	};
	int r = 0;

	if (asprintf(&s.json_path, "%s/" JSON_NAME, workdir) < 0) {
		s.json_path = NULL;
		r = -ENOMEM;
	}
	if (r == 0)
		r = prepare_tool(&s);
	if (r == 0 && !s.outcome.not_started)
		r = begin_load(&s, workdir, e);
	if (r == 0 && !s.outcome.not_started)
		r = run_tool(&s, e);
	if (r == 0)
		r = load_end(take_ptr(s.load), &s.outcome.load, &s.outcome.load_trouble);
	if (r == 0)
		r = take_fingerprint(&s, e);
	if (r < 0)
		return r == -ENOMEM ? error_set(e, r, "measuring a segment: out of memory") : r;
	*ret = s.outcome;
	s.outcome = (struct segment_outcome){ 0 };
	return 0;
}

int segment_run(const struct segment_request *rq, const char *workdir, tool_tick_fn tick_fn,
		void *userdata, struct segment_outcome *ret, struct error *e)
{
	static const struct segment_tools tools = { .grace_s = GRACE_S };

	return segment_run_with(&tools, rq, workdir, tick_fn, userdata, ret, e);
}

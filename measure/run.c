/*
 * The model: look, measure, look again. A look is one observation, judged; the machine (and the
 * guest that is measured) must be verified at the first, at every one while a tool runs and at the
 * last, and the fingerprint must be the same at both ends. The first look that fails ends the run:
 * what would be measured from then on is another machine.
 *
 * A run is cells, a cell is segments. Each segment is on disk before the next begins; a run that
 * was killed goes on behind its last whole segment, after a first look of its own.
 *
 * Invariants: nothing is written and nothing started on a machine that is not verified; whatever
 * happens after the start becomes a kept result with a verdict.
 */
#include "measure/run_inside.h"

#include <errno.h>

#include "measure/fingerprint.h"
#include "measure/json_text.h"
#include "measure/report.h"

#define RESULT_NAME "result.json"

static void measurement_done(struct measurement *m)
{
	json_t *evidence = NULL;
	char *trouble = NULL;

	(void)load_end(m->load, &evidence, &trouble);
	json_decref(evidence);
	free(trouble);
	for (size_t i = 0; i < m->rec.n_cells; i++)
		cell_record_done(&m->rec.cells[i]);
	free(m->rec.cells);
	free(m->rec.sentence);
	json_decref(m->rec.guest_fingerprint);
	cpuset_done(&m->cpus);
	cpuset_done(&m->housekeeping);
	cpuset_done(&m->beside);
	look_state_done(&m->before);
	look_state_done(&m->after);
	json_decref(m->kept);
	json_decref(m->drift);
	json_decref(m->fingerprint_after);
	json_decref(m->guest_after);
	free(m->drift_text);
	keep_close(&m->keep);
}

void run_done(struct run *r)
{
	if (!r)
		return;
	free(r->id);
	free(r->directory);
	free(r->sentence);
	json_decref(r->result);
	*r = (struct run){ 0 };
}

static int look(const struct measurement *m, bool fingerprint, struct look_state *ret)
{
	const struct fingerprint_test test = {
		.latencyd_version = PACKAGE_VERSION,
		.profile = m->rec.measure.profile,
		.interval_us = m->rec.measure.interval_us,
		.duration_s = m->rec.duration_s,
	};

	return look_state_take(&(struct look_request){ .hooks = m->hooks,
						       .options = m->options,
						       .root = m->root,
						       .d = m->d,
						       .test = fingerprint ? &test : NULL },
			       ret);
}

/* The first drift counts; @l is the look that found it. */
static int note_drift(struct measurement *m, const char *phase, const struct look_state *l)
{
	const char *at = json_string_value(json_object_get(l->state, "at"));

	if (m->drift)
		return 0;
	m->drift = json_pack("{s:s, s:s, s:o, s:O}", "at", at, "phase", phase, "reason",
			     json_text(l->unverified), "state", l->state);
	if (!m->drift)
		return -ENOMEM;
	if (asprintf(&m->drift_text, "%s, seen at %s", l->unverified, at) < 0) {
		m->drift_text = NULL;
		return -ENOMEM;
	}
	m->drift_cell = m->cell;
	m->stopped = m->drift_text;
	return 0;
}

/* Is the guest in another boot than at the start? */
static void note_guest(struct measurement *m, const struct look_state *l)
{
	if (!m->before.guest_boot_id || !l->guest_boot_id ||
	    streq(m->before.guest_boot_id, l->guest_boot_id))
		return;
	m->rebooted = true;
	m->stopped = "the guest was booted again";
}

/* A guest that measures has little time left to answer: one silence is none, some in a row are. */
#define SILENCES 3

static int look_patiently(const struct measurement *m, bool fingerprint, struct look_state *ret)
{
	int r = look(m, fingerprint, ret);

	for (unsigned n = 1; r >= 0 && ret->guest_unknown && n < SILENCES; n++) {
		look_state_done(ret);
		r = look(m, fingerprint, ret);
	}
	return r;
}

static int tick(unsigned elapsed_s, void *userdata)
{
	struct measurement *m = userdata;
	_cleanup_(look_state_done) struct look_state l = { 0 };
	unsigned total_s = m->rec.duration_s * (unsigned)m->rec.n_cells;
	int r;

	load_check(m->load);
	if (elapsed_s > m->segment_s)
		elapsed_s = m->segment_s;
	if (m->progress)
		m->progress(m->done_s + elapsed_s, total_s, m->userdata);
	r = look_patiently(m, false, &l);
	if (r < 0)
		return r;
	note_guest(m, &l);
	if (l.unverified)
		r = note_drift(m, "during", &l);
	return r < 0 ? r : m->stopped ? 1 : 0;
}

/* ---- one segment ---- */

static char *segment_name(const struct measurement *m, unsigned index)
{
	char *name;

	return asprintf(&name, "cells/%s/segment-%04u.json", m->rec.cells[m->cell].cell.name,
			index) < 0
		       ? NULL
		       : name;
}

static int make_request(const struct measurement *m, unsigned index, unsigned duration_s,
			struct segment_request *rq)
{
	const struct cell_record *c = &m->rec.cells[m->cell];
	const char *load = m->options->target->guest ? c->cell.guest_load : c->cell.host_load;

	if (asprintf(&rq->id, "%s/%s/%u", m->keep.id, c->cell.name, index) < 0) {
		rq->id = NULL;
		return -ENOMEM;
	}
	rq->load = strdup(load);
	rq->interval_us = m->rec.measure.interval_us;
	rq->duration_s = duration_s;
	rq->histogram_us = m->rec.histogram_us;
	if (!rq->load || cpuset_copy(&rq->cpus, &m->cpus) < 0 ||
	    cpuset_copy(&rq->housekeeping, &m->housekeeping) < 0)
		return -ENOMEM;
	return 0;
}

/* Runs it, with this machine's load beside it when a guest is measured. */
static int carry_out(struct measurement *m, const struct segment_request *rq,
		     struct segment_record *s, struct error *e)
{
	_cleanup_free_ char *workdir = keep_path(&m->keep, ".");
	struct target *t = m->options->target;
	int r = workdir ? 0 : -ENOMEM, end;

	if (r == 0 && t->guest)
		r = load_start(&(struct load_request){ .kind = m->rec.cells[m->cell].cell.host_load,
						       .cpus = &m->beside,
						       .tool = m->hooks->stress,
						       .workdir = workdir,
						       .duration_s = rq->duration_s },
			       &m->load, e);
	if (r < 0)
		return r;
	r = t->run_segment(t, rq, workdir, tick, m, &s->outcome, e);
	end = load_end(take_ptr(m->load), &s->host_load, &s->host_load_trouble);
	if (r == 0 && s->outcome.tool.stopped < 0)
		return error_set(e, s->outcome.tool.stopped, "looking at the machine: %s",
				 strerror(-s->outcome.tool.stopped));
	if (r == -EHOSTDOWN) {
		s->unreachable = strdup(e && e->what ? e->what : "it is gone");
		m->stopped = "the guest no longer answers";
		error_clear(e);
		r = s->unreachable ? 0 : -ENOMEM;
	}
	return r < 0 ? r : end;
}

/* The guest says itself what it is; it must stay that. */
static void note_fingerprint(struct measurement *m, const struct segment_record *s)
{
	if (!m->options->target->guest || !s->outcome.fingerprint)
		return;
	if (!m->rec.guest_fingerprint)
		m->rec.guest_fingerprint = json_incref(s->outcome.fingerprint);
	else if (!fingerprint_equal(m->rec.guest_fingerprint, s->outcome.fingerprint)) {
		json_decref(m->guest_after);
		m->guest_after = json_incref(s->outcome.fingerprint);
	}
}

static int add_segment(struct cell_record *c, struct segment_record *s)
{
	struct segment_record *more = reallocarray(c->segments, c->n_segments + 1, sizeof(*more));

	if (!more)
		return -ENOMEM;
	c->segments = more;
	c->segments[c->n_segments++] = *s;
	*s = (struct segment_record){ 0 };
	return 0;
}

static int run_segment(struct measurement *m, unsigned index, unsigned duration_s, struct error *e)
{
	_cleanup_(segment_request_done) struct segment_request rq = { 0 };
	_cleanup_(segment_record_done) struct segment_record s = { .index = index,
								   .duration_s = duration_s };
	_cleanup_free_ char *name = segment_name(m, index);
	int r = name ? make_request(m, index, duration_s, &rq) : -ENOMEM;

	iso_time(time(NULL), s.started);
	m->segment_s = duration_s;
	if (r == 0)
		r = carry_out(m, &rq, &s, e);
	if (r == 0)
		r = run_keep_json(m, name, segment_record_to_json(&s), e);
	if (r < 0)
		return r;
	m->keep.worth = true;
	if (!s.unreachable && (s.outcome.not_started || !s.outcome.json) && !m->stopped)
		m->stopped = "the tool failed";
	note_fingerprint(m, &s);
	r = segment_record_parse(&s);
	return r < 0 ? r : add_segment(&m->rec.cells[m->cell], &s);
}

/* ---- cells ---- */

/* What an interrupted run left of this cell, up to the first that is missing or not whole. */
static int load_kept(struct measurement *m)
{
	struct cell_record *c = &m->rec.cells[m->cell];

	for (unsigned index = 1;; index++) {
		_cleanup_(segment_record_done) struct segment_record s = { 0 };
		_cleanup_free_ char *name = segment_name(m, index), *text = NULL;
		json_t *json;
		int r;

		if (!name)
			return -ENOMEM;
		r = keep_read(&m->keep, name, &text, NULL);
		json = r < 0 ? NULL : json_loads(text, JSON_REJECT_DUPLICATES, NULL);
		r = json ? segment_record_from_json(json, &s) : -ENOENT;
		json_decref(json);
		if (r == -ENOMEM)
			return r;
		if (r < 0 || s.index != index)
			return 0;
		note_fingerprint(m, &s);
		m->done_s += s.duration_s;
		r = add_segment(c, &s);
		if (r < 0)
			return r;
	}
}

static int run_cell(struct measurement *m, struct error *e)
{
	struct cell_record *c = &m->rec.cells[m->cell];
	unsigned done_s = 0;
	struct timespec now;
	int r = m->kept ? load_kept(m) : 0;

	for (size_t i = 0; i < c->n_segments; i++)
		done_s += c->segments[i].duration_s;
	while (r == 0 && done_s < m->rec.duration_s && !m->stopped) {
		unsigned left = m->rec.duration_s - done_s;
		unsigned n = left < m->rec.segment_s ? left : m->rec.segment_s;

		r = run_segment(m, (unsigned)c->n_segments + 1, n, e);
		done_s += n;
		m->done_s += n;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	c->ended_s = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
	return r;
}

static const char *kernel_value(const json_t *fingerprint, const char *key)
{
	const char *s =
		json_string_value(json_object_get(json_object_get(fingerprint, "kernel"), key));

	return s ? s : "";
}

static void fill_input(const struct segment_record *s, struct segment_input *in)
{
	*in = (struct segment_input){
		.duration_s = s->duration_s,
		.not_started = s->outcome.not_started,
		.unreachable = s->unreachable,
		.wait_status = s->outcome.tool.wait_status,
		.timed_out = s->outcome.tool.timed_out,
		.elapsed_ms = s->outcome.tool.elapsed_ms,
		.output = s->outcome.output ? s->outcome.output : "",
		.result = s->has_result ? &s->result : NULL,
		.result_error = s->result_error,
		.load_trouble =
			s->outcome.load_trouble ? s->outcome.load_trouble : s->host_load_trouble,
	};
}

static int judge_cell(struct measurement *m, size_t index)
{
	struct cell_record *c = &m->rec.cells[index];
	const json_t *measured =
		m->options->target->guest ? m->rec.guest_fingerprint : m->rec.fingerprint;
	const json_t *before = m->before.fingerprint, *after = m->after.fingerprint;
	_cleanup_free_ struct segment_input *segments =
		calloc(c->n_segments + 1, sizeof(*segments));
	struct run_input in = {
		.measure = &m->rec.measure,
		.asked = &m->cpus,
		.duration_s = m->rec.duration_s,
		.histogram_us = m->rec.histogram_us,
		.segments = segments,
		.n_segments = c->n_segments,
		.stopped = m->stopped,
		.drift = m->drift && m->drift_cell == index ? m->drift_text : NULL,
		.fingerprint_changed =
			m->guest_after || !fingerprint_equal(m->rec.fingerprint, after),
		.rebooted = m->rebooted || !json_equal(json_object_get(before, "boot_id"),
						       json_object_get(after, "boot_id")),
		.clock_changed = !streq(kernel_value(before, "clocksource"),
					kernel_value(after, "clocksource")),
		.rt_throttled =
			measured && !streq(kernel_value(measured, "sched_rt_runtime_us"), "-1"),
	};

	if (!segments)
		return -ENOMEM;
	for (size_t i = 0; i < c->n_segments; i++)
		fill_input(&c->segments[i], &segments[i]);
	return judge_run(&in, &c->judgement);
}

/* From the first segment to the judgement. */
static int measure(struct measurement *m, struct error *e)
{
	int r = 0;

	for (m->cell = 0; r == 0 && m->cell < m->rec.n_cells; m->cell++)
		r = run_cell(m, e);
	if (r < 0)
		return r;
	m->cell = m->rec.n_cells - 1;
	iso_time(time(NULL), m->rec.ended);
	r = look_patiently(m, true, &m->after);
	if (r == 0)
		note_guest(m, &m->after);
	if (r == 0 && m->after.unverified)
		r = note_drift(m, "after", &m->after);
	for (size_t i = 0; r == 0 && i < m->rec.n_cells; i++)
		r = judge_cell(m, i);
	return r < 0 ? r : run_conclude(&m->rec);
}

/* Of each machine that is another one than at the beginning. */
static int note_fingerprint_after(struct measurement *m)
{
	bool host = !fingerprint_equal(m->rec.fingerprint, m->after.fingerprint);

	if (!host && !m->guest_after)
		return 0;
	m->fingerprint_after = json_pack("{s:O*, s:O*}", "host", host ? m->after.fingerprint : NULL,
					 "guest", m->guest_after);
	m->rec.fingerprint_after = m->fingerprint_after;
	return m->fingerprint_after ? 0 : -ENOMEM;
}

static int keep_result(struct measurement *m, struct run *ret, struct error *e)
{
	_cleanup_(run_done) struct run run = { .verdict = m->rec.verdict };
	int r;

	m->rec.after = m->after.state;
	m->rec.drift = m->drift;
	r = note_fingerprint_after(m);
	if (r < 0)
		return r;
	run.result = run_result_json(&m->rec);
	run.id = strdup(m->keep.id);
	run.sentence = strdup(m->rec.sentence);
	if (!run.result || !run.id || !run.sentence ||
	    asprintf(&run.directory, "%s/%s", m->keep.directory, m->keep.id) < 0) {
		run.directory = NULL;
		return -ENOMEM;
	}
	r = run_keep_json(m, RESULT_NAME, json_incref(run.result), e);
	/* A page that cannot be written is no reason to lose the result: `report` says why. */
	if (r == 0)
		(void)report_write_all(m->keep.run_fd, run.result, NULL);
	if (r == 0)
		r = keep_commit(&m->keep, e);
	if (r < 0)
		return r;
	*ret = run;
	run = (struct run){ 0 };
	return 0;
}

/* Starts only from a verified machine. */
static int first_look(struct measurement *m, struct error *e)
{
	int r = look(m, true, &m->before);

	if (r < 0 || !m->before.unverified)
		return r;
	error_set(e, -EPERM, "not measuring, for the machine is not verified: %s",
		  m->before.unverified);
	error_todo(e, "run 'latencyctl plan' and 'latencyctl apply', then measure again");
	return -EPERM;
}

int measure_run_with(const struct measure_hooks *hooks, const struct sysroot *root,
		     struct desired *d, const struct measure_options *options,
		     measure_progress_fn progress, void *userdata, struct run *ret, struct error *e)
{
	_cleanup_(measurement_done) struct measurement m = {
		.hooks = hooks,
		.options = options,
		.root = root,
		.d = d,
		.progress = progress,
		.userdata = userdata,
		.keep = KEEP_INIT,
	};
	int r = run_prepare(&m, e);

	if (r == 0)
		r = first_look(&m, e);
	if (r == 0)
		r = run_begin(&m, e);
	if (r == 0)
		r = measure(&m, e);
	if (r == 0)
		r = keep_result(&m, ret, e);
	if (r == -ENOMEM)
		return error_set(e, r, "measuring: out of memory");
	return r;
}

int measure_run(const struct sysroot *root, struct desired *d,
		const struct measure_options *options, measure_progress_fn progress, void *userdata,
		struct run *ret, struct error *e)
{
	static const struct measure_hooks hooks = {
		.runs_directory = RUNS_DIRECTORY,
		.judge = judge,
	};

	return measure_run_with(&hooks, root, d, options, progress, userdata, ret, e);
}

char *measure_interrupted(void)
{
	return keep_interrupted(RUNS_DIRECTORY);
}

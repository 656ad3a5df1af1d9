/*
 * The model: look, measure, look again. A look is one observation, judged; the machine must be
 * verified at the first, at every one while the tool runs and at the last, and its fingerprint must
 * be the same at both ends. The first look that fails while the tool runs ends it: what it measures
 * from then on is another machine.
 *
 * Invariants: nothing is written and nothing started on a machine that is not verified; whatever
 * happens after the start becomes a kept result with a verdict.
 *
 * Loads on the housekeeping CPUs, reports and guests have their place around measure(): a load
 * starts before it and is proven alive in tick(); a guest is another machine with its own looks.
 */
#include "measure/run.h"

#include <errno.h>
#include <stdarg.h>

#include "measure/fingerprint.h"
#include "measure/json_text.h"
#include "measure/keep.h"
#include "state/settings.h"

#define JSON_NAME   "cyclictest.json"
#define OUTPUT_NAME "cyclictest.out"
#define RESULT_NAME "result.json"
/* Beyond the duration: starting, ending and writing its result take seconds under emulation. */
#define GRACE_S		30
#define HELP_DEADLINE_S 30

/* One look at the machine. */
struct look {
	json_t *state;	     /* {"at", "verdict", "settings": {name: verdict}} */
	json_t *fingerprint; /* NULL when it was not asked for */
	char *unverified;    /* the settings that are not as declared, and why; NULL: verified */
};

struct measurement {
	const struct measure_hooks *hooks;
	const struct sysroot *root;
	const struct desired *d;
	measure_progress_fn progress;
	void *userdata;

	struct arena arena;
	struct run_record rec;
	struct keep keep;
	struct look before, after;
	json_t *drift;
	char *drift_text;
	char *tool, *not_started, *output, *result_error;
	struct cyclictest_result result;
	struct run_judgement judgement;
};

static void look_done(struct look *l)
{
	json_decref(l->state);
	json_decref(l->fingerprint);
	free(l->unverified);
	*l = (struct look){ 0 };
}

static void measurement_done(struct measurement *m)
{
	run_judgement_done(&m->judgement);
	cyclictest_result_done(&m->result);
	look_done(&m->before);
	look_done(&m->after);
	json_decref(m->drift);
	free(m->drift_text);
	free(m->tool);
	free(m->not_started);
	free(m->output);
	free(m->result_error);
	keep_close(&m->keep);
	arena_free(&m->arena);
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

static void iso_time(time_t t, char ret[ISO_TIME_SIZE])
{
	struct tm tm = { 0 };

	gmtime_r(&t, &tm);
	strftime(ret, ISO_TIME_SIZE, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

static bool stands_in_the_way(const struct setting_verdict *v)
{
	return v->setting->severity == SEVERITY_REQUIRED && v->verdict != VERDICT_CONVERGED &&
	       v->verdict != VERDICT_NOT_APPLICABLE && v->verdict != VERDICT_UNMANAGED;
}

/* "irq_affinity is drifted (IRQ 24 is on CPU 3); watchdogs is unknown": NULL when out of memory. */
static char *unverified_text(const struct report *report)
{
	char *text = NULL;
	size_t size, n = 0;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	for (size_t i = 0; i < report->n_settings; i++) {
		const struct setting_verdict *v = &report->settings[i];

		if (!stands_in_the_way(v))
			continue;
		fprintf(f, "%s%s is %s", n++ ? "; " : "", v->setting->name,
			verdict_name(v->verdict));
		if (v->reason)
			fprintf(f, " (%s)", v->reason);
	}
	if (!n)
		fprintf(f, "the machine is %s", machine_verdict_name(report->verdict));
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

static json_t *state_json(const struct report *report, time_t now)
{
	json_t *settings = json_object();
	char at[ISO_TIME_SIZE];

	for (size_t i = 0; i < report->n_settings; i++) {
		const struct setting_verdict *v = &report->settings[i];

		if (json_object_set_new(settings, v->setting->name,
					json_string(verdict_name(v->verdict))) < 0) {
			json_decref(settings);
			return NULL;
		}
	}
	iso_time(now, at);
	return json_pack("{s:s, s:s, s:o}", "at", at, "verdict",
			 machine_verdict_name(report->verdict), "settings", settings);
}

static int look(const struct measurement *m, bool fingerprint, struct look *ret)
{
	const struct fingerprint_test test = {
		.latencyd_version = PACKAGE_VERSION,
		.profile = m->rec.measure.profile,
		.interval_us = m->rec.measure.interval_us,
		.duration_s = m->rec.duration_s,
	};
	_cleanup_observed_ struct observed o = { 0 };
	_cleanup_report_ struct report report = { 0 };
	_cleanup_(look_done) struct look l = { 0 };
	int r = m->hooks->observe(m->root, m->d, &o);

	if (r == 0)
		r = m->hooks->judge(m->d, &o, &report);
	if (r == 0 && fingerprint)
		r = fingerprint_make(m->root, m->d, &o, &test, &l.fingerprint);
	if (r < 0)
		return r;
	l.state = state_json(&report, time(NULL));
	if (report.verdict != MACHINE_VERIFIED)
		l.unverified = unverified_text(&report);
	if (!l.state || (report.verdict != MACHINE_VERIFIED && !l.unverified))
		return -ENOMEM;
	*ret = l;
	l = (struct look){ 0 };
	return 0;
}

/* The first drift counts; @l is the look that found it. */
static int note_drift(struct measurement *m, const char *phase, const struct look *l)
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
	return 0;
}

static int tick(unsigned elapsed_s, void *userdata)
{
	struct measurement *m = userdata;
	_cleanup_(look_done) struct look l = { 0 };
	int r;

	if (elapsed_s > m->rec.duration_s)
		elapsed_s = m->rec.duration_s;
	if (m->progress)
		m->progress(elapsed_s, m->rec.duration_s, m->userdata);
	r = look(m, false, &l);
	if (r < 0 || !l.unverified)
		return r;
	r = note_drift(m, "during", &l);
	return r < 0 ? r : 1;
}

static int not_started(struct measurement *m, const char *fmt, ...) printf_like(2, 3);

/* The tool does not run: a verdict, not an error of ours. */
static int not_started(struct measurement *m, const char *fmt, ...)
{
	va_list ap;
	int n;

	free(m->not_started);
	va_start(ap, fmt);
	n = vasprintf(&m->not_started, fmt, ap);
	va_end(ap);
	if (n >= 0)
		return 0;
	m->not_started = NULL;
	return -ENOMEM;
}

/* Finds the tool and asks what it can do. */
static int prepare_tool(struct measurement *m)
{
	_cleanup_free_ char *help = NULL, *json_path = keep_path(&m->keep, JSON_NAME);
	_cleanup_error_ struct error e = { 0 };
	char **argv = NULL;
	int r;

	if (!json_path)
		return -ENOMEM;
	m->tool = m->hooks->tool ? strdup(m->hooks->tool) : NULL;
	r = m->tool ? 0 : m->hooks->tool ? -ENOMEM : tool_find("cyclictest", &m->tool);
	if (r == -ENOENT)
		return not_started(m, "cyclictest is not installed: install the package %s",
				   FINGERPRINT_TOOL_PACKAGE);
	if (r < 0)
		return r;
	r = tool_output(m->tool, (char *[]){ m->tool, (char[]){ "--help" }, NULL }, HELP_DEADLINE_S,
			&help, &e);
	if (r == 0)
		r = cyclictest_argv(
			&(struct cyclictest_request){
				.tool = m->tool,
				.cpus = &m->d->isolated,
				.housekeeping = &m->d->housekeeping,
				.interval_us = m->rec.measure.interval_us,
				.duration_s = m->rec.duration_s,
				.histogram_us = m->rec.histogram_us,
				.json_path = json_path,
			},
			help, &m->arena, &argv, &e);
	m->rec.argv = argv;
	if (r == -ENOMEM || r == 0)
		return r;
	return not_started(m, "%s%s%s", e.what ? e.what : strerror(-r), e.todo ? ": " : "",
			   e.todo ? e.todo : "");
}

static int run_tool(struct measurement *m, struct error *e)
{
	_cleanup_close_ int fd = keep_create(&m->keep, OUTPUT_NAME);
	struct tool_run run = {
		.path = m->tool,
		.argv = m->rec.argv,
		.output_fd = fd,
		.deadline_s = m->rec.duration_s + m->hooks->grace_s,
		.tick = tick,
		.userdata = m,
	};
	int r;

	if (fd < 0)
		return error_set(e, fd, "making %s: %s", OUTPUT_NAME, strerror(-fd));
	r = tool_run(&run, &m->rec.outcome, e);
	if (r < 0)
		return r;
	if (m->rec.outcome.stopped < 0)
		return error_set(e, m->rec.outcome.stopped, "looking at the machine: %s",
				 strerror(-m->rec.outcome.stopped));
	if (m->rec.outcome.spawn_error)
		return not_started(m, "%s could not be started: %s", m->tool,
				   strerror(m->rec.outcome.spawn_error));
	return 0;
}

static int read_result(struct measurement *m)
{
	_cleanup_error_ struct error e = { 0 };
	_cleanup_free_ char *text = NULL;
	size_t size;
	int r = keep_read(&m->keep, JSON_NAME, &text, &size);

	if (r == -ENOENT || r == -ENOMEM)
		return r == -ENOMEM ? r : 0;
	if (r < 0)
		error_set(&e, r, "the result of cyclictest cannot be read: %s", strerror(-r));
	else
		r = cyclictest_parse(text, size, &m->result, &e);
	if (r == 0)
		m->rec.result = &m->result;
	if (r == 0 || r == -ENOMEM)
		return r;
	m->result_error = strdup(e.what ? e.what : "the result of cyclictest cannot be read");
	return m->result_error ? 0 : -ENOMEM;
}

static const char *kernel_value(const struct look *l, const char *key)
{
	const char *s =
		json_string_value(json_object_get(json_object_get(l->fingerprint, "kernel"), key));

	return s ? s : "";
}

static int judge_measurement(struct measurement *m)
{
	const json_t *boot_id = json_object_get(m->before.fingerprint, "boot_id");
	const struct run_record *rec = &m->rec;
	struct run_input in = {
		.measure = &rec->measure,
		.asked = &m->d->isolated,
		.duration_s = rec->duration_s,
		.histogram_us = rec->histogram_us,
		.not_started = m->not_started,
		.wait_status = rec->outcome.wait_status,
		.timed_out = rec->outcome.timed_out,
		.elapsed_ms = rec->outcome.elapsed_ms,
		.output = m->output ? m->output : "",
		.result = rec->result,
		.result_error = m->result_error,
		.drift = m->drift_text,
		.fingerprint_changed =
			!fingerprint_equal(m->before.fingerprint, m->after.fingerprint),
		.rebooted = !json_equal(boot_id, json_object_get(m->after.fingerprint, "boot_id")),
		.clock_changed = !streq(kernel_value(&m->before, "clocksource"),
					kernel_value(&m->after, "clocksource")),
		.rt_throttled = !streq(kernel_value(&m->before, "sched_rt_runtime_us"), "-1"),
	};

	return judge_run(&in, &m->judgement);
}

/* From the start of the tool to the judgement. */
static int measure(struct measurement *m, struct error *e)
{
	int r = prepare_tool(m);

	iso_time(time(NULL), m->rec.started);
	if (r == 0 && !m->not_started)
		r = run_tool(m, e);
	iso_time(time(NULL), m->rec.ended);
	if (r == 0)
		r = look(m, true, &m->after);
	if (r == 0 && m->after.unverified)
		r = note_drift(m, "after", &m->after);
	if (r == 0 && !m->not_started)
		r = read_result(m);
	if (r == 0 && !m->not_started)
		r = keep_read(&m->keep, OUTPUT_NAME, &m->output, NULL);
	return r < 0 ? r : judge_measurement(m);
}

static int keep_result(struct measurement *m, struct run *ret, struct error *e)
{
	_cleanup_(run_done) struct run run = { .verdict = m->judgement.verdict };
	_cleanup_free_ char *text = NULL;
	int r;

	m->rec.id = m->keep.id;
	m->rec.judgement = &m->judgement;
	m->rec.before = m->before.state;
	m->rec.after = m->after.state;
	m->rec.drift = m->drift;
	m->rec.fingerprint = m->before.fingerprint;
	if (!fingerprint_equal(m->before.fingerprint, m->after.fingerprint))
		m->rec.fingerprint_after = m->after.fingerprint;
	run.result = run_result_json(&m->rec);
	text = run.result ? json_dumps(run.result, JSON_INDENT(2) | JSON_REAL_PRECISION(10)) : NULL;
	run.id = strdup(m->keep.id);
	run.sentence = strdup(m->judgement.sentence);
	if (!text || !run.id || !run.sentence ||
	    asprintf(&run.directory, "%s/%s", m->keep.directory, m->keep.id) < 0) {
		run.directory = NULL;
		return -ENOMEM;
	}
	r = keep_write(&m->keep, RESULT_NAME, text, e);
	if (r == 0)
		r = keep_commit(&m->keep, e);
	if (r < 0)
		return r;
	*ret = run;
	run = (struct run){ 0 };
	return 0;
}

/* Nothing declared: a run that shows that measuring works, and passes nothing. */
static struct desired_measure declared_measure(const struct desired *d)
{
	if (d->measure.declared)
		return d->measure;
	return (struct desired_measure){
		.profile = "smoke",
		.duration_s = 10,
		.interval_us = 200,
		.max_min_latency_us = -1,
		.max_avg_latency_us = -1,
		.max_max_latency_us = -1,
		.action = SLA_ASSERT,
	};
}

static int check_request(const struct measurement *m, struct error *e)
{
	if (!m->root->live)
		return error_set(e, -EOPNOTSUPP,
				 "%s is not the running machine: only that can be measured",
				 m->root->path);
	if (!cpuset_empty(&m->d->isolated))
		return 0;
	error_set(e, -EINVAL, "nothing to measure: the document isolates no CPU");
	error_todo(e, "declare host.cpus.isolated");
	return -EINVAL;
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
		     struct desired *d, unsigned duration_s, measure_progress_fn progress,
		     void *userdata, struct run *ret, struct error *e)
{
	_cleanup_(measurement_done) struct measurement m = {
		.hooks = hooks,
		.root = root,
		.d = d,
		.progress = progress,
		.userdata = userdata,
		.keep = KEEP_INIT,
		.rec = { .measure = declared_measure(d), .asked = &d->isolated },
	};
	int r = check_request(&m, e);

	m.rec.duration_s = duration_s ? duration_s : m.rec.measure.duration_s;
	m.rec.histogram_us = cyclictest_histogram_us(m.rec.measure.max_max_latency_us);
	if (r == 0)
		r = first_look(&m, e);
	if (r == 0)
		r = keep_open(hooks->runs_directory, m.rec.measure.profile, time(NULL), &m.keep, e);
	if (r == 0)
		r = measure(&m, e);
	if (r == 0)
		r = keep_result(&m, ret, e);
	if (r == -ENOMEM)
		return error_set(e, r, "measuring: out of memory");
	return r;
}

int measure_run(const struct sysroot *root, struct desired *d, unsigned duration_s,
		measure_progress_fn progress, void *userdata, struct run *ret, struct error *e)
{
	static const struct measure_hooks hooks = {
		.runs_directory = RUNS_DIRECTORY,
		.grace_s = GRACE_S,
		.observe = observe,
		.judge = judge,
	};

	return measure_run_with(&hooks, root, d, duration_s, progress, userdata, ret, e);
}

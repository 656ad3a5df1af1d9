/*
 * The model: a run PASSes only when everything that could have made it blind has been excluded;
 * each thing that was not is a reason. FAIL is one-sided: a wake-up above the limit of the maximum
 * is one, however incomplete the run was, unless the run was not of the declared machine at all.
 * Average and minimum are judged only over a complete run, for they may still change.
 *
 * Invariants: no PASS with a reason; INCONCLUSIVE and ERROR always have one; every thread is
 * judged.
 */
#include "measure/judge_parts.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <sys/wait.h>

enum reason_class {
	CLASS_VOID,    /* no figure counts */
	CLASS_PARTIAL, /* figures count against the machine only */
	CLASS_CEILING, /* complete, but no PASS */
	CLASS_NOTE,
};

static const struct {
	const char *name;
	enum reason_class class;
} reasons[_REASON_MAX] = {
	[REASON_BAD_JSON] = { "bad_json", CLASS_VOID },
	[REASON_WRONG_CPUS] = { "wrong_cpus", CLASS_VOID },
	[REASON_DRIFT] = { "drift", CLASS_VOID },
	[REASON_FINGERPRINT_CHANGED] = { "fingerprint_changed", CLASS_VOID },
	[REASON_REBOOTED] = { "rebooted", CLASS_VOID },
	[REASON_CLOCK_CHANGED] = { "clock_changed", CLASS_VOID },
	[REASON_TOOL_ERROR] = { "tool_error", CLASS_PARTIAL },
	[REASON_ZERO_SAMPLES] = { "zero_samples", CLASS_PARTIAL },
	[REASON_TRUNCATED] = { "truncated", CLASS_PARTIAL },
	[REASON_BREAK_HIT] = { "break_hit", CLASS_PARTIAL },
	[REASON_MISSED_PERIODS] = { "missed_periods", CLASS_PARTIAL },
	[REASON_OVERFLOW] = { "overflow", CLASS_PARTIAL },
	[REASON_THROTTLED_RT] = { "throttled_rt", CLASS_PARTIAL },
	[REASON_LOAD_DIED] = { "load_died", CLASS_PARTIAL },
	[REASON_GUEST_UNREACHABLE] = { "guest_unreachable", CLASS_PARTIAL },
	[REASON_SHORT] = { "short", CLASS_CEILING },
	[REASON_NO_SLA] = { "no_sla", CLASS_CEILING },
	[REASON_TOO_FEW_SAMPLES] = { "too_few_samples", CLASS_CEILING },
	[REASON_SLA_EXCEEDED] = { "sla_exceeded", CLASS_NOTE },
	[REASON_PROVISIONAL] = { "provisional", CLASS_NOTE },
};

static const struct {
	const char *name;
	int exit_code;
} verdicts[_RUN_VERDICT_MAX] = {
	[RUN_PASS] = { "PASS", 0 },   [RUN_FAIL] = { "FAIL", 1 },
	[RUN_WARN] = { "WARN", 4 },   [RUN_INCONCLUSIVE] = { "INCONCLUSIVE", 3 },
	[RUN_ERROR] = { "ERROR", 2 },
};

#define MISSED_PPM_MAX 1000 /* where the document says nothing else */

const char *run_verdict_name(enum run_verdict v)
{
	return verdicts[v].name;
}

int run_verdict_exit_code(enum run_verdict v)
{
	return verdicts[v].exit_code;
}

const char *run_reason_name(enum run_reason r)
{
	return reasons[r].name;
}

void run_judgement_done(struct run_judgement *j)
{
	if (!j)
		return;
	for (size_t i = 0; i < _SLA_KEY_MAX; i++)
		cpuset_done(&j->sla[i].exceeded_on);
	cpuset_done(&j->measured);
	arena_free(&j->arena);
	*j = (struct run_judgement){ 0 };
}

int judge_reason(struct run_judgement *j, enum run_reason r, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;
	int n;

	if (j->reasons[r])
		return 0;
	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0) {
		text = NULL;
		return -ENOMEM;
	}
	j->reasons[r] = arena_strdup(&j->arena, text);
	return j->reasons[r] ? 0 : -ENOMEM;
}

static bool has_class(const struct run_judgement *j, enum reason_class class)
{
	for (size_t i = 0; i < _REASON_MAX; i++) {
		if (j->reasons[i] && reasons[i].class == class)
			return true;
	}
	return false;
}

/* What it said last: after a failure, why. At most 200 bytes; *ret_n is 0 when it said nothing. */
static const char *last_line(const char *output, int *ret_n)
{
	const char *end = output + strlen(output), *start;

	while (end > output && (end[-1] == '\n' || end[-1] == ' '))
		end--;
	for (start = end; start > output && start[-1] != '\n'; start--)
		;
	*ret_n = end - start > 200 ? 200 : (int)(end - start);
	return start;
}

/* How the process ended; its exit status 0 is not evidence of anything. */
static int judge_tool(const struct segment_input *in, struct run_judgement *j)
{
	const char *said;
	int r = 0, n;

	if (in->load_trouble)
		r |= judge_reason(j, REASON_LOAD_DIED, "the load was not in place: %s",
				  in->load_trouble);
	if (in->unreachable)
		return r | judge_reason(j, REASON_GUEST_UNREACHABLE,
					"the guest does not answer: %s", in->unreachable);
	said = last_line(in->output, &n);
	if (in->not_started)
		return r | judge_reason(j, REASON_TOOL_ERROR, "%s", in->not_started);
	if (!in->result && !in->result_error && cyclictest_is_usage(in->output))
		return r | judge_reason(j, REASON_TOOL_ERROR,
					"cyclictest printed its usage instead of measuring");
	if (in->timed_out)
		r |= judge_reason(j, REASON_TOOL_ERROR,
				  "cyclictest did not end by itself and was killed");
	else if (WIFSIGNALED(in->wait_status))
		r |= judge_reason(j, REASON_TOOL_ERROR, "cyclictest was killed by signal %d (%s)",
				  WTERMSIG(in->wait_status), strsignal(WTERMSIG(in->wait_status)));
	else if (WIFEXITED(in->wait_status) && WEXITSTATUS(in->wait_status))
		r |= judge_reason(j, REASON_TOOL_ERROR,
				  "cyclictest ended with exit status %d%s%.*s",
				  WEXITSTATUS(in->wait_status), n ? ": " : "", n, said);
	if (in->result_error)
		r |= judge_reason(j, REASON_BAD_JSON, "%s", in->result_error);
	else if (!in->result)
		r |= judge_reason(j, REASON_TOOL_ERROR, "cyclictest wrote no result%s%.*s",
				  n ? ", but said: " : "", n, said);
	if (in->result && in->result->return_code)
		r |= judge_reason(j, REASON_TOOL_ERROR, "cyclictest reports return code %" PRId64,
				  in->result->return_code);
	if (cyclictest_hit_break(in->output))
		r |= judge_reason(j, REASON_BREAK_HIT,
				  "cyclictest stopped itself at a break value");
	return r ? -ENOMEM : 0;
}

static int judge_state(const struct run_input *in, struct run_judgement *j)
{
	int r = 0;

	if (in->drift)
		r |= judge_reason(j, REASON_DRIFT, "the machine left its declared state: %s",
				  in->drift);
	if (in->rebooted)
		r |= judge_reason(j, REASON_REBOOTED, "the machine was booted again meanwhile");
	if (in->clock_changed)
		r |= judge_reason(j, REASON_CLOCK_CHANGED, "the kernel changed its clock source");
	if (in->fingerprint_changed)
		r |= judge_reason(j, REASON_FINGERPRINT_CHANGED,
				  "the machine's fingerprint is another one than before the run");
	if (in->rt_throttled)
		r |= judge_reason(
			j, REASON_THROTTLED_RT,
			"real-time throttling is on (kernel.sched_rt_runtime_us is not -1)");
	return r ? -ENOMEM : 0;
}

/* What one segment says of one CPU has to agree with itself. */
static int judge_thread(const struct run_input *in, const struct segment_input *seg,
			const struct cyclictest_thread *t, struct run_judgement *j)
{
	uint64_t expected = (uint64_t)seg->duration_s * 1000000 / in->measure->interval_us;
	int r = 0;

	if (!t->cycles)
		return judge_reason(j, REASON_ZERO_SAMPLES, "CPU %d took no sample", t->cpu);
	if (t->cycles > expected + expected / 100 + 10)
		r |= judge_reason(j, REASON_TOOL_ERROR,
				  "CPU %d ran %" PRIu64 " periods where %" PRIu64
				  " fit: another run than the one asked for",
				  t->cpu, t->cycles, expected);
	if (!t->has_histogram)
		r |= judge_reason(j, REASON_BAD_JSON, "CPU %d has no histogram", t->cpu);
	else if (t->overflow && t->max_us < in->histogram_us)
		r |= judge_reason(j, REASON_BAD_JSON,
				  "CPU %d: %" PRIu64 " cycles are missing in the histogram", t->cpu,
				  t->overflow);
	else if (!t->overflow && t->buckets[t->n_buckets - 1].us != t->max_us)
		r |= judge_reason(j, REASON_BAD_JSON, "CPU %d: the maximum is not in the histogram",
				  t->cpu);
	return r ? -ENOMEM : 0;
}

/* What a CPU did in the whole cell. A document that limits overflow or missed periods decides how
 * many of them it can live with. */
static int judge_samples(const struct run_input *in, const struct thread_judgement *t,
			 struct run_judgement *j)
{
	int64_t limit = in->measure->limits[SLA_MISSED_RATIO];
	double missed = (double)t->missed_cycles, expected = (double)t->expected_cycles;
	int r = 0;

	if (t->merged.cycles &&
	    missed * 1e6 > expected * (double)(limit < 0 ? MISSED_PPM_MAX : limit))
		r |= judge_reason(
			j, REASON_MISSED_PERIODS,
			"CPU %d ran %" PRIu64 " of %" PRIu64 " periods (%.1f %% missed): what "
			"happened in the others is not known",
			t->cpu, t->merged.cycles, t->expected_cycles, 100.0 * missed / expected);
	if (t->merged.has_histogram && t->merged.overflow && in->measure->limits[SLA_OVERFLOW] < 0)
		r |= judge_reason(j, REASON_OVERFLOW,
				  "CPU %d: %" PRIu64 " wake-ups beyond the histogram of %u us",
				  t->cpu, t->merged.overflow, in->histogram_us);
	return r ? -ENOMEM : 0;
}

static int judge_cpus(const struct run_input *in, const struct cyclictest_result *res,
		      struct run_judgement *j)
{
	_cleanup_free_ char *asked = NULL, *text = NULL;
	_cleanup_cpuset_ struct cpuset measured = { 0 };

	for (size_t i = 0; i < res->n_threads; i++) {
		int cpu = res->threads[i].cpu;

		if (cpu < 0)
			continue;
		if (cpuset_has(&measured, (unsigned)cpu) &&
		    judge_reason(j, REASON_WRONG_CPUS, "CPU %d was measured by two threads", cpu) <
			    0)
			return -ENOMEM;
		if (cpuset_add(&measured, (unsigned)cpu) < 0)
			return -ENOMEM;
	}
	if (cpuset_or(&j->measured, &measured) < 0)
		return -ENOMEM;
	if (cpuset_equal(&measured, in->asked) && cpuset_count(in->asked) == res->n_threads)
		return 0;
	asked = cpuset_format_list(in->asked);
	text = cpuset_format_list(&measured);
	if (!asked || !text)
		return -ENOMEM;
	return judge_reason(j, REASON_WRONG_CPUS,
			    "CPUs %s were asked for, %zu threads measured CPUs %s", asked,
			    res->n_threads, *text ? text : "none");
}

static int judge_segment_length(const struct segment_input *seg, struct run_judgement *j)
{
	const struct cyclictest_result *res = seg->result;

	if (seg->elapsed_ms < (uint64_t)seg->duration_s * 1000)
		return judge_reason(j, REASON_TRUNCATED, "it ended after %.1f of %u s",
				    (double)seg->elapsed_ms / 1000, seg->duration_s);
	if (res->started_s < 0 || res->ended_s < 0)
		return judge_reason(j, REASON_TRUNCATED,
				    "cyclictest does not say when it began and ended");
	if (res->ended_s - res->started_s < seg->duration_s)
		return judge_reason(j, REASON_TRUNCATED,
				    "by its own clock it ran %" PRId64 " of %u s",
				    res->ended_s - res->started_s, seg->duration_s);
	return 0;
}

static int judge_segment(const struct run_input *in, const struct segment_input *seg,
			 struct run_judgement *j)
{
	double elapsed_s = (double)seg->elapsed_ms / 1000;
	int r = judge_tool(seg, j);

	j->planned_s += seg->duration_s;
	if (r < 0 || !seg->result)
		return r;
	j->measured_s += elapsed_s < seg->duration_s ? elapsed_s : seg->duration_s;
	r = judge_cpus(in, seg->result, j);
	if (r == 0)
		r = judge_segment_length(seg, j);
	for (size_t i = 0; r == 0 && i < seg->result->n_threads; i++)
		r = judge_thread(in, seg, &seg->result->threads[i], j);
	return r;
}

static int judge_length(const struct run_input *in, struct run_judgement *j)
{
	const struct measure_profile *profile = measure_profile(in->measure->profile);
	int r = 0;

	if (j->planned_s < in->duration_s)
		r |= judge_reason(j, REASON_TRUNCATED, "%u of %u s were begun%s%s", j->planned_s,
				  in->duration_s, in->stopped ? ": " : "",
				  in->stopped ? in->stopped : "");
	if (!profile || !profile->pass_duration_s)
		r |= judge_reason(j, REASON_SHORT, "profile %s only shows that measuring works",
				  in->measure->profile);
	else if (in->duration_s < profile->pass_duration_s)
		r |= judge_reason(j, REASON_SHORT,
				  "%u s are too short for profile %s, which needs %u s",
				  in->duration_s, in->measure->profile, profile->pass_duration_s);
	else if (profile->provisional)
		r |= judge_reason(j, REASON_PROVISIONAL,
				  "profile %s is a first look; profile standard can pass",
				  in->measure->profile);
	return r ? -ENOMEM : 0;
}

/* The tool did not measure, by its own fault: one that a signal ended did, its samples are lost. */
static bool tool_failed(const struct run_input *in)
{
	bool failed = false;

	for (size_t i = 0; i < in->n_segments; i++) {
		const struct segment_input *seg = &in->segments[i];

		if (seg->result)
			return false;
		failed =
			failed ||
			(!seg->unreachable && !seg->result_error &&
			 (seg->not_started || (!seg->timed_out && !WIFSIGNALED(seg->wait_status))));
	}
	return failed;
}

static enum run_verdict settle(const struct run_input *in, const struct run_judgement *j)
{
	bool monitor = in->measure->action == SLA_MONITOR;

	if (tool_failed(in))
		return RUN_ERROR;
	if (has_class(j, CLASS_VOID))
		return RUN_INCONCLUSIVE;
	if (j->reasons[REASON_SLA_EXCEEDED] && !monitor)
		return RUN_FAIL;
	if (has_class(j, CLASS_PARTIAL) || has_class(j, CLASS_CEILING))
		return RUN_INCONCLUSIVE;
	if (j->reasons[REASON_SLA_EXCEEDED] || j->reasons[REASON_PROVISIONAL])
		return RUN_WARN;
	return RUN_PASS;
}

static int judge_all(const struct run_input *in, struct run_judgement *j)
{
	bool partial, void_;
	int r = 0;

	j->exceedances = -1;
	j->bound_per_hour = -1;
	for (size_t i = 0; r == 0 && i < in->n_segments; i++)
		r = judge_segment(in, &in->segments[i], j);
	if (r == 0)
		r = judge_state(in, j);
	if (r == 0)
		r = judge_length(in, j);
	if (r == 0)
		r = merge_segments(in, j);
	for (size_t i = 0; r == 0 && i < j->n_threads; i++)
		r = judge_samples(in, &j->threads[i], j);
	if (r == 0)
		r = judge_sla(in, j);
	if (r < 0)
		return r;
	partial = has_class(j, CLASS_PARTIAL);
	void_ = has_class(j, CLASS_VOID);
	j->exceedances = judge_exceedances(in, j);
	r = judge_exceeded(j, partial);
	if (r < 0)
		return r;
	for (size_t i = 0; i < _SLA_KEY_MAX; i++)
		j->sla[i].judged = j->sla[i].judged && !void_;
	/* the rule of three: no event in T bounds the rate to 3/T at 95 % */
	if (!partial && !void_ && j->exceedances == 0)
		j->bound_per_hour = 3.0 * 3600 / in->duration_s;
	j->verdict = settle(in, j);
	return run_sentence(in, j);
}

int judge_run(const struct run_input *in, struct run_judgement *ret)
{
	_cleanup_run_judgement_ struct run_judgement j = { 0 };
	int r = judge_all(in, &j);

	if (r < 0)
		return r;
	*ret = j;
	j = (struct run_judgement){ 0 };
	return 0;
}

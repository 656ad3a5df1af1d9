/*
 * The model: a run PASSes only when everything that could have made it blind has been excluded;
 * each thing that was not is a reason. FAIL is one-sided: a wake-up above the limit of the maximum
 * is one, however incomplete the run was, unless the run was not of the declared machine at all.
 * Average and minimum are judged only over a complete run, for they may still change.
 *
 * Invariants: no PASS with a reason; INCONCLUSIVE and ERROR always have one; every thread is
 * judged.
 */
#include "measure/judge_run.h"

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
	[REASON_SHORT] = { "short", CLASS_CEILING },
	[REASON_NO_SLA] = { "no_sla", CLASS_CEILING },
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

/* background: 300 s for a quick look after a reconcile, an hour, RHEL's and OpenShift's 12 h */
static const struct {
	const char *name;
	unsigned pass_duration_s;
	bool provisional; /* as much as that length can say */
} profiles[] = {
	{ "quick", 300, true },
	{ "standard", 3600, false },
	{ "acceptance", 43200, false },
};

const char *const sla_names[_SLA_KIND_MAX] = {
	[SLA_MIN] = "max_min_latency_us",
	[SLA_AVG] = "max_avg_latency_us",
	[SLA_MAX] = "max_max_latency_us",
};

const char *const percentile_names[PERCENTILES] = { "p50",   "p99",    "p999",
						    "p9999", "p99999", "p999999" };
/* one sample in so many is above the percentile */
static const uint64_t percentile_one_in[PERCENTILES] = { 2, 100, 1000, 10000, 100000, 1000000 };

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
	for (size_t i = 0; i < _SLA_KIND_MAX; i++)
		cpuset_done(&j->sla[i].exceeded_on);
	cpuset_done(&j->measured);
	arena_free(&j->arena);
	*j = (struct run_judgement){ 0 };
}

unsigned profile_pass_duration_s(const char *profile)
{
	for (size_t i = 0; profile && i < ARRAY_SIZE(profiles); i++) {
		if (streq(profiles[i].name, profile))
			return profiles[i].pass_duration_s;
	}
	return 0;
}

static bool profile_is_provisional(const char *profile)
{
	for (size_t i = 0; profile && i < ARRAY_SIZE(profiles); i++) {
		if (streq(profiles[i].name, profile))
			return profiles[i].provisional;
	}
	return false;
}

/* The first to say a reason words it. */
static int reason(struct run_judgement *j, enum run_reason r, const char *fmt, ...)
	printf_like(3, 4);

static int reason(struct run_judgement *j, enum run_reason r, const char *fmt, ...)
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
static int judge_tool(const struct run_input *in, struct run_judgement *j)
{
	const char *said;
	int r = 0, n;

	said = last_line(in->output, &n);
	if (in->not_started)
		return reason(j, REASON_TOOL_ERROR, "%s", in->not_started);
	if (!in->result && !in->result_error && cyclictest_is_usage(in->output))
		return reason(j, REASON_TOOL_ERROR,
			      "cyclictest printed its usage instead of measuring");
	if (in->timed_out)
		r |= reason(j, REASON_TOOL_ERROR,
			    "cyclictest did not end by itself and was killed");
	else if (WIFSIGNALED(in->wait_status))
		r |= reason(j, REASON_TOOL_ERROR, "cyclictest was killed by signal %d (%s)",
			    WTERMSIG(in->wait_status), strsignal(WTERMSIG(in->wait_status)));
	else if (WIFEXITED(in->wait_status) && WEXITSTATUS(in->wait_status))
		r |= reason(j, REASON_TOOL_ERROR, "cyclictest ended with exit status %d%s%.*s",
			    WEXITSTATUS(in->wait_status), n ? ": " : "", n, said);
	if (in->result_error)
		r |= reason(j, REASON_BAD_JSON, "%s", in->result_error);
	else if (!in->result)
		r |= reason(j, REASON_TOOL_ERROR, "cyclictest wrote no result%s%.*s",
			    n ? ", but said: " : "", n, said);
	if (in->result && in->result->return_code)
		r |= reason(j, REASON_TOOL_ERROR, "cyclictest reports return code %" PRId64,
			    in->result->return_code);
	if (cyclictest_hit_break(in->output))
		r |= reason(j, REASON_BREAK_HIT, "cyclictest stopped itself at a break value");
	return r ? -ENOMEM : 0;
}

static int judge_state(const struct run_input *in, struct run_judgement *j)
{
	int r = 0;

	if (in->drift)
		r |= reason(j, REASON_DRIFT, "the machine left its declared state: %s", in->drift);
	if (in->rebooted)
		r |= reason(j, REASON_REBOOTED, "the machine was booted again meanwhile");
	if (in->clock_changed)
		r |= reason(j, REASON_CLOCK_CHANGED, "the kernel changed its clock source");
	if (in->fingerprint_changed)
		r |= reason(j, REASON_FINGERPRINT_CHANGED,
			    "the machine's fingerprint is another one than before the run");
	if (in->rt_throttled)
		r |= reason(j, REASON_THROTTLED_RT,
			    "real-time throttling is on (kernel.sched_rt_runtime_us is not -1)");
	return r ? -ENOMEM : 0;
}

/* -ENODATA: too few samples beyond it, or it lies beyond the histogram. */
static int64_t percentile(const struct cyclictest_thread *t, uint64_t one_in)
{
	uint64_t seen = 0, rank = t->cycles - t->cycles / one_in;

	if (t->cycles / 10 < one_in)
		return -1;
	for (size_t i = 0; i < t->n_buckets; i++) {
		seen += t->buckets[i].count;
		if (seen >= rank)
			return (int64_t)t->buckets[i].us;
	}
	return -1;
}

static int judge_samples(const struct run_input *in, const struct cyclictest_thread *t,
			 uint64_t expected, struct run_judgement *j)
{
	uint64_t missed = expected > t->cycles ? expected - t->cycles : 0;
	int r = 0;

	if (!t->cycles)
		return reason(j, REASON_ZERO_SAMPLES, "CPU %d took no sample", t->cpu);
	if (missed > expected / 1000)
		r |= reason(j, REASON_MISSED_PERIODS,
			    "CPU %d ran %" PRIu64 " of %" PRIu64 " periods (%.1f %% missed): what "
			    "happened in the others is not known",
			    t->cpu, t->cycles, expected, 100.0 * (double)missed / (double)expected);
	if (t->cycles > expected + expected / 100 + 10)
		r |= reason(j, REASON_TOOL_ERROR,
			    "CPU %d ran %" PRIu64 " periods where %" PRIu64
			    " fit: another run than the one asked for",
			    t->cpu, t->cycles, expected);
	if (!t->has_histogram)
		r |= reason(j, REASON_BAD_JSON, "CPU %d has no histogram", t->cpu);
	else if (t->overflow && t->max_us < in->histogram_us)
		r |= reason(j, REASON_BAD_JSON,
			    "CPU %d: %" PRIu64 " cycles are missing in the histogram", t->cpu,
			    t->overflow);
	else if (t->overflow)
		r |= reason(j, REASON_OVERFLOW,
			    "CPU %d: %" PRIu64 " wake-ups beyond the histogram of %u us", t->cpu,
			    t->overflow, in->histogram_us);
	else if (t->buckets[t->n_buckets - 1].us != t->max_us)
		r |= reason(j, REASON_BAD_JSON, "CPU %d: the maximum is not in the histogram",
			    t->cpu);
	return r ? -ENOMEM : 0;
}

static int judge_threads(const struct run_input *in, struct run_judgement *j)
{
	uint64_t expected = (uint64_t)in->duration_s * 1000000 / in->measure->interval_us;
	const struct cyclictest_result *res = in->result;
	int r;

	for (size_t i = 0; i < res->n_threads; i++) {
		const struct cyclictest_thread *t = &res->threads[i];
		struct thread_judgement *tj;

		tj = arena_grow(&j->arena, &j->threads, &j->n_threads, sizeof(*tj));
		if (!tj)
			return -ENOMEM;
		tj->cpu = t->cpu;
		tj->expected_cycles = expected;
		tj->missed_cycles = expected > t->cycles ? expected - t->cycles : 0;
		for (size_t p = 0; p < PERCENTILES; p++)
			tj->percentile_us[p] = percentile(t, percentile_one_in[p]);
		r = judge_samples(in, t, expected, j);
		if (r < 0)
			return r;
	}
	return 0;
}

static int judge_cpus(const struct run_input *in, struct run_judgement *j)
{
	_cleanup_free_ char *asked = NULL, *measured = NULL;

	for (size_t i = 0; i < in->result->n_threads; i++) {
		int cpu = in->result->threads[i].cpu;

		if (cpu < 0)
			continue;
		if (cpuset_has(&j->measured, (unsigned)cpu) &&
		    reason(j, REASON_WRONG_CPUS, "CPU %d was measured by two threads", cpu) < 0)
			return -ENOMEM;
		if (cpuset_add(&j->measured, (unsigned)cpu) < 0)
			return -ENOMEM;
	}
	if (cpuset_equal(&j->measured, in->asked) &&
	    cpuset_count(in->asked) == in->result->n_threads)
		return 0;
	asked = cpuset_format_list(in->asked);
	measured = cpuset_format_list(&j->measured);
	if (!asked || !measured)
		return -ENOMEM;
	return reason(j, REASON_WRONG_CPUS, "CPUs %s were asked for, %zu threads measured CPUs %s",
		      asked, in->result->n_threads, *measured ? measured : "none");
}

static int judge_length(const struct run_input *in, struct run_judgement *j)
{
	unsigned needed = profile_pass_duration_s(in->measure->profile);
	const struct cyclictest_result *res = in->result;
	int r = 0;

	if (in->elapsed_ms < (uint64_t)in->duration_s * 1000)
		r |= reason(j, REASON_TRUNCATED, "it ended after %.1f of %u s",
			    (double)in->elapsed_ms / 1000, in->duration_s);
	else if (res->started_s < 0 || res->ended_s < 0)
		r |= reason(j, REASON_TRUNCATED, "cyclictest does not say when it began and ended");
	else if (res->ended_s - res->started_s < in->duration_s)
		r |= reason(j, REASON_TRUNCATED, "by its own clock it ran %" PRId64 " of %u s",
			    res->ended_s - res->started_s, in->duration_s);
	if (!needed)
		r |= reason(j, REASON_SHORT, "profile %s only shows that measuring works",
			    in->measure->profile);
	else if (in->duration_s < needed)
		r |= reason(j, REASON_SHORT, "%u s are too short for profile %s, which needs %u s",
			    in->duration_s, in->measure->profile, needed);
	else if (profile_is_provisional(in->measure->profile))
		r |= reason(j, REASON_PROVISIONAL,
			    "profile %s is a first look; profile standard can pass",
			    in->measure->profile);
	return r ? -ENOMEM : 0;
}

static double sla_value(const struct cyclictest_thread *t, enum sla_kind kind)
{
	switch (kind) {
	case SLA_MIN:
		return (double)t->min_us;
	case SLA_AVG:
		return t->avg_us;
	default:
		return (double)t->max_us;
	}
}

static int judge_limit(const struct cyclictest_result *res, enum sla_kind kind,
		       struct sla_result *s)
{
	for (size_t i = 0; res && i < res->n_threads; i++) {
		const struct cyclictest_thread *t = &res->threads[i];
		double value = sla_value(t, kind);

		if (!t->cycles)
			continue;
		if (!s->judged || value > s->worst_us) {
			s->worst_us = value;
			s->worst_cpu = t->cpu;
		}
		s->judged = true;
		if (value <= (double)s->limit_us)
			continue;
		s->exceeded = true;
		if (t->cpu >= 0 && cpuset_add(&s->exceeded_on, (unsigned)t->cpu) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int judge_sla(const struct run_input *in, struct run_judgement *j)
{
	const int64_t limits[_SLA_KIND_MAX] = {
		[SLA_MIN] = in->measure->max_min_latency_us,
		[SLA_AVG] = in->measure->max_avg_latency_us,
		[SLA_MAX] = in->measure->max_max_latency_us,
	};
	bool declared = false;

	for (size_t i = 0; i < _SLA_KIND_MAX; i++) {
		j->sla[i].limit_us = limits[i] < 0 ? -1 : limits[i];
		if (limits[i] < 0)
			continue;
		declared = true;
		if (judge_limit(in->result, (enum sla_kind)i, &j->sla[i]) < 0)
			return -ENOMEM;
	}
	if (!declared)
		return reason(j, REASON_NO_SLA,
			      "no limit is declared (measure.sla), so there is "
			      "nothing to pass");
	return 0;
}

/* Wake-ups above the limit of the maximum; -1 when the histogram cannot tell. */
static int64_t count_exceedances(const struct run_input *in, const struct run_judgement *j)
{
	int64_t limit = j->sla[SLA_MAX].limit_us;
	uint64_t n = 0;

	if (limit < 0 || limit >= in->histogram_us || !j->sla[SLA_MAX].judged)
		return -1;
	for (size_t i = 0; i < in->result->n_threads; i++) {
		const struct cyclictest_thread *t = &in->result->threads[i];

		if (t->cycles && !t->has_histogram)
			return -1;
		for (size_t b = 0; b < t->n_buckets; b++)
			n += t->buckets[b].us > (uint64_t)limit ? t->buckets[b].count : 0;
		n += t->overflow;
	}
	return n > INT64_MAX ? -1 : (int64_t)n;
}

/* The value that may be held against the machine; minimum and average need the whole run. */
static int note_exceeded(struct run_judgement *j, bool partial)
{
	static const char *const words[] = { "smallest", "average", "largest" };
	_cleanup_free_ char *text = NULL;

	for (size_t i = _SLA_KIND_MAX; i-- > 0;) {
		const struct sla_result *s = &j->sla[i];
		_cleanup_free_ char *cpus = cpuset_format_list(&s->exceeded_on);
		char *longer;

		if (!s->exceeded || (partial && i != SLA_MAX))
			continue;
		if (!cpus ||
		    asprintf(&longer,
			     "%s%sthe %s latency is %.*f us on CPU %d, above the limit of %" PRId64
			     " us (exceeded on CPUs %s)",
			     text ? text : "", text ? "; " : "", words[i], i == SLA_AVG ? 2 : 0,
			     s->worst_us, s->worst_cpu, s->limit_us, cpus) < 0)
			return -ENOMEM;
		free(text);
		text = longer;
	}
	return text ? reason(j, REASON_SLA_EXCEEDED, "%s", text) : 0;
}

static enum run_verdict settle(const struct run_input *in, const struct run_judgement *j)
{
	bool monitor = in->measure->action == SLA_MONITOR;

	/* the tool did not measure; when a signal ended it, it did, and the samples are lost */
	if (!in->result && !in->result_error &&
	    (in->not_started || (!in->timed_out && !WIFSIGNALED(in->wait_status))))
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
	bool partial;
	int r;

	j->exceedances = -1;
	j->bound_per_hour = -1;
	r = judge_tool(in, j);
	if (r == 0)
		r = judge_state(in, j);
	if (r == 0 && in->result)
		r = judge_cpus(in, j);
	if (r == 0 && in->result)
		r = judge_length(in, j);
	if (r == 0 && in->result)
		r = judge_threads(in, j);
	if (r == 0)
		r = judge_sla(in, j);
	if (r < 0)
		return r;
	partial = has_class(j, CLASS_PARTIAL);
	if (in->result)
		j->exceedances = count_exceedances(in, j);
	r = note_exceeded(j, partial);
	if (r < 0)
		return r;
	/* the rule of three: no event in T bounds the rate to 3/T at 95 % */
	if (!partial && !has_class(j, CLASS_VOID) && j->exceedances == 0)
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

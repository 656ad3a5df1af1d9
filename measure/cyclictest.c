/*
 * The model: the tool is not trusted. Its exit status says nothing (0 after printing its usage,
 * after a break, after SIGINT), so a measurement is only what its JSON file says, and that file is
 * checked against itself before anybody judges it.
 *
 * Invariants of a parsed result: sum of a thread's buckets + overflow == cycles; buckets ascend;
 * no bucket is above max_us; min_us <= max_us; without cycles all latencies are 0.
 */
#include "measure/cyclictest.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <time.h>

#include <jansson.h>

#define HISTOGRAM_MIN_US 1000U
#define HISTOGRAM_MAX_US 1000000U /* HIST_MAX of cyclictest.c */

unsigned cyclictest_histogram_us(int64_t limit_us)
{
	if (limit_us <= HISTOGRAM_MIN_US / 5)
		return HISTOGRAM_MIN_US;
	return limit_us >= HISTOGRAM_MAX_US / 5 ? HISTOGRAM_MAX_US : (unsigned)limit_us * 5;
}

/* Is --@name one of the options in the help text, as a whole word? */
static bool help_has(const char *help, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = help; (p = strstr(p, "--")); p += 2) {
		if (strncmp(p + 2, name, n) != 0)
			continue;
		if (!isalnum((unsigned char)p[2 + n]) && p[2 + n] != '-' && p[2 + n] != '_')
			return true;
	}
	return false;
}

/* Without one of these the run would be another one than the one that is judged. */
static const char *const needed_options[] = {
	"affinity", "default-system", "distance", "duration", "histogram", "interval",
	"json",	    "mlockall",	      "policy",	  "priority", "quiet",	   "threads",
};

static int check_request(const struct cyclictest_request *rq, const char *help, struct error *e)
{
	if (cpuset_empty(rq->cpus))
		return error_set(e, -EINVAL, "cyclictest: no CPU to measure");
	if (!rq->duration_s || !rq->interval_us)
		return error_set(e, -EINVAL, "cyclictest: duration and interval must not be 0");
	if (strchr(rq->json_path, '"') || strchr(rq->json_path, '\\'))
		return error_set(e, -EINVAL,
				 "cyclictest: %s: a quote or backslash in the path would make its "
				 "JSON unreadable",
				 rq->json_path);
	for (size_t i = 0; i < ARRAY_SIZE(needed_options); i++) {
		if (help_has(help, needed_options[i]))
			continue;
		error_set(e, -EOPNOTSUPP, "%s has no option --%s", rq->tool, needed_options[i]);
		error_todo(e, "install rt-tests 2.3 or newer");
		return -EOPNOTSUPP;
	}
	return 0;
}

static int add_arg(struct arena *a, char ***argv, size_t *n, char *arg)
{
	char **slot = arg ? arena_grow(a, argv, n, sizeof(char *)) : NULL;

	if (!slot)
		return -ENOMEM;
	*slot = arg;
	return 0;
}

/*
 * --default-system: cyclictest otherwise holds /dev/cpu_dma_latency at 0 for the run and so
 * measures a machine that exists only while it is measured. What the declared state does not forbid
 * to the CPU shall be seen.
 */
static int build_argv(const struct cyclictest_request *rq, const char *help, struct arena *a,
		      char ***ret)
{
	_cleanup_free_ char *cpus = cpuset_format_list(rq->cpus);
	_cleanup_free_ char *housekeeping = cpuset_format_list(rq->housekeeping);
	char **argv = NULL;
	size_t n = 0;
	int r = 0;

	if (!cpus || !housekeeping)
		return -ENOMEM;
	r |= add_arg(a, &argv, &n, arena_strdup(a, rq->tool));
	r |= add_arg(a, &argv, &n, arena_strdup(a, "-m"));
	r |= add_arg(a, &argv, &n, arena_strdup(a, "-q"));
	r |= add_arg(a, &argv, &n, arena_strdup(a, "-p"));
	r |= add_arg(a, &argv, &n, arena_printf(a, "%d", CYCLICTEST_PRIORITY));
	r |= add_arg(a, &argv, &n, arena_strdup(a, "--policy=fifo"));
	r |= add_arg(a, &argv, &n, arena_strdup(a, "-a"));
	r |= add_arg(a, &argv, &n, arena_strdup(a, cpus));
	r |= add_arg(a, &argv, &n, arena_strdup(a, "-t"));
	r |= add_arg(a, &argv, &n, arena_printf(a, "%zu", cpuset_count(rq->cpus)));
	if (*housekeeping && help_has(help, "mainaffinity"))
		r |= add_arg(a, &argv, &n, arena_printf(a, "--mainaffinity=%s", housekeeping));
	r |= add_arg(a, &argv, &n, arena_strdup(a, "-i"));
	r |= add_arg(a, &argv, &n, arena_printf(a, "%u", rq->interval_us));
	r |= add_arg(a, &argv, &n, arena_strdup(a, "-d"));
	r |= add_arg(a, &argv, &n, arena_strdup(a, "0"));
	r |= add_arg(a, &argv, &n, arena_strdup(a, "-D"));
	r |= add_arg(a, &argv, &n, arena_printf(a, "%us", rq->duration_s));
	r |= add_arg(a, &argv, &n, arena_strdup(a, "-h"));
	r |= add_arg(a, &argv, &n, arena_printf(a, "%u", rq->histogram_us));
	r |= add_arg(a, &argv, &n, arena_strdup(a, "--default-system"));
	r |= add_arg(a, &argv, &n, arena_printf(a, "--json=%s", rq->json_path));
	if (r < 0 || !arena_grow(a, &argv, &n, sizeof(char *)))
		return -ENOMEM;
	*ret = argv;
	return 0;
}

int cyclictest_argv(const struct cyclictest_request *rq, const char *help, struct arena *a,
		    char ***ret, struct error *e)
{
	int r = check_request(rq, help, e);

	return r < 0 ? r : build_argv(rq, help, a, ret);
}

bool cyclictest_is_usage(const char *output)
{
	return strstr(output, "Usage:") && strstr(output, "cyclictest <options>");
}

bool cyclictest_hit_break(const char *output)
{
	return strstr(output, "# Break value:") != NULL;
}

void cyclictest_result_done(struct cyclictest_result *r)
{
	if (!r)
		return;
	arena_free(&r->arena);
	*r = (struct cyclictest_result){ 0 };
}

/* `nan` outside of a string becomes `null`, or jansson refuses what can still be told apart. */
static char *without_nan(const char *text, size_t size, size_t *ret_size)
{
	char *out = malloc(size + size / 3 + 1);
	bool in_string = false;
	size_t n = 0;

	if (!out)
		return NULL;
	for (size_t i = 0; i < size; i++) {
		size_t sign = text[i] == '-';

		if (!in_string && size - i >= 3 + sign && memcmp(text + i + sign, "nan", 3) == 0) {
			memcpy(out + n, "null", 4);
			n += 4;
			i += 2 + sign;
			continue;
		}
		if (in_string && text[i] == '\\' && i + 1 < size)
			out[n++] = text[i++];
		else if (text[i] == '"')
			in_string = !in_string;
		out[n++] = text[i];
	}
	*ret_size = n;
	return out;
}

static int bad(struct error *e, const char *fmt, ...) printf_like(2, 3);

static int bad(struct error *e, const char *fmt, ...)
{
	_cleanup_free_ char *what = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&what, fmt, ap) < 0)
		what = NULL;
	va_end(ap);
	return error_set(e, -EBADMSG, "the result of cyclictest: %s", what ? what : "bad");
}

static int get_count(const json_t *o, const char *key, uint64_t *ret, struct error *e)
{
	const json_t *v = json_object_get(o, key);

	if (!json_is_integer(v) || json_integer_value(v) < 0)
		return bad(e, "\"%s\" is not a count", key);
	*ret = (uint64_t)json_integer_value(v);
	return 0;
}

static int parse_bucket(const char *key, const json_t *v, struct latency_bucket *ret)
{
	uint64_t us = 0;
	size_t n = strlen(key);

	if (!n || n > 9 || strspn(key, "0123456789") != n)
		return -EBADMSG;
	for (const char *p = key; *p; p++)
		us = us * 10 + (uint64_t)(*p - '0');
	if (!json_is_integer(v) || json_integer_value(v) < 0)
		return -EBADMSG;
	*ret = (struct latency_bucket){ .us = us, .count = (uint64_t)json_integer_value(v) };
	return 0;
}

static int compare_buckets(const void *a, const void *b)
{
	const struct latency_bucket *x = a, *y = b;

	return x->us < y->us ? -1 : x->us > y->us;
}

/* Sum, order and the overflow, which the tool does not give. */
static int check_histogram(struct cyclictest_thread *t, struct error *e)
{
	uint64_t sum = 0;

	qsort(t->buckets, t->n_buckets, sizeof(*t->buckets), compare_buckets);
	for (size_t i = 0; i < t->n_buckets; i++) {
		if (i && t->buckets[i].us == t->buckets[i - 1].us)
			return bad(e, "CPU %d: two buckets for the same latency", t->cpu);
		if (__builtin_add_overflow(sum, t->buckets[i].count, &sum) || sum > t->cycles)
			return bad(e, "CPU %d: more samples in the histogram than cycles", t->cpu);
	}
	t->overflow = t->cycles - sum;
	if (t->n_buckets && t->buckets[t->n_buckets - 1].us > t->max_us)
		return bad(e, "CPU %d: a sample above the maximum", t->cpu);
	if (t->n_buckets && t->buckets[0].us < t->min_us)
		return bad(e, "CPU %d: a sample below the minimum", t->cpu);
	return 0;
}

static int parse_histogram(json_t *o, struct cyclictest_result *res, struct cyclictest_thread *t,
			   struct error *e)
{
	json_t *histogram = json_object_get(o, "histogram"), *v;
	const char *key;

	if (!histogram) /* since 2.7 without -h; before, an empty object */
		return 0;
	if (!json_is_object(histogram))
		return bad(e, "CPU %d: \"histogram\" is not an object", t->cpu);
	if (!json_object_size(histogram) && t->cycles)
		return 0;
	t->has_histogram = true;
	json_object_foreach(histogram, key, v)
	{
		struct latency_bucket parsed, *b;

		if (parse_bucket(key, v, &parsed) < 0)
			return bad(e, "CPU %d: bad bucket in the histogram", t->cpu);
		if (!parsed.count)
			continue;
		b = arena_grow(&res->arena, &t->buckets, &t->n_buckets, sizeof(*b));
		if (!b)
			return -ENOMEM;
		*b = parsed;
	}
	if (!t->n_buckets) {
		t->overflow = t->cycles;
		return 0;
	}
	return check_histogram(t, e);
}

static int parse_latencies(const json_t *o, struct cyclictest_thread *t, struct error *e)
{
	const json_t *avg = json_object_get(o, "avg");
	int r;

	/* the initial values of an empty run are min 1000000, max 0: they mean nothing */
	if (!t->cycles)
		return 0;
	r = get_count(o, "min", &t->min_us, e);
	if (r == 0)
		r = get_count(o, "max", &t->max_us, e);
	if (r < 0)
		return r;
	if (!json_is_number(avg))
		return bad(e, "\"avg\" is not a number");
	t->avg_us = json_number_value(avg);
	if (t->min_us > t->max_us)
		return bad(e, "CPU %d: the minimum is above the maximum", t->cpu);
	/* printed with two digits */
	if (!isfinite(t->avg_us) || t->avg_us < (double)t->min_us - 0.01 ||
	    t->avg_us > (double)t->max_us + 0.01)
		return bad(e, "CPU %d: the average is not between minimum and maximum", t->cpu);
	return 0;
}

static int parse_thread(json_t *o, struct cyclictest_result *res, struct error *e)
{
	const json_t *cpu = json_object_get(o, "cpu");
	struct cyclictest_thread *t;
	int r;

	if (!json_is_integer(cpu) || json_integer_value(cpu) < -1 ||
	    json_integer_value(cpu) > CPUSET_MAX)
		return bad(e, "a thread without a CPU number");
	t = arena_grow(&res->arena, &res->threads, &res->n_threads, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->cpu = (int)json_integer_value(cpu);
	r = get_count(o, "cycles", &t->cycles, e);
	if (r == 0)
		r = parse_latencies(o, t, e);
	return r < 0 ? r : parse_histogram(o, res, t, e);
}

static int parse_threads(const json_t *top, struct cyclictest_result *res, struct error *e)
{
	json_t *threads = json_object_get(top, "thread"), *v;
	const char *key;
	uint64_t n;
	int r = get_count(top, "num_threads", &n, e);

	if (r < 0)
		return r;
	if (!json_is_object(threads) || json_object_size(threads) != n)
		return bad(e, "\"thread\" does not hold the %llu threads of \"num_threads\"",
			   (unsigned long long)n);
	json_object_foreach(threads, key, v)
	{
		r = parse_thread(v, res, e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* "Sun, 22 Nov 2026 14:13:34 +0000", whatever the locale of this process; -1 when it is not. */
static int64_t parse_time(const char *s)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	char month[4], sign;
	unsigned zone;
	struct tm tm = { 0 };
	const char *m;

	if (!s || strlen(s) > 40 ||
	    sscanf(s, "%*3[A-Za-z], %2d %3s %4d %2d:%2d:%2d %c%4u", &tm.tm_mday, month, &tm.tm_year,
		   &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &sign, &zone) != 8)
		return -1;
	m = strstr(months, month);
	if (!m || strlen(month) != 3 || (m - months) % 3 || tm.tm_year < 1970 ||
	    (sign != '+' && sign != '-'))
		return -1;
	tm.tm_mon = (int)(m - months) / 3;
	tm.tm_year -= 1900;
	zone = zone / 100 * 3600 + zone % 100 * 60;
	return timegm(&tm) - (sign == '-' ? -(int64_t)zone : (int64_t)zone);
}

static int parse_top(json_t *top, struct cyclictest_result *res, struct error *e)
{
	const json_t *code = json_object_get(top, "return_code");
	const char *version = json_string_value(json_object_get(top, "rt_test_version:"));
	uint64_t in_ns;
	int r;

	if (!json_is_object(top) || !json_is_integer(code))
		return bad(e, "no \"return_code\"");
	r = get_count(top, "resolution_in_ns", &in_ns, e);
	if (r < 0)
		return r;
	if (in_ns)
		return bad(e, "nanoseconds, but microseconds were asked for");
	if (version) {
		res->version = arena_strdup(&res->arena, version);
		if (!res->version)
			return -ENOMEM;
	}
	res->return_code = json_integer_value(code);
	res->started_s = parse_time(json_string_value(json_object_get(top, "start_time")));
	res->ended_s = parse_time(json_string_value(json_object_get(top, "end_time")));
	return parse_threads(top, res, e);
}

int cyclictest_parse(const char *text, size_t size, struct cyclictest_result *ret, struct error *e)
{
	_cleanup_cyclictest_result_ struct cyclictest_result res = { 0 };
	_cleanup_free_ char *clean = NULL;
	json_error_t je;
	size_t n;
	json_t *top;
	int r;

	clean = without_nan(text, size, &n);
	if (!clean)
		return -ENOMEM;
	top = json_loadb(clean, n, JSON_REJECT_DUPLICATES, &je);
	if (!top)
		return bad(e, "not JSON: line %d: %s", je.line, je.text);
	r = parse_top(top, &res, e);
	json_decref(top);
	if (r < 0)
		return r;
	*ret = res;
	res = (struct cyclictest_result){ 0 };
	return 0;
}

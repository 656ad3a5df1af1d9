/* cyclictest's command line and its JSON result, with every known way in which that is not one. */
#include "cyclictest_fixture.h"

#include "measure/cyclictest.h"

static int parse(const char *name, struct cyclictest_result *ret, struct error *e)
{
	size_t size;
	_cleanup_free_ char *text = fixture(name, &size);

	return cyclictest_parse(text, size, ret, e);
}

static void assert_bad(const char *name, const char *why)
{
	_cleanup_cyclictest_result_ struct cyclictest_result r = { 0 };
	_cleanup_error_ struct error e = { 0 };

	assert_int_equal(parse(name, &r, &e), -EBADMSG);
	if (!strstr(e.what, why))
		fail_msg("%s: \"%s\" does not say \"%s\"", name, e.what, why);
	assert_null(r.threads);
}

static void real_result_of_two_cpus(void **state)
{
	_cleanup_cyclictest_result_ struct cyclictest_result r = { 0 };
	_cleanup_error_ struct error e = { 0 };

	(void)state;
	assert_int_equal(parse("complete.json", &r, &e), 0);
	assert_string_equal(r.version, "2.40");
	assert_int_equal(r.return_code, 0);
	assert_int_equal(r.n_threads, 2);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(r.threads[i].cpu, i);
		assert_int_equal(r.threads[i].cycles, 2000);
		assert_true(r.threads[i].has_histogram);
		assert_int_equal(r.threads[i].overflow, 0);
		assert_true(r.threads[i].n_buckets > 10);
	}
	assert_int_equal(r.threads[0].max_us, 389);
	assert_int_equal(r.ended_s - r.started_s, 2);
}

static void overflow_is_what_the_histogram_lacks(void **state)
{
	_cleanup_cyclictest_result_ struct cyclictest_result r = { 0 };

	(void)state;
	assert_int_equal(parse("overflow.json", &r, NULL), 0);
	assert_int_equal(r.threads[0].cycles, 1999);
	assert_int_equal(r.threads[0].overflow, 1);
	assert_int_equal(r.threads[0].max_us, 1574);
	assert_int_equal(r.threads[1].overflow, 0);
}

static void nan_of_a_run_without_samples_is_not_a_perfect_zero(void **state)
{
	_cleanup_cyclictest_result_ struct cyclictest_result r = { 0 };

	(void)state;
	assert_int_equal(parse("zero_samples.json", &r, NULL), 0);
	assert_int_equal(r.n_threads, 2);
	assert_int_equal(r.threads[0].cycles, 0);
	assert_int_equal(r.threads[0].min_us, 0);
	assert_int_equal(r.threads[0].max_us, 0);
}

static void missing_histogram_is_told_from_an_empty_one(void **state)
{
	static const char text[] =
		"{\"return_code\":0,\"resolution_in_ns\":0,\"num_threads\":1,"
		"\"thread\":{\"0\":{\"cycles\":5,\"min\":1,\"max\":2,\"avg\":1.5,"
		"\"cpu\":7}}}";
	_cleanup_cyclictest_result_ struct cyclictest_result r = { 0 }, since_2_7 = { 0 };

	(void)state;
	assert_int_equal(parse("no_histogram.json", &r, NULL), 0);
	assert_false(r.threads[0].has_histogram);
	assert_int_equal(cyclictest_parse(text, sizeof(text) - 1, &since_2_7, NULL), 0);
	assert_false(since_2_7.threads[0].has_histogram);
	assert_int_equal(since_2_7.threads[0].overflow, 0);
	assert_int_equal(since_2_7.started_s, -1);
	assert_null(since_2_7.version);
}

static void broken_results_are_refused_with_the_reason(void **state)
{
	(void)state;
	assert_bad("unescaped_quote.json", "not JSON");
	assert_bad("cut_off.json", "not JSON");
	assert_bad("empty.json", "not JSON");
	assert_bad("usage.out", "not JSON");
	assert_bad("nanoseconds.json", "nanoseconds");
	assert_bad("more_samples_than_cycles.json", "more samples in the histogram than cycles");
}

static void numbers_that_contradict_each_other_are_refused(void **state)
{
	static const char *const threads[] = {
		"\"cycles\":-1,\"min\":1,\"max\":2,\"avg\":1,\"cpu\":0",
		"\"cycles\":2,\"min\":3,\"max\":2,\"avg\":2.5,\"cpu\":0",
		"\"cycles\":2,\"min\":1,\"max\":2,\"avg\":9,\"cpu\":0",
		"\"cycles\":2,\"min\":1,\"max\":2,\"avg\":-nan,\"cpu\":0",
		"\"cycles\":2,\"min\":1,\"max\":2,\"cpu\":0",
		"\"cycles\":2,\"min\":1,\"max\":2,\"avg\":1,\"cpu\":\"0\"",
		"\"cycles\":2,\"min\":1,\"max\":2,\"avg\":1,\"cpu\":70000",
		"\"cycles\":2,\"min\":1,\"max\":2,\"avg\":1,\"cpu\":0,\"histogram\":{\"3\":1}",
		"\"cycles\":2,\"min\":1,\"max\":2,\"avg\":1,\"cpu\":0,\"histogram\":{\"0\":1}",
		"\"cycles\":2,\"min\":1,\"max\":2,\"avg\":1,\"cpu\":0,\"histogram\":{\"-1\":1}",
		"\"cycles\":2,\"min\":1,\"max\":2,\"avg\":1,\"cpu\":0,\"histogram\":{\"1\":1,"
		"\"01\":1}",
		"\"cycles\":2,\"min\":1,\"max\":2,\"avg\":1,\"cpu\":0,\"histogram\":{\"1\":-1}",
		"\"cycles\":2,\"min\":1,\"max\":2,\"avg\":1,\"cpu\":0,\"histogram\":[2]",
		"\"cycles\":2,\"cycles\":3,\"min\":1,\"max\":2,\"avg\":1,\"cpu\":0",
		"\"cycles\":99999999999999999999,\"min\":1,\"max\":2,\"avg\":1,\"cpu\":0",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
		_cleanup_cyclictest_result_ struct cyclictest_result r = { 0 };
		_cleanup_free_ char *text = NULL;

		assert_true(asprintf(&text,
				     "{\"return_code\":0,\"resolution_in_ns\":0,\"num_threads\":1,"
				     "\"thread\":{\"0\":{%s}}}",
				     threads[i]) > 0);
		if (cyclictest_parse(text, strlen(text), &r, NULL) != -EBADMSG)
			fail_msg("accepted: %s", threads[i]);
	}
}

static void threads_must_be_as_many_as_announced(void **state)
{
	static const char *const texts[] = {
		"[]",
		"{\"return_code\":0,\"resolution_in_ns\":0,\"num_threads\":2,\"thread\":{}}",
		"{\"return_code\":0,\"resolution_in_ns\":0,\"num_threads\":0}",
		"{\"return_code\":0,\"num_threads\":0,\"thread\":{}}",
		"{\"resolution_in_ns\":0,\"num_threads\":0,\"thread\":{}}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct cyclictest_result r = { 0 };

		assert_int_equal(cyclictest_parse(texts[i], strlen(texts[i]), &r, NULL), -EBADMSG);
	}
}

static struct cpuset list(const char *text)
{
	struct cpuset s = { 0 };

	assert_int_equal(cpuset_parse_list(text, 0, &s), 0);
	return s;
}

static int argv_text(struct cyclictest_request *rq, const char *help, char **ret, struct error *e)
{
	_cleanup_(arena_free) struct arena a = { 0 };
	size_t size;
	char **argv;
	FILE *f;
	int r = cyclictest_argv(rq, help, &a, &argv, e);

	if (r < 0)
		return r;
	f = open_memstream(ret, &size);
	for (; *argv; argv++)
		fprintf(f, "%s%s", *argv, argv[1] ? " " : "");
	fclose(f);
	return 0;
}

static void arguments_name_every_cpu_and_plain_seconds(void **state)
{
	_cleanup_cpuset_ struct cpuset cpus = list("2-3,8"), housekeeping = list("0-1");
	_cleanup_free_ char *help = fixture("usage.out", NULL), *text = NULL;
	struct cyclictest_request rq = {
		.tool = "cyclictest",
		.cpus = &cpus,
		.housekeeping = &housekeeping,
		.interval_us = 200,
		.duration_s = 43200,
		.histogram_us = 1000,
		.json_path = "/x/cyclictest.json",
	};

	(void)state;
	assert_int_equal(argv_text(&rq, help, &text, NULL), 0);
	assert_string_equal(text, "cyclictest -m -q -p 95 --policy=fifo -a 2-3,8 -t 3 "
				  "--mainaffinity=0-1 -i 200 -d 0 -D 43200s -h 1000 "
				  "--default-system --json=/x/cyclictest.json");
}

static void a_tool_that_lacks_an_option_is_refused_by_its_help(void **state)
{
	_cleanup_cpuset_ struct cpuset cpus = list("2"), none = { 0 };
	_cleanup_free_ char *help = fixture("usage.out", NULL), *text = NULL;
	_cleanup_error_ struct error e = { 0 };
	struct cyclictest_request rq = {
		.tool = "cyclictest",
		.cpus = &cpus,
		.housekeeping = &none,
		.interval_us = 200,
		.duration_s = 1,
		.histogram_us = 1000,
		.json_path = "/x/a.json",
	};
	char *at = strstr(help, "--mainaffinity");

	(void)state;
	memcpy(at, "--meinaffinity", 14);
	assert_int_equal(argv_text(&rq, help, &text, NULL), 0);
	assert_null(strstr(text, "mainaffinity"));
	at = strstr(help, "--default-system");
	memcpy(at, "--default-sistem", 16);
	assert_int_equal(argv_text(&rq, help, &text, &e), -EOPNOTSUPP);
	assert_non_null(strstr(e.what, "--default-system"));
	assert_non_null(strstr(e.todo, "rt-tests"));
}

static void requests_that_cannot_be_carried_out_are_refused(void **state)
{
	_cleanup_cpuset_ struct cpuset cpus = list("2"), none = { 0 };
	_cleanup_free_ char *help = fixture("usage.out", NULL);
	struct cyclictest_request good = {
		.tool = "cyclictest", .cpus = &cpus, .housekeeping = &none,	 .interval_us = 200,
		.duration_s = 1,      .histogram_us = 1000, .json_path = "/x/a.json",
	}, rq;

	(void)state;
	rq = good;
	rq.cpus = &none;
	assert_int_equal(argv_text(&rq, help, NULL, NULL), -EINVAL);
	rq = good;
	rq.duration_s = 0;
	assert_int_equal(argv_text(&rq, help, NULL, NULL), -EINVAL);
	rq = good;
	rq.json_path = "/x/a\"b";
	assert_int_equal(argv_text(&rq, help, NULL, NULL), -EINVAL);
}

static void histogram_is_five_times_the_limit_within_the_tools_range(void **state)
{
	(void)state;
	assert_int_equal(cyclictest_histogram_us(-1), 1000);
	assert_int_equal(cyclictest_histogram_us(40), 1000);
	assert_int_equal(cyclictest_histogram_us(200), 1000);
	assert_int_equal(cyclictest_histogram_us(201), 1005);
	assert_int_equal(cyclictest_histogram_us(199999), 999995);
	assert_int_equal(cyclictest_histogram_us(INT64_MAX), 1000000);
}

static void usage_and_break_are_seen_in_the_output(void **state)
{
	_cleanup_free_ char *usage = fixture("usage.out", NULL), *brk = fixture("break.out", NULL);

	(void)state;
	assert_true(cyclictest_is_usage(usage));
	assert_false(cyclictest_is_usage(brk));
	assert_true(cyclictest_hit_break(brk));
	assert_false(cyclictest_hit_break(usage));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(real_result_of_two_cpus),
		cmocka_unit_test(overflow_is_what_the_histogram_lacks),
		cmocka_unit_test(nan_of_a_run_without_samples_is_not_a_perfect_zero),
		cmocka_unit_test(missing_histogram_is_told_from_an_empty_one),
		cmocka_unit_test(broken_results_are_refused_with_the_reason),
		cmocka_unit_test(numbers_that_contradict_each_other_are_refused),
		cmocka_unit_test(threads_must_be_as_many_as_announced),
		cmocka_unit_test(arguments_name_every_cpu_and_plain_seconds),
		cmocka_unit_test(a_tool_that_lacks_an_option_is_refused_by_its_help),
		cmocka_unit_test(requests_that_cannot_be_carried_out_are_refused),
		cmocka_unit_test(histogram_is_five_times_the_limit_within_the_tools_range),
		cmocka_unit_test(usage_and_break_are_seen_in_the_output),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* A segment as JSON (what a hostile guest may say), and one of the real cyclictest. */
#include "cyclictest_fixture.h"
#include "measure_tmp.h"

#include <sched.h>
#include <sys/wait.h>

#include "measure/segment.h"

static struct segment_outcome sample(void)
{
	return (struct segment_outcome){ .tool = { .wait_status = 9, .elapsed_ms = 1234 },
					 .json = strdup("{}"),
					 .output = strdup("said \"this\"\n"),
					 .argv = json_pack("[s, s]", "cyclictest", "-q"),
					 .load = json_pack("{s:i}", "cpu_time_us", 5),
					 .load_trouble = strdup("died"),
					 .fingerprint = json_pack("{s:s}", "boot_id", "a") };
}

static void outcome_survives_the_channel(void **state)
{
	struct segment_outcome o = sample(), back;
	json_t *json = segment_outcome_to_json(&o);

	(void)state;
	assert_non_null(json);
	assert_int_equal(segment_outcome_from_json(json, &back, NULL), 0);
	assert_null(back.not_started);
	assert_string_equal(back.json, o.json);
	assert_string_equal(back.output, o.output);
	assert_string_equal(back.load_trouble, "died");
	assert_int_equal(back.tool.wait_status, 9);
	assert_int_equal(back.tool.elapsed_ms, 1234);
	assert_true(json_equal(back.argv, o.argv));
	assert_true(json_equal(back.load, o.load));
	assert_true(json_equal(back.fingerprint, o.fingerprint));
	json_decref(json);
	segment_outcome_done(&o);
	segment_outcome_done(&back);
}

static void request_survives_the_channel(void **state)
{
	struct segment_request rq = { .id = strdup("run/idle_idle/1"),
				      .interval_us = 200,
				      .duration_s = 60,
				      .histogram_us = 1000,
				      .load = strdup("cpustress") };
	struct segment_request back = { 0 };
	json_t *json;

	(void)state;
	assert_int_equal(cpuset_parse_list("1-3", 0, &rq.cpus), 0);
	assert_int_equal(cpuset_parse_list("0", 0, &rq.housekeeping), 0);
	json = segment_request_to_json(&rq);
	assert_int_equal(segment_request_from_json(json, &back, NULL), 0);
	assert_string_equal(back.id, rq.id);
	assert_string_equal(back.load, "cpustress");
	assert_true(cpuset_equal(&back.cpus, &rq.cpus));
	assert_int_equal(back.duration_s, 60);
	segment_request_done(&back);
	json_object_set_new(json, "load", json_string("rm -rf"));
	assert_int_equal(segment_request_from_json(json, &back, NULL), -EBADMSG);
	json_object_set_new(json, "load", json_string("idle"));
	json_object_set_new(json, "cpus", json_string(""));
	assert_int_equal(segment_request_from_json(json, &back, NULL), -EBADMSG);
	json_decref(json);
	segment_request_done(&rq);
}

static json_t *big(size_t n)
{
	char *text = malloc(n + 1);
	json_t *json;

	memset(text, 'x', n);
	text[n] = 0;
	json = json_string(text);
	free(text);
	return json;
}

static void what_breaks_a_bound_is_refused_whole(void **state)
{
	const struct {
		const char *key;
		json_t *value;
	} bad[] = {
		{ "json", json_integer(3) },
		{ "json", big((4 << 20) + 1) },
		{ "output", big(70000) },
		{ "load_trouble", big(2000) },
		{ "argv", json_pack("[i]", 3) },
		{ "argv", json_object() },
		{ "load", json_string("x") },
		{ "fingerprint", json_array() },
		{ "not_started", json_object() },
		{ "tool", json_null() },
		{ "fingerprint", json_pack("{s:o}", "x", big(70000)) },
		{ "json", json_stringn("a\0b", 3) },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct segment_outcome o = sample(), back;
		json_t *json = segment_outcome_to_json(&o);
		_cleanup_error_ struct error e = { 0 };

		json_object_set_new(json, bad[i].key, bad[i].value);
		assert_int_equal(segment_outcome_from_json(json, &back, &e), -EBADMSG);
		assert_non_null(strstr(e.what, "out of bounds"));
		json_decref(json);
		segment_outcome_done(&o);
	}
	assert_int_equal(segment_outcome_from_json(NULL, &(struct segment_outcome){ 0 }, NULL),
			 -EBADMSG);
}

static void real_cyclictest_measures_one_second(void **state)
{
	struct segment_request rq = { .interval_us = 1000, .duration_s = 1, .histogram_us = 1000 };
	_cleanup_(segment_outcome_done) struct segment_outcome o = { 0 };
	_cleanup_error_ struct error e = { 0 };
	_cleanup_free_ char *tool = NULL, *left = NULL;
	char *folder = tmp_make();
	cpu_set_t set;
	int r;

	(void)state;
	if (geteuid() != 0 || tool_find("cyclictest", &tool) < 0) {
		print_message("SKIP: this needs root and cyclictest\n");
		tmp_remove(folder);
		skip();
	}
	assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
	for (unsigned cpu = 0; cpu < CPU_SETSIZE && cpuset_empty(&rq.cpus); cpu++)
		if (CPU_ISSET(cpu, &set))
			assert_int_equal(cpuset_add(&rq.cpus, cpu), 0);
	rq.id = strdup("x");
	rq.load = strdup("idle");
	r = segment_run(&rq, folder, NULL, NULL, &o, &e);
	if (r < 0)
		fail_msg("%s", e.what);
	if (o.not_started)
		fail_msg("%s", o.not_started);
	assert_non_null(o.json);
	assert_non_null(strstr(o.json, "\"cycles\""));
	assert_true(WIFEXITED(o.tool.wait_status));
	assert_true(o.tool.elapsed_ms >= 1000);
	assert_true(json_is_object(o.fingerprint));
	assert_null(o.load);
	assert_true(asprintf(&left, "%s/cyclictest.json", folder) > 0);
	assert_int_equal(access(left, F_OK), -1);
	segment_request_done(&rq);
	tmp_remove(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(outcome_survives_the_channel),
		cmocka_unit_test(request_survives_the_channel),
		cmocka_unit_test(what_breaks_a_bound_is_refused_whole),
		cmocka_unit_test(real_cyclictest_measures_one_second),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

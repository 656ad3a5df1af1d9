/* A measurement in a guest: it has to stay the guest that it was. */
#include "tests/unit/measure_run_fixture.h"

static void use_guest(struct bench *b, struct desired_guest *g, struct desired *inside)
{
	*inside = (struct desired){ .role = ROLE_GUEST, .isolated = b->d.isolated };
	*g = (struct desired_guest){ .name = "vnf0", .state = inside };
	b->d.guests = g;
	b->d.n_guests = 1;
	b->target.name = "guest/vnf0";
	b->target.guest = "vnf0";
}

static void guest_is_measured_and_says_what_it_is(void **state)
{
	struct bench *b = *state;
	struct desired_guest g;
	struct desired inside;

	use_guest(b, &g, &inside);
	bench_install_tool(b, "sleep 1; result 2 3 5000 57 1");
	assert_int_equal(bench_go(b, 1), 0);
	bench_assert_run(b, RUN_FAIL, REASON_SLA_EXCEEDED);
	assert_string_equal(json_string_value(json_object_get(b->run.result, "on")), "guest/vnf0");
	assert_true(json_is_object(
		json_object_get(json_object_get(b->run.result, "fingerprint"), "guest")));
}

/* From its second segment on the guest says that it has another kernel. */
static int run_on_another_guest(struct target *t, const struct segment_request *rq,
				const char *workdir, tool_tick_fn tick, void *userdata,
				struct segment_outcome *ret, struct error *e)
{
	struct bench *b = t->userdata;
	int r = segment_run_with(&b->tools, rq, workdir, tick, userdata, ret, e);

	if (r < 0)
		return r;
	json_decref(ret->fingerprint);
	ret->fingerprint = json_pack("{s:{s:s}}", "kernel", "release",
				     b->n_segments++ ? "6.1.0-2-rt" : "6.1.0-1-rt");
	return r;
}

static void guest_that_became_another_is_kept_as_before_and_after(void **state)
{
	_cleanup_free_ char *html = NULL;
	struct bench *b = *state;
	struct desired_guest g;
	struct desired inside;
	const json_t *after;

	use_guest(b, &g, &inside);
	b->target.run_segment = run_on_another_guest;
	b->d.measure.segment_s = 1;
	bench_install_tool(b, "sleep 1; result 2 3 5000 23 1");
	assert_int_equal(bench_go(b, 2), 0);
	bench_assert_run(b, RUN_INCONCLUSIVE, REASON_FINGERPRINT_CHANGED);
	after = json_object_get(b->run.result, "fingerprint_after");
	assert_non_null(after);
	assert_null(json_object_get(after, "host")); /* which stayed what it was */
	after = json_object_get(json_object_get(after, "guest"), "kernel");
	assert_string_equal(json_string_value(json_object_get(after, "release")), "6.1.0-2-rt");
	html = bench_kept(b, "report.html");
	assert_non_null(html);
	assert_non_null(strstr(html, "<td>kernel.release</td><td>6.1.0-1-rt</td>"
				     "<td>6.1.0-2-rt</td>"));
}

static void guest_that_is_not_verified_is_not_measured(void **state)
{
	struct bench *b = *state;
	struct desired_guest g;
	struct desired inside;

	use_guest(b, &g, &inside);
	bench_machine.guest_silent_at = 1;
	assert_int_equal(bench_go(b, 1), -EPERM);
	assert_non_null(strstr(b->error.what, "guest vnf0: the machine is unknown"));
	b->target.guest = NULL; /* the host alone does not ask for it */
	b->target.name = "host";
	bench_install_tool(b, "sleep 1; result 2 3 5000 23 1");
	assert_int_equal(bench_go(b, 1), 0);
}

static void guest_booted_again_half_way_is_never_a_pass(void **state)
{
	struct bench *b = *state;
	struct desired_guest g;
	struct desired inside;

	use_guest(b, &g, &inside);
	bench_machine.guest_boots_at = 2;
	bench_install_tool(b, "trap 'result 2 3 5000 57 1; exit 0' INT; sleep 20 & wait");
	assert_int_equal(bench_go(b, 20), 0);
	bench_assert_run(b, RUN_INCONCLUSIVE, REASON_REBOOTED);
	assert_true(bench_has_reason(b, REASON_TRUNCATED));
}

static int run_nowhere(struct target *t, const struct segment_request *rq, const char *workdir,
		       tool_tick_fn tick, void *userdata, struct segment_outcome *ret,
		       struct error *e)
{
	(void)t;
	(void)rq;
	(void)workdir;
	(void)tick;
	(void)userdata;
	(void)ret;
	return error_set(e, -EHOSTDOWN, "no answer for 30 s");
}

static void guest_that_no_longer_answers_is_inconclusive(void **state)
{
	struct bench *b = *state;
	struct desired_guest g;
	struct desired inside;

	use_guest(b, &g, &inside);
	b->target.run_segment = run_nowhere;
	assert_int_equal(bench_go(b, 1), 0);
	bench_assert_run(b, RUN_INCONCLUSIVE, REASON_GUEST_UNREACHABLE);
	assert_non_null(strstr(b->run.sentence, "no answer for 30 s"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(guest_is_measured_and_says_what_it_is),
		TEST(guest_that_became_another_is_kept_as_before_and_after),
		TEST(guest_that_is_not_verified_is_not_measured),
		TEST(guest_booted_again_half_way_is_never_a_pass),
		TEST(guest_that_no_longer_answers_is_inconclusive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

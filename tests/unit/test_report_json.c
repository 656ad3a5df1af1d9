/*
 * The JSON that others parse: the whole shape once, byte for byte, then what must hold for odd
 * input (bytes that are no UTF-8, a previous status that is nonsense).
 */
#include "state/report_json.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "state/guest.h"
#include "state/settings.h"
#include "state/writer.h"

static const struct fact release = { .state = FACT_KNOWN, .text = "6.1.0-56-rt-amd64" };
static const struct fact version = { .state = FACT_KNOWN, .text = "#1 SMP PREEMPT_RT Debian" };

static void make_machine(struct desired *d, struct observed *o)
{
	*d = (struct desired){ .source = "/etc/latencyd/latencyd.yaml", .digest = (char *)"00ff" };
	assert_int_equal(cpuset_add_range(&d->isolated, 2, 7), 0);
	assert_int_equal(cpuset_add_range(&d->housekeeping, 0, 1), 0);
	*o = (struct observed){
		.kernel_release = release,
		.boot_id = { .state = FACT_KNOWN, .text = "11-22" },
		.kernel_version = version,
		.cmdline = { .state = FACT_KNOWN, .text = "root=/dev/vda1 \"quoted\"" },
		.cpu_possible = { .state = FACT_KNOWN, .text = "0-7" },
		.cpu_present = { .state = FACT_KNOWN, .text = "0-7" },
		.cpu_online = { .state = FACT_DENIED },
	};
	assert_int_equal(cpuset_add_range(&o->possible, 0, 7), 0);
	assert_int_equal(cpuset_add_range(&o->present, 0, 7), 0);
}

static void free_machine(struct desired *d, struct observed *o)
{
	cpuset_done(&d->isolated);
	cpuset_done(&d->housekeeping);
	cpuset_done(&o->possible);
	cpuset_done(&o->present);
}

static struct evidence evidence[] = {
	{ .path = "/proc/irq/24/effective_affinity_list", .value = "3" },
};
static struct verdict_item items[] = {
	{ .id = "24",
	  .name = "virtio1-req.0",
	  .live = "3",
	  .want = "0-1",
	  .verdict = VERDICT_DRIFTED },
	{ .id = "25",
	  .name = "nvme0q1",
	  .live = "4",
	  .want = "0-1",
	  .verdict = VERDICT_UNFIXABLE,
	  .reason = "managed" },
};

static void make_report(struct report *r, struct setting_verdict v[2])
{
	v[0] = (struct setting_verdict){
		.setting = setting_by_name("irq_affinity"),
		.verdict = VERDICT_DRIFTED,
		.want = "0-1",
		.live = "1 of 45 outside 0-1",
		.reason = "an IRQ is elsewhere",
		.evidence = evidence,
		.n_evidence = 1,
		.items = items,
		.n_items = 2,
		.since = "2026-11-22T10:00:00Z",
	};
	v[1] = (struct setting_verdict){
		.setting = setting_by_name("tsc"),
		.verdict = VERDICT_CONVERGED,
		.next_boot = "tsc=reliable",
	};
	*r = (struct report){
		.verdict = MACHINE_DRIFTED, .settings = v, .n_settings = 2, .generation = 7
	};
}

static char *dump(json_t *object)
{
	char *text;

	assert_non_null(object);
	text = json_dumps(object, JSON_COMPACT);
	assert_non_null(text);
	json_decref(object);
	return text;
}

static void status_has_exactly_the_documented_shape(void **state)
{
	struct setting_verdict v[2];
	_cleanup_free_ char *text = NULL;
	struct desired d;
	struct observed o;
	struct report r;

	(void)state;
	make_machine(&d, &o);
	make_report(&r, v);
	text = dump(report_to_json(&d, &o, &r));
	assert_string_equal(
		text,
		"{\"version\":1,\"machine\":\"host\",\"verdict\":\"drifted\",\"generation\":7,"
		"\"document\":\"/etc/latencyd/latencyd.yaml\",\"document_digest\":\"00ff\","
		"\"boot_id\":\"11-22\","
		"\"kernel\":{\"release\":\"6.1.0-56-rt-amd64\",\"preemption\":\"rt\","
		"\"cmdline\":\"root=/dev/vda1 \\\"quoted\\\"\"},"
		"\"cpus\":{\"possible\":\"0-7\",\"present\":\"0-7\",\"online\":null,"
		"\"isolated\":\"2-7\",\"housekeeping\":\"0-1\"},"
		"\"settings\":["
		"{\"name\":\"irq_affinity\",\"verdict\":\"drifted\",\"severity\":\"required\","
		"\"want\":\"0-1\",\"live\":\"1 of 45 outside 0-1\",\"next_boot\":null,"
		"\"reason\":\"an IRQ is elsewhere\",\"since\":\"2026-11-22T10:00:00Z\","
		"\"changed_by\":null,"
		"\"evidence\":[{\"path\":\"/proc/irq/24/"
		"effective_affinity_list\",\"value\":\"3\"}],"
		"\"items\":[{\"id\":\"24\",\"name\":\"virtio1-req.0\",\"live\":\"3\","
		"\"want\":\"0-1\",\"verdict\":\"drifted\"},"
		"{\"id\":\"25\",\"name\":\"nvme0q1\",\"live\":\"4\",\"want\":\"0-1\","
		"\"verdict\":\"unfixable\",\"reason\":\"managed\"}]},"
		"{\"name\":\"tsc\",\"verdict\":\"converged\",\"severity\":\"required\","
		"\"want\":null,\"live\":null,\"next_boot\":\"tsc=reliable\",\"reason\":null,"
		"\"since\":null,\"changed_by\":null,\"evidence\":[],\"items\":[]}],"
		"\"guests\":[]}");
	free_machine(&d, &o);
}

static void a_guest_is_an_object_of_its_own(void **state)
{
	struct desired_guest wanted = { .name = "vnf0", .origin = GUEST_ADOPT };
	struct setting_verdict v = { .setting = guest_settings[0], .live = "does not run" };
	struct guest_report guest = {
		.name = "vnf0",
		.verdict = MACHINE_UNKNOWN,
		.settings = &v,
		.n_settings = 1,
		.boot_id = "33-44",
	};
	struct desired d = { .role = ROLE_GUEST, .guests = &wanted, .n_guests = 1 };
	struct report r = { .guests = &guest, .n_guests = 1 };
	struct observed o = { 0 };
	json_t *status = report_to_json(&d, &o, &r);
	_cleanup_free_ char *text = NULL;

	(void)state;
	assert_string_equal(json_string_value(json_object_get(status, "machine")), "guest");
	assert_string_equal(json_string_value(json_object_get(status, "verdict")), "verified");
	text = json_dumps(json_object_get(status, "guests"), JSON_COMPACT);
	json_decref(status);
	assert_string_equal(text,
			    "[{\"name\":\"vnf0\",\"verdict\":\"unknown\",\"origin\":\"adopt\","
			    "\"kernel_release\":null,\"boot_id\":\"33-44\",\"settings\":["
			    "{\"name\":\"guest_launch\",\"verdict\":\"converged\","
			    "\"severity\":\"required\",\"want\":null,\"live\":\"does not run\","
			    "\"next_boot\":null,\"reason\":null,\"since\":null,\"changed_by\":null,"
			    "\"evidence\":[],\"items\":[]}]}]");
}

static void a_guests_verdicts_keep_their_since(void **state)
{
	struct setting_verdict v = { .setting = guest_settings[0], .verdict = VERDICT_DRIFTED };
	struct guest_report guest = { .name = "b", .settings = &v, .n_settings = 1 };
	struct report r = { .guests = &guest, .n_guests = 1 };
	static const char previous[] =
		"{\"guests\":[{\"name\":\"a\",\"settings\":[{\"name\":\"guest_launch\","
		"\"verdict\":\"drifted\",\"since\":\"A\"}]},"
		"{\"name\":\"b\",\"settings\":[{\"name\":\"guest_launch\","
		"\"verdict\":\"drifted\",\"since\":\"B\"}]}]}";
	json_t *object = json_loads(previous, 0, NULL);

	(void)state;
	assert_int_equal(report_carry(&r, object, "now"), 0);
	assert_string_equal(v.since, "B");
	v.verdict = VERDICT_CONVERGED;
	assert_int_equal(report_carry(&r, object, "now"), 0);
	assert_string_equal(v.since, "now");
	json_decref(object);
	arena_free(&r.arena);
}

static void preemption_is_the_kernels_word(void **state)
{
	static const char *const cases[][2] = {
		{ "#1 SMP PREEMPT_RT Debian 6.1", "rt" },
		{ "#1 SMP PREEMPT_DYNAMIC Debian", "dynamic" },
		{ "#1 SMP PREEMPT Tue", "full" },
		{ "#1 SMP Tue", "none" },
	};
	struct error e = { .code = -ENOENT };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct observed o = {
			.kernel_version = { .state = FACT_KNOWN, .text = cases[i][0] },
		};
		json_t *status = unjudged_to_json("x", &o, &e, 1);

		assert_string_equal(json_string_value(json_object_get(
					    json_object_get(status, "kernel"), "preemption")),
				    cases[i][1]);
		json_decref(status);
	}
}

static void text_that_is_not_utf8_is_mended_not_lost(void **state)
{
	struct observed o = {
		.cmdline = { .state = FACT_KNOWN, .text = "a\xff\xc3\xa9\xc3 z" },
	};
	struct error e = { .what = (char *)"no \xfe document" };
	json_t *status = unjudged_to_json("d", &o, &e, 3);

	(void)state;
	assert_non_null(status);
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(status, "kernel"), "cmdline")),
		"a\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd z");
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(status, "error"), "what")),
		"no \xef\xbf\xbd document");
	json_decref(status);
}

static void machine_that_cannot_be_judged_is_degraded_with_the_error(void **state)
{
	struct error e = { .what = (char *)"missing", .todo = (char *)"write it" };
	_cleanup_free_ char *text = dump(unjudged_to_json("/x.yaml", NULL, &e, 2));

	(void)state;
	assert_string_equal(text, "{\"version\":1,\"machine\":\"host\",\"verdict\":\"degraded\","
				  "\"generation\":2,\"document\":\"/x.yaml\","
				  "\"document_digest\":null,\"boot_id\":null,\"kernel\":null,"
				  "\"cpus\":null,\"settings\":[],\"guests\":[],"
				  "\"error\":{\"what\":\"missing\",\"todo\":\"write it\"}}");
}

static void plan_lists_steps_and_the_boot_intent(void **state)
{
	const struct setting *irq = setting_by_name("irq_affinity"), *tsc = setting_by_name("tsc");
	struct cmdline_arg args[] = { { .key = "tsc", .value = "reliable" },
				      { .key = "nosoftlockup" } };
	const struct setting *owners[] = { tsc, tsc };
	struct step steps[] = {
		{ .kind = STEP_BOOT_ARG,
		  .setting = tsc,
		  .disruption = DISRUPTION_REBOOT,
		  .target = "tsc",
		  .want = "reliable",
		  .name = "" },
		{ .kind = STEP_IRQ,
		  .setting = irq,
		  .disruption = DISRUPTION_IRQ_RESHUFFLE,
		  .target = "/proc/irq/24/smp_affinity_list",
		  .now = "3",
		  .want = "0-1",
		  .number = 24,
		  .name = "eth0, rx" },
		{ .kind = STEP_REBOOT, .disruption = DISRUPTION_REBOOT, .name = "" },
	};
	struct plan p = {
		.steps = steps,
		.n_steps = 3,
		.needs_reboot = true,
		.boot = { .args = args, .owners = owners, .n_args = 2, .n_owners = 2 },
	};
	_cleanup_free_ char *text = dump(plan_to_json(&p));

	(void)state;
	assert_string_equal(
		text,
		"{\"version\":1,\"needs_reboot\":true,\"steps\":["
		"{\"kind\":\"boot-arg\",\"setting\":\"tsc\",\"disruption\":\"reboot\","
		"\"target\":\"tsc\",\"now\":null,\"want\":\"reliable\"},"
		"{\"kind\":\"irq\",\"setting\":\"irq_affinity\",\"disruption\":\"irq-reshuffle\","
		"\"target\":\"/proc/irq/24/smp_affinity_list\",\"now\":\"3\",\"want\":\"0-1\","
		"\"number\":24,\"name\":\"eth0, rx\"},"
		"{\"kind\":\"reboot\",\"setting\":null,\"disruption\":\"reboot\",\"target\":null,"
		"\"now\":null,\"want\":null}],"
		"\"boot\":{\"args\":[{\"key\":\"tsc\",\"value\":\"reliable\",\"setting\":\"tsc\"},"
		"{\"key\":\"nosoftlockup\",\"value\":null,\"setting\":\"tsc\"}],"
		"\"default_entry\":null}}");
}

static const char NOW[] = "2026-11-22T12:00:00Z";

static void carry(struct report *r, const char *previous)
{
	json_t *object = previous ? json_loads(previous, 0, NULL) : NULL;

	assert_true(!previous || object);
	assert_int_equal(report_carry(r, object, NOW), 0);
	json_decref(object);
}

static void same_verdict_keeps_since_another_gets_now(void **state)
{
	struct setting_verdict v[2];
	struct report r;

	(void)state;
	make_report(&r, v);
	carry(&r, "{\"verdict\":\"drifted\",\"generation\":4,\"settings\":["
		  "{\"name\":\"tsc\",\"verdict\":\"drifted\",\"since\":\"2020-01-01T00:00:00Z\"},"
		  "{\"name\":\"irq_affinity\",\"verdict\":\"drifted\","
		  "\"since\":\"2020-01-02T00:00:00Z\"}]}");
	assert_string_equal(v[0].since, "2020-01-02T00:00:00Z");
	assert_string_equal(v[1].since, NOW);
	assert_int_equal(r.generation, 4);
	arena_free(&r.arena);
}

static void generation_counts_changes_of_the_machine_verdict(void **state)
{
	struct setting_verdict v[2];
	struct report r;

	(void)state;
	make_report(&r, v);
	carry(&r, "{\"verdict\":\"verified\",\"generation\":4,\"settings\":[]}");
	assert_int_equal(r.generation, 5);
	carry(&r, NULL);
	assert_int_equal(r.generation, 1);
	arena_free(&r.arena);
}

static void nonsense_before_counts_as_nothing_before(void **state)
{
	static const char *const nonsense[] = {
		"{}",
		"[]",
		"{\"settings\":7,\"generation\":\"x\",\"verdict\":[]}",
		"{\"settings\":[null,3,{\"name\":null},{\"name\":\"tsc\",\"verdict\":2},"
		"{\"name\":\"irq_affinity\",\"verdict\":\"drifted\",\"since\":5}]}",
		"{\"generation\":-3,\"verdict\":\"splendid\"}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(nonsense); i++) {
		struct setting_verdict v[2];
		struct report r;

		make_report(&r, v);
		carry(&r, nonsense[i]);
		assert_string_equal(v[0].since, NOW);
		assert_string_equal(v[1].since, NOW);
		assert_int_equal(r.generation, 1);
		arena_free(&r.arena);
	}
}

static void who_changed_it_is_part_of_the_status(void **state)
{
	const struct writer w = { .pid = 812,
				  .uid = 0,
				  .comm = (char *)"irqbalance",
				  .unit = (char *)"irqbalance.service" };
	struct setting_verdict v[2];
	_cleanup_free_ char *text = NULL;
	struct desired d;
	struct observed o;
	struct report r;

	(void)state;
	make_machine(&d, &o);
	make_report(&r, v);
	v[0].changed_by = &w;
	text = dump(report_to_json(&d, &o, &r));
	assert_non_null(strstr(text,
			       "\"changed_by\":{\"pid\":812,\"uid\":0,\"comm\":\"irqbalance\","
			       "\"exe\":null,\"unit\":\"irqbalance.service\","
			       "\"container\":null,\"gone\":false}"));
	free_machine(&d, &o);
}

#define BY "\"changed_by\":{\"pid\":812,\"uid\":0,\"comm\":\"irq\\u001bbalance\"}"

static void a_writer_is_carried_with_the_same_verdict_only(void **state)
{
	struct setting_verdict v[2];
	struct report r;

	(void)state;
	make_report(&r, v);
	carry(&r, "{\"settings\":[{\"name\":\"irq_affinity\",\"verdict\":\"drifted\"," BY "},"
		  "{\"name\":\"tsc\",\"verdict\":\"drifted\"," BY "}]}");
	assert_non_null(v[0].changed_by);
	assert_int_equal(v[0].changed_by->pid, 812);
	assert_null(strchr(v[0].changed_by->comm, '\x1b'));
	assert_null(v[0].changed_by->exe);
	assert_null(v[1].changed_by);
	arena_free(&r.arena);
}

static void who_was_seen_now_is_not_replaced_by_who_was_seen_before(void **state)
{
	const struct writer now = { .pid = 5, .comm = (char *)"sh" };
	struct setting_verdict v[2];
	struct report r;

	(void)state;
	make_report(&r, v);
	v[0].changed_by = &now;
	carry(&r, "{\"settings\":[{\"name\":\"irq_affinity\",\"verdict\":\"drifted\"," BY "}]}");
	assert_ptr_equal(v[0].changed_by, &now);
	arena_free(&r.arena);
}

static void a_contested_setting_that_is_drifted_stays_contested(void **state)
{
	struct setting_verdict v[2];
	struct report r;

	(void)state;
	make_report(&r, v);
	carry(&r, "{\"verdict\":\"degraded\",\"generation\":4,\"settings\":["
		  "{\"name\":\"irq_affinity\",\"verdict\":\"contested\",\"reason\":\"a fight\","
		  "\"since\":\"2020-01-02T00:00:00Z\"," BY "},"
		  "{\"name\":\"tsc\",\"verdict\":\"contested\",\"reason\":\"a fight\"}]}");
	assert_int_equal(v[0].verdict, VERDICT_CONTESTED);
	assert_string_equal(v[0].reason, "a fight");
	assert_string_equal(v[0].since, "2020-01-02T00:00:00Z");
	assert_non_null(v[0].changed_by);
	/* Right now: only the daemon knows whether the fight is over. */
	assert_int_equal(v[1].verdict, VERDICT_CONVERGED);
	assert_int_equal(r.verdict, MACHINE_DEGRADED);
	assert_int_equal(r.generation, 4);
	arena_free(&r.arena);
}

static void odd_writers_before_are_nobody(void **state)
{
	static const char *const odd[] = { "5", "[]", "null", "\"irqbalance\"", "true" };
	char text[160];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		struct setting_verdict v[2];
		struct report r;

		make_report(&r, v);
		(void)snprintf(text, sizeof(text),
			       "{\"settings\":[{\"name\":\"irq_affinity\",\"verdict\":\"drifted\","
			       "\"changed_by\":%s}]}",
			       odd[i]);
		carry(&r, text);
		assert_null(v[0].changed_by);
		arena_free(&r.arena);
	}
}

static void a_narrow_look_replaces_only_what_it_looked_at(void **state)
{
	struct setting_verdict v[2];
	json_t *status, *settings_before, *tsc_before;
	struct desired d;
	struct observed o;
	struct report r;
	const char *text;

	(void)state;
	make_machine(&d, &o);
	make_report(&r, v);
	status = report_to_json(&d, &o, &r);
	assert_non_null(status);
	settings_before = json_object_get(status, "settings");
	tsc_before = json_deep_copy(json_array_get(settings_before, 1));
	v[0].verdict = VERDICT_CONVERGED;
	v[1].verdict = VERDICT_UNKNOWN;
	r.verdict = MACHINE_VERIFIED;
	r.generation = 8;
	/* The report's list is by its own index: irq_affinity is its first. */
	assert_int_equal(status_replace(status, &r, 1), 0);
	text = json_string_value(
		json_object_get(json_array_get(json_object_get(status, "settings"), 0), "verdict"));
	assert_string_equal(text, "converged");
	assert_true(json_equal(json_array_get(json_object_get(status, "settings"), 1), tsc_before));
	assert_string_equal(json_string_value(json_object_get(status, "verdict")), "verified");
	assert_int_equal(json_integer_value(json_object_get(status, "generation")), 8);
	json_decref(tsc_before);
	json_decref(status);
	free_machine(&d, &o);
}

static void what_is_no_status_cannot_be_patched(void **state)
{
	static const char *const odd[] = { "{}", "[]", "{\"settings\":{}}", "{\"settings\":[]}",
					   "{\"settings\":[null,{\"name\":4}]}" };
	struct setting_verdict v[2];
	struct report r;

	(void)state;
	make_report(&r, v);
	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		json_t *status = json_loads(odd[i], 0, NULL);

		assert_non_null(status);
		assert_int_equal(status_replace(status, &r, 1), -EINVAL);
		json_decref(status);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(status_has_exactly_the_documented_shape),
		cmocka_unit_test(a_guest_is_an_object_of_its_own),
		cmocka_unit_test(a_guests_verdicts_keep_their_since),
		cmocka_unit_test(preemption_is_the_kernels_word),
		cmocka_unit_test(text_that_is_not_utf8_is_mended_not_lost),
		cmocka_unit_test(machine_that_cannot_be_judged_is_degraded_with_the_error),
		cmocka_unit_test(plan_lists_steps_and_the_boot_intent),
		cmocka_unit_test(same_verdict_keeps_since_another_gets_now),
		cmocka_unit_test(generation_counts_changes_of_the_machine_verdict),
		cmocka_unit_test(nonsense_before_counts_as_nothing_before),
		cmocka_unit_test(who_changed_it_is_part_of_the_status),
		cmocka_unit_test(a_writer_is_carried_with_the_same_verdict_only),
		cmocka_unit_test(who_was_seen_now_is_not_replaced_by_who_was_seen_before),
		cmocka_unit_test(a_contested_setting_that_is_drifted_stays_contested),
		cmocka_unit_test(odd_writers_before_are_nobody),
		cmocka_unit_test(a_narrow_look_replaces_only_what_it_looked_at),
		cmocka_unit_test(what_is_no_status_cannot_be_patched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

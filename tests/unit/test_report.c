/*
 * The reports of fixed results: what each says in every case, that hostile text stays text, that
 * XML and HTML are well-formed, and that a malformed result is an error and no crash.
 */
#include "measure_tmp.h"
#include "result_fixture.h"

#include <fcntl.h>

#include "measure/json_flat.h"
#include "measure/report.h"
#include "measure/report_text.h"
#include "measure/runs.h"

static const char *const fixtures[] = { "pass.json",	      "worse.json",
					"fail-overflow.json", "inconclusive-drift.json",
					"zero-samples.json",  "error.json",
					"many-cpus.json" };

static char *report_of(const char *format, json_t *result)
{
	_cleanup_error_ struct error e = { 0 };
	char *text = NULL;

	if (report_make(report_format_by_name(format), result, &text, &e) < 0)
		fail_msg("%s", e.what);
	json_decref(result);
	return text;
}

static char *report(const char *format, const char *name)
{
	return report_of(format, result_fixture(name));
}

static void assert_says(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("\"%s\" is not in %.2000s", part, text);
}

static void assert_silent(const char *text, const char *part)
{
	if (strstr(text, part))
		fail_msg("\"%s\" is in it", part);
}

static size_t times(const char *text, const char *part)
{
	size_t n = 0;

	for (; (text = strstr(text, part)); text += strlen(part))
		n++;
	return n;
}

/*
 * Every tag closed in its order, attributes quoted, & only in entities that XML knows or numbers,
 * no < in an attribute, no control character: enough for what our writers can get wrong.
 */
static const char *skip_tag(const char *p)
{
	for (char quote = 0; *p && (quote || *p != '>'); p++) {
		if (quote ? *p == quote : *p == '"')
			quote = quote ? 0 : *p;
		else if (*p == '<')
			fail_msg("< inside a tag: %.80s", p);
	}
	assert_int_equal(*p, '>');
	return p;
}

static void check_entity(const char *p)
{
	static const char *const known[] = { "&amp;", "&lt;", "&gt;", "&quot;", "&#39;" };

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (after_prefix(p, known[i]))
			return;
	fail_msg("a bare &: %.40s", p);
}

static void assert_well_formed(const char *text)
{
	struct {
		const char *name;
		size_t n;
	} open[64];
	size_t depth = 0;

	for (const char *p = text; *p; p++) {
		assert_true((unsigned char)*p >= 0x20 || *p == '\n' || *p == '\t');
		if (*p == '&')
			check_entity(p);
		if (*p != '<')
			continue;
		if (p[1] == '/') {
			assert_true(depth > 0);
			depth--;
			if (strncmp(p + 2, open[depth].name, open[depth].n) != 0)
				fail_msg("%.20s closes %.20s", p, open[depth].name);
			assert_int_equal(p[2 + open[depth].n], '>');
		} else if (p[1] != '?' && p[1] != '!') {
			assert_true(depth < ARRAY_SIZE(open));
			open[depth].name = p + 1;
			open[depth++].n = strcspn(p + 1, " />\n");
		}
		p = skip_tag(p + 1);
		depth -= p[-1] == '/';
	}
	assert_int_equal(depth, 0);
}

static void pages_and_xml_are_well_formed(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(fixtures); i++) {
		_cleanup_free_ char *html = report("html", fixtures[i]);
		_cleanup_free_ char *junit = report("junit", fixtures[i]);

		assert_well_formed(html);
		assert_well_formed(junit);
	}
}

static void a_page_is_self_contained_and_without_script(void **state)
{
	static const char *const forbidden[] = {
		"<script", "http:",   "https:",	 "src=",  "href=",
		"url(",	   "@import", " onload", "<link", "<iframe"
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(fixtures); i++) {
		_cleanup_free_ char *html = report("html", fixtures[i]);

		for (size_t k = 0; k < ARRAY_SIZE(forbidden); k++)
			assert_silent(html, forbidden[k]);
	}
}

static void hostile_text_stays_text(void **state)
{
	_cleanup_free_ char *html = report("html", "inconclusive-drift.json");
	_cleanup_free_ char *junit = report("junit", "inconclusive-drift.json");

	(void)state;
	assert_says(html, "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;&amp;&#39;");
	assert_silent(html, "\a");
	assert_silent(html, "\xef\xbf\xbe"); /* U+FFFE is no XML character */
	assert_says(junit, "&lt;script&gt;");
	assert_silent(junit, "\xef\xbf\xbe");
}

static void the_verdict_sentence_is_the_first_line(void **state)
{
	static const struct {
		const char *name, *banner, *means;
	} cases[] = {
		{ "pass.json", "banner PASS", "nothing stands against" },
		{ "fail-overflow.json", "banner FAIL", "limit was exceeded" },
		{ "inconclusive-drift.json", "banner INCONCLUSIVE", "NOT a pass" },
		{ "zero-samples.json", "banner INCONCLUSIVE", "NOT a pass" },
		{ "error.json", "banner ERROR", "NOT a pass" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *html = report("html", cases[i].name);
		const char *body = strstr(html, "<main>");

		assert_non_null(body);
		assert_true(after_prefix(body, "<main>\n<header class=\"banner ") != NULL);
		assert_says(body, cases[i].banner);
		assert_says(body, cases[i].means);
		if (i > 0)
			assert_silent(html, "class=\"banner PASS");
	}
}

static void the_overflow_bar_is_always_drawn(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(fixtures); i++) {
		_cleanup_free_ char *html = report("html", fixtures[i]);

		assert_int_equal(times(html, ">overflow</text>"), times(html, "histogram of CPU"));
		assert_int_equal(times(html, "<rect class=\"over-none\"") +
					 times(html, "<rect class=\"over\" x=\"456"),
				 times(html, "histogram of CPU"));
	}
}

static void every_cpu_is_drawn_and_listed(void **state)
{
	_cleanup_free_ char *html = report("html", "many-cpus.json");

	(void)state;
	assert_int_equal(times(html, "histogram of CPU"), 64);
	assert_says(html, "The other 56 CPUs");
	for (int cpu = 8; cpu < 72; cpu++) {
		char row[64];

		snprintf(row, sizeof(row), "<tr><td class=\"n\">%d</td>", cpu);
		assert_int_equal(times(html, row), 2); /* measured, corrected */
	}
}

static void a_maximum_beyond_the_histogram_is_said(void **state)
{
	_cleanup_free_ char *html = report("html", "fail-overflow.json");

	(void)state;
	assert_says(html, "max 5471 µs, beyond the histogram");
	assert_says(html, ">1319</text>");
	assert_says(html, "EXCEEDED");
}

static void what_is_not_known_is_said(void **state)
{
	_cleanup_free_ char *html = report("html", "zero-samples.json");

	(void)state;
	assert_says(html, "no sample in the histogram");
	assert_says(html, "not declared");
	assert_says(html, "No limit is declared");
	assert_says(html, "insufficient samples");
	assert_says(html, "no limit of the maximum is declared");
}

static void gaps_trouble_and_drift_are_on_the_timeline(void **state)
{
	_cleanup_free_ char *html = report("html", "inconclusive-drift.json");
	_cleanup_free_ char *pass = report("html", "pass.json");

	(void)state;
	assert_says(html, "class=\"gap\"");
	assert_int_equal(times(html, "class=\"trouble\""), 1);
	assert_int_equal(times(html, ">drift seen<"), 1);
	assert_says(html, "segment 5: load_died");
	assert_silent(pass, ">drift seen<");
	assert_silent(pass, "class=\"trouble\"");
}

static void a_changed_fingerprint_is_shown_key_by_key(void **state)
{
	_cleanup_free_ char *html = report("html", "inconclusive-drift.json");

	(void)state;
	assert_says(html, "<td>kernel.clocksource</td><td>tsc</td><td>hpet</td>");
}

static void junit_is_green_only_for_what_was_met(void **state)
{
	static const struct {
		const char *name, *counts;
	} cases[] = {
		{ "pass.json", "tests=\"5\" failures=\"0\" errors=\"0\" skipped=\"0\"" },
		{ "fail-overflow.json", "tests=\"3\" failures=\"2\" errors=\"1\" skipped=\"0\"" },
		{ "inconclusive-drift.json", "tests=\"3\" failures=\"0\" errors=\"3\"" },
		{ "zero-samples.json", "tests=\"1\" failures=\"0\" errors=\"1\"" },
		{ "error.json", "tests=\"1\" failures=\"0\" errors=\"1\"" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *junit = report("junit", cases[i].name);

		assert_says(junit, cases[i].counts);
	}
}

static void junit_of_a_met_limit_in_an_inconclusive_run_is_an_error(void **state)
{
	_cleanup_free_ char *junit = NULL;
	json_t *result = result_fixture("pass.json");

	(void)state;
	json_object_set_new(result, "verdict", json_string("INCONCLUSIVE"));
	junit = report_of("junit", result);
	assert_says(junit, "errors=\"5\"");
}

static void junit_of_a_watched_limit_is_skipped(void **state)
{
	_cleanup_free_ char *junit = NULL;
	json_t *result = result_fixture("fail-overflow.json");

	(void)state;
	json_object_set_new(json_object_get(result, "request"), "action", json_string("monitor"));
	json_object_set_new(result, "verdict", json_string("WARN"));
	junit = report_of("junit", result);
	assert_says(junit, "failures=\"0\" errors=\"1\" skipped=\"1\"");
}

static void yardstick_gets_its_own_record(void **state)
{
	_cleanup_free_ char *pass = report("yardstick", "pass.json");
	_cleanup_free_ char *zero = report("yardstick", "zero-samples.json");
	_cleanup_free_ char *drift = report("yardstick", "inconclusive-drift.json");
	_cleanup_free_ char *error = report("yardstick", "error.json");

	(void)state;
	assert_string_equal(
		pass, "{\"runner_id\":1,\"benchmark\":{\"timestamp\":1795365900.0,\"errors\":\"\","
		      "\"data\":{\"min\":\"00004\",\"avg\":\"00004\",\"max\":\"00017\"},"
		      "\"sequence\":1}}\n"
		      "{\"runner_id\":1,\"benchmark\":{\"timestamp\":1795365900.0,\"errors\":\"\","
		      "\"data\":{\"min\":\"00004\",\"avg\":\"00004\",\"max\":\"00019\"},"
		      "\"sequence\":2}}\n");
	assert_silent(zero, "\"errors\":\"\"");
	assert_says(zero, "\"data\":{}");
	assert_silent(drift, "\"errors\":\"\"");
	assert_says(error, "\"errors\":\"tool_error: ");
}

static void the_histogram_is_cyclictests(void **state)
{
	_cleanup_free_ char *text = report("histogram", "fail-overflow.json");

	(void)state;
	assert_says(text, "# CPUs: 2 3\n# Histogram\n000000 000000\t000000\n");
	assert_says(text, "\n000999 000000\t000000\n# Total: 002998681 003000000\n"
			  "# Min Latencies: 00004 00004\n");
	assert_says(text, "\n# Max Latencies: 05471 00015\n# Histogram Overflows: 01319 00000\n");
	assert_silent(text, "\n001000 ");
}

static void the_json_is_the_result(void **state)
{
	_cleanup_free_ char *text = report("json", "pass.json");
	json_t *again = json_loads(text, 0, NULL), *result = result_fixture("pass.json");

	(void)state;
	assert_true(json_equal(again, result));
	json_decref(again);
	json_decref(result);
}

static void refused(json_t *result, const char *part)
{
	_cleanup_error_ struct error e = { 0 };
	char *text = NULL;

	assert_int_equal(report_make(report_format_by_name("html"), result, &text, &e), -EBADMSG);
	assert_null(text);
	assert_says(e.what, part);
	json_decref(result);
}

static json_t *spoiled_thread(const char *key, json_t *value)
{
	json_t *result = result_fixture("pass.json");

	json_object_set_new(RESULT_AT(result, "cells", "0", "threads", "0"), key, value);
	return result;
}

static void a_malformed_result_is_refused_with_its_place(void **state)
{
	json_t *result;

	(void)state;
	refused(json_pack("[]"), "no result.json");
	refused(json_pack("{s:i}", "version", 1), "version 1");
	refused(json_pack("{s:i, s:s}", "version", 2, "verdict", "GOOD"), "verdict of the run");
	refused(spoiled_thread("cycles", json_integer(-1)), "cycles of idle_idle is out of bounds");
	refused(spoiled_thread("cycles", json_string("1")), "cycles of idle_idle has a wrong type");
	refused(spoiled_thread("avg_us", json_real(1e300)), "avg_us");
	refused(spoiled_thread("cpu", json_integer(-2)), "cpu of idle_idle is out of bounds");
	refused(spoiled_thread("histogram", json_pack("[[ii][ii]]", 5, 1, 4, 1)), "ascending");
	refused(spoiled_thread("histogram", json_pack("[[ii]]", 1000, 1)), "ascending");
	refused(spoiled_thread("histogram", json_pack("[i]", 5)), "ascending");
	result = result_fixture("pass.json");
	json_array_append_new(json_object_get(result, "cells"), json_integer(1));
	refused(result, "no object");
	result = result_fixture("many-cpus.json");
	json_object_set_new(json_object_get(result, "request"), "histogram_us",
			    json_integer(1000000));
	refused(result, "too many for so wide");
}

static void threads_on_wrong_cpus_are_shown_all_the_same(void **state)
{
	_cleanup_free_ char *unknown = report_of("html", spoiled_thread("cpu", json_integer(-1)));
	_cleanup_free_ char *twice = report_of("html", spoiled_thread("cpu", json_integer(3)));

	(void)state;
	assert_int_equal(times(unknown, "CPU unknown: max 17"), 1);
	assert_int_equal(times(twice, "aria-label=\"histogram of CPU 3\""), 3);
}

static void all_reports_lie_beside_the_result(void **state)
{
	char *folder = tmp_make();
	_cleanup_close_ int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	json_t *result = result_fixture("pass.json");

	(void)state;
	for (int twice = 0; twice < 2; twice++)
		assert_int_equal(report_write_all(fd, result, NULL), 0);
	for (size_t i = 0; i < n_report_formats; i++) {
		struct stat st;

		if (!report_formats[i].file)
			continue;
		assert_int_equal(fstatat(fd, report_formats[i].file, &st, 0), 0);
		assert_true(st.st_size > 0);
		assert_int_equal(st.st_mode & 0777, 0644);
	}
	assert_int_equal(faccessat(fd, ".report.html.new", F_OK, 0), -1);
	json_decref(result);
	tmp_remove(folder);
}

static void nothing_is_written_of_a_malformed_result(void **state)
{
	_cleanup_error_ struct error e = { 0 };
	char *folder = tmp_make();
	_cleanup_close_ int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	json_t *result = spoiled_thread("cycles", json_integer(-1));

	(void)state;
	assert_int_equal(report_write_all(fd, result, &e), -EBADMSG);
	assert_int_equal(faccessat(fd, "report.html", F_OK, 0), -1);
	json_decref(result);
	tmp_remove(folder);
}

static void numbers_are_written_for_people(void **state)
{
	_cleanup_free_ char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	(void)state;
	write_count(f, 1234567);
	fputc(' ', f);
	write_count(f, -1);
	fputc(' ', f);
	write_duration(f, 9000);
	fputc(' ', f);
	write_duration(f, 600);
	fputc(' ', f);
	write_number(f, 7.53);
	fclose(f);
	assert_string_equal(text, "1\xe2\x80\xaf"
				  "234\xe2\x80\xaf"
				  "567 – 2 h 30 min 10 min 7.53");
}

static void differences_name_the_leaf(void **state)
{
	json_t *a = json_pack("{s:{s:i, s:i}}", "k", "same", 1, "was", 2);
	json_t *b = json_pack("{s:{s:i, s:s}}", "k", "same", 1, "new", "x");
	json_t *list = json_differences(a, b);

	(void)state;
	assert_int_equal(json_array_size(list), 2);
	assert_string_equal(json_string_value(RESULT_AT(list, "0", "key")), "k.was");
	assert_true(json_is_null(RESULT_AT(list, "0", "b")));
	assert_string_equal(json_string_value(RESULT_AT(list, "1", "key")), "k.new");
	assert_string_equal(json_string_value(RESULT_AT(list, "1", "b")), "x");
	json_decref(a);
	json_decref(b);
	json_decref(list);
}

static void a_kept_run_is_found_by_its_id_or_as_the_latest(void **state)
{
	static const struct {
		const char *id, *found;
		int r;
	} cases[] = {
		{ "20260101T000000Z-smoke", "20260101T000000Z-smoke", 0 },
		{ "latest", "20260101T000000Z-smoke-10", 0 },
		{ NULL, "20260101T000000Z-smoke-10", 0 },
		{ "20260101T000000Z-smoke-2", NULL, -EBADMSG },
		{ "20260101T000000Z-none", NULL, -ENOENT },
		{ "../runs/20260101T000000Z-smoke", NULL, -EINVAL },
		{ ".20260102T000000Z-smoke.partial", NULL, -EINVAL },
		{ "", NULL, -EINVAL },
	};
	_cleanup_sysroot_ struct sysroot root = { .fd = -1 };
	char *folder = tmp_make();

	(void)state;
	tmp_put(folder, "/var/lib/latencyd/runs/20260101T000000Z-smoke/result.json", "{}");
	tmp_put(folder, "/var/lib/latencyd/runs/20260101T000000Z-smoke-2/result.json", "{");
	tmp_put(folder, "/var/lib/latencyd/runs/20260101T000000Z-smoke-10/result.json", "{}");
	tmp_put(folder, "/var/lib/latencyd/runs/.20260102T000000Z-smoke.partial/result.json", "{}");
	assert_int_equal(sysroot_open(folder, &root, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_error_ struct error e = { 0 };
		_cleanup_free_ char *id = NULL;
		json_t *result = NULL;

		assert_int_equal(runs_find(&root, cases[i].id, &id, &result, &e), cases[i].r);
		if (cases[i].found)
			assert_string_equal(id, cases[i].found);
		else
			assert_non_null(e.what);
		json_decref(result);
	}
	tmp_remove(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages_and_xml_are_well_formed),
		cmocka_unit_test(a_page_is_self_contained_and_without_script),
		cmocka_unit_test(hostile_text_stays_text),
		cmocka_unit_test(the_verdict_sentence_is_the_first_line),
		cmocka_unit_test(the_overflow_bar_is_always_drawn),
		cmocka_unit_test(every_cpu_is_drawn_and_listed),
		cmocka_unit_test(a_maximum_beyond_the_histogram_is_said),
		cmocka_unit_test(what_is_not_known_is_said),
		cmocka_unit_test(gaps_trouble_and_drift_are_on_the_timeline),
		cmocka_unit_test(a_changed_fingerprint_is_shown_key_by_key),
		cmocka_unit_test(junit_is_green_only_for_what_was_met),
		cmocka_unit_test(junit_of_a_met_limit_in_an_inconclusive_run_is_an_error),
		cmocka_unit_test(junit_of_a_watched_limit_is_skipped),
		cmocka_unit_test(yardstick_gets_its_own_record),
		cmocka_unit_test(the_histogram_is_cyclictests),
		cmocka_unit_test(the_json_is_the_result),
		cmocka_unit_test(a_malformed_result_is_refused_with_its_place),
		cmocka_unit_test(threads_on_wrong_cpus_are_shown_all_the_same),
		cmocka_unit_test(all_reports_lie_beside_the_result),
		cmocka_unit_test(nothing_is_written_of_a_malformed_result),
		cmocka_unit_test(numbers_are_written_for_people),
		cmocka_unit_test(differences_name_the_leaf),
		cmocka_unit_test(a_kept_run_is_found_by_its_id_or_as_the_latest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

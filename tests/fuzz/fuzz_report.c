/*
 * Any JSON as a result: never a crash in any report or in a comparison with itself; what is refused
 * is refused with words and by all alike; what is accepted is one page without a script, and never
 * a green banner unless it says PASS.
 */
#include <errno.h>
#include <stdint.h>

#include "measure/compare.h"
#include "measure/report.h"

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void check_page(const json_t *result, const char *html)
{
	const char *verdict = json_string_value(json_object_get(result, "verdict"));

	check(!strstr(html, "<script"));
	check(strstr(html, "</html>") != NULL);
	check(streq(verdict, "PASS") || !strstr(html, "class=\"banner PASS"));
}

static void check_compare(const json_t *result, bool accepted)
{
	_cleanup_error_ struct error e = { 0 };
	json_t *comparison = NULL;
	int r = compare_runs(result, result, &comparison, &e);
	const char *verdict = json_string_value(json_object_get(comparison, "verdict"));

	check((r == 0) == accepted || r == -ENOMEM);
	/* nothing is worse or better than itself */
	check(r < 0 || streq(verdict, "same") || streq(verdict, "cannot_tell"));
	json_decref(comparison);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *result = json_loadb((const char *)data, size, 0, NULL);
	bool accepted = false;

	for (size_t i = 0; result && i < n_report_formats; i++) {
		_cleanup_error_ struct error e = { 0 };
		_cleanup_free_ char *text = NULL;
		int r = report_make(&report_formats[i], result, &text, &e);

		check(r == 0 || r == -ENOMEM || (r == -EBADMSG && e.what));
		check(i == 0 || (r == 0) == accepted);
		accepted = r == 0;
		if (r == 0 && streq(report_formats[i].name, "html"))
			check_page(result, text);
	}
	if (result)
		check_compare(result, accepted);
	json_decref(result);
	return 0;
}

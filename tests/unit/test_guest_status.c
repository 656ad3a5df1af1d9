/*
 * What a guest says of itself, read: a good status, and each bound broken. A broken one is refused
 * whole, and nothing of it is written.
 */
#include "state/guest_status.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "state/report_json.h"
#include "state/settings.h"

#define HEAD                                                            \
	"\"version\":1,\"machine\":\"guest\",\"verdict\":\"verified\"," \
	"\"document_digest\":\"00ff\",\"boot_id\":\"1-2\",\"kernel\":{\"release\":\"6.1\"}"
#define SETTINGS(entries) "{" HEAD ",\"settings\":[" entries "]}"
#define TSC(more)	  SETTINGS("{\"name\":\"tsc\",\"verdict\":\"converged\"" more "}")

struct fixture {
	struct arena arena;
	struct error e;
	struct guest_status st;
};

static int setup(void **state)
{
	*state = calloc(1, sizeof(struct fixture));
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	arena_free(&f->arena);
	error_clear(&f->e);
	free(f);
	return 0;
}

static const struct guest_status *accept(void **state, const char *text)
{
	struct fixture *f = *state;

	if (guest_status_parse(text, strlen(text), &f->arena, &f->st, &f->e) < 0)
		fail_msg("%s: %s", text, f->e.what);
	return &f->st;
}

static void refuse_sized(void **state, const char *text, size_t size, const char *what)
{
	struct fixture *f = *state;

	f->st = (struct guest_status){ .n_settings = 7 };
	if (guest_status_parse(text, size, &f->arena, &f->st, &f->e) != -EBADMSG)
		fail_msg("not refused with \"%s\"", what);
	assert_string_equal(f->e.what, what);
	assert_int_equal(f->st.n_settings, 7);
	assert_int_equal(guest_status_parse(text, size, &f->arena, &f->st, NULL), -EBADMSG);
}

static void refuse(void **state, const char *text, const char *what)
{
	refuse_sized(state, text, strlen(text), what);
}

static const struct setting_verdict *of(const struct guest_status *st, const char *name)
{
	return &st->settings[setting_index(setting_by_name(name))];
}

static void a_good_status_is_taken_over(void **state)
{
	const struct guest_status *st = accept(
		state,
		SETTINGS("{\"name\":\"tsc\",\"verdict\":\"drifted\",\"want\":\"w\",\"live\":\"l\","
			 "\"next_boot\":\"n\",\"reason\":\"r\",\"items\":[{\"id\":\"24\","
			 "\"name\":\"eth0\",\"live\":\"3\",\"want\":\"0\",\"verdict\":\"failed\","
			 "\"reason\":null}]}"));
	const struct setting_verdict *v = of(st, "tsc");

	assert_int_equal(st->verdict, MACHINE_VERIFIED);
	assert_string_equal(st->digest, "00ff");
	assert_string_equal(st->boot_id, "1-2");
	assert_string_equal(st->kernel_release, "6.1");
	assert_int_equal(st->n_settings, n_settings);
	assert_int_equal(v->verdict, VERDICT_DRIFTED);
	assert_string_equal(v->want, "w");
	assert_string_equal(v->live, "l");
	assert_string_equal(v->next_boot, "n");
	assert_string_equal(v->reason, "r");
	assert_int_equal(v->n_items, 1);
	assert_string_equal(v->items[0].id, "24");
	assert_string_equal(v->items[0].name, "eth0");
	assert_int_equal(v->items[0].verdict, VERDICT_FAILED);
	assert_null(v->items[0].reason);
}

static void what_it_does_not_name_is_unknown(void **state)
{
	const struct guest_status *st = accept(state, TSC(""));

	for (size_t i = 0; i < n_settings; i++) {
		bool named = streq(settings[i]->name, "tsc");

		assert_ptr_equal(st->settings[i].setting, settings[i]);
		assert_int_equal(st->settings[i].verdict,
				 named ? VERDICT_CONVERGED : VERDICT_UNKNOWN);
		assert_true(named || st->settings[i].reason);
	}
}

static void what_may_be_missing_may_be_missing(void **state)
{
	const struct guest_status *st =
		accept(state, "{\"version\":1,\"machine\":\"host\",\"verdict\":\"degraded\","
			      "\"document_digest\":null,\"kernel\":null,\"settings\":[]}");

	assert_int_equal(st->verdict, MACHINE_DEGRADED);
	assert_null(st->digest);
	assert_null(st->boot_id);
	assert_null(st->kernel_release);
}

static void settings_of_a_newer_latencyd_are_passed_over(void **state)
{
	const struct guest_status *st =
		accept(state, SETTINGS("{\"name\":\"warp_drive\",\"verdict\":7},"
				       "{\"name\":\"warp_drive\"},"
				       "{\"name\":\"tsc\",\"verdict\":\"unfixable\",\"warp\":9}"));

	assert_int_equal(of(st, "tsc")->verdict, VERDICT_UNFIXABLE);
}

static void what_latencyd_writes_it_reads(void **state)
{
	struct fixture *f = *state;
	struct setting_verdict said = { .setting = setting_by_name("idle"),
					.verdict = VERDICT_PENDING_REBOOT,
					.reason = "so \"it\" is" };
	struct report r = { .verdict = MACHINE_PENDING_REBOOT, .settings = &said, .n_settings = 1 };
	struct desired d = { .role = ROLE_GUEST, .digest = (char *)"abc" };
	struct observed o = { .boot_id = { .state = FACT_KNOWN, .text = "9-9" } };
	struct error e = { .what = (char *)"no document" };
	json_t *status = report_to_json(&d, &o, &r);
	_cleanup_free_ char *text = json_dumps(status, 0);
	_cleanup_free_ char *none = NULL;

	json_decref(status);
	accept(state, text);
	assert_int_equal(f->st.verdict, MACHINE_PENDING_REBOOT);
	assert_string_equal(f->st.digest, "abc");
	assert_string_equal(f->st.boot_id, "9-9");
	assert_int_equal(of(&f->st, "idle")->verdict, VERDICT_PENDING_REBOOT);
	assert_string_equal(of(&f->st, "idle")->reason, "so \"it\" is");
	status = unjudged_to_json("/d.yaml", NULL, &e, 1);
	none = json_dumps(status, 0);
	json_decref(status);
	accept(state, none);
	assert_null(f->st.digest);
}

static void what_is_no_status_is_refused(void **state)
{
	refuse(state, "", "it is no JSON");
	refuse(state, "{", "it is no JSON");
	refuse(state, "7", "it is no JSON");
	refuse(state, TSC("") "x", "it is no JSON");
	refuse(state, "{\"version\":1,\"version\":1}", "it is no JSON");
	refuse(state, "[]", "it is no object");
	refuse(state, "{}", "it is of another version");
	refuse(state, "{\"version\":\"1\"}", "it is of another version");
	refuse(state, "{\"version\":2}", "it is of another version");
	refuse(state, "{\"version\":1}", "it is no machine's");
	refuse(state, "{\"version\":1,\"machine\":\"toaster\"}", "it is no machine's");
	refuse(state, "{\"version\":1,\"machine\":\"guest\"}",
	       "it has a verdict that there is not");
	refuse(state, "{\"version\":1,\"machine\":\"guest\",\"verdict\":\"fine\"}",
	       "it has a verdict that there is not");
	refuse(state, "{\"version\":1,\"machine\":\"guest\",\"verdict\":3}",
	       "it has a verdict that there is not");
	refuse(state, "{" HEAD "}", "it has no list of settings, or an endless one");
	refuse(state, "{" HEAD ",\"settings\":{}}",
	       "it has no list of settings, or an endless one");
}

static void bytes_that_are_no_text_are_refused(void **state)
{
	static const char nul[] = TSC(",\"live\":\"a\0b\"");

	refuse(state, TSC(",\"live\":\"\xff\""), "it is no JSON");
	refuse(state, TSC(",\"live\":\"\xc3\""), "it is no JSON");
	refuse(state, TSC(",\"live\":\"a\\u0000b\""), "it is no JSON");
	refuse_sized(state, nul, sizeof(nul) - 1, "it is no JSON");
}

static void odd_settings_are_refused(void **state)
{
	refuse(state, SETTINGS("7"), "a setting of it is no object");
	refuse(state, SETTINGS("{}"), "a setting of it has no name");
	refuse(state, SETTINGS("{\"name\":7}"), "a text of it is no text");
	refuse(state, SETTINGS("{\"name\":\"a b\"}"), "a word of it is no word");
	refuse(state, SETTINGS("{\"name\":\"tsc\"}"), "it has a verdict that there is not");
	refuse(state, SETTINGS("{\"name\":\"tsc\",\"verdict\":\"verified\"}"),
	       "it has a verdict that there is not");
	refuse(state, TSC("},{\"name\":\"tsc\",\"verdict\":\"converged\""),
	       "it names a setting twice");
	refuse(state, TSC(",\"live\":[]"), "a text of it is no text");
	refuse(state, TSC(",\"items\":{}"), "the items of a setting are no list");
	refuse(state, TSC(",\"items\":[1]"), "an item of it is no object");
	refuse(state, TSC(",\"items\":[{\"id\":\"x\"}]"), "it has a verdict that there is not");
	refuse(state, TSC(",\"items\":[{\"verdict\":\"drifted\",\"id\":7}]"),
	       "a text of it is no text");
}

static void identifiers_are_words(void **state)
{
	refuse(state,
	       "{\"version\":1,\"machine\":\"guest\",\"verdict\":\"verified\","
	       "\"document_digest\":\"a/b\",\"settings\":[]}",
	       "a word of it is no word");
	refuse(state,
	       "{\"version\":1,\"machine\":\"guest\",\"verdict\":\"verified\","
	       "\"boot_id\":\"0123456789012345678901234567890123456789012345678901234567890123_\","
	       "\"settings\":[]}",
	       "a word of it is no word");
}

static char *repeated(struct arena *a, const char *what, size_t n)
{
	size_t length = strlen(what);
	char *text = arena_alloc(a, n * length + 1);

	for (size_t i = 0; i < n; i++)
		memcpy(text + i * length, what, length);
	return text;
}

static void lists_end(void **state)
{
	struct fixture *f = *state;
	const char *entries = repeated(&f->arena, ",{\"name\":\"x\"}", 255);
	const char *items = repeated(&f->arena, ",{\"verdict\":\"drifted\"}", 1000);

	accept(state, arena_printf(&f->arena, SETTINGS("{\"name\":\"y\"}%s"), entries));
	refuse(state,
	       arena_printf(&f->arena, SETTINGS("{\"name\":\"y\"},{\"name\":\"y\"}%s"), entries),
	       "it has no list of settings, or an endless one");
	accept(state, arena_printf(&f->arena, TSC(",\"items\":[%s]"), items + 1));
	assert_int_equal(of(&f->st, "tsc")->n_items, 256);
	assert_string_equal(of(&f->st, "tsc")->items[255].id, "?");
}

static void the_whole_has_a_size(void **state)
{
	struct fixture *f = *state;
	size_t head = strlen(TSC(""));
	char *text = repeated(&f->arena, " ", GUEST_STATUS_SIZE_MAX + 1);

	memcpy(text, TSC(""), head);
	refuse_sized(state, text, GUEST_STATUS_SIZE_MAX + 1, "it is too long");
	text[GUEST_STATUS_SIZE_MAX] = '\0';
	accept(state, text);
}

static void deep_nesting_ends(void **state)
{
	struct fixture *f = *state;

	refuse(state, repeated(&f->arena, "[", 100 * 1000), "it is no JSON");
}

static void texts_are_clipped_between_letters(void **state)
{
	struct fixture *f = *state;
	const char *long_text = repeated(&f->arena, "\xc3\xa9", 300);

	accept(state, arena_printf(&f->arena, TSC(",\"live\":\"x%s\",\"want\":\"%s\""), long_text,
				   long_text));
	assert_int_equal(strlen(of(&f->st, "tsc")->want), 400);
	assert_int_equal(strlen(of(&f->st, "tsc")->live), 399);
}

static void texts_lose_what_moves_a_terminals_cursor(void **state)
{
	struct fixture *f = *state;

	accept(state, TSC(",\"live\":\"a\\u001b[2Jb\\n\\tc\\u007fd\\u009be\\u00e9\""));
	assert_string_equal(of(&f->st, "tsc")->live, "a?[2Jb??c?d??e\xc3\xa9");
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_good_status_is_taken_over),
		T(what_it_does_not_name_is_unknown),
		T(what_may_be_missing_may_be_missing),
		T(settings_of_a_newer_latencyd_are_passed_over),
		T(what_latencyd_writes_it_reads),
		T(what_is_no_status_is_refused),
		T(bytes_that_are_no_text_are_refused),
		T(odd_settings_are_refused),
		T(identifiers_are_words),
		T(lists_end),
		T(the_whole_has_a_size),
		T(deep_nesting_ends),
		T(texts_are_clipped_between_letters),
		T(texts_lose_what_moves_a_terminals_cursor),
	};

	return cmocka_run_group_tests_name("guest_status", tests, NULL, NULL);
}

/*
 * The gate: what passes, what does not, and that nothing passes before it is whole.
 */
#include "guest/gate.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define OK "OK 0123456789abcdef0123456789abcdef\r\n"

struct taken {
	size_t n_frames, n_bytes;
};

static int take(const uint8_t *frame, size_t n, void *userdata)
{
	struct taken *t = userdata;

	(void)frame;
	t->n_frames++;
	t->n_bytes += n;
	return 0;
}

static void put_u32(uint8_t *at, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> (8 * i));
}

/* A fixed header, little endian, that is fine until a test changes it. */
static void make_header(uint8_t header[16], uint32_t body, uint32_t fields)
{
	memcpy(header, "l\2\0\1", 4);
	put_u32(header + 4, body);
	put_u32(header + 8, 1);
	put_u32(header + 12, fields);
}

static int feed_text(struct gate *g, const char *text, struct taken *t, struct error *e)
{
	return gate_feed(g, text, strlen(text), take, t, e);
}

/* After a good authentication, @header must be refused with @words and nothing may pass. */
static void assert_refused(const uint8_t header[16], const char *words)
{
	_cleanup_error_ struct error e = { 0 };
	_cleanup_gate_ struct gate g = { 0 };
	struct taken t = { 0 };

	assert_int_equal(feed_text(&g, OK, &t, NULL), 0);
	assert_int_equal(t.n_frames, 1);
	assert_int_equal(gate_feed(&g, header, 16, take, &t, &e), -EPROTO);
	assert_non_null(strstr(e.what, words));
	assert_int_equal(t.n_frames, 1);
}

static void nothing_passes_before_it_is_whole(void **state)
{
	_cleanup_gate_ struct gate g = { 0 };
	struct taken t = { 0 };
	uint8_t message[16 + 16 + 7] = { 0 };

	(void)state;
	make_header(message, 7, 12);
	assert_int_equal(feed_text(&g, OK, &t, NULL), 0);
	for (size_t i = 0; i < sizeof(message); i++) {
		assert_int_equal(t.n_frames, 1);
		assert_int_equal(gate_inside_frame(&g), i > 0);
		assert_int_equal(gate_feed(&g, message + i, 1, take, &t, NULL), 0);
	}
	assert_int_equal(t.n_frames, 2);
	assert_int_equal(t.n_bytes, strlen(OK) + sizeof(message));
	assert_false(gate_inside_frame(&g));
}

static void lines_that_no_server_sends_are_refused(void **state)
{
	static const char *const wrong[] = {
		"AGREE_UNIX_FD\r\n",
		"OK short\r\n",
		"DATA\n",
		"\n",
		"REJECTED EXTERNAL\r\n",
		"OK 0123456789abcdef0123456789abcdeg\r\n",
		"DATA 00\r\n",
		"ERROR\r\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		_cleanup_gate_ struct gate g = { 0 };
		struct taken t = { 0 };

		assert_int_equal(feed_text(&g, wrong[i], &t, NULL), -EPROTO);
		assert_int_equal(t.n_frames, 0);
		assert_int_equal(feed_text(&g, OK, &t, NULL), -EPROTO);
		assert_int_equal(t.n_frames, 0);
	}
}

static void an_authentication_ends_or_is_refused(void **state)
{
	_cleanup_gate_ struct gate g = { 0 };
	struct taken t = { 0 };
	int r = 0;

	(void)state;
	for (int i = 0; i < GATE_LINE_MAX; i++)
		assert_int_equal(feed_text(&g, "A", &t, NULL), 0);
	r = feed_text(&g, "A", &t, NULL);
	assert_int_equal(r, -EPROTO);
	assert_int_equal(t.n_frames, 0);
}

static void a_header_out_of_bounds_is_refused(void **state)
{
	uint8_t header[16];

	(void)state;
	make_header(header, UINT32_MAX, 0);
	assert_refused(header, "body of 4294967295");
	make_header(header, GATE_BODY_MAX + 1, 0);
	assert_refused(header, "body");
	make_header(header, 0, UINT32_MAX);
	assert_refused(header, "header fields");
	make_header(header, 0, 0);
	*header = 'x';
	assert_refused(header, "no D-Bus message");
	make_header(header, 0, 0);
	header[3] = 2;
	assert_refused(header, "version");
	make_header(header, 0, 0);
	header[1] = 0;
	assert_refused(header, "type");
	header[1] = 5;
	assert_refused(header, "type");
	header[1] = 1;
	assert_refused(header, "method");
	make_header(header, 0, 0);
	put_u32(header + 8, 0);
	assert_refused(header, "serial");
}

static void the_largest_message_passes_and_a_second_one_ends_the_budget(void **state)
{
	_cleanup_free_ uint8_t *message = calloc(1, GATE_FRAME_MAX);
	_cleanup_gate_ struct gate g = { 0 };
	size_t size = 16 + GATE_FIELDS_MAX + GATE_BODY_MAX;
	struct taken t = { 0 };

	(void)state;
	assert_non_null(message);
	make_header(message, GATE_BODY_MAX, GATE_FIELDS_MAX);
	assert_int_equal(feed_text(&g, OK, &t, NULL), 0);
	assert_int_equal(gate_feed(&g, message, size, take, &t, NULL), 0);
	assert_int_equal(t.n_frames, 2);
	assert_int_equal(gate_feed(&g, message, size, take, &t, NULL), -EPROTO);
	assert_int_equal(t.n_frames, 2);
}

static void memory_follows_what_came_not_what_was_announced(void **state)
{
	_cleanup_gate_ struct gate g = { 0 };
	struct taken t = { 0 };
	uint8_t header[16];

	(void)state;
	make_header(header, GATE_BODY_MAX, GATE_FIELDS_MAX);
	assert_int_equal(feed_text(&g, OK, &t, NULL), 0);
	assert_int_equal(gate_feed(&g, header, 16, take, &t, NULL), 0);
	assert_in_range(g.room, 16, 4096);
}

static void a_flood_of_messages_ends(void **state)
{
	_cleanup_gate_ struct gate g = { 0 };
	struct taken t = { 0 };
	uint8_t header[16];
	int r = 0;

	(void)state;
	make_header(header, 0, 0);
	header[1] = 4;
	assert_int_equal(feed_text(&g, OK, &t, NULL), 0);
	for (int i = 0; i <= GATE_MESSAGES_MAX && r == 0; i++)
		r = gate_feed(&g, header, 16, take, &t, NULL);
	assert_int_equal(r, -EPROTO);
	assert_int_equal(t.n_frames, 1 + GATE_MESSAGES_MAX);
}

static int refuse(const uint8_t *frame, size_t n, void *userdata)
{
	(void)frame;
	(void)n;
	(void)userdata;
	return -ENOBUFS;
}

static void what_the_taker_says_ends_it(void **state)
{
	_cleanup_gate_ struct gate g = { 0 };

	(void)state;
	assert_int_equal(gate_feed(&g, OK, strlen(OK), refuse, NULL, NULL), -ENOBUFS);
	assert_int_equal(gate_feed(&g, OK, strlen(OK), refuse, NULL, NULL), -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_passes_before_it_is_whole),
		cmocka_unit_test(lines_that_no_server_sends_are_refused),
		cmocka_unit_test(an_authentication_ends_or_is_refused),
		cmocka_unit_test(a_header_out_of_bounds_is_refused),
		cmocka_unit_test(the_largest_message_passes_and_a_second_one_ends_the_budget),
		cmocka_unit_test(memory_follows_what_came_not_what_was_announced),
		cmocka_unit_test(a_flood_of_messages_ends),
		cmocka_unit_test(what_the_taker_says_ends_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

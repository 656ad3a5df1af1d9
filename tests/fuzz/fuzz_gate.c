/*
 * A peer's bytes, cut into pieces: nothing crashes, and what passes the gate is a line or a message
 * that keeps every bound, whichever way the bytes were cut. The first byte is the size of a piece.
 */
#include <stdint.h>

#include "guest/gate.h"

struct seen {
	size_t n_frames, n_messages, n_bytes;
	uint64_t sum;
};

static uint32_t u32(const uint8_t *frame, size_t at)
{
	const uint8_t *p = frame + at;

	if (*frame == 'l')
		return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
	return p[3] | (uint32_t)p[2] << 8 | (uint32_t)p[1] << 16 | (uint32_t)p[0] << 24;
}

static void check_message(const uint8_t *frame, size_t n)
{
	if (n < 16 || n > GATE_FRAME_MAX || (*frame != 'l' && *frame != 'B') || frame[1] < 2 ||
	    frame[1] > 4 || frame[3] != 1)
		abort();
	if (u32(frame, 4) > GATE_BODY_MAX || u32(frame, 12) > GATE_FIELDS_MAX ||
	    n != 16 + ((u32(frame, 12) + 7) & ~(size_t)7) + u32(frame, 4))
		abort();
}

static int take(const uint8_t *frame, size_t n, void *userdata)
{
	struct seen *s = userdata;

	if (n == 0)
		abort();
	if (frame[n - 1] == '\n' && *frame == 'O') {
		if (n > GATE_LINE_MAX || s->n_frames > 0)
			abort();
	} else {
		check_message(frame, n);
		s->n_messages++;
	}
	s->n_frames++;
	s->n_bytes += n;
	for (size_t i = 0; i < n; i++)
		s->sum = s->sum * 31 + frame[i];
	return 0;
}

static int run(const uint8_t *data, size_t size, size_t piece, struct seen *s)
{
	_cleanup_gate_ struct gate g = { 0 };
	int r = 0;

	for (size_t at = 0; at < size && r == 0; at += piece)
		r = gate_feed(&g, data + at, size - at < piece ? size - at : piece, take, s, NULL);
	if (r < 0 && gate_feed(&g, "x", 1, take, s, NULL) == 0)
		abort();
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen cut = { 0 }, whole = { 0 };
	int r;

	if (size < 2)
		return 0;
	r = run(data + 1, size - 1, *data ? *data : 256, &cut);
	if (run(data + 1, size - 1, size, &whole) != r)
		abort();
	if (cut.n_frames != whole.n_frames || cut.sum != whole.sum ||
	    cut.n_bytes > GATE_BYTES_MAX || cut.n_messages > GATE_MESSAGES_MAX)
		abort();
	return 0;
}

/*
 * The drawings, as inline SVG that takes its colours from the page. The model: a drawing never
 * hides a sample. Beyond the last bucket everything is in the overflow bar, which is drawn even
 * when it is 0; a limit that lies outside the drawing is named at its edge; time that was not
 * measured is grey, not empty.
 */
#include <inttypes.h>
#include <math.h>

#include "measure/report_text.h"

#define WIDTH	      520
#define HEIGHT	      300
#define LEFT	      60
#define RIGHT	      432 /* of the histogram's axis */
#define TOP	      44
#define BOTTOM	      246
#define OVERFLOW_LEFT 456
#define OVERFLOW_WIDE 44
#define DECADE_ROOM   0.3 /* of a decade below 1, so that a single sample has a height */

static double clamp(double v, double low, double high)
{
	return v < low ? low : v > high ? high : v;
}

/* 1, 2 or 5 times a power of ten, so that there are at most @n steps up to @max. */
static double nice_step(double max, int n)
{
	double rough = max / n, power = pow(10, floor(log10(rough)));

	for (double m = 1; m <= 5; m += m == 2 ? 3 : 1)
		if (m * power >= rough)
			return m * power;
	return 10 * power;
}

static void put_text(FILE *f, double x, double y, const char *anchor, const char *class)
{
	fprintf(f, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\"%s%s%s>", x, y, anchor,
		class ? " class=\"" : "", class ? class : "", class ? "\"" : "");
}

static void put_line(FILE *f, const char *class, double x1, double y1, double x2, double y2)
{
	fprintf(f, "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>", class,
		x1, y1, x2, y2);
}

static void put_rect(FILE *f, const char *class, double x1, double y1, double x2, double y2)
{
	fprintf(f, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>",
		class, x1, y1, fmax(x2 - x1, 0), fmax(y2 - y1, 0));
}

/* 1000 is "1k": a tick has little room. */
static void put_short(FILE *f, double n)
{
	static const char units[] = { 0, 'k', 'M', 'G', 'T', 'P' };
	size_t u = 0;

	for (; n >= 1000 && u + 1 < sizeof(units); u++)
		n /= 1000;
	fprintf(f, "%.4g", n);
	if (units[u])
		fputc(units[u], f);
}

struct scale {
	double max_x; /* µs at RIGHT */
	double bin;   /* µs of one step */
	int decades;
	bool limit_off; /* the limit lies right of the drawing */
};

static double x_at(const struct scale *s, double us)
{
	return clamp(LEFT + (RIGHT - LEFT) * us / s->max_x, LEFT, RIGHT);
}

static double y_at(const struct scale *s, double count)
{
	if (count < 1)
		return BOTTOM;
	return clamp(BOTTOM - (BOTTOM - TOP) * (log10(count) + DECADE_ROOM) /
				      (s->decades + DECADE_ROOM),
		     TOP, BOTTOM);
}

/* The samples of the bin that begins with bar @i; *@ret_next is the bar behind it. */
static double bin_count(const struct scale *s, const struct thread_view *t, size_t i,
			size_t *ret_next)
{
	double bin = floor((double)t->bars[i].us / s->bin), n = 0;

	for (; i < t->n_bars && floor((double)t->bars[i].us / s->bin) == bin; i++)
		n += (double)t->bars[i].count;
	*ret_next = i;
	return n;
}

static struct scale make_scale(const struct thread_view *t, double limit)
{
	double seen = t->n_bars ? (double)t->bars[t->n_bars - 1].us + 1 : 10, most = 10;
	struct scale s = { .limit_off = limit > 4 * seen + 20 };

	if (!s.limit_off && limit + 1 > seen)
		seen = limit + 1;
	s.max_x = fmax(seen * 1.08, 5);
	s.bin = fmax(ceil(s.max_x / (RIGHT - LEFT)), 1);
	for (size_t i = 0; i < t->n_bars;)
		most = fmax(most, bin_count(&s, t, i, &i));
	most = fmax(most, (double)t->overflow);
	s.decades = (int)ceil(log10(most) + 0.05);
	return s;
}

static void draw_count_axis(const struct scale *s, FILE *f)
{
	int every = s->decades > 8 ? 2 : 1;

	for (int d = 0; d <= s->decades; d += every) {
		double n = pow(10, d), y = y_at(s, n);

		put_line(f, "grid", LEFT, y, RIGHT, y);
		put_line(f, "grid", OVERFLOW_LEFT, y, OVERFLOW_LEFT + OVERFLOW_WIDE, y);
		put_text(f, LEFT - 6, y + 4, "end", NULL);
		put_short(f, n);
		fputs("</text>", f);
	}
	fprintf(f,
		"<text transform=\"translate(13 %d) rotate(-90)\" text-anchor=\"middle\">wake-ups "
		"(log)</text>",
		(TOP + BOTTOM) / 2);
}

static void draw_latency_axis(const struct scale *s, FILE *f)
{
	double step = fmax(nice_step(s->max_x, 7), 1);

	for (double us = 0; us <= s->max_x; us += step) {
		put_line(f, "axis", x_at(s, us), BOTTOM, x_at(s, us), BOTTOM + 4);
		put_text(f, x_at(s, us), BOTTOM + 18, "middle", NULL);
		fprintf(f, "%.6g</text>", us);
	}
	put_line(f, "axis", LEFT, BOTTOM, RIGHT, BOTTOM);
	put_text(f, (LEFT + RIGHT) / 2.0, HEIGHT - 14, "middle", NULL);
	fputs("wake-up latency, µs", f);
	if (s->bin > 1)
		fprintf(f, " (%.0f µs a step)", s->bin);
	fputs("</text>", f);
}

static void draw_steps(const struct scale *s, const struct thread_view *t, FILE *f)
{
	if (!t->n_bars) {
		put_text(f, (LEFT + RIGHT) / 2.0, (TOP + BOTTOM) / 2.0, "middle", "strong");
		fputs("no sample in the histogram</text>", f);
		return;
	}
	fputs("<path class=\"steps\" d=\"", f);
	for (size_t i = 0; i < t->n_bars;) {
		double from = floor((double)t->bars[i].us / s->bin) * s->bin;
		double n = bin_count(s, t, i, &i);

		fprintf(f, "M%.1f %dV%.1fH%.1fV%dZ", x_at(s, from), BOTTOM, y_at(s, n),
			x_at(s, from + s->bin), BOTTOM);
	}
	fputs("\"/>", f);
}

/* A sample equal to the limit is within it, and its step is 1 µs wide: the line is behind that. */
static void draw_limit(const struct scale *s, double limit, FILE *f)
{
	double x = s->limit_off ? RIGHT : x_at(s, limit + 1);
	bool left = x > LEFT + (RIGHT - LEFT) * 0.7;

	if (limit < 0)
		return;
	if (!s->limit_off)
		put_line(f, "limit", x, TOP - 8, x, BOTTOM);
	put_text(f, left ? x - 5 : x + 5, TOP - 2, left ? "end" : "start", "limit-text");
	fprintf(f,
		s->limit_off ? "limit %.12g µs, off to the right →</text>"
			     : "limit %.12g µs</text>",
		limit);
}

static void draw_overflow(const struct scale *s, const struct run_view *v,
			  const struct thread_view *t, FILE *f)
{
	double y = t->overflow > 0 ? y_at(s, (double)t->overflow) : BOTTOM - 2;
	double middle = OVERFLOW_LEFT + OVERFLOW_WIDE / 2.0;

	put_rect(f, t->overflow == 0 ? "over-none" : "over", OVERFLOW_LEFT, y,
		 OVERFLOW_LEFT + OVERFLOW_WIDE, BOTTOM);
	put_line(f, "axis", OVERFLOW_LEFT - 4, BOTTOM, OVERFLOW_LEFT + OVERFLOW_WIDE + 4, BOTTOM);
	put_text(f, middle, y - 5, "middle", "strong");
	if (t->overflow < 0)
		fputs("unknown</text>", f);
	else if (t->overflow < 10000)
		fprintf(f, "%" PRId64 "</text>", t->overflow);
	else {
		put_short(f, (double)t->overflow);
		fputs("</text>", f);
	}
	put_text(f, middle, BOTTOM + 18, "middle", NULL);
	fprintf(f, "≥ %" PRId64 " µs</text>", v->histogram_us < 0 ? 0 : v->histogram_us);
	put_text(f, middle, HEIGHT - 14, "middle", NULL);
	fputs("overflow</text>", f);
}

void svg_histogram(const struct run_view *v, const struct cell_view *c, const struct thread_view *t,
		   FILE *f)
{
	double limit = cell_limit_us(c);
	struct scale s = make_scale(t, limit);

	fprintf(f,
		"<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"histogram of CPU %" PRId64
		"\">",
		WIDTH, HEIGHT, t->cpu);
	put_text(f, LEFT, 16, "start", "strong");
	if (t->cpu < 0)
		fputs("CPU unknown: ", f);
	else
		fprintf(f, "CPU %" PRId64 ": ", t->cpu);
	if (t->max_us < 0)
		fputs("no sample</text>", f);
	else
		fprintf(f, "max %" PRId64 " µs%s</text>", t->max_us,
			t->max_us >= v->histogram_us ? ", beyond the histogram" : "");
	draw_count_axis(&s, f);
	draw_steps(&s, t, f);
	draw_latency_axis(&s, f);
	draw_limit(&s, limit, f);
	draw_overflow(&s, v, t, f);
	fputs("</svg>\n", f);
}

#define TIME_RIGHT  504
#define TIME_HEIGHT 240
#define TIME_BOTTOM 186

struct time_scale {
	double total_s, max_us, unit;
	const char *unit_name;
};

static double time_x(const struct time_scale *s, double seconds)
{
	return clamp(LEFT + (TIME_RIGHT - LEFT) * seconds / s->total_s, LEFT, TIME_RIGHT);
}

static double time_y(const struct time_scale *s, double us)
{
	return clamp(TIME_BOTTOM - (TIME_BOTTOM - TOP) * us / s->max_us, TOP, TIME_BOTTOM);
}

static struct time_scale make_time_scale(const struct cell_view *c, double limit)
{
	const struct segment_view *last = &c->segments[c->n_segments - 1];
	struct time_scale s = { .total_s = fmax(fmax(c->duration_s, 1),
						last->start_s + last->elapsed_s),
				.max_us = 5 };

	for (size_t i = 0; i < c->n_segments; i++)
		s.max_us = fmax(s.max_us, (double)c->segments[i].max_us);
	if (limit <= 4 * s.max_us + 20)
		s.max_us = fmax(s.max_us, limit);
	s.max_us *= 1.12;
	s.unit = s.total_s > 3 * 3600 ? 3600 : s.total_s > 600 ? 60 : 1;
	s.unit_name = s.unit > 60 ? "h" : s.unit > 1 ? "min" : "s";
	return s;
}

static void draw_time_axes(const struct time_scale *s, FILE *f)
{
	double step = nice_step(s->max_us, 5);

	for (double us = 0; us <= s->max_us; us += step) {
		put_line(f, "grid", LEFT, time_y(s, us), TIME_RIGHT, time_y(s, us));
		put_text(f, LEFT - 6, time_y(s, us) + 4, "end", NULL);
		put_short(f, us);
		fputs("</text>", f);
	}
	step = nice_step(s->total_s / s->unit, 7);
	for (double t = 0; t * s->unit <= s->total_s; t += step) {
		double x = time_x(s, t * s->unit);

		put_line(f, "axis", x, TIME_BOTTOM, x, TIME_BOTTOM + 4);
		put_text(f, x, TIME_BOTTOM + 18, "middle", NULL);
		fprintf(f, "%.6g</text>", t);
	}
	put_line(f, "axis", LEFT, TIME_BOTTOM, TIME_RIGHT, TIME_BOTTOM);
	put_text(f, (LEFT + TIME_RIGHT) / 2.0, TIME_HEIGHT - 14, "middle", NULL);
	fprintf(f, "time since the start of the cell, %s</text>", s->unit_name);
	fprintf(f,
		"<text transform=\"translate(13 %d) rotate(-90)\" text-anchor=\"middle\">maximum, "
		"µs</text>",
		(TOP + TIME_BOTTOM) / 2);
}

/* At least a hair wide, so that a short gap in a long run is seen. */
static void draw_gap(const struct time_scale *s, double from, double to, FILE *f)
{
	double x = time_x(s, from);

	if (to > from)
		put_rect(f, "gap", x, TOP, fmax(time_x(s, to), x + 1), TIME_BOTTOM);
}

static void draw_segment(const struct time_scale *s, const struct segment_view *g, FILE *f)
{
	double x = time_x(s, g->start_s), end = time_x(s, g->start_s + g->elapsed_s);
	bool bad = *g->trouble;

	end = fmax(end, x + 1);
	if (bad)
		put_rect(f, "trouble", x, TOP, end, TIME_BOTTOM);
	if (g->max_us >= 0)
		put_rect(f, bad ? "over" : "segment", x,
			 fmin(time_y(s, (double)g->max_us), TIME_BOTTOM - 1), end, TIME_BOTTOM);
	if (!bad)
		return;
	put_text(f, (x + end) / 2, (TOP + TIME_BOTTOM) / 2.0, "middle", "limit-text");
	fputs("!</text>", f);
}

void svg_timeline(const struct cell_view *c, double drift_s, FILE *f)
{
	double limit = cell_limit_us(c), end = 0;
	struct time_scale s;

	if (!c->n_segments)
		return;
	s = make_time_scale(c, limit);
	fprintf(f, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"maxima of the segments\">",
		WIDTH, TIME_HEIGHT);
	put_text(f, LEFT, 16, "start", "strong");
	fputs("Greatest latency of each segment</text>", f);
	draw_time_axes(&s, f);
	for (size_t i = 0; i < c->n_segments; i++) {
		draw_gap(&s, end, c->segments[i].start_s, f);
		draw_segment(&s, &c->segments[i], f);
		end = c->segments[i].start_s + c->segments[i].elapsed_s;
	}
	draw_gap(&s, end, s.total_s, f);
	if (limit >= 0 && limit <= s.max_us) {
		put_line(f, "limit", LEFT, time_y(&s, limit), TIME_RIGHT, time_y(&s, limit));
		put_text(f, TIME_RIGHT, time_y(&s, limit) - 4, "end", "limit-text");
		fprintf(f, "limit %.12g µs</text>", limit);
	}
	if (drift_s >= 0) {
		double x = time_x(&s, drift_s);
		bool left = x > WIDTH / 2.0;

		put_line(f, "drift", x, TOP - 14, x, TIME_BOTTOM);
		put_text(f, left ? x - 5 : x + 5, TOP - 6, left ? "end" : "start", "limit-text");
		fputs("drift seen</text>", f);
	}
	fputs("</svg>\n", f);
}

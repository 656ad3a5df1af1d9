#pragma once
/* What the writers of the reports share. Inside measure/report_*.c only. */
#include "measure/report.h"

/*
 * @text for HTML, SVG and XML, in content and in attributes: markup is escaped, and characters that
 * XML 1.0 forbids become U+FFFD.
 */
void write_escaped(FILE *f, const char *text);
/* 12345678 as "12 345 678" with thin spaces, for people; "–" for a negative one. */
void write_count(FILE *f, int64_t n);
/* A number without needless zeros: "7.5", "40"; "–" for a negative one. */
void write_number(FILE *f, double d);
/* "600 s", "1 h", "2 h 30 min". */
void write_duration(FILE *f, double seconds);
/* A JSON value as escaped text: a string as it is, all else as JSON. */
void write_json_text(FILE *f, const json_t *v);

void report_html(const struct run_view *v, FILE *f);
void report_json(const struct run_view *v, FILE *f);
void report_junit(const struct run_view *v, FILE *f);
void report_yardstick(const struct run_view *v, FILE *f);
void report_histogram(const struct run_view *v, FILE *f);

/* Inline SVG: one thread's histogram, one cell's maxima by segment. @drift_s: -1 for none. */
void svg_histogram(const struct run_view *v, const struct cell_view *c, const struct thread_view *t,
		   FILE *f);
void svg_timeline(const struct cell_view *c, double drift_s, FILE *f);

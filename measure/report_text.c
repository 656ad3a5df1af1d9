/* Text of the reports: escaping, and numbers as people read them. Nothing here depends on the
 * locale. */
#include "measure/report_text.h"

#include <inttypes.h>
#include <math.h>

/* U+FFFE and U+FFFF are no XML characters; jansson lets no surrogate through. */
static bool is_noncharacter(const unsigned char *p)
{
	return p[0] == 0xef && p[1] == 0xbf && (p[2] == 0xbe || p[2] == 0xbf);
}

void write_escaped(FILE *f, const char *text)
{
	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		if (*p == '&') {
			fputs("&amp;", f);
		} else if (*p == '<') {
			fputs("&lt;", f);
		} else if (*p == '>') {
			fputs("&gt;", f);
		} else if (*p == '"') {
			fputs("&quot;", f);
		} else if (*p == '\'') {
			fputs("&#39;", f);
		} else if ((*p < 0x20 && *p != '\t' && *p != '\n') || *p == 0x7f) {
			fputs("\xef\xbf\xbd", f);
		} else if (is_noncharacter(p)) {
			fputs("\xef\xbf\xbd", f);
			p += 2;
		} else {
			fputc(*p, f);
		}
	}
}

void write_count(FILE *f, int64_t n)
{
	char digits[24];
	size_t size;

	if (n < 0) {
		fputs("–", f);
		return;
	}
	size = (size_t)snprintf(digits, sizeof(digits), "%" PRId64, n);
	for (size_t i = 0; i < size; i++) {
		if (i && size > 4 && (size - i) % 3 == 0)
			fputs("\xe2\x80\xaf", f);
		fputc(digits[i], f);
	}
}

void write_number(FILE *f, double d)
{
	if (d >= 0 && d == floor(d) && d < 1e15)
		write_count(f, (int64_t)d);
	else if (d >= 0)
		fprintf(f, d < 0.01 ? "%.2g" : d < 10 ? "%.2f" : "%.1f", d);
	else
		fputs("–", f);
}

void write_duration(FILE *f, double seconds)
{
	int64_t s = (int64_t)llround(seconds);

	if (seconds < 0)
		fputs("–", f);
	else if (s < 3600)
		fprintf(f, s >= 120 && s % 60 == 0 ? "%.0f min" : "%.4g s",
			s >= 120 && s % 60 == 0 ? (double)s / 60 : seconds);
	else if (s % 3600 < 60)
		fprintf(f, "%" PRId64 " h", s / 3600);
	else
		fprintf(f, "%" PRId64 " h %" PRId64 " min", s / 3600, s % 3600 / 60);
}

void write_json_text(FILE *f, const json_t *v)
{
	char *text;

	if (!v || json_is_null(v)) {
		fputs("–", f);
	} else if (json_is_string(v)) {
		write_escaped(f, json_string_value(v));
	} else {
		text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(6));
		write_escaped(f, text ? text : "?");
		free(text);
	}
}

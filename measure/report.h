#pragma once
/*
 * Reports of a run, each made from its result alone. The formats are rows of one table.
 */
#include "measure/run_view.h"

struct report_format {
	const char *name; /* as of --format */
	const char *file; /* beside result.json; NULL: result.json itself */
	void (*write)(const struct run_view *v, FILE *f);
};
extern const struct report_format report_formats[];
extern const size_t n_report_formats;

/* By its name; NULL: there is none. */
const struct report_format *report_format_by_name(const char *name);

/* The report as text (malloc()ed). -EBADMSG: @result is malformed. -ENOMEM. */
int report_make(const struct report_format *format, const json_t *result, char **ret,
		struct error *e);

/*
 * All of them as files (0644) in the run's folder, each replaced in one piece. -EBADMSG when
 * @result is malformed; then nothing is written.
 */
int report_write_all(int run_fd, const json_t *result, struct error *e);

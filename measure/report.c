/*
 * The table of formats, and their files. A writer only writes to a stream; memory running out
 * shows when that is closed. A file is written under another name and renamed, so that a reader
 * never sees half of one.
 */
#include "measure/report.h"

#include <errno.h>
#include <fcntl.h>

#include "measure/report_text.h"

const struct report_format report_formats[] = {
	{ .name = "html", .file = "report.html", .write = report_html },
	{ .name = "json", .write = report_json },
	{ .name = "junit", .file = "junit.xml", .write = report_junit },
	{ .name = "yardstick", .file = "yardstick.json", .write = report_yardstick },
	{ .name = "histogram", .file = "histogram.txt", .write = report_histogram },
};
const size_t n_report_formats = ARRAY_SIZE(report_formats);

const struct report_format *report_format_by_name(const char *name)
{
	for (size_t i = 0; i < n_report_formats; i++)
		if (streq(report_formats[i].name, name))
			return &report_formats[i];
	return NULL;
}

void report_json(const struct run_view *v, FILE *f)
{
	json_dumpf(v->result, f, JSON_INDENT(2));
	fputc('\n', f);
}

static int format_view(const struct report_format *format, const struct run_view *v, char **ret)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	bool failed;

	if (!f)
		return -ENOMEM;
	format->write(v, f);
	failed = ferror(f);
	if (fclose(f) != 0 || failed) {
		free(text);
		return -ENOMEM;
	}
	*ret = text;
	return 0;
}

int report_make(const struct report_format *format, const json_t *result, char **ret,
		struct error *e)
{
	_cleanup_run_view_ struct run_view v = { 0 };
	int r = run_view_make(result, &v, e);

	if (r < 0)
		return r;
	r = format_view(format, &v, ret);
	return r < 0 ? error_set(e, r, "making the report of %s: out of memory", v.id) : 0;
}

static int write_text(int fd, const char *text)
{
	for (size_t n = strlen(text); n;) {
		ssize_t r = write(fd, text, n);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		text += r;
		n -= (size_t)r;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

static int write_file(int run_fd, const char *name, const char *text)
{
	_cleanup_free_ char *hidden = NULL;
	_cleanup_close_ int fd = -1;
	int r;

	if (asprintf(&hidden, ".%s.new", name) < 0) {
		hidden = NULL;
		return -ENOMEM;
	}
	if (unlinkat(run_fd, hidden, 0) < 0 && errno != ENOENT)
		return -errno;
	fd = openat(run_fd, hidden, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	r = write_text(fd, text);
	if (r == 0 && renameat(run_fd, hidden, run_fd, name) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(run_fd, hidden, 0);
	return r;
}

int report_write_all(int run_fd, const json_t *result, struct error *e)
{
	_cleanup_run_view_ struct run_view v = { 0 };
	int r = run_view_make(result, &v, e);

	for (size_t i = 0; r == 0 && i < n_report_formats; i++) {
		_cleanup_free_ char *text = NULL;

		if (!report_formats[i].file)
			continue;
		r = format_view(&report_formats[i], &v, &text);
		if (r == 0)
			r = write_file(run_fd, report_formats[i].file, text);
		if (r < 0)
			error_set(e, r, "writing %s of run %s: %s", report_formats[i].file, v.id,
				  strerror(-r));
	}
	return r;
}

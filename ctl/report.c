/*
 * report: the reports of a kept run, made anew from its result: all beside it, or one on standard
 * output or in a file.
 */
#include "measure/report.h"

#include <errno.h>
#include <fcntl.h>

#include "ctl/ctl.h"
#include "measure/runs.h"

static int usage(const struct ctl *c)
{
	if (c->format && !report_format_by_name(c->format))
		return ctl_usage("formats: html, json, junit, yardstick, histogram",
				 "--format does not take \"%s\"", c->format);
	return ctl_usage("say which one with --format", "--output takes one report");
}

/* An operator's path, relative to the working directory, like a shell's redirection. */
static int write_output(const char *path, const char *text, struct error *e)
{
	_cleanup_fclose_ FILE *f = fopen(path, "we");
	int r = f ? 0 : -errno;

	if (f && (fputs(text, f) < 0 || fclose(take_ptr(f)) != 0))
		r = -errno;
	return r < 0 ? error_set(e, r, "writing %s: %s", path, strerror(-r)) : 0;
}

static int write_one(const struct ctl *c, const json_t *result, struct error *e)
{
	_cleanup_free_ char *text = NULL;
	int r = report_make(report_format_by_name(c->format), result, &text, e);

	if (r < 0)
		return r;
	if (c->output)
		return write_output(c->output, text, e);
	fputs(text, stdout);
	return 0;
}

static int print_files(const struct ctl *c, const char *id, struct error *e)
{
	_cleanup_free_ char *path = runs_path(id);
	const char *root = c->root.live ? "" : c->root_path;
	json_t *files;

	if (!path)
		return error_set(e, -ENOMEM, "naming the reports of %s: out of memory", id);
	files = json_object();
	for (size_t i = 0; i < n_report_formats; i++) {
		const struct report_format *format = &report_formats[i];

		if (!format->file)
			continue;
		json_object_set_new(files, format->name,
				    json_sprintf("%s%s/%s", root, path, format->file));
		if (!c->json && !c->quiet)
			printf("%s%s/%s\n", root, path, format->file);
	}
	if (c->json)
		return print_json(
			json_pack("{s:i, s:s, s:o}", "version", 1, "id", id, "files", files), e);
	json_decref(files);
	return 0;
}

static int write_all(const struct ctl *c, const char *id, const json_t *result, struct error *e)
{
	_cleanup_close_ int fd = runs_open(&c->root, id, e);
	int r = fd < 0 ? fd : report_write_all(fd, result, e);

	return r < 0 ? r : print_files(c, id, e);
}

int command_report(struct ctl *c, struct error *e)
{
	_cleanup_free_ char *id = NULL;
	json_t *result = NULL;
	int r;

	if ((c->format && !report_format_by_name(c->format)) || (c->output && !c->format))
		return usage(c);
	r = runs_find(&c->root, c->n_args ? c->args[0] : "latest", &id, &result, e);
	if (r < 0)
		return r;
	r = c->format ? write_one(c, result, e) : write_all(c, id, result, e);
	json_decref(result);
	return r;
}

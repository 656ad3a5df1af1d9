/*
 * Progress goes to stderr, so that stdout stays the result. A terminal shows what runs now in one
 * line that is rewritten; a log gets one line per finished step. A step that went wrong is printed
 * in either case, and with --quiet too.
 */
#include "ctl/ctl.h"

#include "actuators/execute.h"

void progress_clear(struct progress *p)
{
	if (p->shown)
		fputs("\r\033[K", stderr);
	p->shown = false;
}

static void show(struct progress *p, const char *text)
{
	progress_clear(p);
	print_text(stderr, text);
	fflush(stderr);
	p->shown = true;
}

static void print_failure(const char *text, const struct outcome *o)
{
	fprintf(stderr, "%s: ", step_result_name(o->result));
	print_text(stderr, text);
	if (o->error.what) {
		fputs("\n  ", stderr);
		print_text(stderr, o->error.what);
	}
	if (o->error.todo) {
		fputs("\n  → ", stderr);
		print_text(stderr, o->error.todo);
	}
	fputc('\n', stderr);
}

static bool went_well(const struct outcome *o)
{
	return o->result == STEP_DONE || o->result == STEP_UNCHANGED;
}

void progress_step(const struct step *step, size_t index, size_t n, const struct outcome *outcome,
		   void *userdata)
{
	struct progress *p = userdata;
	bool tty = isatty(STDERR_FILENO);
	_cleanup_free_ char *text = step_text(step), *line = NULL;

	if (!text || asprintf(&line, "[%zu/%zu] %s", index + 1, n, text) < 0)
		return;
	progress_clear(p);
	if (outcome && !went_well(outcome))
		print_failure(line, outcome);
	else if (!p->quiet && tty && !outcome)
		show(p, line);
	else if (!p->quiet && !tty && (outcome || step->kind == STEP_PACKAGE))
		fprintf(stderr, "%s: %s\n", outcome ? step_result_name(outcome->result) : "running",
			line);
}

void progress_measure(unsigned elapsed_s, unsigned duration_s, void *userdata)
{
	struct progress *p = userdata;
	char line[64];

	if (p->quiet)
		return;
	snprintf(line, sizeof(line), "measuring: %u of %u s", elapsed_s, duration_s);
	if (isatty(STDERR_FILENO))
		show(p, line);
	else if (elapsed_s % 60 == 0)
		fprintf(stderr, "%s\n", line);
}

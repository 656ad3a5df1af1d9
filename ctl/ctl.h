#pragma once
/*
 * What the commands of latencyctl share: the parsed command line, one look at the machine, and the
 * ways of printing. A command prints its result on stdout; everything else goes to stderr.
 */
#include "daemon/look.h"
#include "state/plan.h"

struct json_t;

enum {
	EXIT_USAGE = 2,
	EXIT_MEASURE_ERROR = 2, /* 1 is FAIL */
	EXIT_MEASURE_REFUSED = 3,
	EXIT_PENDING_REBOOT = 4,
};

struct ctl {
	const char *root_path; /* --root, or NULL */
	const char *document;  /* --document as given, or NULL */
	bool json, quiet, reboot;
	unsigned allow;	     /* 1 << enum disruption */
	unsigned wait_s;     /* --wait */
	unsigned duration_s; /* --duration, 0: the profile's */
	const char *profile; /* --profile, or NULL: the document's */
	const char *on;	     /* --on: "host" or "guest/NAME", or NULL: the document's */
	const char *resume;  /* --resume: a run's ID, or "latest"; or NULL */
	const char *format;  /* --format of a report, or NULL: all, beside the result */
	const char *output;  /* --output: where the report goes, or NULL: stdout */
	const char *package; /* --package: the guest's kernel package, or NULL */
	bool runtime;	     /* --runtime of apply */
	bool finish;	     /* --resume of revert */
	bool watch;	     /* --watch of status */
	unsigned for_s;	     /* --for, 0: until resumed */
	int64_t since_s;     /* --since, 0: everything */
	char **args;	     /* after the command's name */
	size_t n_args;
	struct sysroot root; /* opened before the command runs */
};

/* Commands return the exit code, or a negative errno with *e set: exit code 1 (2 of
 * measure). */
int command_status(struct ctl *c, struct error *e);
int command_verify(struct ctl *c, struct error *e);
int command_plan(struct ctl *c, struct error *e);
int command_apply(struct ctl *c, struct error *e);
int command_explain(struct ctl *c, struct error *e);
int command_validate(struct ctl *c, struct error *e);
int command_revert(struct ctl *c, struct error *e);
int command_capture(struct ctl *c, struct error *e);
int command_measure(struct ctl *c, struct error *e);
int command_segment(struct ctl *c, struct error *e);
int command_runs(struct ctl *c, struct error *e);
int command_report(struct ctl *c, struct error *e);
int command_compare(struct ctl *c, struct error *e);
int command_guest(struct ctl *c, struct error *e);
int command_pause(struct ctl *c, struct error *e);
int command_resume(struct ctl *c, struct error *e);
int command_events(struct ctl *c, struct error *e);

/* The same for who is not root: latencyd is asked (ask.c). -ENXIO: it does not run. */
int ask_apply(struct ctl *c, struct error *e);
int ask_revert(struct ctl *c, struct error *e);
int ask_measure(struct ctl *c, struct error *e);

/*
 * The document: below --root at its usual place, or --document, which is a path on this machine.
 * @acting: the machine will be changed by it, so it must be root's even when given by --document.
 */
int ctl_document(const struct ctl *c, bool acting, struct desired *ret, struct error *e);
/* The whole file @path of this machine, relative to the working directory. */
int ctl_read_file(const char *path, char **ret, size_t *ret_size, struct error *e);
/* A look whose `since` and generation follow what the daemon published last. */
int ctl_look(const struct ctl *c, struct desired *d, struct look *ret, struct error *e);
/* The same, and what latencyd says beside it. */
struct published;
int ctl_look_published(const struct ctl *c, struct desired *d, struct look *ret,
		       struct published *ret_published, struct error *e);
/* Prints what is wrong with the command's arguments; returns EXIT_USAGE. */
int ctl_usage(const char *todo, const char *fmt, ...) printf_like(2, 3);
/* Seconds of the monotonic clock. */
int64_t ctl_seconds(void);
/* Tells a running daemon to look again; nobody there is fine. */
void ctl_refresh_daemon(void);

/* times.c: "90", "90s", "10min", "1h30min", "2d" as seconds, at least 1 and at most a year; and a
 * point of time: such a span before @now_s, or a local date and time, or one in UTC that ends in Z.
 * -EINVAL. */
int parse_span(const char *text, unsigned *ret_s);
int parse_time(const char *text, int64_t now_s, int64_t *ret_s);

/* output.c */
void show_error(const struct error *e, int code);
/* Prints and frees; -ENOMEM for NULL. */
int print_json(struct json_t *object, struct error *e);
/* @text with control characters replaced: IRQ and thread names are not ours. */
void print_text(FILE *f, const char *text);
/* The same, but line by line. */
void print_lines(FILE *f, const char *text);

struct column {
	const char *name;
	bool wraps; /* may be folded on a terminal */
	bool right; /* numbers */
};
struct table;
/* Out of memory is remembered and told by table_print(). */
struct table *table_new(const struct column *columns, size_t n_columns);
void table_row(struct table *t);
void table_cell(struct table *t, size_t column, const char *text); /* of the last row; NULL: "-" */
void table_color(struct table *t, size_t column, const char *color); /* "red", on terminals */
int table_print(struct table *t, struct error *e);		     /* frees it */
void table_free(struct table *t);

/* progress.c: one line rewritten in place on a terminal, plain lines elsewhere */
struct progress {
	bool quiet;
	bool shown; /* a line stands on the terminal */
};
struct step;
struct outcome;
void progress_step(const struct step *step, size_t index, size_t n, const struct outcome *outcome,
		   void *progress);
void progress_measure(unsigned elapsed_s, unsigned duration_s, void *progress);
void progress_clear(struct progress *p);

/* status.c; @p may be NULL: nothing is known of latencyd */
int print_status(const struct desired *d, const struct look *l, const struct published *p,
		 struct error *e);
/* The status object with what latencyd says beside it; NULL: out of memory. */
struct json_t *status_json(const struct desired *d, const struct look *l,
			   const struct published *p);
/* The verdict line of the machine and of each guest, and why each setting is not converged. */
void print_verdict(const struct desired *d, const struct report *r, const struct published *p);
/* What latencyd still goes by, after the document on disk was found wrong; else nothing. */
void status_in_force(const struct ctl *c);
bool verdict_settled(enum verdict v); /* nothing is to be done about it */
/* watch.c: status until Ctrl-C */
int watch_status(const struct ctl *c, struct error *e);
/* explain.c: the row of machines or of guests, or NULL */
const struct setting *row_by_name(const char *name);
/* plan.c */
int print_steps(const struct plan *p, struct error *e);
char *step_text(const struct step *step); /* malloc()ed, one line; NULL: out of memory */

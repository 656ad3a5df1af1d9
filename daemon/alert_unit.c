/*
 * A unit that somebody else fills: it gets the alert as its environment, through a file that
 * systemd's EnvironmentFile= and a shell read alike. Values are in double quotes, and the four
 * characters that mean something there are escaped; text that strangers chose (a program's name)
 * stays one value whatever it holds.
 */
#include "daemon/alerts.h"

#include <errno.h>
#include <inttypes.h>

#include "actuators/root.h"
#include "daemon/journal.h"
#include "measure/json_text.h"

#define INSTANCE_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"

/* A part of a path and of a unit's name. */
static bool is_word(const char *s)
{
	return *s && *s != '.' && strspn(s, INSTANCE_CHARACTERS) == strlen(s);
}

static int instance_of(const struct alert *a, char **ret)
{
	const char *guest = a->guest ? a->guest : "";

	if (!is_word(a->setting) || (a->guest && !is_word(a->guest)))
		return -EINVAL;
	return asprintf(ret, "%s%s%s", guest, a->guest ? ":" : "", a->setting) < 0 ? -ENOMEM : 0;
}

/* systemd passes over values that are not UTF-8: json_text() mends them. */
static void write_variable(FILE *f, const char *name, const char *value)
{
	json_t *valid = value ? json_text(value) : NULL;
	_cleanup_free_ char *text = valid ? strdup(json_string_value(valid)) : NULL;

	json_decref(valid);
	if (!text)
		return;
	text_defuse(text);
	fprintf(f, "LATENCYD_%s=\"", name);
	for (const char *p = text; *p; p++) {
		if (strchr("\"\\$`", *p))
			fputc('\\', f);
		fputc(*p, f);
	}
	fputs("\"\n", f);
}

static void write_writer(FILE *f, const struct writer *w)
{
	if (w->pid)
		fprintf(f, "LATENCYD_WRITER_PID=\"%i\"\n", w->pid);
	if (w->uid >= 0)
		fprintf(f, "LATENCYD_WRITER_UID=\"%" PRIi64 "\"\n", w->uid);
	write_variable(f, "WRITER_COMM", w->comm);
	write_variable(f, "WRITER_EXE", w->exe);
	write_variable(f, "WRITER_UNIT", w->unit);
	write_variable(f, "WRITER_CONTAINER", w->container);
	write_variable(f, "WRITER_GONE", w->gone ? "1" : NULL);
}

static void write_alert(FILE *f, const struct alert *a, const char *id)
{
	struct arena arena = { 0 };

	write_variable(f, "ALERT", id);
	write_variable(f, "MESSAGE", alert_text(&arena, a));
	write_variable(f, "GUEST", a->guest);
	write_variable(f, "SETTING", a->setting);
	write_variable(f, "WAS", verdict_name(a->was));
	write_variable(f, "NOW", verdict_name(a->now));
	write_variable(f, "WANT", a->want);
	write_variable(f, "FOUND", a->found);
	write_variable(f, "REASON", a->reason);
	write_variable(f, "PATH", a->path);
	write_variable(f, "SINCE", a->since);
	if (a->caused)
		write_writer(f, &a->writer);
	arena_free(&arena);
}

static int environment_of(const struct alert *a, const char *id, char **ret)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return -ENOMEM;
	write_alert(f, a, id);
	if (fclose(f) != 0) {
		free(text);
		return -ENOMEM;
	}
	*ret = text;
	return 0;
}

int alert_unit_prepare(const struct alert *a, const char *id, char **ret_instance,
		       char **ret_environment, struct error *e)
{
	int r = instance_of(a, ret_instance);

	if (r < 0)
		return error_set(e, r, "no unit can be named for the alert of %s: %s", a->setting,
				 strerror(-r));
	r = environment_of(a, id, ret_environment);
	if (r >= 0)
		return 0;
	free(take_ptr(*ret_instance));
	return error_set(e, r, "out of memory");
}

int alert_unit_write(const char *instance, const char *environment, struct error *e)
{
	_cleanup_free_ char *path = NULL;
	int r;

	if (asprintf(&path, ALERT_FOLDER "/%s.env", instance) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	r = root_mkdir_p(ALERT_FOLDER, 0700);
	if (r < 0)
		return error_set(e, r, "cannot make " ALERT_FOLDER ": %s", strerror(-r));
	return root_replace_unsynced(path, environment, strlen(environment), 0600, e);
}

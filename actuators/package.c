/*
 * STEP_PACKAGE through apt-get. Which packages will be new is asked beforehand (apt-get -s) and
 * kept as originals before the first is unpacked, so that a revert purges exactly those, also
 * when we were killed half-way: apt-get and dpkg run on to their end then, under the machine lock.
 */
#include "actuators/package.h"

#include <errno.h>

#include "actuators/actuation.h"
#include "actuators/grub_files.h"
#include "actuators/root.h"
#include "actuators/run.h"
#include "state/settings.h"

#define STATUS	"/var/lib/dpkg/status"
#define APT_GET "/usr/bin/apt-get"
#define DPKG	"/usr/bin/dpkg"
#define APT_S	(30 * 60)

static const char *const environment[] = {
	"DEBIAN_FRONTEND=noninteractive",
	"DEBIAN_PRIORITY=critical",
	"APT_LISTCHANGES_FRONTEND=none",
	NULL,
};

/* The value of @field in the paragraph @text of @size bytes; "" when it has none. */
static const char *field_of(const char *text, size_t size, const char *field, size_t *ret_size)
{
	size_t n = strlen(field);

	for (const char *line = text; line && line < text + size;) {
		size_t length = strcspn(line, "\n");

		if (length > n && strncmp(line, field, n) == 0 && line[n] == ':') {
			const char *value = line + n + 1;

			value += strspn(value, " ");
			*ret_size = (size_t)(line + length - value);
			return value;
		}
		line += length + (line[length] == '\n');
		if (!*line)
			break;
	}
	*ret_size = 0;
	return "";
}

static int state_of(const char *status, size_t size)
{
	static const struct {
		const char *word;
		enum package_state state;
	} words[] = {
		{ .word = " installed", .state = PACKAGE_INSTALLED },
		{ .word = " config-files", .state = PACKAGE_CONFIG_FILES },
		{ .word = " not-installed", .state = PACKAGE_ABSENT },
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		size_t n = strlen(words[i].word);

		if (size >= n && strncmp(status + size - n, words[i].word, n) == 0)
			return words[i].state;
	}
	return PACKAGE_BROKEN;
}

int package_state(const char *name)
{
	_cleanup_free_ char *text = NULL;
	size_t n = strlen(name);
	int r = root_read(STATUS, &text, NULL);

	if (r < 0)
		return r;
	for (const char *p = text; *p;) {
		const char *end = strstr(p, "\n\n"), *value;
		size_t size = end ? (size_t)(end - p) : strlen(p), length;

		value = field_of(p, size, "Package", &length);
		if (length == n && strncmp(value, name, n) == 0) {
			value = field_of(p, size, "Status", &length);
			return state_of(value, length);
		}
		p += size;
		p += strspn(p, "\n");
	}
	return PACKAGE_ABSENT;
}

static int apt(const char *const argv[], const char *what, char **ret_output, struct error *e)
{
	_cleanup_free_ char *output = NULL;
	int r = run_program(argv, environment, APT_S, &output, e);

	if (r > 0) {
		error_set(e, -EPROTO, "%s failed (exit code %d): %s", what, r,
			  run_last_line(output));
		if (strstr(output, "No space left"))
			error_todo(e, "the disk is full: make room and apply again");
		else
			error_todo(e,
				   "see what apt said: /var/log/apt/term.log, or run it by "
				   "hand: %s",
				   what);
		r = -EPROTO;
	}
	*ret_output = take_ptr(output);
	return r;
}

static bool says(const char *output, const char *text)
{
	return output && strstr(output, text);
}

/* What an earlier run left half-way, or lists that are old, is mended once; then it must do. */
static int apt_retry(const char *const argv[], const char *what, char **ret_output, struct error *e)
{
	static const char *const configure[] = { DPKG, "--configure", "-a", "--force-confold",
						 NULL };
	static const char *const update[] = { APT_GET, "-q", "update", NULL };
	_cleanup_free_ char *ignored = NULL;
	int r = apt(argv, what, ret_output, e);

	if (r != -EPROTO)
		return r;
	if (says(*ret_output, "dpkg --configure -a"))
		r = apt(configure, "dpkg --configure -a", &ignored, e);
	else if (says(*ret_output, "Unable to locate") || says(*ret_output, "404") ||
		 says(*ret_output, "Failed to fetch") ||
		 says(*ret_output, "no installation candidate"))
		r = apt(update, "apt-get update", &ignored, e);
	else
		return r;
	if (r < 0)
		return r;
	error_clear(e);
	free(*ret_output);
	*ret_output = NULL;
	return apt(argv, what, ret_output, e);
}

static int keep_package(struct actuation *a, const struct step *s, const char *name,
			struct error *e)
{
	const struct original original = {
		.kind = ORIGINAL_PACKAGE,
		.target = name,
		.setting = s->setting ? s->setting->name : "",
	};
	int r = package_state(name);

	if (r < 0)
		return error_set(e, r, "cannot read " STATUS ": %s", strerror(-r));
	if (r == PACKAGE_INSTALLED)
		return 0;
	r = originals_keep(&a->originals, &original, e);
	return r < 0 ? r : 0;
}

/* "Inst NAME (1.2 Debian:12 [amd64])": new; "Inst NAME [1.1] (1.2 ...)": an upgrade. */
static int keep_new_packages(struct actuation *a, const struct step *s, char *output,
			     struct error *e)
{
	char *at;

	for (char *line = strtok_r(output, "\n", &at); line; line = strtok_r(NULL, "\n", &at)) {
		const char *name = after_prefix(line, "Inst ");
		_cleanup_free_ char *copy = NULL;
		size_t n;
		int r;

		if (!name)
			continue;
		n = strcspn(name, " ");
		if (!name[n] || name[n + 1] == '[')
			continue;
		copy = strndup(name, strcspn(name, " :"));
		r = copy ? keep_package(a, s, copy, e) : error_set(e, -ENOMEM, "out of memory");
		if (r < 0)
			return r;
	}
	return 0;
}

/* 1 when the package is still to be installed, with *ret_what to call that in errors; 0 when it is
 * there. */
static int to_install(const struct step *s, char **ret_what, struct error *e)
{
	int r = package_state(s->target);

	if (r < 0)
		return error_set(e, r, "cannot read " STATUS ": %s", strerror(-r));
	if (r == PACKAGE_INSTALLED)
		return 0;
	if (asprintf(ret_what, "apt-get install %s", s->target) < 0) {
		*ret_what = NULL;
		return error_set(e, -ENOMEM, "out of memory");
	}
	return 1;
}

static int prepare(struct actuation *a, const struct step *s, struct error *e)
{
	const char *const argv[] = { APT_GET,	"-q", "-s", "install", "--no-install-recommends",
				     s->target, NULL };
	_cleanup_free_ char *output = NULL, *what = NULL;
	int r = to_install(s, &what, e);

	if (r <= 0)
		return r;
	r = apt_retry(argv, what, &output, e);
	if (r < 0)
		return r;
	/* A kernel package's own hooks run update-grub. */
	r = grub_keep_originals(&a->originals, e);
	return r < 0 ? r : keep_new_packages(a, s, output, e);
}

static int run_step(struct actuation *a, const struct step *s, struct error *e)
{
	const char *const argv[] = { APT_GET,	"-q",
				     "-y",	"--no-install-recommends",
				     "-o",	"Dpkg::Options::=--force-confold",
				     "-o",	"DPkg::Lock::Timeout=300",
				     "install", s->target,
				     NULL };
	_cleanup_free_ char *output = NULL, *what = NULL;
	int r = to_install(s, &what, e);

	if (r <= 0)
		return r;
	/* A refusal is the boot steps' to tell. */
	(void)boot_stage(a, NULL);
	r = apt_retry(argv, what, &output, e);
	if (r < 0)
		return r;
	if (package_state(s->target) != PACKAGE_INSTALLED)
		return error_set(e, -EPROTO, "%s ended well, but %s is not installed", what,
				 s->target);
	return 1;
}

int package_purge(const char *const *names, struct error *e)
{
	static const char *const fixed[] = { APT_GET, "-q", "-y", "-o", "DPkg::Lock::Timeout=300",
					     "purge" };
	_cleanup_free_ const char **argv = NULL;
	_cleanup_free_ char *output = NULL;
	size_t n = 0, n_names = 0;
	int r;

	while (names[n_names])
		n_names++;
	argv = calloc(ARRAY_SIZE(fixed) + n_names + 1, sizeof(*argv));
	if (!argv)
		return error_set(e, -ENOMEM, "out of memory");
	for (; n < ARRAY_SIZE(fixed); n++)
		argv[n] = fixed[n];
	for (size_t i = 0; i < n_names; i++) {
		r = package_state(names[i]);
		if (r < 0)
			return error_set(e, r, "cannot read " STATUS ": %s", strerror(-r));
		if (r != PACKAGE_ABSENT)
			argv[n++] = names[i];
	}
	if (n == ARRAY_SIZE(fixed))
		return 0;
	r = apt_retry(argv, "apt-get purge", &output, e);
	return r < 0 ? r : 1;
}

const struct actuator actuator_package = {
	.prepare = prepare,
	.run = run_step,
};

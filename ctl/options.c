/*
 * An option is a row: its name, what it takes, which field it sets.
 */
#include "ctl/options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <time.h>

enum takes { TAKES_NOTHING, TAKES_TEXT, TAKES_SECONDS, TAKES_CLASS, TAKES_SPAN, TAKES_TIME };

static const struct ctl_option {
	enum takes takes;
	size_t field; /* of struct parsed: what it sets */
	const char *name, *arg, *help;
	unsigned bit;  /* 0: every command takes it */
	bool internal; /* given by latencyd, not by people: not in the help */
} ctl_options[] = {
	{ .takes = TAKES_TEXT,
	  .field = offsetof(struct parsed, ctl.root_path),
	  .name = "root",
	  .arg = "DIR",
	  .help = "judge the machine whose files are below DIR" },
	{ .takes = TAKES_TEXT,
	  .field = offsetof(struct parsed, ctl.document),
	  .name = "document",
	  .arg = "FILE",
	  .help = "use FILE instead of /etc/latencyd/latencyd.yaml" },
	{ .field = offsetof(struct parsed, ctl.json), .name = "json", .help = "print JSON" },
	{ .field = offsetof(struct parsed, ctl.quiet),
	  .name = "quiet",
	  .help = "print errors only" },
	{ .field = offsetof(struct parsed, help), .name = "help", .help = "print this help" },
	{ .field = offsetof(struct parsed, version),
	  .name = "version",
	  .help = "print the version" },
	{ .field = offsetof(struct parsed, ctl.reboot),
	  .name = "reboot",
	  .help = "reboot if that is what is left to do",
	  .bit = OPTION_REBOOT },
	{ .takes = TAKES_CLASS,
	  .field = offsetof(struct parsed, ctl.allow),
	  .name = "allow",
	  .arg = "CLASS",
	  .help = "consent to steps of the disruption class CLASS",
	  .bit = OPTION_ALLOW },
	{ .takes = TAKES_SECONDS,
	  .field = offsetof(struct parsed, ctl.wait_s),
	  .name = "wait",
	  .arg = "SECONDS",
	  .help = "wait so long for the machine to be verified",
	  .bit = OPTION_WAIT },
	{ .takes = TAKES_SECONDS,
	  .field = offsetof(struct parsed, ctl.duration_s),
	  .name = "duration",
	  .arg = "SECONDS",
	  .help = "measure so long instead of the profile's time",
	  .bit = OPTION_DURATION },
	{ .takes = TAKES_TEXT,
	  .field = offsetof(struct parsed, ctl.profile),
	  .name = "profile",
	  .arg = "NAME",
	  .help = "measure by this profile instead of the document's",
	  .bit = OPTION_PROFILE },
	{ .takes = TAKES_TEXT,
	  .field = offsetof(struct parsed, ctl.on),
	  .name = "on",
	  .arg = "MACHINE",
	  .help = "measure on host or guest/NAME only",
	  .bit = OPTION_ON },
	{ .takes = TAKES_TEXT,
	  .field = offsetof(struct parsed, ctl.resume),
	  .name = "resume",
	  .arg = "RUN",
	  .help = "go on with an interrupted run (its ID, or latest)",
	  .bit = OPTION_RESUME },
	{ .takes = TAKES_TEXT,
	  .field = offsetof(struct parsed, ctl.format),
	  .name = "format",
	  .arg = "FORMAT",
	  .help = "html, json, junit, yardstick or histogram",
	  .bit = OPTION_FORMAT },
	{ .takes = TAKES_TEXT,
	  .field = offsetof(struct parsed, ctl.output),
	  .name = "output",
	  .arg = "FILE",
	  .help = "write there instead of to standard output",
	  .bit = OPTION_OUTPUT },
	{ .takes = TAKES_TEXT,
	  .field = offsetof(struct parsed, ctl.package),
	  .name = "package",
	  .arg = "PACKAGE",
	  .help = "the kernel package to install into the image",
	  .bit = OPTION_PACKAGE },
	{ .field = offsetof(struct parsed, ctl.runtime),
	  .name = "runtime",
	  .help = "no boot files, packages or restarts of guests",
	  .bit = OPTION_RUNTIME },
	{ .field = offsetof(struct parsed, ctl.finish),
	  .name = "resume",
	  .help = "finish what waited for the reboot",
	  .bit = OPTION_FINISH,
	  .internal = true },
	{ .takes = TAKES_SPAN,
	  .field = offsetof(struct parsed, ctl.for_s),
	  .name = "for",
	  .arg = "TIME",
	  .help = "go on by itself after TIME: 90s, 10min, 2h",
	  .bit = OPTION_FOR },
	{ .takes = TAKES_TIME,
	  .field = offsetof(struct parsed, ctl.since_s),
	  .name = "since",
	  .arg = "TIME",
	  .help = "from TIME on: 2h (ago), 2026-11-22, \"2026-11-22 10:00\"",
	  .bit = OPTION_SINCE },
	{ .field = offsetof(struct parsed, ctl.watch),
	  .name = "watch",
	  .help = "stay, and show each change until Ctrl-C",
	  .bit = OPTION_WATCH },
};

void print_options(unsigned bits)
{
	printf("\nOptions:\n");
	for (size_t i = 0; i < ARRAY_SIZE(ctl_options); i++) {
		const struct ctl_option *o = &ctl_options[i];

		if (!o->internal && (!o->bit || (o->bit & bits)))
			printf("  --%-10s %-8s %s\n", o->name, o->arg ? o->arg : "", o->help);
	}
}

const char *option_name(unsigned bits)
{
	for (size_t i = 0; i < ARRAY_SIZE(ctl_options); i++)
		if (ctl_options[i].bit & bits)
			return ctl_options[i].name;
	return NULL;
}

static int parse_seconds(const char *option, const char *text, unsigned *ret)
{
	unsigned long seconds;
	char *end;

	errno = 0;
	seconds = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || seconds == 0 || seconds > 604800)
		return ctl_usage("give a whole number of seconds, from 1 to 604800 (a week)",
				 "--%s does not take \"%s\"", option, text);
	*ret = (unsigned)seconds;
	return 0;
}

static int parse_class(const char *text, unsigned *allow)
{
	for (int i = 0; i < _DISRUPTION_MAX; i++)
		if (i != DISRUPTION_REBOOT && streq(text, disruption_name((enum disruption)i))) {
			*allow |= 1U << i;
			return 0;
		}
	return ctl_usage("classes: irq-reshuffle, nic-reset, service-restart, guest-restart; for a "
			 "reboot there is --reboot",
			 "--allow does not take \"%s\"", text);
}

static int take_span(const char *option, const char *text, unsigned *ret)
{
	if (parse_span(text, ret) < 0)
		return ctl_usage("for example 90s, 10min, 2h, 1d; at most a year",
				 "--%s does not take \"%s\"", option, text);
	return 0;
}

static int take_time(const char *option, const char *text, int64_t *ret)
{
	if (parse_time(text, time(NULL), ret) < 0)
		return ctl_usage("for example 2h (ago), 2026-11-22, \"2026-11-22 10:00\", "
				 "2026-11-22T10:00:00Z",
				 "--%s does not take \"%s\"", option, text);
	return 0;
}

static int take_option(struct parsed *p, const struct ctl_option *o, char *arg)
{
	void *field = (char *)p + o->field;

	p->bits |= o->bit;
	switch (o->takes) {
	case TAKES_TEXT:
		*(const char **)field = arg;
		return 0;
	case TAKES_SECONDS:
		return parse_seconds(o->name, arg, field);
	case TAKES_CLASS:
		return parse_class(arg, field);
	case TAKES_SPAN:
		return take_span(o->name, arg, field);
	case TAKES_TIME:
		return take_time(o->name, arg, field);
	default:
		*(bool *)field = true;
		return 0;
	}
}

/*
 * getopt's table, and which row each of its entries is. Of two rows with one name the first in the
 * table counts: those of the command that stands first on the command line.
 */
static void order_options(unsigned first, struct option *longs, const struct ctl_option **rows)
{
	size_t n = 0;

	for (int round = 0; round < 2; round++)
		for (size_t i = 0; i < ARRAY_SIZE(ctl_options); i++) {
			const struct ctl_option *o = &ctl_options[i];

			if (!(o->bit & first) == (round == 0))
				continue;
			rows[n] = o;
			longs[n++] = (struct option){
				.name = o->name,
				.has_arg = o->arg ? required_argument : no_argument,
			};
		}
}

int parse_options(int argc, char **argv, unsigned first, struct parsed *p)
{
	const struct ctl_option *rows[ARRAY_SIZE(ctl_options)];
	struct option longs[ARRAY_SIZE(ctl_options) + 1] = { 0 };
	int index, code, r;

	order_options(first, longs, rows);
	opterr = 0;
	while ((code = getopt_long(argc, argv, ":", longs, &index)) != -1) {
		if (code == ':')
			return ctl_usage("latencyctl --help shows what it takes",
					 "%s needs a value", argv[optind - 1]);
		if (code != 0)
			return ctl_usage("latencyctl --help lists the options",
					 "there is no option %s (or it takes no value)",
					 argv[optind - 1]);
		r = take_option(p, rows[index], optarg);
		if (r != 0)
			return r;
	}
	return 0;
}

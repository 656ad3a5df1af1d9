/*
 * latencyctl: one table of commands, one of options. The command line is read once, options may
 * stand anywhere; a command is called only with options and arguments that its row admits.
 */
#include "ctl/ctl.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <locale.h>

enum option_bit {
	OPTION_REBOOT = 1 << 0,
	OPTION_ALLOW = 1 << 1,
	OPTION_WAIT = 1 << 2,
	OPTION_DURATION = 1 << 3,
	OPTION_PROFILE = 1 << 4,
	OPTION_ON = 1 << 5,
	OPTION_RESUME = 1 << 6,
	OPTION_FORMAT = 1 << 7,
	OPTION_OUTPUT = 1 << 8,
	OPTION_PACKAGE = 1 << 9,
};

#define OPTIONS_MEASURE (OPTION_DURATION | OPTION_PROFILE | OPTION_ON | OPTION_RESUME)

enum takes { TAKES_NOTHING, TAKES_TEXT, TAKES_SECONDS, TAKES_CLASS };

struct parsed {
	struct ctl ctl;
	const struct command *command;
	unsigned bits; /* command options that were given */
	bool help, version;
};

static const struct ctl_option {
	enum takes takes;
	size_t field; /* of struct parsed: what it sets */
	const char *name, *arg, *help;
	unsigned bit; /* 0: every command takes it */
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
};

static const struct command {
	const char *name;
	const char *args; /* for the help */
	const char *summary;
	int (*run)(struct ctl *c, struct error *e);
	unsigned options;
	size_t min_args, max_args;
	bool acts;	/* changes the running machine: root only, no --root */
	bool internal;	/* run by latencyd, not by people: not in the help */
	int error_exit; /* for errors; 0: EXIT_FAILURE */
} commands[] = {
	{ .name = "status",
	  .args = "",
	  .summary = "Show every setting and the machine's verdict",
	  .run = command_status },
	{ .name = "plan",
	  .args = "",
	  .summary = "Show the steps that apply would take",
	  .run = command_plan },
	{ .name = "apply",
	  .args = "",
	  .summary = "Make the machine what the document says",
	  .run = command_apply,
	  .options = OPTION_REBOOT | OPTION_ALLOW,
	  .acts = true },
	{ .name = "verify",
	  .args = "",
	  .summary = "Tell whether the machine is verified",
	  .run = command_verify,
	  .options = OPTION_WAIT },
	{ .name = "explain",
	  .args = "[SETTING]",
	  .summary = "Say what a setting is and what was read about it",
	  .run = command_explain,
	  .max_args = 1 },
	{ .name = "validate",
	  .args = "FILE",
	  .summary = "Check a document's form",
	  .run = command_validate,
	  .min_args = 1,
	  .max_args = 1 },
	{ .name = "revert",
	  .args = "[SETTING]",
	  .summary = "Undo what apply changed, all or one setting",
	  .run = command_revert,
	  .options = OPTION_REBOOT,
	  .max_args = 1,
	  .acts = true },
	{ .name = "capture",
	  .args = "DIR",
	  .summary = "Copy what the probes read, for --root",
	  .run = command_capture,
	  .min_args = 1,
	  .max_args = 1 },
	{ .name = "measure",
	  .args = "",
	  .summary = "Measure latency on the isolated CPUs",
	  .run = command_measure,
	  .error_exit = EXIT_MEASURE_ERROR,
	  .options = OPTIONS_MEASURE,
	  .acts = true },
	{ .name = "segment",
	  .args = "REQUEST RESULT",
	  .summary = "Measure one segment, for the host that asked for it",
	  .run = command_segment,
	  .min_args = 2,
	  .max_args = 2,
	  .acts = true,
	  .internal = true },
	{ .name = "runs",
	  .args = "",
	  .summary = "List the kept measurements",
	  .run = command_runs },
	{ .name = "report",
	  .args = "[RUN]",
	  .summary = "Write the reports of a measurement",
	  .run = command_report,
	  .options = OPTION_FORMAT | OPTION_OUTPUT,
	  .max_args = 1 },
	{ .name = "compare",
	  .args = "RUN RUN",
	  .summary = "Tell whether the second measurement is worse than the first",
	  .run = command_compare,
	  .error_exit = EXIT_MEASURE_ERROR,
	  .min_args = 2,
	  .max_args = 2 },
	{ .name = "guest",
	  .args = "list | start NAME | stop NAME | prepare IMAGE",
	  .summary = "Show, start or stop guests; make a disk image ready to be one",
	  .run = command_guest,
	  .options = OPTION_PACKAGE,
	  .min_args = 1,
	  .max_args = 2 },
};

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (streq(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static void print_options(unsigned bits)
{
	printf("\nOptions:\n");
	for (size_t i = 0; i < ARRAY_SIZE(ctl_options); i++) {
		const struct ctl_option *o = &ctl_options[i];

		if (!o->bit || (o->bit & bits))
			printf("  --%-10s %-8s %s\n", o->name, o->arg ? o->arg : "", o->help);
	}
}

static void print_help(const struct command *command)
{
	if (command) {
		printf("latencyctl %s [OPTIONS]%s%s\n%s.\n", command->name,
		       *command->args ? " " : "", command->args, command->summary);
		print_options(command->options);
		return;
	}
	printf("latencyctl COMMAND [OPTIONS]\n\nCommands:\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (!commands[i].internal)
			printf("  %-8s %-10s %s\n", commands[i].name, commands[i].args,
			       commands[i].summary);
	print_options(UINT_MAX);
	printf("\nSee latencyctl(1) and latencyd.yaml(5).\n");
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
	default:
		*(bool *)field = true;
		return 0;
	}
}

static int parse_options(int argc, char **argv, struct parsed *p)
{
	struct option longs[ARRAY_SIZE(ctl_options) + 1] = { 0 };
	int index, code, r;

	for (size_t i = 0; i < ARRAY_SIZE(ctl_options); i++)
		longs[i] = (struct option){
			.name = ctl_options[i].name,
			.has_arg = ctl_options[i].arg ? required_argument : no_argument,
		};
	opterr = 0;
	while ((code = getopt_long(argc, argv, ":", longs, &index)) != -1) {
		if (code == ':')
			return ctl_usage("latencyctl --help shows what it takes",
					 "%s needs a value", argv[optind - 1]);
		if (code != 0)
			return ctl_usage("latencyctl --help lists the options",
					 "there is no option %s (or it takes no value)",
					 argv[optind - 1]);
		r = take_option(p, &ctl_options[index], optarg);
		if (r != 0)
			return r;
	}
	return 0;
}

/* Does the command admit what was given? */
static int check_command(const struct parsed *p)
{
	const struct command *c = p->command;

	for (size_t i = 0; i < ARRAY_SIZE(ctl_options); i++)
		if (ctl_options[i].bit & p->bits & ~c->options)
			return ctl_usage("latencyctl --help lists commands and options",
					 "%s takes no --%s", c->name, ctl_options[i].name);
	if (p->ctl.n_args < c->min_args)
		return ctl_usage("latencyctl --help lists the commands", "%s needs %s", c->name,
				 c->args);
	if (p->ctl.n_args > c->max_args)
		return ctl_usage("latencyctl --help lists the commands", "%s does not take \"%s\"",
				 c->name, p->ctl.args[c->max_args]);
	return 0;
}

static int parse_command_line(int argc, char **argv, struct parsed *p)
{
	int r = parse_options(argc, argv, p);

	if (r != 0 || p->version)
		return r;
	if (optind >= argc)
		return p->help ? 0
			       : ctl_usage("latencyctl --help lists the commands",
					   "no command is given");
	p->command = find_command(argv[optind]);
	if (!p->command)
		return ctl_usage("latencyctl --help lists the commands",
				 "there is no command \"%s\"", argv[optind]);
	p->ctl.args = argv + optind + 1;
	p->ctl.n_args = (size_t)(argc - optind - 1);
	return p->help ? 0 : check_command(p);
}

static int run_command(struct parsed *p, struct error *e)
{
	_cleanup_sysroot_ struct sysroot root = { .fd = -1 };
	int r;

	r = sysroot_open(p->ctl.root_path, &root, e);
	if (r < 0)
		return r;
	if (p->command->acts && !root.live)
		return ctl_usage("leave --root out",
				 "%s works on the running machine, not on --root %s",
				 p->command->name, p->ctl.root_path);
	if (p->command->acts && geteuid() != 0) {
		r = error_set(e, -EPERM, "only root may run latencyctl %s", p->command->name);
		error_todo(e, "sudo latencyctl %s", p->command->name);
		return r;
	}
	p->ctl.root = root;
	return p->command->run(&p->ctl, e);
}

int main(int argc, char **argv)
{
	_cleanup_error_ struct error e = { 0 };
	struct parsed p = { 0 };
	int r;

	setlocale(LC_CTYPE, "");
	r = parse_command_line(argc, argv, &p);
	if (r != 0)
		return r;
	if (p.version) {
		printf("latencyctl %s\n", PACKAGE_VERSION);
	} else if (p.help) {
		print_help(p.command);
	} else {
		r = run_command(&p, &e);
		if (r < 0) {
			show_error(&e, r);
			return p.command->error_exit ? p.command->error_exit : EXIT_FAILURE;
		}
	}
	if (fflush(stdout) != 0 || ferror(stdout)) {
		error_set(&e, -errno, "cannot write the output: %s", strerror(errno));
		show_error(&e, -errno);
		return EXIT_FAILURE;
	}
	return r;
}

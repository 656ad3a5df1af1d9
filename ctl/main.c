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
};

static const struct ctl_option {
	int code;
	const char *name, *arg, *help;
	unsigned bit; /* 0: every command takes it */
} ctl_options[] = {
	{ .code = 'R',
	  .name = "root",
	  .arg = "DIR",
	  .help = "judge the machine whose files are below DIR" },
	{ .code = 'D',
	  .name = "document",
	  .arg = "FILE",
	  .help = "use FILE instead of /etc/latencyd/latencyd.yaml" },
	{ .code = 'j', .name = "json", .help = "print JSON" },
	{ .code = 'q', .name = "quiet", .help = "print errors only" },
	{ .code = 'h', .name = "help", .help = "print this help" },
	{ .code = 'V', .name = "version", .help = "print the version" },
	{ .code = 'b',
	  .name = "reboot",
	  .help = "reboot if that is what is left to do",
	  .bit = OPTION_REBOOT },
	{ .code = 'a',
	  .name = "allow",
	  .arg = "CLASS",
	  .help = "consent to steps of the disruption class CLASS",
	  .bit = OPTION_ALLOW },
	{ .code = 'w',
	  .name = "wait",
	  .arg = "SECONDS",
	  .help = "wait so long for the machine to be verified",
	  .bit = OPTION_WAIT },
	{ .code = 't',
	  .name = "duration",
	  .arg = "SECONDS",
	  .help = "measure so long instead of the profile's time",
	  .bit = OPTION_DURATION },
};

static const struct command {
	const char *name;
	const char *args; /* for the help */
	const char *summary;
	int (*run)(struct ctl *c, struct error *e);
	unsigned options;
	size_t min_args, max_args;
	bool acts;	/* changes the running machine: root only, no --root */
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
	  .options = OPTION_DURATION,
	  .acts = true },
	{ .name = "runs",
	  .args = "",
	  .summary = "List the kept measurements",
	  .run = command_runs },
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

struct parsed {
	struct ctl ctl;
	const struct command *command;
	unsigned bits; /* command options that were given */
	bool help, version;
};

static int take_option(struct parsed *p, const struct ctl_option *o, char *arg)
{
	p->bits |= o->bit;
	switch (o->code) {
	case 'R':
		p->ctl.root_path = arg;
		return 0;
	case 'D':
		p->ctl.document = arg;
		return 0;
	case 'j':
		p->ctl.json = true;
		return 0;
	case 'q':
		p->ctl.quiet = true;
		return 0;
	case 'h':
		p->help = true;
		return 0;
	case 'V':
		p->version = true;
		return 0;
	case 'b':
		p->ctl.reboot = true;
		return 0;
	case 'a':
		return parse_class(arg, &p->ctl.allow);
	case 'w':
		return parse_seconds(o->name, arg, &p->ctl.wait_s);
	default:
		return parse_seconds(o->name, arg, &p->ctl.duration_s);
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
			print_error(&e, r);
			return p.command->error_exit ? p.command->error_exit : EXIT_FAILURE;
		}
	}
	if (fflush(stdout) != 0 || ferror(stdout)) {
		error_set(&e, -errno, "cannot write the output: %s", strerror(errno));
		print_error(&e, -errno);
		return EXIT_FAILURE;
	}
	return r;
}

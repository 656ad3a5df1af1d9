/*
 * latencyctl: one table of commands, one of options. The command line is read once, options may
 * stand anywhere; a command is called only with options and arguments that its row admits.
 */
#include "ctl/options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <locale.h>

static const struct command {
	const char *name;
	const char *args; /* for the help */
	const char *summary;
	int (*run)(struct ctl *c, struct error *e);
	unsigned options;
	size_t min_args, max_args;
	bool acts; /* changes the running machine: root only, no --root */
	/* What another user than root gets instead: latencyd is asked to do it. It can be told
	 * no option but @ask_options. */
	int (*ask)(struct ctl *c, struct error *e);
	unsigned ask_options;
	bool internal;	/* run by latencyd, not by people: not in the help */
	int error_exit; /* for errors; 0: EXIT_FAILURE */
} commands[] = {
	{ .name = "status",
	  .args = "",
	  .summary = "Show every setting and the machine's verdict",
	  .run = command_status,
	  .options = OPTION_WATCH },
	{ .name = "plan",
	  .args = "",
	  .summary = "Show the steps that apply would take",
	  .run = command_plan },
	{ .name = "apply",
	  .args = "",
	  .summary = "Make the machine what the document says",
	  .run = command_apply,
	  .options = OPTION_REBOOT | OPTION_ALLOW | OPTION_RUNTIME,
	  .acts = true,
	  .ask = ask_apply,
	  .ask_options = OPTION_REBOOT },
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
	  .options = OPTION_REBOOT | OPTION_FINISH,
	  .max_args = 1,
	  .acts = true,
	  .ask = ask_revert },
	{ .name = "pause",
	  .args = "",
	  .summary = "Let latencyd repair nothing for a while",
	  .run = command_pause,
	  .options = OPTION_FOR,
	  .acts = true,
	  .ask = command_pause,
	  .ask_options = OPTION_FOR },
	{ .name = "resume",
	  .args = "",
	  .summary = "End a pause",
	  .run = command_resume,
	  .acts = true,
	  .ask = command_resume },
	{ .name = "events",
	  .args = "[SETTING]",
	  .summary = "List what changed and who changed it, from the journal",
	  .run = command_events,
	  .options = OPTION_SINCE,
	  .max_args = 1 },
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
	  .acts = true,
	  .ask = ask_measure,
	  .ask_options = OPTION_PROFILE },
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
	  .args = "list | start NAME | stop NAME | power-off NAME | prepare IMAGE",
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

/* Does the command admit what was given? */
static int check_command(const struct parsed *p)
{
	const struct command *c = p->command;

	const char *option = option_name(p->bits & ~c->options);

	if (option)
		return ctl_usage("latencyctl --help lists commands and options", "%s takes no --%s",
				 c->name, option);
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
	const struct command *first = argc > 1 ? find_command(argv[1]) : NULL;
	int r = parse_options(argc, argv, first ? first->options : 0, p);

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

/* Only root may: what another user can have is that latencyd does it. */
static int run_for_user(struct parsed *p, struct error *e)
{
	const struct command *c = p->command;
	const char *option = p->ctl.document ? "document" : option_name(p->bits & ~c->ask_options);
	int r;

	if (c->ask && !option) {
		r = c->ask(&p->ctl, e);
		if (r != -ENXIO || c->ask == c->run)
			return r;
	}
	r = error_set(e, -EPERM, "only root may run latencyctl %s%s%s", c->name,
		      option ? " --" : "", option ? option : "");
	return error_todo(e, "sudo latencyctl %s", c->name);
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
	p->ctl.root = root;
	if (p->command->acts && geteuid() != 0)
		return run_for_user(p, e);
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

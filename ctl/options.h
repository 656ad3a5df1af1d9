#pragma once
/*
 * The command line's options: one table of what there is, what each takes and sets. Which command
 * admits which stands in the table of commands (main.c).
 */
#include "ctl/ctl.h"

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
	OPTION_RUNTIME = 1 << 10,
	OPTION_FINISH = 1 << 11,
	OPTION_FOR = 1 << 12,
	OPTION_SINCE = 1 << 13,
	OPTION_WATCH = 1 << 14,
};

#define OPTIONS_MEASURE (OPTION_DURATION | OPTION_PROFILE | OPTION_ON | OPTION_RESUME)

struct command;

struct parsed {
	struct ctl ctl;
	const struct command *command;
	unsigned bits; /* command options that were given */
	bool help, version;
};

/* Reads the options of @argv into @p; they may stand anywhere. @first: those of the command that
 * stands first, which count where two commands mean different things by one name. 0, or EXIT_USAGE
 * after saying what is wrong. */
int parse_options(int argc, char **argv, unsigned first, struct parsed *p);
/* The name of an option among @bits, or NULL: there is none. */
const char *option_name(unsigned bits);
/* For the help: those of @bits and those that every command takes. */
void print_options(unsigned bits);

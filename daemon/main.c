/*
 * latencyd: argv, memory policy, and a manager that runs until it is told to stop.
 */
#include <getopt.h>
#include <malloc.h>

#include <systemd/sd-daemon.h>

#include "daemon/manager.h"

/* A pass needs some hundred KiB for milliseconds and then nothing for half a minute: one heap, and
 * large blocks that go straight back to the kernel. */
static void keep_memory_small(void)
{
	(void)mallopt(M_ARENA_MAX, 1);
	(void)mallopt(M_MMAP_THRESHOLD, 64 * 1024);
	(void)mallopt(M_TRIM_THRESHOLD, 64 * 1024);
}

static void print_help(void)
{
	printf("latencyd [OPTIONS]\n"
	       "Watches the machine against its document and keeps it applied over reboots.\n\n"
	       "Options:\n"
	       "  --root DIR   watch the machine whose files are below DIR; change nothing\n"
	       "  --help       print this help\n"
	       "  --version    print the version\n\n"
	       "See latencyd(8).\n");
}

/* Returns 0 to go on, else the exit code + 1. */
static int parse_options(int argc, char **argv, const char **ret_root)
{
	static const struct option options[] = {
		{ .name = "root", .has_arg = required_argument, .val = 'R' },
		{ .name = "help", .val = 'h' },
		{ .name = "version", .val = 'V' },
		{ 0 },
	};
	int code;

	while ((code = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (code) {
		case 'R':
			*ret_root = optarg;
			break;
		case 'h':
			print_help();
			return 1;
		case 'V':
			printf("latencyd %s\n", PACKAGE_VERSION);
			return 1;
		default:
			return 3;
		}
	if (optind < argc) {
		fprintf(stderr, "latencyd: it takes no argument \"%s\"\n", argv[optind]);
		return 3;
	}
	return 0;
}

int main(int argc, char **argv)
{
	_cleanup_error_ struct error e = { 0 };
	const char *root_path = NULL;
	struct manager m;
	int r;

	r = parse_options(argc, argv, &root_path);
	if (r != 0)
		return r - 1;
	keep_memory_small();
	r = manager_init(&m, root_path, &e);
	if (r >= 0)
		r = manager_run(&m, &e);
	manager_done(&m);
	if (r < 0)
		fprintf(stderr, SD_ERR "latencyd: %s\n", e.what ? e.what : strerror(-r));
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

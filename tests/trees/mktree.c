/*
 * mktree MACHINE DIR: writes a fake machine; mktree --list names them.
 * mktree --cpus N --irqs N DIR: an untuned machine of that size, for figures as sizes grow.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>

#include "tests/trees/tree.h"

static int usage(void)
{
	fprintf(stderr,
		"usage: mktree MACHINE DIR | mktree --cpus N --irqs N DIR | mktree --list\n");
	return 2;
}

static int list(void)
{
	for (size_t i = 0; i < n_tree_specs; i++)
		printf("%-18s %s\n", tree_specs[i].name, tree_specs[i].about);
	return 0;
}

static int parse_count(const char *text, unsigned max, unsigned *ret)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (end == text || *end || n == 0 || n > max)
		return -EINVAL;
	*ret = (unsigned)n;
	return 0;
}

static int report(const char *dir, int r)
{
	if (r >= 0)
		return 0;
	fprintf(stderr, "mktree: cannot write a machine into %s: %s\n", dir, strerror(-r));
	return 1;
}

static int make_sized(unsigned n_cpus, unsigned n_irqs, const char *dir)
{
	char possible[32], isolated[32];
	const struct tree_node node = { 0, possible, (uint64_t)64 << 20 };
	const struct tree_spec spec = {
		.name = "sized",
		.possible = possible,
		.isolated = n_cpus > 1 ? isolated : NULL,
		.nodes = &node,
		.n_nodes = 1,
		.n_irqs = n_irqs,
	};

	snprintf(possible, sizeof(possible), "0-%u", n_cpus - 1);
	snprintf(isolated, sizeof(isolated), "%u-%u", (n_cpus + 1) / 2, n_cpus - 1);
	return report(dir, tree_write(&spec, dir));
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "list", no_argument, NULL, 'l' },
		{ "cpus", required_argument, NULL, 'c' },
		{ "irqs", required_argument, NULL, 'i' },
		{ NULL, 0, NULL, 0 },
	};
	const struct tree_spec *spec;
	unsigned n_cpus = 0, n_irqs = 0;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (c == 'l')
			return list();
		if (c != 'c' && c != 'i')
			return usage();
		if (parse_count(optarg, c == 'c' ? 8192 : 65536, c == 'c' ? &n_cpus : &n_irqs) < 0)
			return usage();
	}
	if (n_cpus && n_irqs && optind + 1 == argc)
		return make_sized(n_cpus, n_irqs, argv[optind]);
	if (n_cpus || n_irqs || optind + 2 != argc)
		return usage();
	spec = tree_spec_by_name(argv[optind]);
	if (!spec) {
		fprintf(stderr, "mktree: there is no machine \"%s\"; see mktree --list\n",
			argv[optind]);
		return 2;
	}
	return report(argv[optind + 1], tree_write(spec, argv[optind + 1]));
}

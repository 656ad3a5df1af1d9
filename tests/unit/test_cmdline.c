/* The kernel command line: quoting as next_arg() has it, keys, and what values mean. */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "state/cmdline.h"

static struct cmdline parse(const char *text)
{
	struct cmdline c = { 0 };

	assert_int_equal(cmdline_parse(text, &c), 0);
	return c;
}

/* @want: each argument as "key" or "key=[value]", separated by blanks. */
static void assert_args(const char *text, const char *want)
{
	_cleanup_cmdline_ struct cmdline c = parse(text);
	_cleanup_free_ char *got = strdup("");

	for (size_t i = 0; i < c.n_args; i++) {
		const struct cmdline_arg *a = &c.args[i];
		char *longer;

		assert_true(asprintf(&longer, "%s%s{%s}%s%s%s", got, i ? " " : "", a->key,
				     a->value ? "=[" : "", a->value ? a->value : "",
				     a->value ? "]" : "") >= 0);
		free(got);
		got = longer;
	}
	assert_string_equal(got, want);
}

static void assert_format(const char *text, const char *want)
{
	_cleanup_cmdline_ struct cmdline c = parse(text);
	_cleanup_free_ char *got = cmdline_format(&c);

	assert_string_equal(got, want);
}

static const char *value_of(const struct cmdline *c, const char *key)
{
	const struct cmdline_arg *a = cmdline_get(c, key);

	return a ? a->value : NULL;
}

static void flags_and_values(void **state)
{
	(void)state;
	assert_args("", "");
	assert_args(" \t\n", "");
	assert_args("BOOT_IMAGE=/boot/vmlinuz-6.1 root=UUID=1-2 ro quiet\n",
		    "{BOOT_IMAGE}=[/boot/vmlinuz-6.1] {root}=[UUID=1-2] {ro} {quiet}");
	assert_args("a=  b", "{a}=[] {b}");
	assert_args("  a \t b ", "{a} {b}");
	assert_args("=x", "{=x}");
	assert_args("=x=y", "{=x}=[y]");
}

static void quotes_anywhere(void **state)
{
	(void)state;
	assert_args("key=\"a b\" c", "{key}=[a b] {c}");
	assert_args("\"key=a b\" c", "{key}=[a b] {c}");
	assert_args("dyndbg=\"file x +p; file y +p\"", "{dyndbg}=[file x +p; file y +p]");
	assert_args("key=a\"b c\"d", "{key}=[a\"b c\"d]"); /* inner quotes stay */
	assert_args("\"a b\"", "{a b}");
	assert_args("a\"b c\"", "{a\"b c\"}");
	assert_args("key=\"\"", "{key}=[]");
	assert_args("key=\"a\"b", "{key}=[a\"b]");   /* only a closing quote at the end goes */
	assert_args("key='a b'", "{key}=['a] {b'}"); /* single quotes are nothing to the kernel */
}

static void open_quote_is_refused(void **state)
{
	struct cmdline c = { .n_args = 77 };

	(void)state;
	assert_int_equal(cmdline_parse("a=\"b c", &c), -EINVAL);
	assert_int_equal(cmdline_parse("\"", &c), -EINVAL);
	assert_int_equal(cmdline_parse("x a\"b", &c), -EINVAL);
	assert_int_equal(c.n_args, 77);
}

static void no_break_space_of_latin1_separates_as_in_the_kernel(void **state)
{
	(void)state;
	assert_args("a\xa0"
		    "b",
		    "{a} {b}");
}

static void formatting_gives_the_arguments_back(void **state)
{
	(void)state;
	assert_format("  a   b=c ", "a b=c");
	assert_format("\"key=a b\"", "key=\"a b\"");
	assert_format("key=\"a\"", "key=a");
	assert_format("key=\"\"", "key=");
	assert_format("\"a b\"", "\"a b\"");
	assert_format("a=b\"c d\"e", "a=b\"c d\"e");
	assert_format("\"key=a\"b", "\"key=a\"b"); /* nothing simpler reads back the same */
	assert_format("a -- single b=\"c d\"", "a -- single b=\"c d\"");
	assert_format("", "");
}

static void last_of_a_repeated_key_wins(void **state)
{
	_cleanup_cmdline_ struct cmdline c = parse("console=tty0 console=ttyS0 quiet");

	(void)state;
	assert_string_equal(value_of(&c, "console"), "ttyS0");
	assert_int_equal(cmdline_count(&c, "console"), 2);
	assert_non_null(cmdline_get(&c, "quiet"));
	assert_null(cmdline_get(&c, "quiet")->value);
	assert_null(cmdline_get(&c, "quie"));
}

static void keys_are_whole_words_with_dash_as_underscore(void **state)
{
	_cleanup_cmdline_ struct cmdline c =
		parse("tuned.non_isolcpus=ff rcu_nocb_poll isolcpus=2-3 idle=poll kvm-intel.ept=1");

	(void)state;
	assert_string_equal(value_of(&c, "isolcpus"), "2-3");
	assert_int_equal(cmdline_count(&c, "isolcpus"), 1);
	assert_null(cmdline_get(&c, "non_isolcpus"));
	assert_non_null(cmdline_get(&c, "rcu-nocb-poll"));
	assert_string_equal(value_of(&c, "kvm_intel.ept"), "1");
	assert_true(cmdline_key_equal("a-b_c", "a_b-c"));
	assert_false(cmdline_key_equal("a-b", "a-bc"));
	assert_false(cmdline_key_equal("a.b", "a-b"));
}

static void arguments_of_init_are_not_the_kernels(void **state)
{
	_cleanup_cmdline_ struct cmdline c = parse("quiet -- isolcpus=1 quiet");
	_cleanup_free_ char *text = NULL;

	(void)state;
	assert_null(cmdline_get(&c, "isolcpus"));
	assert_int_equal(cmdline_count(&c, "quiet"), 1);
	assert_int_equal(cmdline_append(&c, "isolcpus", "2-3"), 0);
	assert_int_equal(cmdline_remove(&c, "quiet"), 1);
	text = cmdline_format(&c);
	assert_string_equal(text, "isolcpus=2-3 -- isolcpus=1 quiet");
}

static void appending_and_removing(void **state)
{
	_cleanup_cmdline_ struct cmdline c = { 0 };
	_cleanup_free_ char *text = NULL;

	(void)state;
	assert_int_equal(cmdline_append(&c, "mce", "off"), 0);
	assert_int_equal(cmdline_append(&c, "nosoftlockup", NULL), 0);
	assert_int_equal(cmdline_append(&c, "dyndbg", "file x +p"), 0);
	assert_int_equal(cmdline_append(&c, "mce", "off"), 0);
	assert_int_equal(cmdline_append(&c, "empty", ""), 0);
	assert_int_equal(cmdline_remove(&c, "mce"), 2);
	assert_int_equal(cmdline_remove(&c, "mce"), 0);
	text = cmdline_format(&c);
	assert_string_equal(text, "nosoftlockup dyndbg=\"file x +p\" empty=");
}

static void appending_what_cannot_be_written_is_refused(void **state)
{
	_cleanup_cmdline_ struct cmdline c = { 0 };

	(void)state;
	assert_int_equal(cmdline_append(&c, "a=b", "c"), -EINVAL);
	assert_int_equal(cmdline_append(&c, "--", NULL), -EINVAL);
	assert_int_equal(cmdline_append(&c, "", "x"), -EINVAL);
	assert_int_equal(cmdline_append(&c, "k", "a b\" c"), -EINVAL);
	assert_int_equal(c.n_args, 0);
}

static void kinds_of_keys(void **state)
{
	(void)state;
	assert_int_equal(cmdline_kind("isolcpus"), CMDLINE_FLAGCPUS);
	assert_int_equal(cmdline_kind("nohz_full"), CMDLINE_CPUS);
	assert_int_equal(cmdline_kind("rcu-nocbs"), CMDLINE_CPUS);
	assert_int_equal(cmdline_kind("irqaffinity"), CMDLINE_CPUS);
	assert_int_equal(cmdline_kind("hugepages"), CMDLINE_POOL);
	assert_int_equal(cmdline_kind("hugepagesz"), CMDLINE_POOL);
	assert_int_equal(cmdline_kind("iommu"), CMDLINE_TEXT);
	assert_int_equal(cmdline_kind("iommu.strict"), CMDLINE_TEXT);
}

static void values_compare_by_meaning(void **state)
{
	(void)state;
	assert_true(cmdline_value_equal("nohz_full", "2-7", "2,3,4-7", 8));
	assert_true(cmdline_value_equal("nohz_full", "2-N", "2-7", 8));
	assert_false(cmdline_value_equal("nohz_full", "2-7", "2-6", 8));
	assert_true(cmdline_value_equal("rcu_nocbs", "all", "0-7", 8));
	assert_true(cmdline_value_equal("isolcpus", "domain,managed_irq,2-3",
					"managed_irq,domain,3,2", 8));
	assert_true(cmdline_value_equal("isolcpus", "2-3", "domain,2-3", 8));
	assert_false(cmdline_value_equal("isolcpus", "2-3", "nohz,2-3", 8));
	assert_true(cmdline_value_equal("default_hugepagesz", "1G", "1024M", 8));
	assert_false(cmdline_value_equal("default_hugepagesz", "1G", "2M", 8));
	assert_true(cmdline_value_equal("hugepages", "04", "4", 8));
	assert_true(cmdline_value_equal("hugepages", "0:4,1:2", "0:04,1:2", 8));
	assert_false(cmdline_value_equal("hugepages", "0:4,1:2", "0:4", 8));
	assert_false(cmdline_value_equal("mce", "off", "OFF", 8));
	assert_true(cmdline_value_equal("mce", NULL, NULL, 8));
	assert_false(cmdline_value_equal("mce", NULL, "", 8));
	assert_true(cmdline_value_equal("nohz_full", "bad", "bad", 8)); /* the same text at least */
	assert_false(cmdline_value_equal("nohz_full", "bad", "worse", 8));
	assert_false(cmdline_value_equal("nohz_full", "", "0", 8));
}

static void assert_isolcpus(const char *value, unsigned flags, const char *cpus)
{
	_cleanup_cpuset_ struct cpuset s = { 0 };
	_cleanup_free_ char *text = NULL;
	unsigned got = 0;

	assert_int_equal(cmdline_parse_isolcpus(value, 8, &got, &s), 0);
	text = cpuset_format_list(&s);
	assert_int_equal(got, flags);
	assert_string_equal(text, cpus);
}

static void isolcpus_flags_come_before_the_list(void **state)
{
	static const char *const bad[] = { "bogus,2-3", "domain", "2-3,domain", "managed-irq,2",
					   "Domain,2",	"N",	  "all",	"domain,N-3" };
	struct cpuset s = { 0 };
	unsigned flags;

	(void)state;
	assert_isolcpus("2-3", ISOLCPUS_DOMAIN, "2-3");
	assert_isolcpus("managed_irq,domain,2-N", ISOLCPUS_DOMAIN | ISOLCPUS_MANAGED_IRQ, "2-7");
	assert_isolcpus("nohz,22-43,66-87", ISOLCPUS_NOHZ, "22-43,66-87");
	assert_isolcpus("nohz,domain,managed_irq,0-7:1/2",
			ISOLCPUS_NOHZ | ISOLCPUS_DOMAIN | ISOLCPUS_MANAGED_IRQ, "0,2,4,6");
	assert_isolcpus("", ISOLCPUS_DOMAIN, "");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(cmdline_parse_isolcpus(bad[i], 8, &flags, &s), -EINVAL);
	assert_int_equal(cmdline_parse_isolcpus(NULL, 8, &flags, &s), -EINVAL);
}

/* @want: "SIZE:COUNT" or "SIZE:NODE=COUNT/NODE=COUNT", sizes in KiB. */
static void assert_pools(const char *text, const char *want)
{
	_cleanup_cmdline_ struct cmdline c = parse(text);
	_cleanup_(arena_free) struct arena a = { 0 };
	struct hugepage_request *reqs;
	const char *got = "";
	size_t n;

	assert_int_equal(cmdline_hugepages(&c, &a, &reqs, &n), 0);
	for (size_t i = 0; i < n; i++) {
		got = arena_printf(&a, "%s%s%" PRIu64 ":", got, i ? " " : "", reqs[i].size_kib);
		if (reqs[i].n_nodes == 0)
			got = arena_printf(&a, "%s%" PRIu64, got, reqs[i].count);
		for (size_t k = 0; k < reqs[i].n_nodes; k++)
			got = arena_printf(&a, "%s%s%u=%" PRIu64, got, k ? "/" : "",
					   reqs[i].nodes[k].node, reqs[i].nodes[k].count);
	}
	assert_string_equal(got, want);
}

static void huge_page_pairs_accumulate_in_order(void **state)
{
	(void)state;
	assert_pools("hugepagesz=1G hugepages=4 hugepagesz=2M hugepages=512", "1048576:4 2048:512");
	assert_pools("hugepages=8", "0:8");
	assert_pools("hugepages=8 hugepagesz=1G hugepages=2", "0:8 1048576:2");
	assert_pools("default_hugepagesz=1G hugepagesz=1G hugepages=4", "1048576:4");
	assert_pools("default_hugepagesz=1G hugepages=4", "1048576:4");
	assert_pools("hugepages=4 default_hugepagesz=1G", "1048576:4");
	assert_pools("hugepagesz=2M hugepages=9 default_hugepagesz=1G hugepages=4",
		     "2048:9 1048576:4");
	assert_pools("hugepagesz=1G hugepages=0:4,1:2", "1048576:0=4/1=2");
	assert_pools("hugepagesz=1G", "");
	assert_pools("quiet", "");
	assert_pools("hugepages=4 -- hugepages=5", "0:4");
}

static void huge_page_requests_that_the_kernel_ignores(void **state)
{
	(void)state;
	assert_pools("hugepagesz=1G hugepages=4 hugepages=8", "1048576:4");
	assert_pools("hugepagesz=1G hugepages=4 hugepagesz=1G hugepages=8", "1048576:4");
	assert_pools("hugepagesz=nonsense hugepages=8 hugepagesz=1G hugepages=1", "1048576:1");
	assert_pools("hugepagesz=1G hugepages=many", "");
	assert_pools("hugepagesz=1G hugepages=0:", "");
	assert_pools("hugepagesz=1G hugepages=0:1,", "");
	assert_pools("hugepages", "");
}

static void sizes(void **state)
{
	static const char *const bad[] = { "",
					   "G",
					   "1X",
					   "1GB",
					   "1.5G",
					   "-1",
					   " 1G",
					   "1023",
					   "99999999999999999999",
					   "17179869184E" };
	_cleanup_(arena_free) struct arena a = { 0 };
	uint64_t kib;

	(void)state;
	assert_int_equal(parse_size_kib("1G", &kib), 0);
	assert_int_equal(kib, 1048576);
	assert_int_equal(parse_size_kib("2048k", &kib), 0);
	assert_int_equal(kib, 2048);
	assert_int_equal(parse_size_kib("1024", &kib), 0);
	assert_int_equal(kib, 1);
	assert_int_equal(parse_size_kib("1t", &kib), 0);
	assert_int_equal(kib, 1073741824);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(parse_size_kib(bad[i], &kib), -EINVAL);
	assert_string_equal(format_size_kib(&a, 1048576), "1G");
	assert_string_equal(format_size_kib(&a, 2048), "2M");
	assert_string_equal(format_size_kib(&a, 64), "64K");
	assert_string_equal(format_size_kib(&a, 1536), "1536K");
	assert_string_equal(format_size_kib(&a, 0), "0K");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flags_and_values),
		cmocka_unit_test(quotes_anywhere),
		cmocka_unit_test(open_quote_is_refused),
		cmocka_unit_test(no_break_space_of_latin1_separates_as_in_the_kernel),
		cmocka_unit_test(formatting_gives_the_arguments_back),
		cmocka_unit_test(last_of_a_repeated_key_wins),
		cmocka_unit_test(keys_are_whole_words_with_dash_as_underscore),
		cmocka_unit_test(arguments_of_init_are_not_the_kernels),
		cmocka_unit_test(appending_and_removing),
		cmocka_unit_test(appending_what_cannot_be_written_is_refused),
		cmocka_unit_test(kinds_of_keys),
		cmocka_unit_test(values_compare_by_meaning),
		cmocka_unit_test(isolcpus_flags_come_before_the_list),
		cmocka_unit_test(huge_page_pairs_accumulate_in_order),
		cmocka_unit_test(huge_page_requests_that_the_kernel_ignores),
		cmocka_unit_test(sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

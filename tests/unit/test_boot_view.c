/* The next boot against what is wanted in it: the drop-in, and whose a key is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "state/boot.h"

struct fixture {
	struct observed o;
	struct boot_intent b;
	struct boot_view view;
	struct arena arena;
	struct fact source;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->source = (struct fact){ .state = FACT_KNOWN, .path = "/etc/default/grub", .text = "" };
	f->o.boot.sources = &f->source;
	f->o.boot.n_sources = 1;
	f->o.n_cpus = 8;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	boot_view_done(&f->view);
	arena_free(&f->arena);
	free(f);
	return 0;
}

static void want(struct fixture *f, const char *key, const char *value)
{
	assert_int_equal(boot_intent_add(&f->arena, &f->b, NULL, key, value), 0);
}

static void set_next(struct fixture *f, const char *args)
{
	f->o.boot.next_cmdline = (struct fact){ .state = FACT_KNOWN, .path = "g", .text = args };
	boot_view_done(&f->view);
	assert_int_equal(boot_view_init(&f->o, &f->view), 0);
}

static void set_drop_in(struct fixture *f, const char *text)
{
	f->o.boot.drop_in = (struct fact){ .state = FACT_KNOWN, .path = "d", .text = text };
}

static void assert_foreign(struct fixture *f, const char *text, const char *key, bool foreign)
{
	f->source.text = text;
	if (foreign != (boot_foreign_source(&f->o, key) != NULL))
		fail_msg("%s in %s: expected %d", key, text, foreign);
}

static void empty_intent_renders_no_file(void **state)
{
	struct fixture *f = *state;

	assert_null(boot_drop_in_render(&f->arena, &f->b));
}

static void drop_in_reads_back_as_written(void **state)
{
	struct fixture *f = *state;
	_cleanup_cmdline_ struct cmdline back = { 0 };
	const char *entry, *text;

	want(f, "isolcpus", "managed_irq,domain,2-3");
	want(f, "rcu_nocb_poll", NULL);
	f->b.default_entry = "gnulinux-advanced-1>gnulinux-6.1.0-rt";
	text = boot_drop_in_render(&f->arena, &f->b);
	assert_int_equal(boot_drop_in_parse(text, &back, &f->arena, &entry), 0);
	assert_int_equal(back.n_args, 2);
	assert_string_equal(back.args[0].value, "managed_irq,domain,2-3");
	assert_string_equal(back.args[1].key, "rcu_nocb_poll");
	assert_null(back.args[1].value);
	assert_string_equal(entry, f->b.default_entry);
}

static void drop_in_with_only_a_default_entry(void **state)
{
	struct fixture *f = *state;
	_cleanup_cmdline_ struct cmdline back = { 0 };
	const char *entry;

	f->b.default_entry = "a>b";
	assert_int_equal(
		boot_drop_in_parse(boot_drop_in_render(&f->arena, &f->b), &back, &f->arena, &entry),
		0);
	assert_int_equal(back.n_args, 0);
	assert_string_equal(entry, "a>b");
}

static void drop_in_of_garbage_has_nothing_of_ours(void **state)
{
	static const char *const texts[] = { "", "\n\n", "GRUB_DEFAULT='",
					     "GRUB_CMDLINE_LINUX=\"a\"", "#GRUB_DEFAULT='x'" };
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		_cleanup_cmdline_ struct cmdline back = { 0 };
		const char *entry;

		assert_int_equal(boot_drop_in_parse(texts[i], &back, &f->arena, &entry), 0);
		assert_int_equal(back.n_args, 0);
		assert_null(entry);
	}
}

static void comments_set_nothing(void **state)
{
	struct fixture *f = *state;

	assert_foreign(f, "# GRUB_CMDLINE_LINUX=\"idle=poll\"\n", "idle", false);
	assert_foreign(f, "GRUB_CMDLINE_LINUX=\"quiet\" # keep idle here\n", "idle", false);
	assert_foreign(f, "GRUB_CMDLINE_LINUX=quiet; : idle=poll\n", "idle", false);
	assert_foreign(f, "GRUB_DISTRIBUTOR=\" idle \"\n", "idle", false);
}

static void a_longer_key_or_a_value_is_not_the_key(void **state)
{
	struct fixture *f = *state;

	assert_foreign(f, "GRUB_CMDLINE_LINUX=\"iommu.strict=0\"", "iommu", false);
	assert_foreign(f, "GRUB_CMDLINE_LINUX=\"intel_iommu=on\"", "iommu", false);
	assert_foreign(f, "GRUB_CMDLINE_LINUX=\"clocksource=tsc\"", "tsc", false);
	assert_foreign(f, "GRUB_CMDLINE_LINUX=\"a=idle=poll\"", "idle", false);
}

static void every_way_of_quoting_is_seen(void **state)
{
	struct fixture *f = *state;

	assert_foreign(f, "GRUB_CMDLINE_LINUX='quiet idle=poll'", "idle", true);
	assert_foreign(f, "GRUB_CMDLINE_LINUX=\"idle=poll quiet\"", "idle", true);
	assert_foreign(f, "GRUB_CMDLINE_LINUX=idle=poll", "idle", true);
	assert_foreign(f, "  export GRUB_CMDLINE_LINUX_DEFAULT+=\" idle=poll\"", "idle", true);
	assert_foreign(f,
		       "X=1\nGRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT idle=x\"\n",
		       "idle", true);
}

static void dashes_are_underscores_in_keys(void **state)
{
	assert_foreign(*state, "GRUB_CMDLINE_LINUX=\"nohz-full=2\"", "nohz_full", true);
}

static void variables_of_other_entries_do_not_count(void **state)
{
	struct fixture *f = *state;

	assert_foreign(f, "GRUB_CMDLINE_LINUX_RECOVERY=\"mce=off\"", "mce", false);
	assert_foreign(f, "GRUB_CMDLINE_LINUX_XEN_REPLACE=\"mce=off\"", "mce", false);
}

static void same_meaning_in_another_spelling_is_fine(void **state)
{
	struct fixture *f = *state;

	want(f, "isolcpus", "managed_irq,domain,2-3");
	set_next(f, "quiet isolcpus=domain,managed_irq,2,3");
	assert_int_equal(boot_key_state(&f->view, &f->b, &f->o, "isolcpus", NULL), BOOT_KEY_OK);
}

static void a_key_that_nobody_set_is_missing(void **state)
{
	struct fixture *f = *state;

	want(f, "nohz_full", "2-3");
	set_next(f, "quiet");
	assert_int_equal(boot_key_state(&f->view, &f->b, &f->o, "nohz_full", NULL),
			 BOOT_KEY_MISSING);
}

static void the_administrators_equal_key_is_fine_and_another_one_a_conflict(void **state)
{
	struct fixture *f = *state;
	const char *source;

	want(f, "nohz_full", "2-3");
	f->source.text = "GRUB_CMDLINE_LINUX=\"nohz_full=2-3\"";
	set_next(f, "nohz_full=2-3");
	assert_int_equal(boot_key_state(&f->view, &f->b, &f->o, "nohz_full", NULL), BOOT_KEY_OK);
	set_next(f, "nohz_full=1-3");
	assert_int_equal(boot_key_state(&f->view, &f->b, &f->o, "nohz_full", &source),
			 BOOT_KEY_CONFLICT);
	assert_string_equal(source, "/etc/default/grub");
}

static void a_doubled_key_is_never_fine(void **state)
{
	struct fixture *f = *state;

	want(f, "nohz_full", "2-3");
	set_next(f, "nohz_full=2-3 nohz_full=2-3");
	assert_int_not_equal(boot_key_state(&f->view, &f->b, &f->o, "nohz_full", NULL),
			     BOOT_KEY_OK);
}

static void pool_pairs_compare_in_order(void **state)
{
	struct fixture *f = *state;

	want(f, "hugepagesz", "1G");
	want(f, "hugepages", "2");
	want(f, "hugepagesz", "2M");
	want(f, "hugepages", "64");
	set_next(f, "hugepagesz=1024M hugepages=2 hugepagesz=2M hugepages=64");
	assert_int_equal(boot_key_state(&f->view, &f->b, &f->o, "hugepages", NULL), BOOT_KEY_OK);
	assert_int_equal(boot_key_state(&f->view, &f->b, &f->o, "hugepagesz", NULL), BOOT_KEY_OK);
	set_next(f, "hugepagesz=1G hugepages=64 hugepagesz=2M hugepages=2");
	assert_int_not_equal(boot_key_state(&f->view, &f->b, &f->o, "hugepages", NULL),
			     BOOT_KEY_OK);
}

static void an_unreadable_source_owns_what_is_not_ours(void **state)
{
	struct fixture *f = *state;
	const char *source;

	f->source.state = FACT_DENIED;
	f->source.text = NULL;
	want(f, "nohz_full", "2-3");
	set_next(f, "nohz_full=1");
	assert_int_equal(boot_key_state(&f->view, &f->b, &f->o, "nohz_full", &source),
			 BOOT_KEY_CONFLICT);
	assert_string_equal(source, "/etc/default/grub");
	set_drop_in(f, "GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT nohz_full=1\"\n");
	set_next(f, "nohz_full=1");
	assert_int_equal(boot_key_state(&f->view, &f->b, &f->o, "nohz_full", NULL),
			 BOOT_KEY_MISSING);
}

static void a_boot_of_the_same_changes_nothing(void **state)
{
	struct fixture *f = *state;

	want(f, "iommu", "pt");
	f->o.kernel_release = (struct fact){ .state = FACT_KNOWN, .text = "6.1" };
	f->o.boot.next_kernel = (struct fact){ .state = FACT_KNOWN, .text = "6.1" };
	f->o.cmdline = (struct fact){ .state = FACT_KNOWN, .text = "quiet iommu=pt" };
	set_next(f, "iommu=pt");
	assert_int_equal(boot_would_change(&f->view, &f->b, &f->o), 0);
	f->o.cmdline.text = "quiet";
	assert_int_equal(boot_would_change(&f->view, &f->b, &f->o), 1);
	f->o.cmdline.text = "iommu=pt";
	f->o.boot.next_kernel.text = "6.12";
	assert_int_equal(boot_would_change(&f->view, &f->b, &f->o), 1);
	f->o.cmdline.state = FACT_DENIED;
	assert_int_equal(boot_would_change(&f->view, &f->b, &f->o), -ENODATA);
}

static void a_command_line_that_does_not_parse_is_not_known(void **state)
{
	struct fixture *f = *state;

	set_next(f, "a=\"b");
	assert_false(f->view.known);
}

static void text_of_a_key_has_all_its_arguments(void **state)
{
	struct fixture *f = *state;

	want(f, "hugepagesz", "1G");
	want(f, "nosoftlockup", NULL);
	want(f, "hugepagesz", "2M");
	assert_string_equal(boot_key_text(&f->arena, f->b.args, f->b.n_args, "hugepagesz"),
			    "hugepagesz=1G hugepagesz=2M");
	assert_string_equal(boot_key_text(&f->arena, f->b.args, f->b.n_args, "idle"), "");
	assert_true(boot_first_of_key(&f->b, 0));
	assert_false(boot_first_of_key(&f->b, 2));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(empty_intent_renders_no_file),
		T(drop_in_reads_back_as_written),
		T(drop_in_with_only_a_default_entry),
		T(drop_in_of_garbage_has_nothing_of_ours),
		T(comments_set_nothing),
		T(a_longer_key_or_a_value_is_not_the_key),
		T(every_way_of_quoting_is_seen),
		T(dashes_are_underscores_in_keys),
		T(variables_of_other_entries_do_not_count),
		T(same_meaning_in_another_spelling_is_fine),
		T(a_key_that_nobody_set_is_missing),
		T(the_administrators_equal_key_is_fine_and_another_one_a_conflict),
		T(a_doubled_key_is_never_fine),
		T(pool_pairs_compare_in_order),
		T(an_unreadable_source_owns_what_is_not_ours),
		T(a_boot_of_the_same_changes_nothing),
		T(a_command_line_that_does_not_parse_is_not_known),
		T(text_of_a_key_has_all_its_arguments),
	};

	return cmocka_run_group_tests_name("boot_view", tests, NULL, NULL);
}

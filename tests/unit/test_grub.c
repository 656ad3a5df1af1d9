/* grub.cfg as Debian's grub-mkconfig writes it (data/grub-*.cfg come from its own scripts), the
 * next boot's entry, and the quoting that GRUB undoes and does on the way to the kernel. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "state/cmdline.h"
#include "state/error.h"
#include "state/grub.h"

#define DISK	 "6b0d6a2c-6d63-4f0f-9a7c-0f6f3d0d5b11"
#define ADVANCED "gnulinux-advanced-" DISK
#define RT_PATH	 ADVANCED ">gnulinux-6.1.0-41-rt-amd64-advanced-" DISK
#define ENV	 "# GRUB Environment Block\n"

static char *read_data(const char *name)
{
	const char *folder = getenv("TEST_DATA");
	_cleanup_free_ char *path = NULL;
	_cleanup_fclose_ FILE *f = NULL;
	char *text = NULL;
	size_t size = 0;

	assert_true(asprintf(&path, "%s/%s", folder ? folder : "tests/unit/data", name) > 0);
	f = fopen(path, "re");
	assert_non_null(f);
	assert_true(getdelim(&text, &size, '\0', f) > 0);
	return text;
}

static struct grub_config parse(const char *text)
{
	_cleanup_error_ struct error e = { 0 };
	struct grub_config c = { 0 };

	if (grub_config_parse(text, &c, &e) < 0)
		fail_msg("%s", e.what);
	return c;
}

static struct grub_config parse_data(const char *name)
{
	_cleanup_free_ char *text = read_data(name);

	return parse(text);
}

static void assert_next(const struct grub_config *c, const char *env, const char *index)
{
	const struct grub_entry *entry = grub_next_entry(c, env);

	assert_non_null(entry);
	assert_string_equal(entry->index, index);
}

/* The arguments of `linux /k ARGUMENTS` as the kernel gets them. */
static void assert_arguments(const char *arguments, const char *want)
{
	_cleanup_grub_ struct grub_config c = { 0 };
	_cleanup_free_ char *text = NULL;

	assert_true(asprintf(&text, "menuentry x {\n\tlinux\t/k %s\n}\n", arguments) > 0);
	c = parse(text);
	assert_string_equal(c.entries[0].kernel, "/k");
	assert_string_equal(c.entries[0].cmdline, want);
}

static void assert_refused(const char *text, const char *what)
{
	_cleanup_error_ struct error e = { 0 };
	struct grub_config c = { .n_entries = 77 };

	assert_int_equal(grub_config_parse(text, &c, &e), -EINVAL);
	assert_int_equal(c.n_entries, 77);
	assert_int_equal(e.code, -EINVAL);
	if (!strstr(e.what, what))
		fail_msg("\"%s\" does not say \"%s\"", e.what, what);
	assert_non_null(e.todo);
	assert_int_equal(grub_config_parse(text, &c, NULL), -EINVAL);
}

static void stock_menu(void **state)
{
	_cleanup_grub_ struct grub_config c = parse_data("grub-stock.cfg");
	const struct grub_entry *first = &c.entries[0], *old = &c.entries[3];

	(void)state;
	assert_int_equal(c.n_entries, 5);
	assert_int_equal(c.n_items, 6);
	assert_string_equal(first->title, "Debian GNU/Linux");
	assert_string_equal(first->id, "gnulinux-simple-" DISK);
	assert_string_equal(first->path, first->id);
	assert_string_equal(first->index, "0");
	assert_string_equal(first->kernel, "/boot/vmlinuz-6.1.0-41-amd64");
	assert_string_equal(first->cmdline, "root=UUID=" DISK " ro quiet");
	assert_false(first->recovery);
	assert_string_equal(old->title, "Debian GNU/Linux, with Linux 6.1.0-40-amd64");
	assert_string_equal(old->path, ADVANCED ">gnulinux-6.1.0-40-amd64-advanced-" DISK);
	assert_string_equal(old->index, "1>2");
	assert_true(c.entries[2].recovery);
	assert_string_equal(c.entries[2].cmdline, "root=UUID=" DISK " ro single");
	assert_string_equal(c.default_entry, "0");
	assert_false(c.default_is_saved);
	assert_next(&c, NULL, "0");
}

static void rt_kernel_as_default_by_id_path(void **state)
{
	_cleanup_grub_ struct grub_config c = parse_data("grub-rt.cfg");
	const struct grub_entry *entry = grub_next_entry(&c, NULL);
	_cleanup_cmdline_ struct cmdline args = { 0 };

	(void)state;
	assert_string_equal(c.default_entry, RT_PATH);
	assert_string_equal(entry->path, RT_PATH);
	assert_string_equal(entry->index, "1>0");
	assert_string_equal(grub_kernel_version(entry->kernel), "6.1.0-41-rt-amd64");
	assert_int_equal(cmdline_parse(entry->cmdline, &args), 0);
	assert_string_equal(cmdline_get(&args, "isolcpus")->value,
			    "managed_irq,domain,22-43,66-87");
	assert_int_equal(cmdline_count(&args, "nohz_full"), 1);
	assert_non_null(cmdline_get(&args, "nosoftlockup"));
}

static void next_entry_wins_once(void **state)
{
	_cleanup_grub_ struct grub_config c = parse_data("grub-rt.cfg");

	(void)state;
	assert_next(&c, ENV "next_entry=1>2\n####\n", "1>2");
	assert_next(&c, ENV "saved_entry=1>4\nnext_entry=0\n", "0");
	assert_next(&c, ENV "next_entry=\n", "1>0");
	assert_next(&c, ENV "saved_entry=1>4\n", "1>0"); /* the default is not the saved one */
	assert_next(&c, "next_entry=1>2\n", "1>0");	 /* no block: GRUB does not load it */
}

static void saved_entry_where_the_default_is_saved(void **state)
{
	_cleanup_grub_ struct grub_config c = parse_data("grub-saved.cfg");

	(void)state;
	assert_true(c.default_is_saved);
	assert_string_equal(c.default_entry, "${saved_entry}");
	assert_next(&c, NULL, "0");
	assert_next(&c, ENV, "0");
	assert_next(&c, ENV "saved_entry=" RT_PATH "\n", "1>0");
	assert_next(&c, ENV "saved_entry=1>4\nnext_entry=1>2\n", "1>2");
	assert_next(&c, ENV "saved_entry=gone\n", "0");
}

static void default_by_title_id_index_and_mixtures(void **state)
{
	static const struct {
		const char *spec, *index;
	} cases[] = {
		{ "Advanced options for Debian GNU/Linux>Debian GNU/Linux, with Linux "
		  "6.1.0-41-amd64",
		  "1>2" },
		{ ADVANCED ">Debian GNU/Linux, with Linux 6.1.0-41-amd64", "1>2" },
		{ "Advanced options for Debian GNU/Linux>2", "1>2" },
		{ "1>gnulinux-6.1.0-41-amd64-advanced-" DISK, "1>2" },
		{ "1>2", "1>2" },
		{ "0x1>02", "1>2" },
		{ "1", "1>0" }, /* a submenu: its first entry */
		{ ADVANCED, "1>0" },
		{ "1>gone", "1>0" },
		{ "99", "0" },
		{ "99999999999999999999", "0" },
		{ "-1", "0" },
		{ "gone", "0" },
		{ "", "0" },
		{ ">", "0" },
		{ " 1>2", "1>2" },
		{ "1>>2", "1>0" }, /* a number and no second part */
		{ "Debian GNU/Linux", "0" },
		{ "Debian GNU/Linux>2", "0" }, /* no submenu: the rest means nothing */
		{ "Debian GNU/Linux, with Linux 6.1.0-41-amd64", "0" }, /* not at the top */
	};
	_cleanup_grub_ struct grub_config c = parse_data("grub-rt.cfg");

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *env = NULL;

		assert_true(asprintf(&env, ENV "next_entry=%s\n", cases[i].spec) > 0);
		if (*cases[i].spec)
			assert_next(&c, env, cases[i].index);
		c.default_entry = cases[i].spec;
		assert_next(&c, NULL, cases[i].index);
	}
}

static void quoting_as_the_administrator_wrote_it(void **state)
{
	_cleanup_grub_ struct grub_config c = parse_data("grub-quoting.cfg");
	const struct grub_entry *next = grub_next_entry(&c, NULL),
				*last = &c.entries[c.n_entries - 1];
	_cleanup_cmdline_ struct cmdline args = { 0 };

	(void)state;
	assert_string_equal(next->index, "1>2");
	assert_string_equal(next->cmdline,
			    "root=UUID=" DISK " ro \"dyndbg=file drivers/usb/* +p\" \"log=a b\" "
			    "console=ttyS0,115200n8 tuned.non_isolcpus=0000ffff x=$HOME quiet");
	assert_int_equal(cmdline_parse(next->cmdline, &args), 0);
	assert_string_equal(cmdline_get(&args, "dyndbg")->value, "file drivers/usb/* +p");
	assert_null(cmdline_get(&args, "isolcpus"));

	assert_string_equal(last->title, "Rescue's \"system\"");
	assert_string_equal(last->path, "Old systems >> 2020>Rescue's \"system\"");
	assert_string_equal(last->index, "3>0");
	assert_string_equal(last->kernel, "/vmlinuz-5.10.0-8-rt-amd64");
	assert_string_equal(last->cmdline, "\"root=LABEL=old root\" ro single");
	assert_true(last->recovery);
	assert_string_equal(c.entries[c.n_entries - 2].id, "uefi-firmware");
	assert_null(c.entries[c.n_entries - 2].kernel);
	assert_next(&c, ENV "next_entry=Old systems >> 2020>Rescue's \"system\"\n", "3>0");
}

static void words_as_grub_splits_and_joins_them(void **state)
{
	(void)state;
	assert_arguments("a  b\tc", "a b c");
	assert_arguments("'a b'", "\"a b\"");
	assert_arguments("k=\"a b\"", "\"k=a b\"");
	assert_arguments("k='\"a b\"'", "\"k=\\\"a b\\\"\""); /* GRUB escapes the kernel's quotes */
	assert_arguments("k=\\\"a\\\"", "k=\\\"a\\\"");
	assert_arguments("a\\ b", "\"a b\"");
	assert_arguments("\"a\\$b\"", "a$b");
	assert_arguments("\"a\\b\"", "a\\\\b");
	assert_arguments("'a\\x20b'", "a\\x20b"); /* a code goes through as it is */
	assert_arguments("'a\\x2'", "a\\\\x2");
	assert_arguments("a#b # comment", "a#b");
	assert_arguments("a \\\n  b", "a b");
	assert_arguments("a; echo b", "a");
	assert_arguments("$vt_handoff \"${x}y\" '$z'", "${vt_handoff} ${x}y $z");
	assert_arguments("a=$ b", "a=$ b");
	assert_arguments("$\"a b\"", "\"a b\"");
	assert_arguments("\"a\\\nb\"", "ab");
	assert_arguments("", "");
}

static void assert_next_cmdline(const char *script, const char *want)
{
	_cleanup_grub_ struct grub_config c = parse(script);

	assert_string_equal(grub_next_entry(&c, NULL)->cmdline, want);
}

/* As TuneD has it: the arguments in a variable, its name on every linux line. */
static void variables_on_the_linux_line(void **state)
{
	_cleanup_free_ char *doubling = strdup("set v=xxxxxxxxxxxxxxxx\n");

	(void)state;
	assert_next_cmdline("set tuned_params=\"isolcpus=2-3  nohz_full=2-3\"\n"
			    "menuentry x { linux /k ro $tuned_params quiet }\n",
			    "ro isolcpus=2-3 nohz_full=2-3 quiet");
	assert_next_cmdline("set v=\"a b\"\nmenuentry x { linux /k k=$v \"k=$v\" }\n",
			    "k=a b \"k=a b\"");
	assert_next_cmdline("set v=\nmenuentry x { linux /k a $v b }\n", "a b");
	assert_next_cmdline("a=1\nset b=\"$a,2\"\nset a=3\nmenuentry x { linux /k $b $a }\n",
			    "1,2 3");
	assert_next_cmdline("set k=/vmlinuz-1\nmenuentry x { linux $k a }\n", "a");
	/* what a condition decides, or nothing sets, cannot be told */
	assert_next_cmdline("set v=1\nif true; then set v=2; fi\nmenuentry x { linux /k $v $w }\n",
			    "${v} ${w}");
	assert_next_cmdline("set v=$w\nmenuentry x { linux /k $v }\n", "${v}");

	for (int i = 0; i < 20; i++) {
		char *longer;

		assert_true(asprintf(&longer, "%sset v=$v$v\n", doubling) > 0);
		free(doubling);
		doubling = longer;
	}
	doubling = realloc(doubling, strlen(doubling) + 100);
	assert_non_null(doubling);
	strcat(doubling, "menuentry x { linux /k $v }\n");
	assert_next_cmdline(doubling, "${v}");
	assert_refused(
		"set v=0123456789012345678901234567890123456789012345678901234567890123456789\n"
		"set v=$v$v$v$v$v$v$v$v$v$v\nset v=$v$v$v$v$v$v$v$v$v$v\n"
		"menuentry x { linux /k $v $v $v }\n",
		"longer than");
}

static void default_set_in_other_ways(void **state)
{
	static const struct {
		const char *script, *entry;
		bool saved;
	} cases[] = {
		{ "set default=1", "1", false },
		{ "default='a b'", "a b", false },
		{ "set default=1\nset default=2", "2", false },
		{ "if [ \"${next_entry}\" ]; then set default=\"${next_entry}\"; else set "
		  "default=3; fi",
		  "3", false },
		{ "if cmostest 4a:1; then\nset default=7\nelif [ \"$next_entry\" ]; then\n"
		  "set default=8\nelse\nset default=9\nfi",
		  "9", false },
		{ "if [ \"${saved_entry}\" ]; then set default=\"${saved_entry}\"; else set "
		  "default=2; fi",
		  "2", true },
		{ "set default=2\nif [ \"$saved_entry\" ]; then set default=\"$saved_entry\"; fi",
		  "2", true },
		{ "set default=\"${saved_entry}\"\nset default=4", "4", false },
		{ "set default=2\nif [ \"x$default\" = 'old' ]; then default='new'; fi;", "2",
		  false },
		{ "set default=2\nfunction f { set default=5\n}", "2", false },
		{ "for x in a b; do insmod $x; done; while false; do true; done\nset default=1",
		  "1", false },
		{ "set default_x=2", NULL, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_grub_ struct grub_config c = { 0 };
		_cleanup_free_ char *text = NULL;

		assert_true(asprintf(&text, "%s\nmenuentry x {\nset default=6\n}\n",
				     cases[i].script) > 0);
		c = parse(text);
		if (cases[i].entry)
			assert_string_equal(c.default_entry, cases[i].entry);
		else
			assert_null(c.default_entry);
		assert_int_equal(c.default_is_saved, cases[i].saved);
	}
}

static void default_of_the_unsaved_environment(void **state)
{
	_cleanup_grub_ struct grub_config c =
		parse("if [ \"$saved_entry\" ]; then set default=\"$saved_entry\"; else set "
		      "default=1; fi\n"
		      "menuentry a {\n}\nmenuentry b {\n}\nmenuentry c {\n}\n");

	(void)state;
	assert_next(&c, NULL, "1");
	assert_next(&c, ENV "saved_entry=c\n", "2");
}

static void ids_and_options_of_entries(void **state)
{
	_cleanup_grub_ struct grub_config c =
		parse("menuentry --class x --id=one 'First' --unrestricted { linux /a }\n"
		      "menuentry 'Second' --users root --hotkey=s --id two { linux16 /b x }\n"
		      "menuentry 'Th'\"ird\" { linuxefi /c y\nlinux /d z\n }\n"
		      "function f { menuentry no { linux /e }\n}\n"
		      "submenu empty { }\n");

	(void)state;
	assert_int_equal(c.n_entries, 3);
	assert_string_equal(c.entries[0].id, "one");
	assert_string_equal(c.entries[0].title, "First");
	assert_string_equal(c.entries[1].id, "two");
	assert_string_equal(c.entries[1].kernel, "/b");
	assert_string_equal(c.entries[2].id, "Third");
	assert_string_equal(c.entries[2].kernel, "/d"); /* the one loaded last is booted */
	assert_string_equal(c.entries[2].cmdline, "z");
	assert_next(&c, ENV "next_entry=empty\n", "0");
}

static void broken_files_are_refused(void **state)
{
	char deep[200] = "";

	(void)state;
	memset(deep, '{', 199);
	assert_refused("", "no menu entry");
	assert_refused("set default=0\n", "no menu entry");
	assert_refused("menuentry x {\n linux /a\n", "inside a block");
	assert_refused("menuentry x { }\n}\n", "line 2");
	assert_refused("menuentry x { linux 'a\n}\n", "quote");
	assert_refused("menuentry x { linux \"a\n}\n", "quote");
	assert_refused("if true; then\nmenuentry x { }\n", "inside a block");
	assert_refused("if true; then\nmenuentry x { fi }\n", "`fi`");
	assert_refused("fi\n", "`fi`");
	assert_refused("else\n", "without `if`");
	assert_refused("done\n", "`done`");
	assert_refused("menuentry { }\n", "title");
	assert_refused(deep, "nested");
}

static void bls_is_refused_with_advice(void **state)
{
	_cleanup_error_ struct error e = { 0 };
	struct grub_config c;

	(void)state;
	assert_int_equal(grub_config_parse("insmod blscfg\nblscfg\n", &c, &e), -EINVAL);
	assert_non_null(strstr(e.what, "BLS"));
	assert_non_null(strstr(e.todo, "not managed yet"));
}

static void environment_block(void **state)
{
	static const char block[] = ENV "# saved_entry=comment\nsaved_entry=a\\\\b\\\nc\n"
					"saved_entry_x=1\nempty=\n#######";
	_cleanup_free_ char *saved = grubenv_get(block, "saved_entry");
	_cleanup_free_ char *empty = grubenv_get(block, "empty");

	(void)state;
	assert_string_equal(saved, "a\\b\nc");
	assert_string_equal(empty, "");
	assert_null(grubenv_get(block, "saved"));
	assert_null(grubenv_get(block, "gone"));
	assert_null(grubenv_get("", "saved_entry"));
	assert_null(grubenv_get("saved_entry=1\n", "saved_entry"));
}

static void kernel_versions(void **state)
{
	(void)state;
	assert_string_equal(grub_kernel_version("/boot/vmlinuz-6.1.0-56-rt-amd64"),
			    "6.1.0-56-rt-amd64");
	assert_string_equal(grub_kernel_version("/vmlinuz-6.1"), "6.1");
	assert_string_equal(grub_kernel_version("vmlinux-6.1"), "6.1");
	assert_null(grub_kernel_version("/boot/vmlinuz"));
	assert_null(grub_kernel_version("/boot/vmlinuz-"));
	assert_null(grub_kernel_version("/vmlinuz-6.1/other"));
	assert_null(grub_kernel_version(""));
}

static void freeing_nothing_is_fine(void **state)
{
	struct grub_config c = { 0 };

	(void)state;
	grub_config_done(NULL);
	grub_config_done(&c);
	assert_null(grub_next_entry(&c, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stock_menu),
		cmocka_unit_test(rt_kernel_as_default_by_id_path),
		cmocka_unit_test(next_entry_wins_once),
		cmocka_unit_test(saved_entry_where_the_default_is_saved),
		cmocka_unit_test(default_by_title_id_index_and_mixtures),
		cmocka_unit_test(quoting_as_the_administrator_wrote_it),
		cmocka_unit_test(words_as_grub_splits_and_joins_them),
		cmocka_unit_test(variables_on_the_linux_line),
		cmocka_unit_test(default_set_in_other_ways),
		cmocka_unit_test(default_of_the_unsaved_environment),
		cmocka_unit_test(ids_and_options_of_entries),
		cmocka_unit_test(broken_files_are_refused),
		cmocka_unit_test(bls_is_refused_with_advice),
		cmocka_unit_test(environment_block),
		cmocka_unit_test(kernel_versions),
		cmocka_unit_test(freeing_nothing_is_fine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What "verified" stands on: that each part of it changes the line, and what is not known shows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/fingerprint.h"
#include "tests/trees/scratch.h"

#define BIOS "sys/class/dmi/id/bios_version"

static struct scratch scratch;

static int setup(void **state)
{
	(void)state;
	scratch_make(&scratch);
	scratch_write(&scratch, BIOS, "1.2.3\n");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	scratch_remove(&scratch);
	return 0;
}

static struct observed machine(void)
{
	return (struct observed){
		.kernel_release = { .state = FACT_KNOWN, .text = "6.1.0-56-rt-amd64" },
		.kernel_version = { .state = FACT_KNOWN, .text = "#1 SMP PREEMPT_RT" },
		.cpuinfo = { .state = FACT_KNOWN,
			     .text = "model name\t: A CPU\nmicrocode\t: 0x2b\nflags\t\t: fpu\n" },
		.cpu_online = { .state = FACT_KNOWN, .text = "0-3" },
	};
}

static char *of(const struct observed *o)
{
	struct sysroot root;
	char *line;

	assert_int_equal(sysroot_open(scratch.path, &root, NULL), 0);
	line = fingerprint(&root, o);
	sysroot_close(&root);
	assert_non_null(line);
	return line;
}

static void all_of_it_is_in_the_line(void **state)
{
	struct observed o = machine();
	_cleanup_free_ char *line = of(&o);

	(void)state;
	assert_string_equal(line, "kernel=6.1.0-56-rt-amd64 (#1 SMP PREEMPT_RT) microcode=0x2b "
				  "firmware=1.2.3 cpus=0-3");
}

static void each_part_changes_the_line(void **state)
{
	struct observed o = machine();
	_cleanup_free_ char *before = of(&o);
	struct fact *const facts[] = { &o.kernel_release, &o.kernel_version, &o.cpu_online };
	char *line;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(facts); i++) {
		struct fact kept = *facts[i];

		facts[i]->text = "other";
		line = of(&o);
		assert_string_not_equal(line, before);
		free(line);
		*facts[i] = kept;
	}
	o.cpuinfo.text = "microcode\t: 0x2c\n";
	line = of(&o);
	assert_string_not_equal(line, before);
	free(line);
	o = machine();
	scratch_write(&scratch, BIOS, "1.2.4\n");
	line = of(&o);
	assert_string_not_equal(line, before);
	free(line);
}

static void what_is_not_known_is_a_question_mark(void **state)
{
	struct observed o = machine();
	_cleanup_free_ char *line = NULL;

	(void)state;
	scratch_delete(&scratch, BIOS);
	o.kernel_version.state = FACT_DENIED;
	o.cpuinfo.text = "model name\t: no microcode here\n";
	o.cpu_online.state = FACT_UNREADABLE;
	line = of(&o);
	assert_string_equal(line, "kernel=6.1.0-56-rt-amd64 (?) microcode=? firmware=? cpus=?");
}

static void firmware_text_is_made_plain(void **state)
{
	struct observed o = machine();
	_cleanup_free_ char *line = NULL;

	(void)state;
	scratch_write(&scratch, BIOS, "1\xff\x1b[2J\n");
	line = of(&o);
	assert_non_null(strstr(line, "firmware=1??[2J cpus="));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_of_it_is_in_the_line),
		TEST(each_part_changes_the_line),
		TEST(what_is_not_known_is_a_question_mark),
		TEST(firmware_text_is_made_plain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The choke point for kernel writes: equal by kind, every errno class, read back, second look. */
#include "fake_machine.h"

#include <errno.h>
#include <sys/stat.h>

#include "actuators/kernel_file.h"
#include "actuators/root.h"

#define TEST(fn)  cmocka_unit_test_setup_teardown(fn, fake_setup, fake_teardown)
#define FILE_PATH "/proc/sys/kernel/some_knob"

static void equal_values_are_not_written(void **state)
{
	static const struct {
		enum value_kind kind;
		const char *now, *want;
	} rows[] = {
		{ .kind = VALUE_NUMBER, .now = "-1\n", .want = "-1" },
		{ .kind = VALUE_NUMBER, .now = "0000\n", .want = "0" },
		{ .kind = VALUE_LIST, .now = "0-1,2-3\n", .want = "0-3" },
		{ .kind = VALUE_LIST, .now = "\n", .want = "" },
		{ .kind = VALUE_MASK, .now = "00000000,00000003\n", .want = "3" },
		{ .kind = VALUE_CHOICE, .now = "always [madvise] never\n", .want = "madvise" },
		{ .kind = VALUE_TEXT, .now = "a  b \n", .want = "a b" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		fake_write(FILE_PATH, rows[i].now);
		assert_int_equal(kernel_file_set(FILE_PATH, rows[i].kind, rows[i].want, NULL), 0);
		fake_expect(FILE_PATH, rows[i].now);
	}
	assert_int_equal(fake_writes(), 0);
}

static void different_values_are_written_and_read_back(void **state)
{
	static const struct {
		enum value_kind kind;
		const char *now, *want;
	} rows[] = {
		{ .kind = VALUE_NUMBER, .now = "950000\n", .want = "-1" },
		{ .kind = VALUE_LIST, .now = "0-3\n", .want = "0-1" },
		{ .kind = VALUE_MASK, .now = "f\n", .want = "3" },
		{ .kind = VALUE_CHOICE, .now = "[always] madvise never\n", .want = "never" },
		{ .kind = VALUE_TEXT, .now = "hpet\n", .want = "tsc" },
		/* the word is there, but it is not the one chosen */
		{ .kind = VALUE_CHOICE, .now = "always [madvise] never\n", .want = "never" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		fake_write(FILE_PATH, rows[i].now);
		assert_int_equal(kernel_file_set(FILE_PATH, rows[i].kind, rows[i].want, NULL), 1);
		assert_int_equal(fake_writes(), i + 1);
	}
}

static void bracketed_choice_is_kept_as_its_word(void **state)
{
	_cleanup_free_ char *word = kernel_value_plain(VALUE_CHOICE, "always [madvise] never");
	_cleanup_free_ char *text = kernel_value_plain(VALUE_TEXT, "a [b] c");

	(void)state;
	assert_string_equal(word, "madvise");
	assert_string_equal(text, "a [b] c");
}

static void every_errno_has_its_class(void **state)
{
	static const struct {
		int error;
		enum errno_class class;
	} rows[] = {
		{ .error = EAGAIN, .class = ERRNO_TRANSIENT },
		{ .error = EBUSY, .class = ERRNO_TRANSIENT },
		{ .error = EINTR, .class = ERRNO_TRANSIENT },
		{ .error = ENOSPC, .class = ERRNO_CAPACITY },
		{ .error = EPERM, .class = ERRNO_REFUSED },
		{ .error = EACCES, .class = ERRNO_REFUSED },
		{ .error = EIO, .class = ERRNO_REFUSED },
		{ .error = EROFS, .class = ERRNO_REFUSED },
		{ .error = ENOENT, .class = ERRNO_GONE },
		{ .error = EINVAL, .class = ERRNO_INVALID },
		{ .error = ERANGE, .class = ERRNO_INVALID },
		{ .error = EOVERFLOW, .class = ERRNO_INVALID },
		{ .error = ELOOP, .class = ERRNO_OTHER },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_error_ struct error e = { 0 };

		assert_int_equal(errno_class(-rows[i].error), rows[i].class);
		assert_int_equal(errno_class(rows[i].error), rows[i].class);
		if (rows[i].class == ERRNO_TRANSIENT)
			continue;
		fake_write(FILE_PATH, "1\n");
		fake_fault(FILE_PATH, rows[i].error, 1);
		assert_int_equal(kernel_file_set(FILE_PATH, VALUE_NUMBER, "0", &e), -rows[i].error);
		assert_non_null(strstr(e.what, "cannot write \"0\" to " FILE_PATH));
		fake_expect(FILE_PATH, "1\n");
		/* not tried twice */
		assert_int_equal(kernel_file_set(FILE_PATH, VALUE_NUMBER, "0", NULL), 1);
	}
}

static void transient_errors_are_tried_again(void **state)
{
	static const int errors[] = { EAGAIN, EBUSY, EINTR };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		fake_write(FILE_PATH, "1\n");
		fake_fault(FILE_PATH, errors[i], 2);
		assert_int_equal(kernel_file_set(FILE_PATH, VALUE_NUMBER, "0", NULL), 1);
	}
}

static void tries_are_bounded(void **state)
{
	_cleanup_error_ struct error e = { 0 };

	(void)state;
	fake_write(FILE_PATH, "1\n");
	fake_fault(FILE_PATH, EBUSY, 1000);
	assert_int_equal(kernel_file_set(FILE_PATH, VALUE_NUMBER, "0", &e), -EBUSY);
	assert_string_equal(e.todo, "it stayed busy through 6 tries: apply again");
}

static void value_that_reads_back_otherwise_is_an_error(void **state)
{
	_cleanup_error_ struct error e = { 0 };

	(void)state;
	fake_write("/sys/x/nr_hugepages", "0\n");
	fake_hugepages_max(3);
	assert_int_equal(kernel_file_set("/sys/x/nr_hugepages", VALUE_NUMBER, "5", &e), -EPROTO);
	assert_string_equal(e.what, "/sys/x/nr_hugepages took \"5\" but reads \"3\"");
}

static void invalid_value_says_what_it_reads_now(void **state)
{
	_cleanup_error_ struct error e = { 0 };

	(void)state;
	fake_write(FILE_PATH, "hpet\n");
	fake_fault(FILE_PATH, EINVAL, 1);
	assert_int_equal(kernel_file_set(FILE_PATH, VALUE_TEXT, "tsc", &e), -EINVAL);
	assert_string_equal(e.todo, "it reads \"hpet\" now; this kernel does not take \"tsc\"");
}

static void read_only_file_system_is_named(void **state)
{
	_cleanup_error_ struct error e = { 0 };

	(void)state;
	fake_write(FILE_PATH, "1\n");
	fake_fault(FILE_PATH, EROFS, 1);
	assert_int_equal(kernel_file_set(FILE_PATH, VALUE_NUMBER, "0", &e), -EROFS);
	assert_non_null(strstr(e.what, "its file system is mounted read-only here"));
}

static void lockdown_is_named(void **state)
{
	_cleanup_error_ struct error e = { 0 };

	(void)state;
	if (geteuid() != 0)
		skip();
	fake_write(FILE_PATH, "1\n");
	fake_write("/sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
	fake_fault(FILE_PATH, EPERM, 1);
	assert_int_equal(kernel_file_set(FILE_PATH, VALUE_NUMBER, "0", &e), -EPERM);
	assert_non_null(strstr(e.todo, "the kernel is locked down"));
}

static void missing_file_cannot_be_read(void **state)
{
	_cleanup_error_ struct error e = { 0 };

	(void)state;
	assert_int_equal(kernel_file_set(FILE_PATH, VALUE_NUMBER, "0", &e), -ENOENT);
	assert_string_equal(e.what, "cannot read " FILE_PATH ": No such file or directory");
}

static void links_do_not_lead_out_of_the_root(void **state)
{
	_cleanup_free_ char *link = NULL, *text = NULL;

	(void)state;
	fake_write("/etc/hostname", "inside\n");
	fake_write("/proc/.keep", "");
	assert_true(asprintf(&link, "%s/proc/link", fake_root()) > 0);
	assert_int_equal(symlink("/etc/hostname", link), 0);
	assert_int_equal(root_read_line("/proc/link", &text), 0);
	assert_string_equal(text, "inside");
	free(text);
	text = NULL;
	assert_int_equal(root_read_line("/../../../etc/hostname", &text), 0);
	assert_string_equal(text, "inside");
}

static void replaced_file_is_whole_and_leaves_nothing_beside_it(void **state)
{
	_cleanup_free_ char *before = NULL, *after = NULL;

	(void)state;
	fake_write("/etc/x.cfg", "old");
	before = fake_snapshot();
	/* what a writer killed before its rename leaves */
	fake_write("/etc/.x.cfg.latencyd-new", "half");
	assert_int_equal(root_replace("/etc/x.cfg", "old", 3, 0644, NULL), 0);
	after = fake_snapshot();
	assert_string_equal(after, before);
}

/* A test that forgets the fake calls must not reach the machine it runs on. */
static void live_calls_are_refused_on_a_fake_root(void **state)
{
	const struct cpuset none = { 0 };

	(void)state;
	assert_int_equal(kernel_io_live.set_scheduler(1, 1, 1), -EOPNOTSUPP);
	assert_int_equal(kernel_io_live.set_affinity(1, &none), -EOPNOTSUPP);
	assert_int_equal(kernel_io_live.mount_hugetlbfs("/x", "pagesize=2M"), -EOPNOTSUPP);
	assert_int_equal(kernel_io_live.unmount("/x"), -EOPNOTSUPP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(equal_values_are_not_written),
		TEST(different_values_are_written_and_read_back),
		TEST(bracketed_choice_is_kept_as_its_word),
		TEST(every_errno_has_its_class),
		TEST(transient_errors_are_tried_again),
		TEST(tries_are_bounded),
		TEST(value_that_reads_back_otherwise_is_an_error),
		TEST(invalid_value_says_what_it_reads_now),
		TEST(read_only_file_system_is_named),
		TEST(lockdown_is_named),
		TEST(missing_file_cannot_be_read),
		TEST(links_do_not_lead_out_of_the_root),
		TEST(replaced_file_is_whole_and_leaves_nothing_beside_it),
		TEST(live_calls_are_refused_on_a_fake_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

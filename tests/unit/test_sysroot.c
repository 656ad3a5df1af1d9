/* What a root lets out (nothing) and what a reading says when it fails (never "equal"). */
#include "probes/sysroot.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "tests/trees/scratch.h"

#define NOBODY 65534

struct fixture {
	struct scratch dir;
	struct sysroot root;
	struct arena arena;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	scratch_make(&f->dir);
	scratch_folder(&f->dir, "root");
	scratch_write(&f->dir, "outside", "secret\n");
	_cleanup_free_ char *path = scratch_path(&f->dir, "root");

	*state = f;
	return sysroot_open(path, &f->root, NULL);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	sysroot_close(&f->root);
	scratch_remove(&f->dir);
	arena_free(&f->arena);
	free(f);
	return 0;
}

static void assert_fact(struct fixture *f, const char *path, enum fact_state state, int error,
			const char *text)
{
	struct fact fact = sysroot_fact(&f->root, &f->arena, path);

	assert_int_equal(fact.state, state);
	assert_int_equal(fact.error, error);
	assert_string_equal(fact.path, path);
	if (text)
		assert_string_equal(fact.text, text);
	else
		assert_null(fact.text);
}

static void absolute_link_stays_inside(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *outside = scratch_path(&f->dir, "outside");

	scratch_link(&f->dir, "root/link", outside);
	assert_fact(f, "/link", FACT_ABSENT, 0, NULL);
	scratch_write(&f->dir, "root/etc/passwd", "inside\n");
	scratch_link(&f->dir, "root/passwd", "/etc/passwd");
	assert_fact(f, "/passwd", FACT_KNOWN, 0, "inside");
}

static void dotdot_stays_inside(void **state)
{
	struct fixture *f = *state;

	scratch_link(&f->dir, "root/a/up", "../../outside");
	assert_fact(f, "/a/up", FACT_ABSENT, 0, NULL);
	assert_fact(f, "/../outside", FACT_ABSENT, 0, NULL);
	assert_fact(f, "/a/../../outside", FACT_ABSENT, 0, NULL);
	scratch_write(&f->dir, "root/here", "inside\n");
	assert_fact(f, "/a/../../here", FACT_KNOWN, 0, "inside");
}

static void folder_link_stays_inside(void **state)
{
	struct fixture *f = *state;
	char **names;
	size_t n;

	scratch_link(&f->dir, "root/up", "..");
	assert_int_equal(sysroot_list(&f->root, &f->arena, "/up", &names, &n), 0);
	assert_int_equal(n, 1);
	assert_string_equal(names[0], "up");
}

static void relative_link_inside_is_followed(void **state)
{
	struct fixture *f = *state;

	scratch_write(&f->dir, "root/sys/devices/x/type", "identity\n");
	scratch_link(&f->dir, "root/sys/class/iommu/x", "../../devices/x");
	assert_fact(f, "/sys/class/iommu/x/type", FACT_KNOWN, 0, "identity");
}

static void magic_links_are_not_followed(void **state)
{
	_cleanup_sysroot_ struct sysroot live = { .fd = -1 };

	(void)state;
	assert_int_equal(sysroot_open(NULL, &live, NULL), 0);
	assert_int_equal(sysroot_openat(&live, "/proc/self/exe", O_RDONLY), -ELOOP);
	assert_int_equal(sysroot_openat(&live, "/proc/self/root/etc", O_PATH), -ELOOP);
}

static void only_slash_is_live(void **state)
{
	static const struct {
		const char *path;
		bool live;
	} roots[] = { { NULL, true }, { "/", true }, { "//", true }, { "/tmp", false } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(roots); i++) {
		_cleanup_sysroot_ struct sysroot r = { .fd = -1 };

		assert_int_equal(sysroot_open(roots[i].path, &r, NULL), 0);
		assert_int_equal(r.live, roots[i].live);
	}
}

static void root_must_be_a_folder(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *path = scratch_path(&f->dir, "outside");
	_cleanup_error_ struct error e = { 0 };
	struct sysroot r;

	assert_int_equal(sysroot_open(path, &r, &e), -ENOTDIR);
	assert_non_null(strstr(e.what, path));
	assert_non_null(e.todo);
	assert_int_equal(sysroot_open("/nonexistent", &r, NULL), -ENOENT);
	assert_int_equal(sysroot_open("", &r, NULL), -ENOENT);
}

static void missing_is_absent(void **state)
{
	struct fixture *f = *state;

	scratch_write(&f->dir, "root/file", "x\n");
	assert_fact(f, "/nothing", FACT_ABSENT, 0, NULL);
	assert_fact(f, "/no/such/folder", FACT_ABSENT, 0, NULL);
	assert_fact(f, "/file/below", FACT_ABSENT, 0, NULL);
}

static void folder_in_place_of_a_file_is_unreadable(void **state)
{
	struct fixture *f = *state;

	scratch_folder(&f->dir, "root/value");
	assert_fact(f, "/value", FACT_UNREADABLE, EISDIR, NULL);
}

static void link_loop_is_unreadable(void **state)
{
	struct fixture *f = *state;

	scratch_link(&f->dir, "root/loop", "loop");
	assert_fact(f, "/loop", FACT_UNREADABLE, ELOOP, NULL);
}

static void fifo_neither_blocks_nor_reads_as_empty(void **state)
{
	struct fixture *f = *state;
	char *text;

	scratch_fifo(&f->dir, "root/fifo");
	assert_fact(f, "/fifo", FACT_UNREADABLE, EBADMSG, NULL);
	assert_int_equal(sysroot_read(&f->root, "/fifo", &text, NULL), -EBADMSG);
}

static void forbidden_is_denied(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *path = scratch_path(&f->dir, "root/secret");
	char **names;
	size_t n;

	scratch_write(&f->dir, "root/secret", "x\n");
	scratch_folder(&f->dir, "root/closed");
	assert_int_equal(chmod(path, 0), 0);
	_cleanup_free_ char *closed = scratch_path(&f->dir, "root/closed");

	assert_int_equal(chmod(closed, 0), 0);
	if (geteuid() == 0)
		assert_int_equal(seteuid(NOBODY), 0);
	struct fact fact = sysroot_fact(&f->root, &f->arena, "/secret");
	int listed = sysroot_list(&f->root, &f->arena, "/closed", &names, &n);

	if (getuid() == 0)
		assert_int_equal(seteuid(0), 0);
	assert_int_equal(chmod(closed, 0755), 0);
	assert_int_equal(fact.state, FACT_DENIED);
	assert_int_equal(fact.error, EACCES);
	assert_int_equal(listed, -EACCES);
}

static void every_errno_has_its_state(void **state)
{
	static const struct {
		int error;
		enum fact_state state;
		int kept;
	} table[] = {
		{ ENOENT, FACT_ABSENT, 0 },	     { ENODEV, FACT_ABSENT, 0 },
		{ ENOTDIR, FACT_ABSENT, 0 },	     { EACCES, FACT_DENIED, EACCES },
		{ EPERM, FACT_DENIED, EPERM },	     { EIO, FACT_UNREADABLE, EIO },
		{ EINVAL, FACT_UNREADABLE, EINVAL }, { EBADMSG, FACT_UNREADABLE, EBADMSG },
		{ ENXIO, FACT_UNREADABLE, ENXIO },   { ESRCH, FACT_UNREADABLE, ESRCH },
		{ ENOMEM, FACT_UNREADABLE, ENOMEM },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct fact fact = sysroot_outcome(&f->arena, "/x", -table[i].error, "ignored");

		assert_int_equal(fact.state, table[i].state);
		assert_int_equal(fact.error, table[i].kept);
		assert_null(fact.text);
	}
}

static void empty_file_is_known_and_empty(void **state)
{
	struct fixture *f = *state;

	scratch_write(&f->dir, "root/empty", "");
	scratch_write(&f->dir, "root/newline", "\n");
	assert_fact(f, "/empty", FACT_KNOWN, 0, "");
	assert_fact(f, "/newline", FACT_KNOWN, 0, "");
}

static void only_the_last_newline_is_cut(void **state)
{
	struct fixture *f = *state;

	scratch_write(&f->dir, "root/lines", " a \nb\n\n");
	scratch_write(&f->dir, "root/null", "  (null)\n");
	assert_fact(f, "/lines", FACT_KNOWN, 0, " a \nb\n");
	assert_fact(f, "/null", FACT_KNOWN, 0, "  (null)");
}

static void nul_byte_is_garbage(void **state)
{
	struct fixture *f = *state;

	scratch_write_bytes(&f->dir, "root/nul",
			    "1\0"
			    "2\n",
			    4);
	assert_fact(f, "/nul", FACT_UNREADABLE, EBADMSG, NULL);
}

static void files_of_any_size_come_whole(void **state)
{
	static const size_t sizes[] = { 4094, 4095, 4096, 4097, 16383, 16384, 16385, 1000000 };
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		_cleanup_free_ char *data = malloc(sizes[i] + 1), *text = NULL;
		struct fact fact;
		size_t size;

		memset(data, 'x', sizes[i]);
		data[sizes[i] - 1] = 'y';
		data[sizes[i]] = '\0';
		scratch_write(&f->dir, "root/file", data);
		fact = sysroot_fact(&f->root, &f->arena, "/file");
		assert_int_equal(fact.state, FACT_KNOWN);
		assert_string_equal(fact.text, data);
		assert_int_equal(sysroot_read(&f->root, "/file", &text, &size), 0);
		assert_int_equal(size, sizes[i]);
		assert_string_equal(text, data);
	}
}

static void file_beyond_the_bound_is_refused(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *path = scratch_path(&f->dir, "root/huge");
	char *text;

	scratch_write(&f->dir, "root/huge", "");
	assert_int_equal(truncate(path, ((off_t)64 << 20) + 1), 0);
	assert_int_equal(sysroot_read(&f->root, "/huge", &text, NULL), -EFBIG);
	assert_int_equal(truncate(path, (off_t)64 << 20), 0);
	assert_int_equal(sysroot_read(&f->root, "/huge", &text, NULL), 0);
	free(text);
}

static void failed_read_leaves_the_result_alone(void **state)
{
	struct fixture *f = *state;
	char *text = (char *)1, **names = (char **)2;
	unsigned *numbers = (unsigned *)3;
	size_t n = 4;

	assert_int_equal(sysroot_read(&f->root, "/nothing", &text, &n), -ENOENT);
	assert_int_equal(sysroot_list(&f->root, &f->arena, "/nothing", &names, &n), -ENOENT);
	assert_int_equal(sysroot_numbers(&f->root, "/nothing", "", "", &numbers, &n), -ENOENT);
	assert_ptr_equal(text, (char *)1);
	assert_ptr_equal(names, (char **)2);
	assert_ptr_equal(numbers, (unsigned *)3);
	assert_int_equal(n, 4);
}

static void once_wants_room_to_spare(void **state)
{
	struct fixture *f = *state;
	char buffer[8];

	scratch_write(&f->dir, "root/six", "123456");
	scratch_write(&f->dir, "root/seven", "1234567");
	assert_int_equal(sysroot_read_once(&f->root, "/six", buffer, sizeof(buffer)), 6);
	assert_string_equal(buffer, "123456");
	assert_int_equal(sysroot_read_once(&f->root, "/seven", buffer, sizeof(buffer)), -EFBIG);
}

static void exists_tells_three_answers(void **state)
{
	struct fixture *f = *state;

	scratch_write(&f->dir, "root/file", "");
	scratch_link(&f->dir, "root/loop", "loop");
	assert_int_equal(sysroot_exists(&f->root, "/file"), 1);
	assert_int_equal(sysroot_exists(&f->root, "/"), 1);
	assert_int_equal(sysroot_exists(&f->root, "/nothing"), 0);
	assert_int_equal(sysroot_exists(&f->root, "/file/"), 0);
	assert_int_equal(sysroot_exists(&f->root, "/loop"), -ELOOP);
}

static void list_is_sorted_without_dot_files(void **state)
{
	struct fixture *f = *state;
	char **names;
	size_t n;

	scratch_write(&f->dir, "root/d/b.cfg", "");
	scratch_write(&f->dir, "root/d/.hidden", "");
	scratch_write(&f->dir, "root/d/10", "");
	scratch_write(&f->dir, "root/d/a", "");
	scratch_write(&f->dir, "root/d/9", "");
	assert_int_equal(sysroot_list(&f->root, &f->arena, "/d", &names, &n), 0);
	assert_int_equal(n, 4);
	assert_string_equal(names[0], "10");
	assert_string_equal(names[1], "9");
	assert_string_equal(names[2], "a");
	assert_string_equal(names[3], "b.cfg");
	scratch_folder(&f->dir, "root/e");
	assert_int_equal(sysroot_list(&f->root, &f->arena, "/e", &names, &n), 0);
	assert_int_equal(n, 0);
}

static void numbers_are_canonical_and_ascending(void **state)
{
	static const char *const names[] = { "cpu10", "cpu9",  "cpu0",		"cpufreq",
					     "cpu01", "cpu",   "cpu4294967295", "cpu4294967296",
					     "xcpu3", "cpu3x", "cpu-1" };
	struct fixture *f = *state;
	unsigned *numbers;
	size_t n;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char path[64];

		snprintf(path, sizeof(path), "root/d/%s", names[i]);
		scratch_folder(&f->dir, path);
	}
	assert_int_equal(sysroot_numbers(&f->root, "/d", "cpu", "", &numbers, &n), 0);
	assert_int_equal(n, 4);
	assert_int_equal(numbers[0], 0);
	assert_int_equal(numbers[1], 9);
	assert_int_equal(numbers[2], 10);
	assert_int_equal(numbers[3], 4294967295U);
	free(numbers);
	scratch_folder(&f->dir, "root/p/hugepages-2048kB");
	assert_int_equal(sysroot_numbers(&f->root, "/p", "hugepages-", "kB", &numbers, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(numbers[0], 2048);
	free(numbers);
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(absolute_link_stays_inside),
		test(dotdot_stays_inside),
		test(folder_link_stays_inside),
		test(relative_link_inside_is_followed),
		test(magic_links_are_not_followed),
		test(only_slash_is_live),
		test(root_must_be_a_folder),
		test(missing_is_absent),
		test(folder_in_place_of_a_file_is_unreadable),
		test(link_loop_is_unreadable),
		test(fifo_neither_blocks_nor_reads_as_empty),
		test(forbidden_is_denied),
		test(every_errno_has_its_state),
		test(empty_file_is_known_and_empty),
		test(only_the_last_newline_is_cut),
		test(nul_byte_is_garbage),
		test(files_of_any_size_come_whole),
		test(file_beyond_the_bound_is_refused),
		test(failed_read_leaves_the_result_alone),
		test(once_wants_room_to_spare),
		test(exists_tells_three_answers),
		test(list_is_sorted_without_dot_files),
		test(numbers_are_canonical_and_ascending),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

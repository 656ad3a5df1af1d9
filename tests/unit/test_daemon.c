/*
 * The daemon's small parts: the status file, the pinning, times.
 */
#include "daemon/look.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "daemon/pin.h"
#include "daemon/publish.h"

static void read_text(const char *path, char *text, size_t size)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	assert_true(fd >= 0);
	n = read(fd, text, size - 1);
	assert_true(n >= 0);
	text[n] = '\0';
}

static void publishing_makes_the_folder_and_replaces_the_file(void **state)
{
	char folder[] = "/tmp/latencyd-test-XXXXXX", text[64];
	_cleanup_free_ char *sub = NULL, *path = NULL, *temporary = NULL;

	(void)state;
	assert_non_null(mkdtemp(folder));
	assert_true(asprintf(&sub, "%s/run", folder) > 0);
	assert_true(asprintf(&path, "%s/status.json", sub) > 0);
	assert_true(asprintf(&temporary, "%s.new", path) > 0);
	assert_int_equal(publish(path, "a longer first text", NULL), 0);
	assert_int_equal(publish(path, "second", NULL), 0);
	read_text(path, text, sizeof(text));
	assert_string_equal(text, "second");
	assert_int_equal(access(temporary, F_OK), -1);
	unlink(path);
	rmdir(sub);
	rmdir(folder);
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static void what_is_published_is_for_everyone(void **state)
{
	char folder[] = "/tmp/latencyd-test-XXXXXX";
	_cleanup_free_ char *sub = NULL, *path = NULL;
	mode_t mask;

	(void)state;
	assert_non_null(mkdtemp(folder));
	assert_true(asprintf(&sub, "%s/run", folder) > 0);
	assert_true(asprintf(&path, "%s/status.json", sub) > 0);
	mask = umask(077);
	assert_int_equal(publish(path, "text", NULL), 0);
	umask(mask);
	assert_int_equal(mode_of(sub), 0755);
	assert_int_equal(mode_of(path), 0644);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(sub), 0);
	assert_int_equal(rmdir(folder), 0);
}

static void publishing_where_it_cannot_leaves_nothing_behind(void **state)
{
	char folder[] = "/tmp/latencyd-test-XXXXXX";
	_cleanup_free_ char *path = NULL, *temporary = NULL;
	_cleanup_error_ struct error e = { 0 };

	(void)state;
	assert_non_null(mkdtemp(folder));
	assert_true(asprintf(&path, "%s/status.json", folder) > 0);
	assert_true(asprintf(&temporary, "%s.new", path) > 0);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_true(publish(path, "text", &e) < 0);
	assert_non_null(strstr(e.what, path));
	assert_int_equal(access(temporary, F_OK), -1);
	rmdir(path);
	rmdir(folder);
}

static void pinning_is_read_back(void **state)
{
	_cleanup_cpuset_ struct cpuset before = { 0 }, one = { 0 }, now = { 0 };

	(void)state;
	assert_int_equal(pinned_to(&before), 0);
	assert_false(cpuset_empty(&before));
	assert_int_equal(cpuset_add(&one, (unsigned)cpuset_last(&before)), 0);
	assert_int_equal(pin_to(&one, NULL), 0);
	assert_int_equal(pinned_to(&now), 0);
	assert_true(cpuset_equal(&now, &one));
	assert_int_equal(pin_to(&before, NULL), 0);
}

static void pinning_to_nothing_or_to_missing_cpus_is_an_error(void **state)
{
	_cleanup_cpuset_ struct cpuset none = { 0 }, missing = { 0 };
	_cleanup_error_ struct error e = { 0 };

	(void)state;
	assert_int_equal(pin_to(&none, &e), -EINVAL);
	assert_non_null(strstr(e.what, "housekeeping"));
	assert_int_equal(cpuset_add(&missing, 60000), 0);
	assert_true(pin_to(&missing, &e) < 0);
	assert_non_null(strstr(e.what, "60000"));
}

static void time_is_iso_8601_in_utc(void **state)
{
	char text[ISO_TIME_SIZE];

	(void)state;
	assert_string_equal(iso_time(0, text), "1970-01-01T00:00:00Z");
	assert_string_equal(iso_time(1795341600, text), "2026-11-22T10:00:00Z");
	assert_int_equal(iso_time_seconds(text), 1795341600);
	assert_int_equal(iso_time_seconds("2026-11-22T10:00:00Zz"), 0);
	assert_int_equal(iso_time_seconds(NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(publishing_makes_the_folder_and_replaces_the_file),
		cmocka_unit_test(what_is_published_is_for_everyone),
		cmocka_unit_test(publishing_where_it_cannot_leaves_nothing_behind),
		cmocka_unit_test(pinning_is_read_back),
		cmocka_unit_test(pinning_to_nothing_or_to_missing_cpus_is_an_error),
		cmocka_unit_test(time_is_iso_8601_in_utc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

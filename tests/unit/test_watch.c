/*
 * The watch on a tree: who wrote what is told, in a tmpfs of a mount namespace of this test's own.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>

#include "daemon/watch_parts.h"
#include "state/base.h"
#include "tests/unit/watch_fixture.h"

#define KNOB	 "/proc/sys/kernel/watchdog"
#define DOCUMENT "/etc/latencyd/latencyd.yaml"

/* ROOT/proc, ROOT/sys and the folders of the document, each with a file. */
static struct watching *open_tree(void **state)
{
	struct watching *w = watching_of(state);

	put(path_in(w, "root" KNOB), "1\n");
	put(path_in(w, "root/sys/kernel/mm/enabled"), "never\n");
	put(path_in(w, "root" DOCUMENT), "version: 1\n");
	watching_open(w, path_in(w, "root"));
	return w;
}

static void test_a_tree_is_watched_whole(void **state)
{
	struct watching *w = open_tree(state);
	json_t *json = watch_to_json(w->watch);

	assert_non_null(json);
	assert_null(watch_trouble(w->watch));
	assert_int_equal(json_array_size(json_object_get(json, "reasons")), 0);
	assert_non_null(strstr(json_string_value(json_object_get(json, "files")), "fanotify"));
	assert_string_equal(json_string_value(json_object_get(json, "boot_files")), "fanotify");
	/* it has no devices */
	assert_string_equal(json_string_value(json_object_get(json, "kernel")), "passes only");
	assert_int_equal(w->n_changed, 0);
	json_decref(json);
}

static void test_a_writer_that_stays_is_named(void **state)
{
	struct watching *w = open_tree(state);
	pid_t pid = stranger_start(write_and_stay, path_in(w, "root" KNOB));
	const struct told *t = watching_await(w, KNOB);

	assert_non_null(t);
	assert_int_equal(t->pid, pid);
	assert_string_equal(t->comm, program_invocation_short_name);
	assert_true(t->changed);
	assert_false(t->gone);
	assert_false(t->own);
	kill(pid, SIGKILL);
	stranger_end(pid);
}

/* Ended and reaped before the loop turns: nobody could name it. */
static void test_a_writer_that_has_gone_is_said_to_have_gone(void **state)
{
	struct watching *w = open_tree(state);
	pid_t pid = stranger_start(write_same, path_in(w, "root" KNOB));
	const struct told *t;

	stranger_end(pid);
	t = watching_await(w, KNOB);
	assert_non_null(t);
	assert_int_equal(t->pid, pid);
	assert_true(t->gone);
	assert_string_equal(t->comm, "");
	assert_true(t->changed);
}

static int fail_to_write(const char *path)
{
	const struct rlimit nothing = { 0, 0 };
	_cleanup_close_ int fd = open(path, O_WRONLY);

	(void)signal(SIGXFSZ, SIG_IGN);
	if (fd < 0 || setrlimit(RLIMIT_FSIZE, &nothing) < 0)
		return -1;
	return write(fd, "1", 1) < 0 && errno == EFBIG ? 0 : -1;
}

static void test_a_failed_write_is_no_change(void **state)
{
	int (*const acts[])(const char *) = { fail_to_write, open_and_close };

	for (size_t i = 0; i < ARRAY_SIZE(acts); i++) {
		struct watching *w = open_tree(state);
		const struct told *t;

		stranger_end(stranger_start(acts[i], path_in(w, "root" KNOB)));
		t = watching_await(w, KNOB);
		assert_non_null(t);
		assert_false(t->changed);
	}
}

static void test_only_kernel_files_that_concern_are_told(void **state)
{
	struct watching *w = open_tree(state);

	w->concerns = "/watchdog";
	put(path_in(w, "root/other/watchdog"), "1\n");
	put(path_in(w, "root/process/watchdog"), "1\n");
	stranger_end(stranger_start(write_same, path_in(w, "root/other/watchdog")));
	stranger_end(stranger_start(write_same, path_in(w, "root/process/watchdog")));
	stranger_end(stranger_start(write_same, path_in(w, "root/sys/kernel/mm/enabled")));
	stranger_end(stranger_start(write_same, path_in(w, "root" KNOB)));
	watching_drain(w);
	assert_int_equal(watching_count(w, KNOB), 1);
	assert_int_equal(w->n_told, 1);
}

static void test_own_writes_are_not_told(void **state)
{
	struct watching *w = open_tree(state);

	assert_int_equal(write_same(path_in(w, "root" KNOB)), 0);
	put(path_in(w, "root" DOCUMENT), "version: 1\n");
	watching_drain(w);
	assert_int_equal(w->n_told, 0);
}

/* ---- boot and configuration files ---- */

static int rename_over(const char *path)
{
	char fresh[512];

	snprintf(fresh, sizeof(fresh), "%s.new", path);
	put(fresh, "version: 2\n");
	return rename(fresh, path);
}

static void test_a_rename_over_the_document_is_told(void **state)
{
	struct watching *w = open_tree(state);
	const struct told *t;
	pid_t pid;

	w->concerns = "latencyd.yaml";
	pid = stranger_start(rename_over, path_in(w, "root" DOCUMENT));
	t = watching_await(w, DOCUMENT);
	assert_non_null(t);
	assert_int_equal(t->pid, pid);
	assert_true(t->changed);
	stranger_end(pid);
}

static void test_a_removed_document_is_told(void **state)
{
	struct watching *w = open_tree(state);

	stranger_end(stranger_start(unlink, path_in(w, "root" DOCUMENT)));
	assert_non_null(watching_await(w, DOCUMENT));
}

/* Half a document is no document. */
static int create_and_stay(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0644);

	if (fd < 0 || write(fd, "a", 1) != 1)
		return -1;
	for (;;)
		pause();
}

static void test_a_file_counts_when_it_is_closed(void **state)
{
	struct watching *w = open_tree(state);
	const char *path = "/etc/latencyd/latencyd.d/a.yaml";
	pid_t pid;

	watching_close(w);
	(void)path_in(w, "root/etc/latencyd/latencyd.d/");
	watching_open(w, path_in(w, "root"));
	pid = stranger_start(create_and_stay, path_in(w, "root/etc/latencyd/latencyd.d/a.yaml"));
	watching_drain(w);
	assert_int_equal(watching_count(w, path), 0);
	kill(pid, SIGKILL);
	stranger_end(pid);
	assert_non_null(watching_await(w, path));
}

static int make_folder(const char *path)
{
	return mkdir(path, 0755);
}

static void test_a_folder_that_comes_later_is_watched(void **state)
{
	struct watching *w = open_tree(state);

	stranger_end(stranger_start(make_folder, path_in(w, "root/etc/default")));
	assert_non_null(watching_await_stirred(w, "folder /etc/default came"));
	stranger_end(stranger_start(rename_over, path_in(w, "root/etc/default/grub")));
	assert_non_null(watching_await(w, "/etc/default/grub"));
}

/* ---- storms ---- */

#define STORM_FILES  8
#define STORM_WRITES 20000

struct last_values {
	const struct watching *w;
	int value[STORM_FILES];
};

static void note_value(const char *path, void *userdata)
{
	struct last_values *l = userdata;
	char at[512], text[32] = "";
	unsigned file;
	int fd;

	if (sscanf(path, "/proc/storm/%u", &file) != 1)
		return;
	assert_true(file < STORM_FILES);
	snprintf(at, sizeof(at), "%s/root%s", l->w->folder, path);
	fd = open(at, O_RDONLY);
	assert_true(fd >= 0 && read(fd, text, sizeof(text) - 1) >= 0);
	close(fd);
	l->value[file] = atoi(text);
}

static int storm(const char *folder)
{
	for (int i = 0; i < STORM_WRITES; i++) {
		char path[512], text[32];
		int fd, n;

		snprintf(path, sizeof(path), "%s/%d", folder, i % STORM_FILES);
		n = snprintf(text, sizeof(text), "%07d\n", i);
		fd = open(path, O_WRONLY);
		if (fd < 0 || write(fd, text, (size_t)n) != n)
			return -1;
		close(fd);
	}
	return 0;
}

static void test_a_storm_loses_no_last_value(void **state)
{
	struct watching *w = watching_of(state);
	struct last_values l = { .w = w };
	pid_t pid;

	for (int i = 0; i < STORM_FILES; i++) {
		char name[64];

		snprintf(name, sizeof(name), "root/proc/storm/%d", i);
		put(path_in(w, name), "0000000\n");
	}
	open_tree(state);
	w->on_written = note_value;
	w->userdata = &l;
	pid = stranger_start(storm, path_in(w, "root/proc/storm"));
	while (waitpid(pid, NULL, WNOHANG) == 0)
		assert_true(sd_event_run(w->event, 10000) >= 0);
	watching_drain(w);
	for (int i = 0; i < STORM_FILES; i++)
		assert_int_equal(l.value[i], STORM_WRITES - STORM_FILES + i);
	assert_int_equal(w->n_stirred, 0);
}

static int max_queued(void)
{
	char text[32] = "";
	int fd = open("/proc/sys/fs/fanotify/max_queued_events", O_RDONLY);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		strcpy(text, "16384");
	closep_(&fd);
	return atoi(text);
}

static int write_many(const char *folder)
{
	int n = max_queued() + 100;

	for (int i = 0; i < n; i++) {
		char path[512];
		int fd;

		snprintf(path, sizeof(path), "%s/%d", folder, i);
		fd = open(path, O_WRONLY | O_CREAT, 0644);
		if (fd < 0 || write(fd, "1", 1) != 1)
			return -1;
		close(fd);
	}
	return 0;
}

static void test_an_overflow_asks_for_a_look_at_everything(void **state)
{
	struct watching *w = open_tree(state);

	if (max_queued() > 100000) {
		print_message("fanotify's queue is too long here to overflow\n");
		skip();
	}
	w->concerns = "nothing";
	(void)path_in(w, "root/sys/many/");
	stranger_end(stranger_start(write_many, path_in(w, "root/sys/many")));
	assert_non_null(watching_await_stirred(w, "event queue overflow"));
	w->concerns = NULL; /* it goes on */
	watching_drain(w);
	w->n_told = 0;
	stranger_end(stranger_start(write_same, path_in(w, "root" KNOB)));
	assert_non_null(watching_await(w, KNOB));
}

static void test_a_reason_that_is_gone_is_said_no_longer(void **state)
{
	struct watching *w = open_tree(state);

	watch_reason(w->watch, "writes below %s are not seen: %s", "/a", "refused");
	watch_reason(w->watch, "writes below %s are not seen: %s", "/b", "refused");
	watch_reason(w->watch, "writes below %s are not seen: %s", "/b", "refused");
	assert_int_equal(w->n_changed, 2);
	watch_reason_gone(w->watch, "writes below %s are not seen: ", "/c");
	assert_int_equal(w->n_changed, 2);
	watch_reason_gone(w->watch, "writes below %s are not seen: ", "/a");
	assert_string_equal(watch_trouble(w->watch), "writes below /b are not seen: refused");
	watch_reason_gone(w->watch, "writes below %s are not seen: ", "/b");
	assert_null(watch_trouble(w->watch));
	assert_int_equal(w->n_changed, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_tree_is_watched_whole),
		cmocka_unit_test(test_a_writer_that_stays_is_named),
		cmocka_unit_test(test_a_writer_that_has_gone_is_said_to_have_gone),
		cmocka_unit_test(test_a_failed_write_is_no_change),
		cmocka_unit_test(test_only_kernel_files_that_concern_are_told),
		cmocka_unit_test(test_own_writes_are_not_told),
		cmocka_unit_test(test_a_rename_over_the_document_is_told),
		cmocka_unit_test(test_a_removed_document_is_told),
		cmocka_unit_test(test_a_file_counts_when_it_is_closed),
		cmocka_unit_test(test_a_folder_that_comes_later_is_watched),
		cmocka_unit_test(test_a_storm_loses_no_last_value),
		cmocka_unit_test(test_an_overflow_asks_for_a_look_at_everything),
		cmocka_unit_test(test_a_reason_that_is_gone_is_said_no_longer),
	};

	return cmocka_run_group_tests(tests, watching_setup, watching_teardown);
}

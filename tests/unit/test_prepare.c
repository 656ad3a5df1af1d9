/*
 * guest prepare: which images it refuses, that a refusal leaves nothing behind, and that what a
 * killed one left behind goes with the next. The work itself is the lab's to show: it needs a
 * Debian image.
 */
#include <fcntl.h>
#include <glob.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "state/base.h"

struct fixture {
	char folder[32];
	char *image; /* 8 MiB of zeros */
};

static void run(const char *command)
{
	assert_int_equal(system(command), 0);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	_cleanup_free_ char *command = NULL;

	strcpy(f->folder, "/tmp/test-prepare-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	assert_true(asprintf(&f->image, "%s/image", f->folder) > 0);
	assert_true(asprintf(&command, "truncate -s 8M %s", f->image) > 0);
	run(command);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *command = NULL;

	assert_true(asprintf(&command, "rm -r %s", f->folder) > 0);
	run(command);
	free(f->image);
	free(f);
	return 0;
}

static void need(const char *condition, const char *reason)
{
	if (system(condition) != 0) {
		print_message("# skipped: %s\n", reason);
		skip();
	}
}

static void need_all(void)
{
	need("test \"$(id -u)\" = 0", "needs root");
	need("test -x /usr/bin/qemu-img", "needs qemu-img");
	need("test -x \"$LATENCYCTL\"", "LATENCYCTL is not set");
}

/* What `latencyctl guest prepare @image` says; its exit status must be 1. */
static char *refusal(const char *image)
{
	_cleanup_free_ char *command = NULL;
	char *text = calloc(1, 4096);
	FILE *pipe;
	int status;

	assert_true(asprintf(&command, "timeout 60 \"$LATENCYCTL\" guest prepare %s 2>&1", image) >
		    0);
	pipe = popen(command, "r");
	assert_non_null(pipe);
	(void)!fread(text, 1, 4095, pipe);
	status = pclose(pipe);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) != 1)
		fail_msg("exit status %d: %s", WEXITSTATUS(status), text);
	return text;
}

static void assert_says(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no \"%s\" in: %s", part, text);
}

static void assert_only_image(const struct fixture *f, const char *names)
{
	_cleanup_free_ char *command = NULL;

	assert_true(asprintf(&command, "test \"$(ls -A %s | tr '\\n' ' ')\" = '%s '", f->folder,
			     names) > 0);
	run(command);
}

static void missing_image(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *text = NULL, *path = NULL;

	need_all();
	assert_true(asprintf(&path, "%s/none", f->folder) > 0);
	text = refusal(path);
	assert_says(text, "No such file");
	assert_only_image(f, "image");
}

static void image_that_is_open(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *text = NULL;
	_cleanup_close_ int fd = open(f->image, O_RDONLY | O_CLOEXEC);

	need_all();
	assert_true(fd >= 0);
	text = refusal(f->image);
	assert_says(text, "in use");
	assert_only_image(f, "image");
}

static void image_on_another_image(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *text = NULL, *command = NULL, *path = NULL;

	need_all();
	assert_true(asprintf(&path, "%s/over", f->folder) > 0);
	assert_true(asprintf(&command, "qemu-img create -q -f qcow2 -F raw -b %s %s", f->image,
			     path) > 0);
	run(command);
	text = refusal(path);
	assert_says(text, "stands on another image");
	assert_only_image(f, "image over");
}

static void image_without_a_system(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *text = NULL, *command = NULL;

	need_all();
	need("losetup -f >/dev/null 2>&1", "needs a loop device");
	assert_true(asprintf(&command, "mke2fs -q -F -t ext4 %s && cksum < %s > %s/sum", f->image,
			     f->image, f->folder) > 0);
	run(command);
	text = refusal(f->image);
	assert_says(text, "no ext4 file system with a Debian system");
	assert_only_image(f, "image sum");
	free(command);
	assert_true(asprintf(&command, "test \"$(cksum < %s)\" = \"$(cat %s/sum)\"", f->image,
			     f->folder) > 0);
	run(command);
	free(command);
	assert_true(asprintf(&command, "! losetup -a | grep -q %s", f->folder) > 0);
	run(command);
}

static void folder_instead_of_an_image(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *text = NULL;

	need_all();
	text = refusal(f->folder);
	assert_says(text, "cannot open the image");
	assert_only_image(f, "image");
}

#define LEFT ".latencyd-prepare-a1b2c3"

/* A shell command, printf()ed. */
__attribute__((format(printf, 1, 2))) static void run_with(const char *format, ...)
{
	_cleanup_free_ char *command = NULL;
	va_list ap;

	va_start(ap, format);
	assert_true(vasprintf(&command, format, ap) > 0);
	va_end(ap);
	run(command);
}

static char *leave(const struct fixture *f)
{
	char *path;

	assert_true(asprintf(&path, "%s/" LEFT, f->folder) > 0);
	assert_int_equal(mkdir(path, 0700), 0);
	run_with("head -c 8M /dev/zero > %s/raw && mkdir %s/root %s/dev", path, path, path);
	return path;
}

static void what_a_killed_one_left_is_removed_and_told(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *text = NULL, *left = NULL;

	need_all();
	left = leave(f);
	text = refusal(f->image);
	assert_says(text, left);
	assert_says(text, "was killed");
	assert_only_image(f, "image");
}

static void its_loop_device_and_mount_go_too(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *left = NULL;

	need_all();
	need("losetup -f >/dev/null 2>&1", "needs a loop device");
	need("unshare -m true", "needs a mount namespace");
	left = leave(f);
	run_with("losetup -f %s/raw", left);
	run_with("unshare -m sh -c 'mount -t tmpfs tmpfs %s/root && : > %s/root/file && "
		 "! \"$LATENCYCTL\" guest prepare %s 2>/dev/null && ! grep -q %s "
		 "/proc/self/mountinfo'",
		 left, left, f->image, left);
	run_with("! losetup -a | grep -q %s", f->folder);
	assert_only_image(f, "image");
}

static void what_somebody_works_in_stays(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *text = NULL, *left = NULL;
	_cleanup_close_ int fd = -1;

	need_all();
	left = leave(f);
	fd = open(left, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	text = refusal(f->image);
	assert_null(strstr(text, left));
	assert_only_image(f, LEFT " image");
	run_with("test -s %s/raw", left);
}

static void what_is_not_of_its_making_stays(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *text = NULL, *left = NULL;

	need_all();
	left = leave(f);
	run_with("mv %s %s/kept && ln -s kept %s", left, f->folder, left);
	run_with("mkdir -m 0755 %s/.latencyd-prepare-open", f->folder);
	text = refusal(f->image);
	assert_only_image(f, LEFT " .latencyd-prepare-open image kept");
	run_with("test -s %s/kept/raw", f->folder);
}

/* How many folders of work there are. */
static size_t count_work(const struct fixture *f)
{
	_cleanup_free_ char *pattern = NULL;
	glob_t g = { 0 };
	size_t n;

	assert_true(asprintf(&pattern, "%s/.latencyd-prepare-*", f->folder) > 0);
	n = glob(pattern, 0, NULL, &g) == 0 ? g.gl_pathc : 0;
	globfree(&g);
	return n;
}

static void killed_half_way_leaves_what_the_next_removes(void **state)
{
	const struct timespec pause = { .tv_nsec = 500000 }, longer = { .tv_nsec = 50000000 };
	struct fixture *f = *state;
	_cleanup_free_ char *text = NULL;
	pid_t pid;

	need_all();
	pid = fork();
	if (pid == 0) {
		execl(getenv("LATENCYCTL"), "latencyctl", "--quiet", "guest", "prepare", f->image,
		      NULL);
		_exit(127);
	}
	while (count_work(f) == 0 && waitpid(pid, NULL, WNOHANG) == 0)
		(void)nanosleep(&pause, NULL);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	if (count_work(f) == 0) {
		print_message("# skipped: it was done before it could be killed\n");
		skip();
	}
	/* Its child dies a moment later; until then the image may be in use. */
	for (int i = 0; i < 100 && count_work(f); i++) {
		free(text);
		text = refusal(f->image);
		(void)nanosleep(&longer, NULL);
	}
	assert_non_null(text);
	assert_says(text, "was killed");
	assert_only_image(f, "image");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(missing_image),
		TEST(image_that_is_open),
		TEST(image_on_another_image),
		TEST(image_without_a_system),
		TEST(folder_instead_of_an_image),
		TEST(what_a_killed_one_left_is_removed_and_told),
		TEST(its_loop_device_and_mount_go_too),
		TEST(what_somebody_works_in_stays),
		TEST(what_is_not_of_its_making_stays),
		TEST(killed_half_way_leaves_what_the_next_removes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

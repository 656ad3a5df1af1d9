/*
 * The watch on the live machine, in a mount and a network namespace of this test's own. What is
 * written to the real /proc is what stands there already.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>

#include "state/base.h"
#include "tests/unit/watch_fixture.h"

#define KNOB "/proc/sys/vm/swappiness"

static struct watching *open_live(void **state)
{
	struct watching *w = watching_of(state);

	if (access(KNOB, W_OK) < 0) {
		print_message(KNOB " cannot be written here\n");
		skip();
	}
	watching_open(w, NULL);
	w->concerns = "/vm/swappiness";
	return w;
}

static void assert_told(struct watching *w, pid_t pid)
{
	const struct told *t = watching_await(w, KNOB);

	stranger_end(pid);
	assert_non_null(t);
	assert_int_equal(t->pid, pid);
	assert_true(t->changed);
}

static void test_a_write_to_proc_is_told(void **state)
{
	struct watching *w = open_live(state);

	assert_null(watch_trouble(w->watch));
	assert_told(w, stranger_start(write_same, KNOB));
}

static int write_from_another_namespace(const char *path)
{
	return unshare(CLONE_NEWNS) < 0 ? -1 : write_same(path);
}

/* It has ended by the time the event is read: the path has lost its beginning. */
static void test_a_write_from_a_mount_namespace_that_has_ended_is_told(void **state)
{
	struct watching *w = open_live(state);
	pid_t pid = stranger_start(write_from_another_namespace, KNOB);

	stranger_end(pid);
	assert_non_null(watching_await(w, KNOB));
	assert_int_equal(w->told[0].pid, pid);
}

static void test_a_write_through_a_bind_mount_is_told_by_its_usual_name(void **state)
{
	struct watching *w = watching_of(state);

	assert_int_equal(mount("/proc/sys/vm", path_in(w, "bound here/"), NULL, MS_BIND, NULL), 0);
	(void)open_live(state);
	assert_told(w, stranger_start(write_same, path_in(w, "bound here/swappiness")));
}

/* Another instance of procfs has a superblock of its own: nobody saw it before it was mounted. */
static void test_another_procfs_is_followed(void **state)
{
	struct watching *w = open_live(state);
	const char *target = path_in(w, "proc/");

	assert_int_equal(mount("proc", target, "proc", 0, NULL), 0);
	watching_drain(w);
	assert_told(w, stranger_start(write_same, path_in(w, "proc/sys/vm/swappiness")));
	watching_drain(w); /* an event that waits holds it */
	assert_int_equal(umount2(target, 0), 0);
	watching_drain(w);
	assert_null(watch_trouble(w->watch));
}

/* ---- what the kernel announces ---- */

static void set_loopback(bool up)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = up ? IFF_UP : 0 };

	assert_true(fd >= 0);
	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &ifr), 0);
}

/* From here on in a network namespace that nothing else is in. */
static struct watching *open_alone(void **state)
{
	struct watching *w = watching_of(state);

	if (unshare(CLONE_NEWNET) < 0) {
		print_message("a network namespace of its own is refused here\n");
		skip();
	}
	return open_live(state) ? w : NULL;
}

static void test_a_link_that_goes_up_and_down_stirs(void **state)
{
	struct watching *w = open_alone(state);

	set_loopback(true);
	assert_non_null(watching_await_stirred(w, "link lo up"));
	set_loopback(false);
	assert_non_null(watching_await_stirred(w, "link lo down"));
}

static void test_a_burst_of_links_is_told_once(void **state)
{
	struct watching *w = open_alone(state);

	for (int i = 0; i < 50; i++)
		set_loopback(i % 2 == 0);
	watching_drain(w);
	/* the first at once, and what it came to */
	assert_string_equal(w->told[w->n_told - 1].stirred, "link lo down");
	assert_true(w->n_stirred >= 2 && w->n_stirred < 50);
}

static void test_a_uevent_stirs(void **state)
{
	struct watching *w = watching_of(state);

	if (unshare(CLONE_NEWNET) < 0) {
		print_message("a network namespace of its own is refused here\n");
		skip();
	}
	/* the sysfs of that namespace: its uevents go to nobody else */
	assert_int_equal(mount("sysfs", path_in(w, "sys/"), "sysfs", 0, NULL), 0);
	(void)open_live(state);
	put(path_in(w, "sys/class/net/lo/uevent"), "change");
	assert_non_null(watching_await_stirred(w, "lo change"));
}

/* ---- where the kernel refuses ---- */

static int watch_without_rights(const char *unused)
{
	const struct watch_ops ops = { 0 };
	_cleanup_sysroot_ struct sysroot root = { .fd = -1 };
	sd_event *event = NULL;
	struct watch *watch = NULL;
	const char *trouble;
	json_t *json;
	bool ok;

	(void)unused;
	if (setresuid(65534, 65534, 65534) < 0 || sysroot_open(NULL, &root, NULL) < 0 ||
	    sd_event_new(&event) < 0 || watch_new(event, &root, &ops, &watch) < 0)
		return -1;
	json = watch_to_json(watch);
	trouble = watch_trouble(watch);
	ok = trouble && strstr(trouble, "writes to kernel files are not seen") &&
	     !strchr(trouble, '\n') &&
	     streq(json_string_value(json_object_get(json, "files")), "passes only") &&
	     json_array_size(json_object_get(json, "reasons")) >= 1;
	json_decref(json);
	watch_free(watch);
	sd_event_unref(event);
	return ok ? 0 : -1;
}

static void test_what_is_refused_is_said(void **state)
{
	(void)watching_of(state);
	stranger_end(stranger_start(watch_without_rights, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_write_to_proc_is_told),
		cmocka_unit_test(test_a_write_from_a_mount_namespace_that_has_ended_is_told),
		cmocka_unit_test(test_a_write_through_a_bind_mount_is_told_by_its_usual_name),
		cmocka_unit_test(test_another_procfs_is_followed),
		cmocka_unit_test(test_a_link_that_goes_up_and_down_stirs),
		cmocka_unit_test(test_a_burst_of_links_is_told_once),
		cmocka_unit_test(test_a_uevent_stirs),
		cmocka_unit_test(test_what_is_refused_is_said),
	};

	return cmocka_run_group_tests(tests, watching_setup, watching_teardown);
}

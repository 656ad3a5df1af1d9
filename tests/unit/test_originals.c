/* originals.json: the first original wins, survives anything, and comes back byte for byte. */
#include "fake_machine.h"

#include <errno.h>
#include <sys/stat.h>

#include "actuators/base64.h"
#include "actuators/execute.h"
#include "actuators/originals.h"
#include "state/settings.h"

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fake_setup, fake_teardown)
#define PATH	 "/var/lib/latencyd/originals.json"

static int keep(struct originals *o, enum original_kind kind, const char *target, const char *name,
		const char *value)
{
	const struct original original = {
		.kind = kind,
		.target = target,
		.name = name,
		.setting = "watchdogs",
		.value = value,
	};

	return originals_keep(o, &original, NULL);
}

static void first_original_wins(void **state)
{
	_cleanup_originals_ struct originals o = { 0 };
	struct original got;

	(void)state;
	assert_int_equal(originals_load(&o, NULL), 0);
	assert_int_equal(keep(&o, ORIGINAL_KERNEL_FILE, "/proc/x", "", "1"), 1);
	assert_int_equal(originals_flush(&o, NULL), 0);
	assert_int_equal(keep(&o, ORIGINAL_KERNEL_FILE, "/proc/x", "", "0"), 0);
	originals_done(&o);
	assert_int_equal(originals_load(&o, NULL), 0);
	assert_int_equal(keep(&o, ORIGINAL_KERNEL_FILE, "/proc/x", "", "0"), 0);
	assert_true(originals_get(&o, ORIGINAL_KERNEL_FILE, "/proc/x", "", &got));
	assert_string_equal(got.value, "1");
	assert_string_equal(got.setting, "watchdogs");
	assert_string_equal(got.boot_id, "boot-1");
	assert_string_equal(originals_kernel(&o), FAKE_KERNEL);
}

static void same_target_of_another_name_or_kind_is_another_original(void **state)
{
	_cleanup_originals_ struct originals o = { 0 };

	(void)state;
	assert_int_equal(originals_load(&o, NULL), 0);
	assert_int_equal(keep(&o, ORIGINAL_IRQ, "/proc/irq/24/smp_affinity_list", "eth0", "0"), 1);
	assert_int_equal(keep(&o, ORIGINAL_IRQ, "/proc/irq/24/smp_affinity_list", "nvme", "1"), 1);
	assert_int_equal(keep(&o, ORIGINAL_THREAD_CPUS, "ksoftirqd/3", "", "0-3"), 1);
	assert_int_equal(keep(&o, ORIGINAL_THREAD_POLICY, "ksoftirqd/3", "", "0 0"), 1);
	assert_int_equal(originals_count(&o), 4);
}

static void unchanged_originals_are_not_written(void **state)
{
	_cleanup_originals_ struct originals o = { 0 };

	(void)state;
	assert_int_equal(originals_load(&o, NULL), 0);
	assert_int_equal(originals_flush(&o, NULL), 0);
	fake_expect(PATH, NULL);
	assert_int_equal(originals_exist(NULL), 0);
}

static void absent_and_empty_are_different(void **state)
{
	_cleanup_originals_ struct originals o = { 0 };
	struct original got;

	(void)state;
	assert_int_equal(originals_load(&o, NULL), 0);
	keep(&o, ORIGINAL_FILE, "/etc/a", "", NULL);
	keep(&o, ORIGINAL_FILE, "/etc/b", "", "");
	assert_int_equal(originals_flush(&o, NULL), 0);
	originals_done(&o);
	assert_int_equal(originals_load(&o, NULL), 0);
	assert_true(originals_get(&o, ORIGINAL_FILE, "/etc/a", "", &got));
	assert_null(got.value);
	assert_true(originals_get(&o, ORIGINAL_FILE, "/etc/b", "", &got));
	assert_string_equal(got.value, "");
}

static void any_bytes_come_back(void **state)
{
	static const char bytes[] = "GRUB_DISTRIBUTOR=\"K\xf6nig\"\n\0after a NUL\xff";
	_cleanup_originals_ struct originals o = { 0 };
	struct original got = {
		.kind = ORIGINAL_FILE,
		.target = "/etc/x",
		.value = bytes,
		.size = sizeof(bytes) - 1,
	};

	(void)state;
	assert_int_equal(originals_load(&o, NULL), 0);
	assert_int_equal(originals_keep(&o, &got, NULL), 1);
	assert_int_equal(originals_flush(&o, NULL), 0);
	originals_done(&o);
	/* loaded, written and loaded again */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(originals_load(&o, NULL), 0);
		assert_true(originals_get(&o, ORIGINAL_FILE, "/etc/x", "", &got));
		assert_int_equal(got.size, sizeof(bytes) - 1);
		assert_memory_equal(got.value, bytes, sizeof(bytes) - 1);
		o.dirty = true;
		assert_int_equal(originals_flush(&o, NULL), 0);
		originals_done(&o);
	}
}

static void forgetting_and_marking_reach_the_disk(void **state)
{
	_cleanup_originals_ struct originals o = { 0 };
	struct original got;
	bool reverting;

	(void)state;
	assert_int_equal(originals_load(&o, NULL), 0);
	keep(&o, ORIGINAL_KERNEL_FILE, "/proc/x", "", "1");
	keep(&o, ORIGINAL_KERNEL_FILE, "/proc/y", "", "1");
	assert_int_equal(originals_set_reverting(&o, true), 0);
	assert_true(originals_get(&o, ORIGINAL_KERNEL_FILE, "/proc/x", "", &got));
	assert_int_equal(originals_forget(&o, &got), 0);
	assert_int_equal(originals_flush(&o, NULL), 0);
	originals_done(&o);
	assert_int_equal(originals_exist(&reverting), 1);
	assert_true(reverting);
	assert_int_equal(originals_load(&o, NULL), 0);
	assert_int_equal(originals_count(&o), 1);
	assert_int_equal(originals_delete(&o, NULL), 0);
	assert_int_equal(originals_exist(&reverting), 0);
	assert_false(reverting);
}

static void boot_owner_is_remembered_beyond_the_intent(void **state)
{
	_cleanup_originals_ struct originals o = { 0 };

	(void)state;
	assert_int_equal(originals_load(&o, NULL), 0);
	fake_arg("tick_offload", "nohz_full", "2-3");
	assert_int_equal(originals_set_boot_owners(&o, &fake_plan_now()->boot), 0);
	assert_true(o.dirty);
	assert_int_equal(originals_flush(&o, NULL), 0);
	assert_int_equal(originals_set_boot_owners(&o, &fake_plan_now()->boot), 0);
	assert_false(o.dirty);
	fake_plan();
	assert_int_equal(originals_set_boot_owners(&o, &fake_plan_now()->boot), 0);
	assert_string_equal(originals_boot_owner(&o, "nohz_full"), "tick_offload");
	assert_null(originals_boot_owner(&o, "isolcpus"));
}

static void file_is_roots_alone(void **state)
{
	_cleanup_originals_ struct originals o = { 0 };
	_cleanup_free_ char *path = NULL;
	struct stat st;

	(void)state;
	assert_int_equal(originals_load(&o, NULL), 0);
	keep(&o, ORIGINAL_KERNEL_FILE, "/proc/x", "", "1");
	assert_int_equal(originals_flush(&o, NULL), 0);
	assert_true(asprintf(&path, "%s" PATH, fake_root()) > 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void damaged_files_are_refused_and_left(void **state)
{
	static const char *const texts[] = {
		"",
		"{",
		"[]",
		"{\"version\": 2, \"originals\": {}, \"boot_owners\": {}}",
		"{\"version\": 1, \"originals\": [], \"boot_owners\": {}}",
		"{\"version\": 1, \"boot_owners\": {}, \"originals\": {\"a\": 1}}",
		"{\"version\": 1, \"boot_owners\": {}, \"originals\": {\"a\": {\"kind\": "
		"\"file\", \"target\": \"/x\", \"name\": \"\", \"setting\": \"\", \"value\": 1}}}",
		"{\"version\": 1, \"boot_owners\": {}, \"originals\": {\"a\": {\"kind\": "
		"\"no-such\", \"target\": \"/x\", \"name\": \"\", \"setting\": \"\", \"value\": "
		"\"\"}}}",
		"{\"version\": 1, \"boot_owners\": {}, \"originals\": {\"a\": {\"kind\": "
		"\"file\", \"target\": \"/x\", \"name\": \"\", \"setting\": \"\", \"value\": "
		"{\"base64\": \"A\"}}}}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct originals o = { 0 };

		fake_write(PATH, texts[i]);
		assert_int_equal(originals_load(&o, NULL), -EBADMSG);
		assert_null(o.doc);
		assert_int_equal(originals_exist(NULL), -EBADMSG);
		fake_expect(PATH, texts[i]);
	}
}

static void base64_round_trip(void **state)
{
	char bytes[256];

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)i;
	for (size_t n = 0; n <= sizeof(bytes); n++) {
		_cleanup_free_ char *text = base64_encode(bytes, n), *back = NULL;
		size_t size;

		assert_int_equal(base64_decode(text, &back, &size), 0);
		assert_int_equal(size, n);
		assert_memory_equal(back, bytes, n);
	}
}

static void base64_known_answers(void **state)
{
	static const char *const bad[] = { "A",	   "AB",   "ABC",   "AB=C",
					   "A===", "====", "AB CD", "Zm9v\n" };
	_cleanup_free_ char *text = base64_encode("fooba", 5);

	(void)state;
	assert_string_equal(text, "Zm9vYmE=");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		char *back = NULL;
		size_t size;

		assert_int_equal(base64_decode(bad[i], &back, &size), -EINVAL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(first_original_wins),
		TEST(same_target_of_another_name_or_kind_is_another_original),
		TEST(unchanged_originals_are_not_written),
		TEST(absent_and_empty_are_different),
		TEST(any_bytes_come_back),
		TEST(forgetting_and_marking_reach_the_disk),
		TEST(boot_owner_is_remembered_beyond_the_intent),
		TEST(file_is_roots_alone),
		TEST(damaged_files_are_refused_and_left),
		cmocka_unit_test(base64_round_trip),
		cmocka_unit_test(base64_known_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* refusals.json and reboots.json: what they hold, when they are written, and whom they bind. */
#include "fake_machine.h"

#include <errno.h>
#include <jansson.h>
#include <time.h>

#include "actuators/execute.h"
#include "actuators/refusals.h"

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fake_setup, fake_teardown)
#define PATH	 "/run/latencyd/refusals.json"

static const struct error managed = {
	.code = -EIO,
	.what = (char *)"IRQ 45 (nvme0q3) is managed by its driver",
	.todo = (char *)"boot with isolcpus=managed_irq",
};

static struct step *irq(void)
{
	struct step *s =
		fake_step(STEP_IRQ, "irq_affinity", "/proc/irq/45/smp_affinity_list", "0-1");

	s->number = 45;
	s->name = "nvme0q3";
	return s;
}

static void note(const struct step *s, const struct error *e)
{
	_cleanup_refusals_ struct refusals r = { 0 };

	assert_int_equal(refusals_load(&r), 0);
	assert_int_equal(refusals_note(&r, s, e), 0);
	assert_int_equal(refusals_flush(&r, NULL), 0);
}

static size_t count(void)
{
	_cleanup_refusals_ struct refusals r = { 0 };

	assert_int_equal(refusals_load(&r), 0);
	return json_array_size(r.list);
}

static void record_has_what_status_needs(void **state)
{
	_cleanup_free_ char *text = NULL;
	const char *setting, *target, *name, *message, *boot_id;
	json_t *doc;
	int version, error;

	(void)state;
	note(irq(), &managed);
	text = fake_read(PATH);
	doc = json_loads(text, 0, NULL);
	assert_int_equal(json_unpack(doc, "{s:i, s:s, s:[{s:s, s:s, s:s, s:i, s:s}!]}", "version",
				     &version, "boot_id", &boot_id, "refusals", "setting", &setting,
				     "target", &target, "name", &name, "error", &error, "message",
				     &message),
			 0);
	assert_int_equal(version, 1);
	assert_string_equal(boot_id, "boot-1");
	assert_string_equal(setting, "irq_affinity");
	assert_string_equal(target, "/proc/irq/45/smp_affinity_list");
	assert_string_equal(name, "nvme0q3");
	assert_int_equal(error, EIO);
	assert_string_equal(message, "IRQ 45 (nvme0q3) is managed by its driver; boot with "
				     "isolcpus=managed_irq");
	json_decref(doc);
}

static void same_refusal_is_not_written_again(void **state)
{
	_cleanup_refusals_ struct refusals r = { 0 };

	(void)state;
	note(irq(), &managed);
	assert_int_equal(refusals_load(&r), 0);
	assert_int_equal(refusals_note(&r, irq(), &managed), 0);
	assert_false(r.dirty);
	assert_int_equal(count(), 1);
}

static void success_drops_only_its_own_record(void **state)
{
	struct step *other;

	(void)state;
	note(irq(), &managed);
	other = irq();
	other->name = "nvme0q4";
	note(other, &managed);
	assert_int_equal(count(), 2);
	note(irq(), NULL);
	assert_int_equal(count(), 1);
	note(irq(), NULL);
	assert_int_equal(count(), 1);
}

static void another_boot_starts_anew(void **state)
{
	(void)state;
	note(irq(), &managed);
	fake_write("/proc/sys/kernel/random/boot_id", "boot-2\n");
	assert_int_equal(count(), 0);
}

static void damaged_file_is_no_record(void **state)
{
	static const char *const texts[] = { "", "{", "[]", "{\"boot_id\": \"boot-1\"}",
					     "{\"boot_id\": \"boot-1\", \"refusals\": {}}" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		fake_write(PATH, texts[i]);
		assert_int_equal(count(), 0);
		note(irq(), &managed);
		assert_int_equal(count(), 1);
	}
}

static void third_reboot_within_the_hour_is_refused(void **state)
{
	_cleanup_error_ struct error e = { 0 };

	(void)state;
	/* a fake root has no systemd; the budget is spent before it is asked */
	assert_int_equal(reboot_machine(NULL), -EOPNOTSUPP);
	assert_int_equal(reboot_machine(NULL), -EOPNOTSUPP);
	assert_int_equal(reboot_machine(&e), -EDQUOT);
	assert_string_equal(e.what, "this machine was rebooted 2 times within the hour");
}

static void reboots_of_an_hour_ago_do_not_count(void **state)
{
	_cleanup_free_ char *text = NULL;
	long long now = time(NULL);

	(void)state;
	assert_true(asprintf(&text, "{\"version\": 1, \"reboots\": [%lld, %lld, %lld]}", now - 4000,
			     now + 90000, now - 100) > 0);
	fake_write("/var/lib/latencyd/reboots.json", text);
	assert_int_equal(reboot_machine(NULL), -EOPNOTSUPP);
	assert_int_equal(reboot_machine(NULL), -EDQUOT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(record_has_what_status_needs),
		TEST(same_refusal_is_not_written_again),
		TEST(success_drops_only_its_own_record),
		TEST(another_boot_starts_anew),
		TEST(damaged_file_is_no_record),
		TEST(third_reboot_within_the_hour_is_refused),
		TEST(reboots_of_an_hour_ago_do_not_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

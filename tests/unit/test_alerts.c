/* Alerts on their way: to the journal, to a unit, and of another root to stderr. */
#include "tests/unit/alerts_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <jansson.h>

#include "actuators/root.h"
#include "daemon/journal.h"
#include "daemon/messages.h"

static void an_alert_has_all_its_fields(void **state)
{
	static const char *const fields[] = {
		"MESSAGE_ID=" MESSAGE_SETTING_DRIFTED_ID,
		"PRIORITY=4",
		"LATENCYD_SETTING=irq_affinity",
		"LATENCYD_WAS=converged",
		"LATENCYD_NOW=drifted",
		"LATENCYD_WANT=0-1",
		"LATENCYD_FOUND=3",
		"LATENCYD_REASON=it differs",
		"LATENCYD_PATH=/proc/irq/24/smp_affinity_list",
		"LATENCYD_SINCE=2026-11-22T10:00:00Z",
		"LATENCYD_WHERE=this machine",
		"LATENCYD_WRITER_PID=812",
		"LATENCYD_WRITER_UID=33",
		"LATENCYD_WRITER_COMM=" HOSTILE_COMM_TAMED,
		"LATENCYD_WRITER_EXE=/usr/bin/evil",
		"LATENCYD_WRITER_UNIT=evil.service",
		"LATENCYD_WRITER_CONTAINER=c0ffee",
		"LATENCYD_WRITER_GONE=1",
	};
	_cleanup_free_ char *entry = NULL, *id = NULL;

	(void)state;
	NEED_NAMESPACE();
	send_one("irq_affinity", VERDICT_DRIFTED);
	entry = next_entry();
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		expect_field(entry, fields[i]);
	assert_true(asprintf(&id, "LATENCYD_ALERT=%s:%ju", m.alerts.boot_id,
			     (uintmax_t)m.alerts.number) > 0);
	expect_field(entry, id);
	assert_null(strstr(entry, "\nMESSAGE=forged"));
	assert_null(strstr(entry, "\nLATENCYD_GUEST="));
	expect_silence();
}

static void each_verdict_has_its_message_id(void **state)
{
	static const struct {
		enum verdict now;
		const char *id;
	} kinds[] = {
		{ VERDICT_DRIFTED, MESSAGE_SETTING_DRIFTED_ID },
		{ VERDICT_CONVERGED, MESSAGE_SETTING_RESTORED_ID },
		{ VERDICT_NOT_APPLICABLE, MESSAGE_SETTING_RESTORED_ID },
		{ VERDICT_CONTESTED, MESSAGE_SETTING_CONTESTED_ID },
		{ VERDICT_FAILED, MESSAGE_SETTING_FAILED_ID },
		{ VERDICT_UNFIXABLE, MESSAGE_SETTING_UNFIXABLE_ID },
		{ VERDICT_UNKNOWN, MESSAGE_SETTING_UNKNOWN_ID },
		{ VERDICT_PENDING_REBOOT, MESSAGE_SETTING_PENDING_REBOOT_ID },
	};

	(void)state;
	NEED_NAMESPACE();
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		send_one("watchdogs", kinds[i].now);
		expect_entry(kinds[i].id);
	}
	expect_silence();
}

/* The next entry has this id, and these fields (NULL ended) besides. */
static void expect_told(const char *id, const char *const *fields)
{
	_cleanup_free_ char *entry = next_entry(), *field = NULL;

	assert_true(asprintf(&field, "MESSAGE_ID=%s", id) > 0);
	expect_field(entry, field);
	for (; *fields; fields++)
		expect_field(entry, *fields);
}
#define EXPECT_TOLD(id, ...) expect_told(id, (const char *const[]){ __VA_ARGS__, NULL })

static void what_latencyd_itself_can_do_is_told(void **state)
{
	(void)state;
	NEED_NAMESPACE();
	journal_watching("the kernel refuses fanotify");
	EXPECT_TOLD(MESSAGE_WATCHING_ID, "LATENCYD_REASON=the kernel refuses fanotify",
		    "PRIORITY=4");
	journal_watching(NULL);
	EXPECT_TOLD(MESSAGE_WATCHING_BACK_ID, "PRIORITY=5");
	journal_document("invalid: /etc/latencyd/latencyd.yaml:7:3: no such key");
	EXPECT_TOLD(MESSAGE_DOCUMENT_INVALID_ID, "PRIORITY=3",
		    "LATENCYD_REASON=/etc/latencyd/latencyd.yaml:7:3: no such key",
		    "MESSAGE=The document on disk is wrong, the one before stays in force: "
		    "/etc/latencyd/latencyd.yaml:7:3: no such key");
	journal_document("changed");
	EXPECT_TOLD(MESSAGE_DOCUMENT_CHANGED_ID, "PRIORITY=5");
	journal_document(NULL);
	EXPECT_TOLD(MESSAGE_DOCUMENT_IN_FORCE_ID, "PRIORITY=5");
	journal_pause("until-resumed");
	EXPECT_TOLD(MESSAGE_PAUSED_ID, "LATENCYD_UNTIL=until-resumed",
		    "MESSAGE=Repairing is paused: until somebody resumes it");
	journal_pause(NULL);
	EXPECT_TOLD(MESSAGE_RESUMED_ID, "PRIORITY=5");
	journal_requalify("kernel=6.1", "kernel=6.12");
	EXPECT_TOLD(MESSAGE_REQUALIFY_ID, "LATENCYD_WAS=kernel=6.1", "LATENCYD_NOW=kernel=6.12");
	expect_silence();
}

static void a_verdict_of_the_machine_names_what_is_wrong(void **state)
{
	json_t *status = json_pack("{s:[{s:s, s:s}, {s:s, s:s}, {s:s, s:s}]}", "settings", "name",
				   "watchdogs", "verdict", "drifted", "name", "tsc", "verdict",
				   "converged", "name", "iommu", "verdict", "unknown");

	(void)state;
	NEED_NAMESPACE();
	journal_verdict(MACHINE_DEGRADED, "verified", status, NULL);
	EXPECT_TOLD(MESSAGE_DEGRADED_ID, "LATENCYD_SETTINGS=watchdogs iommu",
		    "LATENCYD_PREVIOUS_VERDICT=verified", "LATENCYD_VERDICT=degraded",
		    "MESSAGE=Host is degraded: watchdogs iommu");
	journal_verdict(MACHINE_VERIFIED, NULL, NULL, NULL);
	EXPECT_TOLD(MESSAGE_VERIFIED_ID, "LATENCYD_PREVIOUS_VERDICT=", "MESSAGE=Host is verified");
	json_decref(status);
}

static void only_who_is_named_is_told(void **state)
{
	(void)state;
	NEED_NAMESPACE();
	m.desired.drift.alert = ALERT_UNIT;
	send_one("irq_affinity", VERDICT_DRIFTED);
	expect_silence();
	assert_int_equal(root_exists(ALERT_FOLDER "/irq_affinity.env"), 1);
	m.desired.drift.alert = ALERT_JOURNAL;
	send_one("watchdogs", VERDICT_DRIFTED);
	expect_entry(MESSAGE_SETTING_DRIFTED_ID);
	assert_int_equal(root_exists(ALERT_FOLDER "/watchdogs.env"), 0);
}

/* What a shell makes of the file, as systemd does: @name's value. */
static char *sourced(const char *file, const char *name)
{
	_cleanup_free_ char *command = NULL;
	char *value = calloc(1, 1024);
	FILE *f;

	assert_true(asprintf(&command, ". '%s'; printf %%s \"$%s\"", file, name) > 0);
	f = popen(command, "r");
	assert_non_null(f);
	assert_true(fread(value, 1, 1023, f) > 0);
	assert_int_equal(pclose(f), 0);
	return value;
}

static void a_unit_gets_hostile_text_as_one_value(void **state)
{
	struct alert a = alert_of("irq_affinity", VERDICT_DRIFTED);
	_cleanup_free_ char *instance = NULL, *environment = NULL, *comm = NULL, *alert = NULL,
			    *text = NULL;

	(void)state;
	NEED_NAMESPACE();
	a.guest = strdup("vnf0");
	assert_int_equal(alert_unit_prepare(&a, "boot:1", &instance, &environment, NULL), 0);
	assert_string_equal(instance, "vnf0:irq_affinity");
	assert_int_equal(alert_unit_write(instance, environment, NULL), 0);
	comm = sourced(ALERT_FOLDER "/vnf0:irq_affinity.env", "LATENCYD_WRITER_COMM");
	assert_string_equal(comm, HOSTILE_COMM_TAMED);
	alert = sourced(ALERT_FOLDER "/vnf0:irq_affinity.env", "LATENCYD_ALERT");
	assert_string_equal(alert, "boot:1");
	assert_int_equal(root_read(ALERT_FOLDER "/vnf0:irq_affinity.env", &text, NULL), 0);
	for (const char *line = text; *line; line = strchr(line, '\n') + 1)
		assert_non_null(after_prefix(line, "LATENCYD_"));
	alert_done(&a);
}

static void a_name_that_is_no_name_makes_no_unit(void **state)
{
	static const char *const names[] = { "../../etc/cron.d/x", "a b", "", ".hidden", "a/b" };

	(void)state;
	NEED_NAMESPACE();
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct alert a = alert_of(names[i], VERDICT_DRIFTED);
		char *instance = NULL, *environment = NULL;

		assert_true(alert_unit_prepare(&a, "boot:1", &instance, &environment, NULL) < 0);
		assert_null(instance);
		assert_null(environment);
		alert_done(&a);
	}
	assert_int_equal(root_exists(ALERT_FOLDER), 0);
}

/* ---- another root ---- */

/* In a child: it decides for the rest of a process that nothing goes to the journal. */
static void watch_a_tree(const char *log)
{
	int fd = open(log, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	struct alert a = alert_of("irq_affinity", VERDICT_DRIFTED);

	dup2(fd, STDERR_FILENO);
	end_daemon();
	m = (struct manager){ .has_document = true };
	m.desired.drift.alert = ALERT_UNIT;
	if (mkdir("/run/tree", 0755) < 0 || sysroot_open("/run/tree", &m.root, NULL) < 0)
		_exit(1);
	alerts_load(&m, &m.alerts, &m.memory);
	alerts_send(&m, &a, 1);
	alerts_keep(&m);
	_exit(0);
}

static void a_tree_is_told_of_on_stderr_and_kept_nowhere(void **state)
{
	_cleanup_free_ char *text = NULL;
	int status;
	pid_t pid;

	(void)state;
	NEED_NAMESPACE();
	pid = fork();
	if (pid == 0)
		watch_a_tree("/run/log.txt");
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	expect_silence();
	assert_int_equal(root_exists(ALERTS_FILE), 0);
	assert_int_equal(root_exists(ALERT_FOLDER), 0);
	assert_int_equal(root_read("/run/log.txt", &text, NULL), 0);
	assert_non_null(after_prefix(text, "<4>irq_affinity drifted: found \"3\", wanted \"0-1\"; "
					   "changed by "));
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ALERTS_TEST(an_alert_has_all_its_fields),
		ALERTS_TEST(each_verdict_has_its_message_id),
		ALERTS_TEST(what_latencyd_itself_can_do_is_told),
		ALERTS_TEST(a_verdict_of_the_machine_names_what_is_wrong),
		ALERTS_TEST(only_who_is_named_is_told),
		ALERTS_TEST(a_unit_gets_hostile_text_as_one_value),
		ALERTS_TEST(a_name_that_is_no_name_makes_no_unit),
		ALERTS_TEST(a_tree_is_told_of_on_stderr_and_kept_nowhere),
	};

	return cmocka_run_group_tests(tests, alerts_namespace, NULL);
}

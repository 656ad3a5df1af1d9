/* The namespace is made once; each test gets fresh folders in it. */
#include "tests/unit/alerts_fixture.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "actuators/root.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

static const char *const own_folders[] = { "/run", "/var/lib", "/var/log" };
const char *alerts_cannot;
struct manager m;
static int journal = -1; /* the socket of the journal that this test is */

int alerts_namespace(void **state)
{
	(void)state;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		alerts_cannot = "no mount namespace can be made here";
	return 0;
}

void leave_the_journal(void)
{
	closep_(&journal);
	journal = -1;
	(void)unlink(JOURNAL_SOCKET);
}

static void be_the_journal(void)
{
	const struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = JOURNAL_SOCKET };

	assert_int_equal(root_mkdir_p("/run/systemd/journal", 0755), 0);
	journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(journal >= 0);
	assert_int_equal(bind(journal, (const struct sockaddr *)&address, sizeof(address)), 0);
}

void start_daemon(void)
{
	m = (struct manager){ .has_document = true };
	m.desired.drift.alert = ALERT_JOURNAL;
	assert_int_equal(sysroot_open(NULL, &m.root, NULL), 0);
	alerts_load(&m, &m.alerts, &m.memory);
}

void end_daemon(void)
{
	alerts_done(&m.alerts);
	reconcile_done(&m.memory);
	sysroot_close(&m.root);
	free(m.complaints);
	free(m.complaints_before);
	m = (struct manager){ 0 };
}

int alerts_setup(void **state)
{
	(void)state;
	if (alerts_cannot)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(own_folders); i++)
		if (mount("tmpfs", own_folders[i], "tmpfs", 0, "mode=755") < 0)
			return -1;
	be_the_journal();
	start_daemon();
	return 0;
}

int alerts_teardown(void **state)
{
	(void)state;
	if (alerts_cannot)
		return 0;
	end_daemon();
	leave_the_journal();
	for (size_t i = 0; i < ARRAY_SIZE(own_folders); i++)
		if (umount2(own_folders[i], MNT_DETACH) < 0)
			return -1;
	return 0;
}

static char *copy(const char *s)
{
	return s ? strdup(s) : NULL;
}

struct alert alert_of(const char *setting, enum verdict now)
{
	return (struct alert){
		.setting = copy(setting),
		.was = VERDICT_CONVERGED,
		.now = now,
		.want = copy("0-1"),
		.found = copy("3"),
		.reason = copy("it differs"),
		.path = copy("/proc/irq/24/smp_affinity_list"),
		.since = copy("2026-11-22T10:00:00Z"),
		.caused = true,
		.writer = { .pid = 812,
			    .uid = 33,
			    .comm = copy(HOSTILE_COMM),
			    .exe = copy("/usr/bin/evil"),
			    .unit = copy("evil.service"),
			    .container = copy("c0ffee"),
			    .gone = true },
	};
}

void send_one(const char *setting, enum verdict now)
{
	struct alert a = alert_of(setting, now);

	alerts_send(&m, &a, 1);
	assert_null(a.setting); /* taken over */
}

char *next_entry(void)
{
	char buffer[65536];
	ssize_t n = recv(journal, buffer, sizeof(buffer), 0);
	char *text;

	if (n < 0)
		return NULL;
	assert_true(asprintf(&text, "\n%.*s", (int)n, buffer) > 0);
	return text;
}

void expect_field(const char *entry, const char *field)
{
	_cleanup_free_ char *line = NULL;

	assert_non_null(entry);
	assert_true(asprintf(&line, "\n%s\n", field) > 0);
	if (!strstr(entry, line))
		fail_msg("\"%s\" is missing in: %s", field, entry);
}

void expect_entry(const char *message_id)
{
	_cleanup_free_ char *entry = next_entry(), *field = NULL;

	assert_true(asprintf(&field, "MESSAGE_ID=%s", message_id) > 0);
	expect_field(entry, field);
}

void expect_silence(void)
{
	_cleanup_free_ char *entry = next_entry();

	if (entry)
		fail_msg("unexpected: %s", entry);
}

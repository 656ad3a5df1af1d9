/*
 * What is known of alerts outlives the daemon: over a restart, while nothing can be written, and by
 * what a journal says.
 */
#include "tests/unit/alerts_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <systemd/sd-journal.h>

#include "actuators/root.h"
#include "daemon/journal.h"
#include "daemon/messages.h"
#include "state/settings.h"

#define JOURNALD "/lib/systemd/systemd-journald"

static void wait_a_second(void)
{
	m.alerts.kept_us = 0; /* as if it had passed */
}

/* ---- over a restart ---- */

static void what_was_sent_is_not_sent_again(void **state)
{
	uint64_t number;

	(void)state;
	NEED_NAMESPACE();
	send_one("irq_affinity", VERDICT_DRIFTED);
	expect_entry(MESSAGE_SETTING_DRIFTED_ID);
	number = m.alerts.number;
	end_daemon();
	start_daemon();
	expect_silence();
	assert_int_equal(m.alerts.n_pending, 0);
	assert_true(m.alerts.number >= number);
}

/* The file as it is when the daemon is killed right before it sends. */
static void leave_pending(const char *setting)
{
	struct alert a = alert_of(setting, VERDICT_DRIFTED);
	_cleanup_free_ char *text = NULL;

	a.number = ++m.alerts.number;
	m.alerts.pending = &a;
	m.alerts.n_pending = 1;
	text = alerts_to_text(&m.alerts, &m.memory, true);
	m.alerts.pending = NULL;
	m.alerts.n_pending = 0;
	assert_int_equal(root_mkdir_p("/var/lib/latencyd", 0755), 0);
	assert_int_equal(root_replace_unsynced(ALERTS_FILE, text, strlen(text), 0600, NULL), 0);
	alert_done(&a);
}

static void what_was_left_is_sent_once_with_its_own_id(void **state)
{
	_cleanup_free_ char *id = NULL, *entry = NULL;

	(void)state;
	NEED_NAMESPACE();
	leave_pending("irq_affinity");
	assert_true(asprintf(&id, "LATENCYD_ALERT=%s:%ju", m.alerts.boot_id,
			     (uintmax_t)m.alerts.number) > 0);
	end_daemon();
	start_daemon();
	entry = next_entry();
	expect_field(entry, id);
	expect_silence();
	end_daemon();
	start_daemon();
	expect_silence();
}

static void numbers_are_not_used_twice_though_the_file_is_lost(void **state)
{
	uint64_t number;

	(void)state;
	NEED_NAMESPACE();
	send_one("irq_affinity", VERDICT_DRIFTED);
	number = m.alerts.number;
	end_daemon();
	assert_int_equal(unlink(ALERTS_FILE), 0);
	usleep(2000); /* numbers begin at the boot's milliseconds */
	start_daemon();
	send_one("irq_affinity", VERDICT_DRIFTED);
	assert_true(m.alerts.number > number);
}

static void a_damaged_file_is_told_and_replaced(void **state)
{
	_cleanup_free_ char *text = NULL;

	(void)state;
	NEED_NAMESPACE();
	end_daemon();
	assert_int_equal(root_mkdir_p("/var/lib/latencyd", 0755), 0);
	assert_int_equal(root_replace(ALERTS_FILE, "{\"version\"", 10, 0600, NULL), 0);
	start_daemon();
	assert_non_null(m.complaints);
	assert_non_null(strstr(m.complaints, ALERTS_FILE));
	alerts_keep(&m);
	assert_int_equal(root_read(ALERTS_FILE, &text, NULL), 0);
	assert_non_null(strstr(text, "\"version\":1"));
}

/* ---- keeping ---- */

static ino_t file_number(void)
{
	struct stat s;

	assert_int_equal(stat(ALERTS_FILE, &s), 0);
	return s.st_ino;
}

static void without_a_change_nothing_is_written(void **state)
{
	struct reconcile_entry *entry = calloc(1, sizeof(*entry));
	ino_t before;

	(void)state;
	NEED_NAMESPACE();
	alerts_keep(&m);
	before = file_number();
	wait_a_second();
	alerts_keep(&m);
	m.alerts.last_verified = strdup("2026-11-22T10:00:00Z");
	wait_a_second();
	alerts_keep(&m);
	assert_int_equal(file_number(), before);

	entry->setting = setting_by_name("irq_affinity");
	entry->last_writer.uid = -1;
	m.memory = (struct reconcile){ .entries = entry, .n_entries = 1 };
	wait_a_second();
	alerts_keep(&m);
	assert_int_not_equal(file_number(), before);
}

static void changes_are_kept_once_a_second_and_at_the_end(void **state)
{
	ino_t before;

	(void)state;
	NEED_NAMESPACE();
	alerts_keep(&m);
	before = file_number();
	m.alerts.fingerprint = strdup("kernel=other");
	alerts_keep(&m);
	assert_int_equal(file_number(), before);
	alerts_keep_last(&m);
	assert_int_not_equal(file_number(), before);
}

static void limit_state_folder(unsigned long flags, const char *options)
{
	assert_int_equal(mkdir("/var/lib/latencyd", 0755), 0);
	assert_int_equal(mount("tmpfs", "/var/lib/latencyd", "tmpfs", 0, options), 0);
	assert_int_equal(mount(NULL, "/var/lib/latencyd", NULL, MS_REMOUNT | flags, NULL), 0);
}

/* Two alerts while it is lost, and both arrive; the loss and its end are told once each. */
static void lose_and_regain(void (*regain)(void))
{
	send_one("irq_affinity", VERDICT_DRIFTED);
	expect_entry(MESSAGE_PERSISTENCE_ID);
	expect_entry(MESSAGE_SETTING_DRIFTED_ID);
	assert_non_null(m.alerts.lost);
	send_one("irq_affinity", VERDICT_CONVERGED);
	expect_entry(MESSAGE_SETTING_RESTORED_ID);
	wait_a_second();
	alerts_keep(&m);
	expect_silence();
	regain();
	alerts_keep(&m); /* tried again, but not before its second has passed */
	expect_silence();
	wait_a_second();
	alerts_keep(&m);
	expect_entry(MESSAGE_PERSISTENCE_BACK_ID);
	assert_null(m.alerts.lost);
	send_one("watchdogs", VERDICT_DRIFTED);
	expect_entry(MESSAGE_SETTING_DRIFTED_ID);
	expect_silence();
}

static void make_writable(void)
{
	assert_int_equal(mount(NULL, "/var/lib/latencyd", NULL, MS_REMOUNT, NULL), 0);
}

static void a_read_only_disk_is_told_once_and_alerts_go_on(void **state)
{
	(void)state;
	NEED_NAMESPACE();
	limit_state_folder(MS_RDONLY, NULL);
	lose_and_regain(make_writable);
}

static void make_room(void)
{
	assert_int_equal(unlink("/var/lib/latencyd/filler"), 0);
}

static void a_full_disk_is_told_once_and_alerts_go_on(void **state)
{
	char page[4096] = "x";
	int fd;

	(void)state;
	NEED_NAMESPACE();
	limit_state_folder(0, "size=64k");
	fd = open("/var/lib/latencyd/filler", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	while (write(fd, page, sizeof(page)) > 0)
		;
	close(fd);
	lose_and_regain(make_room);
}

/* ---- with a real journal ---- */

#define NEED_JOURNALD()                                               \
	do {                                                          \
		NEED_NAMESPACE();                                     \
		if (access(JOURNALD, X_OK) < 0) {                     \
			print_message("there is no journald here\n"); \
			skip();                                       \
		}                                                     \
	} while (0)

static pid_t start_journald(void)
{
	pid_t pid;

	leave_the_journal();
	assert_int_equal(root_mkdir_p("/run/log/journal", 0755), 0);
	pid = fork();

	if (pid == 0) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		prctl(PR_SET_PDEATHSIG, SIGTERM); /* should the test fail */
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		execl(JOURNALD, JOURNALD, (char *)NULL);
		_exit(127);
	}
	assert_true(pid > 0);
	for (int i = 0; i < 100 && access("/run/systemd/journal/io.systemd.journal", F_OK) < 0; i++)
		usleep(100000);
	return pid;
}

static void stop_journald(pid_t pid)
{
	kill(pid, SIGTERM);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void the_journal_says_which_alerts_went_out(void **state)
{
	_cleanup_free_ char *forged = NULL, *sent = NULL;
	pid_t journald;

	(void)state;
	NEED_JOURNALD();
	journald = start_journald();
	send_one("irq_affinity", VERDICT_DRIFTED);
	assert_true(asprintf(&sent, "%s:%ju", m.alerts.boot_id, (uintmax_t)m.alerts.number) > 0);
	assert_true(asprintf(&forged, "%s:%ju", m.alerts.boot_id, (uintmax_t)m.alerts.number + 1) >
		    0);
	if (fork() == 0) { /* somebody who is not root says that an alert went out */
		if (setuid(65534) < 0)
			_exit(1);
		sd_journal_send("MESSAGE=forged", "LATENCYD_ALERT=%s", forged, NULL);
		_exit(0);
	}
	wait(NULL);
	assert_int_equal(journal_has(sent), 1);
	assert_int_equal(journal_has(forged), 0);
	stop_journald(journald);
}

/* ---- killed at any moment ---- */

#define KILLS	      20
#define ALERTS_A_LIFE 100

/* Shared with the daemons that are killed: the numbers of what they sent for sure. */
struct sent {
	size_t n;
	uint64_t numbers[KILLS * ALERTS_A_LIFE];
};

static void live_until_killed(struct sent *sent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	start_daemon();
	for (int i = 0; i < ALERTS_A_LIFE; i++) {
		send_one("irq_affinity", i % 2 ? VERDICT_CONVERGED : VERDICT_DRIFTED);
		sent->numbers[sent->n++] = m.alerts.number;
	}
	pause();
}

static int compare_numbers(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Sorted, malloc()ed. */
static uint64_t *numbers_in_journal(size_t *ret_n)
{
	uint64_t *numbers = calloc(KILLS * ALERTS_A_LIFE * 2, sizeof(*numbers));
	const char prefix[] = "LATENCYD_ALERT=";
	sd_journal *j;
	size_t n = 0, size;
	const void *data;

	assert_int_equal(sd_journal_open(&j, SD_JOURNAL_LOCAL_ONLY), 0);
	SD_JOURNAL_FOREACH(j)
	{
		char id[128] = "";

		if (sd_journal_get_data(j, "LATENCYD_ALERT", &data, &size) < 0)
			continue;
		assert_in_range(size, sizeof(prefix), sizeof(id) - 1);
		memcpy(id, data, size);
		assert_true(n < KILLS * ALERTS_A_LIFE * 2);
		numbers[n++] = strtoull(strchr(id, ':') + 1, NULL, 10);
	}
	sd_journal_close(j);
	qsort(numbers, n, sizeof(*numbers), compare_numbers);
	*ret_n = n;
	return numbers;
}

static void expect_each_once(const struct sent *sent)
{
	size_t n = 0;
	_cleanup_free_ uint64_t *numbers = numbers_in_journal(&n);

	for (size_t i = 1; i < n; i++)
		assert_int_not_equal(numbers[i - 1], numbers[i]);
	for (size_t i = 0; i < sent->n; i++)
		assert_non_null(
			bsearch(&sent->numbers[i], numbers, n, sizeof(*numbers), compare_numbers));
	print_message("# %zu alerts over %d kills\n", n, KILLS);
}

static void however_it_is_killed_each_alert_goes_out_once(void **state)
{
	struct sent *sent = mmap(NULL, sizeof(*sent), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t journald;

	(void)state;
	NEED_JOURNALD();
	assert_ptr_not_equal(sent, MAP_FAILED);
	end_daemon();
	journald = start_journald();
	for (int i = 0; i < KILLS; i++) {
		pid_t pid = fork();

		if (pid == 0)
			live_until_killed(sent);
		usleep((useconds_t)(rand() % 60000));
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
	}
	start_daemon(); /* sends what the last one left */
	assert_int_equal(journal_has("no such boot:1"), 0);
	assert_true(sent->n > 0);
	expect_each_once(sent);
	stop_journald(journald);
	munmap(sent, sizeof(*sent));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ALERTS_TEST(what_was_sent_is_not_sent_again),
		ALERTS_TEST(what_was_left_is_sent_once_with_its_own_id),
		ALERTS_TEST(numbers_are_not_used_twice_though_the_file_is_lost),
		ALERTS_TEST(a_damaged_file_is_told_and_replaced),
		ALERTS_TEST(without_a_change_nothing_is_written),
		ALERTS_TEST(changes_are_kept_once_a_second_and_at_the_end),
		ALERTS_TEST(a_read_only_disk_is_told_once_and_alerts_go_on),
		ALERTS_TEST(a_full_disk_is_told_once_and_alerts_go_on),
		ALERTS_TEST(the_journal_says_which_alerts_went_out),
		ALERTS_TEST(however_it_is_killed_each_alert_goes_out_once),
	};

	return cmocka_run_group_tests(tests, alerts_namespace, NULL);
}

/*
 * The guest's end of the channel: the host's own call against it over a socket pair and over a
 * terminal device (which, like a virtio-serial port, is no socket), and what it does with a
 * document from the host.
 */
#include "daemon/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>

#include <cmocka.h>

#include "actuators/root.h"
#include "daemon/applied.h"
#include "daemon/bus.h"
#include "daemon/guest_document.h"
#include "daemon/manager.h"
#include "guest/channel.h"
#include "probes/observe.h"
#include "tests/unit/fake_machine.h"

#define PATIENCE_MS   30000
#define DOCUMENT      "version: 1\nguest:\n  rt_throttling: \"off\" # as the host sent it\n"
#define REQUEST(text) "{\"document\": \"" text "\", \"reboot\": false}"
#define SENT_DOCUMENT \
	REQUEST("version: 1\\nguest:\\n  rt_throttling: \\\"off\\\" # as the host sent it\\n")

static struct manager m;

static int setup(void **state)
{
	int r = fake_setup(state);

	return r ? r : manager_init(&m, fake_root(), NULL);
}

static int teardown(void **state)
{
	manager_done(&m);
	return fake_teardown(state);
}

/* ---- the host: a thread ---- */

struct host {
	pthread_t thread;
	int fd;
	const char *method, *argument;
	char *reply;
	struct error error;
	int result;
	bool done;
};

static void *call_guest(void *userdata)
{
	const struct guest_call_limits limits = { .timeout_ms = PATIENCE_MS,
						  .authenticate_ms = PATIENCE_MS };
	struct host *h = userdata;
	bool authenticated;

	h->result = guest_call_on(h->fd, &limits, h->method, h->argument, &authenticated, &h->reply,
				  &h->error);
	__atomic_store_n(&h->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static void start_host(struct host *h)
{
	assert_int_equal(fcntl(h->fd, F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(pthread_create(&h->thread, NULL, call_guest, h), 0);
}

static void run_until_done(struct host *h)
{
	while (!__atomic_load_n(&h->done, __ATOMIC_ACQUIRE))
		assert_true(sd_event_run(m.event, 10 * 1000) >= 0);
	pthread_join(h->thread, NULL);
}

/* The loop's next turns, in which an ended connection is cleared away. */
static void run_a_little(void)
{
	for (int i = 0; i < 20; i++)
		assert_true(sd_event_run(m.event, 1000) >= 0);
}

static size_t n_connections(void)
{
	size_t n = 0;

	for (size_t i = 0; i < PEER_CONNECTIONS; i++)
		n += m.peer.connections[i].bus != NULL;
	return n;
}

static void call_over_socket(struct host *h)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(peer_serve(&m.peer, pair[1], false), 0);
	h->fd = pair[0];
	start_host(h);
	run_until_done(h);
	close(pair[0]);
	run_a_little();
}

static void host_done(struct host *h)
{
	free(h->reply);
	error_clear(&h->error);
}

#define _cleanup_host_ _cleanup_(host_done)

/* ---- */

static void the_host_is_told_the_status(void **state)
{
	_cleanup_host_ struct host h = { .method = "Status" };

	(void)state;
	manager_pass(&m);
	call_over_socket(&h);
	assert_int_equal(h.result, 0);
	assert_string_equal(h.reply, m.status);
	assert_non_null(strstr(h.reply, "\"verdict\""));
	assert_int_equal(n_connections(), 0);
}

static void without_a_segment_it_says_so(void **state)
{
	_cleanup_host_ struct host segment = { .method = "Segment" };
	_cleanup_host_ struct host stop = { .method = "StopSegment" };

	(void)state;
	call_over_socket(&segment);
	assert_int_equal(segment.result, 0);
	assert_string_equal(segment.reply, "{\"state\":\"none\"}");
	call_over_socket(&stop);
	assert_int_equal(stop.result, 0);
}

static void a_machine_that_is_only_watched_takes_no_orders(void **state)
{
	_cleanup_host_ struct host document = { .method = "SetDocument",
						.argument = SENT_DOCUMENT };
	_cleanup_host_ struct host segment = { .method = "StartSegment", .argument = "{}" };

	(void)state;
	call_over_socket(&document);
	assert_int_equal(document.result, -EREMOTEIO);
	assert_non_null(strstr(document.error.what, "only watches"));
	fake_expect(DOCUMENT_PATH, NULL);
	call_over_socket(&segment);
	assert_int_equal(segment.result, -EREMOTEIO);
}

static int on_status(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	const char *text = NULL;

	(void)error;
	assert_true(sd_bus_message_read(reply, "s", &text) >= 0);
	*(char **)userdata = strdup(text);
	return 0;
}

/* Both ends in one loop. */
static void the_manager_is_there_too(void **state)
{
	_cleanup_free_ char *status = NULL;
	sd_bus *bus = NULL;
	int pair[2];

	(void)state;
	manager_pass(&m);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(peer_serve(&m.peer, pair[1], false), 0);
	assert_true(sd_bus_new(&bus) >= 0);
	assert_true(sd_bus_set_fd(bus, pair[0], pair[0]) >= 0);
	assert_true(sd_bus_set_anonymous(bus, 1) >= 0);
	assert_true(sd_bus_negotiate_fds(bus, 0) >= 0);
	assert_true(sd_bus_start(bus) >= 0);
	assert_true(sd_bus_call_method_async(bus, NULL, NULL, BUS_PATH, BUS_INTERFACE, "Status",
					     on_status, &status, NULL) >= 0);
	while (!status) {
		assert_true(sd_event_run(m.event, 1000) >= 0);
		assert_true(sd_bus_process(bus, NULL) >= 0);
	}
	assert_string_equal(status, m.status);
	sd_bus_close(bus);
	sd_bus_unref(bus);
	run_a_little();
	assert_int_equal(n_connections(), 0);
}

static void noise_ends_its_connection_and_no_other(void **state)
{
	static const char noise[] = "\0HELO\r\nwho are you\r\n\r\n\1\2\3\4";
	_cleanup_host_ struct host h = { .method = "Segment" };
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(peer_serve(&m.peer, pair[1], false), 0);
	for (int i = 0; i < 10000; i++)
		if (send(pair[0], noise, sizeof(noise), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			break;
	run_a_little();
	call_over_socket(&h);
	assert_int_equal(h.result, 0);
	close(pair[0]);
	run_a_little();
	assert_int_equal(n_connections(), 0);
}

static int open_terminal(char *name, size_t size)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), slave;
	struct termios raw;

	if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0 ||
	    ptsname_r(master, name, size) != 0)
		return -1;
	/* The settings stay as long as the master is open. */
	slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(slave >= 0);
	assert_int_equal(tcgetattr(slave, &raw), 0);
	cfmakeraw(&raw);
	assert_int_equal(tcsetattr(slave, TCSANOW, &raw), 0);
	/* Without an open slave the master reads as hung up: it stays open in this test. */
	return master;
}

/* A device whose first bytes are no authentication is opened again, not left alone. */
static void noise_on_a_device_opens_it_again(void **state)
{
	_cleanup_sysroot_ struct sysroot live = { .fd = -1 };
	char name[128];
	int master = open_terminal(name, sizeof(name));

	(void)state;
	if (master < 0)
		skip();
	assert_int_equal(sysroot_open(NULL, &live, NULL), 0);
	m.peer.root = &live;
	m.peer.port_path = name;
	peer_open(&m.peer);
	assert_int_equal(write(master, "noise", 5), 5);
	for (int i = 0; i < 100 && m.peer.n_connections == 0; i++)
		assert_true(sd_event_run(m.event, 100 * 1000) >= 0);
	run_a_little();
	assert_int_equal(m.peer.n_connections, 1);
	assert_int_equal(n_connections(), 0);
	assert_true(m.peer.port >= 0);
	close(master);
	run_a_little();
	m.peer.root = &m.root;
}

static void a_connection_too_many_ends_the_oldest(void **state)
{
	int pairs[PEER_CONNECTIONS + 1][2];
	struct pollfd gone = { .events = POLLIN };
	char c;

	(void)state;
	for (size_t i = 0; i <= PEER_CONNECTIONS; i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pairs[i]), 0);
		assert_int_equal(peer_serve(&m.peer, pairs[i][1], false), 0);
	}
	assert_int_equal(n_connections(), PEER_CONNECTIONS);
	gone.fd = pairs[0][0];
	assert_int_equal(poll(&gone, 1, 0), 1);
	assert_int_equal(recv(pairs[0][0], &c, 1, 0), 0);
	gone.fd = pairs[1][0];
	assert_int_equal(poll(&gone, 1, 0), 0);
	for (size_t i = 0; i <= PEER_CONNECTIONS; i++)
		close(pairs[i][0]);
	run_a_little();
	assert_int_equal(n_connections(), 0);
}

/* ---- a device ---- */

/* Carries bytes between a socket and a terminal's master, as QEMU does for a port. */
static void *carry(void *userdata)
{
	const int *ends = userdata;
	char chunk[1024];

	for (;;) {
		struct pollfd p[] = { { .fd = ends[0], .events = POLLIN },
				      { .fd = ends[1], .events = POLLIN } };
		bool from_socket;
		ssize_t n;

		if (poll(p, 2, PATIENCE_MS) <= 0)
			break;
		from_socket = p[0].revents;
		n = read(ends[from_socket ? 0 : 1], chunk, sizeof(chunk));
		if (n <= 0 || write(ends[from_socket ? 1 : 0], chunk, (size_t)n) != n)
			break;
	}
	close(ends[0]);
	return NULL;
}

static void a_device_is_served_when_there_is_something_to_read(void **state)
{
	_cleanup_sysroot_ struct sysroot live = { .fd = -1 };
	_cleanup_host_ struct host h = { .method = "Segment" };
	char name[128];
	int pair[2], ends[2], master = open_terminal(name, sizeof(name));
	pthread_t carrier;

	(void)state;
	if (master < 0)
		skip();
	assert_int_equal(sysroot_open(NULL, &live, NULL), 0);
	m.peer.root = &live;
	m.peer.port_path = name;
	assert_false(peer_has_host(&m.peer));
	peer_open(&m.peer);
	assert_true(peer_has_host(&m.peer));
	run_a_little();
	assert_int_equal(n_connections(), 0);

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	h.fd = pair[0];
	ends[0] = pair[1];
	ends[1] = master;
	assert_int_equal(pthread_create(&carrier, NULL, carry, ends), 0);
	start_host(&h);
	run_until_done(&h);
	assert_int_equal(h.result, 0);
	assert_string_equal(h.reply, "{\"state\":\"none\"}");
	assert_int_equal(n_connections(), 1);
	assert_true(peer_has_host(&m.peer));
	close(pair[0]);
	pthread_join(carrier, NULL);
	close(master); /* hung up: the connection ends, and the device is gone */
	run_a_little();
	assert_int_equal(n_connections(), 0);
	m.peer.root = &m.root;
}

/* ---- the document ---- */

static void a_document_from_the_host_is_kept_byte_for_byte(void **state)
{
	_cleanup_host_ struct host h = { .method = "SetDocument", .argument = SENT_DOCUMENT };
	_cleanup_desired_ struct desired d = { 0 };
	_cleanup_free_ char *text = NULL, *mark = NULL;

	(void)state;
	/* As on a live machine, but with nothing carried out: the files are the fake machine's. */
	m.root.live = true;
	m.role.converge = sd_event_source_disable_unref(m.role.converge);
	call_over_socket(&h);
	m.root.live = false;
	assert_string_equal(h.result < 0 ? h.error.what : "", "");
	assert_string_equal(h.reply, "{}");
	assert_true(m.role.converge_wanted);
	assert_false(m.role.reboot);
	text = fake_read(DOCUMENT_PATH);
	assert_string_equal(text, DOCUMENT);
	assert_int_equal(document_parse("x", DOCUMENT, strlen(DOCUMENT), &d, NULL), 0);
	mark = fake_read(DOCUMENT_FROM_HOST);
	assert_int_equal(strlen(mark), strlen(d.digest) + 1);
	assert_memory_equal(mark, d.digest, strlen(d.digest));
}

static ino_t inode(const char *path)
{
	_cleanup_free_ char *outer = root_outer_path(path);
	struct stat st;

	assert_int_equal(stat(outer, &st), 0);
	return st.st_ino;
}

static void the_same_document_again_writes_nothing(void **state)
{
	ino_t before;
	bool reboot = false;

	(void)state;
	assert_int_equal(guest_document_keep(SENT_DOCUMENT, &reboot, NULL), 0);
	before = inode(DOCUMENT_PATH);
	assert_int_equal(guest_document_keep(SENT_DOCUMENT, &reboot, NULL), 0);
	assert_int_equal(inode(DOCUMENT_PATH), before);
	assert_int_equal(guest_document_keep("{\"document\": \"version: 1\\nguest: {rt_throttling: "
					     "\\\"off\\\"}\\n\", \"reboot\": true}",
					     &reboot, NULL),
			 0);
	assert_true(reboot);
	assert_true(inode(DOCUMENT_PATH) != before);
}

static void a_persons_document_is_not_replaced(void **state)
{
	_cleanup_error_ struct error e = { 0 };
	bool reboot;

	(void)state;
	fake_write(DOCUMENT_PATH, "version: 1\n# mine\n");
	assert_int_equal(guest_document_keep(SENT_DOCUMENT, &reboot, &e), -EEXIST);
	assert_non_null(strstr(e.what, DOCUMENT_PATH));
	assert_non_null(e.todo);
	fake_expect(DOCUMENT_PATH, "version: 1\n# mine\n");
	fake_expect(DOCUMENT_FROM_HOST, NULL);
}

static void what_is_no_guests_document_is_refused(void **state)
{
	static const char *const wrong[] = {
		"",
		"[]",
		"{}",
		"{\"document\": 1, \"reboot\": false}",
		"{\"document\": \"version: 1\\nguest: {}\\n\"}",
		REQUEST("version: 1\\nguest:\\n  no_such_setting: 1\\n"),
		REQUEST("version: 1\\nhost:\\n  cpus: {isolated: 1}\\n"),
		REQUEST("guest: ["),
	};
	bool reboot = true;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		_cleanup_error_ struct error e = { 0 };

		assert_true(guest_document_keep(wrong[i], &reboot, &e) < 0);
		assert_non_null(e.what);
	}
	assert_true(reboot);
	fake_expect(DOCUMENT_PATH, NULL);
	fake_expect(DOCUMENT_FROM_HOST, NULL);
}

static void a_document_of_guests_alone_leaves_a_mark_when_applied(void **state)
{
	(void)state;
	assert_int_equal(applied_to_machine(), 0);
	assert_int_equal(applied_mark("0123456789abcdef", NULL), 0);
	assert_int_equal(applied_to_machine(), 1);
	assert_int_equal(applied_mark("0123456789abcdef", NULL), 0);
	assert_int_equal(applied_forget(NULL), 0);
	assert_int_equal(applied_to_machine(), 0);
}

int main(void)
{
#define with_machine(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		with_machine(the_host_is_told_the_status),
		with_machine(without_a_segment_it_says_so),
		with_machine(a_machine_that_is_only_watched_takes_no_orders),
		with_machine(the_manager_is_there_too),
		with_machine(noise_ends_its_connection_and_no_other),
		with_machine(noise_on_a_device_opens_it_again),
		with_machine(a_connection_too_many_ends_the_oldest),
		with_machine(a_device_is_served_when_there_is_something_to_read),
		with_machine(a_document_from_the_host_is_kept_byte_for_byte),
		with_machine(the_same_document_again_writes_nothing),
		with_machine(a_persons_document_is_not_replaced),
		with_machine(what_is_no_guests_document_is_refused),
		with_machine(a_document_of_guests_alone_leaves_a_mark_when_applied),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * A call to peers that mean no good: each ends in the right errno, within the deadline. The peer is
 * a thread on the other end of a socket; a well-behaved one is a small server of sd-bus.
 */
#include "guest/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cmocka.h>
#include <systemd/sd-bus.h>

#include "guest/channel_lock.h"
#include "state/guest_argv.h"

#define OK	   "OK 0123456789abcdef0123456789abcdef\r\n"
#define TIMEOUT_MS 700
/* Far more than a busy machine needs to notice a deadline, far less than no deadline. */
#define LATE_MS 20000

struct peer {
	pthread_t thread;
	int fd;
	void (*speak)(struct peer *p);
};

static void *run_peer(void *userdata)
{
	struct peer *p = userdata;

	p->speak(p);
	close(p->fd);
	return NULL;
}

/* 1 while the other end is there. */
static int say(struct peer *p, const void *data, size_t n)
{
	const char *at = data;

	while (n > 0) {
		ssize_t sent = send(p->fd, at, n, MSG_NOSIGNAL);

		if (sent < 0)
			return 0;
		at += sent;
		n -= (size_t)sent;
	}
	return 1;
}

static void hear_until_end(struct peer *p)
{
	char chunk[4096];

	while (recv(p->fd, chunk, sizeof(chunk), 0) > 0)
		;
}

static void put_u32(char *at, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		at[i] = (char)(value >> (8 * i));
}

/* A message to serial @reply_to with the fields of a reply and a body of one string (or raw). */
static size_t make_message(char *at, char type, uint32_t reply_to, const char *signature,
			   const char *error_name, const void *body, uint32_t n_body)
{
	size_t n = 16, aligned;

	memcpy(at, "l\2\1\1", 4);
	at[1] = type;
	put_u32(at + 4, n_body);
	put_u32(at + 8, 1);
	memcpy(at + n, "\5\1u", 4);
	put_u32(at + n + 4, reply_to);
	n += 8;
	memcpy(at + n, "\10\1g", 4);
	at[n + 4] = (char)strlen(signature);
	strcpy(at + n + 5, signature);
	n += 4 + 1 + strlen(signature) + 1;
	if (error_name) {
		while (n % 8)
			at[n++] = 0;
		memcpy(at + n, "\4\1s", 4);
		put_u32(at + n + 4, (uint32_t)strlen(error_name));
		strcpy(at + n + 8, error_name);
		n += 8 + strlen(error_name) + 1;
	}
	put_u32(at + 12, (uint32_t)(n - 16));
	for (aligned = (n + 7) & ~(size_t)7; n < aligned; n++)
		at[n] = 0;
	memcpy(at + n, body, n_body);
	return n + n_body;
}

/* Body of one string of @n bytes @c; returns its size. */
static uint32_t make_string(char *at, char c, uint32_t n)
{
	put_u32(at, n);
	memset(at + 4, c, n);
	at[4 + n] = 0;
	return 4 + n + 1;
}

static void say_reply(struct peer *p, char type, uint32_t reply_to, const char *signature,
		      const char *error_name, const void *body, uint32_t n_body)
{
	_cleanup_free_ char *message = malloc(n_body + 512);

	if (message)
		say(p, message,
		    make_message(message, type, reply_to, signature, error_name, body, n_body));
}

/* ---- the peers ---- */

static void silent(struct peer *p)
{
	hear_until_end(p);
}

static void byte_by_byte(struct peer *p)
{
	const struct timespec pause = { .tv_nsec = 50 * 1000000 };

	say(p, OK, strlen(OK));
	for (const char *c = "l\2\0\1\377\0\0\0\1\0\0\0"; say(p, c, 1);)
		(void)nanosleep(&pause, NULL);
}

static void slow_but_well_formed(struct peer *p)
{
	const struct timespec pause = { .tv_nsec = 30 * 1000000 };
	char body[600], message[1200];
	uint32_t n = make_string(body, 'x', 500);
	size_t size = make_message(message, 2, 1, "s", NULL, body, n);

	say(p, OK, strlen(OK));
	for (size_t i = 0; i < size && say(p, message + i, 1); i++)
		(void)nanosleep(&pause, NULL);
}

static void garbage(struct peer *p)
{
	char noise[64 * 1024];

	memset(noise, 0xa5, sizeof(noise));
	while (say(p, noise, sizeof(noise)))
		;
}

static void endless_authentication(struct peer *p)
{
	while (say(p, "DATA\r\n", 6))
		;
}

static void four_gib(struct peer *p)
{
	say(p, OK, strlen(OK));
	say(p, "l\2\0\1\377\377\377\377\1\0\0\0\0\0\0\0", 16);
	hear_until_end(p);
}

static void wrong_signature(struct peer *p)
{
	say(p, OK, strlen(OK));
	say_reply(p, 2, 1, "u", NULL, "\1\0\0\0", 4);
	hear_until_end(p);
}

static void two_strings(struct peer *p)
{
	say(p, OK, strlen(OK));
	say_reply(p, 2, 1, "ss", NULL, "\1\0\0\0a\0\0\0\1\0\0\0b", 14);
	hear_until_end(p);
}

static void lying_lengths(struct peer *p)
{
	say(p, OK, strlen(OK));
	say_reply(p, 2, 1, "s", NULL, "\377\377\0\0ab", 7);
	hear_until_end(p);
}

static void not_utf8(struct peer *p)
{
	char body[64];
	uint32_t n = make_string(body, '\377', 9);

	say(p, OK, strlen(OK));
	say_reply(p, 2, 1, "s", NULL, body, n);
	hear_until_end(p);
}

static void loud_error(struct peer *p)
{
	_cleanup_free_ char *body = malloc(GUEST_REPLY_MAX + 16);
	uint32_t n = make_string(body, '\033', GUEST_REPLY_MAX);

	say(p, OK, strlen(OK));
	say_reply(p, 3, 1, "s", "a.b.Failed", body, n);
	hear_until_end(p);
}

static void flood_of_signals(struct peer *p)
{
	static const char signal[] =
		"l\4\1\1\0\0\0\0\1\0\0\0\51\0\0\0"
		"\1\1o\0\2\0\0\0/a\0\0\0\0\0\0\2\1s\0\3\0\0\0a.b\0\0\0\0\0\3\1s\0\1\0\0\0c";
	char message[64] = { 0 };

	memcpy(message, signal, sizeof(signal) - 1);
	put_u32(message + 12, 42);
	say(p, OK, strlen(OK));
	while (say(p, message, 16 + 48))
		;
}

static void closes_in_the_middle(struct peer *p)
{
	char chunk[4096];

	say(p, OK, strlen(OK));
	say(p, "l\2\0\1\1\0\0\0", 8);
	(void)recv(p->fd, chunk, sizeof(chunk), 0);
}

static void closes_at_once(struct peer *p)
{
	(void)p;
}

static void wrong_serial_for_ever(struct peer *p)
{
	const struct timespec pause = { .tv_nsec = 5 * 1000000 };
	char body[64], message[512];
	uint32_t n = make_string(body, 'x', 9);
	size_t size = make_message(message, 2, 77777, "s", NULL, body, n);

	say(p, OK, strlen(OK));
	while (say(p, message, size))
		(void)nanosleep(&pause, NULL);
}

static void calls_us(struct peer *p)
{
	say(p, OK, strlen(OK));
	say_reply(p, 1, 1, "", NULL, "", 0);
	hear_until_end(p);
}

static int answer(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	_cleanup_free_ char *long_text = NULL;
	const char *text = "";

	(void)userdata;
	if (streq(sd_bus_message_get_member(m), "Fail"))
		return sd_bus_error_setf(error, "a.b.Failed", "cannot:\n\033[31m%s", "ä");
	if (streq(sd_bus_message_get_member(m), "Large")) {
		long_text = malloc(GUEST_REPLY_MAX + 1);
		memset(long_text, 'y', GUEST_REPLY_MAX);
		long_text[GUEST_REPLY_MAX] = '\0';
		return sd_bus_reply_method_return(m, "s", long_text);
	}
	if (sd_bus_message_has_signature(m, "s") && sd_bus_message_read(m, "s", &text) < 0)
		return -EBADMSG;
	return sd_bus_reply_method_return(m, "s", text);
}

static void honest(struct peer *p)
{
	static const sd_bus_vtable vtable[] = {
		SD_BUS_VTABLE_START(0),
		SD_BUS_METHOD("Status", "", "s", answer, SD_BUS_VTABLE_UNPRIVILEGED),
		SD_BUS_METHOD("Fail", "", "s", answer, SD_BUS_VTABLE_UNPRIVILEGED),
		SD_BUS_METHOD("Large", "", "s", answer, SD_BUS_VTABLE_UNPRIVILEGED),
		SD_BUS_METHOD("SetDocument", "s", "s", answer, SD_BUS_VTABLE_UNPRIVILEGED),
		SD_BUS_VTABLE_END,
	};
	sd_id128_t id = { .bytes = { 1 } };
	sd_bus *bus = NULL;
	int fd = dup(p->fd);

	if (sd_bus_new(&bus) < 0 || sd_bus_set_fd(bus, fd, fd) < 0 ||
	    sd_bus_set_server(bus, 1, id) < 0 || sd_bus_set_anonymous(bus, 1) < 0 ||
	    sd_bus_add_object_vtable(bus, NULL, GUEST_OBJECT, GUEST_INTERFACE, vtable, p) < 0)
		abort();
	if (sd_bus_start(bus) >= 0) /* the caller may have gone already */
		while (sd_bus_process(bus, NULL) >= 0 && sd_bus_is_open(bus) > 0)
			if (sd_bus_wait(bus, 10 * 1000000) <= 0)
				break;
	sd_bus_close(bus);
	sd_bus_unref(bus);
}

/* ---- calling them ---- */

static int call_peer(void (*speak)(struct peer *p), const char *method, const char *argument,
		     char **ret, struct error *e)
{
	const struct guest_call_limits limits = { .timeout_ms = TIMEOUT_MS,
						  .authenticate_ms = TIMEOUT_MS };
	uint64_t start = channel_now();
	struct peer p = { .speak = speak };
	bool authenticated;
	int pair[2], r;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(fcntl(pair[0], F_SETFL, O_NONBLOCK), 0);
	p.fd = pair[1];
	assert_int_equal(pthread_create(&p.thread, NULL, run_peer, &p), 0);
	r = guest_call_on(pair[0], &limits, method, argument, &authenticated, ret, e);
	assert_in_range(channel_now() - start, 0, LATE_MS);
	close(pair[0]);
	pthread_join(p.thread, NULL);
	return r;
}

static void assert_refused(void (*speak)(struct peer *p), int code, const char *words)
{
	_cleanup_error_ struct error e = { 0 };
	char *reply = (char *)"untouched";

	assert_int_equal(call_peer(speak, "Status", NULL, &reply, &e), code);
	assert_string_equal(reply, "untouched");
	assert_non_null(e.what);
	if (!strstr(e.what, words))
		assert_string_equal(e.what, words); /* shows both */
}

static void an_honest_peer_is_heard(void **state)
{
	_cleanup_free_ char *status = NULL, *echo = NULL, *large = NULL;

	(void)state;
	assert_int_equal(call_peer(honest, "Status", NULL, &status, NULL), 0);
	assert_string_equal(status, "");
	assert_int_equal(call_peer(honest, "SetDocument", "{\"ü\": 1}\n", &echo, NULL), 0);
	assert_string_equal(echo, "{\"ü\": 1}\n");
	assert_int_equal(call_peer(honest, "Large", NULL, &large, NULL), 0);
	assert_int_equal(strlen(large), GUEST_REPLY_MAX);
}

static void an_error_of_the_guest_is_told_without_its_control_characters(void **state)
{
	_cleanup_error_ struct error e = { 0 }, unknown = { 0 };
	char *reply = NULL;

	(void)state;
	assert_int_equal(call_peer(honest, "Fail", NULL, &reply, &e), -EREMOTEIO);
	assert_non_null(strstr(e.what, "cannot:??[31m??"));
	assert_int_equal(call_peer(honest, "NoSuch", NULL, &reply, &unknown), -EREMOTEIO);
	assert_null(reply);
}

static void too_long_an_argument_is_not_sent(void **state)
{
	_cleanup_free_ char *text = malloc(GUEST_ARGUMENT_MAX + 2);
	char *reply = NULL;

	(void)state;
	memset(text, 'x', GUEST_ARGUMENT_MAX + 1);
	text[GUEST_ARGUMENT_MAX + 1] = '\0';
	assert_int_equal(call_peer(honest, "SetDocument", text, &reply, NULL), -E2BIG);
}

static void silence_ends_at_the_deadline(void **state)
{
	(void)state;
	assert_refused(silent, -ETIMEDOUT, "in time");
	assert_refused(byte_by_byte, -ETIMEDOUT, "in time");
	assert_refused(slow_but_well_formed, -ETIMEDOUT, "in time");
}

static void noise_is_refused(void **state)
{
	(void)state;
	assert_refused(garbage, -EPROTO, "authentication");
	assert_refused(endless_authentication, -EPROTO, "authentication");
	assert_refused(four_gib, -EPROTO, "4294967295");
	assert_refused(flood_of_signals, -EPROTO, "more than");
	assert_refused(wrong_serial_for_ever, -EPROTO, "more than");
	assert_refused(calls_us, -EPROTO, "method");
}

static void an_answer_of_another_form_is_refused(void **state)
{
	(void)state;
	assert_refused(wrong_signature, -EPROTO, "string");
	assert_refused(two_strings, -EPROTO, "string");
	assert_refused(lying_lengths, -EPROTO, "string");
	assert_refused(not_utf8, -EPROTO, "string");
}

static void a_loud_error_is_clipped(void **state)
{
	_cleanup_error_ struct error e = { 0 };
	char *reply = NULL;

	(void)state;
	assert_int_equal(call_peer(loud_error, "Status", NULL, &reply, &e), -EREMOTEIO);
	assert_in_range(strlen(e.what), 100, 500);
	assert_null(strchr(e.what, '\033'));
}

static void hanging_up_is_told(void **state)
{
	(void)state;
	assert_refused(closes_in_the_middle, -EPROTO, "middle");
	assert_refused(closes_at_once, -ECONNRESET, "hung up");
}

/* ---- by address ---- */

/* A /run of our own, so that the lock files of this machine's guests are left alone. */
static bool own_run_folder(void)
{
	return unshare(CLONE_NEWNS) == 0 &&
	       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("test", "/run", "tmpfs", 0, NULL) == 0;
}

struct listener {
	struct peer peer;
	pthread_t thread;
	int fd;
	int n_connections;
	int n_silent; /* so many connections are not answered */
};

static void *listen_on(void *userdata)
{
	struct listener *l = userdata;

	for (int i = 0; i < l->n_connections; i++) {
		struct peer p = { .fd = accept(l->fd, NULL, NULL) };

		p.speak = i < l->n_silent ? silent : honest;
		if (p.fd < 0)
			break;
		run_peer(&p);
	}
	return NULL;
}

static void start_listener(struct listener *l, const char *folder, const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	/* Binding has the limit that connecting must not have: go there. */
	assert_int_equal(chdir(folder), 0);
	strcpy(address.sun_path, name);
	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(l->fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(l->fd, 1), 0);
	assert_int_equal(pthread_create(&l->thread, NULL, listen_on, l), 0);
	assert_int_equal(chdir("/"), 0);
}

static void stop_listener(struct listener *l)
{
	shutdown(l->fd, SHUT_RDWR);
	pthread_join(l->thread, NULL);
	close(l->fd);
}

static void a_long_path_is_reached(void **state)
{
	char folder[] = "/run/"
			"0123456789012345678901234567890123456789012345678901234567890123456789"
			"01234567890123456789012345678901234567890123456789";
	struct listener l = { .n_connections = 1 };
	_cleanup_free_ char *reply = NULL, *path = NULL;

	if (!*(bool *)*state)
		skip();
	assert_int_equal(mkdir(folder, 0700), 0);
	start_listener(&l, folder, "agent.sock");
	assert_true(asprintf(&path, "%s/agent.sock", folder) > 0);
	assert_int_equal(guest_call("long", path, "Status", NULL, LATE_MS, &reply, NULL), 0);
	stop_listener(&l);
}

static void a_port_that_was_out_of_step_is_opened_again(void **state)
{
	struct listener l = { .n_connections = 2, .n_silent = 1 };
	_cleanup_free_ char *reply = NULL;

	if (!*(bool *)*state)
		skip();
	start_listener(&l, "/run", "again.sock");
	assert_int_equal(
		guest_call("again", "/run/again.sock", "Status", NULL, LATE_MS, &reply, NULL), 0);
	stop_listener(&l);
}

static void where_nobody_listens_is_an_error_at_once(void **state)
{
	_cleanup_error_ struct error none = { 0 }, odd = { 0 };
	char *reply = NULL;

	if (!*(bool *)*state)
		skip();
	assert_int_equal(
		guest_call("vnf0", "/run/none.sock", "Status", NULL, LATE_MS, &reply, &none),
		-ENOENT);
	assert_non_null(strstr(none.what, "vnf0"));
	assert_non_null(strstr(none.what, "/run/none.sock"));
	assert_int_equal(guest_call("vnf0", "vsock:2", "Status", NULL, LATE_MS, &reply, &odd),
			 -EINVAL);
}

static void a_second_caller_waits_for_the_first_within_its_deadline(void **state)
{
	char *reply = NULL;
	int lock;

	if (!*(bool *)*state)
		skip();
	lock = channel_lock("vnf0", channel_now(), NULL);
	assert_true(lock >= 0);
	assert_int_equal(guest_call("vnf0", "/run/none.sock", "Status", NULL, 50, &reply, NULL),
			 -ETIMEDOUT);
	close(lock);
	assert_int_equal(guest_call("vnf0", "/run/none.sock", "Status", NULL, 50, &reply, NULL),
			 -ENOENT);
}

static void the_address_is_what_qemu_was_started_with(void **state)
{
	struct desired_guest launched = { .name = "vnf0", .origin = GUEST_LAUNCH };
	struct desired_guest adopted = { .name = "vnf1",
					 .origin = GUEST_ADOPT,
					 .adopt.channel = "/run/x.sock" };
	struct arena a = { 0 };

	(void)state;
	assert_string_equal(guest_channel_address(&launched,
						  "qemu -device vhost-vsock-pci,guest-cid=4711 -S",
						  &a),
			    "vsock:4711");
	assert_string_equal(
		guest_channel_address(&launched, "qemu -device virtserialport,name=org.latencyd1.0",
				      &a),
		GUEST_RUN_DIRECTORY "/vnf0/agent.sock");
	assert_null(guest_channel_address(&launched, "qemu -S guest-cid=3", &a));
	assert_string_equal(guest_channel_address(&adopted, "qemu", &a), "/run/x.sock");
	arena_free(&a);
}

int main(void)
{
	static bool own_run;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_honest_peer_is_heard),
		cmocka_unit_test(an_error_of_the_guest_is_told_without_its_control_characters),
		cmocka_unit_test(too_long_an_argument_is_not_sent),
		cmocka_unit_test(silence_ends_at_the_deadline),
		cmocka_unit_test(noise_is_refused),
		cmocka_unit_test(an_answer_of_another_form_is_refused),
		cmocka_unit_test(a_loud_error_is_clipped),
		cmocka_unit_test(hanging_up_is_told),
		cmocka_unit_test_prestate(a_long_path_is_reached, &own_run),
		cmocka_unit_test_prestate(a_port_that_was_out_of_step_is_opened_again, &own_run),
		cmocka_unit_test_prestate(where_nobody_listens_is_an_error_at_once, &own_run),
		cmocka_unit_test_prestate(a_second_caller_waits_for_the_first_within_its_deadline,
					  &own_run),
		cmocka_unit_test(the_address_is_what_qemu_was_started_with),
	};

	own_run = own_run_folder();
	if (!own_run)
		fprintf(stderr, "# no mount namespace of its own: calls by address are skipped\n");
	return cmocka_run_group_tests(tests, NULL, NULL);
}

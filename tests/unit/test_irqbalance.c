/* Talking to irqbalance: against a server that answers as irqbalance 1.9.2 does. */
#include "fake_machine.h"

#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "actuators/actuation.h"
#include "actuators/execute.h"
#include "actuators/irqbalance.h"

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

/* What the server was told takes effect after @scans more questions, as irqbalance's scan does. */
static struct {
	int fd;
	pthread_t thread;
	char banned[64];    /* mask */
	char pending[64];   /* mask */
	char requests[512]; /* but "setup", one a line */
	int scans, left;
	bool silent;
	bool root_only; /* refuses every peer, as for one who is not root */
} server;

static bool peer_is_root(struct msghdr *msg)
{
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg);
	struct ucred cred;

	if (!cmsg || cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_CREDENTIALS)
		return false;
	memcpy(&cred, CMSG_DATA(cmsg), sizeof(cred));
	return !server.root_only && cred.uid == geteuid();
}

static void told(const char *list)
{
	_cleanup_cpuset_ struct cpuset set = { 0 };
	_cleanup_free_ char *mask = NULL;

	snprintf(server.requests + strlen(server.requests),
		 sizeof(server.requests) - strlen(server.requests), "%s\n", list);
	if (!streq(list, "NULL"))
		(void)cpuset_parse_list(list, 0, &set);
	mask = cpuset_format_mask(&set, 32);
	snprintf(server.pending, sizeof(server.pending), "%s", mask);
	server.left = server.scans;
}

static void answer(int fd, const char *request)
{
	const char *list = after_prefix(request, "settings cpus ");

	if (list)
		told(list);
	if (!streq(request, "setup"))
		return;
	if (server.left-- <= 0)
		memcpy(server.banned, server.pending, sizeof(server.banned));
	dprintf(fd, "SLEEP 1 IRQ 24 LOAD 0 DIFF 0 CLASS 3 BANNED %s", server.banned);
}

static void *serve(void *unused)
{
	for (;;) {
		union {
			char bytes[CMSG_SPACE(sizeof(struct ucred))];
			struct cmsghdr align;
		} control;
		char text[500] = "";
		struct iovec iov = { .iov_base = text, .iov_len = sizeof(text) - 1 };
		struct msghdr msg = {
			.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = control.bytes,
			.msg_controllen = sizeof(control.bytes),
		};
		_cleanup_close_ int fd = accept4(server.fd, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			return unused;
		if (recvmsg(fd, &msg, 0) > 0 && peer_is_root(&msg) && !server.silent)
			answer(fd, text);
		while (server.silent && recv(fd, text, sizeof(text), 0) > 0)
			;
	}
}

static int setup(void **state)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int one = 1;

	fake_setup(state);
	memset(&server, 0, sizeof(server));
	strcpy(server.banned, "00000000");
	strcpy(server.pending, "00000000");
	fake_write("/proc/17/comm", "kthreadd\n");
	fake_write("/proc/812/comm", "irqbalance\n");
	fake_write("/run/irqbalance/.keep", "");
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/run/irqbalance/irqbalance812.sock",
		 fake_root());
	server.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(server.fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(setsockopt(server.fd, SOL_SOCKET, SO_PASSCRED, &one, sizeof(one)), 0);
	assert_int_equal(listen(server.fd, 1), 0);
	return pthread_create(&server.thread, NULL, serve, NULL);
}

static int teardown(void **state)
{
	shutdown(server.fd, SHUT_RDWR);
	pthread_join(server.thread, NULL);
	close(server.fd);
	return fake_teardown(state);
}

static int execute(const char *want, enum step_result *ret, struct error *ret_error)
{
	struct outcome *outcomes;
	int r;

	fake_plan();
	fake_step(STEP_IRQBALANCE, "irq_affinity", "irqbalance", want);
	r = plan_execute(fake_plan_now(), NULL, NULL, NULL, &outcomes, NULL);
	assert_true(r >= 0);
	*ret = outcomes[0].result;
	error_move(ret_error, &outcomes[0].error);
	outcomes_free(outcomes, 1);
	return r;
}

static void running_irqbalance_is_found_by_name(void **state)
{
	(void)state;
	assert_int_equal(irqbalance_find(), 812);
	fake_write("/proc/812/comm", "irqbalance-ui\n");
	assert_int_equal(irqbalance_find(), 0);
}

static void setup_answer_is_parsed(void **state)
{
	_cleanup_cpuset_ struct cpuset banned = { 0 };
	_cleanup_free_ char *list = NULL;
	unsigned interval_s = 0;

	(void)state;
	strcpy(server.pending, "00000001,0000000c");
	assert_int_equal(irqbalance_ask(812, 1, &banned, &interval_s, NULL), 0);
	list = cpuset_format_list(&banned);
	assert_string_equal(list, "2-3,32");
	assert_int_equal(interval_s, 1);
}

static void told_and_waited_for_until_it_scans(void **state)
{
	enum step_result result;

	(void)state;
	server.scans = 3;
	assert_int_equal(execute("2-3", &result, NULL), 0);
	assert_int_equal(result, STEP_DONE);
	assert_string_equal(server.banned, "0000000c");
	assert_string_equal(server.requests, "2-3\n");
	assert_int_equal(execute("2-3", &result, NULL), 0);
	assert_int_equal(result, STEP_UNCHANGED);
	assert_string_equal(server.requests, "2-3\n");
}

static void what_the_administrator_banned_stays_banned(void **state)
{
	enum step_result result;

	(void)state;
	strcpy(server.pending, "00000080");
	assert_int_equal(execute("2-3", &result, NULL), 0);
	assert_int_equal(result, STEP_DONE);
	assert_string_equal(server.requests, "2-3,7\n");
	assert_int_equal(revert_all(NULL, NULL, NULL, NULL), 0);
	assert_string_equal(server.requests, "2-3,7\n7\n");
}

static void empty_original_is_given_back_to_its_configuration(void **state)
{
	enum step_result result;

	(void)state;
	assert_int_equal(execute("2-3", &result, NULL), 0);
	assert_int_equal(revert_all(NULL, NULL, NULL, NULL), 0);
	/* never an empty list: irqbalance would crash */
	assert_string_equal(server.requests, "2-3\nNULL\n");
}

static void irqbalance_that_never_does_it_is_an_error_in_bounded_time(void **state)
{
	_cleanup_error_ struct error e = { 0 };
	enum step_result result;

	(void)state;
	server.scans = 1000;
	assert_int_equal(execute("2-3", &result, &e), 1);
	assert_int_equal(result, STEP_FAILED);
	assert_int_equal(e.code, -ETIMEDOUT);
	assert_string_equal(e.todo, "have it stopped instead: irq_affinity: {irqbalance: stopped}");
}

static void closed_without_an_answer_is_told(void **state)
{
	_cleanup_error_ struct error e = { 0 };
	_cleanup_cpuset_ struct cpuset banned = { 0 };
	unsigned interval_s;

	(void)state;
	server.root_only = true;
	assert_int_equal(irqbalance_ask(812, 1, &banned, &interval_s, &e), -EBADMSG);
	assert_string_equal(e.todo, "only root gets an answer; run this as root");
}

static void silent_irqbalance_times_out(void **state)
{
	_cleanup_error_ struct error e = { 0 };
	_cleanup_cpuset_ struct cpuset banned = { 0 };
	unsigned interval_s;

	(void)state;
	server.silent = true;
	assert_int_equal(irqbalance_ask(812, 1, &banned, &interval_s, &e), -ETIMEDOUT);
}

static void irqbalance_that_ended_is_told(void **state)
{
	_cleanup_error_ struct error e = { 0 };
	enum step_result result;

	(void)state;
	fake_remove("/proc/812/comm");
	assert_int_equal(execute("2-3", &result, &e), 1);
	assert_string_equal(e.what, "irqbalance does not run any more");
}

static void too_long_a_list_is_refused_not_cut(void **state)
{
	_cleanup_cpuset_ struct cpuset odd = { 0 };

	(void)state;
	for (unsigned cpu = 1; cpu < 400; cpu += 2)
		assert_int_equal(cpuset_add(&odd, cpu), 0);
	assert_int_equal(irqbalance_tell(812, &odd, NULL), -E2BIG);
	assert_string_equal(server.requests, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(running_irqbalance_is_found_by_name),
		TEST(setup_answer_is_parsed),
		TEST(told_and_waited_for_until_it_scans),
		TEST(what_the_administrator_banned_stays_banned),
		TEST(empty_original_is_given_back_to_its_configuration),
		TEST(irqbalance_that_never_does_it_is_an_error_in_bounded_time),
		TEST(closed_without_an_answer_is_told),
		TEST(silent_irqbalance_times_out),
		TEST(irqbalance_that_ended_is_told),
		TEST(too_long_a_list_is_refused_not_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

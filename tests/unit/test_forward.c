/*
 * Our nftables table in a network namespace of its own: what is written is read back, nothing
 * foreign passes for ours, and real connections go through or do not.
 */
#include "guest/forward.h"
#include "guest/step.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cmocka.h>

#define PORT   5555
#define FILTER "5555 from 10.1.0.0/24, ::1"
#define TO     "5555 to 10.3.0.2 from 10.1.0.0/24"

static int own_net = -1; /* the namespace that stands for the host; -1: there is none */

static int run(const char *command)
{
	char *const argv[] = { (char *)"sh", (char *)"-c", (char *)command, NULL };
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		execv("/bin/sh", argv);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int new_net(void)
{
	int fd;

	if (unshare(CLONE_NEWNET) < 0)
		return -1;
	fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || run("PATH=$PATH:/sbin:/usr/sbin; ip link set lo up") != 0)
		return -1;
	return fd;
}

static int setup(void **state)
{
	(void)state;
	if (geteuid() == 0)
		own_net = new_net();
	return 0;
}

static void need_net(void)
{
	_cleanup_error_ struct error e = { 0 };

	if (own_net < 0) {
		print_message("needs root, a network namespace and ip(8)\n");
		skip();
	}
	assert_int_equal(setns(own_net, CLONE_NEWNET), 0);
	if (forward_set(NULL, &e) < 0) {
		print_message("needs nftables in the kernel: %s\n", e.what);
		skip();
	}
}

static void set(const char *text, int expected)
{
	_cleanup_error_ struct error e = { 0 };
	int r = forward_set(text, &e);

	if (r < 0)
		print_message("%s\n", e.what);
	assert_int_equal(r, expected);
}

static void expect(enum fact_state state, const char *text)
{
	struct arena a = { 0 };
	struct fact fact;

	assert_int_equal(forward_read(&a, &fact), 0);
	assert_int_equal(fact.state, state);
	if (text)
		assert_string_equal(fact.text, text);
	else
		assert_null(fact.text);
	arena_free(&a);
}

static int nft(const char *command)
{
	_cleanup_free_ char *line = NULL;

	assert_true(asprintf(&line, "PATH=$PATH:/sbin:/usr/sbin; nft '%s' >/dev/null 2>&1",
			     command) > 0);
	return run(line);
}

static void no_table_is_absent_and_removing_it_changes_nothing(void **state)
{
	(void)state;
	need_net();
	expect(FACT_ABSENT, NULL);
	set(NULL, 0);
	set("", 0);
}

static void what_is_set_is_read_back_once(void **state)
{
	(void)state;
	need_net();
	set(FILTER, 1);
	expect(FACT_KNOWN, FILTER);
	set(FILTER, 0);
	expect(FACT_KNOWN, FILTER);
	set(NULL, 1);
	expect(FACT_ABSENT, NULL);
}

static void several_lines_and_both_families_are_read_back(void **state)
{
	static const char *const texts[] = {
		"22 from 0.0.0.0/0, ::/0",
		TO,
		"1 from 10.0.0.1\n65535 from fe80::1",
		"5555 to 10.3.0.2 from 10.1.0.0/24, fc00::/7\n5556 to fc00::5 from fc00::/7, "
		"127.0.0.0/8\n5557 from ::1",
		/* no source can reach this address */
		"5555 to fc00::5 from 10.1.0.0/24",
	};

	(void)state;
	need_net();
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		set(texts[i], 1);
		expect(FACT_KNOWN, texts[i]);
		set(texts[i], 0);
	}
}

static void changed_sources_replace_the_old_ones(void **state)
{
	(void)state;
	need_net();
	set(FILTER, 1);
	set("5555 from 10.2.0.0/16", 1);
	expect(FACT_KNOWN, "5555 from 10.2.0.0/16");
}

static void networks_are_kept_as_the_kernel_does(void **state)
{
	(void)state;
	need_net();
	set("5555 from 10.1.2.3/8, 0:0::1", 1);
	expect(FACT_KNOWN, "5555 from 10.0.0.0/8, ::1");
	set("5555 from 10.1.2.3/8, 0:0::1", 0);
}

static void what_is_no_table_is_refused_and_nothing_changes(void **state)
{
	static const char *const bad[] = {
		"5555",
		"5555 from ",
		"5555 from 10.0.0.0/33",
		"5555 from 10.0.0",
		"0 from 10.0.0.1",
		"65536 from 10.0.0.1",
		"5555; flush ruleset from 10.0.0.1",
		"5555 from 10.0.0.1\"}; flush",
		"5555 to 10.0.0.0/8 from 10.0.0.1",
		"5555 to guest from 10.0.0.1",
		"-1 from 10.0.0.1",
		"5555 from @set",
	};

	(void)state;
	need_net();
	set(FILTER, 1);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_error_ struct error e = { 0 };

		assert_int_equal(forward_set(bad[i], &e), -EINVAL);
		assert_non_null(e.what);
	}
	expect(FACT_KNOWN, FILTER);
}

/* Each changes a table of ours by one thing. */
static void foreign_rules_never_pass_for_ours(void **state)
{
	static const char *const changes[] = {
		"insert rule inet latencyd input accept",
		"insert rule inet latencyd input tcp dport 5555 accept",
		"insert rule inet latencyd input ip saddr 10.9.0.0/16 tcp dport 1-6000 accept",
		"insert rule inet latencyd input tcp dport 5555 ip saddr 10.9.0.0/16 counter "
		"accept",
		"insert rule inet latencyd input ip saddr 10.9.0.0/16 udp dport 5555 accept",
		"add rule inet latencyd input tcp dport 5555 drop",
		"add rule inet latencyd input tcp dport 5555 drop comment \"latencyd\"",
		"add chain inet latencyd other",
		"add set inet latencyd s { type ipv4_addr; }",
		"chain inet latencyd input { policy drop; }",
		"table inet latencyd { flags dormant; }",
	};

	(void)state;
	need_net();
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		struct arena a = { 0 };
		struct fact fact;

		set(FILTER, 1);
		assert_int_equal(nft(changes[i]), 0);
		assert_int_equal(forward_read(&a, &fact), 0);
		if (fact.state != FACT_UNREADABLE)
			fail_msg("not seen: %s", changes[i]);
		arena_free(&a);
	}
	set(FILTER, 1);
	expect(FACT_KNOWN, FILTER);
}

static void a_rule_in_our_form_is_read_as_what_it_does(void **state)
{
	(void)state;
	need_net();
	set("5555 from 10.1.0.0/24", 1);
	assert_int_equal(nft("insert rule inet latencyd input ip saddr 10.9.0.0/16 tcp dport 5555 "
			     "accept"),
			 0);
	expect(FACT_KNOWN, "5555 from 10.9.0.0/16, 10.1.0.0/24");
}

static void an_emptied_table_is_not_the_wanted_one(void **state)
{
	(void)state;
	need_net();
	set(FILTER, 1);
	assert_int_equal(nft("flush chain inet latencyd input"), 0);
	expect(FACT_KNOWN, "");
	set(FILTER, 1);
	assert_int_equal(nft("flush chain inet latencyd input"), 0);
	set(NULL, 1);
	expect(FACT_ABSENT, NULL);
}

static void other_tables_are_left_alone(void **state)
{
	(void)state;
	need_net();
	assert_int_equal(nft("add table inet theirs"), 0);
	set(FILTER, 1);
	set(NULL, 1);
	assert_int_equal(nft("list table inet theirs"), 0);
	assert_int_equal(nft("delete table inet theirs"), 0);
}

static void without_privilege_it_is_denied_and_not_absent(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	need_net();
	set(FILTER, 1);
	pid = fork();
	if (pid == 0) {
		struct arena a = { 0 };
		struct fact fact = { 0 };
		bool denied;

		if (setuid(65534) < 0 || forward_read(&a, &fact) < 0)
			_exit(2);
		denied = fact.state == FACT_DENIED;
		arena_free(&a);
		_exit(denied ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static int launch(const struct desired_guest *g)
{
	static const char *const argv[] = { "/nonexistent", NULL };
	_cleanup_error_ struct error e = { 0 };
	struct step s = { .kind = STEP_GUEST_LAUNCH, .guest = g, .argv = argv };
	int r = guest_step(&s, &e);

	assert_non_null(e.what);
	return r;
}

/* -EPERM: not even tried; -ENOENT: tried, but there is no such disk. */
static void no_guest_is_launched_whose_port_nobody_guards(void **state)
{
	const char *world = "10.1.0.0/24", *own = "127.0.0.0/8";
	struct desired_guest g = {
		.name = "test-forward",
		.origin = GUEST_LAUNCH,
		.launch = { .disk = "/nonexistent/disk" },
		.ssh = { .host_port = PORT, .from = &world, .n_from = 1 },
	};

	(void)state;
	need_net();
	assert_int_equal(launch(&g), -EPERM);
	set("5555 from 10.9.0.0/16", 1);
	assert_int_equal(launch(&g), -EPERM);
	set("5555 from 10.1.0.0/24", 1);
	assert_int_equal(launch(&g), -ENOENT);
	assert_int_equal(nft("insert rule inet latencyd input accept"), 0);
	assert_int_equal(launch(&g), -EPERM);
	set(NULL, 1);
	g.ssh.from = &own; /* QEMU listens on loopback only */
	assert_int_equal(launch(&g), -ENOENT);
}

/* ---- traffic ---- */

enum { ALLOWED, OTHER, GUEST, N_NETS };
static int nets[N_NETS] = { -1, -1, -1 };

static void in(int net)
{
	assert_int_equal(setns(net, CLONE_NEWNET), 0);
}

/* Namespace i has 10.(i+1).0.2 and reaches the host at 10.(i+1).0.1. */
static bool wire(int i)
{
	_cleanup_free_ char *line = NULL;

	nets[i] = new_net();
	in(own_net);
	if (nets[i] < 0 ||
	    asprintf(&line,
		     "PATH=$PATH:/sbin:/usr/sbin; ip link add w%d type veth peer name eth0 netns "
		     "/proc/%d/fd/%d && ip addr add 10.%d.0.1/24 dev w%d && ip link set w%d up",
		     i, getpid(), nets[i], i + 1, i, i) < 0 ||
	    run(line) != 0)
		return false;
	free(line);
	line = NULL;
	in(nets[i]);
	if (asprintf(&line,
		     "PATH=$PATH:/sbin:/usr/sbin; ip addr add 10.%d.0.2/24 dev eth0 && ip link set "
		     "eth0 up%s%d.0.1",
		     i + 1, i == GUEST ? " # " : " && ip route add default via 10.", i + 1) < 0 ||
	    run(line) != 0)
		return false;
	in(own_net);
	return true;
}

static void need_wires(void)
{
	need_net();
	for (int i = 0; i < N_NETS; i++)
		if (nets[i] < 0 && !wire(i)) {
			in(own_net);
			print_message("needs veth pairs between network namespaces\n");
			skip();
		}
	assert_int_equal(run("echo 1 >/proc/sys/net/ipv4/ip_forward"), 0);
}

static struct sockaddr_in address(const char *text, unsigned port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };

	assert_int_equal(inet_pton(AF_INET, text, &a.sin_addr), 1);
	return a;
}

static int listen_in(int net, unsigned port)
{
	const struct sockaddr_in a = address("0.0.0.0", port);
	int fd, one = 1;

	in(net);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	assert_int_equal(bind(fd, (const struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 8), 0);
	in(own_net);
	return fd;
}

/* A connected socket of the namespace @net, or -1: nobody answered within a second. */
static int connect_from(int net, const char *to)
{
	const struct sockaddr_in a = address(to, PORT);
	socklen_t n = sizeof(int);
	struct pollfd p = { .events = POLLOUT };
	int error = 0;

	in(net);
	p.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	in(own_net);
	assert_true(p.fd >= 0);
	(void)!connect(p.fd, (const struct sockaddr *)&a, sizeof(a));
	if (poll(&p, 1, 1000) == 1 && getsockopt(p.fd, SOL_SOCKET, SO_ERROR, &error, &n) == 0 &&
	    error == 0)
		return p.fd;
	close(p.fd);
	return -1;
}

static void only_named_sources_reach_the_port(void **state)
{
	int server, fd;

	(void)state;
	need_wires();
	server = listen_in(own_net, PORT);
	fd = connect_from(nets[OTHER], "10.2.0.1"); /* the wires themselves work */
	assert_true(fd >= 0);
	close(fd);
	set("5555 from 10.1.0.0/24", 1);
	fd = connect_from(nets[ALLOWED], "10.1.0.1");
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(connect_from(nets[OTHER], "10.2.0.1"), -1);
	assert_int_equal(connect_from(own_net, "127.0.0.1"), -1);
	set("5555 from 127.0.0.0/8", 1);
	assert_int_equal(connect_from(nets[ALLOWED], "10.1.0.1"), -1);
	fd = connect_from(own_net, "127.0.0.1");
	assert_true(fd >= 0);
	close(fd);
	set(NULL, 1);
	fd = connect_from(nets[OTHER], "10.2.0.1");
	assert_true(fd >= 0);
	close(fd);
	close(server);
}

static void the_port_leads_to_the_guest_for_named_sources(void **state)
{
	int server, fd;

	(void)state;
	need_wires();
	server = listen_in(nets[GUEST], 22);
	assert_int_equal(connect_from(nets[ALLOWED], "10.1.0.1"), -1);
	set(TO, 1);
	expect(FACT_KNOWN, TO);
	fd = connect_from(nets[ALLOWED], "10.1.0.1");
	assert_true(fd >= 0);
	close(fd);
	/* the host itself, by an address of its own that is a named source */
	fd = connect_from(own_net, "10.1.0.1");
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(connect_from(nets[OTHER], "10.2.0.1"), -1);
	close(server);
}

static void only_what_is_for_this_machine_is_translated(void **state)
{
	int guest, other, fd;

	(void)state;
	need_wires();
	guest = listen_in(nets[GUEST], 22);
	other = listen_in(nets[OTHER], PORT);
	set(TO, 1);
	/* routed by us to another machine's port of that number */
	fd = connect_from(nets[ALLOWED], "10.2.0.2");
	assert_true(fd >= 0);
	assert_int_equal(poll(&(struct pollfd){ .fd = other, .events = POLLIN }, 1, 1000), 1);
	assert_int_equal(poll(&(struct pollfd){ .fd = guest, .events = POLLIN }, 1, 0), 0);
	close(fd);
	close(guest);
	close(other);
}

static void a_source_that_is_dropped_loses_its_connection(void **state)
{
	int server, fd, accepted;
	char byte;

	(void)state;
	need_wires();
	server = listen_in(nets[GUEST], 22);
	set(TO, 1);
	fd = connect_from(nets[ALLOWED], "10.1.0.1");
	assert_true(fd >= 0);
	accepted = accept4(server, NULL, NULL, SOCK_CLOEXEC);
	assert_true(accepted >= 0);
	assert_int_equal(send(fd, "a", 1, 0), 1);
	assert_int_equal(recv(accepted, &byte, 1, 0), 1);
	set("5555 to 10.3.0.2 from 10.9.0.0/24", 1);
	assert_int_equal(send(fd, "b", 1, 0), 1);
	assert_int_equal(poll(&(struct pollfd){ .fd = accepted, .events = POLLIN }, 1, 1000), 0);
	close(fd);
	close(accepted);
	close(server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_table_is_absent_and_removing_it_changes_nothing),
		cmocka_unit_test(what_is_set_is_read_back_once),
		cmocka_unit_test(several_lines_and_both_families_are_read_back),
		cmocka_unit_test(changed_sources_replace_the_old_ones),
		cmocka_unit_test(networks_are_kept_as_the_kernel_does),
		cmocka_unit_test(what_is_no_table_is_refused_and_nothing_changes),
		cmocka_unit_test(foreign_rules_never_pass_for_ours),
		cmocka_unit_test(a_rule_in_our_form_is_read_as_what_it_does),
		cmocka_unit_test(an_emptied_table_is_not_the_wanted_one),
		cmocka_unit_test(other_tables_are_left_alone),
		cmocka_unit_test(without_privilege_it_is_denied_and_not_absent),
		cmocka_unit_test(no_guest_is_launched_whose_port_nobody_guards),
		cmocka_unit_test(only_named_sources_reach_the_port),
		cmocka_unit_test(the_port_leads_to_the_guest_for_named_sources),
		cmocka_unit_test(only_what_is_for_this_machine_is_translated),
		cmocka_unit_test(a_source_that_is_dropped_loses_its_connection),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}

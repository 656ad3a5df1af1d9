/* Who may reach the guests' ssh ports, as the host judges and plans it. */
#include "tests/unit/guest_rows_fixture.h"

static void the_forward_is_there_once(void **state)
{
	static const char rule[] = "5555 from 127.0.0.0/8";
	struct fixture *f = *state;

	rows_run_launched(f);
	f->o.forwards = rows_not_known(FACT_ABSENT);
	rows_assert_verdict(f, "guest_ssh", VERDICT_DRIFTED, "no rule");
	rows_assert_steps(
		f, arena_printf(&f->o.arena, "forward table inet latencyd: - -> %s\n", rule));
	f->o.forwards = rows_known(arena_printf(&f->o.arena, "%s\n%s", rule, rule));
	rows_assert_verdict(f, "guest_ssh", VERDICT_DRIFTED, "there twice");
	rows_assert_steps(f, arena_printf(&f->o.arena, "forward table inet latencyd: %s -> %s\n",
					  f->o.forwards.text, rule));
	f->o.forwards = rows_known("5555 from 127.0.0.0/8, 10.0.0.0/8");
	rows_assert_verdict(f, "guest_ssh", VERDICT_DRIFTED, "another");
	f->o.forwards = rows_not_known(FACT_DENIED);
	rows_assert_verdict(f, "guest_ssh", VERDICT_UNKNOWN, NULL);
	rows_assert_steps(f, "");
	f->o.forwards = rows_not_known(FACT_UNREADABLE);
	f->o.forwards.error = EEXIST;
	rows_assert_verdict(f, "guest_ssh", VERDICT_DRIFTED, "not ours");
	rows_assert_steps(
		f, arena_printf(&f->o.arena, "forward table inet latencyd: - -> %s\n", rule));
}

static void a_dropped_guests_forward_is_removed(void **state)
{
	struct fixture *f = *state;

	rows_run_launched(f);
	f->o.forwards = rows_known("5555 from 127.0.0.0/8\n6666 from 10.0.0.0/8");
	rows_assert_verdict(f, "guest_ssh", VERDICT_CONVERGED, NULL);
	rows_assert_steps(f, arena_printf(&f->o.arena, "forward table inet latencyd: %s -> %s\n",
					  f->o.forwards.text, "5555 from 127.0.0.0/8"));
	desired_done(&f->d);
	f->d = (struct desired){ .no_machine = true };
	rows_assert_steps(f, arena_printf(&f->o.arena, "forward table inet latencyd: %s -> -\n",
					  f->o.forwards.text));
	f->o.forwards = rows_not_known(FACT_ABSENT);
	rows_assert_steps(f, "");
	/* what is not surely ours stays */
	f->o.forwards = rows_not_known(FACT_UNREADABLE);
	rows_assert_steps(f, "");
}

static void forwards_stand_by_port_whatever_the_documents_order(void **state)
{
	struct fixture *f = *state;
	struct arena a = { 0 };

	rows_read_document(f,
			   "guests:\n"
			   "  - {name: a, launch: {disk: /a, memory: 1G}, vcpus: [{cpu: 1}], ssh: "
			   "{host_port: 10022, from: [192.0.2.0/24]}}\n"
			   "  - {name: b, adopt: {domain: b}, vcpus: [{cpu: 2}], ssh: {host_port: "
			   "5555, guest_address: 192.0.2.9, from: [\"::1\"]}}\n");
	assert_string_equal(forwards_wanted(&f->d, &a), "5555 to 192.0.2.9 from ::1\n"
							"10022 from 192.0.2.0/24");
	arena_free(&a);
}

static void networks_are_worded_as_the_kernel_gives_them_back(void **state)
{
	struct fixture *f = *state;
	struct arena a = { 0 };

	rows_read_document(
		f, "guests: [{name: a, adopt: {domain: a}, vcpus: [{cpu: 1}], ssh: {host_port: "
		   "22, guest_address: 192.0.2.9, from: [10.1.2.3/8, 192.0.2.1/32, 0.0.0.0/0, "
		   "\"2001:DB8:0::1/33\", \"0:0::1\"]}}]\n");
	assert_string_equal(
		forwards_wanted(&f->d, &a),
		"22 to 192.0.2.9 from 10.0.0.0/8, 192.0.2.1, 0.0.0.0/0, 2001:db8::/33, ::1");
	arena_free(&a);
}

/* ---- the guest's own word ---- */

#define T(name) cmocka_unit_test_setup_teardown(name, rows_setup, rows_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_forward_is_there_once),
		T(a_dropped_guests_forward_is_removed),
		T(forwards_stand_by_port_whatever_the_documents_order),
		T(networks_are_worded_as_the_kernel_gives_them_back),
	};

	return cmocka_run_group_tests_name("guest_row_ssh", tests, NULL, NULL);
}

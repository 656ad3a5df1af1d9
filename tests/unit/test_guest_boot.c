/*
 * Host and guest on simulated machines: what waits for the host's reboot, and a guest whose boot is
 * its host's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "state/guest.h"
#include "state/plan.h"
#include "state/settings.h"
#include "state/verdict.h"
#include "tests/unit/sim_fixture.h"

struct both {
	struct sim sim;
	struct desired d;
	struct observed o;
};

static void look_at(struct both *b, bool converged, const char *text)
{
	gen_full_machine(&b->sim, 4);
	sim_read_document(&b->sim, &b->d, text);
	if (converged)
		sim_converge(&b->sim, &b->d);
	sim_observe(&b->sim, &b->o);
}

static void both_done(struct both *b)
{
	observed_done(&b->o);
	desired_done(&b->d);
	sim_done(&b->sim);
}

static const struct step *step_of(const struct plan *p, enum step_kind kind)
{
	for (size_t i = 0; i < p->n_steps; i++)
		if (p->steps[i].kind == kind)
			return &p->steps[i];
	return NULL;
}

static void launches_wait_for_the_hosts_reboot(void **state)
{
	struct arena a = { 0 };
	const char *text = arena_printf(
		&a,
		"%sguests: [{name: vnf0, launch: {disk: /g.raw, memory: 1G}, vcpus: [{cpu: 2}]}]\n",
		gen_full_document);
	struct observed_guest seen = { .name = "vnf0", .process = { .state = FACT_ABSENT } };

	(void)state;
	for (int converged = 0; converged < 2; converged++) {
		_cleanup_(both_done) struct both b = { 0 };
		_cleanup_plan_ struct plan p = { 0 };

		look_at(&b, converged, text);
		b.o.guests = &seen;
		b.o.n_guests = 1;
		b.o.qemu.state = FACT_KNOWN;
		assert_int_equal(plan_make(&b.d, &b.o, &p), 0);
		assert_int_equal(!step_of(&p, STEP_REBOOT), converged);
		assert_int_equal(!!step_of(&p, STEP_GUEST_LAUNCH), converged);
		assert_null(step_of(&p, STEP_GUEST_STOP));
	}
	arena_free(&a);
}

/* gen_full_document as a guest's. */
static char *guest_document(struct arena *a, const char *more)
{
	const char *at = strstr(gen_full_document, "host:");

	return arena_printf(a, "%.*sguest:%s%s", (int)(at - gen_full_document), gen_full_document,
			    at + strlen("host:"), more);
}

static void a_guest_leaves_the_iommu_to_its_host(void **state)
{
	_cleanup_(both_done) struct both b = { 0 };
	_cleanup_report_ struct report r = { 0 };
	_cleanup_plan_ struct plan p = { 0 };
	struct arena a = { 0 };
	const struct setting_verdict *v;

	(void)state;
	look_at(&b, false, guest_document(&a, ""));
	assert_int_equal(judge(&b.d, &b.o, &r), 0);
	v = &r.settings[setting_index(setting_by_name("iommu"))];
	assert_int_equal(v->verdict, VERDICT_NOT_APPLICABLE);
	assert_string_equal(v->reason, "its host does this");
	assert_int_equal(plan_make(&b.d, &b.o, &p), 0);
	for (size_t i = 0; i < p.n_steps; i++)
		assert_false(p.steps[i].setting && p.steps[i].setting->host_only);
	for (size_t i = 0; i < p.boot.n_args; i++)
		assert_false(p.boot.owners[i] && p.boot.owners[i]->host_only);
	assert_non_null(step_of(&p, STEP_BOOT_ARG));
	assert_non_null(step_of(&p, STEP_REBOOT));
	arena_free(&a);
}

/* Converged under a boot loader of its own, seen without one: as under -kernel. */
static void look_without_a_loader(struct both *b, struct arena *a)
{
	look_at(b, true, guest_document(a, ""));
	b->d.boot_by_host = true;
	b->o.boot = (struct observed_boot){
		.grub_cfg = { .state = FACT_ABSENT, .path = "/boot/grub/grub.cfg" },
		.next_cmdline = { .state = FACT_ABSENT, .path = "/boot/grub/grub.cfg" },
		.next_kernel = { .state = FACT_ABSENT, .path = "/boot/grub/grub.cfg" },
		.drop_in = { .state = FACT_ABSENT, .path = BOOT_DROP_IN },
		.kernels = b->o.boot.kernels,
		.n_kernels = b->o.boot.n_kernels,
	};
}

static void assert_no_boot_step(const struct both *b)
{
	_cleanup_plan_ struct plan p = { 0 };

	assert_int_equal(plan_make(&b->d, &b->o, &p), 0);
	assert_false(p.needs_reboot);
	assert_null(step_of(&p, STEP_REBOOT));
	assert_null(step_of(&p, STEP_BOOT_ARG));
	assert_null(step_of(&p, STEP_BOOT_DEFAULT));
	assert_null(step_of(&p, STEP_PACKAGE));
}

static void a_guest_without_a_boot_loader_is_verified_by_what_runs(void **state)
{
	_cleanup_(both_done) struct both b = { 0 };
	_cleanup_report_ struct report r = { 0 };
	_cleanup_plan_ struct plan p = { 0 };
	struct arena a = { 0 };

	(void)state;
	look_without_a_loader(&b, &a);
	b.o.package = (struct fact){ .state = FACT_ABSENT, .path = "/var/lib/dpkg/status" };
	assert_int_equal(judge(&b.d, &b.o, &r), 0);
	for (size_t i = 0; i < r.n_settings; i++)
		if (r.settings[i].verdict != VERDICT_CONVERGED &&
		    r.settings[i].verdict != VERDICT_NOT_APPLICABLE)
			fail_msg("%s is %s: %s", r.settings[i].setting->name,
				 verdict_name(r.settings[i].verdict), r.settings[i].reason);
	assert_int_equal(r.verdict, MACHINE_VERIFIED);
	assert_int_equal(plan_make(&b.d, &b.o, &p), 0);
	assert_int_equal(p.n_steps, 0);
	arena_free(&a);
}

static void arguments_that_the_host_did_not_give_wait_for_it(void **state)
{
	_cleanup_(both_done) struct both b = { 0 };
	_cleanup_report_ struct report r = { 0 };
	const struct setting_verdict *v;
	struct arena a = { 0 };
	const char *at;

	(void)state;
	look_without_a_loader(&b, &a);
	at = strstr(b.o.cmdline.text, "rcu_nocbs=");
	assert_non_null(at);
	b.o.cmdline.text = arena_printf(&a, "%.*s%s", (int)(at - b.o.cmdline.text),
					b.o.cmdline.text, at + strcspn(at, " "));
	assert_int_equal(judge(&b.d, &b.o, &r), 0);
	v = &r.settings[setting_index(setting_by_name("rcu_offload"))];
	assert_string_equal(verdict_name(v->verdict), "pending-reboot");
	assert_non_null(strstr(v->reason, "apply there"));
	assert_false(v->needs_boot);
	assert_int_equal(r.verdict, MACHINE_PENDING_REBOOT);
	assert_no_boot_step(&b);
	arena_free(&a);
}

static void what_all_arguments_cannot_give_waits_for_no_boot(void **state)
{
	_cleanup_(both_done) struct both b = { 0 };
	_cleanup_report_ struct report r = { 0 };
	const struct setting_verdict *v;
	struct arena a = { 0 };

	(void)state;
	look_without_a_loader(&b, &a);
	b.o.cpu_isolated.text = "";
	assert_int_equal(judge(&b.d, &b.o, &r), 0);
	v = &r.settings[setting_index(setting_by_name("cpu_isolation"))];
	assert_string_equal(verdict_name(v->verdict), "unfixable");
	assert_non_null(strstr(v->reason, "booted with all it takes"));
	assert_no_boot_step(&b);
	arena_free(&a);
}

static void an_ordinary_kernel_is_the_hosts_to_replace(void **state)
{
	_cleanup_(both_done) struct both b = { 0 };
	_cleanup_report_ struct report r = { 0 };
	const struct setting_verdict *v;
	struct arena a = { 0 };

	(void)state;
	look_without_a_loader(&b, &a);
	b.o.kernel_version.text = "#1 SMP PREEMPT_DYNAMIC Debian";
	b.o.package = (struct fact){ .state = FACT_ABSENT, .path = "/var/lib/dpkg/status" };
	assert_int_equal(judge(&b.d, &b.o, &r), 0);
	v = &r.settings[setting_index(setting_by_name("kernel"))];
	assert_string_equal(verdict_name(v->verdict), "unfixable");
	assert_non_null(strstr(v->reason, "name a real-time one there"));
	assert_no_boot_step(&b);
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(launches_wait_for_the_hosts_reboot),
		cmocka_unit_test(a_guest_leaves_the_iommu_to_its_host),
		cmocka_unit_test(a_guest_without_a_boot_loader_is_verified_by_what_runs),
		cmocka_unit_test(arguments_that_the_host_did_not_give_wait_for_it),
		cmocka_unit_test(what_all_arguments_cannot_give_waits_for_no_boot),
		cmocka_unit_test(an_ordinary_kernel_is_the_hosts_to_replace),
	};

	return cmocka_run_group_tests_name("guest_boot", tests, NULL, NULL);
}

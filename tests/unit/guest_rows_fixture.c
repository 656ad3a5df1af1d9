/* The simplest machine that can have a guest, and what is asked of it again and again. */
#include "tests/unit/guest_rows_fixture.h"

#include "state/guest_argv.h"

struct fact rows_known(const char *text)
{
	return (struct fact){ .state = FACT_KNOWN, .path = "/fact", .text = text };
}

struct fact rows_not_known(enum fact_state state)
{
	return (struct fact){ .state = state, .path = "/fact", .error = EIO };
}

int rows_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->o.n_cpus = 8;
	f->o.cpu_possible = f->o.cpu_present = f->o.cpu_online = rows_known("0-7");
	assert_int_equal(cpuset_add_range(&f->o.possible, 0, 7), 0);
	assert_int_equal(cpuset_add_range(&f->o.present, 0, 7), 0);
	assert_int_equal(cpuset_add_range(&f->o.online, 0, 7), 0);
	f->o.qemu = rows_known("");
	f->o.kvm = f->o.vhost_vsock = f->o.forwards = rows_not_known(FACT_ABSENT);
	f->o.guests = f->guests;
	f->seen = f->guests;
	*state = f;
	return 0;
}

int rows_teardown(void **state)
{
	struct fixture *f = *state;

	plan_done(&f->p);
	report_done(&f->r);
	observed_done(&f->o);
	desired_done(&f->d);
	free(f);
	return 0;
}

static void rows_parse(struct fixture *f, const char *text)
{
	_cleanup_error_ struct error e = { 0 };

	desired_done(&f->d);
	if (document_parse("d.yaml", text, strlen(text), &f->d, &e) < 0)
		fail_msg("%s", e.what);
}

void rows_read_document(struct fixture *f, const char *guests)
{
	_cleanup_error_ struct error e = { 0 };

	rows_parse(f, arena_printf(&f->o.arena, "version: 1\n%s", guests));
	if (desired_resolve(&f->d, &f->o, &e) < 0)
		fail_msg("%s", e.what);
}

const struct desired_guest *rows_wanted(const struct fixture *f)
{
	return &f->d.guests[0];
}

static const char *rows_joined(struct arena *a, const char *const *argv)
{
	const char *text = argv[0];

	for (size_t i = 1; argv[i]; i++)
		text = arena_printf(a, "%s %s", text, argv[i]);
	return text;
}

static const char *rows_status_text(struct fixture *f, const char *machine, const char *digest,
				    const char *verdict, const char *watchdogs)
{
	return arena_printf(&f->o.arena,
			    "{\"version\":1,\"machine\":\"%s\",\"verdict\":\"%s\","
			    "\"document_digest\":%s%s%s,\"boot_id\":\"b-1\","
			    "\"kernel\":{\"release\":\"6.1.0-rt\"},"
			    "\"settings\":[{\"name\":\"watchdogs\",\"verdict\":\"%s\","
			    "\"live\":\"0\",\"reason\":\"so it says\"}]}",
			    machine, verdict, digest ? "\"" : "", digest ? digest : "null",
			    digest ? "\"" : "", watchdogs);
}

void rows_says(struct fixture *f, const char *digest, const char *verdict, const char *watchdogs)
{
	f->seen->channel = rows_known(rows_status_text(f, "guest", digest, verdict, watchdogs));
}

struct observed_guest_thread rows_thread(int pid, const char *comm, int vcpu, const char *cpus,
					 int priority)
{
	return (struct observed_guest_thread){
		.thread = { .pid = pid,
			    .comm = comm,
			    .policy = priority ? 1 : 0,
			    .priority = priority,
			    .allowed = rows_known(cpus) },
		.vcpu = vcpu,
	};
}

void rows_add_thread(struct fixture *f, struct observed_guest_thread t)
{
	struct observed_guest_thread *place =
		arena_grow(&f->o.arena, &f->seen->threads, &f->seen->n_threads, sizeof(*place));

	assert_non_null(place);
	*place = t;
}

/* As the document wants it. */
void rows_run(struct fixture *f)
{
	const struct desired_guest *g = rows_wanted(f);
	struct observed_guest *seen = f->seen;

	f->o.n_guests = 1;
	cpuset_done(&seen->memory.nodes);
	*seen = (struct observed_guest){
		.name = "vnf0",
		.process = rows_known("100"),
		.pid = 100,
		.accel = rows_known("tcg"),
		.cpu_model = rows_not_known(FACT_ABSENT),
		.vcpus_by = rows_known("qmp"),
		.memory = { .fact = rows_known(""),
			    .page_size_kib = 1 << 20,
			    .total_kib = 2 << 20,
			    .locked_kib = 2 << 20 },
	};
	if (g->origin == GUEST_LAUNCH)
		seen->argv =
			rows_known(rows_joined(&f->o.arena, guest_argv(g, &f->o, &f->o.arena)));
	assert_int_equal(cpuset_add(&seen->memory.nodes, 0), 0);
	rows_add_thread(f, rows_thread(100, "qemu-system-x86", -1, "0", 0));
	rows_add_thread(f, rows_thread(101, "CPU 0/TCG", 0, "4", 3));
	rows_add_thread(f, rows_thread(102, "CPU 1/TCG", 1, "5", 1));
	f->o.forwards = rows_known("5555 from 127.0.0.0/8");
	if (g->state)
		rows_says(f, g->digest, "verified", "converged");
}

void rows_run_launched(struct fixture *f)
{
	rows_read_document(f, LAUNCHED);
	rows_run(f);
}

void rows_run_adopted(struct fixture *f)
{
	rows_read_document(f, ADOPTED);
	rows_run(f);
}

const struct guest_report *rows_judged(struct fixture *f)
{
	report_done(&f->r);
	assert_int_equal(judge(&f->d, &f->o, &f->r), 0);
	return f->r.n_guests ? &f->r.guests[0] : NULL;
}

const struct setting_verdict *rows_verdict_of(struct fixture *f, const char *name)
{
	const struct guest_report *g = rows_judged(f);

	for (size_t i = 0; i < g->n_settings; i++)
		if (streq(g->settings[i].setting->name, name))
			return &g->settings[i];
	fail_msg("there is no %s", name);
	return NULL;
}

void rows_assert_verdict(struct fixture *f, const char *name, enum verdict want, const char *reason)
{
	const struct setting_verdict *v = rows_verdict_of(f, name);

	if (v->verdict != want)
		fail_msg("%s is %s (%s), not %s", name, verdict_name(v->verdict), v->reason,
			 verdict_name(want));
	if (reason && (!v->reason || !strstr(v->reason, reason)))
		fail_msg("%s: the reason is \"%s\", without \"%s\"", name, v->reason, reason);
}

void rows_assert_machine(struct fixture *f, enum machine_verdict want)
{
	assert_string_equal(machine_verdict_name(rows_judged(f)->verdict),
			    machine_verdict_name(want));
}

/* Plans; each step as "kind target: now -> want". */
void rows_assert_steps(struct fixture *f, const char *want)
{
	const char *text = "";

	plan_done(&f->p);
	assert_int_equal(plan_make(&f->d, &f->o, &f->p), 0);
	for (size_t i = 0; i < f->p.n_steps; i++) {
		const struct step *s = &f->p.steps[i];

		text = arena_printf(&f->o.arena, "%s%s %s: %s -> %s\n", text,
				    step_kind_name(s->kind), s->target, s->now ? s->now : "-",
				    s->want ? s->want : "-");
	}
	assert_string_equal(text, want);
}

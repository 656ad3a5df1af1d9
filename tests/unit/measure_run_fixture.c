/* The bench: hooks that show a machine as a test wants it, and a cyclictest that is a shell script.
 */
#include "tests/unit/measure_run_fixture.h"

static const struct setting first = { .name = "irq_affinity", .severity = SEVERITY_REQUIRED };
static const struct setting second = { .name = "idle", .severity = SEVERITY_ADVISORY };
static const struct setting third = { .name = "watchdogs", .severity = SEVERITY_REQUIRED };

struct bench_machine bench_machine;

static int fake_observe(const struct sysroot *root, const struct desired *d, struct observed *ret)
{
	(void)root;
	(void)d;
	bench_machine.looks++;
	*ret = (struct observed){
		.boot_id = { .state = FACT_KNOWN,
			     .text = bench_machine.boots_at &&
						     bench_machine.looks >= bench_machine.boots_at
					     ? "b"
					     : "a" },
		.n_cpus = 4,
	};
	return 0;
}

static int fake_judge(const struct desired *d, const struct observed *o, struct report *ret)
{
	bool drifted = bench_machine.drifts_at && bench_machine.looks >= bench_machine.drifts_at;
	struct report r = { .verdict = drifted ? MACHINE_DRIFTED : MACHINE_VERIFIED,
			    .n_settings = 3 };

	(void)d;
	(void)o;
	r.settings = arena_alloc(&r.arena, 3 * sizeof(*r.settings));
	r.settings[0] = (struct setting_verdict){ .setting = &first };
	r.settings[1] = (struct setting_verdict){ .setting = &second, .verdict = VERDICT_DRIFTED };
	r.settings[2] =
		(struct setting_verdict){ .setting = &third, .verdict = VERDICT_NOT_APPLICABLE };
	if (drifted) {
		r.settings[0].verdict = VERDICT_DRIFTED;
		r.settings[0].reason = "IRQ 24 is on CPU 3";
	}
	r.guests = arena_alloc(&r.arena, sizeof(*r.guests));
	r.n_guests = 1;
	r.guests[0] = (struct guest_report){
		.name = "vnf0",
		.boot_id = bench_machine.guest_boots_at &&
					   bench_machine.looks >= bench_machine.guest_boots_at
				   ? "b"
				   : "a",
		.verdict = bench_machine.guest_silent_at &&
					   bench_machine.looks >= bench_machine.guest_silent_at
				   ? MACHINE_UNKNOWN
				   : MACHINE_VERIFIED,
	};
	*ret = r;
	return 0;
}

/* The host's way, with the bench's tools. */
static int run_on_bench(struct target *t, const struct segment_request *rq, const char *workdir,
			tool_tick_fn tick, void *userdata, struct segment_outcome *ret,
			struct error *e)
{
	struct bench *b = t->userdata;

	return segment_run_with(&b->tools, rq, workdir, tick, userdata, ret, e);
}

int bench_setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	memset(&bench_machine, 0, sizeof(bench_machine));
	b->folder = tmp_make();
	tmp_put(b->folder, "/proc/sys/kernel/sched_rt_runtime_us", "-1\n");
	assert_true(asprintf(&b->tool, "%s/cyclictest", b->folder) > 0);
	assert_true(asprintf(&b->runs, "%s" RUNS_DIRECTORY, b->folder) > 0);
	assert_int_equal(sysroot_open(b->folder, &b->root, NULL), 0);
	b->root.live = true;
	assert_int_equal(cpuset_parse_list("2-3", 4, &b->d.isolated), 0);
	assert_int_equal(cpuset_parse_list("0-1", 4, &b->d.housekeeping), 0);
	b->d.measure = (struct desired_measure){ .declared = true, .action = SLA_ASSERT };
	for (size_t i = 0; i < _SLA_KEY_MAX; i++)
		b->d.measure.limits[i] = -1;
	b->d.measure.limits[SLA_MAX] = 40;
	measure_set_profile(&b->d.measure, measure_profile("quick"));
	b->tools = (struct segment_tools){ .cyclictest = b->tool, .grace_s = 30 };
	b->target = (struct target){ .name = "host", .run_segment = run_on_bench, .userdata = b };
	b->options = (struct measure_options){ .target = &b->target, .observe = fake_observe };
	b->hooks = (struct measure_hooks){ .runs_directory = b->runs, .judge = fake_judge };
	*state = b;
	return 0;
}

int bench_teardown(void **state)
{
	struct bench *b = *state;

	run_done(&b->run);
	error_clear(&b->error);
	sysroot_close(&b->root);
	cpuset_done(&b->d.isolated);
	cpuset_done(&b->d.housekeeping);
	tmp_remove(b->folder);
	free(b->tool);
	free(b->runs);
	free(b);
	return 0;
}

/*
 * Installs a tool that prints cyclictest's help when asked to, and else runs @measures, a piece of
 * shell with $json set and `result CPUS CYCLES MAX SECONDS` to write a result.
 */
void bench_install_tool(struct bench *b, const char *measures)
{
	_cleanup_free_ char *help = fixture("usage.out", NULL), *script = NULL;

	assert_true(
		asprintf(&script,
			 "#!/bin/sh\n"
			 "usage() { cat <<'END'\n%s\nEND\n}\n"
			 "for a; do case $a in --help) usage; exit 0;; --json=*) "
			 "json=${a#--json=};; "
			 "esac; done\n"
			 "thread() { echo \"$1\\\"$2\\\": {\\\"histogram\\\": {\\\"5\\\": "
			 "$(($4 - 1)), \\\"$5\\\": 1}, \\\"cycles\\\": $4, \\\"min\\\": 5, "
			 "\\\"max\\\": $5, \\\"avg\\\": 5.0, \\\"cpu\\\": $3, \\\"node\\\": 0}\"; "
			 "}\n"
			 "result() { { echo '{\"file_version\": 1, \"cmdline:\": \"x\", "
			 "\"rt_test_version:\": \"2.40\", \"return_code\": 0,'\n"
			 "echo '\"start_time\": \"Sun, 22 Nov 2026 10:00:00 +0000\",'\n"
			 "echo \"\\\"end_time\\\": \\\"Sun, 22 Nov 2026 10:00:0$5 +0000\\\",\"\n"
			 "echo '\"num_threads\": 2, \"resolution_in_ns\": 0, \"thread\": {'\n"
			 "thread '' 0 $1 $3 $4; thread , 1 $2 $3 $4; echo '}}'; } >\"$json\"; }\n"
			 "echo measuring\n%s\n",
			 help, measures) > 0);
	tmp_put(b->folder, "/cyclictest", script);
	assert_int_equal(chmod(b->tool, 0755), 0);
}

static void progress(unsigned elapsed_s, unsigned duration_s, void *userdata)
{
	struct bench *b = userdata;

	assert_true(elapsed_s <= duration_s);
	b->progress_calls++;
	b->last_elapsed_s = elapsed_s;
}

int bench_go(struct bench *b, unsigned duration_s)
{
	run_done(&b->run);
	error_clear(&b->error);
	b->options.duration_s = duration_s;
	return measure_run_with(&b->hooks, &b->root, &b->d, &b->options, progress, b, &b->run,
				&b->error);
}

bool bench_has_reason(const struct bench *b, enum run_reason reason)
{
	const json_t *reasons = json_object_get(b->run.result, "reasons"), *v;
	size_t i;

	json_array_foreach(reasons, i, v)
	{
		if (streq(json_string_value(json_object_get(v, "code")), run_reason_name(reason)))
			return true;
	}
	return false;
}

void bench_assert_run(struct bench *b, enum run_verdict verdict, enum run_reason reason)
{
	if (b->run.verdict != verdict || !bench_has_reason(b, reason))
		fail_msg("not %s (%s): %s", run_verdict_name(verdict), run_reason_name(reason),
			 b->run.sentence);
}

const json_t *bench_cell(const struct bench *b, size_t i)
{
	return json_array_get(json_object_get(b->run.result, "cells"), i);
}

char *bench_kept(const struct bench *b, const char *name)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_fclose_ FILE *f = NULL;
	char *text = calloc(1, 1 << 16);

	assert_true(asprintf(&path, "%s/%s", b->run.directory, name) > 0);
	f = fopen(path, "r");
	if (!f || !text) {
		free(text);
		return NULL;
	}
	(void)!fread(text, 1, (1 << 16) - 1, f);
	return text;
}

size_t bench_count_kept(const struct bench *b)
{
	json_t *list = NULL;
	size_t n;

	assert_int_equal(runs_list(&b->root, &list, NULL), 0);
	n = json_array_size(list);
	json_decref(list);
	return n;
}

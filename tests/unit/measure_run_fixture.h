#pragma once
/* A machine, a tool and a folder of runs for measure_run_with(), for several tests. */
#include "cyclictest_fixture.h"
#include "measure_tmp.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <time.h>

#include "measure/keep.h"
#include "measure/run.h"
#include "measure/target.h"
#include "state/guest.h"
#include "state/settings.h"

/* The machine as the hooks show it; reset by bench_setup(). */
struct bench_machine {
	int looks, drifts_at; /* number of the look that sees a drift; 0: none */
	int boots_at;	      /* number of the look that sees another boot_id */
	int guest_boots_at, guest_silent_at;
};
extern struct bench_machine bench_machine;

struct bench {
	char *folder, *tool, *runs;
	struct sysroot root;
	struct desired d;
	struct measure_hooks hooks;
	struct segment_tools tools;
	struct target target;
	struct measure_options options;
	struct run run;
	struct error error;
	unsigned progress_calls, last_elapsed_s;
	unsigned n_segments; /* that run_on_another_guest() has run */
};

int bench_setup(void **state);
int bench_teardown(void **state);
/*
 * Installs a tool that prints cyclictest's help when asked to, and else runs @measures, a piece of
 * shell with $json set and `result CPUS CYCLES MAX SECONDS` to write a result.
 */
void bench_install_tool(struct bench *b, const char *measures);
int bench_go(struct bench *b, unsigned duration_s);
bool bench_has_reason(const struct bench *b, enum run_reason reason);
void bench_assert_run(struct bench *b, enum run_verdict verdict, enum run_reason reason);
const json_t *bench_cell(const struct bench *b, size_t i);
char *bench_kept(const struct bench *b, const char *name);
size_t bench_count_kept(const struct bench *b);

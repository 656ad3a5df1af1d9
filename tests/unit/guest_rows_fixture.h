#pragma once
/*
 * A machine whose own settings are not managed, and a guest of it that is as wanted: for tests that
 * make one thing of it otherwise.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "state/guest_row.h"

#define DISK  "launch: {disk: /g.qcow2, memory: 2G, page_size: 1G, node: 0, accel: tcg}"
#define VCPUS "vcpus: [{cpu: 4, priority: 3}, {cpu: 5}]"
#define STATE "state: {cpus: {isolated: 1}, watchdogs: off}"
#define SSH   "ssh: {host_port: 5555}"

#define LAUNCHED "guests: [{name: vnf0, " DISK ", " VCPUS ", " SSH ", " STATE "}]\n"
#define ADOPTED                                                                                  \
	"guests: [{name: vnf0, adopt: {domain: d0, channel: /c}, " VCPUS ", emulator: 0, " STATE \
	"}]\n"

struct fixture {
	struct desired d;
	struct observed o;
	struct report r;
	struct plan p;
	struct observed_guest guests[2];
	struct observed_guest *seen; /* the first */
};

struct fact rows_known(const char *text);
struct fact rows_not_known(enum fact_state state);
int rows_setup(void **state);
int rows_teardown(void **state);
void rows_read_document(struct fixture *f, const char *guests);
const struct desired_guest *rows_wanted(const struct fixture *f);
void rows_says(struct fixture *f, const char *digest, const char *verdict, const char *watchdogs);
struct observed_guest_thread rows_thread(int pid, const char *comm, int vcpu, const char *cpus,
					 int priority);
void rows_add_thread(struct fixture *f, struct observed_guest_thread t);
/* As the document wants it. */
void rows_run(struct fixture *f);
void rows_run_launched(struct fixture *f);
void rows_run_adopted(struct fixture *f);
const struct guest_report *rows_judged(struct fixture *f);
const struct setting_verdict *rows_verdict_of(struct fixture *f, const char *name);
void rows_assert_verdict(struct fixture *f, const char *name, enum verdict want,
			 const char *reason);
void rows_assert_machine(struct fixture *f, enum machine_verdict want);
/* Plans; each step as "kind target: now -> want". */
void rows_assert_steps(struct fixture *f, const char *want);

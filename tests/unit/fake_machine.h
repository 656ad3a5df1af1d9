#pragma once
/*
 * A machine in a folder for the tests of actuators/: kernel files that behave like the kernel's
 * (clamping, refusing, effective affinities), Debian's GRUB files with an update-grub that renders
 * them, and an apt-get that installs a real-time kernel. Everything is below fake_root().
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include "actuators/kernel_io.h"
#include "state/plan.h"

#define FAKE_KERNEL    "6.1.0-56-amd64"
#define FAKE_RT_KERNEL "6.1.0-56-rt-amd64"
#define FAKE_UUID      "11111111-2222-3333-4444-555555555555"
#define FAKE_RT_ENTRY \
	"gnulinux-advanced-" FAKE_UUID ">gnulinux-" FAKE_RT_KERNEL "-advanced-" FAKE_UUID
#define FAKE_ENTRY "gnulinux-advanced-" FAKE_UUID ">gnulinux-" FAKE_KERNEL "-advanced-" FAKE_UUID

/* cmocka setup and teardown: a fresh stock machine, and its end. */
int fake_setup(void **state);
int fake_teardown(void **state);

const char *fake_root(void);
void fake_write(const char *path, const char *text); /* folders are made */
char *fake_read(const char *path);		     /* malloc()ed; NULL: no such file */
void fake_remove(const char *path);
void fake_expect(const char *path, const char *text); /* NULL: must not exist */
void fake_thread(unsigned pid, const char *comm, int policy, int priority);
/* How often a script ("update-grub", "apt-get install") has run. */
size_t fake_count(const char *script);
/* The fake boots @kernel with the arguments of the rendered next entry, and a new boot id. */
void fake_boot(const char *kernel);
/* The whole tree but our lock as text (path and content), for comparing; malloc()ed. */
char *fake_snapshot(void);

/* Faults: the errno (positive) that a write to a path containing @part gets, @times times. */
void fake_fault(const char *part, int error, int times);
/* This process is killed (SIGKILL) right before its @nth_write from now; 0: never. The files
 * /kill-before and /kill-after make update-grub kill its caller, once. */
void fake_kill_at(size_t nth_write);
/* The most pages that a nr_hugepages file takes. */
void fake_hugepages_max(long pages);
/* Writes of kernel files and changing system calls so far. */
size_t fake_writes(void);

/* A plan by hand: plan_step() plus what the kind needs. Freed by fake_teardown(). */
struct plan *fake_plan(void); /* a new, empty one */
struct plan *fake_plan_now(void);
struct step *fake_step(enum step_kind kind, const char *setting, const char *target,
		       const char *want);
void fake_arg(const char *setting, const char *key, const char *value);
/* A step of every run-time kind: watchdog, throttling, a page and its mount, a thread, an IRQ. */
void fake_runtime_steps(void);

/* Files of the fake machine that those steps write. */
#define FAKE_WATCHDOG	"/proc/sys/kernel/watchdog"
#define FAKE_THROTTLING "/proc/sys/kernel/sched_rt_runtime_us"
#define FAKE_PAGES	"/sys/devices/system/node/node1/hugepages/hugepages-1048576kB/nr_hugepages"

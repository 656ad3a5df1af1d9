#pragma once
/*
 * What the actuators share while a plan runs, and their entry points, one file per kind of step.
 *
 * prepare() reads the target and keeps its original (originals_keep()); the executor flushes all
 * of them to disk at once before the first run(). run() reads first, writes only what differs and
 * reads back. restore() puts an original back. All return 0: was already so, nothing written;
 * 1: done; negative errno with *e (never NULL here).
 */
#include "actuators/originals.h"
#include "state/plan.h"

struct actuation {
	const struct plan *plan;
	int (*guests)(const struct step *s, struct error *e); /* step_fn of plan_execute() */
	struct originals originals;
	/* The boot transaction runs once for all boot steps. */
	bool boot_staged;  /* the drop-in is as the plan wants it */
	bool boot_written; /* it was not before */
	char *boot_before; /* what it was; NULL: absent */
	bool boot_ran;
	int boot_result;
	struct error boot_error;
	const char *boot_culprit; /* the key that the rendered entry has wrong, or NULL: all */
};

struct actuator {
	int (*prepare)(struct actuation *a, const struct step *s, struct error *e);
	int (*run)(struct actuation *a, const struct step *s, struct error *e);
	bool kernel; /* EPERM, EIO, ... are the kernel's last word: refused, not failed */
};

extern const struct actuator actuator_package;
extern const struct actuator actuator_boot;
extern const struct actuator actuator_service;
extern const struct actuator actuator_irqbalance;
extern const struct actuator actuator_kernel_file;
extern const struct actuator actuator_hugepages;
extern const struct actuator actuator_mount;
extern const struct actuator actuator_thread;
extern const struct actuator actuator_irq;

/* Writes the drop-in if the plan has boot steps, so that the rendering by a kernel package's hooks
 * has it already. */
int boot_stage(struct actuation *a, struct error *e);

/* Writes the value if another reads, and looks at nothing then. */
void kernel_file_push(const struct original *o);
int kernel_file_restore(const struct original *o, struct error *e);
int hugepages_restore(const struct original *o, struct error *e);
int mount_restore(const struct original *o, struct error *e);
int thread_restore(const struct original *o, struct error *e);
int irq_restore(const struct original *o, struct error *e);
int irqbalance_restore(const struct original *o, struct error *e);
int service_restore(const struct original *o, struct error *e);

/* For prepare(): keeps @value of the step's target (target, name and setting from @s). */
int keep_original(struct actuation *a, const struct step *s, enum original_kind kind,
		  const char *value, struct error *e);

#pragma once
/*
 * What the document asks for, after parsing: every value has been checked for form, so judge and
 * plan never meet a bad one. What only the machine can refuse (CPUs it does not have, memory it
 * does not have) is checked by desired_resolve().
 */
#include "state/arena.h"
#include "state/cpuset.h"
#include "state/error.h"
#include "state/measure_spec.h"

struct observed;
struct desired_guest;

/* Where something stands in the document, for errors found later. Counted from 1. */
struct mark {
	unsigned line;
	unsigned column;
};

enum reboot_policy { REBOOT_MANUAL, REBOOT_WHEN_ASKED, REBOOT_AUTOMATIC };
/* Whose document this is: the machine that has guests, or a guest (its host sends it). */
enum machine_role { ROLE_HOST, ROLE_GUEST };

#define SETTINGS_MAX 32

/* What latencyd may mend by itself when it drifts. */
enum repair {
	REPAIR_NONE,
	REPAIR_RUNTIME, /* what a run-time step without any disruption mends */
	REPAIR_ALL,	/* boot files too; a reboot only by the reboot policy */
};

/* Whom a change is told to. */
enum alert_sink {
	ALERT_JOURNAL = 1 << 0,
	ALERT_DBUS = 1 << 1,
	ALERT_METRICS = 1 << 2,
	ALERT_UNIT = 1 << 3, /* latencyd-alert@SETTING.service */
};

struct desired_drift {
	enum repair repair[SETTINGS_MAX]; /* by index in settings[]; default REPAIR_NONE */
	enum repair repair_otherwise;	  /* of a setting that has none of its own */
	unsigned alert;			  /* enum alert_sink bits; default all but ALERT_UNIT */
	unsigned pass_interval_s;	  /* default 30 */
};

struct desired {
	struct arena arena;
	const char *source; /* the file's name, for errors */
	char *digest; /* FNV-1a 64 of the document's bytes, hex: the fingerprint's document hash */

	enum machine_role role; /* `host:` or `guest:` */
	/* Neither stands there (a document of guests alone): no setting of this machine is managed,
	 * no CPU is isolated, every CPU does housekeeping. */
	bool no_machine;
	bool boot_by_host; /* ROLE_GUEST, `boot: host`: the arguments come from its host's QEMU */

	struct cpuset isolated; /* freed by desired_done() */
	bool isolated_auto;	/* `isolated: auto`: desired_resolve() fills the set */
	bool allow_cpu0;	/* `cpus: {allow_cpu0: true}`: said twice */
	struct mark isolated_at;
	struct cpuset housekeeping; /* possible - isolated; filled by desired_resolve() */

	/* By index in settings[]: the row's own value, NULL when the document does not name it. */
	const void *values[SETTINGS_MAX];
	struct mark marks[SETTINGS_MAX];

	struct desired_guest *guests; /* state/guest.h */
	size_t n_guests;

	struct desired_measure measure;
	struct desired_drift drift;
	enum reboot_policy reboot_policy; /* default REBOOT_WHEN_ASKED */
};

#define _cleanup_desired_ _cleanup_(desired_done)
void desired_done(struct desired *d);

/*
 * Parses @text (the document @source) into *ret, written on success only. Errors: -EINVAL with
 * "SOURCE:LINE:COLUMN: what was expected" and the nearest valid key as advice; -ENOMEM.
 */
int document_parse(const char *source, const char *text, size_t size, struct desired *ret,
		   struct error *e);

/*
 * What only the machine decides: resolves `auto`, fills housekeeping, refuses CPUs the machine does
 * not have, a set without a housekeeping CPU online, CPU 0 isolated without allow_cpu0, huge pages
 * beyond the node's memory. -EINVAL with *e as above; -ENODATA when the machine's CPUs are unknown.
 */
int desired_resolve(struct desired *d, const struct observed *o, struct error *e);

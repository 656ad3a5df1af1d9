#pragma once
/*
 * One setting, one row. settings[] is the only list of settings: YAML keys, status, explain, D-Bus,
 * the man page's list and the tests walk it.
 */
#include "state/document.h"
#include "state/plan.h"
#include "state/verdict.h"

enum scope { SCOPE_BOOT, SCOPE_RUNTIME, SCOPE_BOTH };
enum severity { SEVERITY_REQUIRED, SEVERITY_ADVISORY };

/* A kernel file with one value, for rows that are nothing else. */
struct knob {
	const char *path; /* `*` stands for a number: every such file */
	enum value_kind kind;
	bool optional; /* absent is fine: this kernel has no such thing */
};

struct setting {
	const char *name;    /* the YAML key too */
	const char *summary; /* one line */
	const char *doc;     /* kernel documentation */
	const char *values;  /* what the document may say, for explain and the man page */
	enum scope scope;
	enum disruption disruption; /* the worst that applying it at run time or boot does */
	enum severity severity;
	unsigned facts;		  /* enum fact_group bits */
	const char *const *files; /* NULL ended: files (patterns) the probe must read; a path that
				   * ends in "/" asks whether the folder exists */
	const struct knob *knobs; /* ended by a NULL path; probed too */
	bool needs_isolated; /* means nothing without isolated CPUs */
	bool host_only;	     /* not-applicable in a guest: firmware, IOMMU */

	/* Reads the YAML value; *ret lives in doc->arena. */
	int (*parse)(struct doc *doc, const struct yaml_node *node, const struct setting *s,
		     const void **ret);
	/* The boot arguments it wants; absent for run-time settings. */
	int (*intent)(const struct setting *s, const void *value, const struct desired *d,
		      const struct observed *o, struct arena *a, struct boot_intent *b);
	/*
	 * Judges the running machine alone: fills v->verdict, want, live, reason, evidence, items.
	 * Says VERDICT_DRIFTED where a run-time step can mend it and VERDICT_PENDING_REBOOT where
	 * only a boot can; judge() then looks at the next boot's entry and settles the verdict.
	 */
	int (*judge)(const struct setting *s, const void *value, const struct desired *d,
		     const struct observed *o, struct report *r, struct setting_verdict *v);
	/* Run-time steps; boot arguments are planned from intent(). May be absent. */
	int (*plan)(const struct setting *s, const void *value, const struct desired *d,
		    const struct observed *o, struct plan *p);
	/* What only the machine can refuse, for desired_resolve(). May be absent. */
	int (*check)(const struct setting *s, const void *value, const struct desired *d,
		     const struct observed *o, struct error *e);
};

extern const struct setting *const settings[];
extern const size_t n_settings;

const struct setting *setting_by_name(const char *name);
size_t setting_index(const struct setting *s); /* in settings[] */
/* Is it this machine's to have? What is the host's is not a guest's, even when its document says
 * so. */
bool setting_applies(const struct setting *s, const struct desired *d);

/* The fact groups and files that the settings named in @d need (all settings with d == NULL). */
unsigned settings_facts(const struct desired *d);

/* The package the kernel row wants, or NULL. */
const char *desired_package(const struct desired *d);

/* CONFIG_ options read from /boot/config-VERSION, NULL ended. */
extern const char *const kernel_config_options[];

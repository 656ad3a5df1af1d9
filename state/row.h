#pragma once
/*
 * What the rows share. A row's judge says what the running machine is (see struct setting); these
 * helpers word it the same way everywhere.
 */
#include "state/cmdline.h"
#include "state/settings.h"

/* A value that is one of a few words, or a flag set: most rows need no more. */
struct choice_value {
	int choice;
};

/* "2-3" in @a, "none" for the empty set; NULL when out of memory. */
const char *list_text(struct arena *a, const struct cpuset *s);

/* Is the kernel that runs a PREEMPT_RT one? 1, 0, or -ENODATA. */
int kernel_is_rt(const struct observed *o);
/* Is the version text ("6.1.0-56-amd64") at least major.minor? False for text of another form. */
bool version_at_least(const char *version, unsigned major, unsigned minor);
/* The kernel of that version under /boot, or NULL. */
const struct observed_kernel *kernel_by_version(const struct observed *o, const char *version);
/* Does its /boot/config say @option=y? 1, 0, or -ENODATA. */
int kernel_config(const struct observed_kernel *k, const char *option);
/* The version that the next boot runs, or the running one when that is not known; may be NULL. */
const char *next_kernel_version(const struct observed *o);

/* v->verdict and v->reason (printf into r's arena). Returns 0 or -ENOMEM. */
int verdict_set(struct report *r, struct setting_verdict *v, enum verdict verdict, const char *fmt,
		...) printf_like(4, 5);
/* VERDICT_UNKNOWN because @f could not be read; adds it as evidence. */
int verdict_unknown(struct report *r, struct setting_verdict *v, const struct fact *f);

/*
 * Takes the worse of v->verdict and @verdict; the reason of the worse one stays. Order, best first:
 * converged, drifted, pending-reboot, failed, unknown, unfixable.
 */
int verdict_worsen(struct report *r, struct setting_verdict *v, enum verdict verdict,
		   const char *fmt, ...) printf_like(4, 5);

/*
 * Is @key=@value (NULL: the flag) in force on the running kernel's command line? Adds /proc/cmdline
 * as evidence; worsens the verdict to pending-reboot when not, to unknown when it cannot be read.
 */
int judge_cmdline(const struct observed *o, struct report *r, struct setting_verdict *v,
		  const char *key, const char *value);

/*
 * Judges, and plans, a set of kernel files that all shall read @want. @cpus: of those with a CPU's
 * number in place of the pattern's asterisk, these CPUs' only; NULL: all.
 */
int judge_knobs(const struct observed *o, const struct knob *knobs, const struct cpuset *cpus,
		const char *want, struct report *r, struct setting_verdict *v);
int plan_knobs(const struct setting *s, const struct observed *o, const struct knob *knobs,
	       const struct cpuset *cpus, const char *want, struct plan *p);
/* Does the fact read @want, compared as @kind compares? False for a fact that is not known. */
bool knob_equal(const struct fact *f, enum value_kind kind, const char *want);

/* parse() for a choice_value: @names, NULL ended, in the order of the row's enum. */
int parse_choice(struct doc *doc, const struct yaml_node *node, const char *const *names,
		 const void **ret);
/* A mapping of @keys, or for short the first one's value alone. *@ret: @size bytes, zeroed, for the
 * keys' parse() to fill. */
int parse_keys(struct doc *doc, const struct yaml_node *node, const struct doc_key *keys,
	       size_t n_keys, size_t size, const void **ret);

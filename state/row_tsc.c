/*
 * tsc: reliable. The clocksource in use is the TSC, the clocksource watchdog leaves it alone
 * (tsc=reliable), the kernel has not marked it unstable (it is still offered), and the CPU says it
 * never stops or changes rate. A CPU that does not say so (many guests, emulators) can be accepted,
 * but only in so many words: {mode: reliable, invariant: assumed}.
 */
#include <errno.h>

#include "state/row.h"
#include "state/rows.h"

#define CLOCKSOURCE "/sys/devices/system/clocksource/clocksource0/"

struct tsc_value {
	int mode;
	int invariant; /* index in invariant_names */
};

enum { INVARIANT_REQUIRED, INVARIANT_ASSUMED };

static const char *const mode_names[] = { "reliable", NULL };
static const char *const invariant_names[] = { "required", "assumed", NULL };
static const char *const tsc_files[] = { CLOCKSOURCE "current_clocksource",
					 CLOCKSOURCE "available_clocksource", NULL };
static const char *const invariant_flags[] = { "constant_tsc", "nonstop_tsc" };

static int parse_mode(struct doc *doc, const struct yaml_node *node, void *target)
{
	return doc_choice(doc, node, mode_names, &((struct tsc_value *)target)->mode);
}

static int parse_invariant(struct doc *doc, const struct yaml_node *node, void *target)
{
	return doc_choice(doc, node, invariant_names, &((struct tsc_value *)target)->invariant);
}

static int tsc_parse(struct doc *doc, const struct yaml_node *node, const struct setting *s,
		     const void **ret)
{
	static const struct doc_key keys[] = {
		{ .name = "mode", .parse = parse_mode, .required = true },
		{ .name = "invariant", .parse = parse_invariant },
	};

	(void)s;
	return parse_keys(doc, node, keys, ARRAY_SIZE(keys), sizeof(struct tsc_value), ret);
}

static int tsc_intent(const struct setting *s, const void *value, const struct desired *d,
		      const struct observed *o, struct arena *a, struct boot_intent *b)
{
	(void)value, (void)d, (void)o;
	return boot_intent_add(a, b, s, "tsc", "reliable");
}

static bool has_word(const char *text, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = text; (p = strstr(p, word)); p += n) {
		bool starts = p == text || p[-1] == ' ' || p[-1] == '\t';

		if (starts && (!p[n] || strchr(" \t\n", p[n])))
			return true;
	}
	return false;
}

/* Is the TSC still offered? The kernel drops it from the list when it marks it unstable. */
static bool tsc_offered(const struct observed *o)
{
	const struct fact *f = observed_file(o, CLOCKSOURCE "available_clocksource");

	return fact_known(f) && has_word(f->text, "tsc");
}

static int judge_clocksource(const struct observed *o, struct report *r, struct setting_verdict *v)
{
	const struct fact *current = observed_file(o, CLOCKSOURCE "current_clocksource");
	int k;

	if (!fact_known(current))
		return verdict_unknown(r, v, current);
	v->live = current->text;
	k = verdict_evidence(r, v, current);
	if (k < 0 || streq(current->text, "tsc"))
		return k;
	if (tsc_offered(o))
		return verdict_worsen(r, v, VERDICT_DRIFTED, "the clocksource is %s, not tsc",
				      current->text);
	if (!fact_known(observed_file(o, CLOCKSOURCE "available_clocksource")))
		return verdict_unknown(r, v, observed_file(o, CLOCKSOURCE "available_clocksource"));
	if (v->verdict == VERDICT_PENDING_REBOOT)
		return 0; /* booting with tsc=reliable is what may bring it back */
	return verdict_worsen(
		r, v, VERDICT_UNFIXABLE,
		"the clocksource is %s and the kernel does not offer tsc: it found it "
		"unstable",
		current->text);
}

static int tsc_judge(const struct setting *s, const void *value, const struct desired *d,
		     const struct observed *o, struct report *r, struct setting_verdict *v)
{
	const struct tsc_value *want = value;
	int k;

	(void)s, (void)d;
	v->want = want->invariant == INVARIANT_ASSUMED ? "tsc, reliable, invariance assumed"
						       : "tsc, reliable";
	k = judge_cmdline(o, r, v, "tsc", "reliable");
	if (k >= 0)
		k = judge_clocksource(o, r, v);
	if (k < 0 || want->invariant == INVARIANT_ASSUMED)
		return k;
	if (!fact_known(&o->cpuinfo))
		return verdict_unknown(r, v, &o->cpuinfo);
	for (size_t i = 0; i < ARRAY_SIZE(invariant_flags); i++) {
		if (has_word(o->cpuinfo.text, invariant_flags[i]))
			continue;
		return verdict_worsen(
			r, v, VERDICT_UNFIXABLE,
			"this CPU does not show %s: its TSC is not invariant; if you know "
			"better, say tsc: {mode: reliable, invariant: assumed}",
			invariant_flags[i]);
	}
	return 0;
}

/* A TSC that is only not selected can be selected; one without tsc=reliable waits for the boot. */
static int tsc_plan(const struct setting *s, const void *value, const struct desired *d,
		    const struct observed *o, struct plan *p)
{
	const struct fact *current = observed_file(o, CLOCKSOURCE "current_clocksource");
	struct step *step;

	(void)value, (void)d;
	if (!fact_known(current) || streq(current->text, "tsc") || !tsc_offered(o) ||
	    !fact_known(&o->cmdline) || !has_word(o->cmdline.text, "tsc=reliable"))
		return 0;
	step = plan_step(p, s, STEP_KERNEL_FILE, current->path, current->text, "tsc");
	if (!step)
		return -ENOMEM;
	step->value_kind = VALUE_TEXT;
	return 0;
}

const struct setting setting_tsc = {
	.name = "tsc",
	.summary = "The TSC is the clocksource and no watchdog doubts it",
	.doc = "Documentation/admin-guide/kernel-parameters.txt (tsc=)",
	.values = "reliable, or {mode: reliable, invariant: required|assumed}",
	.scope = SCOPE_BOTH,
	.disruption = DISRUPTION_REBOOT,
	.severity = SEVERITY_REQUIRED,
	.files = tsc_files,
	.parse = tsc_parse,
	.intent = tsc_intent,
	.judge = tsc_judge,
	.plan = tsc_plan,
};

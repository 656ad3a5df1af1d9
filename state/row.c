/*
 * Helpers of the settings' rows; see row.h. All wording of verdicts that more than one row uses is
 * here, so that `status` speaks with one voice.
 */
#include "state/row.h"

#include <errno.h>
#include <stdarg.h>

const char *list_text(struct arena *a, const struct cpuset *s)
{
	_cleanup_free_ char *text = NULL;

	if (cpuset_empty(s))
		return "none";
	text = cpuset_format_list(s);
	return text ? arena_strdup(a, text) : NULL;
}

int kernel_is_rt(const struct observed *o)
{
	if (!fact_known(&o->kernel_version))
		return -ENODATA;
	/* /sys/kernel/realtime is gone since 6.12; the version string tells on every kernel. */
	return strstr(o->kernel_version.text, "PREEMPT_RT") != NULL;
}

bool version_at_least(const char *version, unsigned major, unsigned minor)
{
	char *end;
	unsigned long found;

	if (!version)
		return false;
	found = strtoul(version, &end, 10);
	if (end == version || *end != '.')
		return false;
	if (found != major)
		return found > major;
	version = end + 1;
	found = strtoul(version, &end, 10);
	return end != version && found >= minor;
}

const struct observed_kernel *kernel_by_version(const struct observed *o, const char *version)
{
	for (size_t i = 0; version && i < o->boot.n_kernels; i++)
		if (streq(o->boot.kernels[i].version, version))
			return &o->boot.kernels[i];
	return NULL;
}

int kernel_config(const struct observed_kernel *k, const char *option)
{
	size_t n = strlen(option);

	if (!k || !fact_known(&k->config))
		return -ENODATA;
	for (const char *line = k->config.text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, option, n) && !strncmp(line + n, "=y", 2))
			return 1;
	}
	return 0;
}

const char *next_kernel_version(const struct observed *o)
{
	if (fact_known(&o->boot.next_kernel))
		return o->boot.next_kernel.text;
	return fact_known(&o->kernel_release) ? o->kernel_release.text : NULL;
}

static const char *format_reason(struct arena *a, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));

static const char *format_reason(struct arena *a, const char *fmt, va_list ap)
{
	_cleanup_free_ char *text = NULL;

	if (vasprintf(&text, fmt, ap) < 0) {
		text = NULL;
		return NULL;
	}
	return arena_strdup(a, text);
}

int verdict_set(struct report *r, struct setting_verdict *v, enum verdict verdict, const char *fmt,
		...)
{
	va_list ap;

	va_start(ap, fmt);
	v->reason = format_reason(&r->arena, fmt, ap);
	va_end(ap);
	v->verdict = verdict;
	return v->reason ? 0 : -ENOMEM;
}

/* Unfixable is worse than unknown: no reading will change it. */
static int badness(enum verdict v)
{
	static const int order[_VERDICT_MAX] = {
		[VERDICT_CONVERGED] = 0, [VERDICT_DRIFTED] = 1, [VERDICT_PENDING_REBOOT] = 2,
		[VERDICT_FAILED] = 3,	 [VERDICT_UNKNOWN] = 4, [VERDICT_UNFIXABLE] = 5,
	};

	return order[v];
}

int verdict_worsen(struct report *r, struct setting_verdict *v, enum verdict verdict,
		   const char *fmt, ...)
{
	va_list ap;

	if (badness(verdict) <= badness(v->verdict))
		return 0;
	va_start(ap, fmt);
	v->reason = format_reason(&r->arena, fmt, ap);
	va_end(ap);
	v->verdict = verdict;
	return v->reason ? 0 : -ENOMEM;
}

int verdict_unknown(struct report *r, struct setting_verdict *v, const struct fact *f)
{
	const char *shown = fact_show(&r->arena, f);
	int k;

	if (!shown)
		return -ENOMEM;
	k = f ? verdict_evidence(r, v, f) : 0;
	if (k < 0)
		return k;
	return verdict_worsen(r, v, VERDICT_UNKNOWN, "cannot tell: %s is %s",
			      f && f->path ? f->path : "a file", shown);
}

int judge_cmdline(const struct observed *o, struct report *r, struct setting_verdict *v,
		  const char *key, const char *value)
{
	_cleanup_cmdline_ struct cmdline c = { 0 };
	const struct cmdline_arg *arg;
	int k;

	if (!fact_known(&o->cmdline))
		return verdict_unknown(r, v, &o->cmdline);
	k = verdict_evidence(r, v, &o->cmdline);
	if (k >= 0)
		k = cmdline_parse(o->cmdline.text, &c);
	if (k == -ENOMEM)
		return k;
	if (k < 0)
		return verdict_worsen(r, v, VERDICT_UNKNOWN, "cannot tell: %s does not parse",
				      o->cmdline.path);
	arg = cmdline_get(&c, key);
	if (arg && cmdline_value_equal(key, arg->value, value, o->n_cpus))
		return 0;
	return verdict_worsen(
		r, v, VERDICT_PENDING_REBOOT, "the running kernel was booted %s%s%s%s%s%s",
		arg ? "with " : "without ", key, arg ? (arg->value ? "=" : "") : (value ? "=" : ""),
		arg ? (arg->value ? arg->value : "") : (value ? value : ""),
		arg && value ? ", not " : "", arg && value ? value : "");
}

static bool text_equal_folded(const char *a, const char *b)
{
	const char *blank = " \t\n";

	for (;;) {
		size_t n;

		a += strspn(a, blank);
		b += strspn(b, blank);
		n = strcspn(a, blank);
		if (n != strcspn(b, blank) || strncmp(a, b, n))
			return false;
		if (!n)
			return true;
		a += n;
		b += n;
	}
}

static bool choice_equal(const char *text, const char *want)
{
	const char *open = strchr(text, '[');
	size_t n = strlen(want);

	if (!open)
		return text_equal_folded(text, want);
	return !strncmp(open + 1, want, n) && open[1 + n] == ']';
}

static bool sets_equal(const struct fact *f, enum value_kind kind, const char *want)
{
	_cleanup_cpuset_ struct cpuset have = { 0 }, wanted = { 0 };

	if (kind == VALUE_MASK)
		return !fact_mask(f, &have) && !cpuset_parse_mask(want, &wanted) &&
		       cpuset_equal(&have, &wanted);
	return !fact_list(f, 0, &have) && !cpuset_parse_list(want, 0, &wanted) &&
	       cpuset_equal(&have, &wanted);
}

bool knob_equal(const struct fact *f, enum value_kind kind, const char *want)
{
	int64_t number;

	if (!fact_known(f))
		return false;
	switch (kind) {
	case VALUE_NUMBER:
		return !fact_number(f, &number) && number == strtoll(want, NULL, 10);
	case VALUE_LIST:
	case VALUE_MASK:
		return sets_equal(f, kind, want);
	case VALUE_CHOICE:
		return choice_equal(f->text, want);
	case VALUE_TEXT:
		return text_equal_folded(f->text, want);
	}
	return false;
}

static int judge_knob(const struct fact *f, const struct knob *knob, const char *want,
		      struct report *r, struct setting_verdict *v)
{
	int k = verdict_evidence(r, v, f);

	if (k < 0)
		return k;
	if (f->state == FACT_ABSENT) {
		if (knob->optional)
			return 0;
		return verdict_worsen(r, v, VERDICT_UNFIXABLE, "this kernel has no %s", f->path);
	}
	if (f->state != FACT_KNOWN)
		return verdict_unknown(r, v, f);
	if (knob_equal(f, knob->kind, want))
		return 0;
	/* What is shown is the first that is wrong, also where one judged before it was right. */
	if (!v->live || v->verdict == VERDICT_CONVERGED) {
		v->live = f->text;
		v->want = want;
	}
	return verdict_worsen(r, v, VERDICT_DRIFTED, "%s is %s, not %s", f->path, f->text, want);
}

static bool is_of_cpus(const struct knob *knob, const struct fact *f, const struct cpuset *cpus)
{
	const char *star = strchr(knob->path, '*'), *number;
	unsigned long cpu;
	char *end;

	if (!cpus || !star || !f->path)
		return true;
	number = f->path + (star - knob->path);
	cpu = strtoul(number, &end, 10);
	return end == number || cpuset_has(cpus, (unsigned)cpu);
}

int judge_knobs(const struct observed *o, const struct knob *knobs, const struct cpuset *cpus,
		const char *want, struct report *r, struct setting_verdict *v)
{
	const char *seen = NULL;

	/* An absent optional file means "this kernel has no such thing" only when its folder could
	 * be read at all; the kernel's release stands in the same tree. */
	if (!fact_known(&o->kernel_release))
		return verdict_unknown(r, v, &o->kernel_release);
	for (const struct knob *knob = knobs; knob->path; knob++) {
		const struct fact *f;
		size_t iter = 0, n = 0;

		while ((f = observed_files_next(o, knob->path, &iter))) {
			int k;

			n++;
			if (!is_of_cpus(knob, f, cpus))
				continue;
			k = judge_knob(f, knob, want, r, v);
			if (k < 0)
				return k;
			if (fact_known(f) && !seen)
				seen = f->text;
		}
		/* Only a pattern may match nothing; a plain path not there was never looked at. */
		if (!n && (!knob->optional || !strchr(knob->path, '*'))) {
			struct fact missing = { .state = FACT_UNPROBED, .path = knob->path };
			int k = verdict_unknown(r, v, &missing);

			if (k < 0)
				return k;
		}
	}
	if (!v->live)
		v->live = seen ? seen : "absent";
	return 0;
}

int plan_knobs(const struct setting *s, const struct observed *o, const struct knob *knobs,
	       const struct cpuset *cpus, const char *want, struct plan *p)
{
	for (const struct knob *knob = knobs; knob->path; knob++) {
		const struct fact *f;
		size_t iter = 0;

		while ((f = observed_files_next(o, knob->path, &iter))) {
			struct step *step;

			if (!fact_known(f) || knob_equal(f, knob->kind, want) ||
			    !is_of_cpus(knob, f, cpus))
				continue;
			step = plan_step(p, s, STEP_KERNEL_FILE, f->path, f->text, want);
			if (!step)
				return -ENOMEM;
			step->value_kind = knob->kind;
		}
	}
	return 0;
}

int parse_choice(struct doc *doc, const struct yaml_node *node, const char *const *names,
		 const void **ret)
{
	struct choice_value *value = arena_alloc(doc->arena, sizeof(*value));
	int r;

	if (!value)
		return -ENOMEM;
	r = doc_choice(doc, node, names, &value->choice);
	if (r < 0)
		return r;
	*ret = value;
	return 0;
}

int parse_keys(struct doc *doc, const struct yaml_node *node, const struct doc_key *keys,
	       size_t n_keys, size_t size, const void **ret)
{
	void *value = arena_alloc(doc->arena, size);
	int r;

	if (!value)
		return -ENOMEM;
	if (node->kind == YAML_MAPPING)
		r = doc_mapping(doc, node, keys, n_keys, value);
	else
		r = keys[0].parse(doc, node, value);
	if (r < 0)
		return r;
	*ret = value;
	return 0;
}

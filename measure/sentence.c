/*
 * The verdict in one sentence for people: the verdict, its reason codes, what happened in words,
 * and the figures as far as they mean anything. A bound is stated only where the run proves it.
 */
#include "measure/judge_run.h"

#include <errno.h>
#include <inttypes.h>

/* "drift, short: what happened; what happened": NULL when out of memory. */
static char *reasons_text(const struct run_judgement *j)
{
	char *text = NULL;
	size_t size, n = 0;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	for (size_t i = 0; i < _REASON_MAX; i++) {
		if (j->reasons[i])
			fprintf(f, "%s%s", n++ ? ", " : "", run_reason_name((enum run_reason)i));
	}
	if (n)
		fputs(": ", f);
	for (size_t i = 0, k = 0; i < _REASON_MAX; i++) {
		if (j->reasons[i])
			fprintf(f, "%s%s", k++ ? "; " : "", j->reasons[i]);
	}
	if (n)
		fputs(". ", f);
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

/* The figures, as far as they mean anything. */
static char *figures_text(const struct run_input *in, const struct run_judgement *j)
{
	const struct cyclictest_thread *worst = NULL;
	_cleanup_free_ char *cpus = cpuset_format_list(&j->measured);
	const char *cpu_word = cpuset_count(&j->measured) == 1 ? "CPU" : "CPUs";
	uint64_t cycles = 0;
	char *text;
	int n;

	for (size_t i = 0; i < j->n_threads; i++) {
		const struct cyclictest_thread *t = &j->threads[i].merged;

		cycles += t->cycles;
		if (t->cycles && (!worst || t->max_us > worst->max_us))
			worst = t;
	}
	if (!cpus)
		return NULL;
	if (!worst)
		return strdup("Nothing was measured.");
	if (j->bound_per_hour >= 0)
		n = asprintf(&text,
			     "0 of %" PRIu64 " wake-ups on %s %s above %" PRId64
			     " us in %u s (worst %" PRIu64
			     " us, CPU %d): at most %.3g per hour at 95 %%",
			     cycles, cpu_word, cpus, j->sla[SLA_MAX].limit, in->duration_s,
			     worst->max_us, worst->cpu, j->bound_per_hour);
	else if (j->exceedances > 0)
		n = asprintf(&text,
			     "%" PRId64 " of %" PRIu64 " wake-ups on %s %s above %" PRId64
			     " us, worst %" PRIu64 " us on CPU %d",
			     j->exceedances, cycles, cpu_word, cpus, j->sla[SLA_MAX].limit,
			     worst->max_us, worst->cpu);
	else
		n = asprintf(&text,
			     "Worst of %" PRIu64 " wake-ups on %s %s: %" PRIu64 " us on CPU %d",
			     cycles, cpu_word, cpus, worst->max_us, worst->cpu);
	return n < 0 ? NULL : text;
}

int run_sentence(const struct run_input *in, struct run_judgement *j)
{
	_cleanup_free_ char *why = reasons_text(j);
	_cleanup_free_ char *figures = figures_text(in, j);

	if (!why || !figures)
		return -ENOMEM;
	j->sentence = arena_printf(&j->arena, "%s%s", why, figures);
	return j->sentence ? 0 : -ENOMEM;
}

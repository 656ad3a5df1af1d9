/*
 * The cross checks of guests: what each of them says against the others and against the host. The
 * document alone decides most; where the host's isolated set is `auto`, the pins are checked when
 * the machine has drawn it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>

#include "state/document_guests.h"
#include "state/document_parts.h"
#include "state/guest_boot.h"
#include "state/rows.h"

static int refuse(struct doc *doc, struct mark at, const char *todo, const char *fmt, ...)
	printf_like(4, 5);

static int refuse(struct doc *doc, struct mark at, const char *todo, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)doc_verror(doc, at, fmt, ap);
	va_end(ap);
	error_todo(doc->error, "%s", todo);
	return -EINVAL;
}

/* The vCPUs @v of guest @g and all before it, looking for the same host CPU. */
static int check_cpu_once(struct doc *doc, const struct desired *d, const struct desired_guest *g,
			  const struct desired_vcpu *v)
{
	for (const struct desired_guest *other = d->guests; other <= g; other++)
		for (const struct desired_vcpu *w = other->vcpus; w < other->vcpus + other->n_vcpus;
		     w++) {
			if (w == v)
				return 0;
			if (w->cpu == v->cpu)
				return refuse(doc, v->at,
					      "give each vCPU a CPU of its own: two on one would "
					      "wait for each other",
					      "CPU %u has a vCPU of %s already", v->cpu,
					      other->name);
		}
	return 0;
}

static int check_pins(struct doc *doc, const struct desired *d, const struct desired_guest *g)
{
	bool known = !d->no_machine && !d->isolated_auto;

	for (const struct desired_vcpu *v = g->vcpus; v < g->vcpus + g->n_vcpus; v++) {
		int r = check_cpu_once(doc, d, g, v);

		if (r < 0)
			return r;
		if (known && !cpuset_has(&d->isolated, v->cpu))
			return refuse(doc, v->at,
				      "pin it to one of the CPUs of host.cpus.isolated, or isolate "
				      "this one too",
				      "CPU %u is not isolated: its housekeeping would disturb the "
				      "vCPU",
				      v->cpu);
	}
	if (known && cpuset_intersects(&g->emulator, &d->isolated))
		return refuse(doc, g->at, "write emulator: housekeeping",
			      "the emulator's threads of %s would run on isolated CPUs", g->name);
	return 0;
}

/* The guest's own isolated CPUs are vCPUs, with a real-time thread each, and not all of them. */
static int check_guest_isolated(struct doc *doc, const struct desired *d,
				const struct desired_guest *g)
{
	const struct desired *state = g->state;

	if (!state)
		return 0;
	if (state->isolated_auto && guest_boots_from_host(g))
		return refuse(
			doc, state->isolated_at, "name the CPUs, such as 1-3",
			"the host gives this guest its boot arguments and cannot ask it which "
			"CPUs auto means");
	if (state->isolated_auto)
		return 0;
	if (cpuset_last(&state->isolated) >= (long)g->n_vcpus)
		return refuse(doc, state->isolated_at, "a guest's CPUs are numbered from 0",
			      "the guest %s has %zu vCPUs, and no CPU %ld", g->name, g->n_vcpus,
			      cpuset_last(&state->isolated));
	if (!cpuset_empty(&state->isolated) && cpuset_count(&state->isolated) == g->n_vcpus)
		return refuse(doc, state->isolated_at, "leave at least one vCPU to do the rest",
			      "the guest %s would have no housekeeping CPU", g->name);
	cpuset_for_each (cpu, &state->isolated) {
		if (!d->no_machine && g->vcpus[cpu].priority == 0)
			return refuse(doc, g->vcpus[cpu].at, "give it a priority from 1 to 98",
				      "CPU %ld is isolated in the guest %s, but its thread is not "
				      "real-time on the host",
				      cpu, g->name);
	}
	return 0;
}

/* Memory that all guests up to @g take of the host's pool of that size and node. */
static uint64_t taken_kib(const struct desired *d, const struct desired_guest *g, uint64_t size_kib,
			  int node)
{
	uint64_t sum = 0;

	for (const struct desired_guest *other = d->guests; other <= g; other++)
		if (other->origin == GUEST_LAUNCH && other->launch.page_size_kib == size_kib &&
		    (node < 0 || other->launch.node == node))
			sum += other->launch.memory_kib;
	return sum;
}

static int check_memory(struct doc *doc, const struct desired *d, const struct desired_guest *g)
{
	uint64_t size_kib, count, have_kib = 0, need_kib;
	const struct desired_launch *l = &g->launch;
	int node;

	if (g->origin != GUEST_LAUNCH || !l->page_size_kib || d->no_machine)
		return 0;
	for (size_t i = 0; desired_hugepages(d, i, &size_kib, &count, &node) == 0; i++)
		if (size_kib == l->page_size_kib && (node < 0 || l->node < 0 || node == l->node))
			have_kib += size_kib * count;
	need_kib = taken_kib(d, g, l->page_size_kib, l->node);
	if (need_kib <= have_kib)
		return 0;
	return refuse(doc, l->memory_at,
		      "reserve more of them in host.hugepages, or give the guests less memory",
		      "the guests up to %s need %" PRIu64 " MiB in pages of %" PRIu64
		      " MiB, and the host reserves %" PRIu64 " MiB there",
		      g->name, need_kib / 1024, l->page_size_kib / 1024, have_kib / 1024);
}

/* The boot arguments have one owner per key, in a guest too. */
static int check_append(struct doc *doc, const struct desired_guest *g)
{
	const char *key;
	int r = guest_append_clash(g, doc->arena, &key);

	if (r == -EINVAL)
		return refuse(doc, g->launch.kernel_at, "close the quote",
			      "append of the guest %s is not a kernel command line", g->name);
	if (r < 0 || !key)
		return r;
	return refuse(doc, g->launch.kernel_at, "say it in one place: remove it from append",
		      "append of the guest %s sets %s, which its state sets too", g->name, key);
}

static int check_unique(struct doc *doc, const struct desired *d, const struct desired_guest *g)
{
	for (const struct desired_guest *other = d->guests; other < g; other++) {
		if (streq(other->name, g->name))
			return refuse(doc, g->at, "give each guest a name of its own",
				      "a guest named %s stands above already", g->name);
		if (g->ssh.host_port && other->ssh.host_port == g->ssh.host_port)
			return refuse(doc, g->ssh.at, "give each guest a port of its own",
				      "port %u leads to the guest %s already", g->ssh.host_port,
				      other->name);
	}
	return 0;
}

int guests_check(struct doc *doc, const struct desired *d)
{
	for (const struct desired_guest *g = d->guests; g < d->guests + d->n_guests; g++) {
		int r = check_unique(doc, d, g);

		if (r >= 0)
			r = check_pins(doc, d, g);
		if (r >= 0)
			r = check_guest_isolated(doc, d, g);
		if (r >= 0)
			r = check_memory(doc, d, g);
		if (r >= 0)
			r = check_append(doc, g);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The pins of @g against the set that the machine has drawn, and against its CPUs. */
static int check_resolved(struct doc *doc, const struct desired *d, const struct desired_guest *g,
			  const struct cpuset *have)
{
	for (const struct desired_vcpu *v = g->vcpus; v < g->vcpus + g->n_vcpus; v++) {
		if (!cpuset_has(have, v->cpu))
			return refuse(doc, v->at, "pin the vCPU to a CPU that the machine has",
				      "this machine has no CPU %u", v->cpu);
		if (!d->no_machine && !cpuset_has(&d->isolated, v->cpu))
			return refuse(doc, v->at,
				      "name the isolated CPUs instead of auto, or pin the vCPU to "
				      "one of them",
				      "CPU %u is not among the isolated CPUs of this machine",
				      v->cpu);
	}
	if (cpuset_intersects(&g->emulator, &d->isolated))
		return refuse(doc, g->at, "write emulator: housekeeping",
			      "the emulator's threads of %s would run on isolated CPUs", g->name);
	if (!cpuset_empty(&g->emulator) && !cpuset_intersects(&g->emulator, have))
		return refuse(doc, g->at, "write emulator: housekeeping",
			      "this machine has none of the emulator's CPUs of %s", g->name);
	return 0;
}

int guests_check_resolved(const struct desired *d, const struct observed *o, struct error *e)
{
	const struct cpuset *have = cpuset_empty(&o->present) ? &o->possible : &o->present;
	struct doc doc = { .source = d->source, .error = e };

	for (const struct desired_guest *g = d->guests; g < d->guests + d->n_guests; g++) {
		int r = check_resolved(&doc, d, g, have);

		if (r < 0)
			return r;
	}
	return 0;
}

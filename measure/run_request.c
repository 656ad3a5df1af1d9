/*
 * What a run is asked for: the document's measure, what the command line puts in its place, the
 * CPUs of the machine that is measured; and the same again from the request of a run that was
 * interrupted, which goes on only if nothing of it has changed.
 */
#include "measure/run_inside.h"

#include <errno.h>

#include "state/guest.h"

#define REQUEST_NAME "request.json"

int run_keep_json(struct measurement *m, const char *name, json_t *object, struct error *e)
{
	_cleanup_free_ char *text =
		object ? json_dumps(object, JSON_INDENT(2) | JSON_REAL_PRECISION(10)) : NULL;

	json_decref(object);
	return text ? keep_write(&m->keep, name, text, e) : -ENOMEM;
}

/* Nothing declared: a run that shows that measuring works, and passes nothing. */
static int choose_profile(struct measurement *m, const char *name, struct error *e)
{
	struct desired_measure *rec = &m->rec.measure;
	const struct measure_profile *p;

	*rec = m->d->measure;
	if (!rec->declared) {
		rec->action = SLA_ASSERT;
		for (size_t i = 0; i < _SLA_KEY_MAX; i++)
			rec->limits[i] = -1;
		name = name ? name : "smoke";
	}
	p = name ? measure_profile(name) : NULL;
	if (name && !p) {
		error_set(e, -EINVAL, "there is no profile \"%s\"", name);
		error_todo(e, "profiles: smoke, quick, kvm4nfv, standard, acceptance");
		return -EINVAL;
	}
	if (p && (!rec->declared || !streq(rec->profile, name)))
		measure_set_profile(rec, p);
	m->rec.duration_s = rec->duration_s;
	m->rec.segment_s = rec->segment_s;
	return 0;
}

/* The guest's own CPUs: its document says which it isolates, the host how many it has. */
static int guest_cpus(struct measurement *m, const char *name, struct error *e)
{
	const struct desired_guest *g = NULL;

	for (size_t i = 0; i < m->d->n_guests; i++)
		if (streq(m->d->guests[i].name, name))
			g = &m->d->guests[i];
	if (!g || !g->state)
		return error_set(e, -EINVAL, "the document has no guest \"%s\" with a state", name);
	if (cpuset_copy(&m->cpus, &g->state->isolated) < 0)
		return -ENOMEM;
	if (g->n_vcpus > 1 && g->state->isolated_auto && cpuset_empty(&m->cpus) &&
	    cpuset_add_range(&m->cpus, 1, (unsigned)g->n_vcpus - 1) < 0)
		return -ENOMEM;
	if (g->n_vcpus && cpuset_add_range(&m->housekeeping, 0, (unsigned)g->n_vcpus - 1) < 0)
		return -ENOMEM;
	cpuset_andnot(&m->housekeeping, &m->cpus);
	if (cpuset_copy(&m->beside, &m->d->housekeeping) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < m->d->n_guests; i++)
		for (size_t v = 0; v < m->d->guests[i].n_vcpus; v++)
			cpuset_remove(&m->beside, m->d->guests[i].vcpus[v].cpu);
	return 0;
}

static int choose_cpus(struct measurement *m, struct error *e)
{
	const char *guest = m->options->target->guest;
	int r = 0;

	if (guest)
		r = guest_cpus(m, guest, e);
	else if (cpuset_copy(&m->cpus, &m->d->isolated) < 0 ||
		 cpuset_copy(&m->housekeeping, &m->d->housekeeping) < 0)
		r = -ENOMEM;
	m->rec.asked = &m->cpus;
	if (r < 0 || !cpuset_empty(&m->cpus))
		return r;
	error_set(e, -EINVAL, "nothing to measure on %s: the document isolates no CPU there",
		  m->options->target->name);
	error_todo(e, "declare %s.cpus.isolated", guest ? "the guest's state: guest" : "host");
	return -EINVAL;
}

static int choose_cells(struct measurement *m, struct error *e)
{
	const struct desired_measure *rec = &m->rec.measure;

	m->rec.cells = calloc(rec->n_cells + 1, sizeof(*m->rec.cells));
	if (!m->rec.cells)
		return -ENOMEM;
	for (size_t i = 0; i < rec->n_cells; i++) {
		if (!m->options->target->guest && !streq(rec->cells[i].guest_load, "idle"))
			return error_set(e, -EINVAL,
					 "%s needs a guest that is measured: the host has no load "
					 "of a guest",
					 rec->cells[i].name);
		m->rec.cells[i].cell = rec->cells[i];
	}
	m->rec.n_cells = rec->n_cells;
	return rec->n_cells ? 0 : error_set(e, -EINVAL, "no load is named under which to measure");
}

/* What the interrupted run was asked for stands in its request; profile and time follow it. */
static int open_kept(struct measurement *m, const char **profile, unsigned *duration_s,
		     struct error *e)
{
	const json_t *request;
	_cleanup_free_ char *text = NULL;
	int r = keep_resume(m->hooks->runs_directory, m->options->resume, &m->keep, e);

	if (r < 0)
		return r;
	r = keep_read(&m->keep, REQUEST_NAME, &text, NULL);
	m->kept = r < 0 ? NULL : json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	request = json_object_get(m->kept, "request");
	if (!request)
		return error_set(e, -EBADMSG, "run %s cannot be resumed: its %s cannot be read",
				 m->keep.id, REQUEST_NAME);
	*profile = json_string_value(json_object_get(m->kept, "profile"));
	*duration_s = (unsigned)json_integer_value(json_object_get(request, "duration_s"));
	return 0;
}

static json_t *request_json(const struct measurement *m)
{
	return json_pack("{s:i, s:s, s:s, s:s, s:o, s:O, s:O, s:s, s:i}", "version", 1, "on",
			 m->rec.on, "profile", m->rec.measure.profile, "document",
			 m->d->digest ? m->d->digest : "", "request", run_request_json(&m->rec),
			 "before", m->rec.before, "fingerprint", m->rec.fingerprint, "started",
			 m->rec.started, "resumed", (int)m->rec.resumed);
}

/* The interrupted run's beginning becomes this one's; it has to be the same run. */
static int take_up_kept(struct measurement *m, struct error *e)
{
	static const char *const same[] = { "version", "on", "profile", "document", "request" };
	const char *started = json_string_value(json_object_get(m->kept, "started"));
	json_t *now = request_json(m);
	bool equal = now && started && strlen(started) + 1 == ISO_TIME_SIZE &&
		     json_is_object(json_object_get(m->kept, "before")) &&
		     json_is_object(json_object_get(m->kept, "fingerprint"));

	for (size_t i = 0; i < ARRAY_SIZE(same); i++)
		equal = equal && json_equal(json_object_get(now, same[i]),
					    json_object_get(m->kept, same[i]));
	json_decref(now);
	if (!equal) {
		error_set(e, -EINVAL,
			  "run %s cannot be resumed: it was of another document or machine",
			  m->keep.id);
		error_todo(e, "measure without --resume");
		return -EINVAL;
	}
	memcpy(m->rec.started, started, ISO_TIME_SIZE);
	m->rec.before = json_object_get(m->kept, "before");
	m->rec.fingerprint = json_object_get(m->kept, "fingerprint");
	m->rec.resumed = (unsigned)json_integer_value(json_object_get(m->kept, "resumed")) + 1;
	return 0;
}

int run_begin(struct measurement *m, struct error *e)
{
	int r = 0;

	iso_time(time(NULL), m->rec.started);
	m->rec.before = m->before.state;
	m->rec.fingerprint = m->before.fingerprint;
	if (m->kept)
		r = take_up_kept(m, e);
	else
		r = keep_open(m->hooks->runs_directory, m->rec.measure.profile, time(NULL),
			      &m->keep, e);
	m->rec.id = m->keep.id;
	return r < 0 ? r : run_keep_json(m, REQUEST_NAME, request_json(m), e);
}

int run_prepare(struct measurement *m, struct error *e)
{
	const char *profile = m->options->profile;
	unsigned duration_s = m->options->duration_s;
	int r = 0;

	if (!m->root->live)
		return error_set(e, -EOPNOTSUPP,
				 "%s is not the running machine: only that can be measured",
				 m->root->path);
	m->rec.on = m->options->target->name;
	if (m->options->resume)
		r = open_kept(m, &profile, &duration_s, e);
	if (r == 0)
		r = choose_profile(m, profile, e);
	if (r < 0)
		return r;
	if (duration_s && duration_s != m->rec.duration_s) {
		m->rec.duration_s = duration_s;
		if (m->rec.segment_s == m->rec.measure.duration_s || m->rec.segment_s > duration_s)
			m->rec.segment_s = measure_segment_s(duration_s);
	}
	m->rec.histogram_us = cyclictest_histogram_us(m->rec.measure.limits[SLA_MAX]);
	r = choose_cpus(m, e);
	return r < 0 ? r : choose_cells(m, e);
}

/*
 * Segments and cells as they are kept: each segment is a file of its own in the run's folder, from
 * which an interrupted run is judged as if it had not been. What a file says is read with the same
 * distrust as what a guest says.
 */
#include <errno.h>

#include "measure/json_text.h"
#include "measure/run.h"

void segment_record_done(struct segment_record *s)
{
	segment_outcome_done(&s->outcome);
	if (s->has_result)
		cyclictest_result_done(&s->result);
	free(s->unreachable);
	free(s->host_load_trouble);
	free(s->result_error);
	json_decref(s->host_load);
	*s = (struct segment_record){ 0 };
}

void cell_record_done(struct cell_record *c)
{
	for (size_t i = 0; i < c->n_segments; i++)
		segment_record_done(&c->segments[i]);
	free(c->segments);
	run_judgement_done(&c->judgement);
	*c = (struct cell_record){ 0 };
}

int segment_record_parse(struct segment_record *s)
{
	_cleanup_error_ struct error e = { 0 };
	const char *text = s->outcome.json;
	int r;

	if (!text)
		return 0;
	r = cyclictest_parse(text, strlen(text), &s->result, &e);
	s->has_result = r == 0;
	if (r == 0 || r == -ENOMEM)
		return r;
	s->result_error = strdup(e.what ? e.what : "the result of cyclictest cannot be read");
	return s->result_error ? 0 : -ENOMEM;
}

json_t *segment_record_to_json(const struct segment_record *s)
{
	return json_pack("{s:i, s:s, s:i, s:o, s:o, s:o, s:o}", "index", (int)s->index, "started",
			 s->started, "duration_s", (int)s->duration_s, "outcome",
			 s->unreachable ? json_null() : segment_outcome_to_json(&s->outcome),
			 "unreachable", json_text(s->unreachable), "host_load",
			 s->host_load ? json_incref(s->host_load) : json_null(),
			 "host_load_trouble", json_text(s->host_load_trouble));
}

static int copy_text(const json_t *json, const char *key, char **ret)
{
	const char *text = json_string_value(json_object_get(json, key));

	*ret = text ? strdup(text) : NULL;
	return text && !*ret ? -ENOMEM : 0;
}

int segment_record_from_json(const json_t *json, struct segment_record *ret)
{
	_cleanup_(segment_record_done) struct segment_record s = { 0 };
	const char *started = json_string_value(json_object_get(json, "started"));
	json_int_t index = json_integer_value(json_object_get(json, "index"));
	json_int_t duration_s = json_integer_value(json_object_get(json, "duration_s"));
	int r = 0;

	if (index < 1 || index > 1000000 || duration_s < 1 || duration_s > 30 * 24 * 3600 ||
	    !started || strlen(started) + 1 != ISO_TIME_SIZE)
		return -EBADMSG;
	s.index = (unsigned)index;
	s.duration_s = (unsigned)duration_s;
	memcpy(s.started, started, ISO_TIME_SIZE);
	r = copy_text(json, "unreachable", &s.unreachable);
	if (r == 0)
		r = copy_text(json, "host_load_trouble", &s.host_load_trouble);
	s.host_load = json_incref(json_object_get(json, "host_load"));
	if (r == 0 && !s.unreachable)
		r = segment_outcome_from_json(json_object_get(json, "outcome"), &s.outcome, NULL);
	if (r == 0)
		r = segment_record_parse(&s);
	if (r < 0)
		return r;
	*ret = s;
	s = (struct segment_record){ 0 };
	return 0;
}

/*
 * Any bytes as what a guest says of a segment: never a crash; what is accepted keeps its bounds and
 * says the same when it is written and read again.
 */
#include <errno.h>
#include <stdint.h>

#include "measure/segment.h"

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void check_outcome(const struct segment_outcome *o)
{
	_cleanup_(segment_outcome_done) struct segment_outcome again = { 0 };
	json_t *json = segment_outcome_to_json(o);

	check(json && segment_outcome_from_json(json, &again, NULL) == 0);
	check(!o->json == !again.json && (!o->json || streq(o->json, again.json)));
	check(!o->load_trouble || strlen(o->load_trouble) <= 1024);
	check(o->tool.wait_status == again.tool.wait_status);
	json_decref(json);
}

static void check_request(const struct segment_request *rq)
{
	check(!cpuset_empty(&rq->cpus) && rq->duration_s && rq->interval_us && rq->histogram_us);
	check(rq->id && rq->load);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(segment_outcome_done) struct segment_outcome o = { 0 };
	_cleanup_(segment_request_done) struct segment_request rq = { 0 };
	json_t *json = json_loadb((const char *)data, size, 0, NULL);
	int r;

	if (!json)
		return 0;
	r = segment_outcome_from_json(json, &o, NULL);
	check(r == 0 || r == -EBADMSG || r == -ENOMEM);
	if (r == 0)
		check_outcome(&o);
	r = segment_request_from_json(json, &rq, NULL);
	check(r == 0 || r == -EBADMSG || r == -ENOMEM);
	if (r == 0)
		check_request(&rq);
	json_decref(json);
	return 0;
}

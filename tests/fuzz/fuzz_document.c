/*
 * document_parse() on any bytes, with the real settings. What is accepted is complete and keeps its
 * promises to judge and plan; what is refused leaves the result untouched and says where and why.
 */
#include <errno.h>
#include <stdint.h>

#include "state/guest.h"
#include "state/observed.h"
#include "state/settings.h"

#define REQUIRE(condition)        \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a guest is given must be a document of the same digest to it. */
static void check_guest(const struct desired_guest *g)
{
	_cleanup_desired_ struct desired inner = { 0 };
	struct error e = { 0 };

	REQUIRE(g->name && g->n_vcpus && !g->state == !g->document);
	if (!g->document)
		return;
	REQUIRE(!document_parse("guest", g->document, strlen(g->document), &inner, &e));
	REQUIRE(inner.role == ROLE_GUEST && streq(inner.digest, g->digest));
	for (size_t i = 0; i < n_settings; i++)
		REQUIRE(!inner.values[i] == !g->state->values[i]);
}

static void check_accepted(const struct desired *d)
{
	REQUIRE(d->isolated_auto || !cpuset_empty(&d->isolated) || d->no_machine ||
		d->role == ROLE_GUEST);
	REQUIRE(!d->no_machine || d->n_guests);
	REQUIRE(d->allow_cpu0 || !cpuset_has(&d->isolated, 0));
	REQUIRE(cpuset_empty(&d->housekeeping));
	REQUIRE(strlen(d->digest) == 16 && streq(d->source, "fuzz"));
	REQUIRE(d->measure.profile && d->measure.duration_s && d->measure.interval_us);
	for (size_t i = 0; i < d->n_guests; i++)
		check_guest(&d->guests[i]);
	for (size_t i = 0; i < SETTINGS_MAX; i++)
		REQUIRE(!d->values[i] || (i < n_settings && d->marks[i].line));
}

/* Eight CPUs and 4 GiB: refused or not, the sets are of that machine. */
static void check_resolved(struct desired *d)
{
	struct error e = { 0 };
	struct observed_node node = { .id = 0, .memory_kib = 4 << 20 };
	struct fact siblings = {
		.state = FACT_KNOWN,
		.path = "/sys/devices/system/cpu/cpu0/topology/thread_siblings_list",
		.text = "0,4",
	};
	struct observed o = {
		.cpu_possible = { .state = FACT_KNOWN, .text = "0-7" },
		.cpu_online = { .state = FACT_KNOWN, .text = "0-7" },
		.n_cpus = 8,
		.files = &siblings,
		.n_files = 1,
		.nodes = &node,
		.n_nodes = 1,
		.nodes_fact = { .state = FACT_KNOWN, .text = "" },
	};
	int r;

	REQUIRE(!cpuset_parse_list("0-7", 0, &o.possible));
	REQUIRE(!cpuset_parse_list("0-7", 0, &o.online));
	r = desired_resolve(d, &o, &e);
	REQUIRE(r == 0 || (r == -EINVAL && e.what && e.what[0]));
	if (r == 0) {
		REQUIRE(!cpuset_empty(&d->isolated) || d->no_machine || d->role == ROLE_GUEST);
		REQUIRE(!cpuset_empty(&d->housekeeping));
		REQUIRE(!cpuset_intersects(&d->isolated, &d->housekeeping));
		REQUIRE(cpuset_subset(&d->isolated, &o.possible));
	}
	error_clear(&e);
	observed_done(&o);
}

static void check_refused(const struct error *e)
{
	REQUIRE(e->code == -EINVAL && e->what);
	REQUIRE(!strncmp(e->what, "fuzz:", 5) && e->what[5] >= '1' && e->what[5] <= '9');
	for (const char *p = e->what; *p; p++)
		REQUIRE((unsigned char)*p >= 0x20 && *p != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct desired d, before;
	struct error e = { 0 };
	int r;

	memset(&d, 0xa5, sizeof(d));
	before = d;
	r = document_parse("fuzz", (const char *)data, size, &d, &e);
	REQUIRE(r == 0 || r == -EINVAL);
	if (r == 0) {
		check_accepted(&d);
		check_resolved(&d);
		desired_done(&d);
	} else {
		REQUIRE(!memcmp(&d, &before, sizeof(d)));
		check_refused(&e);
	}
	error_clear(&e);
	return 0;
}

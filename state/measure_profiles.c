/*
 * The profiles of a measurement, and the combinations of loads under which it can be made. The
 * lengths: 300 s for a quick look, KVM4NFV's 600,000 loops of 1 ms, an hour, RHEL's and
 * OpenShift's 12 h.
 */
#include "state/measure_spec.h"

#include "state/base.h"

#define CELL(host, guest)                                                          \
	{                                                                          \
		.name = #host "_" #guest, .host_load = #host, .guest_load = #guest \
	}
#define CELLS(guest) \
	CELL(idle, guest), CELL(cpustress, guest), CELL(memorystress, guest), CELL(iostress, guest)

/* The first four are KVM4NFV's: a load on the host beside an idle guest. */
static const struct measure_cell cells[] = { CELLS(idle), CELLS(cpustress), CELLS(memorystress),
					     CELLS(iostress) };

const char *const measure_loads[] = { "idle", "cpustress", "memorystress", "iostress", NULL };

const struct measure_profile measure_profiles[] = {
	{ .name = "smoke", .duration_s = 10, .interval_us = 200, .cells = cells, .n_cells = 1 },
	{ .name = "quick",
	  .duration_s = 300,
	  .interval_us = 200,
	  .pass_duration_s = 300,
	  .provisional = true,
	  .cells = cells,
	  .n_cells = 1 },
	{ .name = "kvm4nfv",
	  .duration_s = 600,
	  .interval_us = 1000,
	  .pass_duration_s = 600,
	  .cells = cells,
	  .n_cells = 4 },
	{ .name = "standard",
	  .duration_s = 3600,
	  .interval_us = 200,
	  .pass_duration_s = 3600,
	  .cells = cells,
	  .n_cells = 1 },
	{ .name = "acceptance",
	  .duration_s = 12 * 3600,
	  .interval_us = 200,
	  .pass_duration_s = 12 * 3600,
	  .cells = cells,
	  .n_cells = 1 },
};
const size_t n_measure_profiles = ARRAY_SIZE(measure_profiles);

const struct measure_profile *measure_profile(const char *name)
{
	for (size_t i = 0; name && i < n_measure_profiles; i++)
		if (streq(measure_profiles[i].name, name))
			return &measure_profiles[i];
	return NULL;
}

const struct measure_cell *measure_cell(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(cells); i++)
		if (streq(cells[i].name, name))
			return &cells[i];
	return NULL;
}

unsigned measure_segment_s(unsigned duration_s)
{
	unsigned segment_s = duration_s <= 600 ? 60 : 300;

	return segment_s < duration_s ? segment_s : duration_s;
}

void measure_set_profile(struct desired_measure *m, const struct measure_profile *p)
{
	m->profile = p->name;
	m->duration_s = p->duration_s;
	m->segment_s = measure_segment_s(p->duration_s);
	m->interval_us = p->interval_us;
	m->cells = p->cells;
	m->n_cells = p->n_cells;
}

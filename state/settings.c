/*
 * The one list of settings. A new one is a row in a file of its own (or a family's file), declared
 * in rows.h and named here; nothing else lists settings.
 */
#include "state/settings.h"

#include <assert.h>

#include "state/rows.h"

const struct setting *const settings[] = {
	&setting_kernel,
	&setting_cpu_isolation,
	&setting_tick_offload,
	&setting_rcu_offload,
	&setting_iommu,
	&setting_hugepages,
	&setting_machine_check,
	&setting_tsc,
	&setting_watchdogs,
	&setting_rt_throttling,
	&setting_irq_affinity,
	&setting_idle,
	&setting_kthread_priority,
	&setting_timer_migration,
};
const size_t n_settings = ARRAY_SIZE(settings);

static_assert(ARRAY_SIZE(settings) <= SETTINGS_MAX, "struct desired has no place for more rows");

const char *const kernel_config_options[] = {
	"CONFIG_PREEMPT_RT",
	"CONFIG_NO_HZ_FULL",
	"CONFIG_RCU_NOCB_CPU",
	NULL,
};

const struct setting *setting_by_name(const char *name)
{
	for (size_t i = 0; i < n_settings; i++)
		if (streq(settings[i]->name, name))
			return settings[i];
	return NULL;
}

size_t setting_index(const struct setting *s)
{
	size_t i = 0;

	while (i < n_settings && settings[i] != s)
		i++;
	assert(i < n_settings);
	return i;
}

bool setting_applies(const struct setting *s, const struct desired *d)
{
	return d->role != ROLE_GUEST || !s->host_only;
}

unsigned settings_facts(const struct desired *d)
{
	unsigned facts = 0;

	for (size_t i = 0; i < n_settings; i++)
		if (!d || d->values[i])
			facts |= settings[i]->facts;
	return facts;
}

const char *desired_package(const struct desired *d)
{
	const void *value = d->values[setting_index(&setting_kernel)];

	return value ? kernel_value_package(value) : NULL;
}

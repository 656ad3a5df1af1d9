/*
 * The IOMMU as the running kernel uses it: the units of /sys/class/iommu, the domain type of every
 * group (Documentation/ABI/testing/sysfs-kernel-iommu_groups), and whether firmware has the tables
 * without which there is nothing to switch on.
 */
#include "probes/probe.h"

#include <errno.h>

#define CLASS  "/sys/class/iommu"
#define GROUPS "/sys/kernel/iommu_groups"
#define TABLES "/sys/firmware/acpi/tables"

static int probe_units(const struct sysroot *root, struct observed *o)
{
	char **names = NULL, *text = NULL;
	size_t n = 0;
	int r;

	r = sysroot_list(root, &o->arena, CLASS, &names, &n);
	for (size_t i = 0; i < n; i++) {
		char path[320];

		text = arena_printf(&o->arena, "%s%s%s", text ? text : "", text ? " " : "",
				    names[i]);
		if (!text)
			return -ENOMEM;
		snprintf(path, sizeof(path), CLASS "/%s", names[i]);
		sysroot_saw_folder(root, path);
	}
	o->iommu_fact = sysroot_outcome(&o->arena, CLASS, r, text ? text : "");
	return fact_check(&o->iommu_fact);
}

static int probe_iommu_groups(const struct sysroot *root, struct observed *o)
{
	_cleanup_free_ unsigned *numbers = NULL;
	size_t n = 0;
	int r;

	r = sysroot_numbers(root, GROUPS, "", "", &numbers, &n);
	o->iommu_groups_fact = sysroot_outcome(&o->arena, GROUPS, r, "");
	if (fact_check(&o->iommu_groups_fact) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		struct observed_iommu_group *group;
		char path[96];

		group = arena_grow(&o->arena, &o->iommu_groups, &o->n_iommu_groups, sizeof(*group));
		if (!group)
			return -ENOMEM;
		group->number = numbers[i];
		snprintf(path, sizeof(path), GROUPS "/%u", numbers[i]);
		sysroot_saw_folder(root, path);
		snprintf(path, sizeof(path), GROUPS "/%u/type", numbers[i]);
		group->type = sysroot_fact(root, &o->arena, path);
		if (fact_check(&group->type) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int probe_table(const struct sysroot *root, struct observed *o, const char *path,
		       struct fact *ret)
{
	int r = sysroot_exists(root, path);

	*ret = sysroot_outcome(&o->arena, path, r == 0 ? -ENOENT : r, "");
	return fact_check(ret);
}

int probe_iommu(const struct sysroot *root, struct observed *o)
{
	int r = probe_units(root, o);

	if (r >= 0)
		r = probe_iommu_groups(root, o);
	if (r >= 0)
		r = probe_table(root, o, TABLES "/DMAR", &o->acpi_dmar);
	if (r >= 0)
		r = probe_table(root, o, TABLES "/IVRS", &o->acpi_ivrs);
	return r;
}

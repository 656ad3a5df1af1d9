/*
 * iommu: passthrough. True when an IOMMU drives its groups and every group's domain type is
 * identity. Without a DMAR (Intel) or IVRS (AMD) table the firmware hides it: nothing here can mend
 * that.
 */
#include <errno.h>

#include "state/row.h"
#include "state/rows.h"

static const char *const names[] = { "passthrough", NULL };

static int iommu_parse(struct doc *doc, const struct yaml_node *node, const struct setting *s,
		       const void **ret)
{
	(void)s;
	return parse_choice(doc, node, names, ret);
}

static int iommu_intent(const struct setting *s, const void *value, const struct desired *d,
			const struct observed *o, struct arena *a, struct boot_intent *b)
{
	(void)value, (void)d;
	if (fact_known(&o->acpi_dmar)) {
		/* AMD's driver is on by default and knows no `amd_iommu=on`; Intel's may be built
		 * to be off (CONFIG_INTEL_IOMMU_DEFAULT_ON). */
		int r = boot_intent_add(a, b, s, "intel_iommu", "on");

		if (r < 0)
			return r;
	} else if (!fact_known(&o->acpi_ivrs)) {
		return 0;
	}
	return boot_intent_add(a, b, s, "iommu", "pt");
}

static int judge_group(const struct observed_iommu_group *g, struct report *r,
		       struct setting_verdict *v)
{
	struct verdict_item *item = verdict_item_add(r, v);

	if (!item)
		return -ENOMEM;
	item->id = arena_printf(&r->arena, "%u", g->number);
	item->name = g->type.path;
	item->live = fact_show(&r->arena, &g->type);
	item->want = "identity";
	if (!item->id || !item->live)
		return -ENOMEM;
	if (!fact_known(&g->type)) {
		item->verdict = VERDICT_UNKNOWN;
		return verdict_unknown(r, v, &g->type);
	}
	if (streq(g->type.text, "identity"))
		return 0;
	v->live = g->type.text;
	item->verdict = VERDICT_PENDING_REBOOT;
	return verdict_worsen(r, v, VERDICT_PENDING_REBOOT,
			      "IOMMU group %u is of type %s, not identity", g->number,
			      g->type.text);
}

static int judge_no_iommu(const struct observed *o, struct report *r, struct setting_verdict *v)
{
	v->live = "none";
	if (fact_known(&o->acpi_dmar) || fact_known(&o->acpi_ivrs))
		return verdict_worsen(
			r, v, VERDICT_PENDING_REBOOT,
			"the firmware describes an IOMMU, but the running kernel drives none");
	if (o->acpi_dmar.state != FACT_ABSENT)
		return verdict_unknown(r, v, &o->acpi_dmar);
	if (o->acpi_ivrs.state != FACT_ABSENT)
		return verdict_unknown(r, v, &o->acpi_ivrs);
	return verdict_worsen(
		r, v, VERDICT_UNFIXABLE,
		"the firmware describes no IOMMU (no ACPI DMAR or IVRS table): turn on "
		"VT-d or AMD-Vi in the firmware set-up");
}

/* Another boot mends the groups only with the arguments of a driver that we know. */
static int judge_table(const struct observed *o, struct report *r, struct setting_verdict *v)
{
	if (fact_known(&o->acpi_dmar) || fact_known(&o->acpi_ivrs))
		return 0;
	if (o->acpi_dmar.state != FACT_ABSENT)
		return verdict_unknown(r, v, &o->acpi_dmar);
	if (o->acpi_ivrs.state != FACT_ABSENT)
		return verdict_unknown(r, v, &o->acpi_ivrs);
	return verdict_worsen(r, v, VERDICT_UNFIXABLE,
			      "%s, and this IOMMU is neither Intel's nor AMD's: its boot arguments "
			      "are not known",
			      v->reason);
}

static int iommu_judge(const struct setting *s, const void *value, const struct desired *d,
		       const struct observed *o, struct report *r, struct setting_verdict *v)
{
	int k;

	(void)s, (void)value, (void)d;
	v->want = "identity";
	k = verdict_evidence(r, v, &o->iommu_fact);
	if (k < 0)
		return k;
	if (o->iommu_fact.state != FACT_KNOWN && o->iommu_fact.state != FACT_ABSENT)
		return verdict_unknown(r, v, &o->iommu_fact);
	if (o->iommu_groups_fact.state != FACT_KNOWN && o->iommu_groups_fact.state != FACT_ABSENT)
		return verdict_unknown(r, v, &o->iommu_groups_fact);
	if (!fact_known(&o->iommu_fact) || !*o->iommu_fact.text || !o->n_iommu_groups)
		return judge_no_iommu(o, r, v);
	for (size_t i = 0; i < o->n_iommu_groups; i++) {
		k = judge_group(&o->iommu_groups[i], r, v);
		if (k < 0)
			return k;
	}
	if (!v->live)
		v->live = "identity";
	return v->verdict == VERDICT_PENDING_REBOOT ? judge_table(o, r, v) : 0;
}

const struct setting setting_iommu = {
	.name = "iommu",
	.host_only = true,
	.summary = "Host devices bypass DMA translation: every IOMMU group is an identity domain",
	.doc = "Documentation/admin-guide/kernel-parameters.txt (iommu=, intel_iommu=)",
	.values = "passthrough",
	.scope = SCOPE_BOOT,
	.disruption = DISRUPTION_REBOOT,
	.severity = SEVERITY_REQUIRED,
	.facts = FACTS_IOMMU,
	.parse = iommu_parse,
	.intent = iommu_intent,
	.judge = iommu_judge,
};

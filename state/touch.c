/*
 * From a path to settings, and from a drifted setting back to a write. The first is asked for every
 * write on the machine's procfs and sysfs, so that what can be refused by its first characters is.
 */
#include "state/touch.h"

#include <errno.h>

#include "state/settings.h"

/* Files that change what the probes of a fact group read. */
static const struct {
	enum fact_group group;
	const char *pattern;
} group_files[] = {
	{ FACTS_IRQS, "/proc/irq/*/smp_affinity" },
	{ FACTS_IRQS, "/proc/irq/*/smp_affinity_list" },
	{ FACTS_IRQS, "/proc/irq/default_smp_affinity" },
	{ FACTS_NODES, "/sys/devices/system/node/node*/hugepages/hugepages-*kB/nr_hugepages" },
	{ FACTS_NODES, "/sys/kernel/mm/hugepages/hugepages-*kB/nr_hugepages" },
	{ FACTS_NODES, "/sys/kernel/mm/hugepages/hugepages-*kB/nr_hugepages_mempolicy" },
	{ FACTS_NODES, "/proc/sys/vm/nr_hugepages" },
	{ FACTS_NODES, "/proc/sys/vm/nr_hugepages_mempolicy" },
	{ FACTS_IOMMU, "/sys/kernel/iommu_groups/*/type" },
};

/* What GRUB reads at the next boot, and what update-grub makes that from. */
static const char *const boot_prefixes[] = { "/boot/grub/grub.cfg", "/boot/grub/grubenv",
					     "/etc/default/grub" };

static bool is_boot_file(const char *path)
{
	for (size_t i = 0; i < ARRAY_SIZE(boot_prefixes); i++)
		if (after_prefix(path, boot_prefixes[i]))
			return true;
	return false;
}

static bool any_matches(const char *const *patterns, const char *path)
{
	for (; patterns && *patterns; patterns++)
		if (file_pattern_match(*patterns, path))
			return true;
	return false;
}

static bool group_matches(unsigned facts, const char *path)
{
	for (size_t i = 0; i < ARRAY_SIZE(group_files); i++)
		if ((facts & group_files[i].group) &&
		    file_pattern_match(group_files[i].pattern, path))
			return true;
	return false;
}

static bool sensitive(const struct setting *s, const char *path)
{
	for (const struct knob *k = s->knobs; k && k->path; k++)
		if (file_pattern_match(k->path, path))
			return true;
	return any_matches(s->files, path) ||
	       group_matches(s->facts, path);
}

static bool may_matter(const char *path)
{
	static const char *const prefixes[] = { "/proc/sys/", "/proc/irq/", "/sys/", "/boot/",
						"/etc/" };

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
		if (after_prefix(path, prefixes[i]))
			return true;
	return false;
}

uint64_t settings_touched(const struct desired *d, const char *path)
{
	bool boot = is_boot_file(path);
	uint64_t bits = 0;

	if (!may_matter(path))
		return 0;
	for (size_t i = 0; i < n_settings; i++)
		if (d->values[i] && setting_applies(settings[i], d) &&
		    (boot ? settings[i]->intent != NULL : sensitive(settings[i], path)))
			bits |= UINT64_C(1) << i;
	return bits;
}

/* ---- what was written ---- */

static void touch_done(struct touch *t)
{
	free(t->path);
	writer_done(&t->writer);
	*t = (struct touch){ 0 };
}

void touches_done(struct touches *t)
{
	for (size_t i = 0; i < t->n; i++)
		touch_done(&t->list[i]);
	t->n = 0;
}

static void drop(struct touches *t, size_t i)
{
	touch_done(&t->list[i]);
	memmove(&t->list[i], &t->list[i + 1], (t->n - i - 1) * sizeof(*t->list));
	t->n--;
}

int touches_add(struct touches *t, uint64_t settings, const char *path, const struct writer *w,
		uint64_t at_us)
{
	struct touch new = { .path = strdup(path), .settings = settings, .at_us = at_us };

	if (!new.path || writer_copy(w, &new.writer) < 0) {
		free(new.path);
		return -ENOMEM;
	}
	for (size_t i = 0; i < t->n; i++)
		if (streq(t->list[i].path, path)) {
			drop(t, i);
			break;
		}
	if (t->n == TOUCHES_MAX)
		drop(t, 0);
	t->list[t->n++] = new;
	return 0;
}

void touches_forget(struct touches *t, uint64_t at_us)
{
	while (t->n > 0 && t->list[0].at_us < at_us)
		drop(t, 0);
}

/* ---- whom it explains ---- */

static size_t folder_length(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? (size_t)(slash - path) : 0;
}

static bool same_folder(const char *a, const char *b)
{
	size_t n = folder_length(a);

	return n == folder_length(b) && strncmp(a, b, n) == 0;
}

/* A folder with a number of its own: an IRQ's, a node's, a CPU's. */
static bool numbered(const char *path)
{
	size_t n = folder_length(path);

	for (size_t i = 1; i < n; i++)
		if (path[i] >= '0' && path[i] <= '9')
			return true;
	return false;
}

/* "2M" in KiB, 0 for anything else. */
static uint64_t size_kib(const char *text)
{
	static const char units[] = "KMGT";
	char *end;
	uint64_t n = strtoull(text, &end, 10);
	const char *unit = *end && !end[1] ? strchr(units, *end) : NULL;

	return unit ? n << (10 * (unit - units)) : 0;
}

/* "24" of "/proc/irq/24/smp_affinity". */
static bool is_irqs_file(const char *path, const struct verdict_item *item)
{
	const char *rest = after_prefix(path, "/proc/irq/");

	rest = rest ? after_prefix(rest, item->id) : NULL;
	return rest && *rest == '/';
}

/* "node0" and "2M" of ".../node/node0/hugepages/hugepages-2048kB/nr_hugepages". A pool of all nodes
 * is in each node's files, and the files of all nodes change each node's pool. */
static bool is_pools_file(const char *path, const struct verdict_item *item)
{
	static const char folder[] = "/hugepages/hugepages-";
	const char *node = after_prefix(path, "/sys/devices/system/node/");
	const char *pool = strstr(path, folder);
	const char *rest = node ? after_prefix(node, item->id) : NULL;

	if (!pool || !item->name ||
	    strtoull(pool + strlen(folder), NULL, 10) != size_kib(item->name))
		return false;
	return !node || (rest && *rest == '/') || !after_prefix(item->id, "node");
}

/* Is it the file of an item that drifted? Who wrote one that is right, or that nobody can move, did
 * not do this. */
static bool is_items_file(const char *path, const struct setting_verdict *v)
{
	for (size_t i = 0; i < v->n_items; i++) {
		const struct verdict_item *item = &v->items[i];

		if (item->verdict == VERDICT_DRIFTED && item->id && *item->id &&
		    (is_irqs_file(path, item) || is_pools_file(path, item)))
			return true;
	}
	return false;
}

static bool has_drifted_item(const struct setting_verdict *v)
{
	for (size_t i = 0; i < v->n_items; i++)
		if (v->items[i].verdict == VERDICT_DRIFTED)
			return true;
	return false;
}

static bool in_evidence(const char *path, const struct setting_verdict *v)
{
	for (size_t i = 0; i < v->n_evidence; i++)
		if (same_folder(path, v->evidence[i].path))
			return true;
	return false;
}

/* The next boot is part of what was judged wrong: its configuration is evidence. */
static bool wrong_in_next_boot(const struct setting_verdict *v)
{
	for (size_t i = 0; i < v->n_evidence; i++)
		if (is_boot_file(v->evidence[i].path))
			return true;
	return false;
}

static bool explains(const struct touch *t, const struct setting_verdict *v)
{
	if (!(t->settings >> setting_index(v->setting) & 1))
		return false;
	if (is_boot_file(t->path))
		return wrong_in_next_boot(v);
	if (is_items_file(t->path, v))
		return true;
	/* Interrupts that are there already do not follow their default. */
	if (after_prefix(t->path, "/proc/irq/"))
		return !numbered(t->path) && !has_drifted_item(v);
	return !numbered(t->path) || in_evidence(t->path, v);
}

const struct touch *touches_find(const struct touches *t, const struct setting_verdict *v)
{
	for (size_t i = t->n; i-- > 0;)
		if (explains(&t->list[i], v))
			return &t->list[i];
	return NULL;
}

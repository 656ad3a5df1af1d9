/*
 * The model: a fingerprint is a JSON object of groups, and a hash is taken of the sorted, compact
 * text of the groups it stands for. What could not be read is null, so that a reading that begins
 * to fail changes the full hash.
 *
 * Only interrupts that can reach the isolated CPUs are in it: irqbalance may move the others among
 * the housekeeping CPUs at any time, and that is no other machine.
 */
#include "measure/fingerprint.h"

#include <errno.h>
#include <inttypes.h>

#include "measure/json_text.h"

#define FNV_START UINT64_C(0xcbf29ce484222325)

static uint64_t fnv1a(uint64_t hash, const char *s)
{
	for (; *s; s++)
		hash = (hash ^ (unsigned char)*s) * UINT64_C(0x100000001b3);
	return hash;
}

const char *cpuinfo_value(struct arena *a, const char *cpuinfo, const char *key)
{
	for (const char *line = cpuinfo; line && *line; line = strchr(line, '\n')) {
		const char *rest;

		line += *line == '\n';
		rest = after_prefix(line, key);
		if (!rest)
			continue;
		rest += strspn(rest, " \t");
		if (*rest != ':')
			continue;
		rest += 1 + strspn(rest + 1, " \t");
		return arena_strndup(a, rest, strcspn(rest, "\n"));
	}
	return NULL;
}

/* The value of @field in the stanza at @stanza, with its length; NULL when it has none. */
static const char *stanza_field(const char *stanza, const char *field, size_t *ret_n)
{
	for (const char *line = stanza; *line && *line != '\n';) {
		const char *value = after_prefix(line, field);

		if (value && *value == ':') {
			value += 1 + strspn(value + 1, " \t");
			*ret_n = strcspn(value, "\n");
			return value;
		}
		line += strcspn(line, "\n");
		line += *line == '\n';
	}
	return NULL;
}

const char *dpkg_version(struct arena *a, const char *status, const char *package)
{
	for (const char *stanza = status; stanza && *stanza;) {
		const char *name, *state, *version;
		size_t n_name, n_state, n_version;

		name = stanza_field(stanza, "Package", &n_name);
		state = stanza_field(stanza, "Status", &n_state);
		version = stanza_field(stanza, "Version", &n_version);
		if (name && state && version && n_name == strlen(package) &&
		    memcmp(name, package, n_name) == 0 && n_state >= 10 &&
		    memcmp(state + n_state - 10, " installed", 10) == 0)
			return arena_strndup(a, version, n_version);
		stanza = strstr(stanza, "\n\n");
		stanza = stanza ? stanza + strspn(stanza, "\n") : NULL;
	}
	return NULL;
}

static json_t *fact_json(const struct fact *f)
{
	return json_text(fact_known(f) ? f->text : NULL);
}

static json_t *file_json(const struct sysroot *root, struct arena *a, const char *path)
{
	struct fact f = sysroot_fact(root, a, path);

	return fact_json(&f);
}

static json_t *cpuinfo_json(struct arena *a, const struct observed *o, const char *key)
{
	if (!fact_known(&o->cpuinfo))
		return json_null();
	return json_text(cpuinfo_value(a, o->cpuinfo.text, key));
}

static json_t *list_json(const struct cpuset *s)
{
	_cleanup_free_ char *text = cpuset_format_list(s);

	return text ? json_string(text) : NULL;
}

static json_t *hardware_json(const struct sysroot *root, struct arena *a, const struct observed *o)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "cpu_vendor",
			 cpuinfo_json(a, o, "vendor_id"), "cpu_family",
			 cpuinfo_json(a, o, "cpu family"), "cpu_model_number",
			 cpuinfo_json(a, o, "model"), "cpu_model", cpuinfo_json(a, o, "model name"),
			 "cpu_stepping", cpuinfo_json(a, o, "stepping"), "cpus_possible",
			 fact_json(&o->cpu_possible), "system_vendor",
			 file_json(root, a, "/sys/class/dmi/id/sys_vendor"), "system_product",
			 file_json(root, a, "/sys/class/dmi/id/product_name"));
}

static json_t *firmware_json(const struct sysroot *root, struct arena *a, const struct observed *o)
{
	return json_pack("{s:o, s:o}", "microcode", cpuinfo_json(a, o, "microcode"), "bios_version",
			 file_json(root, a, "/sys/class/dmi/id/bios_version"));
}

static json_t *kernel_json(const struct sysroot *root, struct arena *a, const struct observed *o)
{
	return json_pack(
		"{s:o, s:o, s:o, s:o, s:o, s:o}", "release", fact_json(&o->kernel_release),
		"version", fact_json(&o->kernel_version), "cmdline", fact_json(&o->cmdline),
		"clocksource",
		file_json(root, a,
			  "/sys/devices/system/clocksource/clocksource0/current_clocksource"),
		"sched_rt_runtime_us", file_json(root, a, "/proc/sys/kernel/sched_rt_runtime_us"),
		"transparent_hugepage",
		file_json(root, a, "/sys/kernel/mm/transparent_hugepage/enabled"));
}

/* A digest of who may interrupt the isolated CPUs; null when no row looks at interrupts. */
static json_t *irqs_json(const struct desired *d, const struct observed *o)
{
	uint64_t hash = FNV_START;
	json_int_t n = 0;
	char text[17];

	if (!(o->groups & FACTS_IRQS) || !fact_known(&o->irqs_fact))
		return json_null();
	for (size_t i = 0; i < o->n_irqs; i++) {
		const struct observed_irq *irq = &o->irqs[i];
		_cleanup_cpuset_ struct cpuset effective = { 0 };
		int r = fact_list(&irq->effective, o->n_cpus, &effective);

		if (r == -ENOMEM)
			return NULL;
		if (r == 0 && !cpuset_intersects(&effective, &d->isolated))
			continue;
		n++;
		hash = fnv1a(hash, irq->name);
		hash = fnv1a(hash, "=");
		hash = fnv1a(hash, r == 0 ? irq->effective.text : "?");
		hash = fnv1a(hash, "\n");
	}
	snprintf(text, sizeof(text), "%016" PRIx64, hash);
	return json_pack("{s:I, s:s}", "count", n, "digest", text);
}

static json_t *isolation_json(const struct sysroot *root, struct arena *a, const struct desired *d,
			      const struct observed *o)
{
	return json_pack("{s:o, s:o, s:o}", "isolated", fact_json(&o->cpu_isolated), "nohz_full",
			 file_json(root, a, "/sys/devices/system/cpu/nohz_full"),
			 "irqs_on_isolated", irqs_json(d, o));
}

static json_t *software_json(const struct sysroot *root, struct arena *a, const struct desired *d,
			     const struct fingerprint_test *test)
{
	_cleanup_free_ char *status = NULL;
	const char *version = NULL;
	int r = sysroot_read(root, "/var/lib/dpkg/status", &status, NULL);

	if (r == -ENOMEM)
		return NULL;
	if (r == 0)
		version = dpkg_version(a, status, FINGERPRINT_TOOL_PACKAGE);
	return json_pack("{s:o, s:o, s:o}", "latencyd", json_text(test->latencyd_version),
			 FINGERPRINT_TOOL_PACKAGE, json_text(version), "document",
			 json_text(d->digest));
}

static json_t *test_json(const struct desired *d, const struct fingerprint_test *test)
{
	return json_pack("{s:s, s:o, s:I, s:I, s:o}", "tool", "cyclictest", "profile",
			 json_text(test->profile), "interval_us", (json_int_t)test->interval_us,
			 "duration_s", (json_int_t)test->duration_s, "cpus",
			 list_json(&d->isolated));
}

/* The hash of the named groups, set as @key. */
static int set_hash(json_t *fp, const char *key, const char *const *groups)
{
	uint64_t hash = FNV_START;
	json_t *part = json_object();
	const char *name;
	char *text, hex[17];
	json_t *v;

	json_object_foreach(fp, name, v)
	{
		bool wanted = false;

		for (size_t i = 0; groups[i]; i++)
			wanted = wanted || streq(groups[i], name);
		if (wanted && json_object_set(part, name, v) < 0) {
			json_decref(part);
			return -ENOMEM;
		}
	}
	text = json_dumps(part, JSON_SORT_KEYS | JSON_COMPACT);
	json_decref(part);
	if (!text)
		return -ENOMEM;
	hash = fnv1a(hash, text);
	free(text);
	snprintf(hex, sizeof(hex), "%016" PRIx64, hash);
	return json_object_set_new(fp, key, json_string(hex)) < 0 ? -ENOMEM : 0;
}

int fingerprint_make(const struct sysroot *root, const struct desired *d, const struct observed *o,
		     const struct fingerprint_test *test, json_t **ret)
{
	static const char *const comparable[] = { "hardware", "test", NULL };
	static const char *const full[] = { "hardware", "firmware", "kernel", "isolation",
					    "software", "test",	    NULL };
	struct arena a = { 0 };
	json_t *fp;

	fp = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "hardware",
		       hardware_json(root, &a, o), "firmware", firmware_json(root, &a, o), "kernel",
		       kernel_json(root, &a, o), "isolation", isolation_json(root, &a, d, o),
		       "software", software_json(root, &a, d, test), "test", test_json(d, test),
		       "boot_id", fact_json(&o->boot_id));
	arena_free(&a);
	if (!fp)
		return -ENOMEM;
	if (set_hash(fp, "comparable", comparable) < 0 || set_hash(fp, "full", full) < 0) {
		json_decref(fp);
		return -ENOMEM;
	}
	*ret = fp;
	return 0;
}

bool fingerprint_equal(const json_t *a, const json_t *b)
{
	return json_equal(json_object_get(a, "full"), json_object_get(b, "full"));
}

/*
 * One JSON object on disk, mirrored in memory:
 *
 *   {"version": 1, "boot_id": ..., "kernel": "6.1.0-56-amd64", "reverting": false,
 *    "boot_owners": {"isolcpus": "cpu_isolation"},
 *    "originals": {"irq|/proc/irq/24/smp_affinity_list|eth0": {"kind": ..., "value": ...}}}
 *
 * Invariants: the file is replaced as a whole (temporary, fsync, rename); an entry is never
 * overwritten; the caller flushes before it writes the target. Bytes that are not UTF-8 (an
 * administrator's boot file may hold any) are kept as {"base64": ...}.
 */
#include "actuators/originals.h"

#include <errno.h>
#include <jansson.h>

#include "actuators/base64.h"
#include "actuators/execute.h"
#include "actuators/paths.h"
#include "actuators/root.h"
#include "state/settings.h"

static const char *const kind_names[_ORIGINAL_KIND_MAX] = {
	[ORIGINAL_FILE] = "file",
	[ORIGINAL_PACKAGE] = "package",
	[ORIGINAL_KERNEL_FILE] = "kernel-file",
	[ORIGINAL_HUGEPAGES] = "hugepages",
	[ORIGINAL_IRQ] = "irq",
	[ORIGINAL_THREAD_POLICY] = "thread-policy",
	[ORIGINAL_THREAD_CPUS] = "thread-cpus",
	[ORIGINAL_IRQBALANCE] = "irqbalance",
	[ORIGINAL_SERVICE] = "service",
	[ORIGINAL_MOUNT] = "mount",
};

static const char *const format_names[] = {
	[VALUE_NUMBER] = "number", [VALUE_LIST] = "list", [VALUE_MASK] = "mask",
	[VALUE_CHOICE] = "choice", [VALUE_TEXT] = "text",
};

const char *original_kind_name(enum original_kind k)
{
	return kind_names[k];
}

static int index_of(const char *const *names, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (name && streq(names[i], name))
			return (int)i;
	return -EINVAL;
}

void originals_done(struct originals *o)
{
	json_decref(o->doc);
	*o = (struct originals){ 0 };
}

static int empty(struct originals *ret, struct error *e)
{
	json_t *doc = json_pack("{s:i, s:b, s:{}, s:{}}", "version", 1, "reverting", 0,
				"boot_owners", "originals");

	if (!doc)
		return error_set(e, -ENOMEM, "out of memory");
	*ret = (struct originals){ .doc = doc };
	return 0;
}

static bool entry_valid(const json_t *entry)
{
	const json_t *value = json_object_get(entry, "value");

	return json_is_string(json_object_get(entry, "target")) &&
	       json_is_string(json_object_get(entry, "name")) &&
	       json_is_string(json_object_get(entry, "setting")) &&
	       index_of(kind_names, ARRAY_SIZE(kind_names),
			json_string_value(json_object_get(entry, "kind"))) >= 0 &&
	       (json_is_null(value) || json_is_string(value));
}

/* Bytes come back as the string they were; from here on every value is null or a string. */
static int decode_bytes(json_t *entry)
{
	json_t *value = json_object_get(entry, "value"), *text;
	_cleanup_free_ char *bytes = NULL;
	size_t size;
	int r;

	if (!json_is_object(value))
		return 0;
	r = base64_decode(json_string_value(json_object_get(value, "base64")), &bytes, &size);
	if (r < 0)
		return r;
	text = json_stringn_nocheck(bytes, size);
	return json_object_set_new_nocheck(entry, "value", text) < 0 ? -ENOMEM : 0;
}

static int check(json_t *doc)
{
	json_t *all = json_object_get(doc, "originals"), *entry;
	const char *key;

	if (json_integer_value(json_object_get(doc, "version")) != 1 || !json_is_object(all) ||
	    !json_is_object(json_object_get(doc, "boot_owners")))
		return -EBADMSG;
	json_object_foreach(all, key, entry)
	{
		if (decode_bytes(entry) < 0 || !entry_valid(entry))
			return -EBADMSG;
	}
	return 0;
}

int originals_load(struct originals *ret, struct error *e)
{
	_cleanup_free_ char *text = NULL;
	json_error_t where;
	json_t *doc;
	size_t size;
	int r = root_read(ORIGINALS_FILE, &text, &size);

	if (r == -ENOENT)
		return empty(ret, e);
	if (r < 0)
		return error_set(e, r, "cannot read " ORIGINALS_FILE ": %s", strerror(-r));
	doc = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &where);
	if (doc && check(doc) == 0) {
		*ret = (struct originals){ .doc = doc };
		return 0;
	}
	json_decref(doc);
	error_set(e, -EBADMSG, ORIGINALS_FILE " is damaged%s%s", doc ? "" : ": ",
		  doc ? "" : where.text);
	error_todo(e, "nothing is changed without it, since it is the way back: mend it, or move "
		      "it away to take the machine's present state for the original");
	return -EBADMSG;
}

static char *entry_key(enum original_kind kind, const char *target, const char *name)
{
	char *key;

	return asprintf(&key, "%s|%s|%s", kind_names[kind], target, name) < 0 ? NULL : key;
}

static json_t *encode(const char *value, size_t size)
{
	_cleanup_free_ char *text = NULL;
	json_t *plain;

	if (!value)
		return json_null();
	plain = json_stringn(value, size); /* NULL for what is not UTF-8 */
	if (plain)
		return plain;
	text = base64_encode(value, size);
	return text ? json_pack("{s:s}", "base64", text) : NULL;
}

/* In memory the value is always the string itself: encode() is for the disk. */
static json_t *plain(const char *value, size_t size)
{
	return value ? json_stringn_nocheck(value, size) : json_null();
}

static int set_first_seen(struct originals *o)
{
	_cleanup_free_ char *release = NULL;
	json_t *kernel;

	if (json_object_get(o->doc, "kernel"))
		return 0;
	if (root_read_line("/proc/sys/kernel/osrelease", &release) < 0)
		return 0;
	kernel = json_string(release);
	return json_object_set_new(o->doc, "kernel", kernel) < 0 ? -ENOMEM : 0;
}

int originals_keep(struct originals *o, const struct original *new, struct error *e)
{
	_cleanup_free_ char *key = entry_key(new->kind, new->target, new->name ? new->name : "");
	_cleanup_free_ char *boot_id = NULL;
	json_t *all = json_object_get(o->doc, "originals"), *entry, *value;

	if (!key)
		return error_set(e, -ENOMEM, "out of memory");
	if (json_object_get(all, key))
		return 0;
	(void)root_read_line("/proc/sys/kernel/random/boot_id", &boot_id);
	value = plain(new->value, new->size ? new->size : new->value ? strlen(new->value) : 0);
	entry = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:o}", "kind", kind_names[new->kind],
			  "format", format_names[new->format], "target", new->target, "name",
			  new->name ? new->name : "", "setting", new->setting ? new->setting : "",
			  "boot_id", boot_id ? boot_id : "", "value", value);
	if (!entry || json_object_set_new_nocheck(all, key, entry) < 0 || set_first_seen(o) < 0)
		return error_set(e, -ENOMEM, "cannot remember what %s was", new->target);
	o->dirty = true;
	return 1;
}

static json_t *for_disk(const struct originals *o)
{
	json_t *doc = json_copy(o->doc), *all = json_object(), *entry;
	const char *key;

	if (!doc || !all || json_object_set_new(doc, "originals", all) < 0)
		goto fail;
	json_object_foreach(json_object_get(o->doc, "originals"), key, entry)
	{
		json_t *value = json_object_get(entry, "value"), *copy = json_copy(entry);

		if (json_object_set_new(
			    copy, "value",
			    encode(json_string_value(value), json_string_length(value))) < 0 ||
		    json_object_set_new_nocheck(all, key, copy) < 0)
			goto fail;
	}
	return doc;
fail:
	json_decref(doc);
	return NULL;
}

int originals_flush(struct originals *o, struct error *e)
{
	_cleanup_free_ char *text = NULL;
	json_t *doc;
	int r;

	if (!o->dirty)
		return 0;
	r = root_mkdir_p(STATE_FOLDER, 0755);
	if (r < 0)
		return error_set(e, r, "cannot make " STATE_FOLDER ": %s", strerror(-r));
	doc = for_disk(o);
	text = doc ? json_dumps(doc, JSON_INDENT(1)) : NULL;
	json_decref(doc);
	if (!text)
		return error_set(e, -ENOMEM, "cannot write " ORIGINALS_FILE ": out of memory");
	r = root_replace(ORIGINALS_FILE, text, strlen(text), 0600, e);
	if (r == 0)
		o->dirty = false;
	return r;
}

static const char *member(const json_t *entry, const char *name)
{
	const char *text = json_string_value(json_object_get(entry, name));

	return text ? text : "";
}

static void decode(const json_t *entry, struct original *ret)
{
	const json_t *value = json_object_get(entry, "value");
	int kind = index_of(kind_names, ARRAY_SIZE(kind_names), member(entry, "kind"));
	int format = index_of(format_names, ARRAY_SIZE(format_names), member(entry, "format"));

	*ret = (struct original){
		.kind = (enum original_kind)kind,
		.format = format < 0 ? VALUE_TEXT : (enum value_kind)format,
		.target = member(entry, "target"),
		.name = member(entry, "name"),
		.setting = member(entry, "setting"),
		.boot_id = member(entry, "boot_id"),
		.value = json_string_value(value),
		.size = json_string_length(value),
	};
}

bool originals_get(struct originals *o, enum original_kind kind, const char *target,
		   const char *name, struct original *ret)
{
	_cleanup_free_ char *key = entry_key(kind, target, name);
	json_t *entry = key ? json_object_get(json_object_get(o->doc, "originals"), key) : NULL;

	if (entry && ret)
		decode(entry, ret);
	return entry;
}

bool originals_next(struct originals *o, void **iter, struct original *ret)
{
	json_t *all = json_object_get(o->doc, "originals");

	*iter = *iter ? json_object_iter_next(all, *iter) : json_object_iter(all);
	if (!*iter)
		return false;
	decode(json_object_iter_value(*iter), ret);
	return true;
}

int originals_forget(struct originals *o, const struct original *old)
{
	_cleanup_free_ char *key = entry_key(old->kind, old->target, old->name);

	if (!key)
		return -ENOMEM;
	if (json_object_del(json_object_get(o->doc, "originals"), key) == 0)
		o->dirty = true;
	return 0;
}

size_t originals_count(const struct originals *o)
{
	return json_object_size(json_object_get(o->doc, "originals"));
}

int originals_delete(struct originals *o, struct error *e)
{
	int r = root_remove(ORIGINALS_FILE, e);

	if (r < 0)
		return r;
	originals_done(o);
	return empty(o, e);
}

const char *originals_kernel(const struct originals *o)
{
	return json_string_value(json_object_get(o->doc, "kernel"));
}

bool originals_reverting(const struct originals *o)
{
	return json_is_true(json_object_get(o->doc, "reverting"));
}

int originals_set_reverting(struct originals *o, bool reverting)
{
	if (originals_reverting(o) == reverting)
		return 0;
	o->dirty = true;
	return json_object_set_new(o->doc, "reverting", json_boolean(reverting)) < 0 ? -ENOMEM : 0;
}

const char *originals_boot_owner(const struct originals *o, const char *key)
{
	return json_string_value(json_object_get(json_object_get(o->doc, "boot_owners"), key));
}

int originals_set_boot_owners(struct originals *o, const struct boot_intent *b)
{
	json_t *owners = json_object_get(o->doc, "boot_owners");

	for (size_t i = 0; i < b->n_args; i++) {
		const char *key = b->args[i].key, *name = b->owners[i] ? b->owners[i]->name : "";
		const char *known = json_string_value(json_object_get(owners, key));

		if (known && streq(known, name))
			continue;
		if (json_object_set_new(owners, key, json_string(name)) < 0)
			return -ENOMEM;
		o->dirty = true;
	}
	return 0;
}

int originals_exist(bool *ret_reverting)
{
	_cleanup_originals_ struct originals o = { 0 };
	int r = root_exists(ORIGINALS_FILE);

	if (r <= 0) {
		if (r == 0 && ret_reverting)
			*ret_reverting = false;
		return r;
	}
	r = originals_load(&o, NULL);
	if (r < 0)
		return r;
	if (ret_reverting)
		*ret_reverting = originals_reverting(&o);
	return 1;
}

/*
 * From the document's bytes to struct desired, and from there to a machine. Parsing happens in a
 * struct of its own that is handed over whole or not at all; so does what desired_resolve() adds,
 * so that a document or machine that is refused leaves what was there before.
 */
#include "state/desired.h"

#include <errno.h>
#include <inttypes.h>

#include "state/document_guests.h"
#include "state/document_parts.h"
#include "state/observed.h"
#include "state/settings.h"

#define SIBLINGS "/sys/devices/system/cpu/cpu%ld/topology/thread_siblings_list"

void desired_done(struct desired *d)
{
	if (!d)
		return;
	desired_guests_done(d);
	cpuset_done(&d->isolated);
	cpuset_done(&d->housekeeping);
	arena_free(&d->arena);
	*d = (struct desired){ 0 };
}

/* FNV-1a, 64 bits: tells documents apart in a fingerprint, protects nothing. */
static uint64_t digest(const char *text, size_t size)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < size; i++) {
		hash ^= (unsigned char)text[i];
		hash *= UINT64_C(0x100000001b3);
	}
	return hash;
}

char *document_digest(struct arena *a, const char *text, size_t size)
{
	return arena_printf(a, "%016" PRIx64, digest(text, size));
}

static int parse_version(struct doc *doc, const struct yaml_node *node, void *target)
{
	(void)target;
	if (node->kind == YAML_SCALAR && node->plain && streq(node->text, "1"))
		return 0;
	doc_error(doc, node, "this version of latencyd reads documents of version 1 only");
	error_todo(doc->error, "write version: 1");
	return -EINVAL;
}

static int parse_reboot_policy(struct doc *doc, const struct yaml_node *node, void *target)
{
	static const char *const names[] = { "manual", "when-asked", "automatic", NULL };
	static const enum reboot_policy policies[] = { REBOOT_MANUAL, REBOOT_WHEN_ASKED,
						       REBOOT_AUTOMATIC };
	int choice, r = doc_choice(doc, node, names, &choice);

	if (!r)
		((struct desired *)target)->reboot_policy = policies[choice];
	return r;
}

static int parse_reboot(struct doc *doc, const struct yaml_node *node, void *target)
{
	static const struct doc_key keys[] = {
		{ .name = "policy", .parse = parse_reboot_policy },
	};

	return doc_mapping(doc, node, keys, ARRAY_SIZE(keys), target);
}

/* Keys that are no typing error, and not to be ignored: of a later version, or of the other kind of
 * document. */
static int refuse_misplaced(struct doc *doc, const struct yaml_node *root, bool of_guest)
{
	static const char of_host[] = "this belongs in a host's document, and this is a guest's";
	const struct {
		const char *key, *why; /* NULL: fine here */
	} misplaced[] = {
		{ "host", of_guest ? of_host : NULL },
		{ "guests", of_guest ? of_host : NULL },
		{ "measure", of_guest ? of_host : NULL },
		{ "boot", of_guest ? NULL : "only a guest's document says who boots it" },
	};

	for (size_t i = 0; i < root->n_items; i++) {
		for (size_t j = 0; j < ARRAY_SIZE(misplaced); j++) {
			if (!misplaced[j].why || !streq(root->keys[i]->text, misplaced[j].key))
				continue;
			doc_error(doc, root->keys[i], "%s", misplaced[j].why);
			error_todo(doc->error, "remove the key \"%s\"", misplaced[j].key);
			return -EINVAL;
		}
	}
	return 0;
}

static int parse_boot(struct doc *doc, const struct yaml_node *node, void *target)
{
	static const char *const names[] = { "host", NULL };
	int choice, r = doc_choice(doc, node, names, &choice);

	if (!r)
		((struct desired *)target)->boot_by_host = true;
	return r;
}

/* The document of a guest, as its host sends it. */
static int parse_guest_root(struct doc *doc, const struct yaml_node *root, struct desired *d)
{
	static const struct doc_key keys[] = {
		{ .name = "version", .parse = parse_version, .required = true },
		{ .name = "guest", .parse = document_parse_host, .required = true },
		{ .name = "drift", .parse = document_parse_drift },
		{ .name = "boot", .parse = parse_boot },
		{ .name = "reboot", .parse = parse_reboot },
	};
	int r;

	d->role = ROLE_GUEST;
	r = doc_mapping(doc, root, keys, ARRAY_SIZE(keys), d);
	return r < 0 ? r : document_check_drift(doc, root, d);
}

/* Each of `on` is the host, or one of the guests. */
static int check_measured(struct doc *doc, const struct yaml_node *root, const struct desired *d)
{
	const struct yaml_node *measure = yaml_get(root, "measure");
	const struct yaml_node *on = measure ? yaml_get(measure, "on") : NULL;

	for (size_t i = 0; i < d->measure.n_on; i++) {
		const char *guest = after_prefix(d->measure.on[i], "guest/");

		if (guest ? !desired_guest(d, guest) : d->no_machine) {
			doc_error(doc, on->items[i],
				  "there is no %s in this document to measure on",
				  d->measure.on[i]);
			error_todo(doc->error, "write host, or guest/NAME of one of its guests");
			return -EINVAL;
		}
	}
	return 0;
}

static int parse_host_root(struct doc *doc, const struct yaml_node *root, struct desired *d)
{
	/* In this order: a guest's defaults come from the host's pages, and the drift and reboot
	 * parts go into its document. */
	static const struct doc_key keys[] = {
		{ .name = "version", .parse = parse_version, .required = true },
		{ .name = "host", .parse = document_parse_host },
		{ .name = "drift", .parse = document_parse_drift },
		{ .name = "reboot", .parse = parse_reboot },
		{ .name = "guests", .parse = document_parse_guests },
		{ .name = "measure", .parse = document_parse_measure },
	};
	int r;

	d->no_machine = !yaml_get(root, "host");
	r = doc_mapping(doc, root, keys, ARRAY_SIZE(keys), d);
	if (r >= 0 && d->no_machine && !d->n_guests) {
		doc_error(doc, root, "the key \"host\" is missing, and there are no guests either");
		error_todo(doc->error, "write host: and the state this machine shall be in");
		return -EINVAL;
	}
	if (r >= 0)
		r = document_check_drift(doc, root, d);
	if (r >= 0)
		r = guests_check(doc, d);
	return r < 0 ? r : check_measured(doc, root, d);
}

static int parse_root(struct doc *doc, const struct yaml_node *root, struct desired *d)
{
	const struct yaml_node *version;
	int r = 0;

	if (root->kind != YAML_MAPPING)
		return parse_host_root(doc, root, d);
	version = yaml_get(root, "version");
	/* First: in a document of a later version other keys may well be right. */
	if (version)
		r = parse_version(doc, version, d);
	if (r >= 0)
		r = refuse_misplaced(doc, root, yaml_get(root, "guest"));
	if (r < 0)
		return r;
	return yaml_get(root, "guest") ? parse_guest_root(doc, root, d)
				       : parse_host_root(doc, root, d);
}

int document_parse(const char *source, const char *text, size_t size, struct desired *ret,
		   struct error *e)
{
	_cleanup_desired_ struct desired d = { .reboot_policy = REBOOT_WHEN_ASKED };
	struct doc doc = { .source = source, .arena = &d.arena, .error = e };
	struct yaml_node *root;
	int r;

	measure_defaults(&d.measure);
	drift_defaults(&d.drift);
	/* The rows keep doc.source with their values: it has to live as long as they do. */
	doc.source = d.source = arena_strdup(&d.arena, source);
	d.digest = document_digest(&d.arena, text, size);
	if (!d.source || !d.digest)
		return error_set(e, -ENOMEM, "%s: out of memory", source);
	r = yaml_parse(&doc, text, size, &root);
	if (r >= 0)
		r = parse_root(&doc, root, &d);
	if (r == -ENOMEM)
		error_set(e, r, "%s: out of memory", source);
	if (r < 0)
		return r;
	*ret = d;
	d = (struct desired){ 0 };
	return 0;
}

static int refuse_cpus(const struct desired *d, struct error *e, const char *what, const char *todo)
{
	error_set(e, -EINVAL, "%s:%u:%u: %s", d->source, d->isolated_at.line, d->isolated_at.column,
		  what);
	error_todo(e, "%s", todo);
	return -EINVAL;
}

static int check_cpus_known(const struct observed *o, struct error *e)
{
	const struct fact *const facts[] = { &o->cpu_possible, &o->cpu_online };

	for (size_t i = 0; i < ARRAY_SIZE(facts); i++) {
		if (fact_known(facts[i]))
			continue;
		return error_set(e, -ENODATA, "the machine's CPUs are not known: %s is %s",
				 facts[i]->path ? facts[i]->path : "a CPU list",
				 fact_state_name(facts[i]->state));
	}
	if (cpuset_empty(&o->possible) || cpuset_empty(&o->online))
		return error_set(e, -ENODATA, "the machine's CPUs are not known: %s does not parse",
				 cpuset_empty(&o->possible) ? "the list of possible CPUs"
							    : "the list of online CPUs");
	return 0;
}

/* The first online CPU's core in *ret. Without a topology folder a CPU has no siblings. */
static int first_core(const struct observed *o, struct cpuset *ret, struct error *e)
{
	_cleanup_free_ char *path = NULL;
	long first = cpuset_next(&o->online, 0);
	const struct fact *f;
	int r;

	if (asprintf(&path, SIBLINGS, first) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	f = observed_file(o, path);
	if (f && f->state == FACT_ABSENT) {
		*ret = (struct cpuset){ 0 };
		return cpuset_add(ret, (unsigned)first);
	}
	r = f ? fact_list(f, o->n_cpus, ret) : -ENODATA;
	if (r < 0 && r != -ENOMEM)
		return error_set(e, -ENODATA,
				 "isolated: auto needs the siblings of CPU %ld: %s is %s", first,
				 path,
				 f && f->state != FACT_KNOWN ? fact_state_name(f->state)
				 : f			     ? "not a CPU list"
							     : "not read");
	return r;
}

static int propose_isolated(const struct desired *d, const struct observed *o, struct cpuset *ret,
			    struct error *e)
{
	_cleanup_cpuset_ struct cpuset core = { 0 };
	int r = first_core(o, &core, e);

	if (r < 0)
		return r;
	r = cpuset_copy(ret, &o->online);
	if (r < 0)
		return r;
	cpuset_andnot(ret, &core);
	cpuset_remove(ret, (unsigned)cpuset_next(&o->online, 0));
	if (!cpuset_empty(ret))
		return 0;
	return refuse_cpus(d, e, "auto leaves nothing to isolate: this machine has one core online",
			   "a latency promise needs a core of its own beside the housekeeping one");
}

/* "this machine has no CPU 8-9". */
static int check_present(const struct desired *d, const struct observed *o, struct error *e)
{
	const struct cpuset *have = cpuset_empty(&o->present) ? &o->possible : &o->present;
	_cleanup_cpuset_ struct cpuset missing = { 0 };
	_cleanup_free_ char *list = NULL, *all = NULL, *what = NULL;

	if (cpuset_copy(&missing, &d->isolated) < 0)
		return -ENOMEM;
	cpuset_andnot(&missing, have);
	if (cpuset_empty(&missing))
		return 0;
	list = cpuset_format_list(&missing);
	all = cpuset_format_list(have);
	if (!list || !all ||
	    asprintf(&what, "this machine has no CPU %s, only %s", list, all) < 0) {
		what = NULL;
		return -ENOMEM;
	}
	return refuse_cpus(d, e, what, "isolate only CPUs that the machine has, or write auto");
}

static int resolve_cpus(struct desired *d, const struct observed *o, struct error *e)
{
	int r = check_present(d, o, e);

	if (r < 0)
		return r;
	if (cpuset_has(&d->isolated, 0) && !d->allow_cpu0)
		return refuse_cpus(d, e, "CPU 0 would be isolated",
				   "leave it out, or say it twice: add allow_cpu0: true");
	r = cpuset_copy(&d->housekeeping, &o->possible);
	if (r < 0)
		return r;
	cpuset_andnot(&d->housekeeping, &d->isolated);
	if (!cpuset_intersects(&d->housekeeping, &o->online))
		return refuse_cpus(d, e, "no housekeeping CPU would be left online",
				   "isolate fewer CPUs: at least one online CPU must do the rest");
	return 0;
}

static int check_settings(const struct desired *d, const struct observed *o, struct error *e)
{
	for (size_t i = 0; i < n_settings; i++) {
		int r = 0;

		if (d->values[i] && settings[i]->check)
			r = settings[i]->check(settings[i], d->values[i], d, o, e);
		if (r < 0)
			return r;
	}
	return 0;
}

int desired_resolve(struct desired *d, const struct observed *o, struct error *e)
{
	_cleanup_cpuset_ struct cpuset isolated = { 0 }, housekeeping = { 0 };
	struct desired resolved = *d; /* borrows the arena; owns nothing but the two sets */
	int r = check_cpus_known(o, e);

	if (r < 0)
		return r;
	resolved.isolated = resolved.housekeeping = (struct cpuset){ 0 };
	r = d->isolated_auto ? propose_isolated(d, o, &resolved.isolated, e)
			     : cpuset_copy(&resolved.isolated, &d->isolated);
	if (r >= 0)
		r = resolve_cpus(&resolved, o, e);
	if (r >= 0)
		r = guests_check_resolved(&resolved, o, e);
	if (r >= 0)
		r = check_settings(&resolved, o, e);
	if (r >= 0) {
		struct desired old = *d;

		d->isolated = resolved.isolated;
		d->housekeeping = resolved.housekeeping;
		resolved.isolated = old.isolated;
		resolved.housekeeping = old.housekeeping;
	}
	/* Whichever sets are not d's: the new ones of a failure, the old ones otherwise. */
	isolated = resolved.isolated;
	housekeeping = resolved.housekeeping;
	if (r == -ENOMEM)
		error_set(e, r, "out of memory");
	return r < 0 ? r : 0;
}

/*
 * The `host:` part of the document, and a guest's own state with the same keys: which CPUs are
 * isolated, a preset to start from, and every other key a setting's row, which reads its own value.
 * A value `unmanaged` is handled here, for all rows alike. What a preset says comes first; the
 * document's own keys then replace it one by one.
 */
#include "state/document_parts.h"

#include <errno.h>

#include "state/settings.h"

/* Not of the machine: only tells `N` and `all` from what is no list at all. */
#define ANY_N_CPUS (CPUSET_MAX + 1)
/* No longer than any kernel command line: every setting puts the list there. */
#define LIST_LENGTH_MAX 4096

int document_parse_cpus(struct doc *doc, const struct yaml_node *node, const char *word,
			struct cpuset *ret)
{
	_cleanup_cpuset_ struct cpuset any = { 0 };
	const char *shown = doc_show(doc, node);
	int r;

	if (node->kind == YAML_SCALAR && strlen(node->text) > LIST_LENGTH_MAX)
		return doc_error(doc, node, "a CPU list of more than %d characters",
				 LIST_LENGTH_MAX);
	r = node->kind == YAML_SCALAR ? cpuset_parse_list(node->text, 0, ret) : -EINVAL;
	if (r == -ENOMEM || !shown)
		return -ENOMEM;
	if (r == -ERANGE)
		return doc_error(doc, node, "CPU numbers end at %u, found %s", CPUSET_MAX, shown);
	if (r < 0 && node->kind == YAML_SCALAR &&
	    !cpuset_parse_list(node->text, ANY_N_CPUS, &any)) {
		doc_error(doc, node, "%s depends on the machine: \"N\" and \"all\" are not taken",
			  shown);
		error_todo(doc->error, "write the CPU numbers, such as 2-7, or %s", word);
		return -EINVAL;
	}
	if (r < 0) {
		doc_error(doc, node, "expected a CPU list or %s, found %s", word, shown);
		error_todo(doc->error, "write it as the kernel does: 2-7 or 2,4-7 or 0-31:2/8");
		return -EINVAL;
	}
	return 0;
}

static int parse_isolated(struct doc *doc, const struct yaml_node *node, void *target)
{
	struct desired *d = target;
	int r;

	d->isolated_at = node->at;
	if (node->kind == YAML_SCALAR && streq(node->text, "auto")) {
		d->isolated_auto = true;
		return 0;
	}
	r = document_parse_cpus(doc, node, "auto", &d->isolated);
	if (!r && cpuset_empty(&d->isolated))
		return doc_error(doc, node, "the isolated set is empty: name at least one CPU");
	return r;
}

static int parse_allow_cpu0(struct doc *doc, const struct yaml_node *node, void *target)
{
	return doc_bool(doc, node, &((struct desired *)target)->allow_cpu0);
}

static int parse_cpus(struct doc *doc, const struct yaml_node *node, struct desired *d)
{
	static const struct doc_key keys[] = {
		{ .name = "isolated", .parse = parse_isolated, .required = true },
		{ .name = "allow_cpu0", .parse = parse_allow_cpu0 },
	};
	int r = doc_mapping(doc, node, keys, ARRAY_SIZE(keys), d);

	if (r < 0)
		return r;
	if (cpuset_has(&d->isolated, 0) && !d->allow_cpu0) {
		doc_error(doc, yaml_get(node, "isolated"),
			  "CPU 0 would be isolated: the kernel boots on it and much stays there");
		error_todo(doc->error, "leave it out, or say it twice: add allow_cpu0: true");
		return -EINVAL;
	}
	return 0;
}

static bool is_unmanaged(const struct yaml_node *node)
{
	return node->kind == YAML_SCALAR && streq(node->text, "unmanaged");
}

static int parse_setting(struct doc *doc, const struct yaml_node *node, const struct setting *s,
			 struct desired *d)
{
	size_t i = setting_index(s);
	const void *value = NULL;

	if (!is_unmanaged(node)) {
		int r = s->parse(doc, node, s, &value);

		if (r < 0)
			return r;
	}
	d->values[i] = value;
	d->marks[i] = node->at;
	return 0;
}

static int unknown_host_key(struct doc *doc, const struct yaml_node *key)
{
	const char **names = arena_alloc(doc->arena, (n_settings + 2) * sizeof(*names));
	size_t n = 0;

	if (!names)
		return -ENOMEM;
	names[n++] = "cpus";
	names[n++] = "extends";
	for (size_t i = 0; i < n_settings; i++)
		names[n++] = settings[i]->name;
	return doc_unknown_key(doc, key, names, n);
}

/* Every key that is a setting; @skip, NULL ended, are the others that may stand there. */
static int parse_settings(struct doc *doc, const struct yaml_node *node, const char *const *skip,
			  struct desired *d)
{
	for (size_t i = 0; i < node->n_items; i++) {
		const struct yaml_node *key = node->keys[i];
		const struct setting *s = setting_by_name(key->text);
		bool skipped = false;
		int r;

		for (size_t j = 0; skip[j]; j++)
			skipped = skipped || streq(skip[j], key->text);
		if (skipped)
			continue;
		r = s ? parse_setting(doc, node->items[i], s, d) : unknown_host_key(doc, key);
		if (r < 0)
			return r;
	}
	return 0;
}

static int apply_preset(struct doc *doc, const struct preset *preset, struct mark at,
			struct desired *d)
{
	static const char *const no_other[] = { NULL };
	struct doc of_preset = *doc;
	struct yaml_node *root;
	int r;

	of_preset.source = arena_printf(doc->arena, "preset %s", preset->name);
	if (!of_preset.source)
		return -ENOMEM;
	r = yaml_parse(&of_preset, preset->text, strlen(preset->text), &root);
	if (r >= 0)
		r = parse_settings(&of_preset, root, no_other, d);
	if (r < 0)
		return r;
	/* In the document, what the preset says stands where the preset is named. */
	for (size_t i = 0; i < n_settings; i++)
		if (d->values[i])
			d->marks[i] = at;
	return 0;
}

static int parse_extends(struct doc *doc, const struct yaml_node *node, struct desired *d)
{
	const char **names = arena_alloc(doc->arena, (n_presets + 1) * sizeof(*names));
	int choice, r;

	if (!names)
		return -ENOMEM;
	for (size_t i = 0; i < n_presets; i++)
		names[i] = presets[i].name;
	r = doc_choice(doc, node, names, &choice);
	return r < 0 ? r : apply_preset(doc, &presets[choice], node->at, d);
}

static int missing_cpus(struct doc *doc, const struct yaml_node *node)
{
	doc_error(doc, node, "the key \"cpus\" is missing");
	error_todo(doc->error, "add cpus: {isolated: LIST}, such as 2-7, or auto");
	return -EINVAL;
}

/* A guest may have no isolated CPU; then there is nothing to take the tick off. */
static int refuse_isolating(struct doc *doc, const struct desired *d)
{
	for (size_t i = 0; i < n_settings; i++) {
		const struct yaml_node node = { .at = d->marks[i] };

		if (!d->values[i] || !settings[i]->needs_isolated)
			continue;
		doc_error(doc, &node, "%s is about isolated CPUs, and none is named",
			  settings[i]->name);
		error_todo(doc->error, "add cpus: {isolated: LIST}, or set it to unmanaged");
		return -EINVAL;
	}
	return 0;
}

int document_parse_host(struct doc *doc, const struct yaml_node *node, void *target)
{
	static const char *const other[] = { "cpus", "extends", NULL };
	const struct yaml_node *extends, *cpus;
	struct desired *d = target;
	int r = 0;

	if (node->kind != YAML_MAPPING)
		return doc_mapping(doc, node, NULL, 0, d);
	extends = yaml_get(node, "extends");
	cpus = yaml_get(node, "cpus");
	if (extends)
		r = parse_extends(doc, extends, d);
	if (r >= 0)
		r = parse_settings(doc, node, other, d);
	if (r < 0)
		return r;
	if (cpus)
		return parse_cpus(doc, cpus, d);
	return d->role == ROLE_GUEST ? refuse_isolating(doc, d) : missing_cpus(doc, node);
}

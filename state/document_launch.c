/*
 * A guest's `launch:`: what QEMU is started with. Paths and words end up in QEMU's comma-separated
 * options, so what those would take apart is refused here.
 */
#include <errno.h>

#include "state/document_guests.h"
#include "state/rows.h"

#define MEMORY_MIN_KIB	 (64 * 1024)
#define NODE_UNSAID	 -2
#define INTERFACE_LENGTH 15 /* IFNAMSIZ - 1 */

bool text_has_control(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || (unsigned char)*s == 0x7f)
			return true;
	return false;
}

int doc_path(struct doc *doc, const struct yaml_node *node, const char **ret)
{
	int r = doc_string(doc, node, ret);

	if (r < 0)
		return r;
	if (**ret != '/')
		return doc_error(doc, node, "expected an absolute path");
	if (strchr(*ret, ',') || text_has_control(*ret))
		return doc_error(doc, node,
				 "QEMU's options cannot carry a path with a comma or a "
				 "control character");
	return 0;
}

static int parse_disk(struct doc *doc, const struct yaml_node *node, void *target)
{
	struct desired_launch *l = target;

	l->disk_at = node->at;
	return doc_path(doc, node, &l->disk);
}

static int parse_kernel(struct doc *doc, const struct yaml_node *node, void *target)
{
	struct desired_launch *l = target;

	l->kernel_at = node->at;
	return doc_path(doc, node, &l->kernel);
}

static int parse_initrd(struct doc *doc, const struct yaml_node *node, void *target)
{
	return doc_path(doc, node, &((struct desired_launch *)target)->initrd);
}

static int parse_append(struct doc *doc, const struct yaml_node *node, void *target)
{
	struct desired_launch *l = target;
	int r = doc_string(doc, node, &l->append);

	if (r < 0 || !text_has_control(l->append))
		return r;
	return doc_error(doc, node, "a kernel command line has no control characters");
}

static int parse_memory(struct doc *doc, const struct yaml_node *node, void *target)
{
	struct desired_launch *l = target;
	int r = doc_size_kib(doc, node, &l->memory_kib);

	l->memory_at = node->at;
	if (r < 0 || l->memory_kib >= MEMORY_MIN_KIB)
		return r;
	return doc_error(doc, node, "a guest needs at least 64M");
}

static int parse_page_size(struct doc *doc, const struct yaml_node *node, void *target)
{
	static const char *const names[] = { "1G", "2M", "none", NULL };
	static const uint64_t sizes_kib[] = { 1024 * 1024, 2048, 0 };
	int choice, r = doc_choice(doc, node, names, &choice);

	if (!r)
		((struct desired_launch *)target)->page_size_kib = sizes_kib[choice];
	return r;
}

static int parse_node(struct doc *doc, const struct yaml_node *node, void *target)
{
	uint64_t id;
	int r = doc_unsigned(doc, node, 0, 1023, &id);

	if (!r)
		((struct desired_launch *)target)->node = (int)id;
	return r;
}

static int parse_accel(struct doc *doc, const struct yaml_node *node, void *target)
{
	static const char *const names[] = { "auto", "kvm", "tcg", NULL };
	static const enum guest_accel accels[] = { GUEST_ACCEL_AUTO, GUEST_ACCEL_KVM,
						   GUEST_ACCEL_TCG };
	int choice, r = doc_choice(doc, node, names, &choice);

	if (!r)
		((struct desired_launch *)target)->accel = accels[choice];
	return r;
}

static int parse_tap(struct doc *doc, const struct yaml_node *node, void *target)
{
	struct desired_launch *l = target;
	int r = doc_string(doc, node, &l->tap);

	if (r < 0)
		return r;
	if (strlen(l->tap) > INTERFACE_LENGTH || strpbrk(l->tap, ",/ ") || text_has_control(l->tap))
		return doc_error(doc, node, "expected the name of a network interface");
	return 0;
}

static int parse_network(struct doc *doc, const struct yaml_node *node, void *target)
{
	static const char *const names[] = { "user", "none", NULL };
	static const struct doc_key keys[] = {
		{ .name = "tap", .parse = parse_tap, .required = true },
	};
	struct desired_launch *l = target;
	int choice, r;

	if (node->kind == YAML_MAPPING)
		return doc_mapping(doc, node, keys, ARRAY_SIZE(keys), l);
	r = doc_choice(doc, node, names, &choice);
	if (!r)
		l->no_network = choice == 1;
	return r;
}

/* The pages that the host reserves are for its guests: the first pool's. */
static void default_pages(const struct desired *d, struct desired_launch *l)
{
	uint64_t count;
	int node;

	l->page_size_kib = 0;
	l->node = NODE_UNSAID;
	(void)desired_hugepages(d, 0, &l->page_size_kib, &count, &node);
}

/* Where the first pool of such pages is; ordinary pages lie anywhere. */
static int default_node(const struct desired *d, uint64_t page_size_kib)
{
	uint64_t size_kib, count;
	int node;

	for (size_t i = 0; desired_hugepages(d, i, &size_kib, &count, &node) == 0; i++)
		if (size_kib == page_size_kib)
			return node;
	return -1;
}

static int check_launch(struct doc *doc, const struct yaml_node *node,
			const struct desired_launch *l)
{
	const struct yaml_node memory = { .at = l->memory_at };

	if (!l->disk && !l->kernel)
		return doc_error(doc, node, "nothing to boot: write disk, or kernel and initrd");
	if ((l->initrd || l->append) && !l->kernel)
		return doc_error(doc, node,
				 "initrd and append belong to a kernel: a guest with a "
				 "disk alone boots by its own boot loader");
	if (l->page_size_kib && l->memory_kib % l->page_size_kib)
		return doc_error(doc, &memory, "the memory is no multiple of the page size");
	return 0;
}

int document_parse_launch(struct doc *doc, const struct yaml_node *node, const struct desired *d,
			  struct desired_launch *l)
{
	static const struct doc_key keys[] = {
		{ .name = "disk", .parse = parse_disk },
		{ .name = "kernel", .parse = parse_kernel },
		{ .name = "initrd", .parse = parse_initrd },
		{ .name = "append", .parse = parse_append },
		{ .name = "memory", .parse = parse_memory, .required = true },
		{ .name = "page_size", .parse = parse_page_size },
		{ .name = "node", .parse = parse_node },
		{ .name = "accel", .parse = parse_accel },
		{ .name = "network", .parse = parse_network },
	};
	int r;

	default_pages(d, l);
	r = doc_mapping(doc, node, keys, ARRAY_SIZE(keys), l);
	if (l->node == NODE_UNSAID)
		l->node = default_node(d, l->page_size_kib);
	return r < 0 ? r : check_launch(doc, node, l);
}

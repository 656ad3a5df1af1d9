/*
 * The `guests:` part of the document: what each guest is found by, which CPUs its threads get, who
 * may reach its ssh, and its own state, which is read by the same code as `host:` into a struct of
 * its own. Here every value is checked for form alone; what guests say against each other and
 * against the host is in guests_check.c.
 */
#include <arpa/inet.h>
#include <errno.h>

#include "state/document_guests.h"
#include "state/document_parts.h"

#define NAME_LENGTH_MAX 40
/* IFNAMSIZ without its NUL. */
#define TAP_LENGTH_MAX	   15
#define VCPUS_MAX	   512
#define VCPU_PRIORITY_MAX  98
#define ADDRESS_LENGTH_MAX 49 /* an IPv6 address and its prefix length */

#define WORD_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"

/* A part of paths, units and QEMU options: never an option itself, never a hidden file. */
static bool is_word(const char *text, size_t max)
{
	size_t n = strlen(text);

	return n && n <= max && *text != '.' && *text != '-' && strspn(text, WORD_CHARACTERS) == n;
}

static int refuse_word(struct doc *doc, const struct yaml_node *node, size_t max)
{
	const char *shown = doc_show(doc, node);

	if (!shown)
		return -ENOMEM;
	doc_error(doc, node, "%s is not a name", shown);
	error_todo(doc->error,
		   "use letters, digits, '_', '.' and '-', at most %zu, and begin with a letter, a "
		   "digit or '_'",
		   max);
	return -EINVAL;
}

static int parse_word(struct doc *doc, const struct yaml_node *node, size_t max, const char **ret)
{
	const char *text;
	int r = doc_string(doc, node, &text);

	if (r < 0)
		return r;
	if (!is_word(text, max))
		return refuse_word(doc, node, max);
	*ret = text;
	return 0;
}

/* ---- launch and adopt ---- */

/* The guest, and the document around it for what its defaults are. */
struct reading {
	const struct desired *desired;
	struct desired_guest *guest;
};

static struct desired_guest *guest_of(void *target)
{
	return ((struct reading *)target)->guest;
}

static int parse_launch(struct doc *doc, const struct yaml_node *node, void *target)
{
	struct reading *rd = target;

	rd->guest->origin = GUEST_LAUNCH;
	return document_parse_launch(doc, node, rd->desired, &rd->guest->launch);
}

static int parse_domain(struct doc *doc, const struct yaml_node *node, void *target)
{
	const char *text;
	int r = doc_string(doc, node, &text);

	if (!r && (strchr(text, ',') || text_has_control(text)))
		return doc_error(doc, node,
				 "a name with a comma or a control character is not taken");
	if (!r)
		((struct desired_adopt *)target)->domain = text;
	return r;
}

static int parse_pid_file(struct doc *doc, const struct yaml_node *node, void *target)
{
	return doc_path(doc, node, &((struct desired_adopt *)target)->pid_file);
}

static int parse_qmp(struct doc *doc, const struct yaml_node *node, void *target)
{
	return doc_path(doc, node, &((struct desired_adopt *)target)->qmp);
}

static int parse_channel(struct doc *doc, const struct yaml_node *node, void *target)
{
	return doc_path(doc, node, &((struct desired_adopt *)target)->channel);
}

static int parse_adopt(struct doc *doc, const struct yaml_node *node, void *target)
{
	static const struct doc_key keys[] = {
		{ .name = "domain", .parse = parse_domain },
		{ .name = "pid_file", .parse = parse_pid_file },
		{ .name = "qmp", .parse = parse_qmp },
		{ .name = "channel", .parse = parse_channel },
	};
	struct desired_guest *g = guest_of(target);
	int r = doc_mapping(doc, node, keys, ARRAY_SIZE(keys), &g->adopt);

	if (r < 0)
		return r;
	g->origin = GUEST_ADOPT;
	g->launch.node = -1;
	if (!g->adopt.domain == !g->adopt.pid_file)
		return doc_error(doc, node,
				 "an adopted guest is found by domain or by pid_file: "
				 "give one of the two");
	return 0;
}

/* ---- CPUs ---- */

static int parse_cpu(struct doc *doc, const struct yaml_node *node, void *target)
{
	uint64_t cpu;
	int r = doc_unsigned(doc, node, 0, CPUSET_MAX, &cpu);

	if (!r)
		((struct desired_vcpu *)target)->cpu = (unsigned)cpu;
	return r;
}

static int parse_priority(struct doc *doc, const struct yaml_node *node, void *target)
{
	uint64_t priority;
	int r = doc_unsigned(doc, node, 0, VCPU_PRIORITY_MAX, &priority);

	if (!r)
		((struct desired_vcpu *)target)->priority = (unsigned)priority;
	return r;
}

static int parse_vcpus(struct doc *doc, const struct yaml_node *node, void *target)
{
	static const struct doc_key keys[] = {
		{ .name = "cpu", .parse = parse_cpu, .required = true },
		{ .name = "priority", .parse = parse_priority },
	};
	struct desired_guest *g = guest_of(target);

	if (node->kind != YAML_SEQUENCE || !node->n_items || node->n_items > VCPUS_MAX)
		return doc_error(doc, node,
				 "expected a list of 1 to %d vCPUs, e.g. [{cpu: 4}, {cpu: 5}]",
				 VCPUS_MAX);
	for (size_t i = 0; i < node->n_items; i++) {
		struct desired_vcpu *vcpu =
			arena_grow(doc->arena, &g->vcpus, &g->n_vcpus, sizeof(*vcpu));
		int r;

		if (!vcpu)
			return -ENOMEM;
		vcpu->priority = VCPU_PRIORITY_DEFAULT;
		vcpu->at = node->items[i]->at;
		r = doc_mapping(doc, node->items[i], keys, ARRAY_SIZE(keys), vcpu);
		if (r < 0)
			return r;
	}
	return 0;
}

static int parse_emulator(struct doc *doc, const struct yaml_node *node, void *target)
{
	struct desired_guest *g = guest_of(target);
	int r;

	if (node->kind == YAML_SCALAR && streq(node->text, "housekeeping"))
		return 0;
	r = document_parse_cpus(doc, node, "housekeeping", &g->emulator);
	if (!r && cpuset_empty(&g->emulator))
		return doc_error(doc, node, "the list is empty: name at least one CPU");
	return r;
}

/* ---- ssh ---- */

static int parse_host_port(struct doc *doc, const struct yaml_node *node, void *target)
{
	uint64_t port;
	int r = doc_unsigned(doc, node, 1, 65535, &port);

	if (!r)
		((struct desired_ssh *)target)->host_port = (unsigned)port;
	return r;
}

/* An address, or with @network also ADDRESS/BITS. */
static bool is_address(const char *text, bool network)
{
	char address[ADDRESS_LENGTH_MAX + 1];
	unsigned char binary[16];
	const char *slash = strchr(text, '/');
	size_t n = slash ? (size_t)(slash - text) : strlen(text);
	unsigned bits = 0, most;

	if (n >= sizeof(address) || (slash && !network))
		return false;
	memcpy(address, text, n);
	address[n] = '\0';
	if (inet_pton(AF_INET, address, binary) == 1)
		most = 32;
	else if (inet_pton(AF_INET6, address, binary) == 1)
		most = 128;
	else
		return false;
	if (!slash)
		return true;
	n = strlen(++slash);
	if (!n || n > 3 || strspn(slash, "0123456789") != n || (*slash == '0' && n > 1))
		return false;
	while (*slash)
		bits = bits * 10 + (unsigned)(*slash++ - '0');
	return bits <= most;
}

static int add_source(struct doc *doc, struct desired_ssh *ssh, const char *text)
{
	const char **place = arena_grow(doc->arena, &ssh->from, &ssh->n_from, sizeof(*place));

	if (!place)
		return -ENOMEM;
	*place = text;
	return 0;
}

static int parse_from(struct doc *doc, const struct yaml_node *node, void *target)
{
	struct desired_ssh *ssh = target;

	if (node->kind != YAML_SEQUENCE || !node->n_items)
		return doc_error(doc, node,
				 "expected a list of sources, e.g. [192.0.2.0/24, 2001:db8::1]");
	for (size_t i = 0; i < node->n_items; i++) {
		const char *text;
		int r = doc_string(doc, node->items[i], &text);

		if (r < 0)
			return r;
		if (!is_address(text, true))
			return doc_error(doc, node->items[i],
					 "expected an IPv4 or IPv6 address or network, found "
					 "\"%s\"",
					 text);
		for (size_t j = 0; j < ssh->n_from; j++)
			if (streq(ssh->from[j], text))
				return doc_error(doc, node->items[i], "\"%s\" is said twice", text);
		r = add_source(doc, ssh, text);
		if (r < 0)
			return r;
	}
	return 0;
}

static int parse_guest_address(struct doc *doc, const struct yaml_node *node, void *target)
{
	const char *text;
	int r = doc_string(doc, node, &text);

	if (r < 0)
		return r;
	if (!is_address(text, false))
		return doc_error(doc, node, "expected an IPv4 or IPv6 address, found \"%s\"", text);
	((struct desired_ssh *)target)->guest_address = text;
	return 0;
}

static int parse_ssh(struct doc *doc, const struct yaml_node *node, void *target)
{
	static const struct doc_key keys[] = {
		{ .name = "host_port", .parse = parse_host_port, .required = true },
		{ .name = "from", .parse = parse_from },
		{ .name = "guest_address", .parse = parse_guest_address },
	};
	struct desired_ssh *ssh = &guest_of(target)->ssh;
	int r = doc_mapping(doc, node, keys, ARRAY_SIZE(keys), ssh);

	ssh->at = node->at;
	/* QEMU's own forwarding is of IPv4 alone. */
	if (r >= 0 && !ssh->n_from && !ssh->guest_address)
		r = add_source(doc, ssh, "127.0.0.0/8");
	return r;
}

/* The node of the first source that is not IPv4, or NULL. */
static const struct yaml_node *ip6_source(const struct yaml_node *ssh)
{
	const struct yaml_node *from = yaml_get(ssh, "from");

	for (size_t i = 0; from && i < from->n_items; i++)
		if (strchr(from->items[i]->text, ':'))
			return from->items[i];
	return NULL;
}

/* Measured with QEMU 7.2: its forward listens on IPv4 alone, and refuses an IPv6 address. */
static int refuse_ip6(struct doc *doc, const struct yaml_node *source)
{
	doc_error(doc, source, "QEMU's own network forwards IPv4 only: nobody at %s gets through",
		  source->text);
	error_todo(doc->error, "name IPv4 addresses or networks, such as 127.0.0.0/8 for this "
			       "machine, or give the guest a tap interface and a guest_address");
	return -EINVAL;
}

/* Which way leads to the guest's port 22? Known only once both keys were read. */
static int check_ssh(struct doc *doc, const struct yaml_node *node, const struct desired_guest *g)
{
	const struct yaml_node *ssh = yaml_get(node, "ssh");
	bool outside = g->origin == GUEST_ADOPT || g->launch.tap;

	if (!ssh)
		return 0;
	if (g->origin == GUEST_LAUNCH && g->launch.no_network)
		return doc_error(doc, ssh, "ssh needs a network, and this guest has network: none");
	if (outside && !g->ssh.guest_address) {
		doc_error(doc, ssh, "where the guest's port 22 is cannot be told");
		error_todo(doc->error, "add guest_address: ADDRESS");
		return -EINVAL;
	}
	if (!outside && g->ssh.guest_address)
		return doc_error(doc, yaml_get(ssh, "guest_address"),
				 "QEMU's own network gives the guest its address: leave this out");
	if (!outside && ip6_source(ssh))
		return refuse_ip6(doc, ip6_source(ssh));
	if (!g->ssh.n_from) {
		doc_error(doc, ssh, "who may use the port is not said");
		error_todo(doc->error, "add from: [ADDRESS, ...]; this machine itself reaches the "
				       "guest at its address");
		return -EINVAL;
	}
	return 0;
}

/* ---- the guest ---- */

static int parse_name(struct doc *doc, const struct yaml_node *node, void *target)
{
	return parse_word(doc, node, NAME_LENGTH_MAX, &guest_of(target)->name);
}

static int parse_state(struct doc *doc, const struct yaml_node *node, void *target)
{
	struct desired_guest *g = guest_of(target);
	struct doc of_state = *doc;

	g->state = calloc(1, sizeof(*g->state));
	if (!g->state)
		return -ENOMEM;
	of_state.arena = &g->state->arena;
	g->state->source = doc->source;
	measure_defaults(&g->state->measure);
	g->state->role = ROLE_GUEST;
	return document_parse_host(&of_state, node, g->state);
}

/* What the guest will find in its own document, so that both judge by the same. */
static int finish_state(struct doc *doc, const struct yaml_node *node, const struct desired *d,
			struct desired_guest *g)
{
	int r;

	g->state->reboot_policy = d->reboot_policy;
	g->state->boot_by_host = guest_boots_from_host(g);
	drift_for_guest(d, g->state);
	r = guest_document_render(doc, g, node);
	if (r < 0)
		return r;
	g->state->digest = arena_strdup(&g->state->arena, g->digest);
	return g->state->digest ? 0 : -ENOMEM;
}

static int parse_guest(struct doc *doc, const struct yaml_node *node, const struct desired *d,
		       struct desired_guest *g)
{
	static const struct doc_key keys[] = {
		{ .name = "name", .parse = parse_name, .required = true },
		{ .name = "launch", .parse = parse_launch },
		{ .name = "adopt", .parse = parse_adopt },
		{ .name = "vcpus", .parse = parse_vcpus, .required = true },
		{ .name = "emulator", .parse = parse_emulator },
		{ .name = "ssh", .parse = parse_ssh },
		{ .name = "state", .parse = parse_state },
	};
	struct reading rd = { .desired = d, .guest = g };
	const struct yaml_node *state;
	int r;

	g->at = node->at;
	r = doc_mapping(doc, node, keys, ARRAY_SIZE(keys), &rd);
	if (r < 0)
		return r;
	if (!yaml_get(node, "launch") == !yaml_get(node, "adopt")) {
		doc_error(doc, node, "a guest is either launched or adopted");
		error_todo(doc->error, "give one of launch and adopt");
		return -EINVAL;
	}
	r = check_ssh(doc, node, g);
	state = yaml_get(node, "state");
	return r < 0 || !state ? r : finish_state(doc, state, d, g);
}

int document_parse_guests(struct doc *doc, const struct yaml_node *node, void *target)
{
	struct desired *d = target;
	size_t n = node->kind == YAML_SEQUENCE ? node->n_items : 0;

	if (!n)
		return doc_error(doc, node,
				 "expected a list of guests, each with a name, launch "
				 "or adopt, and vcpus");
	d->guests = arena_alloc(doc->arena, n * sizeof(*d->guests));
	if (!d->guests)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		/* Counted first: what it owns is freed even when it is refused. */
		struct desired_guest *g = &d->guests[d->n_guests++];
		int r = parse_guest(doc, node->items[i], d, g);

		if (r < 0)
			return r;
	}
	return 0;
}

const struct desired_guest *desired_guest(const struct desired *d, const char *name)
{
	for (size_t i = 0; i < d->n_guests; i++)
		if (streq(d->guests[i].name, name))
			return &d->guests[i];
	return NULL;
}

/* QEMU starts the kernel that it is given and no boot loader, whatever the disk holds. */
bool guest_boots_from_host(const struct desired_guest *g)
{
	return g->origin == GUEST_LAUNCH && g->launch.kernel;
}

void desired_guests_done(struct desired *d)
{
	for (size_t i = 0; i < d->n_guests; i++) {
		struct desired_guest *g = &d->guests[i];

		cpuset_done(&g->emulator);
		desired_done(g->state);
		free(g->state);
	}
}

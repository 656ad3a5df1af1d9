/*
 * `guests:` in the document: what each key becomes, what is refused where and why, and the document
 * that a guest is given, which must read as the state it was written from.
 */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "state/document_guests.h"
#include "state/document_parts.h"
#include "state/observed.h"
#include "state/settings.h"

#define HOST                        \
	"version: 1\n"              \
	"host:\n"                   \
	"  cpus: {isolated: 2-7}\n" \
	"  hugepages: [{size: 1G, count: 4, node: 0}]\n"
#define ALONE  "version: 1\n"
#define LAUNCH "launch: {disk: /g.qcow2, memory: 2G}"

struct fixture {
	struct desired d;
	struct error e;
};

static int setup(void **state)
{
	*state = calloc(1, sizeof(struct fixture));
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	desired_done(&f->d);
	error_clear(&f->e);
	free(f);
	return 0;
}

static struct desired *accept(void **state, const char *text)
{
	struct fixture *f = *state;

	desired_done(&f->d);
	if (document_parse("d.yaml", text, strlen(text), &f->d, &f->e) < 0)
		fail_msg("%s", f->e.what);
	return &f->d;
}

static void refuse(void **state, const char *text, const char *what)
{
	struct fixture *f = *state;
	struct desired d = { 0 };
	int r = document_parse("d.yaml", text, strlen(text), &d, &f->e);

	if (r == 0) {
		desired_done(&d);
		fail_msg("accepted, not refused with: %s", what);
	}
	assert_int_equal(r, -EINVAL);
	assert_string_equal(f->e.what, what);
}

static void a_guest_has_defaults(void **state)
{
	const struct desired *d = accept(state, HOST "guests:\n"
						     "  - name: vnf0\n"
						     "    " LAUNCH "\n"
						     "    vcpus: [{cpu: 4}, {cpu: 5}]\n"
						     "    ssh: {host_port: 5555}\n");
	const struct desired_guest *g = desired_guest(d, "vnf0");

	assert_non_null(g);
	assert_null(desired_guest(d, "vnf1"));
	assert_false(d->no_machine);
	assert_int_equal(g->origin, GUEST_LAUNCH);
	assert_int_equal(g->launch.memory_kib, 2 << 20);
	assert_int_equal(g->launch.page_size_kib, 1 << 20);
	assert_int_equal(g->launch.node, 0);
	assert_int_equal(g->launch.accel, GUEST_ACCEL_AUTO);
	assert_int_equal(g->n_vcpus, 2);
	assert_int_equal(g->vcpus[1].cpu, 5);
	assert_int_equal(g->vcpus[1].priority, 1);
	assert_true(cpuset_empty(&g->emulator));
	assert_int_equal(g->ssh.n_from, 1);
	assert_string_equal(g->ssh.from[0], "127.0.0.0/8");
	assert_null(g->state);
	assert_null(g->document);
	assert_false(guest_boots_from_host(g));
}

static void without_a_node_memory_comes_from_the_pool_of_its_pages(void **state)
{
	static const char text[] =
		"version: 1\nhost:\n  cpus: {isolated: 2-7}\n"
		"  hugepages: [{size: 1G, count: 4, node: 0}, {size: 2M, count: 1024, node: 1}]\n"
		"guests:\n"
		"  - {name: a, launch: {disk: /a, memory: 1G}, vcpus: [{cpu: 2}]}\n"
		"  - {name: b, launch: {disk: /b, memory: 1G, page_size: 2M}, vcpus: [{cpu: 3}]}\n"
		"  - {name: c, launch: {disk: /c, memory: 1G, page_size: none}, vcpus: [{cpu: "
		"4}]}\n"
		"  - {name: d, launch: {disk: /d, node: 0, page_size: none, memory: 1G}, "
		"vcpus: [{cpu: 5}]}\n";
	const struct desired *d = accept(state, text);

	assert_int_equal(d->guests[0].launch.page_size_kib, 1 << 20);
	assert_int_equal(d->guests[0].launch.node, 0);
	assert_int_equal(d->guests[1].launch.node, 1);
	assert_int_equal(d->guests[2].launch.node, -1); /* ordinary pages: nobody asked where */
	assert_int_equal(d->guests[3].launch.node, 0);
}

static void huge_pages_of_a_size_that_is_not_reserved_are_refused(void **state)
{
	refuse(state,
	       HOST "guests: [{name: a, launch: {disk: /a, memory: 1G, page_size: 2M}, "
		    "vcpus: [{cpu: 4}]}]\n",
	       "d.yaml:5:47: the guests up to a need 1024 MiB in pages of 2 MiB, and the host "
	       "reserves 0 MiB there");
}

static void a_guest_takes_everything(void **state)
{
	const struct desired *d = accept(
		state, HOST
		"guests:\n"
		"  - name: a.b_c-1\n"
		"    launch: {kernel: /k, initrd: /i, append: quiet x=1, memory: 512M, page_size: "
		"none, node: 1, accel: tcg, network: {tap: tap0}}\n"
		"    vcpus: [{cpu: 2, priority: 98}]\n"
		"    emulator: 0-1\n"
		"    ssh: {host_port: 22022, from: [192.0.2.0/24, 2001:db8::/32], "
		"guest_address: 192.0.2.9}\n");
	const struct desired_guest *g = &d->guests[0];

	assert_string_equal(g->launch.kernel, "/k");
	assert_string_equal(g->launch.append, "quiet x=1");
	assert_int_equal(g->launch.page_size_kib, 0);
	assert_int_equal(g->launch.node, 1);
	assert_int_equal(g->launch.accel, GUEST_ACCEL_TCG);
	assert_string_equal(g->launch.tap, "tap0");
	assert_int_equal(cpuset_count(&g->emulator), 2);
	assert_string_equal(g->ssh.guest_address, "192.0.2.9");
	assert_int_equal(g->ssh.n_from, 2);
	assert_true(guest_boots_from_host(g));
}

static void a_document_of_guests_alone_manages_no_machine(void **state)
{
	struct desired *d = accept(state, ALONE "guests: [{name: a, adopt: {domain: vm}, "
						"vcpus: [{cpu: 1}]}]\n");
	struct observed o = {
		.cpu_possible = { .state = FACT_KNOWN, .text = "0-3" },
		.cpu_online = { .state = FACT_KNOWN, .text = "0-3" },
		.n_cpus = 4,
	};
	struct fixture *f = *state;

	assert_true(d->no_machine);
	assert_true(cpuset_empty(&d->isolated));
	assert_int_equal(d->guests[0].origin, GUEST_ADOPT);
	assert_int_equal(cpuset_parse_list("0-3", 0, &o.possible), 0);
	assert_int_equal(cpuset_parse_list("0-3", 0, &o.online), 0);
	assert_int_equal(desired_resolve(d, &o, &f->e), 0);
	assert_true(cpuset_equal(&d->housekeeping, &o.possible));
	observed_done(&o);
}

static void forms_are_checked(void **state)
{
#define G(rest) ALONE "guests:\n  - {" rest "}\n"
	refuse(state, G("name: .a, " LAUNCH ", vcpus: [{cpu: 1}]"),
	       "d.yaml:3:12: \".a\" is not a name");
	refuse(state, G("name: a, " LAUNCH), "d.yaml:3:5: the key \"vcpus\" is missing");
	refuse(state, G("name: a, vcpus: [{cpu: 1}]"),
	       "d.yaml:3:5: a guest is either launched or adopted");
	refuse(state, G("name: a, launch: {memory: 1G}, vcpus: [{cpu: 1}]"),
	       "d.yaml:3:23: nothing to boot: write disk, or kernel and initrd");
	refuse(state, G("name: a, " LAUNCH ", vcpus: [{cpu: 1, priority: 99}]"),
	       "d.yaml:3:80: expected a whole number from 0 to 98, found \"99\"");
	refuse(state, G("name: a, " LAUNCH ", vcpus: []"),
	       "d.yaml:3:60: expected a list of 1 to 512 vCPUs, e.g. [{cpu: 4}, {cpu: 5}]");
	refuse(state, G("name: a, " LAUNCH ", vcpus: [{cpu: 1}], ssh: {host_port: 1, from: [x]}"),
	       "d.yaml:3:99: expected an IPv4 or IPv6 address or network, found \"x\"");
	refuse(state,
	       G("name: a, " LAUNCH ", vcpus: [{cpu: 1}], ssh: {host_port: 1, "
		 "from: [10.0.0.0/33]}"),
	       "d.yaml:3:99: expected an IPv4 or IPv6 address or network, found \"10.0.0.0/33\"");
	refuse(state, G("name: a, adopt: {domain: a, pid_file: /p}, vcpus: [{cpu: 1}]"),
	       "d.yaml:3:22: an adopted guest is found by domain or by pid_file: give one of the "
	       "two");
	refuse(state, G("name: a, adopt: {domain: a}, vcpus: [{cpu: 1}], ssh: {host_port: 1}"),
	       "d.yaml:3:59: where the guest's port 22 is cannot be told");
	refuse(state,
	       G("name: a, adopt: {domain: a}, vcpus: [{cpu: 1}], ssh: {host_port: 1, "
		 "guest_address: 192.0.2.9}"),
	       "d.yaml:3:59: who may use the port is not said");
	refuse(state, ALONE "guests: []\n",
	       "d.yaml:2:9: expected a list of guests, each with a name, launch or adopt, and "
	       "vcpus");
#undef G
}

#define A(rest) "  - {name: a, " LAUNCH ", " rest "}\n"
#define B(rest) "  - {name: b, " LAUNCH ", " rest "}\n"

static void what_guests_and_host_say_is_compared(void **state)
{
	refuse(state, HOST "guests:\n" A("vcpus: [{cpu: 1}]"),
	       "d.yaml:6:61: CPU 1 is not isolated: its housekeeping would disturb the vCPU");
	refuse(state, HOST "guests:\n" A("vcpus: [{cpu: 4}, {cpu: 4}]"),
	       "d.yaml:6:71: CPU 4 has a vCPU of a already");
	refuse(state, ALONE "guests:\n" A("vcpus: [{cpu: 4}]") B("vcpus: [{cpu: 4}]"),
	       "d.yaml:4:61: CPU 4 has a vCPU of a already");
	refuse(state, ALONE "guests:\n" A("vcpus: [{cpu: 4}]") A("vcpus: [{cpu: 5}]"),
	       "d.yaml:4:5: a guest named a stands above already");
	refuse(state,
	       ALONE "guests:\n" A("vcpus: [{cpu: 4}], ssh: {host_port: 9}")
		       B("vcpus: [{cpu: 5}], ssh: {host_port: 9}"),
	       "d.yaml:4:77: port 9 leads to the guest a already");
	refuse(state, HOST "guests:\n" A("vcpus: [{cpu: 4}], emulator: 1-2"),
	       "d.yaml:6:5: the emulator's threads of a would run on isolated CPUs");
	refuse(state, HOST "guests:\n" A("vcpus: [{cpu: 4}], state: {cpus: {isolated: 1}}"),
	       "d.yaml:6:97: the guest a has 1 vCPUs, and no CPU 1");
	refuse(state,
	       HOST "guests:\n" A("vcpus: [{cpu: 4}], state: {cpus: {isolated: 0, "
				  "allow_cpu0: true}}"),
	       "d.yaml:6:97: the guest a would have no housekeeping CPU");
	refuse(state,
	       HOST "guests:\n" A("vcpus: [{cpu: 4}, {cpu: 5, priority: 0}], "
				  "state: {cpus: {isolated: 1}}"),
	       "d.yaml:6:71: CPU 1 is isolated in the guest a, but its thread is not real-time on "
	       "the host");
	refuse(state,
	       HOST "guests:\n" A("vcpus: [{cpu: 4}]")
		       B("vcpus: [{cpu: 5}]") "  - {name: c, " LAUNCH ", vcpus: [{cpu: 6}]}\n",
	       "d.yaml:8:48: the guests up to c need 6144 MiB in pages of 1024 MiB, and the host "
	       "reserves 4096 MiB there");
	refuse(state,
	       HOST "guests: [{name: a, launch: {kernel: /k, append: isolcpus=1, memory: 1G}, "
		    "vcpus: [{cpu: 4}, {cpu: 5}], state: {cpus: {isolated: 1}, "
		    "cpu_isolation: [domain]}}]\n",
	       "d.yaml:5:37: append of the guest a sets isolcpus, which its state sets too");
	refuse(state, HOST "guests:\n" A("vcpus: [{cpu: 4}]") "measure: {on: [host, guest/x]}\n",
	       "d.yaml:7:22: there is no guest/x in this document to measure on");
}

static void a_state_without_isolated_cpus_isolates_nothing(void **state)
{
	accept(state, ALONE "guests:\n" A("vcpus: [{cpu: 4}], state: {watchdogs: off}"));
	refuse(state, ALONE "guests:\n" A("vcpus: [{cpu: 4}], state: {tick_offload: isolated}"),
	       "d.yaml:3:94: tick_offload is about isolated CPUs, and none is named");
}

static void a_guests_document_is_its_state(void **state)
{
	const struct desired *d =
		accept(state, HOST
		       "guests: [{name: a, launch: {kernel: /k, memory: 1G}, vcpus: [{cpu: 4}, "
		       "{cpu: 5}], state: {extends: realtime-guest, cpus: {isolated: \"1\"}, "
		       "iommu: passthrough, cpu_isolation: [domain]}}]\n"
		       "reboot: {policy: manual}\n");
	const struct desired_guest *g = &d->guests[0];
	_cleanup_desired_ struct desired inner = { 0 };
	struct fixture *f = *state;

	assert_string_equal(g->document, "version: 1\n"
					 "guest:\n"
					 "  extends: realtime-guest\n"
					 "  cpus:\n"
					 "    isolated: \"1\"\n"
					 "  iommu: passthrough\n"
					 "  cpu_isolation:\n"
					 "    - domain\n"
					 "boot: host\n"
					 "reboot:\n"
					 "  policy: manual\n");
	if (document_parse("guest", g->document, strlen(g->document), &inner, &f->e) < 0)
		fail_msg("%s", f->e.what);
	assert_int_equal(inner.role, ROLE_GUEST);
	assert_true(inner.boot_by_host);
	assert_int_equal(inner.reboot_policy, REBOOT_MANUAL);
	assert_string_equal(inner.digest, g->digest);
	assert_string_equal(g->state->digest, g->digest);
	assert_true(cpuset_equal(&inner.isolated, &g->state->isolated));
	for (size_t i = 0; i < n_settings; i++)
		assert_int_equal(!inner.values[i], !g->state->values[i]);
}

#define GOVERNED(state, drift)                                                          \
	HOST "guests: [{name: a, launch: {kernel: /k, memory: 1G}, vcpus: [{cpu: 4}], " \
	     "state: " state "}]\ndrift: " drift "\n"
#define OWN                                                                                      \
	"version: 1\nguest:\n  watchdogs: off\n  tsc: reliable\nboot: host\nreboot:\n  policy: " \
	"when-asked\n"

/* The guest's own document, read back: it says of drift what the host took for it. */
static void assert_governed(void **state, const char *text, const char *document)
{
	struct desired *d = accept(state, text);
	const struct desired_guest *g = &d->guests[0];
	_cleanup_desired_ struct desired inner = { 0 };
	struct fixture *f = *state;

	assert_string_equal(g->document, document);
	if (document_parse("guest", g->document, strlen(g->document), &inner, &f->e) < 0)
		fail_msg("%s", f->e.what);
	assert_memory_equal(inner.drift.repair, g->state->drift.repair, sizeof(inner.drift.repair));
	assert_int_equal(inner.drift.repair_otherwise, g->state->drift.repair_otherwise);
	assert_int_equal(inner.drift.alert, g->state->drift.alert);
	assert_int_equal(inner.drift.pass_interval_s, g->state->drift.pass_interval_s);
	assert_string_equal(inner.digest, g->digest);
}

static void a_guest_is_governed_by_the_hosts_drift(void **state)
{
	/* the host's hugepages are none of the guest's, its tsc none of the host's */
	assert_governed(state,
			GOVERNED("{watchdogs: off, tsc: reliable}",
				 "{pass_interval: 2min, alert: [unit, journal], settings: {"
				 "hugepages: {repair: all}, tsc: {repair: none}}, "
				 "repair: runtime}"),
			OWN "drift:\n"
			    "  repair: runtime\n"
			    "  settings:\n"
			    "    tsc:\n"
			    "      repair: none\n"
			    "  alert:\n"
			    "    - journal\n"
			    "    - unit\n"
			    "  pass_interval: 120\n");
	assert_governed(state,
			GOVERNED("{watchdogs: off, tsc: reliable}",
				 "{settings: {watchdogs: {repair: all}}, alert: []}"),
			OWN "drift:\n"
			    "  settings:\n"
			    "    watchdogs:\n"
			    "      repair: all\n"
			    "  alert: []\n");
}

/* The digest tells the host by which document the guest goes. */
static void without_drift_of_its_own_a_guests_document_stays_as_it_is(void **state)
{
	assert_governed(state,
			HOST "guests: [{name: a, launch: {kernel: /k, memory: 1G}, vcpus: [{cpu: "
			     "4}], state: {watchdogs: off, tsc: reliable}}]\n",
			OWN);
	assert_governed(state, GOVERNED("{watchdogs: off, tsc: reliable}", "{}"), OWN);
	assert_governed(state,
			GOVERNED("{watchdogs: off, tsc: reliable}",
				 "{repair: none, alert: [metrics, journal, dbus], pass_interval: "
				 "30s}"),
			OWN);
}

static void drift_of_a_setting_that_nobody_has_is_refused(void **state)
{
	refuse(state, GOVERNED("{watchdogs: off}", "{settings: {tsc: {repair: all}}}"),
	       "d.yaml:6:20: the document says nothing of tsc, so it cannot drift");
	refuse(state, GOVERNED("{watchdogs: unmanaged}", "{settings: {watchdogs: {repair: all}}}"),
	       "d.yaml:6:20: the document says nothing of watchdogs, so it cannot drift");
	assert_string_equal(((struct fixture *)*state)->e.todo,
			    "give it under host:, or remove it here");
	refuse(state,
	       ALONE "guests: [{name: a, " LAUNCH ", vcpus: [{cpu: 4}]}]\n"
		     "drift: {settings: {tsc: {repair: all}}}\n",
	       "d.yaml:3:20: the document says nothing of tsc, so it cannot drift");
	assert_string_equal(((struct fixture *)*state)->e.todo,
			    "give it under state:, or remove it here");
}

#define SSH(way, from)                            \
	"version: 1\nguests:\n  - {name: a, " way \
	", vcpus: [{cpu: 1}],\n     ssh: {host_port: 1, from: [" from "]}}\n"

static void an_ip6_source_needs_another_way_than_qemus_own(void **state)
{
	struct fixture *f = *state;

	refuse(state, SSH(LAUNCH, "10.0.0.0/8, 2001:db8::/32"),
	       "d.yaml:4:45: QEMU's own network forwards IPv4 only: nobody at 2001:db8::/32 gets "
	       "through");
	assert_non_null(strstr(f->e.todo, "IPv4 addresses or networks"));
	error_clear(&f->e);
	refuse(state, SSH(LAUNCH, "\"::1\""),
	       "d.yaml:4:33: QEMU's own network forwards IPv4 only: nobody at ::1 gets through");
	accept(state, SSH(LAUNCH, "10.0.0.0/8"));
	accept(state,
	       "version: 1\nguests: [{name: a, adopt: {domain: a}, vcpus: [{cpu: 1}], ssh: "
	       "{host_port: 1, guest_address: \"2001:db8::9\", from: [\"2001:db8::/32\"]}}]\n");
}

static void a_guests_document_has_no_host_keys(void **state)
{
	refuse(state, "version: 1\nguest: {}\nmeasure: {}\n",
	       "d.yaml:3:1: this belongs in a host's document, and this is a guest's");
	refuse(state, HOST "boot: host\n", "d.yaml:5:1: only a guest's document says who boots it");
}

static void the_example_is_valid(void **state)
{
	const char *top = getenv("top_srcdir");
	_cleanup_free_ char *path = NULL;
	char text[8192];
	const struct desired *d;
	size_t size;
	FILE *f;

	assert_true(asprintf(&path, "%s/docs/examples/guests.yaml", top ? top : ".") > 0);
	f = fopen(path, "re");
	assert_non_null(f);
	size = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[size] = '\0';
	d = accept(state, text);
	assert_int_equal(d->n_guests, 1);
	assert_non_null(d->guests[0].document);
}

/* ---- any tree ---- */

static uint64_t seed;

static unsigned pick(unsigned n)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)(seed >> 33) % n;
}

static struct yaml_node *random_tree(struct arena *a, unsigned depth)
{
	static const char *const plains[] = { "off", "2-7", "0,2", "1", "x y", "",
					      "a#b", "a:b", "-1",  "~", "é",   "0-31:2/8" };
	static const char *const quoteds[] = { "",     "0,2",	"a: b",	 "# no", "\"\\", "'",
					       "\n x", " pad ", "é\x7f", "\t",	 "off",	 "- a" };
	struct yaml_node *node = arena_alloc(a, sizeof(*node));
	size_t n_keys = 0;

	node->kind = depth > 4 ? YAML_SCALAR : (enum yaml_kind)pick(3);
	if (node->kind == YAML_SCALAR) {
		node->plain = pick(2);
		node->text = node->plain ? plains[pick(ARRAY_SIZE(plains))]
					 : quoteds[pick(ARRAY_SIZE(quoteds))];
		return node;
	}
	for (unsigned i = 0, n = pick(4); i < n; i++) {
		*(struct yaml_node **)arena_grow(a, &node->items, &node->n_items,
						 sizeof(struct yaml_node *)) =
			random_tree(a, depth + 1);
		if (node->kind == YAML_MAPPING) {
			struct yaml_node *key = arena_alloc(a, sizeof(*key));

			key->plain = pick(2);
			key->text = arena_printf(a, "key_%u", i);
			*(struct yaml_node **)arena_grow(a, &node->keys, &n_keys, sizeof(key)) =
				key;
		}
	}
	return node;
}

static bool same(const struct yaml_node *a, const struct yaml_node *b)
{
	if (a->kind != b->kind || a->n_items != b->n_items)
		return false;
	if (a->kind == YAML_SCALAR)
		return a->plain == b->plain && streq(a->text, b->text);
	for (size_t i = 0; i < a->n_items; i++)
		if (!same(a->items[i], b->items[i]) ||
		    (a->kind == YAML_MAPPING && !same(a->keys[i], b->keys[i])))
			return false;
	return true;
}

static void what_is_written_reads_the_same(void **state)
{
	const char *wanted = getenv("PROPERTY_SEED");
	struct fixture *f = *state;

	seed = wanted ? strtoull(wanted, NULL, 0) : 20;
	for (unsigned i = 0; i < 3000; i++) {
		struct arena a = { 0 };
		struct doc doc = { .source = "t", .arena = &a, .error = &f->e };
		_cleanup_free_ char *text = NULL;
		uint64_t from = seed;
		struct yaml_node *tree = random_tree(&a, 0), *again;
		size_t size;
		FILE *out = open_memstream(&text, &size);

		if (tree->kind == YAML_SCALAR || !tree->n_items) {
			fclose(out);
			arena_free(&a);
			continue;
		}
		assert_int_equal(yaml_emit(out, tree, 0), 0);
		fclose(out);
		if (yaml_parse(&doc, text, size, &again) < 0)
			fail_msg("PROPERTY_SEED=%" PRIu64 ": %s\n%s", from, f->e.what, text);
		if (!same(tree, again))
			fail_msg("PROPERTY_SEED=%" PRIu64 ": differs\n%s", from, text);
		arena_free(&a);
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_guest_has_defaults),
		T(without_a_node_memory_comes_from_the_pool_of_its_pages),
		T(huge_pages_of_a_size_that_is_not_reserved_are_refused),
		T(a_guest_takes_everything),
		T(a_document_of_guests_alone_manages_no_machine),
		T(forms_are_checked),
		T(what_guests_and_host_say_is_compared),
		T(a_state_without_isolated_cpus_isolates_nothing),
		T(a_guests_document_is_its_state),
		T(an_ip6_source_needs_another_way_than_qemus_own),
		T(a_guest_is_governed_by_the_hosts_drift),
		T(without_drift_of_its_own_a_guests_document_stays_as_it_is),
		T(drift_of_a_setting_that_nobody_has_is_refused),
		T(a_guests_document_has_no_host_keys),
		T(the_example_is_valid),
		T(what_is_written_reads_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

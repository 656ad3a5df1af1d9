/*
 * The document: what each part of it becomes, and every error of it with its place, its words and
 * its advice. The settings' own rows are the real ones.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "state/document_parts.h"
#include "state/observed.h"
#include "state/settings.h"

#define HOST "version: 1\nhost:\n  cpus: {isolated: 2-7}\n"

struct fixture {
	struct desired desired;
	struct error error;
	struct observed observed;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	return f ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	desired_done(&f->desired);
	error_clear(&f->error);
	observed_done(&f->observed);
	free(f);
	return 0;
}

static struct desired *accept(void **state, const char *text)
{
	struct fixture *f = *state;

	desired_done(&f->desired);
	if (document_parse("d.yaml", text, strlen(text), &f->desired, &f->error) < 0)
		fail_msg("%s", f->error.what);
	return &f->desired;
}

/* @todo NULL: no advice. Whatever was in the result stays there. */
static void refuse(void **state, const char *text, const char *what, const char *todo)
{
	struct fixture *f = *state;
	struct desired untouched, before;

	memset(&untouched, 0xa5, sizeof(untouched));
	before = untouched;
	assert_int_equal(document_parse("d.yaml", text, strlen(text), &untouched, &f->error),
			 -EINVAL);
	assert_memory_equal(&untouched, &before, sizeof(before));
	assert_int_equal(f->error.code, -EINVAL);
	assert_string_equal(f->error.what, what);
	if (todo) {
		assert_non_null(f->error.todo);
		assert_string_equal(f->error.todo, todo);
	} else {
		assert_null(f->error.todo);
	}
}

static const void *value_of(const struct desired *d, const char *name)
{
	const struct setting *s = setting_by_name(name);

	assert_non_null(s);
	return d->values[setting_index(s)];
}

static void assert_set(const struct cpuset *s, const char *want)
{
	_cleanup_free_ char *text = cpuset_format_list(s);

	assert_non_null(text);
	assert_string_equal(text, want);
}

/* The whole. */

static void the_smallest_document(void **state)
{
	const struct desired *d = accept(state, HOST);

	assert_string_equal(d->source, "d.yaml");
	assert_set(&d->isolated, "2-7");
	assert_false(d->isolated_auto);
	assert_false(d->allow_cpu0);
	assert_int_equal(d->isolated_at.line, 3);
	assert_int_equal(d->isolated_at.column, 20);
	for (size_t i = 0; i < SETTINGS_MAX; i++)
		assert_null(d->values[i]);
	assert_int_equal(d->reboot_policy, REBOOT_WHEN_ASKED);
}

static void the_digest_is_fnv1a_of_the_bytes(void **state)
{
	struct fixture *f = *state;

	accept(state, "{version: 1, host: {cpus: {isolated: 1}}}");
	assert_string_equal(f->desired.digest, "1138e9353c037c23");
}

/* A file of the source tree; the caller frees. */
static char *read_source(const char *name)
{
	const char *top = getenv("top_srcdir");
	_cleanup_free_ char *path = NULL, *text = calloc(1, 65536);
	_cleanup_close_ int fd = -1;

	assert_non_null(text);
	assert_true(asprintf(&path, "%s/%s", top ? top : ".", name) > 0);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fail_msg("%s: %s (set top_srcdir)", path, strerror(errno));
	assert_true(read(fd, text, 65535) > 0);
	return take_ptr(text);
}

static void the_example_in_the_docs_is_valid(void **state)
{
	_cleanup_free_ char *text = read_source("docs/examples/host.yaml");
	const struct desired *d = accept(state, text);

	assert_non_null(value_of(d, "hugepages"));
	assert_non_null(value_of(d, "irq_affinity"));
}

static void the_man_page_describes_every_setting(void **state)
{
	_cleanup_free_ char *page = read_source("docs/latencyd.yaml.5");

	(void)state;
	for (size_t i = 0; i < n_settings; i++) {
		char item[100];

		snprintf(item, sizeof(item), "\n.It Cm %s : ", settings[i]->name);
		if (!strstr(page, item))
			fail_msg("docs/latencyd.yaml.5 has no item for %s", settings[i]->name);
	}
}

static void the_man_page_shows_the_presets_as_they_are(void **state)
{
	_cleanup_free_ char *page = read_source("docs/latencyd.yaml.5");

	(void)state;
	for (size_t i = 0; i < n_presets; i++)
		if (!strstr(page, presets[i].text))
			fail_msg("docs/latencyd.yaml.5 shows another preset %s", presets[i].name);
}

static void the_man_pages_examples_are_valid(void **state)
{
	_cleanup_free_ char *page = read_source("docs/latencyd.yaml.5");
	const char *examples = strstr(page, "\n.Sh EXAMPLES");
	char *begin = examples ? strstr(examples, "\nversion: 1\n") : NULL;
	size_t n = 0;

	for (; begin; begin = strstr(begin, "\nversion: 1\n")) {
		char *end = strstr(begin, "\n.Ed");

		assert_non_null(end);
		*end = '\0';
		accept(state, begin);
		begin = end + 1;
		n++;
	}
	assert_int_equal(n, 2);
}

static void the_top_must_be_a_mapping(void **state)
{
	refuse(state, "[version, host]\n",
	       "d.yaml:1:1: expected a mapping (KEY: VALUE), found a list", NULL);
	refuse(state, "hello\n", "d.yaml:1:1: expected a mapping (KEY: VALUE), found \"hello\"",
	       NULL);
}

static void version_is_required_and_is_one(void **state)
{
	refuse(state, "host: {cpus: {isolated: 1}}\n", "d.yaml:1:1: the key \"version\" is missing",
	       NULL);
	refuse(state, "version: 2\nfuture: 1\n",
	       "d.yaml:1:10: this version of latencyd reads documents of version 1 only",
	       "write version: 1");
	refuse(state, "version: \"1\"\n",
	       "d.yaml:1:10: this version of latencyd reads documents of version 1 only",
	       "write version: 1");
}

static void host_is_required(void **state)
{
	refuse(state, "version: 1\n",
	       "d.yaml:1:1: the key \"host\" is missing, and there are no guests either",
	       "write host: and the state this machine shall be in");
}

static void an_unknown_top_key_has_its_nearest(void **state)
{
	refuse(state, HOST "mesure: {}\n", "d.yaml:4:1: unknown key \"mesure\"",
	       "did you mean \"measure\"?");
	refuse(state, HOST "wombat: {}\n", "d.yaml:4:1: unknown key \"wombat\"",
	       "valid keys: version, host, drift, reboot, guests, measure");
}

static void a_duplicate_key_is_refused(void **state)
{
	refuse(state, HOST "  watchdogs: off\n  tsc: reliable\n  watchdogs: off\n",
	       "d.yaml:6:3: the key \"watchdogs\" is given twice, first in line 4",
	       "keep one of the two");
}

static void what_is_not_yaml_is_refused(void **state)
{
	struct fixture *f = *state;
	struct desired d;

	assert_int_equal(document_parse("d.yaml", "a: [", 4, &d, &f->error), -EINVAL);
	assert_string_equal(f->error.what, "d.yaml:2:1: not YAML: did not find expected node "
					   "content, while parsing a flow node");
}

static void a_refusal_without_an_error_object(void **state)
{
	struct desired d;

	(void)state;
	assert_int_equal(document_parse("d", "version: 3", 10, &d, NULL), -EINVAL);
	assert_int_equal(document_parse("d", "vers: 3", 7, &d, NULL), -EINVAL);
	assert_int_equal(document_parse("d", "{version: 1, guests: 1}", 23, &d, NULL), -EINVAL);
}

static void a_long_or_hostile_key_is_shown_clipped(void **state)
{
	refuse(state, "ééééééééééééééééééééééééééééééééééééééééééé: 1\n",
	       "d.yaml:1:1: unknown key \"éééééééééééééééééééééééééééééé...\"",
	       "valid keys: version, host, drift, reboot, guests, measure");
	refuse(state, "xééééééééééééééééééééééééééééééééééééééééééé: 1\n",
	       "d.yaml:1:1: unknown key \"xééééééééééééééééééééééééééééé...\"",
	       "valid keys: version, host, drift, reboot, guests, measure");
	refuse(state, "\"x\\x9by\": 1\n", "d.yaml:1:1: unknown key \"x??y\"",
	       "valid keys: version, host, drift, reboot, guests, measure");
	refuse(state, "\"x\\e]0;t\\a\": 1\n", "d.yaml:1:1: unknown key \"x?]0;t?\"",
	       "valid keys: version, host, drift, reboot, guests, measure");
}

/* host: cpus. */

static void cpus_is_required(void **state)
{
	refuse(state, "version: 1\nhost: {watchdogs: off}\n",
	       "d.yaml:2:7: the key \"cpus\" is missing",
	       "add cpus: {isolated: LIST}, such as 2-7, or auto");
	refuse(state, "version: 1\nhost:\n  cpus: {allow_cpu0: true}\n",
	       "d.yaml:3:9: the key \"isolated\" is missing", NULL);
}

static void host_and_cpus_must_be_mappings(void **state)
{
	refuse(state, "version: 1\nhost: on\n",
	       "d.yaml:2:7: expected a mapping (KEY: VALUE), found \"on\"", NULL);
	refuse(state, "version: 1\nhost:\n",
	       "d.yaml:2:6: expected a mapping (KEY: VALUE), found nothing", NULL);
	refuse(state, "version: 1\nhost: {cpus: 2-7}\n",
	       "d.yaml:2:14: expected a mapping (KEY: VALUE), found \"2-7\"", NULL);
}

static void isolated_takes_the_kernels_lists(void **state)
{
	assert_set(&accept(state, "{version: 1, host: {cpus: {isolated: 3}}}")->isolated, "3");
	assert_set(&accept(state, "{version: 1, host: {cpus: {isolated: '2,4-6'}}}")->isolated,
		   "2,4-6");
	assert_set(
		&accept(state, "version: 1\nhost:\n  cpus:\n    isolated: 22-43,66-87\n")->isolated,
		"22-43,66-87");
	assert_set(&accept(state, "version: 1\nhost:\n  cpus:\n    isolated: 8-15:2/4\n")->isolated,
		   "8-9,12-13");
}

static void isolated_is_misspelled(void **state)
{
	refuse(state, "version: 1\nhost:\n  cpus: {isoltaed: 2-7}\n",
	       "d.yaml:3:10: unknown key \"isoltaed\"", "did you mean \"isolated\"?");
}

static void what_is_no_cpu_list_is_refused(void **state)
{
	const char *todo = "write it as the kernel does: 2-7 or 2,4-7 or 0-31:2/8";

	refuse(state, "version: 1\nhost:\n  cpus: {isolated: 2..7}\n",
	       "d.yaml:3:20: expected a CPU list or auto, found \"2..7\"", todo);
	refuse(state, "version: 1\nhost:\n  cpus: {isolated: [2, 3]}\n",
	       "d.yaml:3:20: expected a CPU list or auto, found a list", todo);
	refuse(state, "version: 1\nhost:\n  cpus: {isolated: 7-2}\n",
	       "d.yaml:3:20: expected a CPU list or auto, found \"7-2\"", todo);
	refuse(state, "version: 1\nhost:\n  cpus: {isolated: 2-99999}\n",
	       "d.yaml:3:20: CPU numbers end at 65535, found \"2-99999\"", NULL);
}

static void a_list_longer_than_a_command_line_is_refused(void **state)
{
	char text[5000] = "version: 1\nhost:\n  cpus: {isolated: '2";

	for (size_t n = strlen(text); n < 4200; n += 2)
		memcpy(text + n, ",3", 3);
	strcat(text, "'}\n");
	refuse(state, text, "d.yaml:3:20: a CPU list of more than 4096 characters", NULL);
}

static void lists_that_depend_on_the_machine_are_refused(void **state)
{
	const char *todo = "write the CPU numbers, such as 2-7, or auto";

	refuse(state, "version: 1\nhost:\n  cpus: {isolated: 2-N}\n",
	       "d.yaml:3:20: \"2-N\" depends on the machine: \"N\" and \"all\" are not taken",
	       todo);
	refuse(state, "version: 1\nhost:\n  cpus: {isolated: all}\n",
	       "d.yaml:3:20: \"all\" depends on the machine: \"N\" and \"all\" are not taken",
	       todo);
}

static void an_empty_isolated_set_is_refused(void **state)
{
	refuse(state, "version: 1\nhost:\n  cpus: {isolated: ''}\n",
	       "d.yaml:3:20: the isolated set is empty: name at least one CPU", NULL);
	refuse(state, "version: 1\nhost:\n  cpus:\n    isolated:\n",
	       "d.yaml:4:14: the isolated set is empty: name at least one CPU", NULL);
}

static void cpu0_must_be_said_twice(void **state)
{
	refuse(state, "version: 1\nhost:\n  cpus: {isolated: 0-3}\n",
	       "d.yaml:3:20: CPU 0 would be isolated: the kernel boots on it and much stays there",
	       "leave it out, or say it twice: add allow_cpu0: true");
	refuse(state, "version: 1\nhost:\n  cpus: {isolated: 0-3, allow_cpu0: no}\n",
	       "d.yaml:3:20: CPU 0 would be isolated: the kernel boots on it and much stays there",
	       "leave it out, or say it twice: add allow_cpu0: true");
	assert_set(&accept(state, "version: 1\nhost:\n  cpus: {allow_cpu0: true, isolated: 0-3}\n")
			    ->isolated,
		   "0-3");
}

static void a_truth_value_is_a_word_without_quotes(void **state)
{
	refuse(state, "version: 1\nhost:\n  cpus: {isolated: 1, allow_cpu0: 1}\n",
	       "d.yaml:3:35: expected true or false, found \"1\"", NULL);
	refuse(state, "version: 1\nhost:\n  cpus: {isolated: 1, allow_cpu0: 'true'}\n",
	       "d.yaml:3:35: expected true or false, found \"true\"", "write it without quotes");
	refuse(state, "version: 1\nhost:\n  cpus: {isolated: 1, allow_cpu0: []}\n",
	       "d.yaml:3:35: expected true or false, found a list", NULL);
}

/* host: settings. */

static void every_setting_is_read_by_its_row(void **state)
{
	const struct desired *d =
		accept(state, HOST "  kernel: {preemption: rt, package: linux-image-rt-amd64}\n"
				   "  cpu_isolation: [domain, managed_irq]\n"
				   "  tick_offload: isolated\n"
				   "  rcu_offload: isolated\n"
				   "  iommu: passthrough\n"
				   "  hugepages: [{size: 1G, count: 4, node: 0}]\n"
				   "  machine_check: off\n"
				   "  tsc: {mode: reliable, invariant: assumed}\n"
				   "  watchdogs: off\n"
				   "  rt_throttling: off\n"
				   "  irq_affinity: {cpus: housekeeping, irqbalance: stopped}\n"
				   "  idle: {max_cstate: 1}\n"
				   "  kthread_priority: {ksoftirqd: 2, rcuc: 4}\n"
				   "  timer_migration: off\n");

	for (size_t i = 0; i < n_settings; i++)
		if (!d->values[i])
			fail_msg("%s has no value", settings[i]->name);
	assert_string_equal(desired_package(d), "linux-image-rt-amd64");
	assert_int_equal(d->marks[setting_index(setting_by_name("watchdogs"))].line, 12);
	assert_int_equal(d->marks[setting_index(setting_by_name("watchdogs"))].column, 14);
}

static void an_unknown_setting_has_its_nearest(void **state)
{
	refuse(state, HOST "  watchdog: off\n", "d.yaml:4:3: unknown key \"watchdog\"",
	       "did you mean \"watchdogs\"?");
	refuse(state, HOST "  irq-affinity: housekeeping\n",
	       "d.yaml:4:3: unknown key \"irq-affinity\"", "did you mean \"irq_affinity\"?");
	refuse(state, HOST "  extend: realtime-host\n", "d.yaml:4:3: unknown key \"extend\"",
	       "did you mean \"extends\"?");
}

static void an_unknown_setting_far_from_all_lists_them_all(void **state)
{
	struct fixture *f = *state;
	struct desired d;

	assert_int_equal(
		document_parse("d.yaml", HOST "  color: red\n", strlen(HOST) + 13, &d, &f->error),
		-EINVAL);
	assert_string_equal(f->error.what, "d.yaml:4:3: unknown key \"color\"");
	assert_non_null(strstr(f->error.todo, "valid keys: cpus, extends, "));
	for (size_t i = 0; i < n_settings; i++)
		assert_non_null(strstr(f->error.todo, settings[i]->name));
}

static void a_wrong_word_has_its_nearest(void **state)
{
	refuse(state, HOST "  machine_check: ignore-ce\n",
	       "d.yaml:4:18: expected one of off, ignore_ce, found \"ignore-ce\"",
	       "did you mean \"ignore_ce\"?");
	refuse(state, HOST "  iommu: pass\n",
	       "d.yaml:4:10: expected \"passthrough\", found \"pass\"",
	       "did you mean \"passthrough\"?");
	refuse(state, HOST "  iommu: pass_through\n",
	       "d.yaml:4:10: expected \"passthrough\", found \"pass_through\"",
	       "did you mean \"passthrough\"?");
}

static void a_wrong_type_says_what_was_found(void **state)
{
	refuse(state, HOST "  watchdogs: {all: off}\n",
	       "d.yaml:4:14: expected \"off\", found a mapping", NULL);
	refuse(state, HOST "  watchdogs:\n", "d.yaml:4:13: expected \"off\", found nothing", NULL);
	refuse(state, HOST "  kernel: rt\n",
	       "d.yaml:4:11: expected a mapping (KEY: VALUE), found \"rt\"", NULL);
	refuse(state, HOST "  idle: {max_cstate: '1'}\n",
	       "d.yaml:4:22: expected a whole number from 0 to 9, found \"1\"",
	       "write it without quotes");
}

static void a_number_has_one_form_and_its_range(void **state)
{
	static const char *const bad[] = { "010", "0x1", "1.0", "-1",
					   "1_0", "10",	 "+1",	"18446744073709551616" };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		char text[200], what[200];

		snprintf(text, sizeof(text), HOST "  idle: {max_cstate: %s}\n", bad[i]);
		snprintf(what, sizeof(what),
			 "d.yaml:4:22: expected a whole number from 0 to 9, found \"%s\"", bad[i]);
		refuse(state, text, what, NULL);
	}
}

static void sizes_need_their_unit(void **state)
{
	static const char *const bad[] = { "1",	  "1048576", "G",    "0G", "1GB",
					   "1 G", "-1G",     "1.5G", "1E" };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		char text[200], what[200];

		snprintf(text, sizeof(text), HOST "  hugepages: [{size: %s, count: 1}]\n", bad[i]);
		snprintf(what, sizeof(what),
			 "d.yaml:4:22: expected a size with its unit, such as 2M or 1G, found "
			 "\"%s\"",
			 bad[i]);
		refuse(state, text, what, NULL);
	}
	refuse(state, HOST "  hugepages: [{size: 17T, count: 1}]\n",
	       "d.yaml:4:22: expected a size of at most 16T, found \"17T\"", NULL);
	accept(state, HOST "  hugepages: [{size: 2M, count: 1}, {size: 1g, count: 1}]\n");
}

static void a_missing_key_of_a_row_is_named(void **state)
{
	refuse(state, HOST "  hugepages: [{size: 1G}]\n",
	       "d.yaml:4:15: the key \"count\" is missing", NULL);
	refuse(state, HOST "  hugepages: [{size: 1G, count: 1, nod: 0}]\n",
	       "d.yaml:4:36: unknown key \"nod\"", "did you mean \"node\"?");
}

static void an_empty_text_is_refused(void **state)
{
	refuse(state, HOST "  kernel: {preemption: rt, package: ''}\n",
	       "d.yaml:4:37: expected a text, found nothing", NULL);
}

/* Presets. */

static void every_preset_parses(void **state)
{
	assert_int_equal(n_presets, 3);
	for (size_t i = 0; i < n_presets; i++) {
		char text[200];
		const struct desired *d;

		snprintf(text, sizeof(text), HOST "  extends: %s\n", presets[i].name);
		d = accept(state, text);
		assert_non_null(value_of(d, "cpu_isolation"));
		assert_non_null(value_of(d, "irq_affinity"));
	}
}

static void a_presets_values_stand_where_it_is_named(void **state)
{
	const struct desired *d = accept(state, HOST "  extends: kvm4nfv-host\n");
	size_t i = setting_index(setting_by_name("watchdogs"));

	assert_int_equal(d->marks[i].line, 4);
	assert_int_equal(d->marks[i].column, 12);
}

static void a_key_of_the_document_replaces_the_presets(void **state)
{
	const struct desired *d = accept(state, "version: 1\nhost:\n"
						"  kernel: {preemption: rt, package: my-kernel}\n"
						"  cpus: {isolated: 2-7}\n"
						"  extends: kvm4nfv-host\n");
	size_t i = setting_index(setting_by_name("kernel"));

	assert_string_equal(desired_package(d), "my-kernel");
	assert_int_equal(d->marks[i].line, 3);
}

static void unmanaged_drops_a_setting_of_the_preset(void **state)
{
	const struct desired *d = accept(state, HOST "  extends: kvm4nfv-host\n"
						     "  hugepages: unmanaged\n");

	assert_null(value_of(d, "hugepages"));
	assert_non_null(value_of(d, "iommu"));
}

static void unmanaged_is_a_value_of_every_setting(void **state)
{
	for (size_t i = 0; i < n_settings; i++) {
		char text[200];

		snprintf(text, sizeof(text), HOST "  %s: unmanaged\n", settings[i]->name);
		assert_null(accept(state, text)->values[i]);
	}
}

static void an_unknown_preset_has_its_nearest(void **state)
{
	refuse(state, HOST "  extends: kvm4nfv\n",
	       "d.yaml:4:12: expected one of kvm4nfv-host, realtime-host, realtime-guest, found "
	       "\"kvm4nfv\"",
	       "did you mean \"kvm4nfv-host\"?");
	refuse(state, HOST "  extends: real-time-host\n",
	       "d.yaml:4:12: expected one of kvm4nfv-host, realtime-host, realtime-guest, found "
	       "\"real-time-host\"",
	       "did you mean \"realtime-host\"?");
}

static void cpus_cannot_be_unmanaged(void **state)
{
	refuse(state, "version: 1\nhost: {cpus: unmanaged}\n",
	       "d.yaml:2:14: expected a mapping (KEY: VALUE), found \"unmanaged\"", NULL);
}

/* measure and reboot. */

static void measure_has_defaults(void **state)
{
	const struct desired_measure *m = &accept(state, HOST)->measure;

	assert_false(m->declared);
	assert_string_equal(m->profile, "quick");
	assert_int_equal(m->duration_s, 300);
	assert_int_equal(m->interval_us, 200);
	assert_int_equal(m->limits[SLA_MIN], -1);
	assert_int_equal(m->limits[SLA_AVG], -1);
	assert_int_equal(m->limits[SLA_MAX], -1);
	assert_int_equal(m->action, SLA_ASSERT);
	m = &accept(state, HOST "measure: {}\n")->measure;
	assert_true(m->declared);
	assert_int_equal(m->duration_s, 300);
}

static void measure_takes_everything(void **state)
{
	const struct desired_measure *m = &accept(state, HOST "measure:\n"
							      "  duration: 60\n"
							      "  profile: standard\n"
							      "  interval: 1000\n"
							      "  on: [host]\n"
							      "  sla:\n"
							      "    max_min_latency_us: 10\n"
							      "    max_avg_latency_us: 20\n"
							      "    max_max_latency_us: 40\n"
							      "    action: monitor\n")
						   ->measure;

	assert_string_equal(m->profile, "standard");
	assert_int_equal(m->duration_s, 60);
	assert_int_equal(m->interval_us, 1000);
	assert_int_equal(m->limits[SLA_MIN], 10);
	assert_int_equal(m->limits[SLA_AVG], 20);
	assert_int_equal(m->limits[SLA_MAX], 40);
	assert_int_equal(m->action, SLA_MONITOR);
}

static void profiles_have_their_durations(void **state)
{
	static const struct {
		const char *name;
		unsigned duration_s;
	} want[] = {
		{ "smoke", 10 }, { "quick", 300 }, { "standard", 3600 }, { "acceptance", 43200 }
	};

	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		char text[200];

		snprintf(text, sizeof(text), HOST "measure: {profile: %s}\n", want[i].name);
		assert_int_equal(accept(state, text)->measure.duration_s, want[i].duration_s);
	}
}

static void a_duration_with_a_unit_is_translated(void **state)
{
	refuse(state, HOST "measure: {duration: 5m}\n",
	       "d.yaml:4:21: expected a number of seconds without a unit, found \"5m\"",
	       "write 300");
	refuse(state, HOST "measure: {duration: 2 h}\n",
	       "d.yaml:4:21: expected a number of seconds without a unit, found \"2 h\"",
	       "write 7200");
	refuse(state, HOST "measure: {duration: 10s}\n",
	       "d.yaml:4:21: expected a number of seconds without a unit, found \"10s\"",
	       "write 10");
	refuse(state, HOST "measure: {duration: 31d}\n",
	       "d.yaml:4:21: expected a whole number from 1 to 2592000, found \"31d\"", NULL);
	refuse(state, HOST "measure: {duration: long}\n",
	       "d.yaml:4:21: expected a whole number from 1 to 2592000, found \"long\"", NULL);
	refuse(state, HOST "measure: {duration: 0}\n",
	       "d.yaml:4:21: expected a whole number from 1 to 2592000, found \"0\"", NULL);
}

static void only_machines_of_the_document_are_measured(void **state)
{
	refuse(state, HOST "measure: {on: [guest/vnf0]}\n",
	       "d.yaml:4:16: there is no guest/vnf0 in this document to measure on",
	       "write host, or guest/NAME of one of its guests");
	refuse(state, HOST "measure: {on: []}\n",
	       "d.yaml:4:15: expected a list of machines, [host, guest/NAME]", NULL);
	refuse(state, HOST "measure: {on: [host, host]}\n", "d.yaml:4:22: \"host\" is said twice",
	       NULL);
}

static void errors_of_measure(void **state)
{
	refuse(state, HOST "measure: {sla: {max_max_latncy_us: 40}}\n",
	       "d.yaml:4:17: unknown key \"max_max_latncy_us\"",
	       "did you mean \"max_max_latency_us\"?");
	refuse(state, HOST "measure: {sla: {action: asert}}\n",
	       "d.yaml:4:25: expected one of monitor, assert, found \"asert\"",
	       "did you mean \"assert\"?");
	refuse(state, HOST "measure: {interval: 5}\n",
	       "d.yaml:4:21: expected a whole number from 10 to 1000000, found \"5\"", NULL);
}

static void reboot_policies(void **state)
{
	assert_int_equal(accept(state, HOST "reboot: {policy: manual}\n")->reboot_policy,
			 REBOOT_MANUAL);
	assert_int_equal(accept(state, HOST "reboot: {policy: when-asked}\n")->reboot_policy,
			 REBOOT_WHEN_ASKED);
	assert_int_equal(accept(state, HOST "reboot: {policy: automatic}\n")->reboot_policy,
			 REBOOT_AUTOMATIC);
	refuse(state, HOST "reboot: {policy: auto}\n",
	       "d.yaml:4:18: expected one of manual, when-asked, automatic, found \"auto\"",
	       "did you mean \"automatic\"?");
	refuse(state, HOST "reboot: automatic\n",
	       "d.yaml:4:9: expected a mapping (KEY: VALUE), found \"automatic\"", NULL);
}

/* Against a machine. */

static struct fact known(const char *path, const char *text)
{
	return (struct fact){ .state = FACT_KNOWN, .path = path, .text = text };
}

static struct observed *machine(void **state, const char *possible, const char *present,
				const char *online)
{
	struct fixture *f = *state;
	struct observed *o = &f->observed;

	observed_done(o);
	*o = (struct observed){ 0 };
	o->cpu_possible = known("/sys/devices/system/cpu/possible", possible);
	o->cpu_present = known("/sys/devices/system/cpu/present", present);
	o->cpu_online = known("/sys/devices/system/cpu/online", online);
	assert_int_equal(cpuset_parse_list(possible, 0, &o->possible), 0);
	assert_int_equal(cpuset_parse_list(present, 0, &o->present), 0);
	assert_int_equal(cpuset_parse_list(online, 0, &o->online), 0);
	o->n_cpus = (unsigned)cpuset_last(&o->possible) + 1;
	return o;
}

/* The one file that `auto` looks at. */
static void siblings(struct observed *o, unsigned cpu, enum fact_state how, const char *list)
{
	o->files = arena_alloc(&o->arena, sizeof(*o->files));
	assert_non_null(o->files);
	o->n_files = 1;
	o->files[0] = (struct fact){
		.state = how,
		.path = arena_printf(&o->arena,
				     "/sys/devices/system/cpu/cpu%u/topology/thread_siblings_list",
				     cpu),
		.text = list,
	};
	assert_non_null(o->files[0].path);
}

static void resolve(void **state)
{
	struct fixture *f = *state;

	if (desired_resolve(&f->desired, &f->observed, &f->error) < 0)
		fail_msg("%s", f->error.what);
}

static void resolve_refused(void **state, int code, const char *what, const char *todo)
{
	struct fixture *f = *state;
	struct desired before = f->desired;

	assert_int_equal(desired_resolve(&f->desired, &f->observed, &f->error), code);
	assert_string_equal(f->error.what, what);
	if (todo)
		assert_string_equal(f->error.todo, todo);
	assert_memory_equal(&f->desired, &before, sizeof(before));
}

static void housekeeping_is_the_rest_of_the_possible_cpus(void **state)
{
	struct desired *d = accept(state, HOST);

	machine(state, "0-15", "0-7", "0-3,5-7");
	resolve(state);
	assert_set(&d->isolated, "2-7");
	assert_set(&d->housekeeping, "0-1,8-15");
	resolve(state); /* every pass does it again */
	assert_set(&d->housekeeping, "0-1,8-15");
}

static void cpus_that_the_machine_lacks_are_refused(void **state)
{
	accept(state, HOST);
	machine(state, "0-7", "0-5", "0-5");
	resolve_refused(state, -EINVAL, "d.yaml:3:20: this machine has no CPU 6-7, only 0-5",
			"isolate only CPUs that the machine has, or write auto");
}

static void offline_cpus_may_be_isolated(void **state)
{
	accept(state, HOST);
	machine(state, "0-7", "0-7", "0-2");
	resolve(state);
}

static void a_housekeeping_cpu_must_be_online(void **state)
{
	const char *todo = "isolate fewer CPUs: at least one online CPU must do the rest";

	accept(state, "version: 1\nhost:\n  cpus: {isolated: 0-3, allow_cpu0: yes}\n");
	machine(state, "0-3", "0-3", "0-3");
	resolve_refused(state, -EINVAL, "d.yaml:3:20: no housekeeping CPU would be left online",
			todo);
	machine(state, "0-7", "0-7", "1-3");
	resolve_refused(state, -EINVAL, "d.yaml:3:20: no housekeeping CPU would be left online",
			todo);
}

static void cpu0_is_refused_against_the_machine_too(void **state)
{
	struct desired *d =
		accept(state, "version: 1\nhost:\n  cpus: {isolated: 0-3, allow_cpu0: yes}\n");

	machine(state, "0-7", "0-7", "0-7");
	resolve(state);
	d->allow_cpu0 = false;
	resolve_refused(state, -EINVAL, "d.yaml:3:20: CPU 0 would be isolated",
			"leave it out, or say it twice: add allow_cpu0: true");
}

static void a_machine_whose_cpus_are_unknown_is_no_machine(void **state)
{
	struct observed *o;

	accept(state, HOST);
	o = machine(state, "0-7", "0-7", "0-7");
	o->cpu_online.state = FACT_DENIED;
	resolve_refused(
		state, -ENODATA,
		"the machine's CPUs are not known: /sys/devices/system/cpu/online is denied", NULL);
	o = machine(state, "0-7", "0-7", "0-7");
	cpuset_done(&o->possible);
	o->possible = (struct cpuset){ 0 };
	resolve_refused(
		state, -ENODATA,
		"the machine's CPUs are not known: the list of possible CPUs does not parse", NULL);
}

#define AUTO "version: 1\nhost:\n  cpus: {isolated: auto}\n"

static void auto_leaves_the_first_core_to_housekeeping(void **state)
{
	struct desired *d = accept(state, AUTO);

	assert_true(d->isolated_auto);
	assert_true(cpuset_empty(&d->isolated));
	siblings(machine(state, "0-7", "0-7", "0-7"), 0, FACT_KNOWN, "0,4");
	resolve(state);
	assert_set(&d->isolated, "1-3,5-7");
	assert_set(&d->housekeeping, "0,4");
	resolve(state);
	assert_set(&d->isolated, "1-3,5-7");
}

static void auto_starts_at_the_first_online_cpu(void **state)
{
	struct desired *d = accept(state, AUTO);

	siblings(machine(state, "0-7", "0-7", "2-6"), 2, FACT_KNOWN, "2-3");
	resolve(state);
	assert_set(&d->isolated, "4-6");
	assert_set(&d->housekeeping, "0-3,7");
}

static void auto_on_a_machine_without_topology_has_no_siblings(void **state)
{
	struct desired *d = accept(state, AUTO);

	siblings(machine(state, "0-3", "0-3", "0-3"), 0, FACT_ABSENT, NULL);
	resolve(state);
	assert_set(&d->isolated, "1-3");
}

static void auto_on_one_core_is_refused(void **state)
{
	const char *what = "d.yaml:3:20: auto leaves nothing to isolate: this machine has one core "
			   "online";

	accept(state, AUTO);
	siblings(machine(state, "0-1", "0-1", "0-1"), 0, FACT_KNOWN, "0-1");
	resolve_refused(state, -EINVAL, what, NULL);
	siblings(machine(state, "0-3", "0-3", "0"), 0, FACT_KNOWN, "0");
	resolve_refused(state, -EINVAL, what, NULL);
}

static void auto_does_not_guess_siblings(void **state)
{
	accept(state, AUTO);
	siblings(machine(state, "0-3", "0-3", "0-3"), 0, FACT_DENIED, NULL);
	resolve_refused(state, -ENODATA,
			"isolated: auto needs the siblings of CPU 0: "
			"/sys/devices/system/cpu/cpu0/topology/thread_siblings_list is denied",
			NULL);
	siblings(machine(state, "0-3", "0-3", "0-3"), 0, FACT_KNOWN, "what");
	resolve_refused(state, -ENODATA,
			"isolated: auto needs the siblings of CPU 0: "
			"/sys/devices/system/cpu/cpu0/topology/thread_siblings_list is not a CPU "
			"list",
			NULL);
	machine(state, "0-3", "0-3", "0-3");
	resolve_refused(state, -ENODATA,
			"isolated: auto needs the siblings of CPU 0: "
			"/sys/devices/system/cpu/cpu0/topology/thread_siblings_list is not read",
			NULL);
}

static void give_memory(struct observed *o, uint64_t memory_kib)
{
	o->nodes = arena_alloc(&o->arena, sizeof(*o->nodes));
	assert_non_null(o->nodes);
	o->n_nodes = 1;
	o->nodes[0].memory_kib = memory_kib;
	o->nodes_fact = known("/sys/devices/system/node", "");
}

static void huge_pages_beyond_memory_are_refused_where_they_stand(void **state)
{
	accept(state, HOST "  hugepages:\n    - {size: 1G, count: 4, node: 0}\n");
	give_memory(machine(state, "0-7", "0-7", "0-7"), 2048 * 1024);
	resolve_refused(state, -EINVAL,
			"d.yaml:5:7: more huge pages than the node has memory (2048 MiB)",
			"ask for fewer pages; at least 512 MiB must be left for the rest");
	give_memory(machine(state, "0-7", "0-7", "0-7"), 4096 * 1024);
	resolve_refused(state, -EINVAL,
			"d.yaml:5:7: the huge pages leave no room in memory (4096 MiB)",
			"ask for fewer pages; at least 512 MiB must be left for the rest");
	give_memory(machine(state, "0-7", "0-7", "0-7"), 8192 * 1024);
	resolve(state);
}

static void huge_pages_of_a_preset_are_checked_too(void **state)
{
	accept(state, HOST "  extends: kvm4nfv-host\n");
	give_memory(machine(state, "0-7", "0-7", "0-7"), 2048 * 1024);
	resolve_refused(state, -EINVAL,
			"preset kvm4nfv-host:6:13: the huge pages leave no room in memory (2048 "
			"MiB)",
			NULL);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_smallest_document),
		T(the_digest_is_fnv1a_of_the_bytes),
		T(the_example_in_the_docs_is_valid),
		T(the_man_page_describes_every_setting),
		T(the_man_page_shows_the_presets_as_they_are),
		T(the_man_pages_examples_are_valid),
		T(the_top_must_be_a_mapping),
		T(version_is_required_and_is_one),
		T(host_is_required),
		T(an_unknown_top_key_has_its_nearest),
		T(a_duplicate_key_is_refused),
		T(what_is_not_yaml_is_refused),
		T(a_refusal_without_an_error_object),
		T(a_long_or_hostile_key_is_shown_clipped),
		T(cpus_is_required),
		T(host_and_cpus_must_be_mappings),
		T(isolated_takes_the_kernels_lists),
		T(isolated_is_misspelled),
		T(what_is_no_cpu_list_is_refused),
		T(a_list_longer_than_a_command_line_is_refused),
		T(lists_that_depend_on_the_machine_are_refused),
		T(an_empty_isolated_set_is_refused),
		T(cpu0_must_be_said_twice),
		T(a_truth_value_is_a_word_without_quotes),
		T(every_setting_is_read_by_its_row),
		T(an_unknown_setting_has_its_nearest),
		T(an_unknown_setting_far_from_all_lists_them_all),
		T(a_wrong_word_has_its_nearest),
		T(a_wrong_type_says_what_was_found),
		T(a_number_has_one_form_and_its_range),
		T(sizes_need_their_unit),
		T(a_missing_key_of_a_row_is_named),
		T(an_empty_text_is_refused),
		T(every_preset_parses),
		T(a_presets_values_stand_where_it_is_named),
		T(a_key_of_the_document_replaces_the_presets),
		T(unmanaged_drops_a_setting_of_the_preset),
		T(unmanaged_is_a_value_of_every_setting),
		T(an_unknown_preset_has_its_nearest),
		T(cpus_cannot_be_unmanaged),
		T(measure_has_defaults),
		T(measure_takes_everything),
		T(profiles_have_their_durations),
		T(a_duration_with_a_unit_is_translated),
		T(only_machines_of_the_document_are_measured),
		T(errors_of_measure),
		T(reboot_policies),
		T(housekeeping_is_the_rest_of_the_possible_cpus),
		T(cpus_that_the_machine_lacks_are_refused),
		T(offline_cpus_may_be_isolated),
		T(a_housekeeping_cpu_must_be_online),
		T(cpu0_is_refused_against_the_machine_too),
		T(a_machine_whose_cpus_are_unknown_is_no_machine),
		T(auto_leaves_the_first_core_to_housekeeping),
		T(auto_starts_at_the_first_online_cpu),
		T(auto_on_a_machine_without_topology_has_no_siblings),
		T(auto_on_one_core_is_refused),
		T(auto_does_not_guess_siblings),
		T(huge_pages_beyond_memory_are_refused_where_they_stand),
		T(huge_pages_of_a_preset_are_checked_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

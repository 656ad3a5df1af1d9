/* A capture is judged like the machine it was taken from, and holds nothing that no probe reads. */
#include "probes/observe.h"

#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "state/plan.h"
#include "state/verdict.h"
#include "tests/trees/scratch.h"
#include "tests/trees/tree.h"

#define SECRET "hunter2"

static void print_fact(FILE *f, const char *name, const struct fact *fact)
{
	fprintf(f, "%s: %s %s [%s]\n", name, fact_state_name(fact->state),
		fact->path ? fact->path : "-", fact->text ? fact->text : "");
}

static void print_machine(FILE *f, const struct observed *o)
{
	print_fact(f, "release", &o->kernel_release);
	print_fact(f, "version", &o->kernel_version);
	print_fact(f, "cmdline", &o->cmdline);
	print_fact(f, "boot id", &o->boot_id);
	print_fact(f, "possible", &o->cpu_possible);
	print_fact(f, "present", &o->cpu_present);
	print_fact(f, "online", &o->cpu_online);
	print_fact(f, "isolated", &o->cpu_isolated);
	print_fact(f, "cpuinfo", &o->cpuinfo);
	print_fact(f, "meminfo", &o->meminfo);
	for (size_t i = 0; i < o->n_files; i++)
		print_fact(f, "file", &o->files[i]);
}

static void print_groups(FILE *f, const struct observed *o)
{
	print_fact(f, "irqs", &o->irqs_fact);
	for (size_t i = 0; i < o->n_irqs; i++) {
		fprintf(f, "irq %u %s\n", o->irqs[i].number, o->irqs[i].name);
		print_fact(f, "effective", &o->irqs[i].effective);
		print_fact(f, "requested", &o->irqs[i].requested);
	}
	print_fact(f, "threads", &o->threads_fact);
	for (size_t i = 0; i < o->n_threads; i++) {
		const struct observed_thread *t = &o->threads[i];

		fprintf(f, "thread %d %s %d %d\n", t->pid, t->comm, t->policy, t->priority);
		print_fact(f, "allowed", &t->allowed);
	}
	print_fact(f, "nodes", &o->nodes_fact);
	for (size_t i = 0; i < o->n_nodes; i++) {
		fprintf(f, "node %u %" PRIu64 "\n", o->nodes[i].id, o->nodes[i].memory_kib);
		print_fact(f, "cpus", &o->nodes[i].cpus);
		for (size_t j = 0; j < o->nodes[i].n_pools; j++)
			print_fact(f, "pool", &o->nodes[i].pools[j].total);
	}
	print_fact(f, "iommu", &o->iommu_fact);
	print_fact(f, "groups", &o->iommu_groups_fact);
	for (size_t i = 0; i < o->n_iommu_groups; i++)
		print_fact(f, "group", &o->iommu_groups[i].type);
	print_fact(f, "dmar", &o->acpi_dmar);
	print_fact(f, "ivrs", &o->acpi_ivrs);
	print_fact(f, "mounts", &o->mounts_fact);
	for (size_t i = 0; i < o->n_mounts; i++)
		fprintf(f, "mount %s %" PRIu64 "\n", o->mounts[i].target,
			o->mounts[i].page_size_kib);
}

static void print_rest(FILE *f, const struct observed *o)
{
	print_fact(f, "grub.cfg", &o->boot.grub_cfg);
	print_fact(f, "grubenv", &o->boot.grubenv);
	print_fact(f, "next", &o->boot.next_cmdline);
	print_fact(f, "next kernel", &o->boot.next_kernel);
	print_fact(f, "drop-in", &o->boot.drop_in);
	for (size_t i = 0; i < o->boot.n_sources; i++)
		print_fact(f, "source", &o->boot.sources[i]);
	for (size_t i = 0; i < o->boot.n_kernels; i++) {
		fprintf(f, "kernel %s %s\n", o->boot.kernels[i].version,
			o->boot.kernels[i].entry_id);
		print_fact(f, "config", &o->boot.kernels[i].config);
	}
	print_fact(f, "irqbalance", &o->irqbalance_pid);
	print_fact(f, "banned", &o->irqbalance_banned);
	print_fact(f, "enabled", &o->irqbalance_enabled);
	for (size_t i = 0; i < o->n_refusals; i++)
		fprintf(f, "refusal %s %d\n", o->refusals[i].target, o->refusals[i].error);
}

/* Everything that an observation of the folder says, as text; malloc()ed. */
static char *describe(const char *path)
{
	_cleanup_sysroot_ struct sysroot root = { .fd = -1 };
	_cleanup_observed_ struct observed o = { 0 };
	size_t size;
	char *text;
	FILE *f;

	assert_int_equal(sysroot_open(path, &root, NULL), 0);
	assert_int_equal(observe(&root, NULL, &o), 0);
	f = open_memstream(&text, &size);
	print_machine(f, &o);
	print_groups(f, &o);
	print_rest(f, &o);
	fclose(f);
	return text;
}

static int take(const char *from, const char *to, size_t *ret_files, size_t *ret_left_out,
		struct error *e)
{
	_cleanup_sysroot_ struct sysroot root = { .fd = -1 };

	assert_int_equal(sysroot_open(from, &root, NULL), 0);
	return capture(&root, to, ret_files, ret_left_out, e);
}

static void capture_of_every_tree_is_seen_alike(void **state)
{
	(void)state;
	for (size_t i = 0; i < n_tree_specs; i++) {
		_cleanup_scratch_ struct scratch dir = { 0 };
		_cleanup_free_ char *from = NULL, *to = NULL, *before = NULL, *after = NULL;
		size_t files, left_out;

		if (streq(tree_specs[i].name, "large"))
			continue;
		print_message("# %s\n", tree_specs[i].name);
		scratch_make(&dir);
		from = scratch_path(&dir, "machine");
		to = scratch_path(&dir, "capture");
		assert_int_equal(tree_write(&tree_specs[i], from), 0);
		assert_int_equal(take(from, to, &files, &left_out, NULL), 0);
		assert_true(files > 0);
		assert_int_equal(left_out, 0);
		before = describe(from);
		after = describe(to);
		assert_string_equal(before, after);
	}
}

static enum machine_verdict judge_folder(const char *path, size_t *ret_steps)
{
	_cleanup_sysroot_ struct sysroot root = { .fd = -1 };
	_cleanup_desired_ struct desired d = { 0 };
	_cleanup_observed_ struct observed o = { 0 };
	_cleanup_report_ struct report r = { 0 };
	_cleanup_plan_ struct plan p = { 0 };

	assert_int_equal(sysroot_open(path, &root, NULL), 0);
	assert_int_equal(document_load(&root, NULL, &d, NULL), 0);
	assert_int_equal(observe(&root, &d, &o), 0);
	assert_int_equal(desired_resolve(&d, &o, NULL), 0);
	assert_int_equal(judge(&d, &o, &r), 0);
	assert_int_equal(plan_make(&d, &o, &p), 0);
	*ret_steps = p.n_steps;
	return r.verdict;
}

static void capture_is_judged_like_its_machine(void **state)
{
	static const struct {
		const char *name;
		enum machine_verdict verdict;
	} machines[] = { { "vm", MACHINE_DRIFTED },
			 { "vm-pending", MACHINE_PENDING_REBOOT },
			 { "vm-tuned", MACHINE_VERIFIED },
			 { "interleaved", MACHINE_VERIFIED } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(machines); i++) {
		_cleanup_scratch_ struct scratch dir = { 0 };
		_cleanup_free_ char *from = NULL, *to = NULL;
		size_t files, left_out, steps, steps_after;

		scratch_make(&dir);
		from = scratch_path(&dir, "machine");
		to = scratch_path(&dir, "capture");
		assert_int_equal(tree_write(tree_spec_by_name(machines[i].name), from), 0);
		assert_int_equal(take(from, to, &files, &left_out, NULL), 0);
		assert_int_equal(judge_folder(from, &steps), machines[i].verdict);
		assert_int_equal(judge_folder(to, &steps_after), machines[i].verdict);
		assert_int_equal(steps, steps_after);
		assert_int_equal(steps == 0, machines[i].verdict == MACHINE_VERIFIED);
	}
}

static void capture_of_a_capture_is_the_same(void **state)
{
	_cleanup_scratch_ struct scratch dir = { 0 };
	_cleanup_free_ char *from = NULL, *one = NULL, *two = NULL;
	size_t files, again, left_out;

	(void)state;
	scratch_make(&dir);
	from = scratch_path(&dir, "machine");
	one = scratch_path(&dir, "one");
	two = scratch_path(&dir, "two");
	assert_int_equal(tree_write(tree_spec_by_name("vm-tuned"), from), 0);
	assert_int_equal(take(from, one, &files, &left_out, NULL), 0);
	assert_int_equal(take(one, two, &again, &left_out, NULL), 0);
	assert_int_equal(files, again);
}

static void live_machine_is_seen_alike_where_it_holds_still(void **state)
{
	_cleanup_scratch_ struct scratch dir = { 0 };
	_cleanup_free_ char *to = NULL, *before = NULL, *after = NULL;
	size_t files, left_out;

	(void)state;
	scratch_make(&dir);
	to = scratch_path(&dir, "capture");
	assert_int_equal(take("/", to, &files, &left_out, NULL), 0);
	assert_true(files > 10);
	before = describe("/");
	after = describe(to);
	before[strcspn(before, "\n")] = after[strcspn(after, "\n")] = '\0';
	assert_string_equal(before, after);
}

static int modes_are_plain(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)path, (void)ftw;
	assert_true(type == FTW_F || type == FTW_D);
	assert_int_equal(st->st_mode & 07777, type == FTW_D ? 0755 : 0644);
	return 0;
}

static void modes_do_not_follow_the_umask(void **state)
{
	_cleanup_scratch_ struct scratch dir = { 0 };
	_cleanup_free_ char *from = NULL, *to = NULL;
	size_t files, left_out;
	mode_t mask;

	(void)state;
	scratch_make(&dir);
	from = scratch_path(&dir, "machine");
	to = scratch_path(&dir, "capture");
	assert_int_equal(tree_write(tree_spec_by_name("vm"), from), 0);
	mask = umask(077);
	assert_int_equal(take(from, to, &files, &left_out, NULL), 0);
	umask(mask);
	assert_int_equal(nftw(to, modes_are_plain, 16, FTW_PHYS), 0);
}

static int holds_no_secret(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	_cleanup_free_ char *data = malloc((size_t)st->st_size + 1);
	_cleanup_fclose_ FILE *f = NULL;
	size_t n;

	(void)ftw;
	assert_null(strstr(path, "shadow"));
	if (type != FTW_F)
		return 0;
	f = fopen(path, "re");
	assert_non_null(f);
	n = fread(data, 1, (size_t)st->st_size, f);
	data[n] = '\0';
	assert_null(strstr(data, SECRET));
	return 0;
}

static void secrets_stay_where_they_are(void **state)
{
	_cleanup_scratch_ struct scratch dir = { 0 };
	_cleanup_free_ char *from = NULL, *to = NULL, *before = NULL, *after = NULL;
	size_t files, left_out;

	(void)state;
	scratch_make(&dir);
	from = scratch_path(&dir, "machine");
	to = scratch_path(&dir, "capture");
	assert_int_equal(tree_write(tree_spec_by_name("vm"), from), 0);
	scratch_write(&dir, "machine/etc/shadow", "root:" SECRET "\n");
	scratch_write(&dir, "machine/etc/latencyd/key.pem", SECRET "\n");
	scratch_write(&dir, "machine/etc/default/grub.d/notes.txt", SECRET "\n");
	scratch_write(&dir, "machine/proc/601/environ", "TOKEN=" SECRET);
	scratch_write(&dir, "machine/proc/601/stat", "601 (" SECRET ") S 1 601\n");
	scratch_write(&dir, "machine/proc/self/mounts",
		      "//s/x /x cifs rw,password=" SECRET " 0 0\n"
		      "hugetlbfs /dev/hugepages hugetlbfs rw,pagesize=2M 0 0\n");
	scratch_write(&dir, "machine/boot/grub/grub.cfg",
		      "set superusers=\"root\"\npassword root " SECRET "\n"
		      "\tpassword_pbkdf2 root grub.pbkdf2." SECRET "\n"
		      "menuentry 'Linux' {\n\tlinux\t/boot/vmlinuz-1 root=/dev/vda1\n}\n");
	assert_int_equal(take(from, to, &files, &left_out, NULL), 0);
	assert_int_equal(nftw(to, holds_no_secret, 16, FTW_PHYS), 0);
	scratch_write(&dir, "machine/proc/601/stat", ""); /* an unreadable one: both say so */
	scratch_delete(&dir, "machine/proc/601/stat");
	before = describe(from);
	after = describe(to);
	assert_string_equal(before, after);
}

static void documents_come_along(void **state)
{
	_cleanup_scratch_ struct scratch dir = { 0 };
	_cleanup_free_ char *from = NULL, *to = NULL, *part = NULL, *text = NULL;
	_cleanup_sysroot_ struct sysroot root = { .fd = -1 };
	size_t files, left_out;

	(void)state;
	scratch_make(&dir);
	from = scratch_path(&dir, "machine");
	to = scratch_path(&dir, "capture");
	assert_int_equal(tree_write(tree_spec_by_name("vm"), from), 0);
	scratch_write(&dir, "machine/etc/latencyd/latencyd.d/site.yaml", "version: 1\n");
	assert_int_equal(take(from, to, &files, &left_out, NULL), 0);
	assert_int_equal(sysroot_open(to, &root, NULL), 0);
	assert_int_equal(sysroot_read(&root, DOCUMENT_PATH, &text, NULL), 0);
	assert_non_null(strstr(text, "isolated: \"2-3\""));
	assert_int_equal(sysroot_read(&root, "/etc/latencyd/latencyd.d/site.yaml", &part, NULL), 0);
}

static void unreadable_files_are_counted(void **state)
{
	_cleanup_scratch_ struct scratch dir = { 0 };
	_cleanup_free_ char *from = NULL, *to = NULL;
	size_t files, left_out;

	(void)state;
	scratch_make(&dir);
	from = scratch_path(&dir, "machine");
	to = scratch_path(&dir, "capture");
	assert_int_equal(tree_write(tree_spec_by_name("vm"), from), 0);
	scratch_delete(&dir, "machine/proc/irq/25/effective_affinity_list");
	scratch_folder(&dir, "machine/proc/irq/25/effective_affinity_list");
	scratch_delete(&dir, "machine/proc/cmdline");
	scratch_link(&dir, "machine/proc/cmdline", "cmdline");
	assert_int_equal(take(from, to, &files, &left_out, NULL), 0);
	assert_int_equal(left_out, 2);
}

static void target_with_files_is_refused(void **state)
{
	_cleanup_scratch_ struct scratch dir = { 0 };
	_cleanup_error_ struct error e = { 0 };
	_cleanup_free_ char *from = NULL, *to = NULL;
	size_t files = 7, left_out = 7;

	(void)state;
	scratch_make(&dir);
	from = scratch_path(&dir, "machine");
	to = scratch_path(&dir, "capture");
	assert_int_equal(tree_write(tree_spec_by_name("small"), from), 0);
	scratch_write(&dir, "capture/.hidden", "");
	assert_int_equal(take(from, to, &files, &left_out, &e), -EEXIST);
	assert_non_null(strstr(e.what, to));
	assert_non_null(e.todo);
	assert_int_equal(files, 7);
	assert_int_equal(left_out, 7);
	scratch_delete(&dir, "capture/.hidden");
	assert_int_equal(take(from, to, &files, &left_out, NULL), 0);
}

static void target_that_cannot_be_made_is_an_error(void **state)
{
	_cleanup_scratch_ struct scratch dir = { 0 };
	_cleanup_error_ struct error e = { 0 };
	_cleanup_free_ char *to = NULL;
	size_t files, left_out;

	(void)state;
	scratch_make(&dir);
	scratch_write(&dir, "file", "");
	to = scratch_path(&dir, "file/below");
	assert_int_equal(take(dir.path, to, &files, &left_out, &e), -ENOTDIR);
	assert_non_null(strstr(e.what, to));
}

#define test(name) cmocka_unit_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(capture_of_every_tree_is_seen_alike),
		test(capture_is_judged_like_its_machine),
		test(capture_of_a_capture_is_the_same),
		test(live_machine_is_seen_alike_where_it_holds_still),
		test(modes_do_not_follow_the_umask),
		test(secrets_stay_where_they_are),
		test(documents_come_along),
		test(unreadable_files_are_counted),
		test(target_with_files_is_refused),
		test(target_that_cannot_be_made_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

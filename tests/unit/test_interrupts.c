/* /proc/interrupts as show_interrupts() prints it, on machines of many shapes. */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "state/interrupts.h"

/* A machine's /proc/interrupts being written with the kernel's own formats. */
struct text {
	char *data;
	size_t size;
	FILE *f;
	unsigned n_cpus;
	int prec;
};

static void begin(struct text *t, int prec, const unsigned *cpus, unsigned n_cpus)
{
	*t = (struct text){ .n_cpus = n_cpus, .prec = prec };
	t->f = open_memstream(&t->data, &t->size);
	assert_non_null(t->f);
	fprintf(t->f, "%*s", prec + 8, "");
	for (unsigned i = 0; i < n_cpus; i++)
		fprintf(t->f, "CPU%-8u", cpus ? cpus[i] : i);
	fputc('\n', t->f);
}

/* @hwirq < 0: no IRQ domain. @level and @name may be NULL, @actions too. */
static void irq_row(struct text *t, unsigned irq, unsigned count, const char *chip, long hwirq,
		    const char *level, const char *name, const char *actions)
{
	fprintf(t->f, "%*u: ", t->prec, irq);
	for (unsigned i = 0; i < t->n_cpus; i++)
		fprintf(t->f, "%10u ", count + i);
	fprintf(t->f, " %8s", chip);
	if (hwirq >= 0)
		fprintf(t->f, " %*ld", t->prec, hwirq);
	else
		fprintf(t->f, " %*s", t->prec, "");
	if (level)
		fprintf(t->f, " %-8s", level);
	if (name)
		fprintf(t->f, "-%-8s", name);
	if (actions)
		fprintf(t->f, "  %s", actions);
	fputc('\n', t->f);
}

static struct interrupts open_text(struct text *t)
{
	struct interrupts i = { 0 };

	assert_int_equal(fclose(t->f), 0);
	assert_int_equal(interrupts_open(t->data, t->size, &i), 0);
	return i;
}

static struct interrupts open_string(const char *s)
{
	struct interrupts i = { 0 };

	assert_int_equal(interrupts_open(s, strlen(s), &i), 0);
	return i;
}

static void assert_span(const char *p, size_t n, const char *want)
{
	_cleanup_free_ char *got = strndup(p, n);

	assert_string_equal(got, want);
}

static struct interrupt_row next_irq(struct interrupts *i, unsigned irq, const char *actions)
{
	struct interrupt_row row;

	assert_int_equal(interrupts_next(i, &row), 1);
	assert_true(row.is_irq);
	assert_int_equal(row.irq, irq);
	assert_span(row.actions, row.actions_len, actions);
	return row;
}

static struct interrupt_row next_other(struct interrupts *i, const char *label, const char *text)
{
	struct interrupt_row row;

	assert_int_equal(interrupts_next(i, &row), 1);
	assert_false(row.is_irq);
	assert_span(row.label, row.label_len, label);
	assert_span(row.actions, row.actions_len, text);
	return row;
}

static void assert_sum(const struct interrupts *i, const struct interrupt_row *row,
		       const char *cpus, uint64_t want)
{
	_cleanup_cpuset_ struct cpuset set = { 0 };
	uint64_t sum;

	if (cpus)
		assert_int_equal(cpuset_parse_list(cpus, 0, &set), 0);
	assert_int_equal(interrupt_row_sum(i, row, cpus ? &set : NULL, &sum), 0);
	assert_int_equal(sum, want);
}

static void rows_of_an_x86_virtual_machine(void **state)
{
	static const char text[] =
		"           CPU0       CPU1       \n"
		" 24:          1          0  IO-APIC   5-edge      ACPI:Ged\n"
		" 36:          0     108334 PCI-MSIX-0000:00:02.0   1-edge      virtio1-req.0\n"
		" 37:          7          0 IR-PCI-MSI 512000-edge      PCIe PME, aerdrv\n"
		"NMI:          0          0   Non-maskable interrupts\n"
		"LOC:      50407      57604   Local timer interrupts\n"
		"ERR:          0\n"
		"MIS:          0\n";
	_cleanup_interrupts_ struct interrupts i = open_string(text);
	struct interrupt_row row;

	(void)state;
	assert_int_equal(i.n_cpus, 2);
	next_irq(&i, 24, "ACPI:Ged");
	row = next_irq(&i, 36, "virtio1-req.0");
	assert_sum(&i, &row, "0", 0);
	assert_sum(&i, &row, "1", 108334);
	next_irq(&i, 37, "PCIe PME, aerdrv");
	next_other(&i, "NMI", "Non-maskable interrupts");
	row = next_other(&i, "LOC", "Local timer interrupts");
	assert_sum(&i, &row, NULL, 108011);
	assert_sum(&i, &row, "1", 57604);
	assert_sum(&i, &row, "", 0);
	assert_sum(&i, &row, "2-70", 0); /* no column, no count */
	next_other(&i, "ERR", "");
	next_other(&i, "MIS", "");
	assert_int_equal(interrupts_next(&i, &row), 0);
	assert_int_equal(interrupts_next(&i, &row), 0);
}

static void offline_cpus_have_no_column(void **state)
{
	static const unsigned cpus[] = { 1, 2, 65, 1023 };
	_cleanup_interrupts_ struct interrupts i = { 0 };
	struct interrupt_row row;
	struct text t;

	(void)state;
	begin(&t, 3, cpus, 4);
	irq_row(&t, 9, 100, "IO-APIC", 9, NULL, "fasteoi", "acpi");
	i = open_text(&t);
	assert_int_equal(i.n_cpus, 4);
	assert_int_equal(i.cpus[3], 1023);
	row = next_irq(&i, 9, "acpi");
	assert_sum(&i, &row, "1", 100);
	assert_sum(&i, &row, "2", 101);
	assert_sum(&i, &row, "64-65", 102);
	assert_sum(&i, &row, "1000-1100", 103);
	assert_sum(&i, &row, "0,3-64", 0);
	assert_sum(&i, &row, NULL, 406);
	free(t.data);
}

static void actions_behind_every_shape_of_row(void **state)
{
	_cleanup_interrupts_ struct interrupts i = { 0 };
	struct text t;

	(void)state;
	begin(&t, 4, NULL, 3);
	irq_row(&t, 0, 1, "IO-APIC", 2, NULL, "edge", "timer");
	irq_row(&t, 2, 1, "XT-PIC", -1, NULL, NULL, "cascade");
	irq_row(&t, 3, 1, "XT-PIC", -1, "Edge", NULL, "serial port");
	irq_row(&t, 4, 1, "XT-PIC", -1, NULL, NULL, "8250 serial");
	irq_row(&t, 5, 1, "None", -1, NULL, NULL, NULL);
	irq_row(&t, 6, 1, "-", -1, NULL, "edge", "dash");
	irq_row(&t, 26, 1, "GICv3", 5, NULL, NULL, "one digit");
	irq_row(&t, 27, 1, "GICv3", 27, "Level", NULL, "arch_timer");
	irq_row(&t, 28, 1, "GICv3", 28, "Edge", NULL, NULL);
	irq_row(&t, 29, 1, "Hyper-V PCIe MSI", 536870912, NULL, "edge", "nvme0q0");
	irq_row(&t, 30, 1, "IR-PCI-MSI-0000:00:17.0", 0, NULL, "edge", "ahci[0000:00:17.0]");
	irq_row(&t, 31, 1, "IR-PCI-MSI", 327680, NULL, "edge", "i915, snd_hda_intel:card0");
	irq_row(&t, 32, 1, "IR-PCI-MSI", 1, NULL, "edge", NULL);
	irq_row(&t, 33, 1, "xen-dyn", -1, NULL, "event", "xen console, 2nd user");
	irq_row(&t, 34, 1, "PCI-MSI", 5, NULL, "edge", "a  b");
	irq_row(&t, 35, 1, "PCI-MSI", 5, NULL, "a-very-long-flow", "x");
	irq_row(&t, 12345, 1, "PCI-MSI", 12345, NULL, "edge", "wide");
	i = open_text(&t);
	next_irq(&i, 0, "timer");
	next_irq(&i, 2, "cascade");
	next_irq(&i, 3, "serial port");
	next_irq(&i, 4, "8250 serial");
	next_irq(&i, 5, "");
	next_irq(&i, 6, "dash");
	next_irq(&i, 26, "one digit");
	next_irq(&i, 27, "arch_timer");
	next_irq(&i, 28, "");
	next_irq(&i, 29, "nvme0q0");
	next_irq(&i, 30, "ahci[0000:00:17.0]");
	next_irq(&i, 31, "i915, snd_hda_intel:card0");
	next_irq(&i, 32, "");
	next_irq(&i, 33, "xen console, 2nd user");
	next_irq(&i, 34, "a  b");
	next_irq(&i, 35, "x");
	next_irq(&i, 12345, "wide");
	free(t.data);
}

static void rows_that_lost_their_columns(void **state)
{
	_cleanup_interrupts_ struct interrupts i =
		open_string("CPU0 CPU2\n"
			    "24: 1 2 PCI-MSI 512-edge eth0, eth0-tx\n"
			    "25:\t3\t4\tPCI-MSI\t7-edge\teth1\r\n"
			    "26: 3 4 PCI-MSI     7-edge  eth2\n"
			    "LOC: 4 5 Local timer interrupts");
	struct interrupt_row row;

	(void)state;
	row = next_irq(&i, 24, "eth0, eth0-tx");
	assert_sum(&i, &row, "2", 2);
	row = next_irq(&i, 25, "eth1");
	assert_sum(&i, &row, NULL, 7);
	next_irq(&i, 26, "eth2");
	row = next_other(&i, "LOC", "Local timer interrupts");
	assert_sum(&i, &row, NULL, 9);
	assert_int_equal(interrupts_next(&i, &row), 0);
}

static void counts_that_fill_or_burst_their_column(void **state)
{
	_cleanup_interrupts_ struct interrupts i = { 0 };
	struct interrupt_row row;
	struct text t;

	(void)state;
	begin(&t, 3, NULL, 2);
	irq_row(&t, 7, 4294967294U, "PCI-MSI", 1, NULL, "edge", "full");
	fputs("  8: 18446744073709551615          1  PCI-MSI   1-edge      burst\n", t.f);
	i = open_text(&t);
	row = next_irq(&i, 7, "full");
	assert_sum(&i, &row, NULL, 8589934589);
	row = next_irq(&i, 8, "burst");
	assert_sum(&i, &row, "0", UINT64_MAX);
	free(t.data);
}

static void counts_of_no_cpu(void **state)
{
	_cleanup_interrupts_ struct interrupts i =
		open_string("     CPU0       \nERR:          5\nLOC:          6   Timer\n");
	_cleanup_cpuset_ struct cpuset first = { 0 };
	struct interrupt_row row;
	uint64_t sum = 77;

	(void)state;
	assert_int_equal(cpuset_add(&first, 0), 0);
	row = next_other(&i, "ERR", "");
	assert_true(interrupt_row_is_global(&row));
	assert_sum(&i, &row, NULL, 5);
	assert_int_equal(interrupt_row_sum(&i, &row, &first, &sum), -ENODATA);
	assert_int_equal(sum, 77);
	row = next_other(&i, "LOC", "Timer");
	assert_false(interrupt_row_is_global(&row));
	assert_sum(&i, &row, "0", 6);
}

/* A CPU came or went between the header and the row. */
static void rows_torn_by_hotplug_have_names_but_no_sums(void **state)
{
	_cleanup_interrupts_ struct interrupts i =
		open_string("           CPU0       CPU1       \n"
			    " 24:          1  PCI-MSI 512-edge      fewer\n"
			    " 25:          1          2          3  PCI-MSI 512-edge      more\n");
	struct interrupt_row row;
	uint64_t sum;

	(void)state;
	row = next_irq(&i, 24, "fewer");
	assert_int_equal(interrupt_row_sum(&i, &row, NULL, &sum), -EINVAL);
	assert_int_equal(interrupts_next(&i, &row), 1);
	assert_int_equal(row.irq, 25);
	assert_int_equal(interrupt_row_sum(&i, &row, NULL, &sum), -EINVAL);
}

static void lines_that_are_no_rows_are_skipped_over(void **state)
{
	_cleanup_interrupts_ struct interrupts i = open_string(
		"CPU0\nnonsense\n\n:\n24 : 1\n99999999999: 1 x\n 24: 1 PCI-MSI 1-edge ok\n");
	struct interrupt_row row;

	(void)state;
	assert_int_equal(interrupts_next(&i, &row), -EINVAL);
	assert_int_equal(interrupts_next(&i, &row), -EINVAL);
	assert_int_equal(interrupts_next(&i, &row), -EINVAL);
	assert_int_equal(interrupts_next(&i, &row), -EINVAL);
	assert_int_equal(interrupts_next(&i, &row), -EINVAL);
	next_irq(&i, 24, "ok");
	assert_int_equal(interrupts_next(&i, &row), 0);
}

static void header_is_required(void **state)
{
	static const char *const bad[] = { "",	      "\n",	     " 24: 1 x\n", "CPU\n",
					   "CPU0x\n", "CPU0 CPUx\n", "CPU65536\n", "CPU0 24:\n" };
	struct interrupts i = { .n_cpus = 77 };

	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(bad); k++)
		assert_int_equal(interrupts_open(bad[k], strlen(bad[k]), &i), -EINVAL);
	assert_int_equal(i.n_cpus, 77);
}

static void two_thousand_irqs_on_1024_cpus(void **state)
{
	_cleanup_interrupts_ struct interrupts i = { 0 };
	struct interrupt_row row;
	unsigned n = 0;
	struct text t;
	char name[32];

	(void)state;
	begin(&t, 4, NULL, 1024);
	for (unsigned irq = 0; irq < 2000; irq++) {
		snprintf(name, sizeof(name), "eth%u-rx-%u", irq / 64, irq % 64);
		irq_row(&t, irq, irq, "IR-PCI-MSIX-0000:00:02.0", irq, NULL, "edge", name);
	}
	i = open_text(&t);
	assert_int_equal(i.n_cpus, 1024);
	for (; interrupts_next(&i, &row) == 1; n++) {
		snprintf(name, sizeof(name), "eth%u-rx-%u", n / 64, n % 64);
		assert_int_equal(row.irq, n);
		assert_span(row.actions, row.actions_len, name);
		if (n % 500 == 0)
			assert_sum(&i, &row, "1023", n + 1023);
	}
	assert_int_equal(n, 2000);
	free(t.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_of_an_x86_virtual_machine),
		cmocka_unit_test(offline_cpus_have_no_column),
		cmocka_unit_test(actions_behind_every_shape_of_row),
		cmocka_unit_test(rows_that_lost_their_columns),
		cmocka_unit_test(counts_that_fill_or_burst_their_column),
		cmocka_unit_test(counts_of_no_cpu),
		cmocka_unit_test(rows_torn_by_hotplug_have_names_but_no_sums),
		cmocka_unit_test(lines_that_are_no_rows_are_skipped_over),
		cmocka_unit_test(header_is_required),
		cmocka_unit_test(two_thousand_irqs_on_1024_cpus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

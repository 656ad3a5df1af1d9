/*
 * /proc/irq and /proc/interrupts, as kernel/irq/proc.c and arch/x86/kernel/irq.c print them. IRQ 2
 * (the cascade) has every CPU in its mask and none in its effective set, as on every PC.
 */
#include <errno.h>

#include "tests/trees/tree_internal.h"

#define FIRST_MSI 24

static const struct {
	unsigned number;
	const char *name;
} legacy[] = { { 0, "timer" }, { 1, "i8042" }, { 2, "" }, { 8, "rtc0" }, { 9, "acpi" } };

size_t tree_n_irqs(const struct tree_spec *spec)
{
	return spec->bare ? 0 : ARRAY_SIZE(legacy) + spec->n_irqs;
}

static long nth_cpu(const struct cpuset *s, size_t n)
{
	long cpu = cpuset_next(s, 0);

	for (n %= cpuset_count(s); n > 0; n--)
		cpu = cpuset_next(s, (unsigned)cpu + 1);
	return cpu;
}

/* Of sixteen: two managed, one without an action, names of all kinds. */
static int name_msi(size_t i, struct tree_irq *irq)
{
	size_t n = i / 16;
	int r = 0;

	switch (i % 16) {
	case 0:
		irq->name = "PCIe PME, aerdrv";
		break;
	case 1:
		r = asprintf(&irq->buffer, "virtio%zu-config", n);
		break;
	case 2:
		irq->managed = true;
		r = asprintf(&irq->buffer, "virtio%zu-req.0", n);
		break;
	case 3:
		irq->managed = true;
		r = asprintf(&irq->buffer, "nvme%zuq1", n);
		break;
	case 4:
		irq->name = "ahci[0000:00:1f.2]";
		break;
	case 5:
		irq->name = "i801_smbus, uhci_hcd:usb1, eth 0: a, b";
		break;
	case 6:
		irq->name = "";
		irq->idle = true;
		break;
	default:
		r = asprintf(&irq->buffer, "eth%zu-rx-%zu", n, i % 16);
	}
	if (r < 0)
		return -ENOMEM;
	if (irq->buffer)
		irq->name = irq->buffer;
	return 0;
}

int tree_irq(const struct tree_spec *spec, const struct tree_cpus *cpus, size_t i,
	     struct tree_irq *ret)
{
	_cleanup_cpuset_ struct cpuset allowed = { 0 };
	struct tree_irq irq = { 0 };
	int r = 0;

	if (cpuset_copy(&allowed, &cpus->online) < 0)
		return -ENOMEM;
	if (i < ARRAY_SIZE(legacy)) {
		irq.number = legacy[i].number;
		irq.name = legacy[i].name;
		irq.idle = !*irq.name;
	} else {
		irq.number = FIRST_MSI + (unsigned)(i - ARRAY_SIZE(legacy));
		r = name_msi(i - ARRAY_SIZE(legacy), &irq);
	}
	if (r < 0)
		return r;
	if (tree_applied(spec) && !irq.managed)
		cpuset_andnot(&allowed, &cpus->isolated);
	irq.cpu = (unsigned)nth_cpu(&allowed, i);
	irq.count = irq.idle ? 0 : 1000 + irq.number;
	*ret = irq;
	return 0;
}

static void write_affinity(struct tree *t, const struct tree_irq *irq)
{
	const struct cpuset *wanted =
		tree_applied(t->spec) ? &t->cpus.housekeeping : &t->cpus.possible;
	char path[96];

	snprintf(path, sizeof(path), "proc/irq/%u/smp_affinity_list", irq->number);
	if (irq->managed)
		tree_file(t, path, "%u\n", irq->cpu);
	else
		tree_list(t, path, wanted);
	snprintf(path, sizeof(path), "proc/irq/%u/effective_affinity_list", irq->number);
	if (irq->idle)
		tree_file(t, path, "\n");
	else
		tree_file(t, path, "%u\n", irq->cpu);
	if (t->spec->n_irqs > 4096)
		return; /* what no probe reads is left out of the largest trees */
	snprintf(path, sizeof(path), "proc/irq/%u/node", irq->number);
	tree_file(t, path, "-1\n");
	if (*irq->name && !strpbrk(irq->name, ", /"))
		tree_folder(t, "proc/irq/%u/%s", irq->number, irq->name);
}

static void print_row(FILE *f, const struct tree *t, int width, const struct tree_irq *irq)
{
	bool msi = irq->number >= FIRST_MSI;

	fprintf(f, "%*u: ", width, irq->number);
	cpuset_for_each (cpu, &t->cpus.online)
		fprintf(f, "%10lu ", (unsigned)cpu == irq->cpu ? (unsigned long)irq->count : 0UL);
	fprintf(f, " %8s %*u-%-8s", msi ? "PCI-MSI" : "IO-APIC", width,
		msi ? irq->number * 16384 : irq->number, "edge");
	fprintf(f, "%s%s\n", *irq->name ? "  " : "", irq->name);
}

static void print_arch_rows(FILE *f, const struct tree *t, int width)
{
	static const struct {
		const char *label, *description;
	} rows[] = {
		{ "NMI", "Non-maskable interrupts" }, { "LOC", "Local timer interrupts" },
		{ "RES", "Rescheduling interrupts" }, { "CAL", "Function call interrupts" },
		{ "TLB", "TLB shootdowns" },	      { "MCP", "Machine check polls" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		fprintf(f, "%*s: ", width, rows[i].label);
		cpuset_for_each (cpu, &t->cpus.online)
			fprintf(f, "%10u ", 100 + (unsigned)i);
		fprintf(f, "  %s\n", rows[i].description);
	}
	fprintf(f, "%*s: %10u\n%*s: %10u\n", width, "ERR", 0, width, "MIS", 0);
}

/* Straight to the file's stream: the largest machine's table has 180 MB. */
static void write_interrupts(struct tree *t, size_t n)
{
	int width = 3;
	struct tree_stream s;
	FILE *f = tree_stream(t, &s);

	if (!f)
		return;
	for (unsigned j = 1000; j <= FIRST_MSI + t->spec->n_irqs; j *= 10)
		width++;
	fprintf(f, "%*s", width + 8, "");
	cpuset_for_each (cpu, &t->cpus.online)
		fprintf(f, "CPU%-8ld", cpu);
	fputc('\n', f);
	for (size_t i = 0; i < n; i++) {
		struct tree_irq irq;

		if (tree_irq(t->spec, &t->cpus, i, &irq) < 0)
			t->result = -ENOMEM;
		else if (*irq.name)
			print_row(f, t, width, &irq);
		if (t->result < 0)
			break;
		free(irq.buffer);
	}
	print_arch_rows(f, t, width);
	tree_stream_end(t, &s, "proc/interrupts");
}

/* The kernel refused to move a managed IRQ off an isolated CPU, and an apply wrote it down. */
static void write_refusals(struct tree *t, size_t n)
{
	const char *separator = "\n";
	struct tree_stream s;
	FILE *f = tree_applied(t->spec) ? tree_stream(t, &s) : NULL;

	if (!f)
		return;
	fprintf(f, "{\"version\": 1, \"boot_id\": \"" TREE_BOOT_ID "\", \"refusals\": [");
	for (size_t i = 0; i < n; i++) {
		struct tree_irq irq;

		if (tree_irq(t->spec, &t->cpus, i, &irq) < 0) {
			t->result = -ENOMEM;
			break;
		}
		if (irq.managed && cpuset_has(&t->cpus.isolated, irq.cpu)) {
			fprintf(f,
				"%s {\"setting\": \"irq_affinity\", \"target\": "
				"\"/proc/irq/%u/smp_affinity_list\", \"name\": \"%s\", \"error\": "
				"5, \"message\": \"IRQ %u (%s) is managed by its driver\"}",
				separator, irq.number, irq.name, irq.number, irq.name);
			separator = ",\n";
		}
		free(irq.buffer);
	}
	fprintf(f, "\n]}\n");
	tree_stream_end(t, &s, "run/latencyd/refusals.json");
}

void tree_write_irqs(struct tree *t)
{
	bool tuned = tree_applied(t->spec);
	size_t n = tree_n_irqs(t->spec);
	char *mask;

	for (size_t i = 0; i < n && t->result >= 0; i++) {
		struct tree_irq irq;

		if (tree_irq(t->spec, &t->cpus, i, &irq) < 0) {
			t->result = -ENOMEM;
			return;
		}
		write_affinity(t, &irq);
		free(irq.buffer);
	}
	mask = cpuset_format_mask(tuned ? &t->cpus.housekeeping : &t->cpus.possible, t->cpus.n);
	tree_file(t, "proc/irq/default_smp_affinity", "%s\n", mask ? mask : "");
	free(mask);
	write_interrupts(t, n);
	write_refusals(t, n);
}

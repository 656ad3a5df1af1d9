/*
 * IRQs are the numbered folders of /proc/irq (Documentation/core-api/irq/irq-affinity.rst);
 * /proc/interrupts adds their names and counts. It is read in pieces of whole rows, since with
 * 16,384 IRQs on 1,024 CPUs it has 180 MB.
 */
#include "probes/probe.h"

#include <errno.h>
#include <fcntl.h>

#include "state/interrupts.h"

#define IRQS	   "/proc/irq"
#define INTERRUPTS "/proc/interrupts"
#define PIECE	   ((size_t)1 << 20)
#define PIECE_MAX  ((size_t)16 << 20)

static int probe_irq(const struct sysroot *root, struct observed *o, unsigned number)
{
	struct observed_irq *irq;
	char path[64];

	irq = arena_grow(&o->arena, &o->irqs, &o->n_irqs, sizeof(*irq));
	if (!irq)
		return -ENOMEM;
	irq->number = number;
	irq->name = "";
	snprintf(path, sizeof(path), IRQS "/%u/smp_affinity_list", number);
	irq->requested = sysroot_fact(root, &o->arena, path);
	snprintf(path, sizeof(path), IRQS "/%u/effective_affinity_list", number);
	irq->effective = sysroot_fact(root, &o->arena, path);
	if (irq->effective.state == FACT_ABSENT) /* no CONFIG_GENERIC_IRQ_EFFECTIVE_AFF_MASK */
		irq->effective = irq->requested;
	return fact_check(&irq->requested) < 0 ? -ENOMEM : fact_check(&irq->effective);
}

struct reader {
	struct observed *o;
	const struct cpuset *watched;
	struct interrupts table;
	bool opened, garbage;
	size_t next; /* rows come by number, as o->irqs are */
};

static struct observed_irq *find_irq(struct reader *r, unsigned number)
{
	struct observed *o = r->o;

	if (r->next > 0 && o->irqs[r->next - 1].number >= number)
		r->next = 0;
	while (r->next < o->n_irqs && o->irqs[r->next].number < number)
		r->next++;
	return r->next < o->n_irqs && o->irqs[r->next].number == number ? &o->irqs[r->next] : NULL;
}

static int take_row(struct reader *r, const struct interrupt_row *row)
{
	struct observed_irq *irq = row->is_irq ? find_irq(r, row->irq) : NULL;

	if (!irq)
		return 0;
	irq->name = arena_strndup(&r->o->arena, row->actions, row->actions_len);
	if (!irq->name)
		return -ENOMEM;
	if (!r->watched || cpuset_empty(r->watched))
		return 0;
	return interrupt_row_sum(&r->table, row, r->watched, &irq->fired_isolated);
}

/* @text holds whole rows. One that is none is noted, and the others still give their names. */
static int take_rows(struct reader *r, const char *text, size_t size)
{
	struct interrupt_row row;
	int n;

	if (!r->opened) {
		n = interrupts_open(text, size, &r->table);
		if (n < 0)
			return n == -ENOMEM ? n : -EBADMSG;
		r->opened = true;
	} else {
		r->table.p = text;
		r->table.end = text + size;
	}
	while ((n = interrupts_next(&r->table, &row)) != 0) {
		if (n > 0)
			n = take_row(r, &row);
		if (n == -ENOMEM)
			return n;
		if (n < 0)
			r->garbage = true;
	}
	return 0;
}

/* As much as fits; less than @room only at the end of the file. */
static ssize_t fill(int fd, char *buffer, size_t room)
{
	size_t size = 0;
	ssize_t n;

	while (size < room) {
		n = read(fd, buffer + size, room - size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		size += (size_t)n;
	}
	return (ssize_t)size;
}

static int double_room(char **buffer, size_t *room)
{
	char *larger;

	if (*room >= PIECE_MAX)
		return -EBADMSG;
	larger = realloc(*buffer, *room * 2);
	if (!larger)
		return -ENOMEM;
	*buffer = larger;
	*room *= 2;
	return 0;
}

/* @held bytes of a row whose end is still to come stay at the front of *@buffer. */
static int read_rows(int fd, struct reader *r, char **buffer)
{
	size_t room = PIECE, held = 0, whole;
	int result = 0;

	while (result >= 0) {
		ssize_t n = fill(fd, *buffer + held, room - held);
		bool end = n < (ssize_t)(room - held);
		const char *last;

		if (n < 0)
			return (int)n;
		held += (size_t)n;
		last = memrchr(*buffer, '\n', held);
		whole = end ? held : last ? (size_t)(last - *buffer) + 1 : 0;
		if (whole || end)
			result = take_rows(r, *buffer, whole);
		if (end)
			break;
		held -= whole;
		memmove(*buffer, *buffer + whole, held);
		if (!whole)
			result = double_room(buffer, &room);
	}
	return result;
}

static int probe_names(const struct sysroot *root, const struct cpuset *watched, struct observed *o)
{
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *buffer = NULL;
	struct reader reader = { .o = o, .watched = watched };
	int r;

	if (root->recorder) { /* a capture keeps the file whole, within its bound */
		r = sysroot_read(root, INTERRUPTS, &buffer, NULL);
		if (r < 0)
			return r;
		free(take_ptr(buffer));
	}
	fd = sysroot_openat(root, INTERRUPTS, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return fd;
	buffer = malloc(PIECE);
	if (!buffer)
		return -ENOMEM;
	r = read_rows(fd, &reader, &buffer);
	interrupts_done(&reader.table);
	return r >= 0 && reader.garbage ? -EBADMSG : r;
}

static int probe_folders(const struct sysroot *root, struct observed *o, const unsigned *numbers,
			 size_t n)
{
	struct sysroot view;
	int r = sysroot_view(root, IRQS, &view);

	if (r < 0)
		return r;
	for (size_t i = 0; r >= 0 && i < n; i++) {
		char folder[64];

		snprintf(folder, sizeof(folder), IRQS "/%u", numbers[i]);
		sysroot_saw_folder(root, folder);
		r = probe_irq(&view, o, numbers[i]);
	}
	close(view.fd);
	return r;
}

int probe_irqs(const struct sysroot *root, const struct cpuset *watched, struct observed *o)
{
	_cleanup_free_ unsigned *numbers = NULL;
	const char *path = IRQS;
	size_t n = 0;
	int r;

	r = sysroot_numbers(root, IRQS, "", "", &numbers, &n);
	if (r >= 0)
		r = probe_folders(root, o, numbers, n);
	if (r >= 0) {
		path = INTERRUPTS;
		r = probe_names(root, watched, o);
	}
	o->irqs_fact = sysroot_outcome(&o->arena, path, r, "");
	return fact_check(&o->irqs_fact);
}

/*
 * The writers that all parts of the generator share, and the whole machine.
 */
#include "tests/trees/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>

#include "tests/trees/tree_internal.h"

bool tree_applied(const struct tree_spec *spec)
{
	return spec->stage != TREE_STOCK;
}

bool tree_booted(const struct tree_spec *spec)
{
	return spec->stage == TREE_TUNED;
}

void tree_cpus_done(struct tree_cpus *c)
{
	cpuset_done(&c->possible);
	cpuset_done(&c->present);
	cpuset_done(&c->online);
	cpuset_done(&c->isolated);
	cpuset_done(&c->housekeeping);
}

int tree_cpus(const struct tree_spec *spec, struct tree_cpus *ret)
{
	const char *present = spec->present ? spec->present : spec->possible;
	struct tree_cpus c = { 0 };
	int r;

	r = cpuset_parse_list(spec->possible, 0, &c.possible);
	if (r >= 0)
		r = cpuset_parse_list(present, 0, &c.present);
	if (r >= 0)
		r = cpuset_parse_list(spec->online ? spec->online : present, 0, &c.online);
	if (r >= 0)
		r = cpuset_parse_list(spec->isolated ? spec->isolated : "", 0, &c.isolated);
	if (r >= 0)
		r = cpuset_copy(&c.housekeeping, &c.possible);
	if (r < 0) {
		tree_cpus_done(&c);
		return r;
	}
	cpuset_andnot(&c.housekeeping, &c.isolated);
	c.n = (unsigned)cpuset_last(&c.possible) + 1;
	*ret = c;
	return 0;
}

/* Makes the folders of @path up to its last slash. */
static int make_parents(int fd, const char *path)
{
	_cleanup_free_ char *copy = strdup(path);

	if (!copy)
		return -ENOMEM;
	for (char *p = strchr(copy, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		if (mkdirat(fd, copy, 0755) < 0 && errno != EEXIST)
			return -errno;
		*p = '/';
	}
	return 0;
}

void tree_folder(struct tree *t, const char *fmt, ...)
{
	_cleanup_free_ char *path = NULL;
	va_list ap;
	int n;

	if (t->result < 0)
		return;
	va_start(ap, fmt);
	n = vasprintf(&path, fmt, ap);
	va_end(ap);
	if (n < 0) {
		path = NULL;
		t->result = -ENOMEM;
		return;
	}
	t->result = make_parents(t->fd, path);
	if (t->result >= 0 && mkdirat(t->fd, path, 0755) < 0 && errno != EEXIST)
		t->result = -errno;
}

void tree_bytes(struct tree *t, const char *path, const char *data, size_t size)
{
	const int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC;
	_cleanup_close_ int fd = -1;

	if (t->result < 0)
		return;
	fd = openat(t->fd, path, flags, 0644);
	if (fd < 0 && errno == ENOENT) {
		t->result = make_parents(t->fd, path);
		fd = openat(t->fd, path, flags, 0644);
	}
	if (fd < 0 || (size && write(fd, data, size) != (ssize_t)size))
		t->result = -errno;
}

void tree_file(struct tree *t, const char *path, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0) {
		text = NULL;
		t->result = -ENOMEM;
		return;
	}
	tree_bytes(t, path, text, (size_t)n);
}

void tree_link(struct tree *t, const char *path, const char *target)
{
	if (t->result < 0)
		return;
	t->result = make_parents(t->fd, path);
	if (t->result >= 0 && symlinkat(target, t->fd, path) < 0)
		t->result = -errno;
}

void tree_list(struct tree *t, const char *path, const struct cpuset *s)
{
	_cleanup_free_ char *list = cpuset_format_list(s);

	if (list)
		tree_file(t, path, "%s\n", list);
	else
		t->result = -ENOMEM;
}

FILE *tree_stream(struct tree *t, struct tree_stream *s)
{
	*s = (struct tree_stream){ 0 };
	s->f = open_memstream(&s->data, &s->size);
	if (!s->f)
		t->result = -ENOMEM;
	return s->f;
}

void tree_stream_end(struct tree *t, struct tree_stream *s, const char *path)
{
	if (fclose(s->f) != 0)
		t->result = -ENOMEM;
	tree_bytes(t, path, s->data, s->size);
	free(s->data);
}

static void write_all(struct tree *t)
{
	tree_write_kernel(t);
	if (t->spec->bare)
		return;
	tree_write_cpus(t);
	tree_write_nodes(t);
	tree_write_irqs(t);
	tree_write_processes(t);
	tree_write_boot(t);
}

int tree_write(const struct tree_spec *spec, const char *dir)
{
	struct tree t = { .spec = spec };
	int r;

	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		return -errno;
	r = tree_cpus(spec, &t.cpus);
	if (r < 0)
		return r;
	t.args = tree_boot_args(spec, &t.cpus);
	t.fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (!t.args || t.fd < 0)
		t.result = t.args ? -errno : -ENOMEM;
	else
		write_all(&t);
	closep_(&t.fd);
	free(t.args);
	tree_cpus_done(&t.cpus);
	return t.result;
}

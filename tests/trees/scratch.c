/*
 * Small enough to need no more words than scratch.h has.
 */
#include "tests/trees/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>

static void must(bool done, const char *what)
{
	if (done)
		return;
	fprintf(stderr, "scratch folder: %s: %s\n", what, strerror(errno));
	abort();
}

char *scratch_path(const struct scratch *s, const char *path)
{
	char *whole;

	must(asprintf(&whole, "%s/%s", s->path, path + strspn(path, "/")) >= 0, path);
	return whole;
}

/* Trees have thousands of files: memory, where there is such a file system. */
static const char *top_folder(void)
{
	const char *top = getenv("TMPDIR");

	if (top)
		return top;
	return access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" : "/tmp";
}

void scratch_make(struct scratch *s)
{
	must(asprintf(&s->path, "%s/latencyd-test-XXXXXX", top_folder()) >= 0, "name");
	must(mkdtemp(s->path) != NULL, s->path);
	must(chmod(s->path, 0755) == 0, s->path);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

void scratch_remove(struct scratch *s)
{
	if (s->path)
		nftw(s->path, remove_one, 32, FTW_DEPTH | FTW_PHYS);
	free(s->path);
	s->path = NULL;
}

static char *with_parents(const struct scratch *s, const char *path)
{
	char *whole = scratch_path(s, path);

	for (char *p = whole + strlen(s->path) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		must(mkdir(whole, 0755) == 0 || errno == EEXIST, whole);
		*p = '/';
	}
	return whole;
}

void scratch_write_bytes(const struct scratch *s, const char *path, const char *data, size_t size)
{
	_cleanup_free_ char *whole = with_parents(s, path);
	_cleanup_fclose_ FILE *f = fopen(whole, "we");

	must(f && fwrite(data, 1, size, f) == size, whole);
}

void scratch_write(const struct scratch *s, const char *path, const char *text)
{
	scratch_write_bytes(s, path, text, strlen(text));
}

void scratch_folder(const struct scratch *s, const char *path)
{
	_cleanup_free_ char *whole = with_parents(s, path);

	must(mkdir(whole, 0755) == 0 || errno == EEXIST, whole);
}

void scratch_link(const struct scratch *s, const char *path, const char *target)
{
	_cleanup_free_ char *whole = with_parents(s, path);

	must(symlink(target, whole) == 0, whole);
}

void scratch_fifo(const struct scratch *s, const char *path)
{
	_cleanup_free_ char *whole = with_parents(s, path);

	must(mkfifo(whole, 0644) == 0, whole);
}

void scratch_delete(const struct scratch *s, const char *path)
{
	_cleanup_free_ char *whole = scratch_path(s, path);

	must(remove(whole) == 0, whole);
}

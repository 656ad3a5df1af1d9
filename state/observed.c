/*
 * Facts as typed values. A fact that is not known never yields a value: every reader below returns
 * an error for it, so a caller cannot mistake a failed probe for an equal one.
 */
#include "state/observed.h"

#include <ctype.h>
#include <errno.h>

#include "state/guest.h"

void observed_done(struct observed *o)
{
	if (!o)
		return;
	observed_guests_done(o);
	cpuset_done(&o->possible);
	cpuset_done(&o->present);
	cpuset_done(&o->online);
	arena_free(&o->arena);
	*o = (struct observed){ 0 };
}

const char *fact_state_name(enum fact_state s)
{
	static const char *const names[] = {
		[FACT_UNPROBED] = "not probed",	  [FACT_KNOWN] = "known",
		[FACT_ABSENT] = "absent",	  [FACT_DENIED] = "denied",
		[FACT_UNREADABLE] = "unreadable",
	};

	return (size_t)s < ARRAY_SIZE(names) ? names[s] : "?";
}

int fact_number(const struct fact *f, int64_t *ret)
{
	char *end;
	long long value;

	if (!fact_known(f))
		return -ENODATA;
	errno = 0;
	value = strtoll(f->text, &end, 10);
	if (end == f->text || errno)
		return -EBADMSG;
	while (isspace((unsigned char)*end))
		end++;
	if (*end)
		return -EBADMSG;
	*ret = value;
	return 0;
}

static int set_result(int r)
{
	return r == -ENOMEM ? r : r < 0 ? -EBADMSG : 0;
}

int fact_list(const struct fact *f, unsigned n_cpus, struct cpuset *ret)
{
	if (!fact_known(f))
		return -ENODATA;
	return set_result(cpuset_parse_list(f->text, n_cpus, ret));
}

int fact_mask(const struct fact *f, struct cpuset *ret)
{
	if (!fact_known(f))
		return -ENODATA;
	return set_result(cpuset_parse_mask(f->text, ret));
}

const char *fact_show(struct arena *a, const struct fact *f)
{
	if (!f)
		return "not probed";
	if (f->state == FACT_KNOWN)
		return f->text ? f->text : "";
	if (f->error)
		return arena_printf(a, "%s: %s", fact_state_name(f->state), strerror(f->error));
	return fact_state_name(f->state);
}

static int compare_fact_path(const void *key, const void *fact)
{
	return strcmp(key, ((const struct fact *)fact)->path);
}

const struct fact *observed_file(const struct observed *o, const char *path)
{
	if (!o->n_files)
		return NULL;
	return bsearch(path, o->files, o->n_files, sizeof(*o->files), compare_fact_path);
}

bool file_pattern_match(const char *pattern, const char *path)
{
	for (; *pattern; pattern++) {
		/* A `*` in the path is where a listing failed: that is a fact of this pattern too.
		 */
		if (*pattern != '*' || *path == '*') {
			if (*pattern != *path++)
				return false;
			continue;
		}
		if (!isdigit((unsigned char)*path))
			return false;
		while (isdigit((unsigned char)*path))
			path++;
	}
	return !*path;
}

/* The first file whose path is not before @prefix (of @n bytes) in the sorted array. */
static size_t lower_bound(const struct observed *o, const char *prefix, size_t n)
{
	size_t low = 0, high = o->n_files;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strncmp(o->files[middle].path, prefix, n) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct fact *observed_files_next(const struct observed *o, const char *pattern, size_t *iter)
{
	size_t n = strcspn(pattern, "*");
	size_t i = *iter ? *iter : lower_bound(o, pattern, n);

	for (; i < o->n_files && !strncmp(o->files[i].path, pattern, n); i++) {
		if (file_pattern_match(pattern, o->files[i].path)) {
			*iter = i + 1;
			return &o->files[i];
		}
	}
	*iter = i ? i : o->n_files;
	return NULL;
}

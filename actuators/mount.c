/*
 * STEP_MOUNT: a hugetlbfs of one page size. Whether it is there is read from /proc/self/mounts,
 * never from what we did: a second mount would hide the first one's files.
 */
#include <errno.h>

#include "actuators/actuation.h"
#include "actuators/kernel_io.h"
#include "actuators/root.h"
#include "state/cmdline.h"

/* \040 and the like, in place (Linux fs/proc_namespace.c: mangle()). */
static void unescape(char *s)
{
	char *out = s;

	for (; *s; s++) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
		    s[3] >= '0' && s[3] <= '7') {
			*out++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
			s += 3;
		} else {
			*out++ = *s;
		}
	}
	*out = '\0';
}

static uint64_t page_size_of(char *options)
{
	uint64_t kib = 0;
	char *at;

	for (char *o = strtok_r(options, ",", &at); o; o = strtok_r(NULL, ",", &at)) {
		const char *size = after_prefix(o, "pagesize=");

		if (size && parse_size_kib(size, &kib) < 0)
			kib = 0;
	}
	return kib;
}

/* What the topmost mount at @target is: 1 with its type and page size, 0: none, or -errno. */
static int mounted_at(const char *target, char **ret_type, uint64_t *ret_kib)
{
	_cleanup_free_ char *text = NULL, *type = NULL;
	char *at;
	int r = root_read("/proc/self/mounts", &text, NULL);

	if (r < 0)
		return r;
	for (char *line = strtok_r(text, "\n", &at); line; line = strtok_r(NULL, "\n", &at)) {
		char *fields;
		char *source = strtok_r(line, " ", &fields);
		char *place = strtok_r(NULL, " ", &fields);
		char *fs = strtok_r(NULL, " ", &fields);
		char *options = strtok_r(NULL, " ", &fields);

		if (!source || !place || !fs || !options)
			continue;
		unescape(place);
		if (!streq(place, target))
			continue;
		free(type);
		type = strdup(fs);
		if (!type)
			return -ENOMEM;
		*ret_kib = page_size_of(options);
	}
	if (!type)
		return 0;
	*ret_type = take_ptr(type);
	return 1;
}

static int is_wanted(const struct step *s, struct error *e)
{
	_cleanup_free_ char *type = NULL;
	uint64_t kib = 0;
	int r = mounted_at(s->target, &type, &kib);

	if (r < 0)
		return error_set(e, r, "cannot read /proc/self/mounts: %s", strerror(-r));
	if (r == 0 || (streq(type, "hugetlbfs") && kib == s->size_kib))
		return r;
	error_set(e, -EEXIST, "a %s of another kind is mounted at %s already", type, s->target);
	error_todo(e, "unmount it if nothing needs it: umount %s", s->target);
	return -EEXIST;
}

static int prepare(struct actuation *a, const struct step *s, struct error *e)
{
	int r = is_wanted(s, e);

	if (r != 0)
		return r < 0 ? r : 0;
	r = root_exists(s->target);
	if (r < 0)
		return error_set(e, r, "cannot look at %s: %s", s->target, strerror(-r));
	return keep_original(a, s, ORIGINAL_MOUNT, r ? "" : NULL, e);
}

static int run_step(struct actuation *a, const struct step *s, struct error *e)
{
	_cleanup_free_ char *options = NULL, *outer = root_outer_path(s->target);
	int r = is_wanted(s, e);

	(void)a;
	if (r != 0)
		return r < 0 ? r : 0;
	if (!outer || asprintf(&options, "pagesize=%s,mode=0755", s->want) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	r = root_mkdir_p(s->target, 0755);
	if (r < 0)
		return error_set(e, r, "cannot make the folder %s: %s", s->target, strerror(-r));
	r = kernel_io->mount_hugetlbfs(outer, options);
	if (r < 0) {
		error_set(e, r, "cannot mount hugetlbfs with %s at %s: %s", options, s->target,
			  strerror(-r));
		if (r == -EINVAL)
			error_todo(e, "this machine has no huge pages of that size");
		return r;
	}
	r = is_wanted(s, e);
	if (r < 0)
		return r;
	return r ? 1 : error_set(e, -EPROTO, "%s does not show in /proc/self/mounts", s->target);
}

int mount_restore(const struct original *o, struct error *e)
{
	_cleanup_free_ char *outer = root_outer_path(o->target), *type = NULL;
	uint64_t kib;
	int mounted = mounted_at(o->target, &type, &kib), r;

	if (mounted < 0)
		return error_set(e, mounted, "cannot read /proc/self/mounts: %s",
				 strerror(-mounted));
	if (!outer)
		return error_set(e, -ENOMEM, "out of memory");
	if (mounted && streq(type, "hugetlbfs")) {
		r = kernel_io->unmount(outer);
		if (r < 0) {
			error_set(e, r, "cannot unmount %s: %s", o->target, strerror(-r));
			if (r == -EBUSY)
				error_todo(e, "stop the programs that use it (see fuser -vm %s)",
					   o->target);
			return r;
		}
	}
	if (o->value)
		return mounted;
	r = root_rmdir(o->target);
	/* Someone else's files in it by now: then it is theirs. */
	if (r < 0 && r != -ENOENT && r != -ENOTEMPTY)
		return error_set(e, r, "cannot remove the folder %s: %s", o->target, strerror(-r));
	return 1;
}

const struct actuator actuator_mount = {
	.prepare = prepare,
	.run = run_step,
	.kernel = true,
};

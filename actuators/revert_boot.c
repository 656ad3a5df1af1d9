/*
 * The boot files go back byte for byte. A kernel that we installed cannot be removed while it runs:
 * then the drop-in is left with nothing but the original kernel as the default entry, and the rest
 * is done after that boot. Every part looks at what is there, so that it can be done again after a
 * crash anywhere.
 */
#include "actuators/revert_boot.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "actuators/grub_files.h"
#include "actuators/package.h"
#include "actuators/root.h"
#include "state/cmdline.h"
#include "state/settings.h"

/* NULL ended, in @a: the packages we installed, for @setting (NULL: any). */
static const char **installed_by_us(struct originals *o, const char *setting, struct arena *a)
{
	const char **names = arena_alloc(a, (originals_count(o) + 1) * sizeof(*names));
	struct original original;
	void *iter = NULL;
	size_t n = 0;

	while (names && originals_next(o, &iter, &original)) {
		if (original.kind != ORIGINAL_PACKAGE ||
		    (setting && !streq(setting, original.setting)))
			continue;
		names[n] = arena_strdup(a, original.target);
		if (!names[n++])
			return NULL;
	}
	return names;
}

/* 1: the running kernel is one of those packages', and another one ran before. */
static int runs_our_kernel(const struct originals *o, const char *const *names, struct error *e)
{
	_cleanup_free_ char *release = NULL;
	const char *before = originals_kernel(o);
	int r = root_read_line("/proc/sys/kernel/osrelease", &release);

	if (r < 0)
		return error_set(e, r, "cannot tell which kernel runs: %s", strerror(-r));
	if (!before || streq(before, release))
		return 0;
	for (; *names; names++) {
		const char *rest = after_prefix(*names, "linux-image-");

		rest = rest ? after_prefix(rest, release) : NULL;
		if (rest && (!*rest || streq(rest, "-unsigned")))
			return package_state(*names) != PACKAGE_ABSENT;
	}
	return 0;
}

/* Has the running kernel an argument of the drop-in, of @setting (NULL: any)? */
static int booted_with_ours(const struct originals *o, const char *drop_in, const char *setting)
{
	_cleanup_cmdline_ struct cmdline ours = { 0 }, running = { 0 };
	_cleanup_free_ char *text = NULL;
	struct arena arena = { 0 };
	const char *entry;
	int found = 0, r = 0;

	if (drop_in)
		r = boot_drop_in_parse(drop_in, &ours, &arena, &entry);
	arena_free(&arena);
	if (r >= 0)
		r = root_read_line("/proc/cmdline", &text);
	if (r >= 0)
		r = cmdline_parse(text, &running);
	for (size_t i = 0; r >= 0 && i < ours.n_args; i++) {
		const struct cmdline_arg *arg = &ours.args[i];
		const struct cmdline_arg *have = cmdline_get(&running, arg->key);
		const char *owner = originals_boot_owner(o, arg->key);

		if (setting && (!owner || !streq(owner, setting)))
			continue;
		if (have && cmdline_value_equal(arg->key, have->value, arg->value, 0))
			found = 1;
	}
	return r < 0 ? r : found;
}

/* The drop-in for @b, rendered and read back. */
static int render(const struct boot_intent *b, struct arena *a, struct error *e)
{
	char *text = boot_drop_in_render(a, b);
	int r;

	if (!text && (b->n_args || b->default_entry))
		return error_set(e, -ENOMEM, "out of memory");
	r = grub_write_drop_in(text, e);
	if (r == 0 && grub_check(b, NULL, NULL) == 0)
		return 0;
	if (r >= 0)
		r = grub_update(e);
	return r < 0 ? r : grub_check(b, NULL, e);
}

/* The original kernel's entry, in @a. */
static int original_entry(const struct originals *o, struct arena *a, const char **ret,
			  struct error *e)
{
	_cleanup_grub_ struct grub_config config = { 0 };
	const char *kernel = originals_kernel(o), *path;
	int r = grub_load(&config, e);

	if (r < 0)
		return r;
	path = kernel ? grub_entry_of_kernel(&config, kernel) : NULL;
	if (!path) {
		error_set(e, -ENOENT,
			  "the kernel %s, which ran before latencyd acted, has no "
			  "GRUB entry any more",
			  kernel ? kernel : "(unknown)");
		error_todo(e,
			   "install it again (apt-get install linux-image-%s), then revert again",
			   kernel ? kernel : "amd64");
		return -ENOENT;
	}
	*ret = arena_strdup(a, path);
	return *ret ? 0 : error_set(e, -ENOMEM, "out of memory");
}

/* What the rendered file is can be compared; how it is restored depends on that alone. */
static int restore_config(struct originals *o, struct error *e)
{
	const char *path = grub_config_path();
	_cleanup_free_ char *now = NULL;
	_cleanup_close_ int fd = -1;
	struct original stock;
	struct stat st;
	int r;

	if (!originals_get(o, ORIGINAL_FILE, path, "", &stock) || !stock.value)
		return 0;
	r = root_read(path, &now, NULL);
	if (r < 0)
		return error_set(e, r, "cannot read %s: %s", path, strerror(-r));
	if (streq(now, stock.value))
		return 0;
	r = grub_update(e);
	if (r < 0)
		return r;
	free(now);
	now = NULL;
	fd = root_open(path, O_PATH, 0);
	r = fd < 0 ? fd : root_read(path, &now, NULL);
	if (r < 0 || fstat(fd, &st) < 0)
		return error_set(e, r < 0 ? r : -errno, "cannot read %s back", path);
	/* Another meaning is the administrator's: a kernel or an argument that came since. */
	if (streq(now, stock.value) || !grub_same_meaning(now, stock.value))
		return 0;
	return root_replace(path, stock.value, stock.size, st.st_mode & 07777, e);
}

static int pend(struct originals *o, struct arena *a, struct error *e)
{
	struct boot_intent b = { 0 };
	int r = original_entry(o, a, &b.default_entry, e);

	if (r >= 0)
		r = render(&b, a, e);
	return r < 0 ? r : BOOT_PENDING;
}

static int undo(struct originals *o, const char *const *names, struct error *e)
{
	_cleanup_free_ char *drop_in = NULL;
	struct original original;
	int booted, r = grub_read_drop_in(&drop_in, e);

	if (r < 0)
		return r;
	booted = booted_with_ours(o, drop_in, NULL);
	if (booted < 0)
		return error_set(e, booted, "cannot read /proc/cmdline: %s", strerror(-booted));
	/* Before the packages: their hooks render grub.cfg, and the next one need not be ours. */
	if (originals_get(o, ORIGINAL_FILE, BOOT_DROP_IN, "", &original)) {
		r = grub_write_drop_in(original.value, e);
		if (r < 0)
			return r;
	}
	r = package_purge(names, e);
	if (r >= 0)
		r = restore_config(o, e);
	if (r < 0)
		return r;
	return booted ? BOOT_REVERTED_REBOOT : BOOT_REVERTED;
}

int boot_revert_all(struct originals *o, struct error *e)
{
	struct arena arena = { 0 };
	const char *const *names = installed_by_us(o, NULL, &arena);
	int r = names ? runs_our_kernel(o, names, e) : error_set(e, -ENOMEM, "out of memory");

	if (r == 0)
		r = undo(o, names, e);
	else if (r > 0)
		r = pend(o, &arena, e);
	arena_free(&arena);
	return r;
}

/* What is left of the drop-in without @setting's arguments. */
static int remaining(const struct originals *o, const char *drop_in, const char *setting,
		     struct arena *a, struct boot_intent *ret)
{
	_cleanup_cmdline_ struct cmdline ours = { 0 };
	int r = boot_drop_in_parse(drop_in, &ours, a, &ret->default_entry);

	for (size_t i = 0; r >= 0 && i < ours.n_args; i++) {
		const char *owner = originals_boot_owner(o, ours.args[i].key);

		if (owner && streq(owner, setting))
			continue;
		r = boot_intent_add(a, ret, owner ? setting_by_name(owner) : NULL, ours.args[i].key,
				    ours.args[i].value);
	}
	return r;
}

static int revert_kernel(struct originals *o, struct arena *a, struct boot_intent *b,
			 struct error *e)
{
	const char *const *names = installed_by_us(o, "kernel", a);
	int r = names ? runs_our_kernel(o, names, e) : error_set(e, -ENOMEM, "out of memory");

	if (r > 0) {
		r = original_entry(o, a, &b->default_entry, e);
		return r < 0 ? r : BOOT_PENDING;
	}
	b->default_entry = NULL;
	if (r == 0)
		r = package_purge(names, e);
	for (; r >= 0 && *names; names++)
		r = originals_forget(o, &(struct original){ .kind = ORIGINAL_PACKAGE,
							    .target = *names,
							    .name = "" });
	return r < 0 ? r : BOOT_REVERTED;
}

static int undo_setting(struct originals *o, const char *drop_in, const char *setting,
			struct arena *a, struct error *e)
{
	struct boot_intent b = { 0 };
	int result = BOOT_REVERTED, r = booted_with_ours(o, drop_in, setting);

	if (r > 0)
		result = BOOT_REVERTED_REBOOT;
	if (r >= 0)
		r = remaining(o, drop_in, setting, a, &b);
	if (r < 0)
		return error_set(e, r, "cannot read " BOOT_DROP_IN ": %s", strerror(-r));
	if (streq(setting, "kernel")) {
		r = revert_kernel(o, a, &b, e);
		if (r < 0)
			return r;
		result = r ? r : result;
	}
	if (b.n_args || b.default_entry) {
		r = render(&b, a, e);
	} else {
		struct original original = { 0 };

		(void)originals_get(o, ORIGINAL_FILE, BOOT_DROP_IN, "", &original);
		r = grub_write_drop_in(original.value, e);
		if (r > 0)
			r = grub_update(e);
	}
	return r < 0 ? r : result;
}

int boot_revert_setting(struct originals *o, const char *setting, struct error *e)
{
	_cleanup_free_ char *drop_in = NULL;
	struct arena arena = { 0 };
	int r = grub_read_drop_in(&drop_in, e);

	if (r < 0 || (!drop_in && !streq(setting, "kernel")))
		return r;
	r = undo_setting(o, drop_in ? drop_in : "", setting, &arena, e);
	arena_free(&arena);
	return r;
}

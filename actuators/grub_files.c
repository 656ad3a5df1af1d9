/*
 * What counts is the rendered grub.cfg, read the way GRUB reads it; our drop-in is only how we ask
 * for it. update-grub truncates and fills grub.cfg in place, so it is never left half-way by us: it
 * runs on when we are killed (actuators/run.c), and holds the machine lock while it does.
 */
#include "actuators/grub_files.h"

#include <errno.h>

#include "actuators/grub_sources.h"
#include "actuators/root.h"
#include "actuators/run.h"
#include "state/cmdline.h"

#define UPDATE_GRUB   "/usr/sbin/update-grub"
#define UPDATE_GRUB_S 600

const char *grub_config_path(void)
{
	return root_exists("/boot/grub2/grub.cfg") == 1 && root_exists("/boot/grub/grub.cfg") != 1
		       ? "/boot/grub2/grub.cfg"
		       : "/boot/grub/grub.cfg";
}

static const char *grubenv_path(void)
{
	return streq(grub_config_path(), "/boot/grub2/grub.cfg") ? "/boot/grub2/grubenv"
								 : "/boot/grub/grubenv";
}

static int keep(struct originals *o, const char *path, struct error *e)
{
	_cleanup_free_ char *text = NULL;
	struct original original = { .kind = ORIGINAL_FILE, .target = path, .name = "" };
	int r;

	if (originals_get(o, ORIGINAL_FILE, path, "", NULL))
		return 0;
	r = root_read(path, &text, &original.size);
	if (r < 0 && r != -ENOENT)
		return error_set(e, r, "cannot read %s: %s", path, strerror(-r));
	original.value = text;
	r = originals_keep(o, &original, e);
	return r < 0 ? r : 0;
}

int grub_keep_originals(struct originals *o, struct error *e)
{
	int r = keep(o, BOOT_DROP_IN, e);

	return r < 0 ? r : keep(o, grub_config_path(), e);
}

int grub_read_drop_in(char **ret, struct error *e)
{
	int r = root_read(BOOT_DROP_IN, ret, NULL);

	if (r == -ENOENT) {
		*ret = NULL;
		return 0;
	}
	return r < 0 ? error_set(e, r, "cannot read " BOOT_DROP_IN ": %s", strerror(-r)) : 0;
}

int grub_write_drop_in(const char *text, struct error *e)
{
	_cleanup_free_ char *now = NULL;
	int r = grub_read_drop_in(&now, e);

	if (r < 0)
		return r;
	if (text ? now && streq(now, text) : !now)
		return 0;
	if (!text) {
		r = root_remove(BOOT_DROP_IN, e);
		return r < 0 ? r : 1;
	}
	r = root_mkdir_p("/etc/default/grub.d", 0755);
	if (r < 0)
		return error_set(e, r, "cannot make /etc/default/grub.d: %s", strerror(-r));
	r = root_replace(BOOT_DROP_IN, text, strlen(text), 0644, e);
	return r < 0 ? r : 1;
}

int grub_update(struct error *e)
{
	static const char *const argv[] = { UPDATE_GRUB, NULL };
	_cleanup_free_ char *output = NULL;
	int r = run_program(argv, NULL, UPDATE_GRUB_S, &output, e);

	if (r < 0) {
		if (r == -ENOENT)
			error_todo(e, "this machine has no update-grub: only GRUB as Debian sets "
				      "it up is supported");
		return r;
	}
	if (r == 0)
		return 0;
	error_set(e, -EPROTO, UPDATE_GRUB " failed (exit code %d): %s", r, run_last_line(output));
	error_todo(e, "run it by hand and mend what it says: %s", UPDATE_GRUB);
	return -EPROTO;
}

int grub_load(struct grub_config *ret, struct error *e)
{
	_cleanup_free_ char *text = NULL;
	const char *path = grub_config_path();
	int r = root_read(path, &text, NULL);

	if (r < 0)
		return error_set(e, r, "cannot read %s: %s", path, strerror(-r));
	r = grub_config_parse(text, ret, e);
	if (r < 0)
		error_prefix(e, "%s", path);
	return r;
}

const struct grub_entry *grub_next(const struct grub_config *c, struct error *e)
{
	_cleanup_free_ char *env = NULL;
	const struct grub_entry *next;

	(void)root_read(grubenv_path(), &env, NULL);
	next = grub_next_entry(c, env);
	if (next && next->cmdline)
		return next;
	error_set(e, -EPROTO, "%s has no Linux entry that the next boot would take",
		  grub_config_path());
	return NULL;
}

const char *grub_entry_of_kernel(const struct grub_config *c, const char *version)
{
	const char *newest = NULL;

	for (size_t i = 0; i < c->n_entries; i++) {
		const struct grub_entry *entry = &c->entries[i];
		const char *theirs = entry->kernel ? grub_kernel_version(entry->kernel) : NULL;

		if (!theirs || entry->recovery || !streq(theirs, version))
			continue;
		/* The entry on top is for whatever kernel is the newest, and has no version in it.
		 */
		if (strstr(entry->path, version))
			return entry->path;
		if (!newest)
			newest = entry->path;
	}
	return newest;
}

/* The largest CPU number + 1, for `N` and `all` in lists; 0 when it cannot be told. */
static unsigned possible_cpus(void)
{
	_cleanup_cpuset_ struct cpuset possible = { 0 };
	_cleanup_free_ char *text = NULL;

	if (root_read_line("/sys/devices/system/cpu/possible", &text) < 0 ||
	    cpuset_parse_list(text, 0, &possible) < 0)
		return 0;
	return (unsigned)(cpuset_last(&possible) + 1);
}

/* The @n-th argument of @key, or NULL. */
static const struct cmdline_arg *nth(const struct cmdline_arg *args, size_t n_args, const char *key,
				     size_t n)
{
	for (size_t i = 0; i < n_args; i++)
		if (cmdline_key_equal(args[i].key, key) && n-- == 0)
			return &args[i];
	return NULL;
}

static bool key_right(const struct cmdline *have, const struct boot_intent *b, const char *key,
		      unsigned n_cpus)
{
	for (size_t n = 0;; n++) {
		const struct cmdline_arg *h = nth(have->args, have->n_args, key, n);
		const struct cmdline_arg *w = nth(b->args, b->n_args, key, n);

		if (!h || !w)
			return !h && !w;
		if (!cmdline_value_equal(key, h->value, w->value, n_cpus))
			return false;
	}
}

/* Names the file in the way of @key (NULL: of the default entry). */
static void blame(const char *key, struct error *e)
{
	_cleanup_free_ char *path = NULL, *env = NULL, *once = NULL;
	const char *variable = key ? "GRUB_CMDLINE_LINUX_DEFAULT" : "GRUB_DEFAULT";

	if (!key && root_read(grubenv_path(), &env, NULL) == 0)
		once = grubenv_get(env, "next_entry");
	if (once && *once) {
		error_todo(e,
			   "%s has next_entry=%s for one boot (grub-reboot): apply again after "
			   "that boot",
			   grubenv_path(), once);
	} else if (grub_source_after(BOOT_DROP_IN, variable, &path) == 1) {
		error_todo(e,
			   "%s, which is sourced after " BOOT_DROP_IN ", sets %s anew: take "
			   "that out of it, or begin its value with $%s",
			   path, variable, variable);
	} else if (key && grub_source_with_key(BOOT_DROP_IN, key, &path) == 1) {
		error_todo(e, "%s sets %s too: take it out there, so that it has one owner", path,
			   key);
	} else {
		error_todo(e,
			   "look for what changes it: the scripts of /etc/grub.d, or an edited "
			   "%s",
			   grub_config_path());
	}
}

static int check_default(const struct boot_intent *b, const struct grub_entry *next,
			 struct error *e)
{
	const char *want = b->default_entry;

	if (!want || streq(next->path, want) || streq(next->id, want) || streq(next->title, want) ||
	    streq(next->index, want))
		return 0;
	error_set(e, -EPROTO, "the next boot takes the entry \"%s\", not \"%s\"", next->path, want);
	blame(NULL, e);
	return -EPROTO;
}

int grub_check(const struct boot_intent *b, const char **ret_key, struct error *e)
{
	_cleanup_grub_ struct grub_config config = { 0 };
	_cleanup_cmdline_ struct cmdline have = { 0 };
	const struct grub_entry *next;
	unsigned n_cpus = possible_cpus();
	int r = grub_load(&config, e);

	if (ret_key)
		*ret_key = NULL;
	if (r < 0)
		return r;
	next = grub_next(&config, e);
	if (!next)
		return -EPROTO;
	r = check_default(b, next, e);
	if (r < 0)
		return r;
	r = cmdline_parse(next->cmdline, &have);
	if (r < 0)
		return error_set(e, r, "the entry \"%s\" has the arguments \"%s\": %s", next->path,
				 next->cmdline, strerror(-r));
	for (size_t i = 0; i < b->n_args; i++) {
		const char *key = b->args[i].key;

		if (key_right(&have, b, key, n_cpus))
			continue;
		if (ret_key)
			*ret_key = key;
		error_set(e, -EPROTO,
			  "the next boot's entry has %s %zu times or with another value: \"%s\"",
			  key, cmdline_count(&have, key), next->cmdline);
		blame(key, e);
		return -EPROTO;
	}
	return 0;
}

int grub_check_sources(const struct boot_intent *b, struct error *e)
{
	_cleanup_free_ char *path = NULL;
	const char *variable = "GRUB_CMDLINE_LINUX_DEFAULT";
	int r = b->n_args ? grub_source_after(BOOT_DROP_IN, variable, &path) : 0;

	if (r == 0 && b->default_entry) {
		variable = "GRUB_DEFAULT";
		r = grub_source_after(BOOT_DROP_IN, variable, &path);
	}
	if (r < 0)
		return error_set(e, r, "cannot list /etc/default/grub.d: %s", strerror(-r));
	if (r == 0)
		return 0;
	error_set(e, -EEXIST, "%s is sourced after " BOOT_DROP_IN " and sets %s anew", path,
		  variable);
	error_todo(e,
		   "take that out of it, rename it so that it sorts first, or begin its value "
		   "with $%s",
		   variable);
	return -EEXIST;
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? streq(a, b) : a == b;
}

bool grub_same_meaning(const char *a, const char *b)
{
	_cleanup_grub_ struct grub_config x = { 0 }, y = { 0 };

	if (grub_config_parse(a, &x, NULL) < 0 || grub_config_parse(b, &y, NULL) < 0)
		return false;
	if (x.n_entries != y.n_entries || x.default_is_saved != y.default_is_saved ||
	    !same_text(x.default_entry, y.default_entry))
		return false;
	for (size_t i = 0; i < x.n_entries; i++)
		if (!same_text(x.entries[i].path, y.entries[i].path) ||
		    !same_text(x.entries[i].kernel, y.entries[i].kernel) ||
		    !same_text(x.entries[i].cmdline, y.entries[i].cmdline))
			return false;
	return true;
}

/*
 * The next boot as GRUB will make it: read from the rendered grub.cfg and grubenv, never from the
 * files they were rendered from. Those are read too, because they say who else owns an argument.
 *
 * A kernel's entry is looked for below the "advanced" submenu first: only there does the id carry
 * the version, while the top entry is whatever kernel is the newest at the next update-grub.
 */
#include "probes/probe.h"

#include <errno.h>

#include "state/grub.h"
#include "state/settings.h"

#define DEFAULT_GRUB "/etc/default/grub"
#define DROP_INS     "/etc/default/grub.d"

/* Debian's folder, then the one of other distributions. *ret_folder is set in any case. */
static int read_grub_cfg(const struct sysroot *root, char **ret, const char **ret_folder,
			 const char **ret_path)
{
	static const char *const folders[] = { "/boot/grub", "/boot/grub2" };
	static const char *const paths[] = { "/boot/grub/grub.cfg", "/boot/grub2/grub.cfg" };
	int first = 0;

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		int r = sysroot_read(root, paths[i], ret, NULL);

		if (i == 0)
			first = r;
		if (r == -ENOENT || r == -ENOTDIR)
			continue;
		*ret_folder = folders[i];
		*ret_path = paths[i];
		return r;
	}
	*ret_folder = folders[0];
	*ret_path = paths[0];
	return first;
}

/* Only the lines of kernel_config_options: the rest is the distribution's, 250 KiB of it. */
static int filter_config(const char *text, char **ret)
{
	_cleanup_free_ char *out = NULL;
	size_t used = 0;

	out = malloc(strlen(text) + 2);
	if (!out)
		return -ENOMEM;
	for (const char *line = text; *line;) {
		size_t size = strcspn(line, "\n");

		for (size_t i = 0; kernel_config_options[i]; i++) {
			const char *value = after_prefix(line, kernel_config_options[i]);

			if (!value || *value != '=')
				continue;
			memcpy(out + used, line, size);
			used += size;
			out[used++] = '\n';
		}
		line += size + (line[size] == '\n');
	}
	out[used] = '\0';
	*ret = take_ptr(out);
	return 0;
}

static int probe_config(const struct sysroot *root, struct observed *o, const char *version,
			struct fact *ret)
{
	struct sysroot quiet = sysroot_unrecorded(root);
	_cleanup_free_ char *path = NULL, *text = NULL, *lines = NULL;
	int r;

	if (asprintf(&path, "/boot/config-%s", version) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	r = strchr(version, '/') ? -ENOENT : sysroot_read(&quiet, path, &text, NULL);
	if (r >= 0)
		r = filter_config(text, &lines);
	if (r >= 0) {
		sysroot_saw_file(root, path, lines, strlen(lines));
		lines[strlen(lines) - (*lines != '\0')] = '\0';
	}
	*ret = sysroot_outcome(&o->arena, path, r, lines);
	return fact_check(ret);
}

static bool names_version(const struct grub_entry *entry, const char *version)
{
	return entry->id && strstr(entry->id, version);
}

static struct observed_kernel *find_kernel(struct observed_boot *boot, const char *version)
{
	for (size_t i = 0; i < boot->n_kernels; i++)
		if (streq(boot->kernels[i].version, version))
			return &boot->kernels[i];
	return NULL;
}

static int add_kernel(const struct sysroot *root, struct observed *o,
		      const struct grub_entry *entry)
{
	const char *version = entry->kernel ? grub_kernel_version(entry->kernel) : NULL;
	struct observed_kernel *k;

	if (!version || entry->recovery)
		return 0;
	k = find_kernel(&o->boot, version);
	if (k && (strstr(k->entry_id, version) || !names_version(entry, version)))
		return 0;
	if (!k) {
		k = arena_grow(&o->arena, &o->boot.kernels, &o->boot.n_kernels, sizeof(*k));
		if (!k)
			return -ENOMEM;
		k->version = arena_strdup(&o->arena, version);
		if (!k->version || probe_config(root, o, version, &k->config) < 0)
			return -ENOMEM;
	}
	k->entry_id = arena_strdup(&o->arena, entry->path);
	return k->entry_id ? 0 : -ENOMEM;
}

static int take_next(struct observed *o, const struct grub_entry *next, const char *path)
{
	const char *version = next && next->kernel ? grub_kernel_version(next->kernel) : NULL;
	struct observed_boot *b = &o->boot;

	b->next_cmdline = sysroot_outcome(&o->arena, path, next && next->cmdline ? 0 : -EBADMSG,
					  next ? next->cmdline : NULL);
	b->next_kernel = sysroot_outcome(&o->arena, path, version ? 0 : -EBADMSG, version);
	if (next)
		b->next_entry_id = arena_strdup(&o->arena, next->path);
	if (fact_check(&b->next_cmdline) < 0 || fact_check(&b->next_kernel) < 0)
		return -ENOMEM;
	return next && !b->next_entry_id ? -ENOMEM : 0;
}

static int take_entries(const struct sysroot *root, struct observed *o, const char *text,
			const char *path)
{
	const char *env = o->boot.grubenv.state == FACT_KNOWN ? o->boot.grubenv.text : NULL;
	_cleanup_grub_ struct grub_config config = { 0 };
	int r;

	r = grub_config_parse(text, &config, NULL);
	if (r < 0)
		return r == -ENOMEM ? r : -EBADMSG;
	r = take_next(o, grub_next_entry(&config, env), path);
	for (size_t i = 0; r >= 0 && i < config.n_entries; i++)
		r = add_kernel(root, o, &config.entries[i]);
	return r;
}

/* Without a readable grub.cfg nothing is known of the next boot, for the same reason. */
static int probe_rendered(const struct sysroot *root, struct observed *o)
{
	_cleanup_free_ char *text = NULL;
	const char *folder, *path;
	char env[64];
	int r;

	r = read_grub_cfg(root, &text, &folder, &path);
	snprintf(env, sizeof(env), "%s/grubenv", folder);
	o->boot.grubenv = sysroot_fact(root, &o->arena, env);
	if (fact_check(&o->boot.grubenv) < 0)
		return -ENOMEM;
	if (r >= 0)
		r = take_entries(root, o, text, path);
	o->boot.grub_cfg = sysroot_outcome(&o->arena, path, r, "");
	if (fact_check(&o->boot.grub_cfg) < 0)
		return -ENOMEM;
	o->boot.grub_cfg.text = NULL;
	if (r < 0)
		o->boot.next_cmdline = o->boot.next_kernel = o->boot.grub_cfg;
	return 0;
}

static int add_source(struct observed *o, struct fact f)
{
	struct fact *slot = arena_grow(&o->arena, &o->boot.sources, &o->boot.n_sources, sizeof(f));

	if (!slot || fact_check(&f) < 0)
		return -ENOMEM;
	*slot = f;
	return 0;
}

static bool is_drop_in(const char *name)
{
	size_t n = strlen(name);

	return n > 4 && streq(name + n - 4, ".cfg");
}

/* grub-mkconfig sources /etc/default/grub, then grub.d's *.cfg by name. */
static int probe_sources(const struct sysroot *root, struct observed *o)
{
	char **names = NULL;
	size_t n = 0;
	int r;

	o->boot.drop_in = sysroot_fact(root, &o->arena, BOOT_DROP_IN);
	if (fact_check(&o->boot.drop_in) < 0 ||
	    add_source(o, sysroot_fact(root, &o->arena, DEFAULT_GRUB)) < 0)
		return -ENOMEM;
	r = sysroot_list(root, &o->arena, DROP_INS, &names, &n);
	if (r < 0 && r != -ENOENT)
		return add_source(o, sysroot_outcome(&o->arena, DROP_INS, r, NULL));
	for (size_t i = 0; i < n; i++) {
		const char *path = arena_printf(&o->arena, DROP_INS "/%s", names[i]);

		if (!path)
			return -ENOMEM;
		if (!is_drop_in(names[i]) || streq(path, BOOT_DROP_IN))
			continue;
		if (add_source(o, sysroot_fact(root, &o->arena, path)) < 0)
			return -ENOMEM;
	}
	return 0;
}

int probe_boot(const struct sysroot *root, struct observed *o)
{
	int r = probe_rendered(root, o);

	return r < 0 ? r : probe_sources(root, o);
}

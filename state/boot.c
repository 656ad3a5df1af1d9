/*
 * See boot.h. What counts is the rendered entry (observed->boot.next_cmdline); the sources are read
 * only to say whose a key is.
 */
#include "state/boot.h"

#include <errno.h>

#define CMDLINE_VARIABLE "GRUB_CMDLINE_LINUX_DEFAULT"
#define DROP_IN_START	 CMDLINE_VARIABLE "=\"$" CMDLINE_VARIABLE " "
#define DEFAULT_START	 "GRUB_DEFAULT='"

int boot_intent_add(struct arena *a, struct boot_intent *b, const struct setting *s,
		    const char *key, const char *value)
{
	struct cmdline_arg *arg = arena_grow(a, &b->args, &b->n_args, sizeof(*b->args));
	const struct setting **owner = arena_grow(a, &b->owners, &b->n_owners, sizeof(*b->owners));

	if (!arg || !owner)
		return -ENOMEM;
	arg->key = arena_strdup(a, key);
	arg->value = value ? arena_strdup(a, value) : NULL;
	*owner = s;
	return arg->key && (arg->value || !value) ? 0 : -ENOMEM;
}

char *boot_drop_in_render(struct arena *a, const struct boot_intent *b)
{
	char *text;

	if (!b->n_args && !b->default_entry)
		return NULL;
	text = arena_strdup(a,
			    "# Written by latencyd from its document. \"latencyctl apply\" changes "
			    "this file,\n# \"latencyctl revert\" removes it; edits are lost.\n");
	for (size_t i = 0; text && i < b->n_args; i++)
		text = arena_printf(a, "%s%s%s%s%s", text, i ? " " : DROP_IN_START, b->args[i].key,
				    b->args[i].value ? "=" : "",
				    b->args[i].value ? b->args[i].value : "");
	if (text && b->n_args)
		text = arena_printf(a, "%s\"\n", text);
	if (text && b->default_entry)
		text = arena_printf(a, "%s" DEFAULT_START "%s'\n", text, b->default_entry);
	return text;
}

/* The line of @text that begins with @start, without @start and the final @end; NULL: none. */
static char *line_between(struct arena *a, const char *text, const char *start, char end)
{
	for (const char *line = text; line && *line; line = strchr(line, '\n')) {
		const char *rest;
		size_t n;

		line += *line == '\n';
		rest = after_prefix(line, start);
		if (!rest)
			continue;
		n = strcspn(rest, "\n");
		if (n && rest[n - 1] == end)
			return arena_strndup(a, rest, n - 1);
	}
	return NULL;
}

int boot_drop_in_parse(const char *text, struct cmdline *ret, struct arena *a,
		       const char **ret_default_entry)
{
	char *args = line_between(a, text, DROP_IN_START, '"');
	int r = cmdline_parse(args ? args : "", ret);

	if (r < 0)
		return r;
	*ret_default_entry = line_between(a, text, DEFAULT_START, '\'');
	return 0;
}

void boot_view_done(struct boot_view *view)
{
	cmdline_done(&view->next);
	cmdline_done(&view->ours);
	arena_free(&view->arena);
}

int boot_view_init(const struct observed *o, struct boot_view *ret)
{
	_cleanup_boot_view_ struct boot_view view = { 0 };
	int r;

	if (fact_known(&o->boot.next_cmdline)) {
		r = cmdline_parse(o->boot.next_cmdline.text, &view.next);
		if (r == -ENOMEM)
			return r;
		view.known = r == 0;
	}
	if (fact_known(&o->boot.drop_in)) {
		r = boot_drop_in_parse(o->boot.drop_in.text, &view.ours, &view.arena,
				       &view.ours_default);
		if (r == -ENOMEM)
			return r;
	}
	/* Then no key of the entry can be told to be ours or somebody else's. */
	if (o->boot.drop_in.state == FACT_DENIED || o->boot.drop_in.state == FACT_UNREADABLE)
		view.known = false;
	*ret = view;
	view = (struct boot_view){ 0 };
	return 0;
}

/* What follows `VARIABLE=` or `VARIABLE+=` at the line, for the two variables that reach the normal
 * entries (GRUB_CMDLINE_LINUX_RECOVERY and the Xen ones do not); NULL for any other line. */
static const char *cmdline_assignment(const char *line)
{
	const char *rest, *export;

	line += strspn(line, " \t");
	export = after_prefix(line, "export");
	if (export && strchr(" \t", *export))
		line = export + strspn(export, " \t");
	rest = after_prefix(line, CMDLINE_VARIABLE);
	if (!rest || (*rest != '=' && *rest != '+'))
		rest = after_prefix(line, "GRUB_CMDLINE_LINUX");
	if (!rest)
		return NULL;
	rest += *rest == '+';
	return *rest == '=' ? rest + 1 : NULL;
}

/*
 * Is @key one of the arguments in this shell value? Quotes are taken away as the shell does; what
 * stands outside of them after a blank is another command or a comment. Where a value stands
 * (`clocksource=tsc`) is no key.
 */
static bool value_has_key(const char *p, const char *key)
{
	char quote = 0, word[64];
	size_t n = 0;
	bool in_value = false;

	for (;; p++) {
		bool blank = *p == ' ' || *p == '\t';
		bool end = !*p || *p == '\n' || (!quote && (blank || *p == ';'));

		if (end || blank) {
			word[n] = '\0';
			if (n < sizeof(word) - 1 && cmdline_key_equal(word, key))
				return true;
			if (end)
				return false;
			n = 0;
			in_value = false;
		} else if (quote ? *p == quote : *p == '"' || *p == '\'') {
			quote = quote ? 0 : *p;
		} else if (*p == '=' || in_value) {
			in_value = true;
		} else if (n < sizeof(word) - 1) {
			word[n++] = *p;
		}
	}
}

static bool source_sets(const char *text, const char *key)
{
	for (const char *line = text; line; line = strchr(line, '\n')) {
		const char *value;

		line += *line == '\n';
		value = cmdline_assignment(line);
		if (value && value_has_key(value, key))
			return true;
	}
	return false;
}

const char *boot_foreign_source(const struct observed *o, const char *key)
{
	for (size_t i = 0; i < o->boot.n_sources; i++) {
		const struct fact *f = &o->boot.sources[i];

		if (fact_known(f) && source_sets(f->text, key))
			return f->path;
	}
	return NULL;
}

/* The next argument of @key at or after *i, or NULL. What follows `--` is init's. */
static const struct cmdline_arg *next_of_key(const struct cmdline_arg *args, size_t n_args,
					     const char *key, size_t *i)
{
	while (*i < n_args && !streq(args[*i].key, "--")) {
		const struct cmdline_arg *arg = &args[(*i)++];

		if (cmdline_key_equal(arg->key, key))
			return arg;
	}
	return NULL;
}

/* The same values of @key in the same order: repeated keys accumulate in pairs, so both count. */
static bool key_equal(const struct cmdline *next, const struct boot_intent *b, const char *key,
		      unsigned n_cpus)
{
	const struct cmdline_arg *have, *want;
	size_t i = 0, j = 0;

	do {
		have = next_of_key(next->args, next->n_args, key, &i);
		want = next_of_key(b->args, b->n_args, key, &j);
		if (have && want && !cmdline_value_equal(key, have->value, want->value, n_cpus))
			return false;
	} while (have && want);
	return !have && !want;
}

/* Where a source cannot be read, what the entry has more of @key than our drop-in comes from there.
 */
static const char *unreadable_source(const struct boot_view *view, const struct observed *o,
				     const char *key)
{
	if (cmdline_count(&view->next, key) <= cmdline_count(&view->ours, key))
		return NULL;
	for (size_t i = 0; i < o->boot.n_sources; i++) {
		const struct fact *f = &o->boot.sources[i];

		if (!fact_known(f) && f->state != FACT_ABSENT)
			return f->path;
	}
	return NULL;
}

enum boot_key boot_key_state(const struct boot_view *view, const struct boot_intent *b,
			     const struct observed *o, const char *key, const char **ret_source)
{
	const char *source = boot_foreign_source(o, key);

	if (!source)
		source = unreadable_source(view, o, key);
	if (ret_source)
		*ret_source = source;
	if (key_equal(&view->next, b, key, o->n_cpus))
		return BOOT_KEY_OK;
	return source ? BOOT_KEY_CONFLICT : BOOT_KEY_MISSING;
}

int boot_would_change(const struct boot_view *view, const struct boot_intent *b,
		      const struct observed *o)
{
	int r;

	if (!view->known || !fact_known(&o->cmdline) || !fact_known(&o->kernel_release) ||
	    !fact_known(&o->boot.next_kernel))
		return -ENODATA;
	if (!streq(o->kernel_release.text, o->boot.next_kernel.text))
		return 1;
	r = boot_runs_all(b, o);
	return r < 0 ? r : !r;
}

int boot_runs_all(const struct boot_intent *b, const struct observed *o)
{
	_cleanup_cmdline_ struct cmdline running = { 0 };
	int r;

	if (!fact_known(&o->cmdline))
		return -ENODATA;
	r = cmdline_parse(o->cmdline.text, &running);
	if (r < 0)
		return r == -ENOMEM ? r : -ENODATA;
	for (size_t i = 0; i < b->n_args; i++)
		if (!key_equal(&running, b, b->args[i].key, o->n_cpus))
			return 0;
	return 1;
}

const char *boot_key_text(struct arena *a, const struct cmdline_arg *args, size_t n_args,
			  const char *key)
{
	const struct cmdline_arg *arg;
	const char *text = "";
	size_t i = 0;

	while (text && (arg = next_of_key(args, n_args, key, &i)))
		text = arena_printf(a, "%s%s%s%s%s", text, *text ? " " : "", arg->key,
				    arg->value ? "=" : "", arg->value ? arg->value : "");
	return text;
}

bool boot_first_of_key(const struct boot_intent *b, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (cmdline_key_equal(b->args[j].key, b->args[i].key))
			return false;
	return true;
}

/*
 * grub.cfg is a program; it is not run but read. Its commands go by one after the other, and a
 * stack of blocks (menu entries, functions, `if`) says where they stand. A block knows what its
 * commands mean for the two things wanted: which menu or entry they belong to, and whether a `set
 * default=` in it is the one that counts. Both are inherited from the block around it.
 *
 * Invariant: the stack has one block for each open `{`, `if` and loop, and is back at its bottom at
 * the end.
 */
#include "state/grub.h"

#include <ctype.h>
#include <errno.h>

#include "state/error.h"
#include "state/grub_variables.h"

/* More than any real file has; it bounds the work that deep nesting makes. */
#define MAX_DEPTH 64
#define NO_ENTRY  SIZE_MAX

enum block_kind { BLOCK_BRACES, BLOCK_IF, BLOCK_LOOP };

/*
 * What `set default=` does here. 00_header asks for next_entry first; some ask for saved_entry.
 * What other conditions decide cannot be told, so what they guard does not count.
 */
enum default_rule {
	DEFAULT_COUNTS,
	DEFAULT_IF_SAVED,  /* in `if [ "${saved_entry}" ]` */
	DEFAULT_NOT_SAVED, /* in the else branch of that */
	DEFAULT_IGNORED,
};

struct block {
	enum block_kind kind;
	enum default_rule rule;	 /* of the branch that is open */
	enum default_rule outer; /* of what is around an `if` */
	bool in_condition;	 /* between `if` and `then` */
	bool asked_saved;	 /* a condition of this `if` was about saved_entry */
	bool no_menu;		 /* menu entries in here are not on the menu: a function */
	size_t menu;		 /* items[] of the submenu, or GRUB_TOP */
	size_t entry;		 /* entries[] of the menu entry, or NO_ENTRY */
};

/* What the children of a submenu need; one per item. */
struct menu {
	const char *path, *index; /* with the ">" behind; "" at the top */
	size_t n_children;
};

struct parser {
	struct arena scratch;
	struct grub_config config;
	struct grub_variables variables;
	struct menu top, *menus; /* menus[i] belongs to config.items[i] */
	size_t n_menus;
	struct block blocks[MAX_DEPTH]; /* the bottom one is the file itself */
	size_t depth;
	size_t line;
	struct error *error;
};

static void parser_done(struct parser *p)
{
	arena_free(&p->scratch);
	grub_config_done(&p->config);
}

void grub_config_done(struct grub_config *c)
{
	if (!c)
		return;
	arena_free(&c->arena);
	*c = (struct grub_config){ 0 };
}

static int no_memory(struct parser *p)
{
	return error_set(p->error, -ENOMEM, "cannot read grub.cfg: out of memory");
}

static int bad_line(struct parser *p, const char *why)
{
	error_set(p->error, -EINVAL, "grub.cfg line %zu: %s", p->line, why);
	error_todo(p->error, "run update-grub to write grub.cfg anew");
	return -EINVAL;
}

static struct block *top_block(struct parser *p)
{
	return &p->blocks[p->depth];
}

static struct block *push_block(struct parser *p, enum block_kind kind)
{
	struct block *b;

	if (p->depth + 1 == MAX_DEPTH) {
		bad_line(p, "blocks are nested more than 63 deep");
		return NULL;
	}
	b = &p->blocks[p->depth + 1];
	*b = *top_block(p);
	b->kind = kind;
	b->outer = b->rule;
	b->in_condition = b->asked_saved = false;
	p->depth++;
	return b;
}

static int pop_block(struct parser *p, enum block_kind kind, const char *why)
{
	if (p->depth == 0 || top_block(p)->kind != kind)
		return bad_line(p, why);
	p->depth--;
	return 0;
}

/* @text with each `>` doubled, as GRUB wants it inside a path. */
static char *escape_path(struct arena *a, const char *text)
{
	char *escaped = arena_alloc(a, 2 * strlen(text) + 1), *out = escaped;

	if (!escaped)
		return NULL;
	for (; *text; text++) {
		if (*text == '>')
			*out++ = '>';
		*out++ = *text;
	}
	return escaped;
}

static bool is_id_option(const struct grub_word *w)
{
	return streq(w->text, "--id") || streq(w->text, "${menuentry_id_option}");
}

static bool takes_value(const struct grub_word *w)
{
	static const char *const options[] = { "--class", "--users", "--hotkey", "--source" };

	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (streq(w->text, options[i]))
			return true;
	return false;
}

/* The title (NULL without one) and id of a menuentry or submenu command. */
static void read_title(const struct grub_command *c, const char **title, const char **id)
{
	*title = *id = NULL;
	for (size_t i = 1; i < c->n_words; i++) {
		const struct grub_word *w = &c->words[i];
		const char *value;

		if (is_id_option(w)) {
			if (++i < c->n_words)
				*id = c->words[i].text;
		} else if ((value = after_prefix(w->text, "--id="))) {
			*id = value;
		} else if (takes_value(w)) {
			i++;
		} else if (!after_prefix(w->text, "--") && !*title) {
			*title = w->text;
		}
	}
	if (!*id)
		*id = *title;
}

static struct menu *menu_of(struct parser *p, size_t item)
{
	return item == GRUB_TOP ? &p->top : &p->menus[item];
}

static int add_entry(struct parser *p, const struct grub_item *item, const char *path,
		     const char *index)
{
	struct grub_config *c = &p->config;
	struct grub_entry *entry =
		arena_grow(&c->arena, &c->entries, &c->n_entries, sizeof(*c->entries));

	if (!entry)
		return no_memory(p);
	*entry = (struct grub_entry){
		.id = item->id,
		.title = item->title,
		.path = path,
		.index = index,
	};
	return 0;
}

/* A new line on the menu that @b's commands belong to; @b becomes its block. */
static int add_item(struct parser *p, struct block *b, const struct grub_command *c, bool submenu)
{
	struct arena *a = &p->config.arena;
	struct grub_item item = { .parent = b->menu }, *new_item;
	struct menu *parent, *new_menu;
	const char *title, *id, *path, *index;

	read_title(c, &title, &id);
	if (!title)
		return bad_line(p, "a menu entry without a title");
	item.title = arena_strdup(a, title);
	item.id = arena_strdup(a, id);
	id = escape_path(a, id);
	new_menu = arena_grow(&p->scratch, &p->menus, &p->n_menus, sizeof(*p->menus));
	if (!item.title || !item.id || !id || !new_menu)
		return no_memory(p);
	parent = menu_of(p, b->menu);
	path = arena_printf(a, "%s%s%s", parent->path, id, submenu ? ">" : "");
	index = arena_printf(a, "%s%zu%s", parent->index, parent->n_children++, submenu ? ">" : "");
	if (!path || !index)
		return no_memory(p);
	*new_menu = (struct menu){ .path = path, .index = index };
	item.entry = submenu ? GRUB_SUBMENU : p->config.n_entries;
	if (!submenu && add_entry(p, &item, path, index) < 0)
		return -ENOMEM;
	new_item = arena_grow(a, &p->config.items, &p->config.n_items, sizeof(*new_item));
	if (!new_item)
		return no_memory(p);
	*new_item = item;
	if (submenu)
		b->menu = p->config.n_items - 1;
	else
		b->entry = item.entry;
	return 0;
}

/* A `{` after the words of @c. */
static int open_braces(struct parser *p, const struct grub_command *c)
{
	const char *name = c->n_words ? c->words[0].text : "";
	bool submenu = streq(name, "submenu"), entry = streq(name, "menuentry");
	struct block *b = push_block(p, BLOCK_BRACES);

	if (!b)
		return -EINVAL;
	if (streq(name, "function"))
		b->no_menu = true;
	if (submenu || entry || streq(name, "function"))
		b->rule = DEFAULT_IGNORED;
	if ((submenu || entry) && !b->no_menu && b->entry == NO_ENTRY)
		return add_item(p, b, c, submenu);
	return 0;
}

/*
 * grub_create_loader_cmdline() for one word: quotes around it if it has a blank, a backslash before
 * each quote and backslash, but codes such as \x20 as they are. Returns the end; at most
 * 2 * strlen(word) + 2 are written.
 */
static char *write_loader_word(char *out, const char *word)
{
	bool blank = strchr(word, ' ') != NULL;

	if (blank)
		*out++ = '"';
	for (; *word; word++) {
		bool code = word[0] == '\\' && word[1] == 'x' && isxdigit((unsigned char)word[2]) &&
			    isxdigit((unsigned char)word[3]);

		if (!code && strchr("\\'\"", *word))
			*out++ = '\\';
		*out++ = *word;
	}
	if (blank)
		*out++ = '"';
	return out;
}

/* `linux KERNEL ARGUMENT...` in a menu entry. The last one is the one booted. */
static int read_linux(struct parser *p, const struct grub_command *c, struct grub_entry *entry)
{
	struct grub_word *words;
	size_t n, size = 1;
	char *out;
	int r;

	r = grub_variables_expand(&p->variables, &p->scratch, c->words, c->n_words, &words, &n);
	if (r == -E2BIG)
		return bad_line(p, "longer than any kernel takes its command line");
	if (r < 0)
		return no_memory(p);
	if (n < 2)
		return 0;
	for (size_t i = 2; i < n; i++)
		size += 2 * strlen(words[i].text) + 3;
	out = arena_alloc(&p->config.arena, size);
	entry->cmdline = out;
	entry->kernel = arena_strdup(&p->config.arena, words[1].text);
	entry->recovery = false;
	if (!out || !entry->kernel)
		return no_memory(p);
	for (size_t i = 2; i < n; i++) {
		const char *word = words[i].text;

		if (i > 2)
			*out++ = ' ';
		out = write_loader_word(out, word);
		if (streq(word, "single") || streq(word, "recovery"))
			entry->recovery = true;
	}
	*out = '\0';
	return 0;
}

static int set_default(struct parser *p, const char *value, enum default_rule rule)
{
	bool saved = strstr(value, "${saved_entry}") != NULL;
	struct grub_config *c = &p->config;

	if (rule == DEFAULT_IGNORED || (rule == DEFAULT_IF_SAVED && !saved))
		return 0;
	if (saved)
		c->default_is_saved = true;
	else if (rule == DEFAULT_COUNTS)
		c->default_is_saved = false;
	if (saved && rule == DEFAULT_IF_SAVED && c->default_entry)
		return 0;
	c->default_entry = arena_strdup(&c->arena, value);
	return c->default_entry ? 0 : no_memory(p);
}

static void read_condition(struct block *b, const struct grub_word *words, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (strstr(words[i].text, "${next_entry}"))
			b->rule = DEFAULT_IGNORED;
		else if (strstr(words[i].text, "${saved_entry}")) {
			b->asked_saved = true;
			if (b->outer == DEFAULT_COUNTS)
				b->rule = DEFAULT_IF_SAVED;
		}
	}
}

static int begin_if(struct parser *p)
{
	struct block *b = push_block(p, BLOCK_IF);

	if (!b)
		return -EINVAL;
	b->in_condition = true;
	b->rule = DEFAULT_IGNORED;
	return 0;
}

/* `then`, `elif`, `else`: 0, or -EINVAL outside of an `if`. */
static int next_branch(struct parser *p, const char *word)
{
	struct block *b = top_block(p);

	if (p->depth == 0 || b->kind != BLOCK_IF)
		return bad_line(p, "`then`, `elif` or `else` without `if`");
	b->in_condition = streq(word, "elif");
	if (b->in_condition)
		b->rule = DEFAULT_IGNORED;
	else if (streq(word, "else"))
		b->rule =
			b->asked_saved && b->outer == DEFAULT_COUNTS ? DEFAULT_NOT_SAVED : b->outer;
	return 0;
}

/*
 * Reserved words that begin a command. Returns 1 when @word was one and what follows is a command
 * again, 0 when it was none.
 */
static int reserved_word(struct parser *p, const char *word)
{
	int r = 0;

	if (streq(word, "if"))
		r = begin_if(p);
	else if (streq(word, "then") || streq(word, "elif") || streq(word, "else"))
		r = next_branch(p, word);
	else if (streq(word, "fi"))
		r = pop_block(p, BLOCK_IF, "`fi` without `if`");
	else if (streq(word, "while") || streq(word, "until") || streq(word, "for"))
		r = push_block(p, BLOCK_LOOP) ? 0 : -EINVAL;
	else if (streq(word, "done"))
		r = pop_block(p, BLOCK_LOOP, "`done` without a loop");
	else if (!streq(word, "do"))
		return 0;
	return r < 0 ? r : 1;
}

static bool is_linux(const char *name)
{
	return streq(name, "linux") || streq(name, "linux16") || streq(name, "linuxefi");
}

static int read_bls(struct parser *p)
{
	error_set(p->error, -EINVAL,
		  "grub.cfg line %zu: the menu entries come from BLS files (blscfg)", p->line);
	error_todo(p->error, "boot entries in BLS files are not managed yet: set the boot "
			     "arguments with grubby and leave boot settings out of the document");
	return -EINVAL;
}

static int read_simple(struct parser *p, const struct grub_command *c)
{
	struct block *b = top_block(p);
	const char *name = c->words[0].text, *value;

	if (b->in_condition) {
		read_condition(b, c->words, c->n_words);
		return 0;
	}
	if (streq(name, "blscfg") && !b->no_menu)
		return read_bls(p);
	if (is_linux(name) && b->entry != NO_ENTRY)
		return read_linux(p, c, &p->config.entries[b->entry]);
	if (streq(name, "set") && c->n_words > 1)
		name = c->words[1].text;
	if (grub_variables_assign(&p->variables, &p->scratch, name, b->rule == DEFAULT_COUNTS) < 0)
		return no_memory(p);
	value = after_prefix(name, "default=");
	return value ? set_default(p, value, b->rule) : 0;
}

static int read_command(struct parser *p, struct grub_command *c)
{
	int r;

	p->line = c->line;
	while (c->n_words && !c->words[0].quoted) {
		r = reserved_word(p, c->words[0].text);
		if (r < 0)
			return r;
		if (r == 0)
			break;
		c->words++;
		c->n_words--;
	}
	if (c->end == GRUB_END_OPEN)
		return open_braces(p, c);
	r = c->n_words ? read_simple(p, c) : 0;
	if (r == 0 && c->end == GRUB_END_CLOSE)
		r = pop_block(p, BLOCK_BRACES, "`}` closes no block");
	return r;
}

static int read_file(struct parser *p, const char *text)
{
	struct grub_lexer lexer;
	struct grub_command c = { .end = GRUB_END_LINE };
	int r;

	if (grub_lexer_init(&lexer, text, &p->scratch) < 0)
		return no_memory(p);
	while (c.end != GRUB_END_TEXT) {
		r = grub_lexer_next(&lexer, &p->scratch, &c);
		p->line = lexer.line;
		if (r == -EINVAL)
			return bad_line(p, "a quote that never closes");
		if (r < 0)
			return no_memory(p);
		r = read_command(p, &c);
		if (r < 0)
			return r;
	}
	if (p->depth)
		return bad_line(p, "the file ends inside a block");
	if (p->config.n_entries == 0) {
		error_set(p->error, -EINVAL, "grub.cfg has no menu entry");
		error_todo(p->error, "run update-grub to write grub.cfg anew");
		return -EINVAL;
	}
	return 0;
}

int grub_config_parse(const char *text, struct grub_config *ret, struct error *e)
{
	_cleanup_(parser_done) struct parser p = {
		.top = { .path = "", .index = "" },
		.blocks = { { .menu = GRUB_TOP, .entry = NO_ENTRY } },
		.error = e,
	};
	int r;

	r = read_file(&p, text);
	if (r < 0)
		return r;
	*ret = p.config;
	p.config = (struct grub_config){ 0 };
	return 0;
}

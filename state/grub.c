/*
 * grub.cfg is a program; it is not run but read. Commands go by one after the other, and a stack of
 * blocks (menu entries, functions, `if`) says where they stand. A block knows what its commands mean
 * for the two things wanted: which menu or entry they belong to, and whether a `set default=` in it
 * is the one that counts. Both are inherited from the block around it.
 *
 * Invariant: the stack has one block for each open `{`, `if` and loop, and is empty at the end.
 */
#include "state/grub.h"

#include <errno.h>

#include "state/cmdline.h"
#include "state/error.h"
#include "state/grub_lexer.h"

#define MAX_MENU_DEPTH 16

enum block_kind { BLOCK_BRACES, BLOCK_IF, BLOCK_LOOP };

/* What `set default=` does here. 00_header asks for next_entry first, and older ones for
 * saved_entry; what other conditions decide cannot be told and does not count. */
enum default_rule {
	DEFAULT_COUNTS,
	DEFAULT_IF_SAVED,  /* in `if [ "${saved_entry}" ]` */
	DEFAULT_NOT_SAVED, /* in the else branch of that */
	DEFAULT_IGNORED,
};

struct block {
	enum block_kind kind;
	enum default_rule rule;  /* of the branch */
	enum default_rule outer; /* of what is around an `if` */
	bool asked_saved;        /* a condition of this `if` was about saved_entry */
	bool ignored;            /* menu entries in here are none: a function */
	size_t menu;             /* items[] of the submenu, or GRUB_TOP */
	size_t entry;            /* entries[] of the menu entry, or NO_ENTRY */
	unsigned depth;          /* of submenus */
};
#define NO_ENTRY SIZE_MAX

struct parser {
	struct arena scratch;
	struct grub_lexer lexer;
	struct grub_config config;
	const char **paths;   /* by item: what its children's path and index begin with */
	const char **indexes;
	size_t n_paths, n_indexes;
	size_t *n_children; /* by item */
	size_t n_n_children, n_top;
	struct block *blocks;
	size_t n_blocks, blocks_room;
	size_t line;
	struct error *error;
};

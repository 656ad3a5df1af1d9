#pragma once
/*
 * The YAML document as a tree with positions, and the helpers with which the settings' rows read
 * their values. Every helper reports "SOURCE:LINE:COLUMN: ..." and returns -EINVAL.
 */
#include "state/desired.h"

enum yaml_kind { YAML_SCALAR, YAML_SEQUENCE, YAML_MAPPING };

struct yaml_node {
	enum yaml_kind kind;
	struct mark at;
	const char *text;	  /* YAML_SCALAR: its value; never NULL there */
	bool plain;		  /* a scalar without quotes: `off`, `poll`, 3 */
	struct yaml_node **items; /* YAML_SEQUENCE, and the values of a YAML_MAPPING */
	struct yaml_node **keys;  /* YAML_MAPPING: scalars, unique */
	size_t n_items;
};

struct doc {
	const char *source;
	struct arena *arena; /* of the struct desired: for values */
	struct error *error;
};

/* The whole text as one tree in @a. Refuses anchors/aliases, tags, several documents, duplicate
 * keys, non-scalar keys, nesting deeper than 16. */
int yaml_parse(struct doc *doc, const char *text, size_t size, struct yaml_node **ret);

const struct yaml_node *yaml_get(const struct yaml_node *mapping, const char *key); /* or NULL */

/* Sets the error "SOURCE:LINE:COLUMN: ..." and returns -EINVAL. */
int doc_error(struct doc *doc, const struct yaml_node *node, const char *fmt, ...)
	printf_like(3, 4);

/* One of @names (NULL ended); *ret is its index. */
int doc_choice(struct doc *doc, const struct yaml_node *node, const char *const *names, int *ret);
int doc_unsigned(struct doc *doc, const struct yaml_node *node, uint64_t min, uint64_t max,
		 uint64_t *ret);
int doc_bool(struct doc *doc, const struct yaml_node *node,
	     bool *ret); /* true/false/yes/no/on/off */
int doc_string(struct doc *doc, const struct yaml_node *node, const char **ret); /* not empty */
int doc_size_kib(struct doc *doc, const struct yaml_node *node, uint64_t *ret);	 /* 1G, 2M */

/* One key of a mapping: @parse reads the value into @target (whatever the caller fills). */
struct doc_key {
	const char *name;
	int (*parse)(struct doc *doc, const struct yaml_node *node, void *target);
	bool required;
};
/* Reads a mapping; an unknown key is refused with the nearest of @keys, a missing required one too.
 * Keys are visited in the table's order. */
int doc_mapping(struct doc *doc, const struct yaml_node *node, const struct doc_key *keys,
		size_t n_keys, void *target);

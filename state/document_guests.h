#pragma once
/*
 * What the files that read `guests:` share.
 */
#include "state/document.h"
#include "state/guest.h"

/* The `guests:` list into the struct desired @target. Its host and reboot parts are read before. */
int document_parse_guests(struct doc *doc, const struct yaml_node *node, void *target);
/* One `launch:` mapping; @d for what the host's huge pages make the default. */
int document_parse_launch(struct doc *doc, const struct yaml_node *node, const struct desired *d,
			  struct desired_launch *l);
/* Has it a character that neither an option nor a command line can carry? */
bool text_has_control(const char *s);
/* An absolute path that QEMU's options can carry: no comma, no control character. */
int doc_path(struct doc *doc, const struct yaml_node *node, const char **ret);

/* g->document and g->digest from the tree of its `state:`. -ENOMEM only. */
int guest_document_render(struct doc *doc, struct desired_guest *g, const struct yaml_node *state);
/* Appends the tree as YAML in block style; reading it again gives the same tree. -ENOMEM. */
int yaml_emit(FILE *f, const struct yaml_node *node, unsigned indent);

/* What the guests say against each other and against the host, where the document alone decides. */
int guests_check(struct doc *doc, const struct desired *d);
/* What only the machine decides: its CPUs, and `isolated: auto` is known then. @e as of
 * desired_resolve(). */
int guests_check_resolved(const struct desired *d, const struct observed *o, struct error *e);

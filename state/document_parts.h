#pragma once
/*
 * What the files that read the document share among themselves: document.c, document_host.c,
 * document_measure.c, presets.c, desired.c and those of document_guests.h. Rows need only
 * document.h.
 */
#include <stdarg.h>

#include "state/document.h"

/* doc_error() at a mark. */
int doc_verror(struct doc *doc, struct mark at, const char *fmt, va_list ap)
	__attribute__((format(printf, 3, 0)));

/* What stands there, for "found ...": the word in quotes, clipped; "a list"; "nothing". In the
 * arena; NULL when out of memory. */
const char *doc_show(struct doc *doc, const struct yaml_node *node);

/* The one of @names that @word was probably meant to be, or NULL. */
const char *nearest_word(const char *word, const char *const *names, size_t n_names);

/* "unknown key", with the nearest of @names or all of them as advice. -EINVAL, -ENOMEM. */
int doc_unknown_key(struct doc *doc, const struct yaml_node *key, const char *const *names,
		    size_t n_names);

/* FNV-1a 64 of a document's bytes, in hex, in @a; NULL: out of memory. */
char *document_digest(struct arena *a, const char *text, size_t size);

/* The `host:` mapping (of role ROLE_GUEST: `guest:` or a guest's `state:`) into the struct desired
 * @target. `cpus` is required of a host; a guest without isolated CPUs may leave it out. */
int document_parse_host(struct doc *doc, const struct yaml_node *node, void *target);

/* A CPU list as the kernel writes it, empty or not; @word is what may stand there instead. */
int document_parse_cpus(struct doc *doc, const struct yaml_node *node, const char *word,
			struct cpuset *ret);

/* The `measure:` mapping into the struct desired @target, and what holds without one. */
int document_parse_measure(struct doc *doc, const struct yaml_node *node, void *target);
void measure_defaults(struct desired_measure *m);

/* "5m" in seconds; 0 when it is no number with a unit of time. */
uint64_t document_seconds(const char *text);

/* The `drift:` mapping into the struct desired @target, and what holds without one. After the
 * settings: it names them. */
int document_parse_drift(struct doc *doc, const struct yaml_node *node, void *target);
void drift_defaults(struct desired_drift *drift);
/* What `drift:` of @root names, the machine or one of its guests has. Once all is read. */
int document_check_drift(struct doc *doc, const struct yaml_node *root, const struct desired *d);
/* @state->drift as the document @d around the guest has it. */
void drift_for_guest(const struct desired *d, struct desired *state);
/* Appends @d->drift as YAML: what is not the default, so perhaps nothing. */
void drift_emit(FILE *f, const struct desired *d);

/* A state with a name, for `extends:`: the text of a `host:` mapping without its `cpus`. */
struct preset {
	const char *name;
	const char *text;
};
extern const struct preset presets[];
extern const size_t n_presets;

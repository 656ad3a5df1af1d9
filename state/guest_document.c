/*
 * The document that a guest is given: its `state:` as it stands in the host's document, under the
 * key `guest:`, and what else of that document governs it. The tree is written in block style, each
 * scalar as it was: plain or quoted decides what a value means (`off`, "0,2"), so plain stays
 * plain.
 */
#include <errno.h>
#include <inttypes.h>

#include "state/document_guests.h"
#include "state/document_parts.h"

/* One UTF-8 sequence at @s; its length. The tree comes from libyaml, which checked the encoding. */
static size_t code_point(const unsigned char *s, uint32_t *ret)
{
	size_t n = *s < 0x80 ? 1 : *s < 0xe0 ? 2 : *s < 0xf0 ? 3 : 4;
	uint32_t c = n == 1 ? *s : *s & (0xffU >> (n + 1));

	for (size_t i = 1; i < n && s[i]; i++)
		c = c << 6 | (s[i] & 0x3fU);
	*ret = c;
	return n;
}

static void emit_quoted(FILE *f, const char *text)
{
	const unsigned char *s = (const unsigned char *)text, *end = s + strlen(text);

	fputc('"', f);
	while (s < end) {
		uint32_t c;
		size_t n = code_point(s, &c);

		if (c == '"' || c == '\\')
			fprintf(f, "\\%c", (int)c);
		else if (c >= 0x20 && c < 0x7f)
			fputc((int)c, f);
		else
			fprintf(f, "\\U%08" PRIX32, c);
		s += n;
	}
	fputc('"', f);
}

static void emit_scalar(FILE *f, const struct yaml_node *node)
{
	if (node->plain && !strchr(node->text, '\n'))
		fputs(node->text, f);
	else
		emit_quoted(f, node->text);
}

static void emit_value(FILE *f, const struct yaml_node *node, unsigned indent)
{
	if (node->kind != YAML_SCALAR && node->n_items) {
		fputc('\n', f);
		(void)yaml_emit(f, node, indent);
		return;
	}
	fputc(' ', f);
	if (node->kind == YAML_SCALAR)
		emit_scalar(f, node);
	else
		fputs(node->kind == YAML_MAPPING ? "{}" : "[]", f);
	fputc('\n', f);
}

int yaml_emit(FILE *f, const struct yaml_node *node, unsigned indent)
{
	for (size_t i = 0; i < node->n_items; i++) {
		fprintf(f, "%*s", (int)indent, "");
		if (node->kind == YAML_MAPPING) {
			emit_scalar(f, node->keys[i]);
			fputc(':', f);
		} else {
			fputc('-', f);
		}
		emit_value(f, node->items[i], indent + 2);
	}
	return ferror(f) ? -ENOMEM : 0;
}

int guest_document_render(struct doc *doc, struct desired_guest *g, const struct yaml_node *state)
{
	static const char *const policies[] = {
		[REBOOT_MANUAL] = "manual",
		[REBOOT_WHEN_ASKED] = "when-asked",
		[REBOOT_AUTOMATIC] = "automatic",
	};
	_cleanup_free_ char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return -ENOMEM;
	fprintf(f, "version: 1\nguest:");
	emit_value(f, state, 2);
	if (guest_boots_from_host(g))
		fprintf(f, "boot: host\n");
	fprintf(f, "reboot:\n  policy: %s\n", policies[g->state->reboot_policy]);
	drift_emit(f, g->state);
	if (fclose(f) != 0)
		return -ENOMEM;
	g->document = arena_strdup(doc->arena, text);
	g->digest = g->document ? document_digest(doc->arena, text, size) : NULL;
	return g->digest ? 0 : -ENOMEM;
}

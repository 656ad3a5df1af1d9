/*
 * Values are expanded when they are assigned, as GRUB does it, so that filling one in is one step.
 * A few lines could double a value again and again; the limits keep that small, and are far above
 * what a kernel takes as its command line (4096 bytes).
 */
#include "state/grub_variables.h"

#include <errno.h>

#define MAX_TEXT      16384
#define MAX_VARIABLES 256

static struct grub_variable *find(const struct grub_variables *v, const char *name, size_t len)
{
	for (size_t i = 0; i < v->n_items; i++)
		if (strncmp(v->items[i].name, name, len) == 0 && v->items[i].name[len] == '\0')
			return &v->items[i];
	return NULL;
}

/* The certain value of the "${name}" at @p, else NULL. */
static const char *value_at(const struct grub_variables *v, const char *p, size_t *ret_len)
{
	const char *name = after_prefix(p, "${");
	const char *end = name ? strchr(name, '}') : NULL;
	const struct grub_variable *found;

	if (!end)
		return NULL;
	found = find(v, name, (size_t)(end - name));
	*ret_len = (size_t)(end + 1 - p);
	return found ? found->value : NULL;
}

/* The text of @word with its variables filled in; *ret_filled says whether there were any. */
static int fill_in(const struct grub_variables *v, struct arena *a, const char *text, char **ret,
		   bool *ret_filled)
{
	char buf[MAX_TEXT];
	size_t n = 0, len;

	*ret_filled = false;
	while (*text) {
		const char *value = *text == '$' ? value_at(v, text, &len) : NULL;
		size_t add = value ? strlen(value) : 1;

		if (n + add >= sizeof(buf))
			return -E2BIG;
		memcpy(buf + n, value ? value : text, add);
		n += add;
		text += value ? len : 1;
		*ret_filled |= value != NULL;
	}
	*ret = arena_strndup(a, buf, n);
	return *ret ? 0 : -ENOMEM;
}

int grub_variables_assign(struct grub_variables *v, struct arena *a, const char *text, bool certain)
{
	const char *equals = strchr(text, '=');
	size_t len = equals ? (size_t)(equals - text) : 0;
	struct grub_variable *var;
	char *value = NULL;
	bool filled;
	int r;

	if (len == 0)
		return 0;
	var = find(v, text, len);
	if (!var && (!certain || v->n_items == MAX_VARIABLES))
		return 0;
	if (certain) {
		r = fill_in(v, a, equals + 1, &value, &filled);
		if (r == -ENOMEM)
			return r;
		if (r < 0 || strstr(value, "${"))
			value = NULL;
	}
	if (!var) {
		var = arena_grow(a, &v->items, &v->n_items, sizeof(*v->items));
		if (!var)
			return -ENOMEM;
		var->name = arena_strndup(a, text, len);
		if (!var->name) {
			v->n_items--;
			return -ENOMEM;
		}
	}
	var->value = value;
	return 0;
}

/* Adds @text as one word, or as the words that its blanks part. */
static int add_words(struct arena *a, char *text, bool part, struct grub_word **words, size_t *n)
{
	struct grub_word *new;

	for (char *end; text; text = end) {
		end = part ? strchr(text, ' ') : NULL;
		if (end)
			*end++ = '\0';
		if (part && !*text)
			continue;
		new = arena_grow(a, words, n, sizeof(**words));
		if (!new)
			return -ENOMEM;
		new->text = text;
	}
	return 0;
}

int grub_variables_expand(const struct grub_variables *v, struct arena *a,
			  const struct grub_word *words, size_t n_words, struct grub_word **ret,
			  size_t *ret_n)
{
	struct grub_word *expanded = NULL;
	size_t n = 0, size = 0;

	for (size_t i = 0; i < n_words; i++) {
		bool filled = false;
		char *text = words[i].text;
		int r = 0;

		if (strstr(text, "${"))
			r = fill_in(v, a, text, &text, &filled);
		if (r < 0)
			return r;
		size += strlen(text) + 1;
		if (size > MAX_TEXT)
			return -E2BIG;
		r = add_words(a, text, filled && !words[i].quoted, &expanded, &n);
		if (r < 0)
			return r;
	}
	*ret = expanded;
	*ret_n = n;
	return 0;
}

/*
 * The table is written and read in libnftables' JSON, and both ways go through one function,
 * forward_render(): it says which chains and rules a text means. Reading takes the ports, sources
 * and addresses out of the live rules, renders them anew and compares every chain and every rule
 * with what is live. So nothing that we did not write passes for ours, whatever comment it carries,
 * and a rule in the middle that lets everybody in makes the table unreadable.
 */
#include "guest/forward.h"

#include <errno.h>
#include <linux/netlink.h>
#include <nftables/libnftables.h>
#include <sys/socket.h>

#include "guest/forward_table.h"

#define TABLE FORWARD_TABLE

/* Runs @command; *ret (may be NULL) is what it answered. */
static int run(const char *command, json_t **ret, struct error *e)
{
	struct nft_ctx *nft = nft_ctx_new(NFT_CTX_DEFAULT);
	const char *words;
	int r = 0;

	if (!nft)
		return error_set(e, -ENOMEM, "cannot start libnftables");
	nft_ctx_output_set_flags(nft, NFT_CTX_OUTPUT_JSON);
	if (nft_ctx_buffer_output(nft) != 0 || nft_ctx_buffer_error(nft) != 0) {
		nft_ctx_free(nft);
		return error_set(e, -ENOMEM, "cannot start libnftables");
	}
	errno = 0;
	if (nft_run_cmd_from_buffer(nft, command) != 0) {
		r = errno == EPERM || errno == EACCES ? -EPERM : -EIO;
		words = nft_ctx_get_error_buffer(nft);
		error_set(e, r, "nftables refused the table inet " TABLE ": %.*s",
			  (int)strcspn(words, "\n"), words);
		error_todo(e, r == -EPERM ? "run this as root" : "see: nft list table inet " TABLE);
	} else if (ret) {
		*ret = json_loads(nft_ctx_get_output_buffer(nft), 0, NULL);
		if (!*ret)
			r = error_set(e, -EBADMSG,
				      "nftables answered with something else than JSON");
	}
	nft_ctx_free(nft);
	return r;
}

/* 1, 0, negative errno. */
static int table_exists(struct error *e)
{
	_cleanup_json_ json_t *answer = NULL;
	json_t *object;
	size_t i;
	int r = run("list tables inet", &answer, e);

	if (r < 0)
		return r;
	json_array_foreach(json_object_get(answer, "nftables"), i, object)
	{
		const json_t *table = json_object_get(object, "table");

		if (forward_is_text(table, "name", TABLE) &&
		    forward_is_text(table, "family", "inet"))
			return 1;
	}
	return 0;
}

/* The listed objects without what the kernel and the library add: handles, the version. */
static json_t *strip(const json_t *answer)
{
	json_t *objects = json_array(), *object, *inner;
	const char *kind;
	size_t i;

	json_array_foreach(json_object_get(answer, "nftables"), i, object)
	{
		if (json_object_get(object, "metainfo"))
			continue;
		json_object_foreach(object, kind, inner) json_object_del(inner, "handle");
		json_array_append(objects, object);
	}
	return objects;
}

/* -EEXIST: there are rules that no text of ours means. */
static int read_table(struct arena *a, const char **ret, struct error *e)
{
	_cleanup_json_ json_t *answer = NULL, *live = NULL, *meant = NULL;
	struct table t = { 0 };
	json_t *object;
	size_t i;
	int r = run("list table inet " TABLE, &answer, e);

	if (r < 0)
		return r;
	live = strip(answer);
	json_array_foreach(live, i, object)
	{
		const json_t *rule = json_object_get(object, "rule");

		r = rule ? forward_read_rule(a, rule, &t) : 0;
		if (r < 0)
			break;
	}
	meant = forward_render(&t);
	if (r == 0 && !json_equal(live, meant))
		r = -EEXIST;
	if (r == -EEXIST) {
		error_set(e, r, "the nftables table inet " TABLE " has rules that are not ours");
		return error_todo(e, "see: nft list table inet " TABLE);
	}
	*ret = r == 0 ? forward_table_text(a, &t) : NULL;
	return *ret ? 0 : error_set(e, -ENOMEM, "out of memory");
}

/*
 * libnftables ends the process when the kernel has no netfilter netlink; so that is asked first.
 * 0; -EPROTONOSUPPORT; other negative errno.
 */
static int probe_subsystem(void)
{
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);

	return fd < 0 ? -errno : 0;
}

int forward_read(struct arena *a, struct fact *ret)
{
	struct fact fact = { .path = "nftables inet " TABLE };
	const char *text = NULL;
	_cleanup_error_ struct error e = { 0 };
	int r = probe_subsystem();

	if (r == -EPROTONOSUPPORT) {
		fact.state = FACT_ABSENT; /* no table without tables */
		*ret = fact;
		return 0;
	}
	if (r == 0)
		r = table_exists(&e);
	if (r > 0)
		r = read_table(a, &text, &e);
	if (r == -ENOMEM)
		return r;
	if (r == 0) {
		fact.state = text ? FACT_KNOWN : FACT_ABSENT;
		fact.text = text;
	} else {
		fact.state = r == -EPERM ? FACT_DENIED : FACT_UNREADABLE;
		fact.error = -r;
	}
	*ret = fact;
	return 0;
}

/* "add, delete" removes a table that may or may not be there, in the one transaction. */
static int replace(const json_t *objects, struct error *e)
{
	_cleanup_json_ json_t *commands = json_array(), *document = NULL;
	_cleanup_free_ char *text = NULL;
	json_t *object, *table;
	size_t i;

	table = json_pack("{s:{s:s, s:s}}", "table", "family", "inet", "name", TABLE);
	json_array_append_new(commands, json_pack("{s:O}", "add", table));
	json_array_append_new(commands, json_pack("{s:o}", "delete", table));
	json_array_foreach(objects, i, object)
		json_array_append_new(commands, json_pack("{s:O}", "add", object));
	document = json_pack("{s:O}", "nftables", commands);
	text = json_dumps(document, JSON_COMPACT);
	return text ? run(text, NULL, e) : error_set(e, -ENOMEM, "out of memory");
}

/* 1: the live table says @text (NULL: there is none); 0: another; negative errno. */
static int says(struct arena *a, const char *text, struct error *e)
{
	const char *live = NULL;
	int r = table_exists(e);

	if (r > 0)
		r = read_table(a, &live, e);
	if (r < 0)
		return r;
	return live && text ? streq(live, text) : live == text;
}

static int set(struct arena *a, const char *want, struct error *e)
{
	_cleanup_json_ json_t *objects = NULL;
	struct table t = { 0 };
	int r = probe_subsystem();

	if (r == -EPROTONOSUPPORT && !want)
		return 0; /* no table without tables */
	if (r < 0) {
		error_set(e, r, "cannot set firewall rules: %s", strerror(-r));
		error_todo(e, "this kernel lacks nftables (the modules nfnetlink and nf_tables)");
		return r;
	}
	r = want ? forward_parse_text(a, want, &t) : 0;

	if (r == -EINVAL)
		return error_set(e, r, "not a table of forwards: \"%s\"", want);
	if (r == 0 && want) {
		want = forward_table_text(a, &t);
		objects = forward_render(&t);
		r = want && objects ? 0 : -ENOMEM;
	}
	if (r < 0)
		return error_set(e, r, "out of memory");
	r = says(a, want, e);
	if (r > 0)
		return 0;
	/* Foreign rules in our table go, as every other difference does. */
	if (r < 0 && r != -EEXIST && r != -EBADMSG)
		return r;
	error_clear(e);
	r = replace(objects, e);
	if (r < 0)
		return r;
	r = says(a, want, e);
	if (r == 0)
		return error_set(e, -EPROTO,
				 "nftables took the table inet " TABLE " but lists another");
	return r;
}

int forward_set(const char *want, struct error *e)
{
	_cleanup_error_ struct error local = { 0 };
	struct arena a = { 0 };
	int r = set(&a, want && *want ? want : NULL, &local);

	arena_free(&a);
	if (r < 0)
		error_move(e, &local);
	return r;
}

/*
 * The mark is written first: whoever is killed in between leaves the host's old document marked as
 * the host's, never a document of the host that a later SetDocument would take for a person's.
 */
#include "daemon/guest_document.h"

#include <errno.h>

#include <jansson.h>

#include "actuators/paths.h"
#include "actuators/root.h"
#include "probes/observe.h"

#define TEXT_MAX (256 * 1024)

/* Text and flag of the request; @text lives in *ret_json. */
static int read_request(const char *json, json_t **ret_json, const char **ret_text,
			size_t *ret_size, bool *ret_reboot, struct error *e)
{
	json_t *request = json_loads(json, JSON_REJECT_DUPLICATES, NULL), *reboot;
	json_t *text = json_object_get(request, "document");

	reboot = json_object_get(request, "reboot");
	if (!json_is_string(text) || !json_is_boolean(reboot)) {
		json_decref(request);
		return error_set(e, -EBADMSG,
				 "it takes {\"document\": text, \"reboot\": true or false}");
	}
	*ret_text = json_string_value(text);
	*ret_size = json_string_length(text);
	*ret_reboot = json_boolean_value(reboot);
	*ret_json = request;
	if (*ret_size > TEXT_MAX)
		return error_set(e, -E2BIG, "the document is larger than %d bytes", TEXT_MAX);
	return 0;
}

static int check_document(const char *text, size_t size, struct desired *ret, struct error *e)
{
	_cleanup_desired_ struct desired d = { 0 };
	int r = document_parse("document from the host", text, size, &d, e);

	if (r < 0)
		return r;
	if (d.role != ROLE_GUEST)
		return error_set(e, -EINVAL, "the document from the host is not a guest's");
	*ret = d;
	d = (struct desired){ 0 };
	return 0;
}

/* Only over nothing, or over what came from the host. */
static int check_owner(struct error *e)
{
	int there = root_exists(DOCUMENT_PATH), marked = root_exists(DOCUMENT_FROM_HOST);

	if (there < 0 || marked < 0)
		return error_set(e, there < 0 ? there : marked, "cannot look for the document: %s",
				 strerror(there < 0 ? -there : -marked));
	if (!there || marked)
		return 0;
	error_set(e, -EEXIST, DOCUMENT_PATH " of the guest is not from its host");
	error_todo(e, "remove it inside the guest, or take `state:` of this guest out of the "
		      "host's document");
	return -EEXIST;
}

/* Nothing is written where the same bytes lie already. */
static int keep_file(const char *path, const char *data, size_t size, struct error *e)
{
	_cleanup_free_ char *now = NULL,
			    *folder = strndup(path, (size_t)(strrchr(path, '/') - path));
	size_t n;
	int r;

	if (!folder)
		return error_set(e, -ENOMEM, "out of memory");
	if (root_read(path, &now, &n) >= 0 && n == size && memcmp(now, data, size) == 0)
		return 0;
	r = root_mkdir_p(folder, 0755);
	if (r < 0)
		return error_set(e, r, "cannot make %s: %s", folder, strerror(-r));
	return root_replace(path, data, size, 0644, e);
}

static int keep(const char *text, size_t size, struct error *e)
{
	_cleanup_desired_ struct desired d = { 0 };
	_cleanup_free_ char *mark = NULL;
	int r;

	r = check_document(text, size, &d, e);
	if (r >= 0)
		r = check_owner(e);
	if (r < 0)
		return r;
	if (asprintf(&mark, "%s\n", d.digest) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	r = keep_file(DOCUMENT_FROM_HOST, mark, strlen(mark), e);
	return r < 0 ? r : keep_file(DOCUMENT_PATH, text, size, e);
}

int guest_document_keep(const char *json, bool *ret_reboot, struct error *e)
{
	json_t *request = NULL;
	const char *text = NULL;
	bool reboot = false;
	size_t size = 0;
	int r;

	r = read_request(json, &request, &text, &size, &reboot, e);
	if (r >= 0)
		r = keep(text, size, e);
	json_decref(request);
	if (r < 0)
		return r;
	*ret_reboot = reboot;
	return 0;
}

/*
 * A reboot that does not bring the wanted state must not repeat for ever: at most two in an hour,
 * counted on disk before each is asked for. Times in the future (the clock was set back) are within
 * the hour or they are dropped.
 */
#include <errno.h>
#include <jansson.h>
#include <time.h>

#include "actuators/execute.h"
#include "actuators/paths.h"
#include "actuators/root.h"
#include "actuators/systemd.h"

#define BUDGET	 2
#define WINDOW_S 3600

/* The times of the last hour's reboots. A damaged file counts as none: it is only a brake. */
static json_t *recent(time_t now)
{
	_cleanup_free_ char *text = NULL;
	json_t *doc = NULL, *list = json_array(), *t;
	size_t i;

	if (root_read(REBOOTS_FILE, &text, NULL) == 0)
		doc = json_loads(text, 0, NULL);
	json_array_foreach(json_object_get(doc, "reboots"), i, t)
	{
		json_int_t at = json_integer_value(t);

		if (list && json_is_integer(t) && llabs((long long)now - at) < WINDOW_S)
			json_array_append(list, t);
	}
	json_decref(doc);
	return list;
}

static int spend(struct error *e)
{
	time_t now = time(NULL);
	json_t *list = recent(now), *doc;
	_cleanup_free_ char *text = NULL;
	size_t n = json_array_size(list);
	int r = list && json_array_append_new(list, json_integer(now)) == 0 ? 0 : -ENOMEM;

	doc = json_pack("{s:i, s:o}", "version", 1, "reboots", list);
	text = doc ? json_dumps(doc, 0) : NULL;
	json_decref(doc);
	if (r < 0 || !text)
		return error_set(e, -ENOMEM, "out of memory");
	if (n >= BUDGET) {
		error_set(e, -EDQUOT, "this machine was rebooted %zu times within the hour", n);
		error_todo(e,
			   "see what keeps it from its state (latencyctl status), then reboot it "
			   "yourself: systemctl reboot");
		return -EDQUOT;
	}
	r = root_mkdir_p(STATE_FOLDER, 0755);
	if (r < 0)
		return error_set(e, r, "cannot make " STATE_FOLDER ": %s", strerror(-r));
	return root_replace(REBOOTS_FILE, text, strlen(text), 0644, e);
}

int reboot_machine(struct error *e)
{
	int r = spend(e);

	return r < 0 ? r : systemd_reboot(e);
}

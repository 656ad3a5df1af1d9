/*
 * What a guest's QEMU says of its vCPUs (qapi/machine.json, qapi/qom.json). Its numbers are checked
 * for form here; that the threads are really threads of that process is for guest/threads.c to see.
 * The features are those of the first vCPU, after QEMU took away what the host cannot give: all
 * vCPUs of an x86 guest are of one model.
 */
#include "guest/observe_parts.h"

#include <errno.h>
#include <limits.h>

#include "guest/qmp.h"

#define OPEN_MS	   1000
#define COMMAND_MS 1000
#define VCPUS_MAX  8192

static int ask(struct qmp *q, const char *command, json_t *arguments, json_t **ret)
{
	return qmp_command(q, command, arguments, COMMAND_MS, ret, NULL);
}

static int take_vcpu(const json_t *item, struct arena *a, struct guest_monitor *m)
{
	const json_t *index = json_object_get(item, "cpu-index");
	const json_t *thread = json_object_get(item, "thread-id");
	struct guest_monitor_vcpu *v;

	if (!json_is_integer(index) || !json_is_integer(thread))
		return -EBADMSG;
	if (json_integer_value(index) < 0 || json_integer_value(index) >= VCPUS_MAX ||
	    json_integer_value(thread) <= 0 || json_integer_value(thread) > INT_MAX)
		return -EBADMSG;
	v = arena_grow(a, &m->vcpus, &m->n_vcpus, sizeof(*v));
	if (!v)
		return -ENOMEM;
	v->vcpu = (unsigned)json_integer_value(index);
	v->tid = (int)json_integer_value(thread);
	return 0;
}

/* *ret_path: the first vCPU's place among QEMU's objects. */
static int ask_vcpus(struct qmp *q, struct arena *a, struct guest_monitor *m, const char **ret_path)
{
	const char *path;
	json_t *list = NULL, *item;
	size_t i;
	int r;

	r = ask(q, "query-cpus-fast", NULL, &list);
	if (r == 0 &&
	    (!json_is_array(list) || !json_array_size(list) || json_array_size(list) > VCPUS_MAX))
		r = -EBADMSG;
	if (r == 0) {
		json_array_foreach(list, i, item) if (r == 0) r = take_vcpu(item, a, m);
	}
	path = r == 0 ? json_string_value(json_object_get(json_array_get(list, 0), "qom-path"))
		      : NULL;
	if (path) {
		*ret_path = arena_strdup(a, path);
		if (!*ret_path)
			r = -ENOMEM;
	}
	json_decref(list);
	return r;
}

/* 1, 0 or negative errno. */
static int ask_feature(struct qmp *q, const char *path, const char *feature)
{
	json_t *value = NULL;
	int r;

	r = ask(q, "qom-get", json_pack("{s:s, s:s}", "path", path, "property", feature), &value);
	if (r == 0)
		r = json_is_boolean(value) ? json_is_true(value) : -EBADMSG;
	json_decref(value);
	return r;
}

static int ask_model(struct qmp *q, const char *path, struct arena *a, struct fact *ret)
{
	static const char *const features[] = { "tsc-deadline", "invtsc" };
	char text[64] = "";
	int r = path ? 0 : -EBADMSG;

	for (size_t i = 0; i < ARRAY_SIZE(features) && r >= 0; i++) {
		r = ask_feature(q, path, features[i]);
		if (r > 0) {
			strcat(text, *text ? " " : "");
			strcat(text, features[i]);
		}
	}
	*ret = sysroot_outcome(a, path ? path : "QMP", r < 0 ? r : 0, text);
	return ret->error == ENOMEM ? -ENOMEM : 0;
}

/* Best effort: without it the mappings are judged by their own size. */
static void ask_memory(struct qmp *q, struct guest_monitor *m)
{
	json_t *summary = NULL;
	json_int_t bytes;

	if (ask(q, "query-memory-size-summary", NULL, &summary) < 0)
		return;
	bytes = json_integer_value(json_object_get(summary, "base-memory"));
	m->memory_kib = bytes > 0 ? (uint64_t)bytes / 1024 : 0;
	json_decref(summary);
}

static int without(const char *socket, int result, struct arena *a, struct observed_guest *seen,
		   struct guest_monitor *ret)
{
	*ret = (struct guest_monitor){ .result = result };
	seen->cpu_model = sysroot_outcome(a, socket ? socket : "QMP",
					  socket && result == -ENOENT ? -ENOTCONN : result, NULL);
	return result == -ENOMEM || !seen->cpu_model.path ? -ENOMEM : 0;
}

int guest_ask_monitor(const char *socket, struct arena *a, struct observed_guest *seen,
		      struct guest_monitor *ret)
{
	_cleanup_(qmp_closep) struct qmp *q = NULL;
	struct guest_monitor m = { 0 };
	const char *path = NULL;
	int r;

	if (!socket)
		return without(NULL, -ENOTCONN, a, seen, ret);
	r = qmp_open(socket, OPEN_MS, &q, NULL);
	if (r == 0)
		r = ask_vcpus(q, a, &m, &path);
	if (r < 0)
		return without(socket, r, a, seen, ret);
	ask_memory(q, &m);
	*ret = m;
	return ask_model(q, path, a, &seen->cpu_model);
}

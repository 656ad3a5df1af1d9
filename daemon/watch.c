/*
 * The watch as a whole: its parts, whose writes are our own, and what it says of itself. A part
 * that the kernel refuses leaves a reason; the daemon's passes do its work then.
 */
#include "daemon/watch.h"

#include <errno.h>
#include <stdarg.h>
#include <time.h>

#include <jansson.h>

#include "daemon/name_writer.h"
#include "daemon/watch_parts.h"

#define STIR_QUIET_US 200000ULL
#define SHARE	      5 /* a fifth of one CPU */
#define REST_MAX_US   250000ULL
/* Some fifty milliseconds of work at once: a few drifts one after the other wait for nothing. */
#define BURST_US 200000

void watch_reason(struct watch *w, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	char *all;
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (r < 0 || (w->reasons && strstr(w->reasons, text)) ||
	    asprintf(&all, "%s%s\n", w->reasons ? w->reasons : "", text) < 0)
		return;
	free(w->reasons);
	w->reasons = all;
	if (w->ops.changed && w->event)
		w->ops.changed(w->ops.userdata);
}

void watch_reason_gone(struct watch *w, const char *fmt, ...)
{
	_cleanup_free_ char *begin = NULL;
	char *rest = w->reasons, *line;
	bool gone = false;
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = vasprintf(&begin, fmt, ap);
	va_end(ap);
	for (line = r < 0 ? NULL : rest; line && *line; line = rest) {
		rest = strchr(line, '\n') + 1;
		if (!after_prefix(line, begin))
			continue;
		memmove(line, rest, strlen(rest) + 1);
		rest = line;
		gone = true;
	}
	if (!gone)
		return;
	if (!*w->reasons)
		free(take_ptr(w->reasons));
	if (w->ops.changed && w->event)
		w->ops.changed(w->ops.userdata);
}

/* ---- telling ---- */

/* This process is told apart before; here are its tasks (daemon/task.c), those of an earlier
 * latencyd too, and its children. */
static bool is_own(const struct writer *writer)
{
	static const char *const units[] = { "latencyd.service", "latencyd-apply.service",
					     "latencyd-measure.service",
					     "latencyd-segment.service" };

	if (writer->container) /* it may hold a latencyd of its own */
		return false;
	for (size_t i = 0; writer->unit && i < ARRAY_SIZE(units); i++)
		if (streq(writer->unit, units[i]))
			return true;
	return false;
}

void watch_deliver(struct watch *w, const char *path, int pid, int pidfd, bool changed)
{
	_cleanup_writer_ struct writer writer = { .uid = -1 };

	if (pid == w->self || !w->ops.concerns(path, w->ops.userdata))
		return;
	if ((w->pidfds && pidfd < 0 && pid > 0) || name_writer(&w->live, pid, pidfd, &writer) < 0)
		writer = (struct writer){ .pid = pid, .uid = -1, .gone = true };
	writer.own = is_own(&writer);
	w->ops.written(path, &writer, changed, w->ops.userdata);
}

static uint64_t clock_us(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* ---- how much of a CPU a storm may cost ---- */

static void set_sources(struct watch *w, int enabled)
{
	if (w->files_source)
		(void)sd_event_source_set_enabled(w->files_source, enabled);
	if (w->folders_source)
		(void)sd_event_source_set_enabled(w->folders_source, enabled);
}

static int on_rested(sd_event_source *s, uint64_t usec, void *userdata)
{
	(void)s;
	(void)usec;
	set_sources(userdata, SD_EVENT_ON);
	return 0;
}

/* What a turn cost is all that the process used of a CPU since it began: taking the events, and
 * the looks and repairs that followed from them. Each costs a rest of SHARE times as long, owed and
 * paid off by the time that passes; only who owes more than a burst waits for it. */
bool watch_may_turn(struct watch *w)
{
	uint64_t now = clock_us(CLOCK_MONOTONIC), cpu = clock_us(CLOCK_PROCESS_CPUTIME_ID);
	uint64_t owed = w->owed_us + (cpu - w->turn_cpu_us) * SHARE;
	uint64_t paid = now - w->turn_began_us;

	owed = owed > paid ? owed - paid : 0;
	if (owed > BURST_US + REST_MAX_US)
		owed = BURST_US + REST_MAX_US;
	w->owed_us = owed;
	w->turn_began_us = now;
	w->turn_cpu_us = cpu;
	if (owed > BURST_US &&
	    sd_event_source_set_time(w->rest_timer, now + owed - BURST_US) >= 0 &&
	    sd_event_source_set_enabled(w->rest_timer, SD_EVENT_ONESHOT) >= 0) {
		set_sources(w, SD_EVENT_OFF);
		return false;
	}
	return true;
}

static int open_rest(struct watch *w)
{
	int r = sd_event_add_time(w->event, &w->rest_timer, CLOCK_MONOTONIC, 0, 1, on_rested, w);

	return r < 0 ? r : sd_event_source_set_enabled(w->rest_timer, SD_EVENT_OFF);
}

/* ---- what has no file ---- */

static void tell_stirred(struct watch *w)
{
	_cleanup_free_ char *what = take_ptr(w->stirred);

	w->stirred_us = clock_us(CLOCK_MONOTONIC);
	w->ops.stirred(what ? what : "", w->ops.userdata);
}

static int on_stir_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
	(void)s;
	(void)usec;
	tell_stirred(userdata);
	return 0;
}

/* The first of a burst at once, the last when it has had its time: devices come in crowds. */
void watch_stir(struct watch *w, const char *fmt, ...)
{
	bool waits = w->stirred;
	va_list ap;

	free(take_ptr(w->stirred));
	va_start(ap, fmt);
	if (vasprintf(&w->stirred, fmt, ap) < 0)
		w->stirred = NULL;
	va_end(ap);
	if (w->stirred)
		text_defuse(w->stirred); /* a NIC may be called anything */
	if (waits)
		return;
	if (clock_us(CLOCK_MONOTONIC) - w->stirred_us >= STIR_QUIET_US) {
		tell_stirred(w);
		return;
	}
	if (!w->stir_timer) {
		(void)sd_event_add_time_relative(w->event, &w->stir_timer, CLOCK_MONOTONIC,
						 STIR_QUIET_US, STIR_QUIET_US / 4, on_stir_timer,
						 w);
		return;
	}
	(void)sd_event_source_set_time_relative(w->stir_timer, STIR_QUIET_US);
	(void)sd_event_source_set_enabled(w->stir_timer, SD_EVENT_ONESHOT);
}

/* ---- its life ---- */

struct watch *watch_free(struct watch *w)
{
	if (!w)
		return NULL;
	watch_kernel_close(w);
	watch_folders_close(w);
	watch_mounts_close(w);
	watch_files_close(w);
	sd_event_source_disable_unref(w->stir_timer);
	sd_event_source_disable_unref(w->rest_timer);
	sysroot_close(&w->live);
	sd_event_unref(w->event);
	free(w->stirred);
	free(w->reasons);
	free(w->trouble);
	free(w);
	return NULL;
}

static int open_parts(struct watch *w)
{
	int r = open_rest(w);

	if (r >= 0)
		r = watch_files_open(w);
	if (r >= 0)
		r = watch_folders_open(w);
	if (r >= 0 && w->root->live) /* a tree has no links and no devices */
		r = watch_kernel_open(w);
	return r;
}

int watch_new(sd_event *event, const struct sysroot *root, const struct watch_ops *ops,
	      struct watch **ret)
{
	struct watch *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return -ENOMEM;
	*w = (struct watch){
		.root = root,
		.live.fd = -1,
		.ops = *ops,
		.self = getpid(),
		.files = -1,
		.mountinfo = -1,
		.folders = -1,
	};
	if (sysroot_open(NULL, &w->live, NULL) < 0)
		watch_reason(w, "writers cannot be named: / cannot be opened");
	w->event = sd_event_ref(event);
	w->ops.changed = NULL; /* until all is opened there is nobody to be told */
	r = open_parts(w);
	w->ops.changed = ops->changed;
	if (r < 0) {
		watch_free(w);
		return r;
	}
	*ret = w;
	return 0;
}

/* ---- what it says of itself ---- */

const char *watch_trouble(const struct watch *w)
{
	struct watch *mine = (struct watch *)w; /* the text it keeps is no state of the watch */
	char *p;

	if (!w->reasons)
		return NULL;
	free(mine->trouble);
	mine->trouble = strdup(w->reasons);
	for (p = mine->trouble; p && *p; p++)
		if (*p == '\n')
			*p = p[1] ? ';' : '\0';
	return mine->trouble ? mine->trouble : "out of memory";
}

static json_t *reasons_to_json(const struct watch *w)
{
	_cleanup_free_ char *lines = strdup(w->reasons ? w->reasons : "");
	json_t *list = json_array();
	char *rest = lines, *line;

	while (lines && (line = strsep(&rest, "\n")))
		if (*line && json_array_append_new(list, json_string(line)) < 0)
			break;
	return list;
}

json_t *watch_to_json(const struct watch *w)
{
	static const char passes[] = "passes only";

	return json_pack("{s:s, s:s, s:s, s:o}", "files",
			 w->files < 0 ? passes
			 : w->pidfds  ? "fanotify with pidfd"
				      : "fanotify",
			 "boot_files", w->folders < 0 ? passes : "fanotify", "kernel",
			 w->links || w->uevents ? "netlink" : passes, "reasons",
			 reasons_to_json(w));
}

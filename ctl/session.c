/*
 * From the command line to a look: which document, read by whom, judged against which root.
 */
#include "ctl/ctl.h"

#include <errno.h>
#include <stdarg.h>
#include <time.h>

#include <jansson.h>
#include <systemd/sd-bus.h>

#include "ctl/published.h"
#include "daemon/bus.h"
#include "state/report_json.h"

static int absolute_path(const char *path, char **ret)
{
	_cleanup_free_ char *cwd = NULL;

	if (*path == '/') {
		*ret = strdup(path);
		return *ret ? 0 : -ENOMEM;
	}
	cwd = getcwd(NULL, 0);
	if (!cwd)
		return -errno;
	return asprintf(ret, "%s/%s", cwd, path) < 0 ? -ENOMEM : 0;
}

int ctl_read_file(const char *path, char **ret, size_t *ret_size, struct error *e)
{
	_cleanup_sysroot_ struct sysroot here = { .fd = -1 };
	_cleanup_free_ char *absolute = NULL;
	int r;

	r = sysroot_open(NULL, &here, e);
	if (r < 0)
		return r;
	r = absolute_path(path, &absolute);
	if (r >= 0)
		r = sysroot_read(&here, absolute, ret, ret_size);
	return r < 0 ? error_set(e, r, "cannot read %s: %s", path, strerror(-r)) : 0;
}

int ctl_document(const struct ctl *c, bool acting, struct desired *ret, struct error *e)
{
	_cleanup_free_ char *text = NULL, *absolute = NULL;
	size_t size;
	int r;

	if (!c->document)
		return document_load(&c->root, NULL, ret, e);
	if (acting) {
		r = absolute_path(c->document, &absolute);
		if (r < 0)
			return error_set(e, r, "cannot find %s: %s", c->document, strerror(-r));
		return document_load(&c->root, absolute, ret, e);
	}
	r = ctl_read_file(c->document, &text, &size, e);
	return r < 0 ? r : document_parse(c->document, text, size, ret, e);
}

int ctl_look_published(const struct ctl *c, struct desired *d, struct look *ret,
		       struct published *ret_published, struct error *e)
{
	_cleanup_published_ struct published p = { 0 };
	_cleanup_look_ struct look l = { 0 };
	char now[ISO_TIME_SIZE];
	int r;

	r = look_take(&c->root, d, &l, e);
	if (r < 0)
		return r;
	published_load(&c->root, d, &p);
	r = published_overlay(&p, &l.report);
	if (r >= 0 && p.status)
		r = report_carry(&l.report, p.status, iso_time(time(NULL), now));
	if (r < 0)
		return error_set(e, r, "out of memory");
	*ret = l;
	l = (struct look){ 0 };
	*ret_published = p;
	p = (struct published){ 0 };
	return 0;
}

int ctl_look(const struct ctl *c, struct desired *d, struct look *ret, struct error *e)
{
	_cleanup_published_ struct published p = { 0 };

	return ctl_look_published(c, d, ret, &p, e);
}

int64_t ctl_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

int ctl_usage(const char *todo, const char *fmt, ...)
{
	_cleanup_error_ struct error e = { 0 };
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&e.what, fmt, ap) < 0)
		e.what = NULL;
	va_end(ap);
	error_todo(&e, "%s", todo);
	show_error(&e, -EINVAL);
	return EXIT_USAGE;
}

void ctl_refresh_daemon(void)
{
	sd_bus_message *m = NULL;
	sd_bus *bus = NULL;

	if (sd_bus_open_system(&bus) >= 0 &&
	    sd_bus_message_new_method_call(bus, &m, BUS_NAME, BUS_PATH, BUS_INTERFACE, "Refresh") >=
		    0) {
		(void)sd_bus_message_set_auto_start(m, 0);
		(void)sd_bus_message_set_expect_reply(m, 0);
		(void)sd_bus_send(bus, m, NULL);
	}
	sd_bus_message_unref(m);
	sd_bus_flush_close_unref(bus);
}

/*
 * What every transient unit needs and the wire format of it. It is in guest/ because guests are
 * started here and the daemon, which starts commands, may include from here.
 */
#include "guest/transient_unit.h"

#include <errno.h>
#include <stdint.h>

int transient_new(sd_bus *bus, const char *unit, const char *mode, sd_bus_message **ret)
{
	sd_bus_message *m = NULL;
	int r = sd_bus_message_new_method_call(
		bus, &m, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
		"org.freedesktop.systemd1.Manager", "StartTransientUnit");

	if (r >= 0)
		r = sd_bus_message_append(m, "ss", unit, mode);
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "(sv)");
	if (r < 0) {
		sd_bus_message_unref(m);
		return r;
	}
	*ret = m;
	return 0;
}

/* The Ex kind of property, because the other would expand a '$' in the arguments. */
int transient_command(sd_bus_message *m, const char *property, const char *const *argv)
{
	int r = sd_bus_message_open_container(m, 'r', "sv");

	if (r >= 0)
		r = sd_bus_message_append(m, "s", property);
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'v', "a(sasas)");
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "(sasas)");
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'r', "sasas");
	if (r >= 0)
		r = sd_bus_message_append(m, "s", argv[0]);
	if (r >= 0)
		r = sd_bus_message_append_strv(m, (char **)argv);
	if (r >= 0)
		r = sd_bus_message_append(m, "as", 1, "no-env-expand");
	for (int i = 0; r >= 0 && i < 4; i++)
		r = sd_bus_message_close_container(m);
	return r;
}

/* systemd's CPUAffinity is a bit mask, least CPU first. */
int transient_cpus(sd_bus_message *m, const struct cpuset *cpus)
{
	long last = cpuset_last(cpus);
	_cleanup_free_ uint8_t *mask = NULL;
	size_t size;
	int r;

	if (last < 0)
		return 0;
	size = (size_t)last / 8 + 1;
	mask = calloc(size, 1);
	if (!mask)
		return -ENOMEM;
	cpuset_for_each (cpu, cpus)
		mask[(size_t)cpu / 8] |= (uint8_t)(1U << (size_t)cpu % 8);
	r = sd_bus_message_open_container(m, 'r', "sv");
	if (r >= 0)
		r = sd_bus_message_append(m, "s", "CPUAffinity");
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'v', "ay");
	if (r >= 0)
		r = sd_bus_message_append_array(m, 'y', mask, size);
	for (int i = 0; r >= 0 && i < 2; i++)
		r = sd_bus_message_close_container(m);
	return r;
}

int transient_start(sd_bus *bus, sd_bus_message *m, uint64_t timeout_us, sd_bus_error *error,
		    char **ret_job)
{
	sd_bus_message *reply = NULL;
	const char *job = NULL;
	char *copy = NULL;
	int r = sd_bus_message_close_container(m);

	if (r >= 0)
		r = sd_bus_message_append(m, "a(sa(sv))", 0);
	if (r >= 0)
		r = sd_bus_call(bus, m, timeout_us, error, &reply);
	if (r >= 0 && ret_job) {
		r = sd_bus_message_read(reply, "o", &job);
		copy = r >= 0 ? strdup(job) : NULL;
		if (r >= 0 && !copy)
			r = -ENOMEM;
	}
	sd_bus_message_unref(reply);
	if (r < 0)
		return r;
	if (ret_job)
		*ret_job = copy;
	return 0;
}

/*
 * org.freedesktop.PolicyKit1.Authority.CheckAuthorization, asked for the caller by its name on the
 * bus: polkit itself finds the process behind it, so nothing is to be raced here. Root is not asked
 * about, so that a machine without polkit is one where only root may.
 */
#include "daemon/polkit.h"

#include <errno.h>
#include <stdint.h>

#include "daemon/bus.h"

#define NAME	  "org.freedesktop.PolicyKit1"
#define PATH	  "/org/freedesktop/PolicyKit1/Authority"
#define INTERFACE "org.freedesktop.PolicyKit1.Authority"

#define ALLOW_INTERACTION 1U
/* Longer than a rule of polkit's may run (15 s), and less than callers commonly wait (25 s): who
 * asks is told what is wrong. */
#define ANSWER_US (20 * 1000 * 1000ULL)
/* A person is asked for a password. */
#define PERSON_US (2 * 60 * 1000 * 1000ULL)

struct polkit_check {
	struct polkit *polkit;
	struct polkit_check *next;
	sd_bus_slot *slot;
	sd_bus_message *call;
	uid_t uid;
	sd_bus_message_handler_t then;
	void *userdata;
};

static void check_free(struct polkit_check *c)
{
	sd_bus_slot_unref(c->slot);
	sd_bus_message_unref(c->call);
	free(c);
}

void polkit_done(struct polkit *p)
{
	while (p->checks) {
		struct polkit_check *c = p->checks;

		p->checks = c->next;
		check_free(c);
	}
	p->n = 0;
}

static void take_out(struct polkit_check *c)
{
	struct polkit_check **at = &c->polkit->checks;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	c->polkit->n--;
}

/* ---- the answer ---- */

static bool is_absent(const sd_bus_error *error)
{
	return sd_bus_error_has_names(error, SD_BUS_ERROR_SERVICE_UNKNOWN,
				      SD_BUS_ERROR_NAME_HAS_NO_OWNER,
				      "org.freedesktop.systemd1.NoSuchUnit",
				      "org.freedesktop.DBus.Error.Spawn.ServiceNotFound");
}

/* polkit's details tell of an authentication only where one was wanted: beside a plain "no" it
 * failed. */
static bool has_details(sd_bus_message *reply)
{
	return sd_bus_message_enter_container(reply, 'a', "{ss}") > 0 &&
	       sd_bus_message_at_end(reply, false) == 0;
}

static int refuse(sd_bus_message *reply, bool challenge, sd_bus_error *error)
{
	const char *text = "polkit does not allow this to you: ask as root";

	if (challenge)
		text = "polkit wants an authentication for this: ask from a terminal, or as root";
	else if (has_details(reply))
		text = "polkit does not allow this to you: the authentication failed; ask again, "
		       "or as root";
	return sd_bus_error_set(error, BUS_ERROR_REFUSED, text);
}

/* 0: allowed. Otherwise negative with *error. */
static int read_answer(sd_bus_message *reply, sd_bus_error *error)
{
	const sd_bus_error *failed = sd_bus_message_get_error(reply);
	int allowed, challenge, r;

	if (failed && is_absent(failed))
		return sd_bus_error_set(error, BUS_ERROR_REFUSED,
					"only root may do this: there is no polkit here that "
					"could allow it to others");
	if (failed)
		return sd_bus_error_setf(error, BUS_ERROR_REFUSED, "polkit gave no answer: %s",
					 failed->message ? failed->message : failed->name);
	r = sd_bus_message_enter_container(reply, 'r', "bba{ss}");
	if (r >= 0)
		r = sd_bus_message_read(reply, "bb", &allowed, &challenge);
	if (r < 0)
		return sd_bus_error_set(error, BUS_ERROR_REFUSED,
					"polkit gave an answer that cannot be read");
	return allowed ? 0 : refuse(reply, challenge, error);
}

static int on_answer(sd_bus_message *reply, void *userdata, sd_bus_error *unused)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	struct polkit_check *c = userdata;
	int r = read_answer(reply, &error);

	(void)unused;
	take_out(c);
	if (r >= 0)
		r = c->then(c->call, c->userdata, &error);
	if (sd_bus_error_is_set(&error))
		(void)sd_bus_reply_method_error(c->call, &error);
	else if (r < 0)
		(void)sd_bus_reply_method_errno(c->call, r, NULL);
	sd_bus_error_free(&error);
	check_free(c);
	return 0;
}

/* ---- the question ---- */

static int ask(struct polkit_check *c, const char *action)
{
	bool person = sd_bus_message_get_allow_interactive_authorization(c->call) > 0;
	sd_bus *bus = sd_bus_message_get_bus(c->call);
	sd_bus_message *m = NULL;
	int r = sd_bus_message_new_method_call(bus, &m, NAME, PATH, INTERFACE,
					       "CheckAuthorization");

	if (r >= 0)
		r = sd_bus_message_append(m, "(sa{sv})sa{ss}us", "system-bus-name", 1, "name", "s",
					  sd_bus_message_get_sender(c->call), action, 0,
					  person ? ALLOW_INTERACTION : 0, "");
	if (r >= 0)
		r = sd_bus_call_async(bus, &c->slot, m, on_answer, c,
				      person ? PERSON_US : ANSWER_US);
	sd_bus_message_unref(m);
	return r;
}

static size_t n_checks_of(const struct polkit *p, uid_t uid)
{
	size_t n = 0;

	for (const struct polkit_check *c = p->checks; c; c = c->next)
		n += c->uid == uid;
	return n;
}

static int read_uid(sd_bus_message *call, uid_t *ret)
{
	sd_bus_creds *creds = NULL;
	int r = sd_bus_query_sender_creds(call, SD_BUS_CREDS_EUID, &creds);

	if (r >= 0)
		r = sd_bus_creds_get_euid(creds, ret);
	sd_bus_creds_unref(creds);
	return r;
}

int polkit_ask(struct polkit *p, sd_bus_message *call, const char *action,
	       sd_bus_message_handler_t then, void *userdata, sd_bus_error *error)
{
	struct polkit_check *c;
	uid_t uid;
	int r = read_uid(call, &uid);

	if (r < 0)
		return sd_bus_error_setf(error, BUS_ERROR_REFUSED, "cannot tell who asks: %s",
					 strerror(-r));
	if (uid == 0)
		return then(call, userdata, error);
	if (p->n >= POLKIT_CHECKS_MAX || n_checks_of(p, uid) >= POLKIT_CHECKS_PER_USER)
		return sd_bus_error_set(error, BUS_ERROR_BUSY,
					"too many questions to polkit are open");
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	*c = (struct polkit_check){
		.polkit = p,
		.call = sd_bus_message_ref(call),
		.uid = uid,
		.then = then,
		.userdata = userdata,
	};
	r = ask(c, action);
	if (r < 0) {
		check_free(c);
		return r;
	}
	c->next = p->checks;
	p->checks = c;
	p->n++;
	return 1;
}

/*
 * The document in force, and the one on disk. They are the same until somebody edits the file: then
 * it is read and checked at once, and what is wrong with it is told with line and column, but it
 * comes into force only by a reload or an apply. An editor that saves must not change a machine.
 */
#include <errno.h>

#include "daemon/journal.h"
#include "daemon/manager.h"

int manager_load_document(struct manager *m, struct error *e)
{
	int r;

	if (m->has_document)
		return 0;
	r = document_load(&m->root, NULL, &m->desired, e);
	m->has_document = r >= 0;
	if (r == -ENOENT && peer_has_host(&m->peer)) {
		r = error_set(e, r, "no document yet: waiting for the host");
		error_todo(e, "its latencyd gives this guest one, or write it to " DOCUMENT_PATH);
	}
	return r;
}

static int ask_nobody(void *userdata, const char *name, const char *address, char **ret,
		      struct error *e)
{
	(void)userdata;
	(void)address;
	(void)ret;
	return error_set(e, -EAGAIN, "the guest %s is not asked", name);
}

/* The new document counts only when this machine can be judged by it, whatever its guests say. */
static int reload_document(struct manager *m, struct error *e)
{
	static const struct guest_source nobody = { .status = ask_nobody };
	_cleanup_desired_ struct desired d = { 0 };
	_cleanup_look_ struct look l = { 0 };
	int r;

	r = document_load(&m->root, NULL, &d, e);
	if (r >= 0)
		r = look_take_from(&m->root, &d, &nobody, &l, e);
	if (r < 0)
		return r;
	desired_done(&m->desired);
	m->desired = d;
	m->has_document = true;
	d = (struct desired){ 0 };
	return 0;
}

/* @state is taken over; NULL: in force. Told once: true if it is news. */
static bool set_document_state(struct manager *m, char *state)
{
	bool same = m->document_state && state ? streq(m->document_state, state)
					       : m->document_state == state;

	free(m->document_state);
	m->document_state = state;
	if (!same)
		journal_document(state);
	return !same;
}

static char *invalid_state(const struct error *e, int r)
{
	char *state;

	return asprintf(&state, "invalid: %s", e->what ? e->what : strerror(-r)) < 0 ? NULL : state;
}

void manager_check_document(struct manager *m)
{
	_cleanup_desired_ struct desired d = { 0 };
	_cleanup_error_ struct error e = { 0 };
	char *state = NULL;
	int r;

	m->document_touched = false;
	if (!m->has_document)
		return;
	r = document_load(&m->root, NULL, &d, &e);
	if (r < 0)
		state = invalid_state(&e, r);
	else if (!streq(d.digest, m->desired.digest))
		state = strdup("changed");
	if (set_document_state(m, state))
		manager_pass_soon(m); /* which publishes it */
}

void manager_refresh(struct manager *m)
{
	_cleanup_error_ struct error e = { 0 };
	int r = m->has_document ? reload_document(m, &e) : 0; /* a first one is the pass's */

	if (r < 0) {
		(void)set_document_state(m, invalid_state(&e, r));
		error_prefix(&e, "the new document is refused, the old one stays");
		manager_complain_of(m, &e, r);
	} else {
		(void)set_document_state(m, NULL);
	}
	manager_pass(m);
}

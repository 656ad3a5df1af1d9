/*
 * One short-lived thread a question: it makes the call, leaves the outcome in its place, says that
 * it has ended, and writes to the eventfd. The loop joins it before it reads that place, so the two
 * share nothing but that word. Threads inherit the loop's blocked signals and its CPUs.
 *
 * An answer serves the look that waits for it and no other: what a guest said some seconds ago is
 * nothing that it says now.
 */
#include "daemon/guest_asker.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>

#define STACK_SIZE ((size_t)512 * 1024)

struct question {
	char *name, *address;
	uint64_t asked_us;
	pthread_t thread;
	bool runs;
	atomic_bool ended;
	int answered_fd;
	/* the thread's own until it is joined */
	int r;
	char *text;
	struct error error;
};

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void *ask(void *userdata)
{
	struct question *q = userdata;
	const uint64_t one = 1;

	q->r = guest_ask_status(q->name, q->address, &q->text, &q->error);
	atomic_store(&q->ended, true);
	(void)!write(q->answered_fd, &one, sizeof(one));
	return NULL;
}

/* False: there is no thread to be had. */
static bool begin(struct guest_asker *a, struct question *q)
{
	pthread_attr_t attr;
	int r;

	free(take_ptr(q->text));
	error_clear(&q->error);
	q->asked_us = now_us();
	q->answered_fd = a->answered_fd;
	atomic_store(&q->ended, false);
	r = pthread_attr_init(&attr);
	if (r)
		return false;
	(void)pthread_attr_setstacksize(&attr, STACK_SIZE);
	r = pthread_create(&q->thread, &attr, ask, q);
	(void)pthread_attr_destroy(&attr);
	q->runs = r == 0;
	return q->runs;
}

static void end(struct question *q)
{
	if (q->runs)
		(void)pthread_join(q->thread, NULL);
	q->runs = false;
}

static void free_question(struct question *q)
{
	end(q);
	free(q->name);
	free(q->address);
	free(q->text);
	error_clear(&q->error);
	free(q);
}

/* ---- whom to ask ---- */

static struct question *add_question(struct guest_asker *a, const char *name)
{
	struct question **grown = reallocarray(a->questions, a->n + 1, sizeof(struct question *));
	struct question *q;

	if (!grown)
		return NULL;
	a->questions = grown;
	q = calloc(1, sizeof(*q));
	if (!q)
		return NULL;
	q->name = strdup(name);
	if (!q->name) {
		free(q);
		return NULL;
	}
	grown[a->n++] = q;
	return q;
}

static struct question *find_question(struct guest_asker *a, const char *name)
{
	for (size_t i = 0; i < a->n; i++)
		if (streq(a->questions[i]->name, name))
			return a->questions[i];
	return add_question(a, name);
}

static bool is_answered(const struct guest_asker *a, const struct question *q, const char *address)
{
	return q->asked_us >= a->since_us && q->address && streq(q->address, address);
}

static int give_answer(const struct question *q, char **ret, struct error *e)
{
	if (q->r < 0)
		return error_set(e, q->r, "%s", q->error.what ? q->error.what : strerror(-q->r));
	*ret = strdup(q->text);
	return *ret ? 0 : error_set(e, -ENOMEM, "out of memory");
}

static int status(void *userdata, const char *name, const char *address, char **ret,
		  struct error *e)
{
	struct guest_asker *a = userdata;
	struct question *q = find_question(a, name);

	if (!q)
		return error_set(e, -ENOMEM, "out of memory");
	if (!q->runs && is_answered(a, q, address))
		return give_answer(q, ret, e);
	if (!q->runs) {
		free(q->address);
		q->address = strdup(address);
		if (!q->address || !begin(a, q))
			return guest_ask_status(name, address, ret, e);
	}
	a->waiting = true;
	return -EINPROGRESS;
}

struct guest_source guest_asker_source(struct guest_asker *a)
{
	if (!a->waiting)
		a->since_us = now_us();
	return (struct guest_source){ .status = a->answered_fd < 0 ? NULL : status, .userdata = a };
}

void guest_asker_done(struct guest_asker *a)
{
	a->waiting = false;
}

/* ---- its life ---- */

static int on_answered(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct guest_asker *a = userdata;
	bool any = false;
	uint64_t n;

	(void)s;
	(void)revents;
	(void)!read(fd, &n, sizeof(n));
	for (size_t i = 0; i < a->n; i++) {
		struct question *q = a->questions[i];

		if (q->runs && atomic_load(&q->ended))
			end(q);
		any |= q->runs;
	}
	if (!any && a->waiting)
		a->answered(a->userdata);
	return 0;
}

void guest_asker_init(struct guest_asker *a)
{
	*a = (struct guest_asker){ .answered_fd = -1 };
}

int guest_asker_open(struct guest_asker *a, sd_event *event, void (*answered)(void *userdata),
		     void *userdata)
{
	int r;

	a->answered = answered;
	a->userdata = userdata;
	a->answered_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = a->answered_fd < 0 ? -errno
			       : sd_event_add_io(event, &a->answered_source, a->answered_fd,
						 EPOLLIN, on_answered, a);
	if (r >= 0) /* as a pass: after what is watched */
		r = sd_event_source_set_priority(a->answered_source, SD_EVENT_PRIORITY_NORMAL + 1);
	return r < 0 ? r : 0;
}

void guest_asker_close(struct guest_asker *a)
{
	for (size_t i = 0; i < a->n; i++)
		free_question(a->questions[i]);
	free(a->questions);
	a->answered_source = sd_event_source_disable_unref(a->answered_source);
	closep_(&a->answered_fd);
	guest_asker_init(a);
}

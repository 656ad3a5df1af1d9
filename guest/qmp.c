/*
 * One connection, one command at a time, one line an answer. Whatever breaks the protocol or the
 * deadline breaks the connection for good: a late answer must never be taken for the answer to the
 * next command. Before that point nothing that QEMU says is trusted to be short, whole or JSON.
 */
#include "guest/qmp.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#define LINE_MAX_SIZE	 ((size_t)1024 * 1024)
#define CHUNK		 4096
#define EVENTS_MAX	 1000 /* passed over while one answer is awaited */
#define CONNECT_AGAIN_MS 20
#define WORDS_MAX	 300

struct qmp {
	int fd;
	char *path;
	char *buffer; /* what came after the last line */
	size_t size, room;
	json_int_t id; /* of the last command */
	int broken;    /* 0, or the negative errno that ended it */
};

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static int wait_until(int fd, short events, uint64_t deadline)
{
	for (;;) {
		struct pollfd p = { .fd = fd, .events = events };
		uint64_t now = now_ms();
		int r;

		if (now >= deadline)
			return -ETIMEDOUT;
		r = poll(&p, 1, (int)(deadline - now));
		if (r > 0)
			return 0;
		if (r < 0 && errno != EINTR)
			return -errno;
	}
}

/* A full backlog is EAGAIN here: other clients stand before us. */
static int connect_until(int fd, const struct sockaddr_un *address, uint64_t deadline)
{
	const struct timespec pause = { .tv_nsec = CONNECT_AGAIN_MS * 1000000L };

	while (connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0) {
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		if (now_ms() >= deadline)
			return -ETIMEDOUT;
		(void)nanosleep(&pause, NULL);
	}
	return 0;
}

static int send_all(struct qmp *q, const char *text, size_t size, uint64_t deadline)
{
	while (size > 0) {
		ssize_t n = send(q->fd, text, size, MSG_NOSIGNAL);
		int r;

		if (n >= 0) {
			text += n;
			size -= (size_t)n;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return errno == EPIPE ? -ECONNRESET : -errno;
		r = wait_until(q->fd, POLLOUT, deadline);
		if (r < 0)
			return r;
	}
	return 0;
}

static int receive(struct qmp *q, uint64_t deadline)
{
	ssize_t n;
	int r;

	if (q->room - q->size < CHUNK) {
		size_t room = q->room ? q->room * 2 : 2 * CHUNK;
		char *p = realloc(q->buffer, room);

		if (!p)
			return -ENOMEM;
		q->buffer = p;
		q->room = room;
	}
	r = wait_until(q->fd, POLLIN, deadline);
	if (r < 0)
		return r;
	n = recv(q->fd, q->buffer + q->size, CHUNK, 0);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n == 0)
		return -ECONNRESET;
	q->size += (size_t)n;
	return 0;
}

/* The next line as a JSON object, the caller's. */
static int next_message(struct qmp *q, uint64_t deadline, json_t **ret)
{
	size_t searched = 0, n;
	json_t *message;
	char *end;
	int r;

	while (!(end = q->size ? memchr(q->buffer + searched, '\n', q->size - searched) : NULL)) {
		if (q->size > LINE_MAX_SIZE)
			return -EPROTO;
		searched = q->size;
		r = receive(q, deadline);
		if (r < 0)
			return r;
	}
	n = (size_t)(end - q->buffer);
	message = n > LINE_MAX_SIZE ? NULL : json_loadb(q->buffer, n, 0, NULL);
	q->size -= n + 1;
	memmove(q->buffer, end + 1, q->size);
	if (!json_is_object(message)) {
		json_decref(message);
		return -EPROTO;
	}
	*ret = message;
	return 0;
}

/* Ends the connection and words it. */
static int broke(struct qmp *q, int r, const char *doing, struct error *e)
{
	q->broken = r;
	if (r == -ETIMEDOUT) {
		error_set(e, r, "QEMU's monitor %s does not answer (%s)", q->path, doing);
		error_todo(e, "it serves one client at a time: is another one connected?");
		return r;
	}
	if (r == -EPROTO)
		return error_set(e, r, "what the monitor %s says is not QMP (%s)", q->path, doing);
	if (r == -ECONNRESET)
		return error_set(e, r, "QEMU closed its monitor %s (%s)", q->path, doing);
	return error_set(e, r, "the monitor %s failed (%s): %s", q->path, doing, strerror(-r));
}

/* The answer with our id; events are passed over. */
static int next_answer(struct qmp *q, uint64_t deadline, json_t **ret)
{
	for (unsigned i = 0; i <= EVENTS_MAX; i++) {
		json_t *message;
		int r = next_message(q, deadline, &message);

		if (r < 0)
			return r;
		if (json_object_get(message, "event")) {
			json_decref(message);
			continue;
		}
		if (json_integer_value(json_object_get(message, "id")) == q->id) {
			*ret = message;
			return 0;
		}
		json_decref(message);
		return -EPROTO;
	}
	return -EPROTO;
}

/* QEMU's own words, which may stem from a guest that took it over: printable and clipped. */
static int refused(const char *command, const json_t *error, struct error *e)
{
	const char *text = json_string_value(json_object_get(error, "desc"));
	_cleanup_free_ char *words = strndup(text ? text : "no reason given", WORDS_MAX);

	for (char *at = words; at && *at; at++)
		if (*at < ' ' || *at > '~')
			*at = '?';
	return error_set(e, -EREMOTEIO, "QEMU refuses %s: %s", command, words ? words : "");
}

static char *command_line(struct qmp *q, const char *command, json_t *arguments)
{
	_cleanup_free_ char *body = NULL;
	json_t *message;
	char *line;

	message = arguments ? json_pack("{s:s, s:I, s:o}", "execute", command, "id", ++q->id,
					"arguments", arguments)
			    : json_pack("{s:s, s:I}", "execute", command, "id", ++q->id);
	body = message ? json_dumps(message, JSON_COMPACT) : NULL;
	json_decref(message);
	return body && asprintf(&line, "%s\n", body) >= 0 ? line : NULL;
}

int qmp_command(struct qmp *q, const char *command, json_t *arguments, unsigned timeout_ms,
		json_t **ret, struct error *e)
{
	uint64_t deadline = now_ms() + timeout_ms;
	_cleanup_free_ char *line = NULL;
	json_t *answer = NULL, *result;
	int r;

	if (q->broken) {
		json_decref(arguments);
		return broke(q, q->broken, command, e);
	}
	line = command_line(q, command, arguments);
	if (!line)
		return error_set(e, -ENOMEM, "out of memory");
	r = send_all(q, line, strlen(line), deadline);
	if (r == 0)
		r = next_answer(q, deadline, &answer);
	if (r < 0)
		return broke(q, r, command, e);
	result = json_object_get(answer, "return");
	if (result && ret)
		*ret = json_incref(result);
	else if (!result && json_object_get(answer, "error"))
		r = refused(command, json_object_get(answer, "error"), e);
	else if (!result)
		r = broke(q, -EPROTO, command, e);
	json_decref(answer);
	return r;
}

static int greet(struct qmp *q, uint64_t deadline, struct error *e)
{
	json_t *greeting;
	uint64_t now;
	bool good;
	int r;

	r = next_message(q, deadline, &greeting);
	if (r < 0)
		return broke(q, r, "its greeting", e);
	good = json_is_object(json_object_get(greeting, "QMP"));
	json_decref(greeting);
	if (!good)
		return broke(q, -EPROTO, "its greeting", e);
	now = now_ms();
	return qmp_command(q, "qmp_capabilities", NULL,
			   deadline > now ? (unsigned)(deadline - now) : 0, NULL, e);
}

static int attach(struct qmp *q, uint64_t deadline, struct error *e)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int r;

	if (strlen(q->path) >= sizeof(address.sun_path))
		return error_set(e, -ENAMETOOLONG, "the socket's path %s is too long", q->path);
	strcpy(address.sun_path, q->path);
	q->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (q->fd < 0)
		return error_set(e, -errno, "cannot make a socket: %s", strerror(errno));
	r = connect_until(q->fd, &address, deadline);
	if (r == -ETIMEDOUT)
		return broke(q, r, "connecting", e);
	if (r < 0)
		return error_set(e, r, "cannot connect to QEMU's monitor %s: %s", q->path,
				 strerror(-r));
	return greet(q, deadline, e);
}

int qmp_open(const char *path, unsigned timeout_ms, struct qmp **ret, struct error *e)
{
	uint64_t deadline = now_ms() + timeout_ms;
	_cleanup_(qmp_closep) struct qmp *q = calloc(1, sizeof(*q));
	int r;

	if (q) {
		q->fd = -1;
		q->path = strdup(path);
	}
	if (!q || !q->path)
		return error_set(e, -ENOMEM, "out of memory");
	r = attach(q, deadline, e);
	if (r == 0)
		*ret = take_ptr(q);
	return r;
}

void qmp_close(struct qmp *q)
{
	if (!q)
		return;
	if (q->fd >= 0)
		close(q->fd);
	free(q->path);
	free(q->buffer);
	free(q);
}

/* The thread ends when its client has gone, or when the listening socket is shut down. */
#include "qmp_server.h"

#include <assert.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/un.h>

struct qmp_server {
	pthread_t thread;
	int listening, fd;
	char folder[64], path[96];
	void (*speak)(struct qmp_server *s);
};

int qmp_server_hear(struct qmp_server *s, char *line, size_t size)
{
	size_t n = 0;

	while (n + 1 < size && recv(s->fd, line + n, 1, 0) == 1)
		if (line[n++] == '\n') {
			line[n] = '\0';
			return 1;
		}
	return 0;
}

int qmp_server_say(struct qmp_server *s, const char *text, size_t size)
{
	while (size > 0) {
		ssize_t n = send(s->fd, text, size, MSG_NOSIGNAL);

		if (n < 0)
			return 0;
		text += n;
		size -= (size_t)n;
	}
	return 1;
}

int qmp_server_print(struct qmp_server *s, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	assert(n >= 0);
	return qmp_server_say(s, text, (size_t)n);
}

long qmp_server_command(struct qmp_server *s, char *line, size_t size)
{
	const char *id;

	if (!qmp_server_hear(s, line, size))
		return -1;
	id = strstr(line, "\"id\":");
	return id ? strtol(id + 5, NULL, 10) : -1;
}

int qmp_server_greet(struct qmp_server *s)
{
	char line[512];
	long id;

	if (!qmp_server_print(s, "%s", QMP_GREETING))
		return 0;
	id = qmp_server_command(s, line, sizeof(line));
	return strstr(line, "qmp_capabilities") &&
	       qmp_server_print(s, "{\"return\": {}, \"id\": %ld}\r\n", id);
}

void qmp_server_wait(struct qmp_server *s)
{
	char line[4096];

	while (qmp_server_hear(s, line, sizeof(line)))
		;
}

static void *run(void *userdata)
{
	struct qmp_server *s = userdata;

	s->fd = accept(s->listening, NULL, NULL);
	if (s->fd >= 0) {
		s->speak(s);
		close(s->fd);
	}
	return NULL;
}

struct qmp_server *qmp_server_start(void (*speak)(struct qmp_server *s))
{
	struct qmp_server *s = calloc(1, sizeof(*s));
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	assert(s);
	strcpy(s->folder, "/tmp/latencyd-qmp.XXXXXX");
	assert(mkdtemp(s->folder));
	snprintf(s->path, sizeof(s->path), "%s/qmp.sock", s->folder);
	strcpy(address.sun_path, s->path);
	s->speak = speak;
	s->listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert(s->listening >= 0);
	assert(bind(s->listening, (struct sockaddr *)&address, sizeof(address)) == 0);
	assert(listen(s->listening, 1) == 0);
	assert(pthread_create(&s->thread, NULL, run, s) == 0);
	return s;
}

const char *qmp_server_path(const struct qmp_server *s)
{
	return s->path;
}

void qmp_server_stop(struct qmp_server *s)
{
	if (!s)
		return;
	shutdown(s->listening, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	close(s->listening);
	unlink(s->path);
	rmdir(s->folder);
	free(s);
}

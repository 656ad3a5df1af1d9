#include "tests/unit/watch_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/fanotify.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "state/base.h"

#define AWAIT_S 20

/* ---- what was told ---- */

static struct told *next(struct watching *w)
{
	assert_true(w->n_told < TOLD_MAX);
	w->told[w->n_told] = (struct told){ 0 };
	return &w->told[w->n_told++];
}

static bool on_concerns(const char *path, void *userdata)
{
	const struct watching *w = userdata;
	const char *end = w->concerns ? strstr(path, w->concerns) : path;

	return end != NULL;
}

static void on_written(const char *path, const struct writer *writer, bool changed, void *userdata)
{
	struct watching *w = userdata;
	struct told *t;

	if (w->on_written) {
		w->on_written(path, w->userdata);
		return;
	}
	t = next(w);
	snprintf(t->path, sizeof(t->path), "%s", path);
	snprintf(t->comm, sizeof(t->comm), "%s", writer->comm ? writer->comm : "");
	t->pid = writer->pid;
	t->gone = writer->gone;
	t->own = writer->own;
	t->changed = changed;
}

static void on_stirred(const char *what, void *userdata)
{
	struct watching *w = userdata;

	w->n_stirred++;
	snprintf(next(w)->stirred, sizeof(w->told[0].stirred), "%s", what);
}

static void on_changed(void *userdata)
{
	((struct watching *)userdata)->n_changed++;
}

/* ---- the watch ---- */

int watching_setup(void **state)
{
	struct watching *w;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return 0;
	w = calloc(1, sizeof(*w));
	assert_non_null(w);
	w->root.fd = -1;
	snprintf(w->folder, sizeof(w->folder), "/tmp/latencyd-watch.XXXXXX");
	assert_non_null(mkdtemp(w->folder));
	assert_int_equal(mount("watched", w->folder, "tmpfs", 0, NULL), 0);
	*state = w;
	return 0;
}

int watching_teardown(void **state)
{
	struct watching *w = *state;

	if (!w)
		return 0;
	watching_close(w);
	(void)umount2(w->folder, MNT_DETACH);
	(void)rmdir(w->folder);
	free(w);
	return 0;
}

struct watching *watching_of(void **state)
{
	struct watching *w = *state;

	if (!w) {
		print_message("a mount namespace of its own is refused here\n");
		skip();
	}
	watching_close(w);
	return w;
}

void watching_open(struct watching *w, const char *root)
{
	const struct watch_ops ops = { on_concerns, on_written, on_stirred, on_changed, w };
	int fd = fanotify_init(FAN_CLASS_NOTIF, O_RDONLY);

	if (fd < 0) {
		print_message("fanotify is refused here: %s\n", strerror(errno));
		skip();
	}
	close(fd);
	assert_int_equal(sysroot_open(root, &w->root, NULL), 0);
	assert_true(sd_event_new(&w->event) >= 0);
	assert_int_equal(watch_new(w->event, &w->root, &ops, &w->watch), 0);
}

void watching_close(struct watching *w)
{
	w->watch = watch_free(w->watch);
	w->event = sd_event_unref(w->event);
	sysroot_close(&w->root);
	w->root.fd = -1;
	w->concerns = NULL;
	w->on_written = NULL;
	w->n_told = w->n_stirred = w->n_changed = 0;
}

/* A rest lasts a quarter of a second at most. */
void watching_drain(struct watching *w)
{
	int quiet = 0;

	while (quiet < 4) {
		int r = sd_event_run(w->event, 100000);

		assert_true(r >= 0);
		quiet = r == 0 ? quiet + 1 : 0;
	}
}

static const struct told *find(const struct watching *w, const char *path, const char *stirred)
{
	for (size_t i = 0; i < w->n_told; i++) {
		const struct told *t = &w->told[i];

		if (path ? streq(t->path, path)
			 : *t->stirred && after_prefix(t->stirred, stirred) != NULL)
			return t;
	}
	return NULL;
}

static const struct told *await(struct watching *w, const char *path, const char *stirred)
{
	time_t end = time(NULL) + AWAIT_S;

	while (!find(w, path, stirred) && time(NULL) < end)
		assert_true(sd_event_run(w->event, 100000) >= 0);
	return find(w, path, stirred);
}

const struct told *watching_await(struct watching *w, const char *path)
{
	return await(w, path, NULL);
}

const struct told *watching_await_stirred(struct watching *w, const char *what)
{
	return await(w, NULL, what);
}

size_t watching_count(const struct watching *w, const char *path)
{
	size_t n = 0;

	for (size_t i = 0; i < w->n_told; i++)
		n += streq(w->told[i].path, path);
	return n;
}

/* ---- files ---- */

const char *path_in(const struct watching *w, const char *name)
{
	static char paths[4][512];
	static unsigned turn;
	char *path = paths[turn++ % ARRAY_SIZE(paths)];

	snprintf(path, sizeof(paths[0]), "%s/%s", w->folder, name);
	for (char *p = path + strlen(w->folder) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		assert_true(mkdir(path, 0755) == 0 || errno == EEXIST);
		*p = '/';
	}
	return path;
}

void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* ---- strangers ---- */

pid_t stranger_start(int (*act)(const char *argument), const char *argument)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(act(argument) == 0 ? 0 : 1);
	}
	return pid;
}

void stranger_end(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
}

int write_same(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDWR);
	char text[4096];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));

	return n > 0 && pwrite(fd, text, (size_t)n, 0) == n ? 0 : -1;
}

int write_and_stay(const char *path)
{
	if (write_same(path) < 0)
		return -1;
	for (;;)
		pause();
}

int open_and_close(const char *path)
{
	int fd = open(path, O_WRONLY);

	return fd < 0 ? -1 : close(fd);
}
